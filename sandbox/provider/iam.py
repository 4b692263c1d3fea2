"""Roles, their inline policies, and instance profiles. IAM is global: its resources have no region."""

from __future__ import annotations

import json
from typing import Any

from sandbox.provider.aws import found, tag_list, tag_map
from sandbox.provider.diff import document
from sandbox.provider.table import Call, Kind, Name, deleter, tagger
from sandbox.provider.values import Properties

ABSENT = {"NoSuchEntity"}

role_tags = tagger(
    lambda call, put: call.aws("iam").tag_role(RoleName=call.id, Tags=tag_list(put)),
    lambda call, gone: call.aws("iam").untag_role(RoleName=call.id, TagKeys=gone),
)
profile_tags = tagger(
    lambda call, put: call.aws("iam").tag_instance_profile(InstanceProfileName=call.id, Tags=tag_list(put)),
    lambda call, gone: call.aws("iam").untag_instance_profile(InstanceProfileName=call.id, TagKeys=gone),
)


def text(policy: Any) -> str:
    """botocore decodes some policies and leaves others as text."""
    return policy if isinstance(policy, str) else json.dumps(policy, separators=(",", ":"))


def create_role(call: Call) -> str:
    boundary = call.new.get("permissionsBoundary")
    call.aws("iam").create_role(
        RoleName=call.new["name"],
        AssumeRolePolicyDocument=call.new["assumeRolePolicy"],
        Path=call.new["path"],
        Description=call.new.get("description", ""),
        MaxSessionDuration=call.new["maxSessionDuration"],
        Tags=tag_list(call.new["tagsAll"]),
        **({"PermissionsBoundary": boundary} if boundary else {}),
    )
    return str(call.new["name"])


def set_trust(call: Call) -> None:
    call.aws("iam").update_assume_role_policy(RoleName=call.id, PolicyDocument=call.new["assumeRolePolicy"])


def set_session(call: Call) -> None:
    duration, description = call.new["maxSessionDuration"], call.new.get("description", "")
    call.aws("iam").update_role(RoleName=call.id, MaxSessionDuration=duration, Description=description)


def set_boundary(call: Call) -> None:
    iam, boundary = call.aws("iam"), call.new.get("permissionsBoundary")
    if boundary:
        iam.put_role_permissions_boundary(RoleName=call.id, PermissionsBoundary=boundary)
    else:
        iam.delete_role_permissions_boundary(RoleName=call.id)


def read_role(call: Call) -> Properties | None:
    answer = found(ABSENT, call.aws("iam").get_role, RoleName=call.id)
    if answer is None:
        return None
    role = answer["Role"]
    return {
        "arn": role["Arn"],
        "name": role["RoleName"],
        "namePrefix": "",
        "path": role["Path"],
        "description": role.get("Description", ""),
        "maxSessionDuration": role.get("MaxSessionDuration", 3600),
        "assumeRolePolicy": text(role["AssumeRolePolicyDocument"]),
        "permissionsBoundary": role.get("PermissionsBoundary", {}).get("PermissionsBoundaryArn", ""),
        "uniqueId": role["RoleId"],
        "createDate": role["CreateDate"].strftime("%Y-%m-%dT%H:%M:%SZ"),
        "tags": tag_map(role.get("Tags")),
    }


def put_policy(call: Call) -> None:
    role, name = call.new["role"], call.new["name"]
    call.aws("iam").put_role_policy(RoleName=role, PolicyName=name, PolicyDocument=call.new["policy"])


def create_policy(call: Call) -> str:
    put_policy(call)
    return f"{call.new['role']}:{call.new['name']}"


def read_policy(call: Call) -> Properties | None:
    role, _, name = call.id.partition(":")
    answer = found(ABSENT, call.aws("iam").get_role_policy, RoleName=role, PolicyName=name)
    if answer is None:
        return None
    return {"role": role, "name": name, "namePrefix": "", "policy": text(answer["PolicyDocument"])}


def delete_policy(call: Call) -> None:
    role, _, name = call.id.partition(":")
    found(ABSENT, call.aws("iam").delete_role_policy, RoleName=role, PolicyName=name)


def create_profile(call: Call) -> str:
    name = call.new["name"]
    iam = call.aws("iam")
    iam.create_instance_profile(InstanceProfileName=name, Path=call.new["path"], Tags=tag_list(call.new["tagsAll"]))
    return str(name)


def set_role(call: Call) -> None:
    """A profile holds one role at most."""
    drop_role(call)
    if call.new.get("role"):
        call.aws("iam").add_role_to_instance_profile(InstanceProfileName=call.id, RoleName=call.new["role"])


def drop_role(call: Call) -> None:
    if role := (read_profile(call) or {}).get("role"):
        call.aws("iam").remove_role_from_instance_profile(InstanceProfileName=call.id, RoleName=role)


def read_profile(call: Call) -> Properties | None:
    answer = found(ABSENT, call.aws("iam").get_instance_profile, InstanceProfileName=call.id)
    if answer is None:
        return None
    profile = answer["InstanceProfile"]
    return {
        "arn": profile["Arn"],
        "name": profile["InstanceProfileName"],
        "namePrefix": "",
        "path": profile["Path"],
        "role": profile["Roles"][0]["RoleName"] if profile["Roles"] else "",
        "uniqueId": profile["InstanceProfileId"],
        "createDate": profile["CreateDate"].strftime("%Y-%m-%dT%H:%M:%SZ"),
        "tags": tag_map(profile.get("Tags")),
    }


def delete_profile(call: Call) -> None:
    drop_role(call)
    found(ABSENT, call.aws("iam").delete_instance_profile, InstanceProfileName=call.id)


KINDS = (
    Kind(
        type="aws:iam/role:Role",
        create=create_role,
        read=read_role,
        delete=deleter("iam", "delete_role", "RoleName", *ABSENT),
        update={
            "assumeRolePolicy": set_trust,
            "description": set_session,
            "maxSessionDuration": set_session,
            "permissionsBoundary": set_boundary,
        },
        fixed=frozenset({"name", "path"}),
        echoed=frozenset({"forceDetachPolicies"}),
        regional=False,
        defaults={"maxSessionDuration": 3600, "path": "/"},
        name=Name(longest=64),
        tags=role_tags,
        outputs=("arn", "uniqueId", "createDate"),
        emptied=frozenset({"description", "permissionsBoundary"}),
        canonical={"assumeRolePolicy": document},
    ),
    Kind(
        type="aws:iam/rolePolicy:RolePolicy",
        create=create_policy,
        read=read_policy,
        delete=delete_policy,
        update={"policy": put_policy},
        fixed=frozenset({"role", "name"}),
        regional=False,
        name=Name(longest=128),
        outputs=(),
        canonical={"policy": document},
    ),
    Kind(
        type="aws:iam/instanceProfile:InstanceProfile",
        create=create_profile,
        settle=(set_role,),
        read=read_profile,
        delete=delete_profile,
        update={"role": set_role},
        fixed=frozenset({"name", "path"}),
        regional=False,
        defaults={"path": "/"},
        name=Name(longest=128),
        tags=profile_tags,
        outputs=("arn", "uniqueId", "createDate"),
        emptied=frozenset({"role"}),
    ),
)

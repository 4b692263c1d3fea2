"""How roles, their inline policies and instance profiles are seen: IAM answers all roles of the account in one listing.

IAM sends policy documents URL-encoded; botocore decodes most of them into objects. Both become JSON text here.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import unquote

from reconciler.model import DeclaredResource, ResourceKind, Unreadable, Value
from reconciler.observe.aws._common import call, live_tags, pairs, text, together, vanished
from reconciler.observe.reads import Answers, Failed, Missing, More, Observer, Owned, Read, Row, Rows, Sight

ACCOUNT = call("iam", "get_account_authorization_details", "RoleDetailList", Filter=["Role"])


def document(value: object) -> str:
    """A policy document as JSON text, however the client hands it over."""
    if not isinstance(value, str):
        return json.dumps(value, sort_keys=True, separators=(",", ":"))
    return value if value.lstrip().startswith("{") else unquote(value)


def _role(name: str) -> Read:
    return call("iam", "get_role", absent=("NoSuchEntity",), target=name, RoleName=name)


def _find_role(name: str, answers: Answers) -> Row | Missing | Failed | More:
    row = answers.find(ACCOUNT, "RoleName", name, direct=_role(name))
    return row["Role"] if isinstance(row, Mapping) and "Role" in row else row


# --- roles -------------------------------------------------------------------------------------------------

_NOT_LISTED = ("description", "maxSessionDuration")
"""Inputs that only the direct read of a role answers."""


def _asks_directly(declared: DeclaredResource) -> bool:
    return "description" in declared.inputs or "maxSessionDuration" in declared.programmed


def _role_reads(declared: DeclaredResource) -> tuple[Read, ...]:
    return (ACCOUNT, _role(declared.id)) if declared.id and _asks_directly(declared) else (ACCOUNT,)


def _see_role(declared: DeclaredResource, answers: Answers) -> Sight:
    row = _find_role(declared.id, answers)
    if not isinstance(row, Mapping):
        return row
    tags = live_tags(
        declared,
        answers,
        arn=row["Arn"],
        index=None,
        direct=_role(declared.id),
        decode=lambda rows: pairs(rows[0]["Role"].get("Tags", ())) if rows else None,
        bulk=pairs(row.get("Tags", ())),
    )
    rest = _not_listed(declared, answers)
    if isinstance(tags, More) or isinstance(rest, More):
        return together(tags, rest)
    return {
        "name": row["RoleName"],
        "path": row.get("Path"),
        "assumeRolePolicy": document(row["AssumeRolePolicyDocument"]),
        "permissionsBoundary": row.get("PermissionsBoundary", {}).get("PermissionsBoundaryArn"),
        **_attached(declared, row),
        **rest,
        **tags,
    }


def _not_listed(declared: DeclaredResource, answers: Answers) -> dict[str, Value] | More:
    if not _asks_directly(declared):
        return {}
    answer = answers.one(_role(declared.id))
    if isinstance(answer, More):
        return answer
    if not isinstance(answer, Mapping):
        return dict.fromkeys(_NOT_LISTED, Unreadable(vanished(answer)))
    role = answer["Role"]
    return {"description": role.get("Description"), "maxSessionDuration": role.get("MaxSessionDuration")}


def _attached(declared: DeclaredResource, row: Row) -> dict[str, Value]:
    """Policies, only where the role declares them: otherwise resources of their own may own them."""
    found: dict[str, Value] = {}
    reason = "only the direct read of the role answered, which has no policies"
    if "managedPolicyArns" in declared.inputs:
        attached = row.get("AttachedManagedPolicies")
        found["managedPolicyArns"] = (
            Unreadable(reason) if attached is None else [policy["PolicyArn"] for policy in attached]
        )
    if "inlinePolicies" in declared.inputs:
        inline = row.get("RolePolicyList")
        found["inlinePolicies"] = (
            Unreadable(reason)
            if inline is None
            else [{"name": p["PolicyName"], "policy": document(p["PolicyDocument"])} for p in inline]
        )
    return found


def _locate_role(declared: DeclaredResource, answers: Answers) -> str | Missing | Failed | More:
    name = text(declared, "name")
    if name is None:
        return Failed("the role's name is not known")
    row = _find_role(name, answers)
    return name if isinstance(row, Mapping) else row


def _owned_roles(answers: Answers) -> Iterable[Owned]:
    listing = answers.get(ACCOUNT)
    rows = listing.rows if isinstance(listing, Rows) else ()
    return (Owned(str(row["RoleName"]), pairs(row.get("Tags", ()))) for row in rows if row.get("Tags"))


# --- inline policies ---------------------------------------------------------------------------------------


def _policy_document(role: str, name: str, answers: Answers) -> str | Missing | Failed | More:
    """The text of one inline policy. What the listing lacks is asked for; NoSuchEntity then means role or policy."""
    listing = answers.get(ACCOUNT)
    if not isinstance(listing, Rows):
        return listing
    absent = ("NoSuchEntity",)
    direct = call("iam", "get_role_policy", absent=absent, target=f"{role}:{name}", RoleName=role, PolicyName=name)
    row = answers.find(ACCOUNT, "RoleName", role, direct=direct)
    policies = row.get("RolePolicyList", ()) if isinstance(row, Mapping) else ()
    listed = next((policy for policy in policies if policy["PolicyName"] == name), None)
    if listed is None:
        row = answers.one(direct)
        if not isinstance(row, Mapping):
            return row
        listed = row
    return document(listed["PolicyDocument"])


def _see_role_policy(declared: DeclaredResource, answers: Answers) -> Sight:
    role, _, name = declared.id.partition(":")
    found = _policy_document(role, name, answers)
    return {"role": role, "name": name, "policy": found} if isinstance(found, str) else found


def _locate_role_policy(declared: DeclaredResource, answers: Answers) -> str | Missing | Failed | More:
    role, name = text(declared, "role"), text(declared, "name")
    if role is None or name is None:
        return Failed("the policy's role or name is not known")
    found = _policy_document(role, name, answers)
    return f"{role}:{name}" if isinstance(found, str) else found


# --- instance profiles -------------------------------------------------------------------------------------


def _profile(name: str) -> Read:
    absent = ("NoSuchEntity",)
    return call("iam", "get_instance_profile", absent=absent, target=name, InstanceProfileName=name)


def _find_profile(name: str, answers: Answers) -> Row | Missing | Failed | More:
    """The profile by direct read: the listing has neither its tags nor profiles without a role.

    Its absence counts only if no role of the complete listing carries it either.
    """
    row = answers.one(_profile(name))
    if isinstance(row, Mapping):
        found: Mapping[str, Any] = row["InstanceProfile"]
        return found
    if not isinstance(row, Missing):
        return row
    listing = answers.get(ACCOUNT)
    if not isinstance(listing, Rows):
        return listing
    carried = (p["InstanceProfileName"] for role in listing.rows for p in role.get("InstanceProfileList", ()))
    return Failed(f"a role still carries profile {name}, which is said to be gone") if name in carried else row


def _see_profile(declared: DeclaredResource, answers: Answers) -> Sight:
    row = _find_profile(declared.id, answers)
    if not isinstance(row, Mapping):
        return row
    return {
        "name": row["InstanceProfileName"],
        "path": row.get("Path"),
        "role": next((role["RoleName"] for role in row.get("Roles", ())), None),
        "tags": pairs(row.get("Tags", ())),
    }


def _locate_profile(declared: DeclaredResource, answers: Answers) -> str | Missing | Failed | More:
    name = text(declared, "name")
    if name is None:
        return Failed("the instance profile's name is not known")
    row = _find_profile(name, answers)
    return name if isinstance(row, Mapping) else row


OBSERVERS: tuple[Observer, ...] = (
    Observer(
        kind=ResourceKind(
            "aws:iam/role:Role",
            documents=frozenset({"assumeRolePolicy", "inlinePolicies[].policy"}),
            unordered=frozenset({"inlinePolicies", "managedPolicyArns"}),
            write_only=frozenset({"forceDetachPolicies", "namePrefix"}),
            # The provider fills it in for every role, and reading it costs a call for each.
            contradicted=frozenset({"maxSessionDuration"}),
        ),
        reads=_role_reads,
        see=_see_role,
        permissions=("iam:GetAccountAuthorizationDetails", "iam:GetRole"),
        locate=_locate_role,
        owned=_owned_roles,
    ),
    Observer(
        kind=ResourceKind(
            "aws:iam/rolePolicy:RolePolicy",
            documents=frozenset({"policy"}),
            write_only=frozenset({"namePrefix"}),
        ),
        reads=lambda _: (ACCOUNT,),
        see=_see_role_policy,
        permissions=("iam:GetAccountAuthorizationDetails", "iam:GetRolePolicy"),
        locate=_locate_role_policy,
    ),
    Observer(
        kind=ResourceKind(
            "aws:iam/instanceProfile:InstanceProfile",
            write_only=frozenset({"namePrefix"}),
        ),
        reads=lambda declared: (_profile(declared.id),) if declared.id else (ACCOUNT,),
        see=_see_profile,
        permissions=("iam:GetAccountAuthorizationDetails", "iam:GetInstanceProfile"),
        locate=_locate_profile,
    ),
)

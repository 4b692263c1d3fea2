"""Keys and their aliases."""

from __future__ import annotations

from sandbox.provider.aws import found, tag_list, tag_map
from sandbox.provider.diff import document, reference
from sandbox.provider.table import Call, Kind, Name, deleter, tagger
from sandbox.provider.values import Properties

ABSENT = {"NotFoundException"}

tags = tagger(
    lambda call, put: call.aws("kms").tag_resource(KeyId=call.id, Tags=tag_list(put, "TagKey", "TagValue")),
    lambda call, gone: call.aws("kms").untag_resource(KeyId=call.id, TagKeys=gone),
)


def create_key(call: Call) -> str:
    policy = {"Policy": call.new["policy"]} if call.new.get("policy") else {}
    answer = call.aws("kms").create_key(
        Description=call.new.get("description", ""),
        KeyUsage=call.new["keyUsage"],
        KeySpec=call.new["customerMasterKeySpec"],
        MultiRegion=bool(call.new.get("multiRegion")),
        Tags=tag_list(call.new["tagsAll"], "TagKey", "TagValue"),
        **policy,
    )
    return str(answer["KeyMetadata"]["KeyId"])


def set_state(call: Call) -> None:
    """Rotation can be changed only while the key is enabled."""
    kms, period = call.aws("kms"), call.new.get("rotationPeriodInDays")
    if call.new.get("isEnabled"):
        kms.enable_key(KeyId=call.id)
    if call.new.get("enableKeyRotation"):
        kms.enable_key_rotation(KeyId=call.id, **({"RotationPeriodInDays": period} if period else {}))
    else:
        kms.disable_key_rotation(KeyId=call.id)
    if not call.new.get("isEnabled"):
        kms.disable_key(KeyId=call.id)


def set_description(call: Call) -> None:
    call.aws("kms").update_key_description(KeyId=call.id, Description=call.new.get("description", ""))


def set_policy(call: Call) -> None:
    call.aws("kms").put_key_policy(KeyId=call.id, PolicyName="default", Policy=call.new["policy"])


def read_key(call: Call) -> Properties | None:
    """A key that waits for its deletion is gone, as the official provider sees it."""
    kms = call.aws("kms")
    answer = found(ABSENT, kms.describe_key, KeyId=call.id)
    if answer is None or answer["KeyMetadata"]["KeyState"] in ("PendingDeletion", "PendingReplicaDeletion"):
        return None
    key = answer["KeyMetadata"]
    rotation = kms.get_key_rotation_status(KeyId=call.id)
    return {
        "arn": key["Arn"],
        "keyId": key["KeyId"],
        "description": key.get("Description", ""),
        "isEnabled": key["Enabled"],
        "keyUsage": key["KeyUsage"],
        "customerMasterKeySpec": key.get("KeySpec", "SYMMETRIC_DEFAULT"),
        "multiRegion": key.get("MultiRegion", False),
        "enableKeyRotation": rotation["KeyRotationEnabled"],
        "rotationPeriodInDays": rotation.get("RotationPeriodInDays", 0) if rotation["KeyRotationEnabled"] else 0,
        "policy": kms.get_key_policy(KeyId=call.id, PolicyName="default")["Policy"],
        "tags": tag_map(kms.list_resource_tags(KeyId=call.id).get("Tags"), "TagKey", "TagValue"),
    }


def delete_key(call: Call) -> None:
    window = call.old.get("deletionWindowInDays") or 30
    found(ABSENT, call.aws("kms").schedule_key_deletion, KeyId=call.id, PendingWindowInDays=window)


def create_alias(call: Call) -> str:
    call.aws("kms").create_alias(AliasName=call.new["name"], TargetKeyId=call.new["targetKeyId"])
    return str(call.new["name"])


def retarget_alias(call: Call) -> None:
    call.aws("kms").update_alias(AliasName=call.id, TargetKeyId=call.new["targetKeyId"])


def read_alias(call: Call) -> Properties | None:
    for page in call.aws("kms").get_paginator("list_aliases").paginate():
        for alias in page["Aliases"]:
            if alias["AliasName"] == call.id and "TargetKeyId" in alias:
                arn, key = alias["AliasArn"], alias["TargetKeyId"]
                target = f"{arn.rpartition(':')[0]}:key/{key}"
                return {"arn": arn, "name": call.id, "targetKeyId": key, "targetKeyArn": target, "namePrefix": ""}
    return None


KINDS = (
    Kind(
        type="aws:kms/key:Key",
        create=create_key,
        settle=(set_state,),
        read=read_key,
        delete=delete_key,
        update={
            "description": set_description,
            "enableKeyRotation": set_state,
            "rotationPeriodInDays": set_state,
            "isEnabled": set_state,
            "policy": set_policy,
        },
        fixed=frozenset({"customerMasterKeySpec", "keyUsage", "multiRegion"}),
        echoed=frozenset({"deletionWindowInDays", "bypassPolicyLockoutSafetyCheck"}),
        defaults={"customerMasterKeySpec": "SYMMETRIC_DEFAULT", "isEnabled": True, "keyUsage": "ENCRYPT_DECRYPT"},
        tags=tags,
        outputs=("arn", "keyId"),
        emptied=frozenset({"enableKeyRotation"}),
        canonical={"policy": document},
    ),
    Kind(
        type="aws:kms/alias:Alias",
        create=create_alias,
        read=read_alias,
        delete=deleter("kms", "delete_alias", "AliasName", *ABSENT),
        update={"targetKeyId": retarget_alias},
        fixed=frozenset({"name"}),
        name=Name(longest=256, prefix="alias/"),
        outputs=("arn", "targetKeyArn"),
        canonical={"targetKeyId": reference},
    ),
)

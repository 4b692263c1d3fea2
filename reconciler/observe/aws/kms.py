"""How keys and aliases are seen. KMS has no bulk form of what matters, so each key is asked for itself."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from reconciler.model import DeclaredResource, ResourceKind, Unreadable, Value
from reconciler.observe.aws._common import (
    call,
    doubly_missing,
    json_text,
    live_tags,
    pairs,
    tag_index,
    tagged,
    text,
    together,
    vanished,
)
from reconciler.observe.reads import Answers, Failed, Missing, More, Observer, Owned, Read, Row, Rows, Sight
from reconciler.observe.tags import identity
from tenancy.tags import CELL

KEYS = call("kms", "list_keys", "Keys")
ALIASES = call("kms", "list_aliases", "Aliases")
TAG_INDEX = tag_index("kms")

_LEAVING = frozenset({"PendingDeletion", "PendingReplicaDeletion"})


def _key(key: str) -> Read:
    return call("kms", "describe_key", absent=("NotFoundException",), target=key, KeyId=key)


def _rotation(key: str) -> Read:
    # Keys that AWS cannot rotate (asymmetric, imported) answer UnsupportedOperationException: no rotation.
    absent = ("UnsupportedOperationException",)
    return call("kms", "get_key_rotation_status", absent=absent, target=key, KeyId=key)


def _policy(key: str) -> Read:
    return call("kms", "get_key_policy", target=key, KeyId=key, PolicyName="default")


def _grants(key: str) -> Read:
    return call("kms", "list_grants", "Grants", target=key, KeyId=key)


def _tags(key: str) -> Read:
    return call("kms", "list_resource_tags", "Tags", target=key, KeyId=key)


# --- keys --------------------------------------------------------------------------------------------------


def _key_reads(declared: DeclaredResource) -> tuple[Read, ...]:
    return (KEYS, TAG_INDEX, _key(declared.id)) if declared.id else (KEYS, TAG_INDEX)


def _see_key(declared: DeclaredResource, answers: Answers) -> Sight:
    """A key that is scheduled for deletion is there: its data can still be saved. ``isEnabled`` is False then, and
    ``keyState`` (not a property of Pulumi's) says ``PendingDeletion``. ``grants``, no property of Pulumi's either,
    lists who may use the key beside its policy."""
    answer = answers.one(_key(declared.id))
    if isinstance(answer, Missing):
        return doubly_missing(answers, KEYS, "KeyId", declared.id, answer)
    if not isinstance(answer, Mapping):
        return answer
    row = answer["KeyMetadata"]
    rotation, policy = answers.one(_rotation(declared.id)), answers.one(_policy(declared.id))
    grants = answers.get(_grants(declared.id))
    tags = live_tags(declared, answers, arn=row["Arn"], index=TAG_INDEX, direct=_tags(declared.id))
    if isinstance(rotation, More) or isinstance(policy, More) or isinstance(grants, More) or isinstance(tags, More):
        return together(rotation, policy, grants, tags)
    return {
        "description": row.get("Description"),
        "isEnabled": row.get("Enabled", row.get("KeyState") == "Enabled"),
        "keyState": row.get("KeyState"),
        "keyUsage": row.get("KeyUsage"),
        "customerMasterKeySpec": row.get("KeySpec", row.get("CustomerMasterKeySpec")),
        "multiRegion": row.get("MultiRegion", False),
        "customKeyStoreId": row.get("CustomKeyStoreId"),
        "xksKeyId": row.get("XksKeyConfiguration", {}).get("Id"),
        "policy": json_text(policy["Policy"]) if isinstance(policy, Mapping) else Unreadable(vanished(policy)),
        "grants": _live_grants(grants.rows) if isinstance(grants, Rows) else Unreadable(vanished(grants)),
        **_rotation_properties(rotation),
        **tags,
    }


def _rotation_properties(answer: Row | Missing | Failed) -> dict[str, Value]:
    if isinstance(answer, Failed):
        return dict.fromkeys(("enableKeyRotation", "rotationPeriodInDays"), Unreadable(answer.reason))
    if isinstance(answer, Missing):
        return {"enableKeyRotation": False, "rotationPeriodInDays": None}
    return {
        "enableKeyRotation": bool(answer["KeyRotationEnabled"]),
        "rotationPeriodInDays": answer.get("RotationPeriodInDays"),
    }


def _live_grants(rows: Iterable[Row]) -> list[Value]:
    """Grants in the words of Pulumi's resource for one, in the order of their ids.

    AWS names a service as the grantee in a field of its own if the grant was made for one.
    """
    return [
        {
            "grantId": row["GrantId"],
            "granteePrincipal": row.get("GranteeServicePrincipal", row.get("GranteePrincipal")),
            "retiringPrincipal": row.get("RetiringServicePrincipal", row.get("RetiringPrincipal")),
            "operations": list(row.get("Operations", ())),
            "sourceArn": row.get("Constraints", {}).get("SourceArn"),
        }
        for row in sorted(rows, key=lambda row: str(row["GrantId"]))
    ]


def _locate_key(declared: DeclaredResource, answers: Answers) -> str | Missing | Failed | More:
    """The key whose tags are those of ``declared``, looked for in the tag index and then in every key of the account.

    CreateKey sets the tags in the same call, so a key that was created has them; the index may not know them yet.
    Keys that are being deleted are no result. Two candidates are none: that is for a person to decide.
    """
    wanted = identity(declared)
    if wanted is None:
        return Failed("it declares no tags that would name it, and keys have no names")
    marks, keys = answers.get(TAG_INDEX), answers.get(KEYS)
    if isinstance(marks, More) or isinstance(keys, More):
        return together(marks, keys)
    if not isinstance(keys, Rows):
        return keys
    indexed = [
        row["ResourceARN"].rpartition("/")[2]
        for row in (marks.rows if isinstance(marks, Rows) else ())
        if ":key/" in row["ResourceARN"] and wanted.items() <= pairs(row.get("Tags", ())).items()
    ]
    live = _living(indexed, answers)
    if isinstance(live, list) and not live:
        live = _searched([row["KeyId"] for row in keys.rows if row["KeyId"] not in answers.claimed], wanted, answers)
    if not isinstance(live, list):
        return live
    if len(live) > 1:
        return Failed(f"several keys carry the tags of {declared.name}: {', '.join(sorted(live))}")
    return live[0] if live else Missing("no key of the account carries its tags")


def _searched(keys: list[str], wanted: Mapping[str, str], answers: Answers) -> list[str] | Failed | More:
    """Those of ``keys`` that carry the tags and live; a key whose tags are not answered could be the one."""
    tags = {key: answers.get(_tags(key)) for key in keys}
    # Asked in the same round although few will matter: a search must end within the rounds a look may take.
    open_questions = together(*tags.values(), *(answers.get(_key(key)) for key in keys))
    if open_questions.reads:
        return open_questions
    found = [key for key, a in tags.items() if isinstance(a, Rows) and wanted.items() <= pairs(a.rows).items()]
    denied = next((answer for answer in tags.values() if isinstance(answer, Failed)), None)
    return denied if denied and not found else _living(found, answers)


def _living(keys: list[str], answers: Answers) -> list[str] | Failed | More:
    """Those of ``keys`` that exist, that no other resource of the state is, and that are not being deleted."""
    seen = {key: answers.one(_key(key)) for key in keys if key not in answers.claimed}
    open_questions = together(*seen.values())
    if open_questions.reads:
        return open_questions
    failed = next((answer for answer in seen.values() if isinstance(answer, Failed)), None)
    if failed:
        return failed
    return [key for key, answer in seen.items() if isinstance(answer, Mapping) and not _leaving(answer)]


def _leaving(described: Row) -> bool:
    return described["KeyMetadata"].get("KeyState") in _LEAVING


def _owned_keys(answers: Answers) -> Iterable[Owned]:
    """Keys with a cell's tag, but for those that are being deleted already."""
    for row, owned in tagged(answers, TAG_INDEX, KEYS, lambda key: str(key["KeyArn"])):
        if CELL in owned.tags:
            described = answers.one(_key(row["KeyId"]))
            if not (isinstance(described, Mapping) and _leaving(described)):
                yield Owned(str(row["KeyId"]), owned.tags)


# --- aliases -----------------------------------------------------------------------------------------------


def _alias(name: str, answers: Answers) -> Row | Missing | Failed | More:
    return answers.find(ALIASES, "AliasName", name, direct=_key(name))


def _see_alias(declared: DeclaredResource, answers: Answers) -> Sight:
    row = _alias(declared.id, answers)
    if not isinstance(row, Mapping):
        return row
    # DescribeKey of an alias answers the key behind it.
    target = row["KeyMetadata"]["KeyId"] if "KeyMetadata" in row else row.get("TargetKeyId")
    return {"name": declared.id, "targetKeyId": target}


def _locate_alias(declared: DeclaredResource, answers: Answers) -> str | Missing | Failed | More:
    name = text(declared, "name")
    if name is None:
        return Failed("the alias's name is not known")
    row = _alias(name, answers)
    return name if isinstance(row, Mapping) else row


OBSERVERS: tuple[Observer, ...] = (
    Observer(
        kind=ResourceKind(
            "aws:kms/key:Key",
            stateful=True,
            documents=frozenset({"policy"}),
            write_only=frozenset({"bypassPolicyLockoutSafetyCheck", "deletionWindowInDays"}),
        ),
        reads=_key_reads,
        see=_see_key,
        permissions=(
            "kms:DescribeKey",
            "kms:GetKeyPolicy",
            "kms:GetKeyRotationStatus",
            "kms:ListGrants",
            "kms:ListKeys",
            "kms:ListResourceTags",
            "tag:GetResources",
        ),
        locate=_locate_key,
        owned=_owned_keys,
    ),
    Observer(
        kind=ResourceKind(
            "aws:kms/alias:Alias",
            write_only=frozenset({"namePrefix"}),
            references=frozenset({"targetKeyId"}),
        ),
        reads=lambda _: (ALIASES,),
        see=_see_alias,
        permissions=("kms:DescribeKey", "kms:ListAliases"),
        locate=_locate_alias,
    ),
)

"""Faults of the tenant's key."""

from __future__ import annotations

from sandbox.faults.fault import Actor, Fault
from sandbox.faults.victim import Victim


def disable_key_rotation(victim: Victim) -> str:
    key = victim.key()
    victim.kms.disable_key_rotation(KeyId=key)
    return key


def schedule_key_deletion(victim: Victim) -> str:
    key = victim.key()
    victim.kms.schedule_key_deletion(KeyId=key, PendingWindowInDays=7)
    return key


STRANGER = "arn:aws:iam::444455556666:role/backup"


def grant_key(victim: Victim) -> str:
    key = victim.key()
    victim.kms.create_grant(KeyId=key, GranteePrincipal=STRANGER, Operations=["Decrypt"])
    return key


def delete_alias(victim: Victim) -> str:
    key = victim.key()
    for alias in victim.kms.list_aliases(KeyId=key)["Aliases"]:
        victim.kms.delete_alias(AliasName=alias["AliasName"])
        return alias["AliasName"]
    raise victim.missing(f"alias of {key}", "kms:alias")


FAULTS = (
    Fault(
        "disable-key-rotation",
        "the key material is no longer renewed every year",
        Actor.OPERATOR,
        "keys",
        ("aws:kms/key:Key",),
        disable_key_rotation,
    ),
    Fault(
        "schedule-key-deletion",
        "the key is disabled now and gone in seven days, and the data with it",
        Actor.INTRUDER,
        "keys",
        ("aws:kms/key:Key",),
        schedule_key_deletion,
    ),
    Fault(
        "grant-key",
        "another account may decrypt with the key, and its policy does not say so",
        Actor.INTRUDER,
        "keys",
        ("aws:kms/key:Key",),
        grant_key,
    ),
    Fault(
        "delete-alias",
        "the key loses the name that applications use",
        Actor.OPERATOR,
        "keys",
        ("aws:kms/alias:Alias",),
        delete_alias,
    ),
)

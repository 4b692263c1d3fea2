"""Keys and aliases, seen through hand-made answers."""

from __future__ import annotations

import json

import pytest

from reconciler.model import DeclaredResource
from reconciler.observe.aws.kms import OBSERVERS
from reconciler.observe.reads import Answer, Failed, Missing, Observer
from tests.unit.observe_aws_answers import (
    ACCOUNT,
    DENIED,
    GENERIC,
    REGION,
    TAGS,
    THROTTLED,
    World,
    marks,
    named_in,
    resource,
    rows,
    sdk_properties,
    unreadable,
)

KEY, ALIAS = OBSERVERS

ID = "11111111-2222-3333-4444-555555555555"
OTHER = "99999999-2222-3333-4444-555555555555"
ARN = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/{ID}"
NAME = "alias/stackmend/dev/acme"
DOCUMENT = json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "kms:*", "Resource": "*"}]})


def metadata(key: str = ID, state: str = "Enabled", *, enabled: bool = True) -> dict[str, object]:
    return {
        "KeyMetadata": {
            "KeyId": key,
            "Arn": ARN.replace(ID, key),
            "Description": "acme",
            "Enabled": enabled,
            "KeyState": state,
            "KeyUsage": "ENCRYPT_DECRYPT",
            "KeySpec": "SYMMETRIC_DEFAULT",
            "MultiRegion": False,
        }
    }


def kms_tags(tags: dict[str, str]) -> Answer:
    return rows(*({"TagKey": key, "TagValue": value} for key, value in tags.items()))


KEY_DECLARED = resource(
    KEY.kind.token,
    ID,
    {
        "description": "acme",
        "enableKeyRotation": True,
        "deletionWindowInDays": 30,
        "policy": json.dumps(json.loads(DOCUMENT), indent=2),
        "isEnabled": True,
        "keyUsage": "ENCRYPT_DECRYPT",
        "customerMasterKeySpec": "SYMMETRIC_DEFAULT",
        "region": REGION,
        "tags": TAGS,
        "tagsAll": TAGS,
    },
)
KEY_WORLD = World(
    {
        "list_keys": rows({"KeyId": ID, "KeyArn": ARN}),
        f"describe_key {ID}": rows(metadata()),
        "get_key_rotation_status": rows({"KeyRotationEnabled": True, "RotationPeriodInDays": 365}),
        "get_key_policy": rows({"Policy": DOCUMENT}),
        "list_grants": rows(),
        "get_resources": marks((ARN, TAGS)),
    }
)
ALIAS_DECLARED = resource(ALIAS.kind.token, NAME, {"name": NAME, "targetKeyId": ID})
ALIAS_WORLD = World({"list_aliases": rows({"AliasName": NAME, "TargetKeyId": ID})})


def test_a_key_as_declared() -> None:
    """An untouched key equals its declared inputs; what AWS never answers is not compared."""
    assert KEY_WORLD.drift(KEY, KEY_DECLARED) == []


@pytest.mark.parametrize("failure", [DENIED, THROTTLED])
def test_an_unanswered_key_is_a_failure(failure: Answer) -> None:
    """I06 F01 F10: a denied or throttled read says nothing of the key."""
    assert KEY_WORLD.told({f"describe_key {ID}": failure}).see(KEY, KEY_DECLARED) == failure


@pytest.mark.parametrize(
    ("listing", "sight"),
    [(rows(), Missing), (rows({"KeyId": ID, "KeyArn": ARN}), Failed), (DENIED, Failed), (THROTTLED, Failed)],
    ids=["agrees", "contradicts", "denied", "throttled"],
)
def test_a_key_is_gone_only_if_the_listing_agrees(listing: Answer, sight: type) -> None:
    """I06 F15: not found by direct read is absence only with a complete listing that lacks the key as well."""
    world = KEY_WORLD.told({f"describe_key {ID}": Missing("NotFoundException"), "list_keys": listing})
    assert isinstance(world.see(KEY, KEY_DECLARED), sight)


def test_a_key_that_is_being_deleted_is_present() -> None:
    """A key scheduled for deletion can still be saved: it is there, disabled, and its state says why."""
    dying = rows(metadata(state="PendingDeletion", enabled=False))
    world = KEY_WORLD.told({f"describe_key {ID}": dying})
    assert world.drift(KEY, KEY_DECLARED) == ["isEnabled"]
    assert world.properties(KEY, KEY_DECLARED)["keyState"] == "PendingDeletion"


@pytest.mark.parametrize(
    ("operation", "unknown"),
    [
        ("get_key_rotation_status", {"enableKeyRotation", "rotationPeriodInDays"}),
        ("get_key_policy", {"policy"}),
        ("list_grants", {"grants"}),
    ],
)
@pytest.mark.parametrize("failure", [DENIED, THROTTLED])
def test_one_denied_read_hides_one_property(operation: str, unknown: set[str], failure: Answer) -> None:
    """I06 F01 F10: each failed side read makes its own properties unknown and no other."""
    assert unreadable(KEY_WORLD.told({operation: failure}).properties(KEY, KEY_DECLARED)) == unknown


def test_grants_are_told_and_are_no_drift() -> None:
    """T04: who may use the key beside its policy is told in the order of the grants' ids, an AWS service by the field
    that AWS has for it; the program declares no grants, so none is drift."""
    granted = KEY_WORLD.but(
        list_grants=rows(
            {
                "KeyId": ARN,
                "GrantId": "b2",
                "GranteeServicePrincipal": "rds.amazonaws.com",
                "RetiringServicePrincipal": "rds.amazonaws.com",
                "Operations": ["Decrypt", "CreateGrant"],
                "Constraints": {"SourceArn": f"arn:aws:rds:{REGION}:{ACCOUNT}:db:orders"},
            },
            {
                "KeyId": ARN,
                "GrantId": "a1",
                "GranteePrincipal": "arn:aws:iam::444455556666:role/backup",
                "RetiringPrincipal": f"arn:aws:iam::{ACCOUNT}:root",
                "IssuingAccount": f"arn:aws:iam::{ACCOUNT}:root",
                "Operations": ["Decrypt"],
                "Constraints": {"EncryptionContextSubset": {"aws:ebs:id": "vol-1"}},
            },
        )
    )
    assert granted.properties(KEY, KEY_DECLARED)["grants"] == [
        {
            "grantId": "a1",
            "granteePrincipal": "arn:aws:iam::444455556666:role/backup",
            "retiringPrincipal": f"arn:aws:iam::{ACCOUNT}:root",
            "operations": ["Decrypt"],
            "sourceArn": None,
        },
        {
            "grantId": "b2",
            "granteePrincipal": "rds.amazonaws.com",
            "retiringPrincipal": "rds.amazonaws.com",
            "operations": ["Decrypt", "CreateGrant"],
            "sourceArn": f"arn:aws:rds:{REGION}:{ACCOUNT}:db:orders",
        },
    ]
    assert granted.drift(KEY, KEY_DECLARED) == []


def test_rotation_switched_off_is_drift() -> None:
    """Rotation that is off, or that the key cannot have, is not the declared rotation."""
    off = KEY_WORLD.but(get_key_rotation_status=rows({"KeyRotationEnabled": False}))
    assert off.drift(KEY, KEY_DECLARED) == ["enableKeyRotation"]
    never = KEY_WORLD.but(get_key_rotation_status=Missing("UnsupportedOperationException"))
    assert never.drift(KEY, KEY_DECLARED) == ["enableKeyRotation"]


def test_key_tags_are_believed_only_when_read_directly() -> None:
    """F08 F15: a stale tag index alone never changes a key's tags."""
    lost = KEY_WORLD.but(get_resources=marks((ARN, {"Name": "old"})))
    assert lost.but(list_resource_tags=kms_tags(TAGS)).drift(KEY, KEY_DECLARED) == []
    assert lost.but(list_resource_tags=rows()).drift(KEY, KEY_DECLARED) == ["tags"]
    assert unreadable(lost.but(list_resource_tags=DENIED).properties(KEY, KEY_DECLARED)) == {"tags"}


def test_kms_codes_are_exact() -> None:
    """F10: only KMS's own code for a missing key or alias is absence."""
    world = KEY_WORLD.told({"get_resources": marks(), "list_resource_tags": rows()})
    world.see(KEY, KEY_DECLARED)
    aliases = ALIAS_WORLD.told({"list_aliases": rows(), "describe_key": Missing("no")})
    aliases.see(ALIAS, ALIAS_DECLARED)
    codes = {read.operation: read.absent for read in (*world.asked, *aliases.asked) if read.absent}
    assert codes == {
        "describe_key": {"NotFoundException"},
        "get_key_rotation_status": {"UnsupportedOperationException"},
    }
    assert not any(read.absent & GENERIC for read in world.asked)


def test_locating_a_key_by_its_tags() -> None:
    """F42: a key is found in the tag index, or where that is late or denied, in the tags of every key."""
    pending = resource(KEY.kind.token, "", {"tags": TAGS})
    assert KEY_WORLD.locate(KEY, pending) == ID
    keys = rows({"KeyId": ID, "KeyArn": ARN}, {"KeyId": OTHER, "KeyArn": ARN.replace(ID, OTHER)})
    for index in (marks(), DENIED):
        late = KEY_WORLD.told(
            {
                "get_resources": index,
                "list_keys": keys,
                f"describe_key {OTHER}": rows(metadata(OTHER)),
                f"list_resource_tags {ID}": kms_tags({**TAGS, "extra": "x"}),
                f"list_resource_tags {OTHER}": kms_tags({**TAGS, "stackmend:tenant": "acme-2"}),
            }
        )
        assert late.locate(KEY, pending) == ID
        assert isinstance(late.told({f"list_resource_tags {ID}": rows()}).locate(KEY, pending), Missing)
        assert isinstance(late.told({f"list_resource_tags {ID}": DENIED}).locate(KEY, pending), Failed)


def test_a_key_is_not_located_by_half() -> None:
    """F42 I06: two candidates, a denied listing or no tags find nothing; dying and already owned keys do not count."""
    pending = resource(KEY.kind.token, "", {"tags": TAGS})
    twice = KEY_WORLD.told(
        {
            "get_resources": marks((ARN, TAGS), (ARN.replace(ID, OTHER), TAGS)),
            f"describe_key {OTHER}": rows(metadata(OTHER)),
        }
    )
    assert isinstance(twice.locate(KEY, pending), Failed)
    assert twice.locate(KEY, pending, claimed={OTHER}) == ID
    dying = twice.told({f"describe_key {OTHER}": rows(metadata(OTHER, "PendingDeletion", enabled=False))})
    assert dying.locate(KEY, pending) == ID
    assert isinstance(twice.told({f"describe_key {OTHER}": DENIED}).locate(KEY, pending), Failed)
    # An older key that is being deleted is all the index knows; the new one shows in its own tags only.
    newer = dying.told(
        {
            "get_resources": marks((ARN.replace(ID, OTHER), TAGS)),
            "list_keys": rows({"KeyId": ID, "KeyArn": ARN}, {"KeyId": OTHER, "KeyArn": ARN.replace(ID, OTHER)}),
            "list_resource_tags": kms_tags(TAGS),
        }
    )
    assert newer.locate(KEY, pending) == ID
    assert isinstance(KEY_WORLD.told({"get_resources": marks(), "list_keys": DENIED}).locate(KEY, pending), Failed)
    assert isinstance(KEY_WORLD.locate(KEY, resource(KEY.kind.token, "", {})), Failed)


def test_strays_are_keys_that_stay() -> None:
    """Live tagged keys are told by id; one that is being deleted already is no stray."""
    assert KEY_WORLD.owned(KEY, KEY_DECLARED) == {ID: TAGS}
    dying = KEY_WORLD.told({f"describe_key {ID}": rows(metadata(state="PendingDeletion", enabled=False))})
    assert dying.owned(KEY, KEY_DECLARED) == {}


@pytest.mark.parametrize("target", [ID, ARN])
def test_an_alias_as_declared(target: str) -> None:
    """An alias declared with the key's id or its ARN equals what AWS answers, from the listing or directly."""
    declared = resource(ALIAS.kind.token, NAME, {"name": NAME, "targetKeyId": target})
    assert ALIAS_WORLD.drift(ALIAS, declared) == []
    direct = World({"list_aliases": rows(), f"describe_key {NAME}": rows(metadata())})
    assert direct.drift(ALIAS, declared) == []


def test_an_alias_that_names_another_key() -> None:
    """An alias pointed at another key is drift."""
    assert World({"list_aliases": rows({"AliasName": NAME, "TargetKeyId": OTHER})}).drift(ALIAS, ALIAS_DECLARED) == [
        "targetKeyId"
    ]


@pytest.mark.parametrize(
    ("listing", "direct", "sight"),
    [
        (DENIED, Missing("no"), DENIED),
        (THROTTLED, Missing("no"), THROTTLED),
        (rows(), Missing("no"), Missing("no")),
        (rows(), DENIED, DENIED),
    ],
)
def test_the_absence_of_an_alias(listing: Answer, direct: Answer, sight: Answer) -> None:
    """I06 F01 F10 F15: an alias is gone only if the listing is complete and the direct read says so."""
    world = World({"list_aliases": listing, "describe_key": direct})
    assert world.see(ALIAS, ALIAS_DECLARED) == sight
    assert world.locate(ALIAS, resource(ALIAS.kind.token, "", {"name": NAME})) == sight


def test_locating_an_alias() -> None:
    """F42: an alias is found by its name, which is its id."""
    assert ALIAS_WORLD.locate(ALIAS, resource(ALIAS.kind.token, "", {"name": NAME})) == NAME
    assert isinstance(ALIAS_WORLD.locate(ALIAS, resource(ALIAS.kind.token, "", {})), Failed)


@pytest.mark.parametrize(
    ("observer", "declared", "world"), [(KEY, KEY_DECLARED, KEY_WORLD), (ALIAS, ALIAS_DECLARED, ALIAS_WORLD)]
)
def test_property_names_are_the_sdks(observer: Observer, declared: DeclaredResource, world: World) -> None:
    """Every property but the key's state and grants is one the Pulumi SDK has for the type."""
    answered = set(world.properties(observer, declared)) - {"keyState", "grants"}
    assert answered | named_in(observer) <= sdk_properties(observer.kind.token)

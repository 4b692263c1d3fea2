"""Buckets and their configurations, seen through hand-made answers."""

from __future__ import annotations

import json
from typing import Any

import pytest

from reconciler.observe.aws.s3 import BUCKET, OBSERVERS
from reconciler.observe.aws.s3_configurations import ENCRYPTION, POLICY, PUBLIC_ACCESS_BLOCK, VERSIONING
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
    pairs,
    resource,
    rows,
    sdk_properties,
    unreadable,
)

NAME = "acme-data-1234567"
ARN = f"arn:aws:s3:::{NAME}"
KEY = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/11111111-2222-3333-4444-555555555555"
DOCUMENT = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Deny",
            "Principal": "*",
            "Action": "s3:*",
            "Resource": [ARN, f"{ARN}/*"],
            "Condition": {"Bool": {"aws:SecureTransport": "false"}},
        }
    ],
}

BUCKET_DECLARED = resource(
    BUCKET.kind.token, NAME, {"bucket": NAME, "forceDestroy": True, "region": REGION, "tags": TAGS, "tagsAll": TAGS}
)
BUCKET_WORLD = World({"list_buckets": rows({"Name": NAME}), "get_resources": marks((ARN, TAGS))})

SETTINGS = {"blockPublicAcls": True, "blockPublicPolicy": True, "ignorePublicAcls": True, "restrictPublicBuckets": True}
RULE = {
    "applyServerSideEncryptionByDefault": {"sseAlgorithm": "aws:kms", "kmsMasterKeyId": KEY},
    "bucketKeyEnabled": True,
}
ENCRYPTED = {
    "ServerSideEncryptionConfiguration": {
        "Rules": [
            {
                "ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": KEY},
                "BucketKeyEnabled": True,
                "BlockedEncryptionTypes": {"EncryptionType": ["SSE-C"]},
            }
        ]
    }
}
BLOCKED = {
    "PublicAccessBlockConfiguration": {
        "BlockPublicAcls": True,
        "BlockPublicPolicy": True,
        "IgnorePublicAcls": True,
        "RestrictPublicBuckets": True,
    }
}
DEFAULT_ENCRYPTION = {
    "ServerSideEncryptionConfiguration": {
        "Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}, "BucketKeyEnabled": False}]
    }
}
CONFIGURATIONS = [
    pytest.param(
        VERSIONING,
        {"versioningConfiguration": {"status": "Enabled"}},
        "get_bucket_versioning",
        {"Status": "Enabled"},
        set(),
        id="versioning",
    ),
    pytest.param(
        ENCRYPTION,
        {"rules": [RULE]},
        "get_bucket_encryption",
        ENCRYPTED,
        {"ServerSideEncryptionConfigurationNotFoundError"},
        id="encryption",
    ),
    pytest.param(
        PUBLIC_ACCESS_BLOCK,
        SETTINGS,
        "get_public_access_block",
        BLOCKED,
        {"NoSuchPublicAccessBlockConfiguration"},
        id="public access block",
    ),
    pytest.param(
        POLICY,
        {"policy": json.dumps(DOCUMENT, indent=2)},
        "get_bucket_policy",
        {"Policy": json.dumps(DOCUMENT)},
        {"NoSuchBucketPolicy"},
        id="policy",
    ),
]
table = pytest.mark.parametrize(("observer", "inputs", "operation", "answer", "absent"), CONFIGURATIONS)


def ours(**answers: Answer) -> World:
    """What a bucket that the account's own listing has answers."""
    return World({"list_buckets": rows({"Name": NAME}), **answers})


@table
def test_a_configuration_as_declared(
    observer: Observer, inputs: dict[str, Any], operation: str, answer: dict[str, Any], absent: set[str]
) -> None:
    """What AWS answers for an untouched configuration equals its declared inputs."""
    declared = resource(observer.kind.token, NAME, {"bucket": NAME, **inputs})
    assert ours(**{operation: rows(answer)}).drift(observer, declared) == []


@table
@pytest.mark.parametrize("failure", [DENIED, THROTTLED])
def test_a_configuration_that_is_not_answered(
    observer: Observer,
    inputs: dict[str, Any],
    operation: str,
    answer: dict[str, Any],
    absent: set[str],
    failure: Answer,
) -> None:
    """I06 F01 F10: a denied or throttled read says nothing of the configuration."""
    declared = resource(observer.kind.token, NAME, {"bucket": NAME, **inputs})
    assert ours(**{operation: failure}).see(observer, declared) == failure


@table
def test_a_configuration_is_missing_by_its_own_codes_only(
    observer: Observer, inputs: dict[str, Any], operation: str, answer: dict[str, Any], absent: set[str]
) -> None:
    """F10 F15: only the code for this very configuration is absence; no other 404 is."""
    declared = resource(observer.kind.token, NAME, {"bucket": NAME, **inputs})
    world = ours(**{operation: Missing("none")})
    assert world.see(observer, declared) == Missing("none")
    (read,) = [read for read in world.asked if read.operation == operation]
    assert read.absent == absent
    assert not read.absent & GENERIC


@table
def test_locating_a_configuration(
    observer: Observer, inputs: dict[str, Any], operation: str, answer: dict[str, Any], absent: set[str]
) -> None:
    """F42: a configuration whose create was cut off is found by its bucket, if AWS has it."""
    pending = resource(observer.kind.token, "", {"bucket": NAME, **inputs})
    assert ours(**{operation: rows(answer)}).locate(observer, pending) == NAME
    assert isinstance(ours(**{operation: Missing("none")}).locate(observer, pending), Missing)
    assert ours(**{operation: DENIED}).locate(observer, pending) == DENIED
    assert isinstance(World({}).locate(observer, resource(observer.kind.token, "", {})), Failed)


@table
def test_a_configuration_goes_with_its_bucket(
    observer: Observer, inputs: dict[str, Any], operation: str, answer: dict[str, Any], absent: set[str]
) -> None:
    """F10 F15: "no such bucket" is believed only if the listing and the bucket's own read say the same."""
    declared = resource(observer.kind.token, NAME, {"bucket": NAME, **inputs})
    world = ours(**{operation: Failed("NoSuchBucket")})
    assert world.see(observer, declared) == Failed("NoSuchBucket")
    gone = world.but(list_buckets=rows(), head_bucket=Missing("404"))
    assert gone.see(observer, declared) == Missing("404")
    assert gone.but(head_bucket=DENIED).see(observer, declared) == DENIED


@table
@pytest.mark.parametrize("none", [False, True], ids=["configured", "not configured"])
def test_a_configuration_of_somebody_elses_bucket_is_not_ours(
    observer: Observer, inputs: dict[str, Any], operation: str, answer: dict[str, Any], absent: set[str], none: bool
) -> None:
    """I06 F15: names of buckets are global, so one that is not listed proves nothing, whatever it lets us read."""
    declared = resource(observer.kind.token, NAME, {"bucket": NAME, **inputs})
    said = Missing("none") if none else rows(answer)
    world = ours(**{operation: said, "list_buckets": rows({"Name": "other"}), "head_bucket": rows({})})
    assert isinstance(world.see(observer, declared), Failed)
    assert isinstance(world.locate(observer, resource(observer.kind.token, "", {"bucket": NAME})), Failed)
    assert world.but(list_buckets=DENIED).see(observer, declared) == DENIED


@pytest.mark.parametrize("name", ["bad bucket", "a/b", "x" * 256, "\ud800abc", "arn:aws:s3:::data", "data\n"])
@pytest.mark.parametrize("observer", OBSERVERS, ids=lambda o: o.kind.token)
def test_a_name_that_no_bucket_can_have_is_asked_of_nobody(observer: Observer, name: str) -> None:
    """I06 F45: botocore takes such a name for a bug, which would end the look; it costs its own resource only."""
    world = ours(get_resources=marks())
    sight = world.see(observer, resource(observer.kind.token, name, {"bucket": name}))
    assert isinstance(sight, Failed)
    assert sight.reason.isprintable()
    assert isinstance(world.locate(observer, resource(observer.kind.token, "", {"bucket": name})), Failed)
    assert all(read.target == "*" for read in world.asked)


def test_half_a_policy_is_no_changed_policy() -> None:
    """F16: S3 answers a policy as bare text; what is no JSON document was cut off on its way."""
    declared = resource(POLICY.kind.token, NAME, {"bucket": NAME, "policy": json.dumps(DOCUMENT)})
    torn = ours(get_bucket_policy=rows({"Policy": json.dumps(DOCUMENT)[:40]}))
    assert unreadable(torn.properties(POLICY, declared)) == {"policy"}


@pytest.mark.parametrize(("answer", "status"), [({}, "Disabled"), ({"Status": "Suspended"}, "Suspended")])
def test_versioning_that_is_off_is_drift(answer: dict[str, str], status: str) -> None:
    """A bucket never versioned answers nothing, one switched off says Suspended: both are drift, neither is absence."""
    declared = resource(VERSIONING.kind.token, NAME, {"bucket": NAME, "versioningConfiguration": {"status": "Enabled"}})
    world = ours(get_bucket_versioning=rows(answer))
    assert world.properties(VERSIONING, declared)["versioningConfiguration"] == {"status": status}
    assert world.drift(VERSIONING, declared) == ["versioningConfiguration"]


def test_a_bucket_never_versioned_has_no_versioning_to_find() -> None:
    """F42: the empty answer that every bucket gives is no sign that a cut-off create got through."""
    pending = resource(VERSIONING.kind.token, "", {"bucket": NAME})
    assert isinstance(ours(get_bucket_versioning=rows({})).locate(VERSIONING, pending), Missing)


def test_default_encryption_is_drift() -> None:
    """A bucket that fell back to the encryption AWS gives every bucket is not as declared."""
    declared = resource(ENCRYPTION.kind.token, NAME, {"bucket": NAME, "rules": [RULE]})
    assert ours(get_bucket_encryption=rows(DEFAULT_ENCRYPTION)).drift(ENCRYPTION, declared) == ["rules"]


def test_an_opened_public_access_block_is_drift() -> None:
    """One switched-off setting, or one AWS leaves out, shows under its own name."""
    declared = resource(PUBLIC_ACCESS_BLOCK.kind.token, NAME, {"bucket": NAME, **SETTINGS})
    opened = dict(BLOCKED["PublicAccessBlockConfiguration"], BlockPublicPolicy=False)
    del opened["BlockPublicAcls"]
    world = ours(get_public_access_block=rows({"PublicAccessBlockConfiguration": opened}))
    assert world.drift(PUBLIC_ACCESS_BLOCK, declared) == ["blockPublicAcls", "blockPublicPolicy"]


def test_a_widened_policy_is_drift() -> None:
    """A policy with one more statement is not the declared one."""
    declared = resource(POLICY.kind.token, NAME, {"bucket": NAME, "policy": json.dumps(DOCUMENT)})
    allow = {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": f"{ARN}/*"}
    wider = json.dumps({**DOCUMENT, "Statement": [*DOCUMENT["Statement"], allow]})
    assert ours(get_bucket_policy=rows({"Policy": wider})).drift(POLICY, declared) == ["policy"]


def test_a_bucket_as_declared() -> None:
    """An untouched bucket shows no drift, and what its configurations own is not answered."""
    assert BUCKET_WORLD.drift(BUCKET, BUCKET_DECLARED) == []
    assert set(BUCKET_WORLD.properties(BUCKET, BUCKET_DECLARED)) == {"bucket", "tags"}


@pytest.mark.parametrize("failure", [DENIED, THROTTLED])
def test_a_failed_bucket_listing_is_a_failure(failure: Answer) -> None:
    """I06 F01 F10: without the listing of buckets nothing is said of any."""
    world = BUCKET_WORLD.but(list_buckets=failure, head_bucket=Missing("404"))
    assert world.see(BUCKET, BUCKET_DECLARED) == failure


@pytest.mark.parametrize(
    ("head", "sight"), [(Missing("404"), Missing("404")), (DENIED, DENIED), (THROTTLED, THROTTLED)]
)
def test_an_empty_bucket_listing_is_confirmed(head: Answer, sight: Answer) -> None:
    """I06 F15: a bucket the listing lacks is gone only if its own head says so."""
    world = BUCKET_WORLD.but(list_buckets=rows(), head_bucket=head)
    assert world.see(BUCKET, BUCKET_DECLARED) == sight


def test_a_bucket_that_answers_but_is_not_ours() -> None:
    """I06 F15: a bucket that answers but is not listed may be another account's: neither present nor absent."""
    world = BUCKET_WORLD.but(list_buckets=rows({"Name": "other"}), head_bucket=rows({"BucketRegion": REGION}))
    assert isinstance(world.see(BUCKET, BUCKET_DECLARED), Failed)
    assert isinstance(world.locate(BUCKET, resource(BUCKET.kind.token, "", {"bucket": NAME})), Failed)


def test_bucket_codes_are_exact() -> None:
    """F10: a head's bare 404 is the only general code that is believed, as a head has no body to say more."""
    world = BUCKET_WORLD.but(list_buckets=rows(), head_bucket=Missing("404"))
    world.see(BUCKET, BUCKET_DECLARED)
    codes = {read.operation: read.absent for read in world.asked}
    assert codes == {"list_buckets": set(), "get_resources": set(), "head_bucket": {"404", "NoSuchBucket"}}


def test_bucket_tags_are_believed_only_when_read_directly() -> None:
    """F08 F15: a truncated tag index alone never strips a bucket of its tags."""
    lost = BUCKET_WORLD.but(get_resources=marks())
    assert lost.but(get_bucket_tagging=rows(*pairs(TAGS))).drift(BUCKET, BUCKET_DECLARED) == []
    assert lost.but(get_bucket_tagging=Missing("NoSuchTagSet")).drift(BUCKET, BUCKET_DECLARED) == ["tags"]
    assert unreadable(lost.but(get_bucket_tagging=DENIED).properties(BUCKET, BUCKET_DECLARED)) == {"tags"}


@pytest.mark.parametrize(
    ("answer", "drift"),
    [
        (rows({"ObjectLockConfiguration": {"ObjectLockEnabled": "Enabled"}}), []),
        (Missing("ObjectLockConfigurationNotFoundError"), ["objectLockEnabled"]),
        (DENIED, ["objectLockEnabled"]),
    ],
)
def test_object_lock_is_read_where_declared(answer: Answer, drift: list[str]) -> None:
    """Object lock is compared only for buckets that declare it; a failed read makes it alone unknown (I06)."""
    declared = resource(BUCKET.kind.token, NAME, {**BUCKET_DECLARED.inputs, "objectLockEnabled": True})
    world = BUCKET_WORLD.but(get_object_lock_configuration=answer)
    assert world.drift(BUCKET, declared) == drift
    assert unreadable(world.properties(BUCKET, declared)) == ({"objectLockEnabled"} if answer is DENIED else set())


INLINE = {
    "versioning": {"enabled": True, "mfaDelete": False},
    "serverSideEncryptionConfiguration": {"rule": RULE},
}


@pytest.mark.parametrize(
    ("versioning", "encryption", "drift"),
    [
        (rows({"Status": "Enabled"}), rows(ENCRYPTED), []),
        (rows({"Status": "Suspended"}), rows(ENCRYPTED), ["versioning"]),
        (rows({}), rows(ENCRYPTED), ["versioning"]),
        (
            rows({"Status": "Enabled"}),
            Missing("ServerSideEncryptionConfigurationNotFoundError"),
            ["serverSideEncryptionConfiguration"],
        ),
        (rows({"Status": "Enabled"}), DENIED, ["serverSideEncryptionConfiguration"]),
    ],
)
def test_what_a_bucket_declares_inline_is_read(versioning: Answer, encryption: Answer, drift: list[str]) -> None:
    """Versioning and encryption inside a bucket are seen as resources of their own are; a failed read is unknown."""
    declared = resource(BUCKET.kind.token, NAME, {**BUCKET_DECLARED.inputs, **INLINE})
    world = BUCKET_WORLD.but(get_bucket_versioning=versioning, get_bucket_encryption=encryption)
    assert world.drift(BUCKET, declared) == drift
    hidden = {"serverSideEncryptionConfiguration"} if encryption is DENIED else set()
    assert unreadable(world.properties(BUCKET, declared)) == hidden


def test_an_access_list_that_the_provider_filled_in_is_not_asked_for() -> None:
    """It is unknown only where the program chose it."""
    inputs = {**BUCKET_DECLARED.inputs, "acl": "private"}
    assert BUCKET_WORLD.drift(BUCKET, resource(BUCKET.kind.token, NAME, inputs)) == []
    assert BUCKET_WORLD.drift(BUCKET, resource(BUCKET.kind.token, NAME, inputs, programmed={"acl"})) == ["acl"]


def test_locating_and_owning_buckets() -> None:
    """F42: a bucket is found by its name; live tagged buckets are told with their tags, whatever the partition."""
    assert BUCKET_WORLD.locate(BUCKET, resource(BUCKET.kind.token, "", {"bucket": NAME})) == NAME
    gone = BUCKET_WORLD.but(head_bucket=Missing("404"))
    assert isinstance(gone.locate(BUCKET, resource(BUCKET.kind.token, "", {"bucket": "other"})), Missing)
    assert isinstance(BUCKET_WORLD.locate(BUCKET, resource(BUCKET.kind.token, "", {})), Failed)
    assert BUCKET_WORLD.owned(BUCKET, BUCKET_DECLARED) == {NAME: TAGS}
    china = BUCKET_WORLD.but(get_resources=marks((f"arn:aws-cn:s3:::{NAME}", TAGS)))
    assert china.owned(BUCKET, BUCKET_DECLARED) == {NAME: TAGS}


def test_nothing_reads_data() -> None:
    """No permission asked for here opens an object; buckets hold data and are never replaced."""
    permissions = {permission for observer in OBSERVERS for permission in observer.permissions}
    assert not any(permission.startswith("s3:GetObject") for permission in permissions)
    assert BUCKET.kind.stateful


@pytest.mark.parametrize("observer", OBSERVERS, ids=lambda o: o.kind.token)
def test_property_names_are_the_sdks(observer: Observer) -> None:
    """Every property an observer answers or describes is one the Pulumi SDK has for the type."""
    cases: list[Any] = [case.values for case in CONFIGURATIONS]
    answers = {operation: rows(answer) for _, _, operation, answer, _ in cases}
    world = BUCKET_WORLD.told(answers).but(get_object_lock_configuration=rows({}))
    declared = resource(observer.kind.token, NAME, {"bucket": NAME, "tags": TAGS, "objectLockEnabled": True})
    answered = set(world.properties(observer, declared))
    assert answered | named_in(observer) <= sdk_properties(observer.kind.token)

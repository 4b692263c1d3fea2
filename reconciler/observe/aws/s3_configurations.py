"""How the configurations of a bucket are seen that Pulumi keeps as resources of their own.

There is no bulk form. Each answers one direct read, with an error code of its own for "not configured". What it says
counts for a bucket that is ours only; a bucket that is gone has taken its configurations with it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

from reconciler.model import DeclaredResource, ResourceKind, Value
from reconciler.observe.aws._common import call, json_text, text, together
from reconciler.observe.aws.s3_listing import LISTING, PERMISSIONS, bucket_row, is_name
from reconciler.observe.reads import Answers, Failed, Missing, More, Observer, Read, Row, Sight


def _configuration(
    kind: ResourceKind,
    *,
    operation: str,
    none: Collection[str],
    permission: str,
    properties: Callable[[Row], Mapping[str, Value]],
    configured: Callable[[Row], bool] = lambda _: True,
) -> Observer:
    """An observer whose resource is what ``operation`` answers for one bucket.

    ``none`` are the codes for a bucket without it. ``configured`` tells an answer that somebody has configured from
    one that every bucket gives.
    """

    def read(bucket: str) -> Read:
        return call("s3", operation, absent=none, target=bucket, Bucket=bucket)

    def find(bucket: str, answers: Answers) -> Row | Missing | Failed | More:
        row, owner = answers.one(read(bucket)), bucket_row(bucket, answers)
        if isinstance(row, More) or isinstance(owner, More):
            return together(row, owner)
        return row if isinstance(owner, Mapping) else owner

    def reads(declared: DeclaredResource) -> tuple[Read, ...]:
        bucket = _bucket(declared)
        return (LISTING, read(bucket)) if bucket else ()

    def see(declared: DeclaredResource, answers: Answers) -> Sight:
        bucket = _bucket(declared)
        if bucket is None:
            return Failed(_NAMELESS)
        row = find(bucket, answers)
        return {"bucket": bucket, **properties(row)} if isinstance(row, Mapping) else row

    def locate(declared: DeclaredResource, answers: Answers) -> str | Missing | Failed | More:
        bucket = _bucket(declared)
        if bucket is None:
            return Failed(_NAMELESS)
        row = find(bucket, answers)
        if isinstance(row, Mapping):
            return bucket if configured(row) else Missing(f"{operation} answers nothing configured for {bucket}")
        return row

    return Observer(kind=kind, reads=reads, see=see, permissions=(permission, *PERMISSIONS), locate=locate)


_NAMELESS = "the bucket's name is not known, or none that a bucket can have"


def _bucket(declared: DeclaredResource) -> str | None:
    # An id with an expected bucket owner is "bucket,account".
    name = declared.id.partition(",")[0] or text(declared, "bucket")
    return name if name is not None and is_name(name) else None


def _versioning(row: Row) -> Mapping[str, Value]:
    # A bucket that was never versioned answers no status at all; the provider calls that Disabled.
    found: dict[str, Value] = {"status": row.get("Status", "Disabled")}
    if "MFADelete" in row:
        found["mfaDelete"] = row["MFADelete"]
    return {"versioningConfiguration": found}


def _encryption(row: Row) -> Mapping[str, Value]:
    rules = row.get("ServerSideEncryptionConfiguration", {}).get("Rules", ())
    return {"rules": [_encryption_rule(rule) for rule in rules]}


def _encryption_rule(rule: Row) -> dict[str, Value]:
    default = rule.get("ApplyServerSideEncryptionByDefault", {})
    found: dict[str, Value] = {
        "applyServerSideEncryptionByDefault": {
            "sseAlgorithm": default.get("SSEAlgorithm"),
            "kmsMasterKeyId": default.get("KMSMasterKeyID"),
        },
        "bucketKeyEnabled": rule.get("BucketKeyEnabled", False),
    }
    if "BlockedEncryptionTypes" in rule:
        found["blockedEncryptionTypes"] = list(rule["BlockedEncryptionTypes"].get("EncryptionType", ()))
    return found


def _public_access(row: Row) -> Mapping[str, Value]:
    block = row.get("PublicAccessBlockConfiguration", {})
    names = ("BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets")
    return {name[0].lower() + name[1:]: bool(block.get(name, False)) for name in names}


VERSIONING = _configuration(
    ResourceKind(
        "aws:s3/bucketVersioning:BucketVersioning",
        write_only=frozenset({"expectedBucketOwner", "mfa"}),
    ),
    operation="get_bucket_versioning",
    none=(),
    permission="s3:GetBucketVersioning",
    properties=_versioning,
    configured=lambda row: "Status" in row,
)

ENCRYPTION = _configuration(
    ResourceKind(
        "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration",
        unordered=frozenset({"rules[].blockedEncryptionTypes"}),
        write_only=frozenset({"expectedBucketOwner"}),
        references=frozenset({"rules[].applyServerSideEncryptionByDefault.kmsMasterKeyId"}),
    ),
    operation="get_bucket_encryption",
    none=("ServerSideEncryptionConfigurationNotFoundError",),
    permission="s3:GetEncryptionConfiguration",
    properties=_encryption,
)

PUBLIC_ACCESS_BLOCK = _configuration(
    ResourceKind(
        "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock",
        write_only=frozenset({"skipDestroy"}),
    ),
    operation="get_public_access_block",
    none=("NoSuchPublicAccessBlockConfiguration",),
    permission="s3:GetBucketPublicAccessBlock",
    properties=_public_access,
)

POLICY = _configuration(
    ResourceKind(
        "aws:s3/bucketPolicy:BucketPolicy",
        documents=frozenset({"policy"}),
    ),
    operation="get_bucket_policy",
    none=("NoSuchBucketPolicy",),
    permission="s3:GetBucketPolicy",
    properties=lambda row: {"policy": json_text(row["Policy"])},
)

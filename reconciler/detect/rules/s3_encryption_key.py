"""Encryption with the tenant's own key is what makes a tenant's data deletable and its use traceable."""

from __future__ import annotations

from reconciler.detect.rule import OK, Context, Example, Judgement, Properties, Rule, items, mapping
from reconciler.model import Severity

_TYPE = "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration"


def check(seen: Properties, context: Context) -> Judgement:
    rules = [mapping(mapping(rule).get("applyServerSideEncryptionByDefault")) for rule in items(seen["rules"])]
    for rule in rules:
        key = str(rule.get("kmsMasterKeyId") or "")
        if rule.get("sseAlgorithm") not in ("aws:kms", "aws:kms:dsse"):
            return Judgement(f"new objects are encrypted by {rule.get('sseAlgorithm')}, not by KMS", seen["rules"])
        if not key or key.endswith("alias/aws/s3"):
            return Judgement("new objects are encrypted with AWS's key, not with the tenant's", seen["rules"])
        if _is_anothers(key, context):
            return Judgement(f"new objects are encrypted with {key}, which is not the tenant's", seen["rules"])
    return OK if rules else Judgement("no default encryption is configured")


def _is_anothers(key: str, context: Context) -> bool:
    """Whether a key, by its id, alias or ARN, is of another account, or declared for another tenant."""
    parts = key.split(":", 5)
    foreign = len(parts) == 6 and bool(context.declared.account) and parts[4] != context.declared.account
    name = parts[-1].removeprefix("key/")
    return foreign or any(context.is_anothers(type_, (name,)) for type_ in ("aws:kms/key:Key", "aws:kms/alias:Alias"))


RULE = Rule(
    id="s3-encryption-key",
    title="Buckets encrypt with a customer managed key",
    description="A bucket's default encryption is SSE-KMS with a key of the tenant, neither S3's nor AWS's own, nor "
    "one of another account or that the cell declares for another tenant.",
    severity=Severity.HIGH,
    source="https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingKMSEncryption.html",
    controls={
        "pci-dss": ("3.5.1",),
        "hipaa": ("164.312(a)(2)(iv)",),
        "gdpr": ("Art. 32(1)(a)",),
        "soc2": ("CC6.1",),
    },
    reads={_TYPE: ("rules",)},
    companion={"aws:s3/bucket:Bucket": _TYPE},
    check=check,
    heeds=frozenset({"applyServerSideEncryptionByDefault", "sseAlgorithm", "kmsMasterKeyId"}),
    passing=Example(
        _TYPE,
        {
            "rules": [
                {
                    "applyServerSideEncryptionByDefault": {
                        "sseAlgorithm": "aws:kms",
                        "kmsMasterKeyId": "arn:aws:kms:eu-west-1:123456789012:key/1b6b0f0e",
                    },
                    "bucketKeyEnabled": True,
                }
            ]
        },
    ),
    failing=Example(_TYPE, {"rules": [{"applyServerSideEncryptionByDefault": {"sseAlgorithm": "AES256"}}]}),
)

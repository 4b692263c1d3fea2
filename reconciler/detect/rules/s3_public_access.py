"""A bucket that anybody can read is the commonest leak there is."""

from __future__ import annotations

from reconciler.detect.rule import OK, Context, Example, Judgement, Properties, Rule, is_true
from reconciler.model import Severity

_TYPE = "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock"
_BLOCKS = ("blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets")


def check(seen: Properties, _: Context) -> Judgement:
    off = [name for name in _BLOCKS if not is_true(seen[name])]
    return Judgement(f"public access is not blocked: {', '.join(off)} off", dict(seen)) if off else OK


RULE = Rule(
    id="s3-public-access",
    title="Buckets block all public access",
    description="All four public access blocks of a bucket are on, so that no policy and no ACL can open it.",
    severity=Severity.CRITICAL,
    source="https://docs.aws.amazon.com/AmazonS3/latest/userguide/access-control-block-public-access.html",
    controls={
        "pci-dss": ("1.4.4",),
        "hipaa": ("164.312(a)(1)",),
        "gdpr": ("Art. 25(2)", "Art. 32(1)(b)"),
        "soc2": ("CC6.1", "CC6.6"),
    },
    reads={_TYPE: _BLOCKS},
    companion={"aws:s3/bucket:Bucket": _TYPE},
    check=check,
    passing=Example(_TYPE, dict.fromkeys(_BLOCKS, True)),
    failing=Example(_TYPE, {**dict.fromkeys(_BLOCKS, True), "restrictPublicBuckets": None}),
)

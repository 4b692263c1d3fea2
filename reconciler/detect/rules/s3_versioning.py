"""Versions are what is left when somebody, or some program, overwrites or deletes an object."""

from __future__ import annotations

from reconciler.detect.rule import OK, Context, Example, Judgement, Properties, Rule, mapping
from reconciler.model import Severity

_TYPE = "aws:s3/bucketVersioning:BucketVersioning"


def check(seen: Properties, _: Context) -> Judgement:
    status = mapping(seen["versioningConfiguration"]).get("status")
    return OK if status == "Enabled" else Judgement(f"versioning is {status or 'not configured'}", status)


RULE = Rule(
    id="s3-versioning",
    title="Buckets keep versions",
    description="Versioning of a bucket is enabled, so that an overwritten or deleted object can be had back.",
    severity=Severity.HIGH,
    source="https://docs.aws.amazon.com/AmazonS3/latest/userguide/Versioning.html",
    controls={
        "hipaa": ("164.308(a)(7)(ii)(A)", "164.312(c)(1)"),
        "gdpr": ("Art. 32(1)(c)",),
        "soc2": ("A1.2",),
    },
    reads={_TYPE: ("versioningConfiguration",)},
    companion={"aws:s3/bucket:Bucket": _TYPE},
    check=check,
    passing=Example(_TYPE, {"versioningConfiguration": {"status": "Enabled"}}),
    failing=Example(_TYPE, {"versioningConfiguration": {"status": "Suspended"}}),
)

"""S3 answers plain HTTP as well, unless the bucket's policy forbids it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from reconciler.detect import documents
from reconciler.detect.rule import OK, Context, Example, Judgement, Properties, Rule
from reconciler.model import Severity

_TYPE = "aws:s3/bucketPolicy:BucketPolicy"
_PLAIN_HTTP = {"Bool": {"aws:securetransport": ["false"]}}


def check(seen: Properties, _: Context) -> Judgement:
    policy = documents.parse(seen["policy"])
    if policy is None:
        return Judgement("the bucket has no policy")
    # The canonical spelling leaves one way to write each statement.
    parts = documents.statements(json.loads(documents.canonical(policy)))
    if any(_denies_plain_http(part, str(seen["bucket"])) for part in parts):
        return OK
    return Judgement("the bucket policy does not deny requests without TLS", seen["policy"])


def _denies_plain_http(statement: Mapping[str, Any], bucket: str) -> bool:
    covered = {resource.rsplit(":::", 1)[-1] for resource in statement.get("Resource", ())}
    return (
        statement.get("Effect") == "Deny"
        and "*" in statement.get("Principal", {}).get("AWS", ())
        and not {"*", "s3:*"}.isdisjoint(statement.get("Action", ()))
        and ("*" in covered or {bucket, f"{bucket}/*"} <= covered)
        and statement.get("Condition") == _PLAIN_HTTP
    )


def _example(condition: str) -> Example:
    deny = {
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": ["arn:aws:s3:::acme-data-1a2b3c4", "arn:aws:s3:::acme-data-1a2b3c4/*"],
        "Condition": {"Bool": {"aws:SecureTransport": condition}},
    }
    return Example(_TYPE, {"bucket": "acme-data-1a2b3c4", "policy": json.dumps({"Statement": [deny]})})


RULE = Rule(
    id="s3-tls-only",
    title="Buckets refuse requests without TLS",
    description="The bucket policy denies every S3 action on the bucket and its objects over plain HTTP, to anybody.",
    severity=Severity.HIGH,
    source="https://docs.aws.amazon.com/AmazonS3/latest/userguide/security-best-practices.html",
    controls={
        "pci-dss": ("4.2.1",),
        "hipaa": ("164.312(e)(1)", "164.312(e)(2)(ii)"),
        "gdpr": ("Art. 32(1)(a)",),
        "soc2": ("CC6.7",),
    },
    reads={_TYPE: ("bucket", "policy")},
    companion={"aws:s3/bucket:Bucket": _TYPE},
    check=check,
    passing=_example("false"),
    failing=_example("true"),
)

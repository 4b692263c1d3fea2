"""Logs repeat what requests said, so they are as confidential as the data."""

from __future__ import annotations

from reconciler.detect.rule import OK, Context, Example, Judgement, Properties, Rule
from reconciler.model import Severity

_TYPE = "aws:cloudwatch/logGroup:LogGroup"


def check(seen: Properties, _: Context) -> Judgement:
    return OK if seen["kmsKeyId"] else Judgement("the log group is not encrypted with the tenant's key")


RULE = Rule(
    id="log-encryption",
    title="Logs are encrypted with a customer managed key",
    description="A log group names a KMS key, so that its events can be read only while that key is usable.",
    severity=Severity.MEDIUM,
    source="https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/encrypt-log-data-kms.html",
    controls={
        "pci-dss": ("3.5.1",),
        "hipaa": ("164.312(a)(2)(iv)",),
        "gdpr": ("Art. 32(1)(a)",),
        "soc2": ("CC6.1",),
    },
    reads={_TYPE: ("kmsKeyId",)},
    check=check,
    passing=Example(_TYPE, {"kmsKeyId": "arn:aws:kms:eu-west-1:123456789012:key/1b6b0f0e"}),
    failing=Example(_TYPE, {"kmsKeyId": None}),
)

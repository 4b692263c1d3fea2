"""Rotation bounds how much data one version of a key protects."""

from __future__ import annotations

from reconciler.detect.rule import OK, Context, Example, Judgement, Properties, Rule, is_true
from reconciler.model import Severity

_TYPE = "aws:kms/key:Key"


def check(seen: Properties, context: Context) -> Judgement | None:
    # AWS rotates symmetric encryption keys only.
    if context.resource.inputs.get("customerMasterKeySpec", "SYMMETRIC_DEFAULT") != "SYMMETRIC_DEFAULT":
        return None
    return OK if is_true(seen["enableKeyRotation"]) else Judgement("automatic key rotation is off")


RULE = Rule(
    id="kms-rotation",
    title="Keys rotate",
    description="Automatic rotation of a symmetric customer managed key is on.",
    severity=Severity.HIGH,
    source="https://docs.aws.amazon.com/kms/latest/developerguide/rotate-keys.html",
    controls={
        "pci-dss": ("3.7.4",),
        "hipaa": ("164.312(a)(2)(iv)",),
        "gdpr": ("Art. 32(1)(a)",),
        "soc2": ("CC6.1",),
    },
    reads={_TYPE: ("enableKeyRotation",)},
    check=check,
    passing=Example(_TYPE, {"enableKeyRotation": True}),
    failing=Example(_TYPE, {"enableKeyRotation": False}),
)

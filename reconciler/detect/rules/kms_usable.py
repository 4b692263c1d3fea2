"""Data encrypted with a disabled key cannot be read, and with a deleted key never again."""

from __future__ import annotations

from reconciler.detect.rule import OK, Context, Example, Judgement, Properties, Rule, is_true
from reconciler.model import Severity

_TYPE = "aws:kms/key:Key"


def check(seen: Properties, _: Context) -> Judgement:
    return OK if is_true(seen["isEnabled"]) else Judgement("the key is disabled or waits for its deletion")


RULE = Rule(
    id="kms-usable",
    title="Keys are enabled and not about to be deleted",
    description="A key that is disabled, or scheduled for deletion, takes the data it protects with it.",
    severity=Severity.CRITICAL,
    source="https://docs.aws.amazon.com/kms/latest/developerguide/key-state.html",
    controls={
        "hipaa": ("164.312(a)(2)(iv)", "164.312(c)(1)"),
        "gdpr": ("Art. 32(1)(b)",),
        "soc2": ("CC6.1",),
    },
    always=True,
    reads={_TYPE: ("isEnabled",)},
    check=check,
    passing=Example(_TYPE, {"isEnabled": True}),
    failing=Example(_TYPE, {"isEnabled": False}),
)

"""An alarm that tells nobody is a graph."""

from __future__ import annotations

from reconciler.detect.rule import OK, Context, Example, Judgement, Properties, Rule, items
from reconciler.model import Severity

_TYPE = "aws:cloudwatch/metricAlarm:MetricAlarm"


def check(seen: Properties, _: Context) -> Judgement:
    if not items(seen["alarmActions"]):
        return Judgement("the alarm has no action, so nobody is told")
    # Actions are on unless switched off.
    return Judgement("the alarm's actions are switched off") if seen["actionsEnabled"] in (False, "false") else OK


RULE = Rule(
    id="alarm-has-action",
    title="Alarms tell somebody",
    description="A metric alarm has at least one action for the ALARM state, and its actions are enabled.",
    severity=Severity.MEDIUM,
    source="https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/AlarmThatSendsEmail.html",
    controls={
        "pci-dss": ("12.10.5",),
        "hipaa": ("164.308(a)(6)(i)",),
        "gdpr": ("Art. 32(1)(b)",),
        "soc2": ("CC7.2",),
    },
    reads={_TYPE: ("alarmActions", "actionsEnabled")},
    check=check,
    passing=Example(_TYPE, {"alarmActions": ["arn:aws:sns:eu-west-1:123456789012:pager"], "actionsEnabled": True}),
    failing=Example(_TYPE, {"alarmActions": ["arn:aws:sns:eu-west-1:123456789012:pager"], "actionsEnabled": False}),
)

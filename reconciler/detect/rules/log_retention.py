"""A log that is gone proves nothing."""

from __future__ import annotations

from reconciler.detect.rule import OK, Context, Example, Judgement, Properties, Rule
from reconciler.model import Severity
from tenancy.regimes import Regime, log_retention_days

_TYPE = "aws:cloudwatch/logGroup:LogGroup"
_CONTROLS = {"pci-dss": ("10.5.1",), "hipaa": ("164.312(b)", "164.316(b)(2)(i)"), "soc2": ("CC7.2",)}


def check(seen: Properties, context: Context) -> Judgement:
    demanded = log_retention_days([Regime(name) for name in sorted(context.tenant.regimes & _CONTROLS.keys())])
    kept = int(float(str(seen["retentionInDays"] or 0)))
    # CloudWatch Logs keeps for ever where no retention is set.
    if kept == 0 or kept >= demanded:
        return OK
    return Judgement(f"logs are kept {kept} days, {demanded} are demanded", kept)


RULE = Rule(
    id="log-retention",
    title="Logs are kept as long as the tenant's regimes demand",
    description="A log group keeps its events for the longest time that one of the tenant's regimes demands.",
    severity=Severity.HIGH,
    source="https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/Working-with-log-groups-and-streams.html",
    controls=_CONTROLS,
    reads={_TYPE: ("retentionInDays",)},
    check=check,
    passing=Example(_TYPE, {"retentionInDays": 400}, regimes=frozenset({"pci-dss"})),
    failing=Example(_TYPE, {"retentionInDays": 400}, regimes=frozenset({"pci-dss", "hipaa"})),
)

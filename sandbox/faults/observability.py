"""Faults of alarms and logs: what nobody will hear of."""

from __future__ import annotations

from sandbox.faults.fault import Actor, Fault
from sandbox.faults.victim import Victim

ALARM = "aws:cloudwatch/metricAlarm:MetricAlarm"


def delete_alarm(victim: Victim) -> str:
    alarm = _alarm(victim, "unhealthy-hosts")
    victim.cloudwatch.delete_alarms(AlarmNames=[alarm])
    return alarm


def mute_alarm(victim: Victim) -> str:
    alarm = _alarm(victim, "5xx")
    row = dict(victim.cloudwatch.describe_alarms(AlarmNames=[alarm])["MetricAlarms"][0])
    settings = {name: row[name] for name in _SETTINGS if name in row}
    victim.cloudwatch.put_metric_alarm(**settings, AlarmActions=[])  # type: ignore[arg-type]
    return alarm


def shorten_log_retention(victim: Victim) -> str:
    group = f"/stackmend/{victim.cell}/{victim.tenant}/api"
    victim.logs.put_retention_policy(logGroupName=group, retentionInDays=1)
    return group


def _alarm(victim: Victim, part: str) -> str:
    return victim.id("cloudwatch:alarm", part)


_SETTINGS = (
    "AlarmName",
    "AlarmDescription",
    "ActionsEnabled",
    "OKActions",
    "InsufficientDataActions",
    "MetricName",
    "Namespace",
    "Statistic",
    "ExtendedStatistic",
    "Dimensions",
    "Period",
    "Unit",
    "EvaluationPeriods",
    "DatapointsToAlarm",
    "Threshold",
    "ComparisonOperator",
    "TreatMissingData",
)
"""What PutMetricAlarm takes of what DescribeAlarms answers; it sets an alarm as a whole."""

FAULTS = (
    Fault(
        "delete-alarm",
        "nobody is told of unhealthy servers",
        Actor.OPERATOR,
        "observability",
        (ALARM,),
        delete_alarm,
    ),
    Fault(
        "mute-alarm",
        "the alarm for server errors rings, but nobody is called",
        Actor.INTRUDER,
        "observability",
        (ALARM,),
        mute_alarm,
    ),
    Fault(
        "shorten-log-retention",
        "traces are wiped out: logs are kept for a day only",
        Actor.INTRUDER,
        "observability",
        ("aws:cloudwatch/logGroup:LogGroup",),
        shorten_log_retention,
    ),
)

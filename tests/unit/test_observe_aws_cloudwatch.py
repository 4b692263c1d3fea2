"""Alarms, seen through hand-made answers."""

from __future__ import annotations

from typing import Any

import pytest

from reconciler.observe.aws.cloudwatch import OBSERVERS
from reconciler.observe.reads import Answer, Failed, Missing
from tests.unit.observe_aws_answers import (
    ACCOUNT,
    DENIED,
    GENERIC,
    REGION,
    TAGS,
    THROTTLED,
    World,
    marks,
    named_in,
    pairs,
    resource,
    rows,
    sdk_properties,
    unreadable,
)

(ALARM,) = OBSERVERS

NAME = "acme-latency-1234567"
ARN = f"arn:aws:cloudwatch:{REGION}:{ACCOUNT}:alarm:{NAME}"
TOPIC = f"arn:aws:sns:{REGION}:{ACCOUNT}:oncall"
ROW: dict[str, Any] = {
    "AlarmName": NAME,
    "AlarmArn": ARN,
    "AlarmDescription": "slow",
    "ActionsEnabled": True,
    "AlarmActions": [TOPIC],
    "OKActions": [],
    "InsufficientDataActions": [],
    "MetricName": "TargetResponseTime",
    "Namespace": "AWS/ApplicationELB",
    "ExtendedStatistic": "p99",
    "Dimensions": [{"Name": "TargetGroup", "Value": "tg"}, {"Name": "LoadBalancer", "Value": "lb"}],
    "Period": 60,
    "EvaluationPeriods": 5,
    "DatapointsToAlarm": 3,
    "Threshold": 1.0,
    "ComparisonOperator": "GreaterThanThreshold",
    "TreatMissingData": "notBreaching",
    "StateValue": "ALARM",
}
INPUTS = {
    "name": NAME,
    "alarmDescription": "slow",
    "actionsEnabled": True,
    "alarmActions": [TOPIC],
    "metricName": "TargetResponseTime",
    "namespace": "AWS/ApplicationELB",
    "extendedStatistic": "p99",
    "dimensions": {"LoadBalancer": "lb", "TargetGroup": "tg"},
    "period": 60,
    "evaluationPeriods": 5,
    "datapointsToAlarm": 3,
    "threshold": 1,
    "comparisonOperator": "GreaterThanThreshold",
    "treatMissingData": "notBreaching",
    "region": REGION,
    "tags": TAGS,
    "tagsAll": TAGS,
}
DECLARED = resource(ALARM.kind.token, NAME, INPUTS)
LISTING, DIRECT = "describe_alarms *", f"describe_alarms {NAME}"
WORLD = World({LISTING: rows(ROW), "get_resources": marks((ARN, TAGS))})


def test_an_alarm_as_declared() -> None:
    """An untouched alarm equals its declared inputs, and tells its state."""
    assert WORLD.drift(ALARM, DECLARED) == []
    assert WORLD.properties(ALARM, DECLARED)["stateValue"] == "ALARM"


@pytest.mark.parametrize(
    ("changed", "drift"),
    [
        ({"ActionsEnabled": False}, "actionsEnabled"),
        ({"AlarmActions": []}, "alarmActions"),
        ({"Threshold": 100.0}, "threshold"),
        ({"ExtendedStatistic": None, "Statistic": "Average"}, "extendedStatistic"),
        ({"DatapointsToAlarm": None}, "datapointsToAlarm"),
        ({"TreatMissingData": None}, "treatMissingData"),
        ({"Dimensions": ROW["Dimensions"][:1]}, "dimensions"),
    ],
)
def test_changed_settings_are_drift(changed: dict[str, object], drift: str) -> None:
    """Each thing that silences or bends an alarm shows under its own name; None stands for what AWS leaves out."""
    row = {key: value for key, value in {**ROW, **changed}.items() if value is not None}
    assert WORLD.told({LISTING: rows(row)}).drift(ALARM, DECLARED) == [drift]


def test_missing_data_is_missing_by_default() -> None:
    """An alarm that says nothing of missing data treats it as missing, which is what the provider fills in."""
    row = {key: value for key, value in ROW.items() if key != "TreatMissingData"}
    declared = resource(ALARM.kind.token, NAME, {**INPUTS, "treatMissingData": "missing"})
    assert WORLD.told({LISTING: rows(row)}).drift(ALARM, declared) == []


def test_metric_math_is_compared() -> None:
    """The queries of a metric-math alarm come out in Pulumi's words, in whatever order AWS answers them."""
    metric = {"MetricName": "Errors", "Namespace": "N", "Dimensions": [{"Name": "d", "Value": "v"}]}
    queries = [
        {"Id": "m", "ReturnData": False, "MetricStat": {"Metric": metric, "Period": 60, "Stat": "Sum"}},
        {"Id": "e", "Expression": "m * 2", "Label": "double", "ReturnData": True},
    ]
    declared_queries = [
        {"id": "e", "expression": "m * 2", "label": "double", "returnData": True},
        {
            "id": "m",
            "metric": {"metricName": "Errors", "namespace": "N", "dimensions": {"d": "v"}, "period": 60, "stat": "Sum"},
        },
    ]
    declared = resource(ALARM.kind.token, NAME, {"name": NAME, "metricQueries": declared_queries, "tags": TAGS})
    world = WORLD.told({LISTING: rows({"AlarmName": NAME, "AlarmArn": ARN, "Metrics": queries})})
    assert world.drift(ALARM, declared) == []
    queries[1]["Expression"] = "m * 3"
    assert world.drift(ALARM, declared) == ["metricQueries"]


@pytest.mark.parametrize(
    ("listing", "direct", "tags", "sight"),
    [
        (DENIED, rows(), rows(), Failed),
        (THROTTLED, rows(), rows(), Failed),
        (rows(), DENIED, rows(), Failed),
        (rows(), rows(), Missing("ResourceNotFoundException"), Missing),
        (rows(), rows(), rows(), Missing),
        (rows(), rows(), rows(*pairs(TAGS)), Failed),
        (rows(), rows(), DENIED, Failed),
    ],
    ids=["listing denied", "listing throttled", "direct denied", "all lack it", "no tags", "tags left", "tags denied"],
)
def test_the_absence_of_an_alarm(listing: Answer, direct: Answer, tags: Answer, sight: type) -> None:
    """I06 F01 F10 F15: an alarm is gone only if the listing and the search lack it, and its tags are gone as well."""
    world = WORLD.told({LISTING: listing, DIRECT: direct, "list_tags_for_resource": tags})
    assert isinstance(world.see(ALARM, DECLARED), sight)
    assert isinstance(world.locate(ALARM, resource(ALARM.kind.token, "", {"name": NAME})), sight)
    assert not any(read.absent & GENERIC for read in world.asked)


def test_an_alarm_that_nothing_knows_is_gone() -> None:
    """What neither the listing, the search nor the tag index names does not exist."""
    world = WORLD.told({LISTING: rows(), DIRECT: rows(), "get_resources": marks()})
    assert isinstance(world.see(ALARM, DECLARED), Missing)
    assert isinstance(world.but(get_resources=DENIED).see(ALARM, DECLARED), Failed)


def test_an_empty_listing_is_contradicted() -> None:
    """F15: an alarm that the listing lacks but the direct read answers is there, and as declared."""
    assert WORLD.told({LISTING: rows(), DIRECT: rows(ROW)}).drift(ALARM, DECLARED) == []


def test_alarm_tags_are_believed_only_when_read_directly() -> None:
    """F08 F15: a stale tag index alone never changes an alarm's tags."""
    lost = WORLD.but(get_resources=marks())
    assert lost.but(list_tags_for_resource=rows(*pairs(TAGS))).drift(ALARM, DECLARED) == []
    assert lost.but(list_tags_for_resource=rows()).drift(ALARM, DECLARED) == ["tags"]
    assert unreadable(lost.but(list_tags_for_resource=DENIED).properties(ALARM, DECLARED)) == {"tags"}


def test_locating_and_owning_alarms() -> None:
    """F42: an alarm is found by its name; live tagged alarms are told by name."""
    assert WORLD.locate(ALARM, resource(ALARM.kind.token, "", {"name": NAME})) == NAME
    assert isinstance(WORLD.locate(ALARM, resource(ALARM.kind.token, "", {})), Failed)
    assert WORLD.owned(ALARM, DECLARED) == {NAME: TAGS}


def test_property_names_are_the_sdks() -> None:
    """Every property but the alarm's state is one the Pulumi SDK has for the type."""
    answered = set(WORLD.properties(ALARM, DECLARED)) - {"stateValue"}
    assert answered | named_in(ALARM) <= sdk_properties(ALARM.kind.token)

"""How alarms are seen: what they watch, what they do, and the state they are in."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from reconciler.model import DeclaredResource, ResourceKind, Value
from reconciler.observe.aws._common import call, live_tags, tag_index, tagged, text, together
from reconciler.observe.reads import Answers, Failed, Missing, More, Observer, Owned, Read, Row, Rows, Sight

LISTING = call("cloudwatch", "describe_alarms", "MetricAlarms")
TAG_INDEX = tag_index("cloudwatch")

_PLAIN = {
    "actionsEnabled": "ActionsEnabled",
    "alarmDescription": "AlarmDescription",
    "comparisonOperator": "ComparisonOperator",
    "datapointsToAlarm": "DatapointsToAlarm",
    "evaluateLowSampleCountPercentiles": "EvaluateLowSampleCountPercentile",
    "evaluationPeriods": "EvaluationPeriods",
    "extendedStatistic": "ExtendedStatistic",
    "metricName": "MetricName",
    "name": "AlarmName",
    "namespace": "Namespace",
    "period": "Period",
    "statistic": "Statistic",
    "threshold": "Threshold",
    "thresholdMetricId": "ThresholdMetricId",
    "unit": "Unit",
}
_ACTIONS = {
    "alarmActions": "AlarmActions",
    "insufficientDataActions": "InsufficientDataActions",
    "okActions": "OKActions",
}


def _find(name: str, answers: Answers) -> Row | Missing | Failed | More:
    """The alarm of exactly this name.

    AWS has no read of an alarm by name that would fail for a missing one: the search for it answers 200 and nothing.
    So what the tag index still names must have lost its tags as well.
    """
    direct = call("cloudwatch", "describe_alarms", "MetricAlarms", target=name, AlarmNames=[name])
    row, marks = answers.find(LISTING, "AlarmName", name, direct=direct), answers.get(TAG_INDEX)
    if isinstance(row, More):
        return together(row, marks)
    if not isinstance(row, Missing):
        return row
    if not isinstance(marks, Rows):
        return marks
    arn = next((m["ResourceARN"] for m in marks.rows if m["ResourceARN"].endswith(f":alarm:{name}")), None)
    if arn is None:
        return row
    tags = answers.get(_tags(arn, "ResourceNotFoundException"))
    if isinstance(tags, Missing):
        return row
    if isinstance(tags, Rows):
        return Failed(f"alarm {name} still has tags, but no listing has it") if tags.rows else row
    return tags


def _tags(arn: str, *absent: str) -> Read:
    return call("cloudwatch", "list_tags_for_resource", "Tags", absent=absent, target=arn, ResourceARN=arn)


def _see(declared: DeclaredResource, answers: Answers) -> Sight:
    """All inputs of a metric alarm, and ``stateValue`` (not a property of Pulumi's): OK, ALARM or INSUFFICIENT_DATA."""
    row = _find(declared.id, answers)
    if not isinstance(row, Mapping):
        return row
    arn = str(row["AlarmArn"])
    tags = live_tags(declared, answers, arn=arn, index=TAG_INDEX, direct=_tags(arn))
    if isinstance(tags, More):
        return tags
    found: dict[str, Value] = {name: row.get(key) for name, key in _PLAIN.items()}
    found |= {name: list(row.get(key, ())) for name, key in _ACTIONS.items()}
    return {
        **found,
        "dimensions": _dimensions(row),
        "treatMissingData": row.get("TreatMissingData", "missing"),
        "metricQueries": [_query(query) for query in row.get("Metrics", ())],
        "stateValue": row.get("StateValue"),
        **tags,
    }


def _dimensions(row: Row) -> dict[str, Value]:
    return {dimension["Name"]: dimension["Value"] for dimension in row.get("Dimensions", ())}


def _query(row: Row) -> dict[str, Value]:
    """One metric of a metric-math alarm. AWS returns the data of a query unless told not to; the provider does not."""
    found: dict[str, Value] = {
        "id": row["Id"],
        "accountId": row.get("AccountId"),
        "expression": row.get("Expression"),
        "label": row.get("Label"),
        "period": row.get("Period"),
        "returnData": row.get("ReturnData", True),
    }
    if stat := row.get("MetricStat"):
        metric = stat["Metric"]
        found["metric"] = {
            "metricName": metric.get("MetricName"),
            "namespace": metric.get("Namespace"),
            "dimensions": _dimensions(metric),
            "period": stat.get("Period"),
            "stat": stat.get("Stat"),
            "unit": stat.get("Unit"),
        }
    return found


def _locate(declared: DeclaredResource, answers: Answers) -> str | Missing | Failed | More:
    name = text(declared, "name")
    if name is None:
        return Failed("the alarm's name is not known")
    row = _find(name, answers)
    return name if isinstance(row, Mapping) else row


def _owned(answers: Answers) -> Iterable[Owned]:
    found = tagged(answers, TAG_INDEX, LISTING, lambda row: str(row["AlarmArn"]))
    return (Owned(str(row["AlarmName"]), owned.tags) for row, owned in found)


OBSERVERS: tuple[Observer, ...] = (
    Observer(
        kind=ResourceKind(
            "aws:cloudwatch/metricAlarm:MetricAlarm",
            unordered=frozenset({"alarmActions", "insufficientDataActions", "metricQueries", "okActions"}),
        ),
        reads=lambda declared: (LISTING, TAG_INDEX) if declared.id else (LISTING,),
        see=_see,
        permissions=("cloudwatch:DescribeAlarms", "cloudwatch:ListTagsForResource", "tag:GetResources"),
        locate=_locate,
        owned=_owned,
    ),
)

"""Metric alarms: one call sets everything but the tags of an alarm that exists."""

from __future__ import annotations

from sandbox.provider.aws import found, tag_list, tag_map
from sandbox.provider.diff import unordered
from sandbox.provider.table import Call, Kind, Name, tagger
from sandbox.provider.values import Properties

FIELDS = {
    "actionsEnabled": "ActionsEnabled",
    "alarmActions": "AlarmActions",
    "alarmDescription": "AlarmDescription",
    "comparisonOperator": "ComparisonOperator",
    "datapointsToAlarm": "DatapointsToAlarm",
    "evaluationPeriods": "EvaluationPeriods",
    "extendedStatistic": "ExtendedStatistic",
    "insufficientDataActions": "InsufficientDataActions",
    "metricName": "MetricName",
    "namespace": "Namespace",
    "okActions": "OKActions",
    "period": "Period",
    "statistic": "Statistic",
    "threshold": "Threshold",
    "treatMissingData": "TreatMissingData",
    "unit": "Unit",
}
ACTIONS = ("alarmActions", "okActions", "insufficientDataActions")

tags = tagger(
    lambda call, put: call.aws("cloudwatch").tag_resource(ResourceARN=call.old["arn"], Tags=tag_list(put)),
    lambda call, gone: call.aws("cloudwatch").untag_resource(ResourceARN=call.old["arn"], TagKeys=gone),
)


def put(call: Call) -> str:
    params = {theirs: call.new[ours] for ours, theirs in FIELDS.items() if call.new.get(ours) is not None}
    dimensions = tag_list(call.new.get("dimensions"), "Name", "Value")
    wanted = {"Tags": tag_list(call.new["tagsAll"])} if call.new["tagsAll"] and not call.old else {}
    call.aws("cloudwatch").put_metric_alarm(AlarmName=call.new["name"], Dimensions=dimensions, **params, **wanted)
    return str(call.new["name"])


def read(call: Call) -> Properties | None:
    cloudwatch = call.aws("cloudwatch")
    answer = cloudwatch.describe_alarms(AlarmNames=[call.id], AlarmTypes=["MetricAlarm"])
    if not answer["MetricAlarms"]:
        return None
    alarm = answer["MetricAlarms"][0]
    return {
        "arn": alarm["AlarmArn"],
        "name": call.id,
        "dimensions": {one["Name"]: one["Value"] for one in alarm.get("Dimensions", [])},
        **{ours: alarm[theirs] for ours, theirs in FIELDS.items() if theirs in alarm},
        "tags": tag_map(cloudwatch.list_tags_for_resource(ResourceARN=alarm["AlarmArn"]).get("Tags")),
    }


def delete(call: Call) -> None:
    found({"ResourceNotFound"}, call.aws("cloudwatch").delete_alarms, AlarmNames=[call.id])


KINDS = (
    Kind(
        type="aws:cloudwatch/metricAlarm:MetricAlarm",
        create=put,
        read=read,
        delete=delete,
        update=dict.fromkeys([*FIELDS, "dimensions"], put),
        fixed=frozenset({"name"}),
        defaults={"actionsEnabled": True, "treatMissingData": "missing"},
        name=Name(longest=255),
        tags=tags,
        emptied=frozenset({*ACTIONS, "alarmDescription", "unit", "datapointsToAlarm"}),
        canonical=dict.fromkeys(ACTIONS, unordered),
    ),
)

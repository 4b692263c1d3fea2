"""EventBridge's rules and targets, on the default bus."""

from __future__ import annotations

from typing import Any

from sandbox.provider.aws import found, tag_list, tag_map
from sandbox.provider.diff import document
from sandbox.provider.errors import ProviderError
from sandbox.provider.table import Call, Kind, Name, tagger
from sandbox.provider.values import Properties

GONE = {"ResourceNotFoundException"}
RULE = {
    "description": "Description",
    "eventPattern": "EventPattern",
    "scheduleExpression": "ScheduleExpression",
    "state": "State",
}
TARGET = {"arn": "Arn", "input": "Input", "inputPath": "InputPath", "roleArn": "RoleArn"}

tags = tagger(
    lambda call, put: call.aws("events").tag_resource(ResourceARN=call.old["arn"], Tags=tag_list(put)),
    lambda call, gone: call.aws("events").untag_resource(ResourceARN=call.old["arn"], TagKeys=gone),
)


def put_rule(call: Call) -> str:
    """Sets all of a rule but its tags, which count only when it is new."""
    params = {theirs: call.new[ours] for ours, theirs in RULE.items() if call.new.get(ours)}
    if call.new["tagsAll"] and not call.old:
        params["Tags"] = tag_list(call.new["tagsAll"])
    call.aws("events").put_rule(Name=call.new["name"], **params)
    return str(call.new["name"])


def read_rule(call: Call) -> Properties | None:
    events = call.aws("events")
    rule = found(GONE, events.describe_rule, Name=call.id)
    if rule is None:
        return None
    return {
        "arn": rule["Arn"],
        "name": rule["Name"],
        "namePrefix": "",
        "eventBusName": rule.get("EventBusName", "default"),
        "isEnabled": rule["State"] == "ENABLED",
        "roleArn": "",
        **{ours: rule.get(theirs, "") for ours, theirs in RULE.items()},
        "tags": tag_map(events.list_tags_for_resource(ResourceARN=rule["Arn"])["Tags"]),
    }


def delete_rule(call: Call) -> None:
    found(GONE, call.aws("events").delete_rule, Name=call.id)


def put_target(call: Call) -> str:
    events, rule, id_ = call.aws("events"), call.new["rule"], call.new["targetId"]
    params: dict[str, Any] = {theirs: call.new[ours] for ours, theirs in TARGET.items() if call.new.get(ours)}
    answer = events.put_targets(Rule=rule, Targets=[{"Id": id_, **params}])
    if answer.get("FailedEntryCount"):
        raise ProviderError(f"EventBridge did not take the target: {answer['FailedEntries']}", where=f"{rule}-{id_}")
    return f"{rule}-{id_}"


def read_target(call: Call) -> Properties | None:
    rule, id_ = _parts(call)
    answer = found(GONE, call.aws("events").list_targets_by_rule, Rule=rule)
    target = next((t for t in (answer["Targets"] if answer else ()) if t["Id"] == id_), None)
    if target is None:
        return None
    named = {ours: target.get(theirs, "") for ours, theirs in TARGET.items()}
    return {"rule": rule, "targetId": id_, "eventBusName": "default", **named}


def delete_target(call: Call) -> None:
    rule, id_ = _parts(call)
    found(GONE, call.aws("events").remove_targets, Rule=rule, Ids=[id_])


def _parts(call: Call) -> tuple[str, str]:
    """Rule and target. The id joins them by a dash, which both may hold; one that is imported is cut at the last."""
    given = call.old or call.new
    rule, _, id_ = call.id.rpartition("-")
    return str(given.get("rule") or rule), str(given.get("targetId") or id_)


KINDS = (
    Kind(
        type="aws:cloudwatch/eventRule:EventRule",
        create=put_rule,
        read=read_rule,
        delete=delete_rule,
        update=dict.fromkeys(RULE, put_rule),
        fixed=frozenset({"name"}),
        echoed=frozenset({"forceDestroy"}),
        defaults={"eventBusName": "default"},
        name=Name(longest=64),
        tags=tags,
        emptied=frozenset({"description"}),
        canonical={"eventPattern": document},
    ),
    Kind(
        type="aws:cloudwatch/eventTarget:EventTarget",
        create=put_target,
        read=read_target,
        delete=delete_target,
        update=dict.fromkeys(TARGET, put_target),
        fixed=frozenset({"rule", "targetId"}),
        echoed=frozenset({"forceDestroy"}),
        defaults={"eventBusName": "default"},
        outputs=(),
        emptied=frozenset({"input", "inputPath", "roleArn"}),
    ),
)

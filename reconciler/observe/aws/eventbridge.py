"""How EventBridge's rules and their targets are seen: what is let through, and where it goes."""

from __future__ import annotations

from collections.abc import Mapping

from reconciler.model import DeclaredResource, ResourceKind, Value
from reconciler.observe.aws._common import call, json_text, live_tags, tag_index, text
from reconciler.observe.reads import Answers, Failed, Missing, More, Observer, Read, Row, Rows, Sight

DEFAULT_BUS = "default"
TAG_INDEX = tag_index("events")
_GONE = ("ResourceNotFoundException",)


def _bus(declared: DeclaredResource) -> str:
    return text(declared, "eventBusName") or DEFAULT_BUS


def listing(bus: str = DEFAULT_BUS) -> Read:
    """All rules of one bus."""
    return call("events", "list_rules", "Rules", EventBusName=bus)


def _find_rule(name: str, bus: str, answers: Answers) -> Row | Missing | Failed | More:
    direct = call("events", "describe_rule", absent=_GONE, target=name, Name=name, EventBusName=bus)
    return answers.find(listing(bus), "Name", name, direct=direct)


# --- rules -------------------------------------------------------------------------------------------------


def _name(declared: DeclaredResource) -> str:
    """The id is the rule's name, behind its bus's where that is not the default one."""
    return declared.id.rpartition("/")[2]


def _see_rule(declared: DeclaredResource, answers: Answers) -> Sight:
    row = _find_rule(_name(declared), _bus(declared), answers)
    if not isinstance(row, Mapping):
        return row
    arn = str(row["Arn"])
    tags = live_tags(
        declared,
        answers,
        arn=arn,
        index=TAG_INDEX,
        direct=call("events", "list_tags_for_resource", "Tags", target=arn, ResourceARN=arn),
    )
    if isinstance(tags, More):
        return tags
    pattern = row.get("EventPattern")
    return {
        "name": row["Name"],
        "description": row.get("Description"),
        "eventBusName": row.get("EventBusName", DEFAULT_BUS),
        "eventPattern": json_text(pattern) if pattern else None,
        "isEnabled": row.get("State") != "DISABLED",
        "roleArn": row.get("RoleArn"),
        "scheduleExpression": row.get("ScheduleExpression"),
        "state": row.get("State"),
        **tags,
    }


def _locate_rule(declared: DeclaredResource, answers: Answers) -> str | Missing | Failed | More:
    name, bus = text(declared, "name"), _bus(declared)
    if name is None:
        return Failed("the rule's name is not known")
    row = _find_rule(name, bus, answers)
    if not isinstance(row, Mapping):
        return row
    return name if bus == DEFAULT_BUS else f"{bus}/{name}"


# --- targets -----------------------------------------------------------------------------------------------


def _targets(rule: str, bus: str) -> Read:
    return call("events", "list_targets_by_rule", "Targets", absent=_GONE, target=rule, Rule=rule, EventBusName=bus)


def _target_reads(declared: DeclaredResource) -> tuple[Read, ...]:
    rule = text(declared, "rule")
    return (_targets(rule, _bus(declared)),) if rule else ()


def _find_target(declared: DeclaredResource, answers: Answers) -> Row | Missing | Failed | More:
    """The target of this id. AWS has no read of one target, but one of the rules that have a target.

    So it is gone if the rule's complete listing lacks it, and no other target of the rule explains that AWS still
    names the rule for what it was to reach; or if the rule is gone.
    """
    rule, id_, arn, bus = text(declared, "rule"), text(declared, "targetId"), text(declared, "arn"), _bus(declared)
    if rule is None or id_ is None or arn is None:
        return Failed("the target's rule, id or address is not known")
    answer = answers.get(_targets(rule, bus))
    if isinstance(answer, Missing):
        owner = _find_rule(rule, bus, answers)
        return Failed(f"{answer.how}, but the rule is there") if isinstance(owner, Mapping) else owner
    if not isinstance(answer, Rows):
        return answer
    row = next((target for target in answer.rows if target["Id"] == id_), None)
    if row is not None:
        return row
    missing = Missing(f"events:ListTargetsByRule has no {id_} for {rule}")
    if any(target["Arn"] == arn for target in answer.rows):
        return missing
    named = answers.get(_rules_for(arn, bus))
    if not isinstance(named, Rows):
        return named
    if any(one["Name"] == rule for one in named.rows):
        return Failed(f"events:ListRuleNamesByTarget still names {rule} for {arn}")
    return missing


def _rules_for(arn: str, bus: str) -> Read:
    return call(
        "events", "list_rule_names_by_target", "RuleNames[].{Name: @}", target=arn, TargetArn=arn, EventBusName=bus
    )


def _see_target(declared: DeclaredResource, answers: Answers) -> Sight:
    """The settings of any target, and those of queues; settings of other kinds of target are not seen."""
    row = _find_target(declared, answers)
    if not isinstance(row, Mapping):
        return row
    letters, retry, group = row.get("DeadLetterConfig"), row.get("RetryPolicy"), row.get("SqsParameters")
    transformer = row.get("InputTransformer")
    found: dict[str, Value] = {
        "targetId": row["Id"],
        "rule": declared.inputs["rule"],
        "eventBusName": _bus(declared),
        "arn": row["Arn"],
        "input": row.get("Input"),
        "inputPath": row.get("InputPath"),
        "roleArn": row.get("RoleArn"),
        "deadLetterConfig": {"arn": letters.get("Arn")} if letters else None,
        "retryPolicy": _retry(retry) if retry else None,
        "sqsTarget": {"messageGroupId": group.get("MessageGroupId")} if group else None,
        "inputTransformer": _transformer(transformer) if transformer else None,
    }
    return found


def _retry(row: Row) -> dict[str, Value]:
    return {
        "maximumEventAgeInSeconds": row.get("MaximumEventAgeInSeconds"),
        "maximumRetryAttempts": row.get("MaximumRetryAttempts"),
    }


def _transformer(row: Row) -> dict[str, Value]:
    return {"inputPaths": row.get("InputPathsMap"), "inputTemplate": row.get("InputTemplate")}


def _locate_target(declared: DeclaredResource, answers: Answers) -> str | Missing | Failed | More:
    row = _find_target(declared, answers)
    if not isinstance(row, Mapping):
        return row
    bus = _bus(declared)
    rule = f"{declared.inputs['rule']}-{row['Id']}"
    return rule if bus == DEFAULT_BUS else f"{bus}-{rule}"


OBSERVERS: tuple[Observer, ...] = (
    Observer(
        kind=ResourceKind(
            "aws:cloudwatch/eventRule:EventRule",
            documents=frozenset({"eventPattern"}),
            write_only=frozenset({"forceDestroy", "namePrefix"}),
            references=frozenset({"eventBusName"}),
        ),
        reads=lambda declared: (listing(_bus(declared)), TAG_INDEX),
        see=_see_rule,
        permissions=("events:DescribeRule", "events:ListRules", "events:ListTagsForResource", "tag:GetResources"),
        locate=_locate_rule,
    ),
    Observer(
        kind=ResourceKind(
            "aws:cloudwatch/eventTarget:EventTarget",
            documents=frozenset({"input"}),
            write_only=frozenset({"forceDestroy"}),
        ),
        reads=_target_reads,
        see=_see_target,
        permissions=(
            "events:DescribeRule",
            "events:ListRuleNamesByTarget",
            "events:ListRules",
            "events:ListTargetsByRule",
        ),
        locate=_locate_target,
    ),
)

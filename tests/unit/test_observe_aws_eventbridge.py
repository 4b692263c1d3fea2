"""Rules and targets of EventBridge, seen through hand-made answers."""

from __future__ import annotations

import json
from typing import Any

import pytest

from reconciler.observe.aws.eventbridge import OBSERVERS
from reconciler.observe.reads import Answer, Failed, Missing
from tenancy.events import pattern
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

RULE, TARGET = OBSERVERS

NAME = "stackmend-events-dev"
ARN = f"arn:aws:events:{REGION}:{ACCOUNT}:rule/{NAME}"
QUEUE = f"arn:aws:sqs:{REGION}:{ACCOUNT}:{NAME}"
ROW = {
    "Name": NAME,
    "Arn": ARN,
    "Description": "changes",
    "State": "ENABLED",
    "EventBusName": "default",
    "EventPattern": json.dumps(json.loads(pattern()), indent=1),
}
AIM = {"Id": "queue", "Arn": QUEUE}
DECLARED = resource(
    RULE.kind.token,
    NAME,
    {
        "name": NAME,
        "description": "changes",
        "state": "ENABLED",
        "eventBusName": "default",
        "eventPattern": pattern(),
        "region": REGION,
        "tags": TAGS,
        "tagsAll": TAGS,
    },
)
AIMED = resource(
    TARGET.kind.token,
    f"{NAME}-queue",
    {"rule": NAME, "targetId": "queue", "arn": QUEUE, "eventBusName": "default", "region": REGION},
)
GONE = Missing("ResourceNotFoundException: Rule does not exist.")
WORLD = World(
    {
        "list_rules": rows(ROW),
        "get_resources": marks((ARN, TAGS)),
        "list_targets_by_rule": rows(AIM),
        "list_rule_names_by_target": rows(),
    }
)


def test_a_rule_as_declared() -> None:
    """Untouched, a rule and its target equal their declarations, whatever the spelling of the pattern."""
    assert WORLD.drift(RULE, DECLARED) == []
    assert WORLD.drift(TARGET, AIMED) == []


@pytest.mark.parametrize(
    ("row", "drift"),
    [
        ({**ROW, "State": "DISABLED"}, ["state"]),
        ({**ROW, "EventPattern": '{"source": ["aws.s3"]}'}, ["eventPattern"]),
        ({k: v for k, v in ROW.items() if k != "EventPattern"}, ["eventPattern"]),
        ({k: v for k, v in ROW.items() if k != "Description"}, ["description"]),
        ({**ROW, "EventPattern": "{"}, ["eventPattern"]),
    ],
    ids=["disabled", "lets less through", "no pattern", "no description", "half a pattern"],
)
def test_changed_rules_are_drift(row: dict[str, Any], drift: list[str]) -> None:
    """Each setting of a rule shows under its own name."""
    assert WORLD.but(list_rules=rows(row)).drift(RULE, DECLARED) == drift


def test_half_a_pattern_is_unreadable() -> None:
    """F16: a pattern that is no JSON was not read, so it did not change."""
    world = WORLD.but(list_rules=rows({**ROW, "EventPattern": "{"}))
    assert unreadable(world.properties(RULE, DECLARED)) == {"eventPattern"}


@pytest.mark.parametrize(
    ("answers", "sight"),
    [
        ({"list_rules": DENIED, "describe_rule": GONE}, DENIED),
        ({"list_rules": THROTTLED, "describe_rule": GONE}, THROTTLED),
        ({"list_rules": rows(), "describe_rule": DENIED}, DENIED),
        ({"list_rules": rows(), "describe_rule": GONE}, GONE),
    ],
    ids=["listing denied", "listing throttled", "rule denied", "both agree"],
)
def test_the_absence_of_a_rule(answers: dict[str, Answer], sight: Answer) -> None:
    """I06 F01 F10 F15: a whole listing without it, and AWS's own word for just this rule; its target goes with it."""
    world = WORLD.told({**answers, "list_targets_by_rule": GONE})
    assert world.see(RULE, DECLARED) == sight
    assert world.locate(RULE, resource(RULE.kind.token, "", {"name": NAME})) == sight
    assert world.see(TARGET, AIMED) == sight
    assert not {code for read in world.asked for code in read.absent} & GENERIC


def test_an_empty_listing_is_contradicted() -> None:
    """F15: a rule that the listing lacks and that answers for itself is there."""
    assert WORLD.told({"list_rules": rows(), "describe_rule": rows(ROW)}).drift(RULE, DECLARED) == []


@pytest.mark.parametrize(
    ("targets", "drift"),
    [
        ({**AIM, "Arn": QUEUE.replace(ACCOUNT, "999999999999")}, ["arn"]),
        ({**AIM, "Input": "{}", "DeadLetterConfig": {"Arn": "arn:x"}}, []),
    ],
    ids=["to somebody else", "what nobody declared"],
)
def test_changed_targets(targets: dict[str, Any], drift: list[str]) -> None:
    """Events that go elsewhere are drift."""
    assert WORLD.but(list_targets_by_rule=rows(targets)).drift(TARGET, AIMED) == drift


def test_what_a_target_may_declare_besides() -> None:
    """Retries, dead letters, message groups and transformations compare with what AWS calls them."""
    more = {
        "DeadLetterConfig": {"Arn": "arn:dead"},
        "RetryPolicy": {"MaximumRetryAttempts": 3, "MaximumEventAgeInSeconds": 600},
        "SqsParameters": {"MessageGroupId": "g"},
        "InputTransformer": {"InputPathsMap": {"a": "$.a"}, "InputTemplate": '"<a>"'},
    }
    inputs = {
        **AIMED.inputs,
        "deadLetterConfig": {"arn": "arn:dead"},
        "retryPolicy": {"maximumRetryAttempts": 3, "maximumEventAgeInSeconds": 600},
        "sqsTarget": {"messageGroupId": "g"},
        "inputTransformer": {"inputPaths": {"a": "$.a"}, "inputTemplate": '"<a>"'},
    }
    declared = resource(TARGET.kind.token, AIMED.id, inputs)
    assert WORLD.but(list_targets_by_rule=rows({**AIM, **more})).drift(TARGET, declared) == []
    assert WORLD.drift(TARGET, declared) == ["deadLetterConfig", "retryPolicy", "sqsTarget", "inputTransformer"]


@pytest.mark.parametrize(
    ("targets", "named", "missing"),
    [
        (rows(), rows(), True),
        (rows(), rows({"Name": f"{NAME}-2"}), True),
        (rows({"Id": "other", "Arn": QUEUE}), rows({"Name": NAME}), True),
        (rows(), rows({"Name": NAME}), False),
        (rows(), DENIED, False),
        (DENIED, rows(), False),
        (GONE, rows(), False),
    ],
    ids=["both agree", "another rule", "under another id", "still named", "denied", "listing denied", "rule is there"],
)
def test_the_absence_of_a_target(targets: Answer, named: Answer, missing: bool) -> None:
    """I06 F08 F10: the rule's targets lack it, and AWS does not name the rule for what it was to reach."""
    world = WORLD.but(list_targets_by_rule=targets, list_rule_names_by_target=named)
    assert isinstance(world.see(TARGET, AIMED), Missing if missing else Failed)
    pending = resource(TARGET.kind.token, "", AIMED.inputs)
    assert isinstance(world.locate(TARGET, pending), Missing if missing else Failed)


def test_rules_of_another_bus() -> None:
    """A rule is looked for on its own bus, whose name stands before its own in the id; so it does for a target."""
    inputs = {**DECLARED.inputs, "eventBusName": "shared"}
    world = WORLD.but(list_rules=rows({**ROW, "EventBusName": "shared"}))
    assert world.drift(RULE, resource(RULE.kind.token, f"shared/{NAME}", inputs)) == []
    assert world.locate(RULE, resource(RULE.kind.token, "", inputs)) == f"shared/{NAME}"
    aimed = {**AIMED.inputs, "eventBusName": "shared"}
    assert world.locate(TARGET, resource(TARGET.kind.token, "", aimed)) == f"shared-{NAME}-queue"
    buses = {value for read in world.asked for name, value in read.params if name == "EventBusName"}
    assert buses == {"shared"}


def test_tags_are_believed_only_when_read_directly() -> None:
    """F08 F10 F15: the tag index may confirm what was declared; only the rule itself shows changed or lost tags."""
    lost = WORLD.but(get_resources=marks())
    for answer, drift in (rows(*pairs({**TAGS, "aws:by": "x"})), []), (rows(), ["tags"]):
        assert lost.but(list_tags_for_resource=answer).drift(RULE, DECLARED) == drift
    assert unreadable(lost.but(list_tags_for_resource=DENIED).properties(RULE, DECLARED)) == {"tags"}


def test_locating_what_was_cut_off() -> None:
    """F42: a rule is found by its name, a target by its rule and id; without them nothing is said."""
    assert WORLD.locate(RULE, resource(RULE.kind.token, "", {"name": NAME})) == NAME
    assert WORLD.locate(TARGET, resource(TARGET.kind.token, "", AIMED.inputs)) == f"{NAME}-queue"
    assert isinstance(WORLD.locate(RULE, resource(RULE.kind.token, "", {})), Failed)
    assert isinstance(WORLD.locate(TARGET, resource(TARGET.kind.token, "", {"rule": NAME})), Failed)


def test_property_names_are_the_sdks() -> None:
    """Every property the observers answer or describe is one the Pulumi SDK has for the type."""
    for observer, declared in ((RULE, DECLARED), (TARGET, AIMED)):
        answered = set(WORLD.properties(observer, declared))
        assert answered | named_in(observer) <= sdk_properties(observer.kind.token)

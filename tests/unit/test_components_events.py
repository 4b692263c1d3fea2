"""The resources of a cell's queue of change events, as the program asks the engine for them."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from reconciler.events.receiver import HIDDEN_SECONDS
from tenancy.events import pattern
from tests.unit.components_recorder import Recorder, record

DOCUMENTATION = Path(__file__).parents[2] / "docs" / "events.md"


@pytest.fixture(scope="module")
def world() -> Recorder:
    def program() -> None:
        from components.events import ChangeEvents, ChangeEventsArgs

        ChangeEvents("events", ChangeEventsArgs(cell="prod-eu-1", owner="platform"))

    return record(program, stack="prod-eu-1")


def test_every_resource_of_the_contract_is_registered_and_nothing_else(world: Recorder) -> None:
    """Types and logical names are a contract, and all hang from the component, which no tenant is above."""
    assert set(world.resources) == {
        ("stackmend:index:ChangeEvents", "events"),
        ("aws:sqs/queue:Queue", "events-queue"),
        ("aws:sqs/queue:Queue", "events-dead-letters"),
        ("aws:sqs/queuePolicy:QueuePolicy", "events-queue-policy"),
        ("aws:cloudwatch/eventRule:EventRule", "events-rule"),
        ("aws:cloudwatch/eventTarget:EventTarget", "events-target"),
    }
    parents = {r.parent for (kind, _), r in world.resources.items() if not kind.startswith("stackmend:")}
    assert parents == {"events"}
    assert world.resources["stackmend:index:ChangeEvents", "events"].parent == ""


def test_it_says_that_it_is_the_cells_and_no_tenants(world: Recorder) -> None:
    """What takes tags names the cell and who looks after it, and claims no tenant."""
    tagged = {name: r.inputs["tags"] for (_, name), r in world.resources.items() if "tags" in r.inputs}
    assert tagged == {
        name: {"Name": name, "stackmend:cell": "prod-eu-1", "stackmend:owner": "platform"}
        for name in ("events-queue", "events-dead-letters", "events-rule")
    }


def test_the_queues_are_encrypted_and_named_after_the_cell(world: Recorder) -> None:
    """SSE-SQS on both, times in seconds, and names from which the URL is known before the queue is made."""
    queue = dict(world.one("sqs/queue:Queue", "events-queue"))
    assert json.loads(queue.pop("redrivePolicy")) == {
        "deadLetterTargetArn": "arn:of:events-dead-letters",
        "maxReceiveCount": 10,
    }
    del queue["tags"]
    assert queue == {
        "name": "stackmend-events-prod-eu-1",
        "messageRetentionSeconds": 3600,
        "visibilityTimeoutSeconds": 900,
        "sqsManagedSseEnabled": True,
    }
    letters = world.one("sqs/queue:Queue", "events-dead-letters")
    assert (letters["name"], letters["sqsManagedSseEnabled"]) == ("stackmend-dead-events-prod-eu-1", True)
    # A message is as old in the dead-letter queue as it was before.
    assert letters["messageRetentionSeconds"] > queue["messageRetentionSeconds"]
    assert queue["visibilityTimeoutSeconds"] == HIDDEN_SECONDS


def test_only_eventbridge_sends_for_the_rule_and_only_over_tls(world: Recorder) -> None:
    """The policy allows one service one action for one rule, and denies what comes without TLS."""
    found = world.one("sqs/queuePolicy:QueuePolicy", "events-queue-policy")
    policy = json.loads(found["policy"])
    assert policy["Version"] == "2012-10-17"
    (allowed,) = [s for s in policy["Statement"] if s["Effect"] == "Allow"]
    (denied,) = [s for s in policy["Statement"] if s["Effect"] == "Deny"]
    assert (allowed["Principal"], allowed["Action"]) == ({"Service": "events.amazonaws.com"}, "sqs:SendMessage")
    assert allowed["Condition"] == {"ArnEquals": {"aws:SourceArn": "arn:of:events-rule"}}
    assert (denied["Principal"], denied["Action"]) == ("*", "sqs:*")
    assert denied["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    assert {s["Resource"] for s in policy["Statement"]} == {"arn:of:events-queue"}


def test_the_rule_sends_to_the_queue_once_it_may(world: Recorder) -> None:
    """The target is the queue, and is set when the policy lets events in."""
    rule = world.one("cloudwatch/eventRule:EventRule", "events-rule")
    assert (rule["name"], rule["state"]) == ("stackmend-events-prod-eu-1", "ENABLED")
    assert rule["eventPattern"] == pattern()
    target = world.resources["aws:cloudwatch/eventTarget:EventTarget", "events-target"]
    assert (target.inputs["rule"], target.inputs["arn"]) == (rule["name"], "arn:of:events-queue")
    assert ("aws:sqs/queuePolicy:QueuePolicy", "events-queue-policy") in target.depends_on


def test_the_documentation_shows_the_same_pattern() -> None:
    """Who sets the queue up by hand gets the pattern that the component has, and the same name of each queue."""
    text = DOCUMENTATION.read_text()
    (shown,) = re.findall(r"```json\n(.*?)```", text, re.DOTALL)
    document: Any = json.loads(shown)
    assert document == json.loads(pattern())
    assert "`stackmend-events-CELL`" in text
    assert "`stackmend-dead-events-CELL`" in text

"""Queues and their policies, seen through hand-made answers."""

from __future__ import annotations

import json

import pytest

from reconciler.observe.aws.sqs import OBSERVERS
from reconciler.observe.reads import Answer, Failed, Missing, Read
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
    resource,
    rows,
    sdk_properties,
    unreadable,
)

QUEUE, POLICY = OBSERVERS

NAME = "stackmend-events-dev"
URL = f"https://sqs.{REGION}.amazonaws.com/{ACCOUNT}/{NAME}"
ARN = f"arn:aws:sqs:{REGION}:{ACCOUNT}:{NAME}"
DEAD = f"arn:aws:sqs:{REGION}:{ACCOUNT}:stackmend-dead-events-dev"
SENDER = {"Effect": "Allow", "Principal": {"Service": "events.amazonaws.com"}, "Action": "sqs:SendMessage"}
SAID = {"Version": "2012-10-17", "Statement": [{**SENDER, "Resource": ARN}]}
OPEN = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": "*", "Action": "*", "Resource": ARN}]}
ROW = {
    "QueueArn": ARN,
    "ApproximateNumberOfMessages": "7",
    "DelaySeconds": "0",
    "MaximumMessageSize": "262144",
    "MessageRetentionPeriod": "3600",
    "VisibilityTimeout": "900",
    "ReceiveMessageWaitTimeSeconds": "0",
    "SqsManagedSseEnabled": "true",
    "RedrivePolicy": json.dumps({"maxReceiveCount": 10, "deadLetterTargetArn": DEAD}, separators=(",", ":")),
    "Policy": json.dumps(SAID),
}
DECLARED = resource(
    QUEUE.kind.token,
    URL,
    {
        "name": NAME,
        "maxMessageSize": 262144,
        "messageRetentionSeconds": 3600,
        "visibilityTimeoutSeconds": 900,
        "sqsManagedSseEnabled": True,
        "redrivePolicy": json.dumps({"deadLetterTargetArn": DEAD, "maxReceiveCount": 10}),
        "region": REGION,
        "tags": TAGS,
        "tagsAll": TAGS,
    },
)
DECLARED_POLICY = resource(POLICY.kind.token, URL, {"queueUrl": URL, "policy": json.dumps(SAID, indent=1)})

LISTED = rows({"QueueUrl": f"{URL}-2"}, {"QueueUrl": URL.replace(NAME, f"my-{NAME}")})
GONE = Missing("AWS.SimpleQueueService.NonExistentQueue: The specified queue does not exist.")


def attributes(**changed: str | None) -> Answer:
    row = {**ROW, **changed}
    return rows({"Attributes": {name: value for name, value in row.items() if value is not None}})


WORLD = World({"get_queue_attributes": attributes(), "get_resources": marks((ARN, TAGS)), "list_queues": LISTED})


def test_a_queue_as_declared() -> None:
    """Untouched, a queue and its policy equal their declarations, however AWS spells them, by one read of settings."""
    assert WORLD.drift(QUEUE, DECLARED) == []
    assert WORLD.drift(POLICY, DECLARED_POLICY) == []
    assert set(POLICY.reads(DECLARED_POLICY)) < set(QUEUE.reads(DECLARED))
    assert {read.operation for read in WORLD.asked} == {"get_queue_attributes", "get_resources"}


@pytest.mark.parametrize(
    ("changed", "drift"),
    [
        ({"VisibilityTimeout": "1"}, ["visibilityTimeoutSeconds"]),
        ({"MessageRetentionPeriod": "60"}, ["messageRetentionSeconds"]),
        ({"SqsManagedSseEnabled": "false"}, ["sqsManagedSseEnabled"]),
        ({"SqsManagedSseEnabled": None, "KmsMasterKeyId": "alias/mine"}, ["sqsManagedSseEnabled"]),
        ({"RedrivePolicy": None}, ["redrivePolicy"]),
        ({"RedrivePolicy": ROW["RedrivePolicy"].replace("10", "1000")}, ["redrivePolicy"]),
        ({"ApproximateNumberOfMessages": "0", "Policy": json.dumps(OPEN)}, []),
    ],
)
def test_changed_settings_are_drift(changed: dict[str, str | None], drift: list[str]) -> None:
    """Each setting shows under its own name; how many messages there are, and a policy of its own, are none of it."""
    assert WORLD.but(get_queue_attributes=attributes(**changed)).drift(QUEUE, DECLARED) == drift


@pytest.mark.parametrize(
    ("name", "declared", "live", "drift"),
    [
        ("redrivePolicy", {"maxReceiveCount": "4", "deadLetterTargetArn": DEAD}, {"maxReceiveCount": 4}, False),
        ("redrivePolicy", {"maxReceiveCount": "4", "deadLetterTargetArn": DEAD}, {"maxReceiveCount": 5}, True),
        ("redrivePolicy", {"maxReceiveCount": 4, "deadLetterTargetArn": ARN}, {"maxReceiveCount": 4}, True),
        ("redriveAllowPolicy", {"sourceQueueArns": ["b", "a"]}, {"sourceQueueArns": ["a", "b"]}, False),
        ("redriveAllowPolicy", {"sourceQueueArns": ["b", "a"]}, {"sourceQueueArns": ["a", "b", "c"]}, True),
        ("redriveAllowPolicy", {"redrivePermission": "denyAll"}, {"redrivePermission": "allowAll"}, True),
    ],
)
def test_redrive_documents_by_meaning(
    name: str, declared: dict[str, object], live: dict[str, object], drift: bool
) -> None:
    """A count may be a text and the source queues have no order; another count, queue or permission is drift."""
    key = name[:1].upper() + name[1:]
    answered = {"deadLetterTargetArn": DEAD, **live} if name == "redrivePolicy" else live
    queue = resource(QUEUE.kind.token, URL, {**DECLARED.inputs, name: json.dumps(declared)})
    world = WORLD.but(get_queue_attributes=attributes(**{key: json.dumps(answered)}))
    assert world.drift(QUEUE, queue) == ([name] if drift else [])


def test_an_opened_queue_is_drift_of_its_policy() -> None:
    """What somebody else was allowed shows on the policy, and only there."""
    assert WORLD.but(get_queue_attributes=attributes(Policy=json.dumps(OPEN))).drift(POLICY, DECLARED_POLICY) == [
        "policy"
    ]


@pytest.mark.parametrize(
    ("answers", "sight"),
    [
        ({"get_queue_attributes": DENIED}, DENIED),
        ({"get_queue_attributes": THROTTLED}, THROTTLED),
        ({"get_queue_attributes": GONE, "list_queues": DENIED}, DENIED),
        ({"get_queue_attributes": GONE, "list_queues": LISTED}, GONE),
        ({"get_queue_attributes": GONE, "list_queues": rows()}, GONE),
    ],
    ids=["denied", "throttled", "listing denied", "others are listed", "none is listed"],
)
def test_the_absence_of_a_queue(answers: dict[str, Answer], sight: Answer) -> None:
    """I06 F01 F10: it takes the word of AWS for just this queue, and a whole listing without it."""
    world = WORLD.told(answers)
    assert world.see(QUEUE, DECLARED) == sight
    assert world.see(POLICY, DECLARED_POLICY) == sight
    absent = {code for read in world.asked for code in read.absent}
    assert absent == {"AWS.SimpleQueueService.NonExistentQueue", "QueueDoesNotExist"}
    assert not absent & GENERIC


def test_a_queue_that_is_still_listed_is_not_missing() -> None:
    """F08: what one answer says is gone and the other has, under whatever host, is neither present nor absent."""
    for url in (URL, f"https://{REGION}.queue.amazonaws.com/{ACCOUNT}/{NAME}"):
        world = WORLD.told({"get_queue_attributes": GONE, "list_queues": rows({"QueueUrl": url})})
        assert isinstance(world.see(QUEUE, DECLARED), Failed)
        assert isinstance(world.see(POLICY, DECLARED_POLICY), Failed)


@pytest.mark.parametrize("answer", [rows(), rows({}), rows({"Attributes": {}}), rows({"Attributes": {"Policy": "{}"}})])
def test_half_an_answer_is_none(answer: Answer) -> None:
    """F16: settings without the queue's ARN are not those of a queue; nothing is said, least of all that it is gone."""
    world = WORLD.but(get_queue_attributes=answer)
    assert isinstance(world.see(QUEUE, DECLARED), Failed)
    assert isinstance(world.see(POLICY, DECLARED_POLICY), Failed)


def test_a_policy_is_missing_when_two_answers_lack_it() -> None:
    """I06: AWS has no error for a queue without a policy, so it is asked twice, in two ways, and each must be whole."""
    without = attributes(Policy=None)
    world = WORLD.but(get_queue_attributes=without)
    assert isinstance(world.see(POLICY, DECLARED_POLICY), Missing)
    assert len({read.params for read in world.asked}) == 2
    assert world.drift(QUEUE, DECLARED) == []


@pytest.mark.parametrize("second", [DENIED, rows({}), attributes()])
def test_a_policy_that_one_answer_lacks_is_not_missing(second: Answer) -> None:
    """I06: the second answer decides, and a failed one decides nothing."""
    answers = iter([attributes(Policy=None), second])

    class Changing(World):
        def answer(self, read: Read) -> Answer:
            self.asked.append(read)
            return next(answers)

    assert not isinstance(Changing({}).see(POLICY, DECLARED_POLICY), Missing)


def test_tags_are_believed_only_when_read_directly() -> None:
    """F08 F10 F15: the tag index may confirm what was declared; only the queue itself shows changed or lost tags."""
    lost = WORLD.but(get_resources=marks())
    for answer, drift in ({"Tags": TAGS}, []), ({"Tags": {**TAGS, "more": "1"}}, ["tags"]), ({}, ["tags"]):
        assert lost.but(list_queue_tags=rows(answer)).drift(QUEUE, DECLARED) == drift
    for unknown in (DENIED, rows()):
        assert unreadable(lost.but(list_queue_tags=unknown).properties(QUEUE, DECLARED)) == {"tags"}


def test_a_number_that_is_none_is_not_read() -> None:
    """F16: a setting in another form than documented is unreadable, not changed."""
    world = WORLD.but(get_queue_attributes=attributes(VisibilityTimeout="soon", Policy="{"))
    assert unreadable(world.properties(QUEUE, DECLARED)) == {"visibilityTimeoutSeconds", "policy"}


def test_locating_what_was_cut_off() -> None:
    """F42: a queue is found by its name, a policy by its queue; what is not there was not made."""
    pending = resource(QUEUE.kind.token, "", {"name": NAME})
    world = WORLD.but(get_queue_url=rows({"QueueUrl": URL}))
    assert world.locate(QUEUE, pending) == URL
    assert WORLD.but(get_queue_url=GONE).locate(QUEUE, pending) == GONE
    assert WORLD.but(get_queue_url=DENIED).locate(QUEUE, pending) == DENIED
    assert WORLD.but(get_queue_url=GONE, list_queues=DENIED).locate(QUEUE, pending) == DENIED
    listed = WORLD.but(get_queue_url=GONE, list_queues=rows({"QueueUrl": URL}))
    assert isinstance(listed.locate(QUEUE, pending), Failed)
    assert isinstance(WORLD.but(get_queue_url=rows({})).locate(QUEUE, pending), Failed)
    assert isinstance(WORLD.locate(QUEUE, resource(QUEUE.kind.token, "", {})), Failed)
    assert WORLD.locate(POLICY, resource(POLICY.kind.token, "", {"queueUrl": URL})) == URL
    assert isinstance(WORLD.locate(POLICY, resource(POLICY.kind.token, "", {})), Failed)


def test_property_names_are_the_sdks() -> None:
    """Every property the observers answer or describe is one the Pulumi SDK has for the type."""
    for observer, declared in ((QUEUE, DECLARED), (POLICY, DECLARED_POLICY)):
        answered = set(WORLD.properties(observer, declared))
        assert answered | named_in(observer) <= sdk_properties(observer.kind.token)

"""Messages: whatever bytes are in one, it is a change, nothing, or poison, and no content of it gets out."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.events.message import LARGEST_BYTES, Change, Ignored, Message, Poison, parse, spellings
from reconciler.events.records import DEEPEST, LONGEST_TEXT, MOST_TEXTS, attribution
from reconciler.model import Attribution
from tests.unit.events_worlds import INTRUDER, NOW, api_call, change, envelope

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)
FIELDS = st.sampled_from(sorted(api_call()))
DETAILS = st.sampled_from(sorted(api_call()["detail"]))


@given(st.binary() | st.text())
def test_any_bytes_are_one_of_three_things(body: bytes | str) -> None:
    """Whatever is in a message, parsing it raises nothing and gives a typed result (T13)."""
    assert isinstance(parse(body), get_args(Message))


@given(JSON)
def test_any_json_is_one_of_three_things(document: Any) -> None:
    """JSON of any shape raises nothing (T13)."""
    assert isinstance(parse(json.dumps(document)), get_args(Message))


@given(st.dictionaries(FIELDS, JSON), st.dictionaries(DETAILS, JSON))
def test_an_event_with_any_fields_replaced_is_one_of_three_things(fields: Any, details: Any) -> None:
    """An event of the right form with anything in its fields raises nothing, and what it keeps is short (T11, T13)."""
    event = api_call()
    message = parse(json.dumps({**event, "detail": {**event["detail"], **details}, **fields}))
    assert isinstance(message, get_args(Message))
    if isinstance(message, Change) and message.attribution is not None:
        kept = (message.attribution.principal, message.attribution.event, message.attribution.source_address)
        assert all(text.isprintable() and len(text) <= 2 * LONGEST_TEXT + 1 for text in kept)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("", "not JSON"),
        ("<xml/>", "not JSON"),
        (b"\xff\xfe", "not JSON"),
        ("[" * 100_000, "nests too deep"),
        ('{"detail":' * 50_000, "nests too deep"),
        (" " * (LARGEST_BYTES + 1), "too large"),
        ("null", "not an event"),
        ("[]", "not an event"),
        ("{}", "not an event"),
        ('{"detail": {}}', "not an event"),
        (json.dumps({**api_call(), "time": "yesterday"}), "not an event"),
        (json.dumps({**api_call(), "time": "0001-01-01T00:00:00+23:59"}), "not an event"),
        (json.dumps({**api_call(), "id": 7}), "not an event"),
        (json.dumps(api_call(parameters=["sg-1"] * (MOST_TEXTS + 1))), "too much in it"),
    ],
)
def test_poison_is_named_by_fixed_words(body: str | bytes, reason: str) -> None:
    """What is no event is refused with a reason that holds nothing of its content (T11, T13)."""
    assert parse(body) == Poison(reason)


def test_what_nests_deeper_than_any_record_is_poison() -> None:
    """A document that JSON can hold but no record would is refused before it is walked to its end (T13)."""
    nested: Any = "sg-1"
    for _ in range(DEEPEST + 1):
        nested = [nested]
    assert parse(json.dumps(api_call(parameters=nested))) == Poison("too much in it")


@pytest.mark.parametrize(
    ("event", "reason"),
    [
        (api_call(readOnly=True), "a read"),
        (api_call(errorCode="AccessDenied"), "a call that failed"),
        (envelope("aws.health", "AWS Health Event", {"service": "EC2"}), "another kind of event"),
        (envelope("aws.s3", "Object Created", {"bucket": {"name": "acme-data"}}), "another kind of event"),
    ],
)
def test_what_changed_nothing_is_ignored(event: Any, reason: str) -> None:
    """Reads, calls that failed and events of other kinds lead to nothing."""
    assert parse(json.dumps(event)) == Ignored(reason)


def test_a_call_says_who_what_when_and_where_from() -> None:
    """The record of a call becomes an attribution, its time that of the call and not of its delivery."""
    event = api_call(at=NOW)
    event["time"] = "2026-03-01T12:05:00Z"
    found = change(event)
    assert found.at == NOW
    assert found.attribution == Attribution(
        INTRUDER, "ec2:AuthorizeSecurityGroupIngress", NOW, "203.0.113.7", event["detail"]["eventID"]
    )
    assert "sg-1" in found.mentions


@pytest.mark.parametrize(
    ("identity", "principal"),
    [
        ({"type": "AWSService", "invokedBy": "autoscaling.amazonaws.com"}, "autoscaling.amazonaws.com"),
        ({"type": "AssumedRole", "arn": "arn:aws:sts::1:assumed-role/a/b"}, "arn:aws:sts::1:assumed-role/a/b"),
        ({"type": "Root", "accountId": "1"}, "1"),
        ({"arn": "a\x1b[31m\nb\u202e"}, r"a\x1b[31m\nb\u202e"),
        ({"arn": 7}, "somebody the record does not name"),
        (None, "somebody the record does not name"),
        ([], "somebody the record does not name"),
    ],
)
def test_every_kind_of_identity_has_a_name(identity: Any, principal: str) -> None:
    """Users, roles, services and nonsense are all named, and no name holds what a terminal would obey (T11, B44)."""
    assert attribution({"userIdentity": identity}).principal == principal


def test_events_of_servers_and_alarms_are_changes() -> None:
    """State changes of servers, Auto Scaling's notices and alarms tell of a change without saying who."""
    stopped = change(
        envelope("aws.ec2", "EC2 Instance State-change Notification", {"instance-id": "i-1", "state": "stopped"})
    )
    assert "i-1" in stopped.mentions
    assert stopped.attribution is None
    launched = change(
        envelope(
            "aws.autoscaling",
            "EC2 Instance Launch Successful",
            {"AutoScalingGroupName": "acme-servers", "EC2InstanceId": "i-2"},
        )
    )
    assert (launched.group, launched.instance) == ("acme-servers", "i-2")
    rang = change(envelope("aws.cloudwatch", "CloudWatch Alarm State Change", {"alarmName": "acme-unhealthy"}))
    assert rang.at == datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("arn", "name"),
    [
        ("arn:aws:s3:::acme-data", "acme-data"),
        ("arn:aws:s3:::acme-data/some/key", "acme-data"),
        ("arn:aws:iam::123456789012:role/path/acme-server", "acme-server"),
        ("arn:aws:logs:eu-central-1:123456789012:log-group:/acme/api:*", "/acme/api"),
        ("arn:aws:kms:eu-central-1:123456789012:alias/acme", "alias/acme"),
        ("arn:aws:cloudwatch:eu-central-1:123456789012:alarm:acme-unhealthy", "acme-unhealthy"),
        ("arn:aws:autoscaling:eu-central-1:1:autoScalingGroup:u:autoScalingGroupName/acme-servers", "acme-servers"),
        ("arn:aws:ec2:eu-central-1:123456789012:instance/i-1", "i-1"),
    ],
)
def test_an_arn_is_found_under_the_name_it_is_declared_by(arn: str, name: str) -> None:
    """Each form of ARN leads to the id that Pulumi keeps of such a resource."""
    assert name in set(spellings(arn))

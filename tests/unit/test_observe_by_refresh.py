"""Types without an observer: what the engine's refresh says, and everything by which it says nothing."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.detect.drift import drift
from reconciler.errors import EngineError
from reconciler.model import (
    DeclaredResource,
    Finding,
    ObservedResource,
    Path,
    Presence,
    Refreshed,
    ResourceKind,
    Secret,
    Unreadable,
    Urn,
    Value,
    Verdict,
)
from reconciler.observe.by_refresh import ROUNDS, see_by_refresh
from reconciler.observe.observe import observe
from reconciler.observe.reads import Answer, Missing
from tests.unit.observe_worlds import Table, declared, resource, rows

TOPIC_TYPE = "aws:sns/topic:Topic"
INPUTS: dict[str, Value] = {"delaySeconds": 5, "policy": "p", "tags": {"a": "1"}}


def topic(name: str = "q", inputs: Mapping[str, Value] = INPUTS) -> DeclaredResource:
    return resource(TOPIC_TYPE, name, f"https://{name}", inputs)


TOPIC = topic()


def same(inputs: Mapping[str, Value] = INPUTS, **live: Value) -> Refreshed:
    return Refreshed("https://q", exists=True, changed=frozenset(), before=inputs, inputs=inputs, outputs=live)


def seen(answer: Refreshed | Unreadable) -> ObservedResource:
    return see_by_refresh([TOPIC], lambda urns: dict.fromkeys(urns, answer))[TOPIC.urn]


def findings(answer: Refreshed | Unreadable) -> list[Finding]:
    return list(drift(TOPIC, seen(answer), ResourceKind(TOPIC_TYPE)))


def test_same_is_present_and_as_declared_whatever_the_spelling() -> None:
    """What the provider calls equal passes, though AWS spells it otherwise: the provider knows its type."""
    answer = same(policy="P", arn="arn:aws:sqs:x")
    assert [f.verdict for f in findings(answer)] == [Verdict.PASS]
    assert seen(answer).path is Path.REFRESH
    assert seen(answer).properties["arn"] == "arn:aws:sqs:x"


def test_an_update_is_drift_of_exactly_those_properties() -> None:
    """One finding for each property that the provider names, with the live value; the others are as declared."""
    live: dict[str, Value] = {"delaySeconds": 9, "policy": "P", "tags": {"a": "1", "evil": "x"}}
    changed = frozenset({"delaySeconds", "tags", "tagsAll"})
    answer = Refreshed("https://q", True, changed, before=INPUTS, inputs=live, outputs=live)
    found = findings(answer)
    assert [(f.rule, f.property, f.verdict) for f in found] == [
        ("drift.property", "delaySeconds", Verdict.FAIL),
        ("drift.property", "tags", Verdict.FAIL),
    ]
    assert [f.observed for f in found] == [9, {"a": "1", "evil": "x"}]


def test_a_property_that_is_gone_is_seen_as_nothing() -> None:
    """A refresh leaves out an input that AWS does not answer any more; that is a difference from what was declared."""
    answer = Refreshed("https://q", True, frozenset({"policy"}), before=INPUTS, inputs={"delaySeconds": 5})
    assert [(f.property, f.observed) for f in findings(answer)] == [("policy", None)]


def test_the_provider_outranks_the_tolerant_comparison() -> None:
    """Lists of an unknown type are compared without order here; if the provider says that they differ, they do."""
    ordered = topic(inputs={"steps": ["a", "b"]})
    answer = Refreshed(
        "https://q", True, frozenset({"steps"}), before={"steps": ["a", "b"]}, inputs={"steps": ["b", "a"]}
    )
    shown = see_by_refresh([ordered], lambda urns: dict.fromkeys(urns, answer))[ordered.urn]
    (finding,) = drift(ordered, shown, ResourceKind(TOPIC_TYPE))
    assert (finding.verdict, finding.observed) == (Verdict.FAIL, ["b", "a"])


def test_a_state_that_was_changed_does_not_vouch_for_itself() -> None:
    """After a refresh wrote live values into the state the provider calls them equal; the declaration still stands."""
    drifted = {**INPUTS, "delaySeconds": 9}
    (finding,) = findings(same(drifted, delaySeconds=9))
    assert (finding.property, finding.verdict, finding.observed) == ("delaySeconds", Verdict.FAIL, 9)


def test_a_delete_is_absence() -> None:
    """The provider read it and found nothing."""
    (finding,) = findings(Refreshed("https://q", exists=False, changed=frozenset(), before=INPUTS))
    assert (finding.rule, finding.verdict) == ("drift.missing", Verdict.FAIL)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (Unreadable("AccessDenied:\n  no"), "AccessDenied: no"),
        (Refreshed("https://q", True, None), "not in what"),
        (Refreshed("https://other", True, frozenset()), "the state changed meanwhile"),
        (Refreshed("https://other", False, frozenset()), "the state changed meanwhile"),
        (Refreshed("https://q", True, frozenset(), partial="half of it"), "only in part: half of it"),
    ],
)
def test_whatever_is_not_an_answer_is_unknown(answer: Refreshed | Unreadable, words: str) -> None:
    """I06 F10: a read that failed, that names no property, or that is of another resource proves nothing."""
    (finding,) = findings(answer)
    assert finding.verdict is Verdict.UNKNOWN
    assert words in finding.message


@pytest.mark.parametrize("error", [EngineError("the Pulumi CLI is not on the PATH"), BlockingIOError("no more forks")])
def test_an_engine_that_cannot_look_makes_unknown(error: Exception) -> None:
    """F28: without a CLI, with an error or a time-out nothing is known of these types, and the scan goes on."""

    def refresh(urns: Collection[Urn]) -> Mapping[Urn, Refreshed | Unreadable]:
        raise error

    shown = see_by_refresh([TOPIC], refresh)[TOPIC.urn]
    assert shown.presence is Presence.UNKNOWN
    assert str(error) in shown.reason


def test_one_that_fails_does_not_hide_the_others() -> None:
    """The engine stops at the first failure, so what it did not get to is asked for again without the failed one."""
    topics = [topic(name) for name in ("q", "r", "s")]
    asked: list[list[Urn]] = []

    def refresh(urns: Collection[Urn]) -> Mapping[Urn, Refreshed | Unreadable]:
        asked.append(list(urns))
        if topics[0].urn in urns:
            return {topics[0].urn: Unreadable("denied")}
        return {u: Refreshed(f"https://{u[-1]}", True, frozenset(), INPUTS, INPUTS) for u in urns}

    shown = see_by_refresh(topics, refresh)
    assert [shown[q.urn].presence for q in topics] == [Presence.UNKNOWN, Presence.PRESENT, Presence.PRESENT]
    assert asked == [[q.urn for q in topics], [q.urn for q in topics[1:]]]


@given(st.lists(st.integers(0, 3), max_size=8))
def test_it_ends_and_names_every_resource(batches: list[int]) -> None:
    """However little the engine answers at a time, it is asked a few times only, and nothing is left out."""
    topics = [topic(f"q{i}") for i in range(10)]
    sizes = iter(batches)
    asked = 0

    def refresh(urns: Collection[Urn]) -> Mapping[Urn, Refreshed | Unreadable]:
        nonlocal asked
        asked += 1
        return {u: Unreadable("denied") for u in list(urns)[: next(sizes, 0)]}

    shown = see_by_refresh(topics, refresh)
    assert shown.keys() == {q.urn for q in topics}
    assert {o.presence for o in shown.values()} == {Presence.UNKNOWN}
    assert asked <= ROUNDS


def test_secrets_stay_closed() -> None:
    """I13: a declared secret is not compared and a live value that is one is not shown."""
    inputs: dict[str, Value] = {"key": Secret(), "plain": 1}
    keeper = topic(inputs=inputs)
    answer = Refreshed(
        "https://q", True, frozenset({"key", "plain"}), inputs, {"key": Secret(), "plain": Secret()}, {"key": "hush"}
    )
    shown = see_by_refresh([keeper], lambda urns: dict.fromkeys(urns, answer))[keeper.urn]
    found = list(drift(keeper, shown, ResourceKind(TOPIC_TYPE)))
    assert [f.property for f in found] == ["plain"]
    assert "hush" not in repr(found)


# --- among everything else ---------------------------------------------------------------------------------

SUBNET = resource("aws:ec2/subnet:Subnet", "acme-a", "subnet-1", {})
FINE = {"describe_subnets": rows({"SubnetId": "subnet-1"})}


def test_only_types_without_an_observer_go_to_the_engine() -> None:
    """The engine is asked for exactly those, and not at all where there are none."""
    asked: list[Collection[Urn]] = []

    def refresh(urns: Collection[Urn]) -> Mapping[Urn, Refreshed | Unreadable]:
        asked.append(urns)
        return {u: same() for u in urns}

    both = observe(declared(SUBNET, TOPIC), Table(FINE), refresh=refresh)
    assert asked == [[TOPIC.urn]]
    assert {u: (o.presence, o.path) for u, o in both.resources.items()} == {
        SUBNET.urn: (Presence.PRESENT, Path.BULK),
        TOPIC.urn: (Presence.PRESENT, Path.REFRESH),
    }
    assert both.spans.keys() == {Path.BULK, Path.REFRESH}
    alone = observe(declared(SUBNET, TOPIC), Table(FINE), refresh=refresh, only={SUBNET.urn})
    assert len(asked) == 1
    assert alone.spans.keys() == {Path.BULK}


# --- freshness ---------------------------------------------------------------------------------------------


def aged(seconds: float) -> DeclaredResource:
    made = datetime.now(UTC) - timedelta(seconds=seconds)
    return DeclaredResource(SUBNET.urn, SUBNET.type, SUBNET.name, SUBNET.id, {"cidrBlock": "10.0.0.0/16"}, created=made)


GONE: dict[str, Answer] = {"describe_subnets subnet-1": Missing("InvalidSubnetID.NotFound")}


def look(subnet: DeclaredResource, answers: Mapping[str, Answer] = GONE) -> ObservedResource:
    return observe(declared(subnet), Table(answers), fresh=timedelta(seconds=60)).resources[subnet.urn]


@pytest.mark.parametrize("seconds", [0, 30, -30])
def test_what_was_made_a_moment_ago_is_not_called_missing(seconds: float) -> None:
    """F08: AWS does not show a new resource everywhere at once; clocks may differ a little, either way."""
    shown = look(aged(seconds))
    assert shown.presence is Presence.UNKNOWN
    assert "too fresh" in shown.reason


@pytest.mark.parametrize("seconds", [61, 86_400, -3600])
def test_what_is_older_is_called_missing(seconds: float) -> None:
    """F36 F37: grace is short, and a clock that is an hour off does not prolong it."""
    assert look(aged(seconds)).presence is Presence.ABSENT
    assert look(SUBNET).presence is Presence.ABSENT


def test_grace_is_for_absence_only() -> None:
    """What is there is judged at once, however young: a drift of a new resource is a drift."""
    shown = look(aged(1), {"describe_subnets": rows({"SubnetId": "subnet-1", "CidrBlock": "10.9.0.0/16"})})
    assert (shown.presence, shown.properties["cidrBlock"]) == (Presence.PRESENT, "10.9.0.0/16")

"""Health findings: each fault alone is seen once, and nothing is held against a server that did nothing wrong."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.detect import health as module
from reconciler.detect.health import health
from reconciler.model import (
    UNITS,
    Declared,
    DeclaredResource,
    Finding,
    Fleet,
    Member,
    Observed,
    ObservedResource,
    Presence,
    Unreadable,
    Urn,
    Verdict,
)

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
GROUP = DeclaredResource(
    Urn("urn:pulumi:dev::p::aws:autoscaling/group:Group::acme-servers"),
    "aws:autoscaling/group:Group",
    "acme-servers",
    "acme-servers-1",
    {"launchTemplate": {"id": "lt-1", "version": "$Default"}},
    tenant="acme",
)
TEMPLATE = DeclaredResource(
    Urn("urn:lt"),
    "aws:ec2/launchTemplate:LaunchTemplate",
    "acme-server",
    "lt-1",
    {"imageId": "ami-1", "tags": {"a": "b"}},
)
ALARM = DeclaredResource(Urn("urn:alarm"), "aws:cloudwatch/metricAlarm:MetricAlarm", "acme-5xx", "5xx", {})
OLD, YOUNG = NOW - timedelta(hours=5), NOW - timedelta(seconds=60)


def member(instance_id: str = "i-1", **changes: Any) -> Member:
    base: dict[str, Any] = {
        "instance_id": instance_id,
        "zone": "a",
        "lifecycle": "InService",
        "state": "running",
        "target": "healthy",
        "launched": OLD,
    }
    return Member(**{**base, **changes})


def fleet(*members: Member, desired: int | None = None, target_groups: tuple[str, ...] = ("tg",)) -> Fleet:
    size = len(members) if desired is None else desired
    return Fleet(GROUP.urn, GROUP.id, size, 1, 9, members, grace_seconds=300, target_groups=target_groups)


def found(
    observed: Observed, resource: DeclaredResource = GROUP, presence: Presence = Presence.PRESENT
) -> list[Finding]:
    declared = Declared("dev", "p", "1", "eu", {r.urn: r for r in (GROUP, ALARM, TEMPLATE)})
    seen = {TEMPLATE.urn: ObservedResource(TEMPLATE.urn, Presence.PRESENT, TEMPLATE.inputs), **observed.resources}
    live = ObservedResource(resource.urn, presence, resource.inputs)
    findings = list(health(resource, live, declared, replace(observed, resources=seen), {}, NOW))
    assert {f.rule for f in findings} <= module.RULES.keys()
    return findings


def of(sick: Fleet | Unreadable) -> list[Finding]:
    return found(Observed({}, {GROUP.urn: sick}))


def bad(findings: list[Finding]) -> list[tuple[str, str, Verdict]]:
    return [(f.rule, f.resource_id, f.verdict) for f in findings if f.verdict is not Verdict.PASS]


@pytest.mark.parametrize(
    ("changes", "signs"),
    [
        ({"state": "stopped"}, 1),
        ({"state": "stopped", "target": "unused"}, 2),
        ({"target": "unhealthy"}, 1),
        ({"target": "unhealthy", "checks": "ok"}, 1),
        ({"target": "unhealthy", "checks": Unreadable("denied")}, 1),
        ({"target": "unhealthy", "checks": "impaired"}, 2),
        ({"target": "unhealthy", "outdated": True}, 1),
        ({"outdated": True}, 1),
    ],
)
def test_signs_are_counted_by_their_source(changes: dict[str, Any], signs: int) -> None:
    """I06: EC2, the load balancer and the status checks are a sign each; what could not be read is none."""
    (found,) = [f for f in of(fleet(member(**changes), member("i-2"))) if f.verdict is Verdict.FAIL]
    assert len(found.signs) == signs


def test_a_group_without_a_load_balancer_judges_by_the_status_checks_itself() -> None:
    """Its word and the checks are one source, so they are one sign."""
    sick = fleet(member(target="unhealthy", checks="impaired"), member("i-2"), target_groups=())
    (found,) = [f for f in of(sick) if f.verdict is Verdict.FAIL]
    assert len(found.signs) == 1


def test_a_healthy_fleet_passes() -> None:
    """One PASS for its size and one for each server."""
    findings = of(fleet(member("i-1"), member("i-2")))
    assert [(f.rule, f.resource_id, f.verdict) for f in findings] == [
        ("health.fleet-short", "acme-servers-1", Verdict.PASS),
        ("health.target", "i-1", Verdict.PASS),
        ("health.target", "i-2", Verdict.PASS),
    ]


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"state": "stopped"}, "health.instance-state"),
        ({"state": "stopped", "target": "unused", "target_reason": "Target.NotInUse"}, "health.instance-state"),
        ({"state": "stopped", "target": "unused", "target_reason": "Target.InvalidState"}, "health.instance-state"),
        ({"state": "terminated", "target": "unregistered", "outdated": True}, "health.instance-state"),
        ({"state": "stopping", "launched": YOUNG}, "health.instance-state"),
        ({"state": "pending"}, "health.instance-state"),
        ({"target": "unhealthy"}, "health.target"),
        ({"target": "unhealthy", "outdated": True}, "health.target"),
        ({"target": "unhealthy", "launched": None}, "health.target"),
        ({"target": "unregistered"}, "health.target"),
        ({"target": "draining"}, "health.target"),
        ({"target": "unused", "target_reason": "Target.NotRegistered"}, "health.target"),
        ({"outdated": True}, "health.outdated-template"),
    ],
)
def test_each_fault_alone_is_one_finding(changes: dict[str, Any], rule: str) -> None:
    """A sick server is reported once, by the sign that explains most, and its neighbour not at all."""
    findings = of(fleet(member("i-1", **changes), member("i-2")))
    assert bad(findings) == [(rule, "i-1", Verdict.FAIL)]
    assert next(f for f in findings if f.resource_id == "i-1").urn == GROUP.urn


@pytest.mark.parametrize(
    "changes",
    [
        {"target": "initial", "launched": YOUNG},
        {"target": "unhealthy", "launched": YOUNG},
        {"target": "unregistered", "launched": YOUNG},
        {"target": "unhealthy", "launched": NOW + timedelta(hours=1)},
        {"state": "pending", "target": "initial", "launched": YOUNG},
        {"target": "unused", "target_reason": "Target.NotInUse"},
        {"target": "unused", "target_reason": "Target group is not configured to receive traffic"},
    ],
)
def test_warming_up_and_faults_of_others_are_no_faults(changes: dict[str, Any]) -> None:
    """A server within its grace (also with a clock set back, F37), or whose group no listener uses, is not blamed."""
    assert bad(of(fleet(member(**changes)))) == []


@pytest.mark.parametrize("lifecycle", ["Pending", "Pending:Wait", "Terminating", "Terminating:Wait", "Standby"])
def test_members_on_their_way_are_not_judged(lifecycle: str) -> None:
    """Only servers in service are judged, however broken the others look."""
    moving = member("i-2", lifecycle=lifecycle, state="terminated", target="unhealthy", outdated=True)
    assert bad(of(fleet(member("i-1"), moving, desired=1))) == []


@given(
    state=st.sampled_from(["running", "stopped", Unreadable("x")]),
    target=st.sampled_from(["healthy", "unhealthy", Unreadable("x")]),
    outdated=st.sampled_from([False, True, Unreadable("x")]),
)
def test_an_unreadable_sign_never_fails_a_server(state: Any, target: Any, outdated: Any) -> None:
    """I06, F23: with either sign of a server unreadable the verdict is UNKNOWN, never FAIL."""
    (verdict,) = [
        f.verdict for f in of(fleet(member(state=state, target=target, outdated=outdated))) if f.resource_id == "i-1"
    ]
    hidden = isinstance(state, Unreadable) or isinstance(target, Unreadable)
    serves = (state, target) == ("running", "healthy")
    if hidden or (serves and isinstance(outdated, Unreadable)):
        assert verdict is Verdict.UNKNOWN
    else:
        assert verdict is (Verdict.PASS if serves and outdated is False else Verdict.FAIL)


def test_signs_that_contradict_each_other_are_unknown() -> None:
    """F08: a running server that the load balancer calls stopped, or still checks after its grace, is not known."""
    assert bad(of(fleet(member(target="unused", target_reason="Target.InvalidState")))) == [
        ("health.target", "i-1", Verdict.UNKNOWN)
    ]
    assert bad(of(fleet(member(target="initial")))) == [("health.target", "i-1", Verdict.UNKNOWN)]


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        ({"imageId": "ami-1", "tags": {"a": "changed"}}, [("health.outdated-template", "i-1", Verdict.FAIL)]),
        ({"imageId": "ami-2", "tags": {"a": "b"}}, []),
        ({"imageId": Unreadable("denied"), "tags": {"a": "b"}}, []),
        (None, []),
    ],
)
def test_servers_are_not_blamed_for_a_template_that_drifted(seen: Any, expected: list[Any]) -> None:
    """F48: while what the group launches is not as declared, the servers that differ from it are right."""
    presence = Presence.UNKNOWN if seen is None else Presence.PRESENT
    live = {TEMPLATE.urn: ObservedResource(TEMPLATE.urn, presence, seen or {})}
    assert bad(found(Observed(live, {GROUP.urn: fleet(member(outdated=True), member("i-2"))}))) == expected


def test_a_short_fleet_fails_unless_a_replacement_is_coming_in_time() -> None:
    """A server launched within the grace fills the gap; one that hangs in Pending does not."""
    coming = member("i-2", lifecycle="Pending", state="pending", target="initial", launched=YOUNG)
    hanging = member("i-2", lifecycle="Pending", state="pending", target="initial", launched=OLD)
    assert bad(of(fleet(member(), desired=2))) == [("health.fleet-short", "acme-servers-1", Verdict.FAIL)]
    assert bad(of(fleet(member(), coming))) == []
    assert bad(of(fleet(member(), hanging))) == [("health.fleet-short", "acme-servers-1", Verdict.FAIL)]


def test_a_group_that_seems_short_is_one_sign() -> None:
    """A group that was just told to grow lists its new servers a moment later, so one look is one sign."""
    (short,) = [f for f in of(fleet(member(), desired=2)) if f.verdict is Verdict.FAIL]
    assert short.signs == ("1 of 2 servers in service",)


def test_weighted_servers_make_up_their_weight() -> None:
    """Four servers of four units each are sixteen; with one of them gone, or of less weight, the group is short."""
    four = [member(f"i-{n}", weight=4) for n in range(4)]
    assert bad(of(replace(fleet(*four, desired=16), unit=UNITS))) == []
    coming = member("i-3", weight=4, lifecycle="Pending", state="pending", target="initial", launched=YOUNG)
    assert bad(of(replace(fleet(*four[:3], coming, desired=16), unit=UNITS))) == []
    for members in (four[:3], [*four[:3], member("i-3", weight=2)]):
        (short,) = [f for f in of(replace(fleet(*members, desired=16), unit=UNITS)) if f.verdict is Verdict.FAIL]
        assert (short.rule, "of 16 units in service" in short.message) == ("health.fleet-short", True)


def test_a_size_in_processors_is_not_judged() -> None:
    """AWS does not say how much of such a size a server makes up: whether the group is short is UNKNOWN, never FAIL."""
    assert bad(of(replace(fleet(member(), desired=8), unit="vcpu"))) == [
        ("health.fleet-short", "acme-servers-1", Verdict.UNKNOWN)
    ]


def test_a_fleet_that_was_not_read_is_unknown() -> None:
    """I06: an unreadable or forgotten fleet is UNKNOWN; that of a missing group is no finding of its own."""
    expected = [("health.fleet-short", "acme-servers-1", Verdict.UNKNOWN)]
    assert bad(of(Unreadable("throttled"))) == expected
    assert bad(found(Observed({}))) == expected
    assert found(Observed({}), presence=Presence.ABSENT) == []


@pytest.mark.parametrize(
    ("state", "verdict"),
    [
        ("OK", Verdict.PASS),
        ("INSUFFICIENT_DATA", Verdict.PASS),
        ("ALARM", Verdict.FAIL),
        (Unreadable("denied"), Verdict.UNKNOWN),
    ],
)
def test_alarms(state: str | Unreadable, verdict: Verdict) -> None:
    """Only ALARM is an alarm: a new alarm, and one on a quiet metric, has no data; a state not read is UNKNOWN."""
    assert [(f.rule, f.verdict) for f in found(Observed({}, alarms={ALARM.urn: state}), ALARM)] == [
        ("health.alarm", verdict)
    ]
    assert [f.verdict for f in found(Observed({}), ALARM)] == [Verdict.UNKNOWN]


def test_ids_tell_servers_apart() -> None:
    """Two sick servers of one group are two findings with two ids, the same ones at the next look."""
    sick = fleet(member("i-1", target="unhealthy"), member("i-2", target="unhealthy"))
    ids = [f.id for f in of(sick)]
    assert len(set(ids)) == 3
    assert ids == [f.id for f in of(sick)]

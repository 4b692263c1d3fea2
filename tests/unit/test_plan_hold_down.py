"""A server is replaced when two independent signs agree or when one lasts, and never for what one look showed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.model import Finding, Kind, Plan
from reconciler.plan.policy import Policy
from tests.unit.plan_worlds import GROUP, NOW, cell, finding, fleet, resource, scan
from tests.unit.test_plan_planner import planned

SERVERS = resource("group", type_=GROUP)
ONE_SIGN = ("the load balancer says it is unhealthy",)


def sick(server: str = "i-0", signs: tuple[str, ...] = ONE_SIGN, rule: str = "health.target") -> Finding:
    return replace(finding(SERVERS, rule, Kind.HEALTH, resource_id=server), signs=signs)


def told(*findings: Finding, since: Mapping[str, datetime] | None = None, policy: Policy | None = None) -> Plan:
    world = scan(cell(SERVERS), *findings, fleets={SERVERS.urn: fleet(SERVERS, 4)})
    return planned(world, policy, first_seen=since or {})


def before(found: Finding, seconds: float) -> dict[str, datetime]:
    return {found.id: NOW - timedelta(seconds=seconds)}


@pytest.mark.parametrize("rule", ["health.target", "health.outdated-template", "health.instance-state"])
def test_one_sign_at_one_look_replaces_nothing(rule: str) -> None:
    """The first sighting of a single sign is deferred with its reason, whatever the sign is."""
    result = told(sick(rule=rule))
    assert result.repairs == ()
    (deferral,) = result.deferrals
    assert deferral.code == "hold-down"
    assert ONE_SIGN[0] in deferral.reason


def test_one_sign_that_lasts_is_enough() -> None:
    """Seen again after the hold-down, the server is replaced; a second before that it is not."""
    found = sick()
    assert told(found, since=before(found, 59)).repairs == ()
    assert told(found, since=before(found, 60)).repairs[0].members == ("i-0",)


def test_two_signs_need_no_waiting() -> None:
    """Two sources that agree are enough at the first look."""
    assert told(sick(signs=(*ONE_SIGN, "EC2's status checks are impaired"))).repairs[0].members == ("i-0",)


def test_a_compromised_server_needs_no_waiting() -> None:
    """Somebody says so: the first plan isolates it."""
    (repair,) = told(sick(signs=(), rule="health.compromised")).repairs
    assert (repair.strategy, repair.members) == ("quarantine", ("i-0",))


def test_a_clock_set_back_does_not_make_it_old() -> None:
    """F37: a first sighting ahead of now is one of now."""
    found = sick()
    assert told(found, since=before(found, -3600)).repairs == ()


def test_a_server_that_waits_does_not_hold_up_its_neighbour() -> None:
    """Of two sick servers the one with two signs is replaced alone."""
    result = told(sick("i-0"), sick("i-1", ("a", "b")))
    assert [r.members for r in result.repairs] == [("i-1",)]
    assert [d.code for d in result.deferrals] == ["hold-down"]


def test_a_server_that_waits_counts_for_the_breaker() -> None:
    """F48: three of four servers fail together, so that the one with two signs is not replaced either."""
    result = told(sick("i-0"), sick("i-1"), sick("i-2", ("a", "b")))
    assert result.repairs == ()
    assert {d.code for d in result.deferrals} == {"hold-down", "breaker"}


@given(age=st.integers(-1000, 1000), hold_down=st.integers(0, 500), signs=st.integers(0, 3))
def test_never_on_less_than_two_signs_or_the_hold_down(age: int, hold_down: int, signs: int) -> None:
    """Whatever the numbers: a replacement means two signs, or one that is as old as the hold-down."""
    found = sick(signs=tuple("abc"[:signs]))
    policy = Policy(hold_down=timedelta(seconds=hold_down))
    assert bool(told(found, since=before(found, age), policy=policy).repairs) is (
        signs >= 2 or max(age, 0) >= hold_down
    )


def test_an_endpoint_that_does_not_answer_repairs_nothing() -> None:
    """Even with its second sign it is a symptom: what causes it is repaired where it shows, or not at all."""
    balancer = resource("alb", type_="aws:lb/loadBalancer:LoadBalancer")
    down = replace(finding(balancer, "health.endpoint", Kind.HEALTH, property_="endpoint"), signs=("a", "b"))
    result = planned(scan(cell(balancer), down))
    assert result.repairs == ()
    assert [d.code for d in result.deferrals] == ["symptom"]

"""What is replaced as a unit, and what is done where nothing new can stand beside the old."""

from __future__ import annotations

from dataclasses import replace

import pytest

from reconciler.declare.graph import Graph
from reconciler.model import Declared, DeclaredResource, Kind, Plan, ResourceKind, Urn
from reconciler.observe.registry import OBSERVERS
from reconciler.plan.planner import plan
from reconciler.plan.policy import Policy
from reconciler.plan.redeployment import BALANCER, BESIDE, IMMUTABLE, LISTENER, TARGET_GROUP, TEMPLATE
from tests.unit.plan_worlds import GROUP, NOW, cell, finding, resource, scan

ALARM, SUBNET = "aws:cloudwatch/metricAlarm:MetricAlarm", "aws:ec2/subnet:Subnet"
KINDS = {t: ResourceKind(t) for t in (BALANCER, LISTENER, TARGET_GROUP, TEMPLATE, GROUP, ALARM, SUBNET)}


def planned(declared: Declared, broken: DeclaredResource, rule: str, property_: str = "p") -> Plan:
    found = finding(broken, rule, Kind.HEALTH if rule.startswith("health") else Kind.DRIFT, property_=property_)
    graph = Graph(declared)
    return plan(
        scan(declared, found), Policy(), (), KINDS, now=NOW, dependents=graph.dependents, users=graph.users
    )  # fmt: skip


def world() -> tuple[Declared, dict[str, DeclaredResource]]:
    """A load balancer with a listener that forwards to a target group, servers behind it, an alarm on it."""
    made = [
        resource("alb", type_=BALANCER),
        resource("api", type_=TARGET_GROUP),
        resource("https", type_=LISTENER, uses=("alb", "api")),
        resource("servers", type_=GROUP, uses=("api",)),
        resource("slow", type_=ALARM, uses=("alb",)),
        resource("stranger", "other", ALARM, uses=("alb",)),
    ]
    return cell(*made), {r.name: r for r in made}


def test_a_failed_load_balancer_goes_with_what_hangs_on_it() -> None:
    """Its listener and the target group, which may serve one load balancer only, are replaced with it; what refers to
    them is updated; another tenant's resource is not touched (I10)."""
    declared, of = world()
    (repair,) = planned(declared, of["alb"], "health.resource-failed").repairs
    assert repair.strategy == "redeploy"
    assert set(repair.replaces) == {"alb", "api", "https"}
    assert set(repair.urns) == {"alb", "api", "https", "servers", "slow"}
    assert list(repair.urns) == [u for u in declared.resources if u in repair.urns]


def test_what_cannot_be_changed_in_place_is_redeployed() -> None:
    """A target group with another protocol is replaced alone; listener and servers are pointed at the new one."""
    declared, of = world()
    (repair,) = planned(declared, of["api"], "drift.property", "protocol").repairs
    assert (repair.strategy, repair.replaces) == ("redeploy", ("api",))
    assert set(repair.urns) == {"api", "https", "servers"}


def test_a_subnet_cannot_stand_beside_itself() -> None:
    """The range of a subnet is taken while it exists: a person decides, and is told why."""
    subnet = resource("subnet", type_=SUBNET)
    (repair,) = planned(cell(subnet), subnet, "drift.property", "cidrBlock").repairs
    assert (repair.strategy, repair.replaces) == ("escalate", ())
    assert "address range" in repair.reason


def test_two_of_one_name_cannot_exist() -> None:
    """A name that the program fixed is in the way of the new one, so it is escalated."""
    declared, of = world()
    fixed = replace(of["api"], inputs={"name": "api"}, programmed=frozenset({"name"}))
    declared = replace(declared, resources={**declared.resources, fixed.urn: fixed})
    (repair,) = planned(declared, of["alb"], "health.resource-failed").repairs
    assert repair.strategy == "escalate"
    assert "name of api is fixed" in repair.reason


def test_a_protected_part_keeps_the_whole() -> None:
    """A unit with a protected member is not replaced (I08)."""
    declared, of = world()
    kept = replace(of["api"], protect=True)
    declared = replace(declared, resources={**declared.resources, kept.urn: kept})
    (repair,) = planned(declared, of["alb"], "health.resource-failed").repairs
    assert (repair.strategy, repair.replaces) == ("escalate", ())


@pytest.mark.parametrize("type_", sorted(BESIDE | IMMUTABLE.keys()))
def test_nothing_that_holds_state_is_in_the_tables(type_: str) -> None:
    """The tables of what may be replaced name observed, stateless types only (I08)."""
    assert not OBSERVERS[type_].kind.stateful
    assert Urn(type_)

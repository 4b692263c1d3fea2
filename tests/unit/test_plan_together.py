"""Repairs of one pass that meet in a resource: in what order they go, and how often each of them counts."""

from __future__ import annotations

from datetime import timedelta

import pytest

from reconciler.declare.graph import Graph
from reconciler.model import Attempt, Kind, Plan, Scan, Status
from reconciler.plan.planner import plan
from reconciler.plan.policy import Policy
from tests.unit.plan_worlds import GROUP, KINDS, NOW, cell, downstream, finding, fleet, resource, scan


def planned(of: Scan, *history: Attempt) -> Plan:
    users = Graph(of.declared).users
    return plan(
        of,
        Policy(),
        history,
        KINDS,
        now=NOW,
        dependents=lambda urns: downstream(of.declared, urns),
        users=users,
    )


def test_a_group_is_put_right_before_its_servers_are_replaced() -> None:
    """Drift of a group and a sick server of it are two repairs, and only the second one waits."""
    group = resource("group", type_=GROUP)
    sick = finding(group, "health.target", Kind.HEALTH, resource_id="i-1")
    world = scan(cell(group), finding(group), sick, fleets={group.urn: fleet(group, 4)})
    by_strategy = {r.strategy: r for r in planned(world).repairs}
    assert by_strategy["reapply"].after == ()
    assert by_strategy["rollout"].after == (by_strategy["reapply"].id,)


def test_a_group_that_is_repaired_as_a_user_goes_first_as_well() -> None:
    """A missing subnet comes back with the group that uses it, then the group's sick server is replaced."""
    subnet = resource("subnet")
    group = resource("group", type_=GROUP, uses=["subnet"])
    sick = finding(group, "health.target", Kind.HEALTH, resource_id="i-1")
    world = scan(cell(subnet, group), finding(subnet, "drift.missing"), sick, fleets={group.urn: fleet(group, 4)})
    by_strategy = {r.strategy: r for r in planned(world).repairs}
    assert by_strategy["recreate"].after == ()
    assert by_strategy["rollout"].after == (by_strategy["recreate"].id,)


@pytest.mark.parametrize("status", [Status.HEALED, Status.NOT_HEALED])
def test_one_repair_of_several_resources_counts_once(status: Status) -> None:
    """What was repaired once together with all that uses it is not flapping, nor did it fail several times (I11)."""
    subnet = resource("subnet")
    users = [resource(f"user-{i}", uses=["subnet"]) for i in range(4)]
    missing = finding(subnet, "drift.missing")
    world = scan(cell(subnet, *users), missing)
    at = NOW - timedelta(minutes=5)
    past = [Attempt(r.urn, "recreate", status, at, (missing.id,)) for r in (subnet, *users)]
    assert [r.strategy for r in planned(world, *past).repairs] == ["recreate"]
    again = [
        Attempt(a.urn, a.strategy, a.status, at - timedelta(minutes=m), a.finding_ids) for a in past for m in (1, 2)
    ]
    assert [r.strategy for r in planned(world, *past, *again).repairs] == ["escalate"]

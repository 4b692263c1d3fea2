"""A load balancer that AWS gave up is replaced as a unit, by the real engine, and nothing else is."""

from __future__ import annotations

import pytest

from reconciler.model import Status
from tests.integration.loop import SILVER, Cell, assert_clean, assert_fleets_whole

pytestmark = pytest.mark.engine

REPLACED = {"CreateLoadBalancer", "CreateListener", "CreateTargetGroup"}


def test_a_failed_load_balancer_is_redeployed(cell: Cell) -> None:
    """The new load balancer, its listeners and its target group are there before the old ones go, and all is as it was
    declared (I07)."""
    assert_clean(cell.scan())
    census = cell.census()
    old = cell.strike("fail-load-balancer", SILVER)
    cell.control.reset()
    done = cell.repair()
    assert [(o.strategy, o.status) for o in done.outcomes] == [("redeploy", Status.HEALED)], done
    calls = [w.action for w in cell.control.writes("engine")]
    assert set(calls) >= REPLACED
    assert max(i for i, c in enumerate(calls) if c in REPLACED) < calls.index("DeleteLoadBalancer")
    after = cell.scan()
    assert_clean(after)
    assert_fleets_whole(after)
    assert cell.census() == census
    assert old != cell.victim(SILVER).arn("elasticloadbalancing:loadbalancer", "alb")
    assert cell.engine_agrees()

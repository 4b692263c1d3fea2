"""A group that is larger than declared gives servers back one by one before the engine writes its size."""

from __future__ import annotations

import pytest

from reconciler.act.strategies.oversize import give_surplus_back
from reconciler.errors import RepairRefused
from reconciler.model import Unreadable
from tests.unit.act_fleet import SimulatedFleet


def test_the_sick_ones_leave_first() -> None:
    """Of a surplus the servers that serve nobody leave, and every healthy one stays (I02)."""
    fleet = SimulatedFleet("healthy", "healthy", "unhealthy", "stopped", maximum=6, floor=2, size=2)
    give_surplus_back(fleet.repair(0), fleet.world.tools)
    assert fleet.desired == fleet.healthy == 2
    assert fleet.calls == ["terminate", "terminate"]


def test_a_group_of_its_size_is_left_alone() -> None:
    """Nothing is written for a group that is not too large (I09)."""
    fleet = SimulatedFleet("healthy", "unhealthy")
    give_surplus_back(fleet.repair(0), fleet.world.tools)
    assert fleet.calls == []


def test_a_fleet_that_cannot_be_seen_is_left_alone() -> None:
    """Without a look at its servers the group's size is not touched (I06)."""
    fleet = SimulatedFleet("healthy", "healthy", "healthy", size=2)
    fleet.world.fleet = lambda _: Unreadable("Throttling")
    with pytest.raises(RepairRefused, match="cannot be seen"):
        give_surplus_back(fleet.repair(0), fleet.world.tools)
    assert fleet.calls == []

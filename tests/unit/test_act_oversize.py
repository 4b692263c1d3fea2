"""A group that is larger than declared gives servers back one by one before the engine writes its size."""

from __future__ import annotations

from collections.abc import Collection

import pytest

from reconciler.act.act import act
from reconciler.act.steps import EnginePlan, Step
from reconciler.act.strategies.oversize import give_surplus_back, refuse_shrinking
from reconciler.errors import LeaseLost, RepairRefused, WrongAccount
from reconciler.model import UNITS, Fleet, Status, Unreadable, Urn
from tests.unit.act_fleet import SimulatedFleet
from tests.unit.act_world import GROUP, plan, repair


def test_the_sick_ones_leave_first() -> None:
    """Of a surplus the servers that serve nobody leave, and every healthy one stays (I02)."""
    fleet = SimulatedFleet("healthy", "healthy", "unhealthy", "stopped", maximum=6, floor=2, size=2)
    give_surplus_back(fleet.repair(0), fleet.world.tools)
    assert fleet.desired == fleet.healthy == 2
    assert fleet.calls == ["terminate", "terminate"]


def test_one_that_starts_stays_before_one_that_failed() -> None:
    """Of a surplus the server that is still starting stays: it may serve before the one that failed has left (I02)."""
    fleet = SimulatedFleet("healthy", "stopped", size=2, floor=2)
    stopped = list(fleet.members)[1]
    fleet.desired = 3
    fleet.wait(0)
    give_surplus_back(fleet.repair(0), fleet.world.tools)
    assert (fleet.calls, fleet.desired, stopped in fleet.members) == (["terminate"], 2, False)
    assert fleet.healthy == 2


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


def resizing(fleet: SimulatedFleet) -> EnginePlan:
    return EnginePlan((Step(fleet.group.urn, GROUP, "update", ("desiredCapacity",)),))


def test_a_group_that_grows_meanwhile_is_not_set_back_by_the_engine() -> None:
    """A group that is made larger between its giving back and the update refuses the update (I02, F52)."""
    fleet = SimulatedFleet("healthy", "healthy", floor=2)
    fleet.world.breaks(fleet.group)
    fleet.world.engine.would = {fleet.group.urn: ()}
    fleet.world.engine.besides = list(resizing(fleet).steps)

    def resized(_: Collection[Urn]) -> None:
        fleet.desired = 3

    fleet.world.engine.preview_trouble = resized
    (outcome,) = act(plan(repair("reapply", fleet.group)), fleet.world.tools)
    assert outcome.status is Status.REFUSED
    assert "resizes the group" in outcome.reason
    assert fleet.world.engine.ups == []


def test_an_engine_that_sees_another_size_is_refused() -> None:
    """Where a group has its size and the engine would still change it, one of the two answers is old (F08)."""
    fleet = SimulatedFleet("healthy", "healthy")
    with pytest.raises(RepairRefused, match="AWS says 2"):
        refuse_shrinking(resizing(fleet), fleet.world.tools)


def test_a_group_that_is_too_small_is_resized() -> None:
    """A group that is smaller than declared may be made larger, and one whose size stays may be updated."""
    fleet = SimulatedFleet("healthy", "healthy", size=3)
    refuse_shrinking(resizing(fleet), fleet.world.tools)
    fleet.desired = 4
    refuse_shrinking(EnginePlan((Step(fleet.group.urn, GROUP, "update", ("tags",)),)), fleet.world.tools)


def test_a_group_that_cannot_be_seen_is_not_resized() -> None:
    """No look, no other size, whatever keeps it from being seen; a lost lease is that and nothing else (I05, I06)."""
    fleet = SimulatedFleet("healthy", size=3)
    fleet.unreadable = True
    with pytest.raises(RepairRefused, match="cannot be seen"):
        refuse_shrinking(resizing(fleet), fleet.world.tools)
    for error, raised in ((WrongAccount("another"), RepairRefused), (LeaseLost("taken"), LeaseLost)):

        def look(_: Urn, error: Exception = error) -> Fleet | Unreadable:
            raise error

        fleet.world.fleet = look
        with pytest.raises(raised):
            refuse_shrinking(resizing(fleet), fleet.world.tools)


def test_a_weighted_group_gives_nothing_back_by_itself() -> None:
    """What its size counts is not servers, so nobody is chosen to leave and the size is not written (I02)."""
    fleet = SimulatedFleet("healthy", "healthy", "healthy", size=2)
    fleet.unit = UNITS
    with pytest.raises(RepairRefused, match="not touched"):
        give_surplus_back(fleet.repair(0), fleet.world.tools)
    assert fleet.calls == []

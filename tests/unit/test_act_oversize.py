"""A group that is larger than declared gives servers back one by one before the engine writes its size."""

from __future__ import annotations

from collections.abc import Collection

import pytest

from reconciler.act.act import act
from reconciler.act.steps import EnginePlan, Step
from reconciler.act.strategies.oversize import give_surplus_back, refuse_shrinking
from reconciler.act.strategies.rollout import Rollout
from reconciler.errors import LeaseLost, RepairRefused, WrongAccount
from reconciler.model import UNITS, Fleet, Status, Unreadable, Urn
from tests.unit.act_fleet import SimulatedFleet
from tests.unit.act_world import GROUP, declared, plan, repair, resource


def resizing(fleet: SimulatedFleet, *changed: str) -> EnginePlan:
    return EnginePlan((Step(fleet.group.urn, GROUP, "update", changed or ("desiredCapacity",)),))


def give_back(fleet: SimulatedFleet, *changed: str) -> bool:
    return give_surplus_back(resizing(fleet, *changed), fleet.repair(0), fleet.world.tools)


def test_the_sick_ones_leave_first() -> None:
    """Of a surplus the servers that serve nobody leave, and every healthy one stays (I02)."""
    fleet = SimulatedFleet("healthy", "healthy", "unhealthy", "stopped", maximum=6, floor=2, size=2)
    give_back(fleet)
    assert fleet.desired == fleet.healthy == 2
    assert fleet.calls == ["terminate", "terminate"]


def test_what_the_engine_does_not_resize_keeps_its_servers() -> None:
    """A group that is larger than declared loses none while the engine's plan does not write its size (I02)."""
    fleet = SimulatedFleet(*["healthy"] * 5, maximum=10, floor=2, size=2)
    fleet.world.breaks(fleet.group)
    for steps in ((), ("update",)):
        fleet.world.engine.would = {fleet.group.urn: steps}
        act(plan(repair("reapply", fleet.group)), fleet.world.tools)
    assert (fleet.calls, fleet.desired) == ([], 5)


def test_a_surplus_leaves_between_two_previews() -> None:
    """What the engine would make smaller gives back first, and the engine is asked again (I02)."""
    fleet = SimulatedFleet("healthy", "healthy", "unhealthy", maximum=6, floor=2, size=2)
    fleet.world.breaks(fleet.group)
    fleet.world.engine.would = {fleet.group.urn: ()}
    fleet.world.engine.besides = list(resizing(fleet).steps)

    def asked_again(_: Collection[Urn]) -> None:
        if fleet.desired == 2:
            fleet.world.engine.besides = []
            fleet.world.broken.clear()

    fleet.world.engine.preview_trouble = asked_again
    (outcome,) = act(plan(repair("reapply", fleet.group)), fleet.world.tools)
    assert (outcome.status, fleet.calls, fleet.healthy) == (Status.HEALED, ["terminate"], 2)
    assert len(fleet.world.engine.previews) == 2


def test_one_that_cannot_give_back_holds_up_nothing_else() -> None:
    """A group whose surplus may not leave is refused by itself, once, and the other repairs go on (I02)."""
    fleet = SimulatedFleet("healthy", "healthy", "healthy", floor=3, size=2)
    other = resource("acme-vpc")
    fleet.world.change(declared=declared(fleet.group, other))
    fleet.world.breaks(fleet.group, other)
    fleet.world.engine.would = {fleet.group.urn: ()}
    fleet.world.engine.besides = list(resizing(fleet).steps)

    def of_the_other(targets: Collection[Urn]) -> None:
        if fleet.group.urn not in targets:
            fleet.world.engine.besides = []

    fleet.world.engine.preview_trouble = of_the_other
    stuck, healed = repair("reapply", fleet.group), repair("reapply", other)
    outcomes = {o.repair_id: o for o in act(plan(stuck, healed), fleet.world.tools)}
    assert outcomes[stuck.id].status is Status.REFUSED
    assert "none of them may leave" in outcomes[stuck.id].reason
    assert (outcomes[healed.id].status, fleet.calls) == (Status.HEALED, [])


def test_a_group_that_somebody_else_sizes_gives_back_only_to_its_maximum() -> None:
    """Where a policy sets the size, servers leave one by one only if the engine sets a largest size below it (I02)."""
    for facts in ({"ignored": ("desiredCapacity",)}, {"scaled": True}):
        fleet = SimulatedFleet(*["healthy"] * 4, "unhealthy", maximum=10, floor=2, size=2)
        fleet.change(inputs={**fleet.group.inputs, "maxSize": 4.0}, **facts)
        assert not give_back(fleet)
        assert not give_back(fleet, "desiredCapacity", "maxSize")
        assert give_back(fleet, "maxSize")
        assert (fleet.calls, fleet.desired, fleet.healthy) == (["terminate"], 4, 4)


def test_a_policy_and_a_program_that_both_set_the_size_are_not_mixed_up() -> None:
    """A program that would set back what a scaling policy set is refused, and told what to write; growing is not."""
    fleet = SimulatedFleet(*["healthy"] * 3, size=2)
    fleet.change(scaled=True)
    with pytest.raises(RepairRefused, match="ignore_changes"):
        refuse_shrinking(resizing(fleet), fleet.world.tools)
    fleet.desired = 1
    refuse_shrinking(resizing(fleet), fleet.world.tools)


def test_a_largest_size_below_the_size_is_refused() -> None:
    """A group that grows beyond the maximum that the engine is about to set refuses the update (I02)."""
    fleet = SimulatedFleet(*["healthy"] * 3, size=2)
    fleet.change(inputs={"desiredCapacity": 2.0, "maxSize": 2.0})
    with pytest.raises(RepairRefused, match="resizes the group"):
        refuse_shrinking(resizing(fleet, "maxSize"), fleet.world.tools)
    fleet.desired = 2
    refuse_shrinking(resizing(fleet, "maxSize"), fleet.world.tools)


def test_the_floor_of_a_group_that_somebody_else_sizes_is_of_what_it_has() -> None:
    """Without a declared size the floor of a rollout counts from what AWS says the group is to have (I02)."""
    fleet = SimulatedFleet("healthy", "healthy", "unhealthy", size=1)
    fleet.world.change(floor=lambda _, size: size)
    assert Rollout(fleet.repair(0), fleet.world.tools).floor == 1
    fleet.change(scaled=True)
    assert Rollout(fleet.repair(0), fleet.world.tools).floor == 3


def test_one_that_starts_stays_before_one_that_failed() -> None:
    """Of a surplus the server that is still starting stays: it may serve before the one that failed has left (I02)."""
    fleet = SimulatedFleet("healthy", "stopped", size=2, floor=2)
    stopped = list(fleet.members)[1]
    fleet.desired = 3
    fleet.wait(0)
    give_back(fleet)
    assert (fleet.calls, fleet.desired, stopped in fleet.members) == (["terminate"], 2, False)
    assert fleet.healthy == 2


def test_a_group_of_its_size_is_left_alone() -> None:
    """Nothing is written for a group that is not too large (I09)."""
    fleet = SimulatedFleet("healthy", "unhealthy")
    give_back(fleet)
    assert fleet.calls == []


def test_a_fleet_that_cannot_be_seen_is_left_alone() -> None:
    """Without a look at its servers the group's size is not touched (I06)."""
    fleet = SimulatedFleet("healthy", "healthy", "healthy", size=2)
    fleet.world.fleet = lambda _: Unreadable("Throttling")
    with pytest.raises(RepairRefused, match="cannot be seen"):
        give_back(fleet)
    assert fleet.calls == []


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
    # A server had left before, so it is no refusal, which says that nothing was done (I03).
    assert outcome.status is Status.NOT_HEALED
    assert "resizes the group" in outcome.reason
    assert "part of it was done before" in outcome.reason
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
    fleet.desired = 3
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
        give_back(fleet)
    assert fleet.calls == []


def test_an_update_for_another_reason_makes_no_group_smaller() -> None:
    """A group that somebody made larger after the preview is not updated: the engine would write its size (I02)."""
    fleet = SimulatedFleet("healthy", "healthy", "healthy", size=2)
    other = EnginePlan((Step(fleet.group.urn, GROUP, "update", ("vpcZoneIdentifiers",)),))
    with pytest.raises(RepairRefused, match="resizes the group"):
        refuse_shrinking(other, fleet.world.tools)
    fleet.desired = 2
    refuse_shrinking(other, fleet.world.tools)
    assert give_surplus_back(other, fleet.repair(0), fleet.world.tools) is False


def test_a_refusal_after_servers_left_is_no_refusal() -> None:
    """A repair of several resources whose surplus left, and which the engine's next plan refuses, has written."""
    fleet = SimulatedFleet("healthy", "healthy", "unhealthy", maximum=6, floor=2, size=2)
    network = resource("acme-net")
    fleet.world.change(declared=declared(network, fleet.group))
    fleet.world.breaks(network)
    fleet.world.engine.would = {network.urn: ("create",), fleet.group.urn: ()}
    fleet.world.engine.besides = list(resizing(fleet).steps)

    def asked_again(_: Collection[Urn]) -> None:
        if fleet.calls:
            fleet.world.engine.would = {network.urn: ("delete",), fleet.group.urn: ()}

    fleet.world.engine.preview_trouble = asked_again
    (outcome,) = act(plan(repair("recreate", network, fleet.group)), fleet.world.tools)
    assert (fleet.calls, outcome.status) == (["terminate"], Status.NOT_HEALED)
    assert "part of it was done before" in outcome.reason

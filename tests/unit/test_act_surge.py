"""What other hands and AWS itself do to a fleet while it is made larger and smaller again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from botocore.exceptions import ClientError, ReadTimeoutError

from reconciler.act import recovery
from reconciler.act.act import act
from reconciler.act.steps import Step
from reconciler.act.strategies.refresh_image import Refresh
from reconciler.act.strategies.rollout import Rollout
from reconciler.act.surge import Surge
from reconciler.model import Fleet, Kind, Repair, Status, Unreadable, Urn, Verdict
from tests.unit.act_fleet import Killed, Newcomers, SimulatedFleet
from tests.unit.act_world import GROUP, finding, plan, repair
from tests.unit.sandbox_stage import Intent


def everybody(fleet: SimulatedFleet) -> Repair:
    return replace(fleet.repair(*range(len(fleet.members))), strategy="refresh-image")


def large(*states: str, floor: int, batch: int = 3) -> SimulatedFleet:
    """A fleet with room, refreshed in batches."""
    fleet = SimulatedFleet(*states, maximum=12, floor=floor)
    fleet.world.change(pace=replace(fleet.world.tools.pace, batch=batch))
    return fleet


def meanwhile(fleet: SimulatedFleet, happens: Callable[[], None]) -> None:
    """Let something happen each time that the reconciler waits."""
    wait = fleet.wait

    def waiting(seconds: float) -> None:
        wait(seconds)
        happens()

    fleet.world.change(wait=waiting)


def becomes(fleet: SimulatedFleet, name: str, **fields: Any) -> None:
    fleet.members[name] = replace(fleet.members[name], **fields)


def test_a_newcomer_that_never_proved_itself_does_not_stay() -> None:
    """I07: one that is healthy just when its time is over, and was never baked, goes back; the old one stays."""
    fleet = SimulatedFleet("healthy", "healthy", "healthy", floor=3)
    old = set(fleet.members)
    fleet.new = Newcomers(healthy_after=370)
    assert Rollout(fleet.repair(0), fleet.world.tools).run().status is Status.ROLLED_BACK
    fleet.wait(10)
    assert set(fleet.members) == old


def test_a_canary_that_flaps_does_not_stay() -> None:
    """F48: a new image that is healthy every other half minute costs no old server its place."""
    fleet = SimulatedFleet("healthy", "healthy", "healthy", floor=3)
    old = set(fleet.members)
    fleet.new = Newcomers(healthy_after=None)

    def flap() -> None:
        for name, member in list(fleet.members.items()):
            if name not in old and member.lifecycle == "InService":
                becomes(fleet, name, target="healthy" if int(fleet.world.now // 30) % 2 else "unhealthy")

    meanwhile(fleet, flap)
    ending = Refresh(everybody(fleet), fleet.world.tools).run()
    fleet.wait(10)
    assert (ending.status, ending.bad_image, set(fleet.members)) == (Status.ROLLED_BACK, "lt-1:1", old)


def test_a_bake_that_was_cut_off_is_taken_back() -> None:
    """C08: what died while the canary baked is undone: nobody knows whether the new image is any good."""
    fleet = SimulatedFleet("healthy", "healthy", "healthy", floor=3)
    old, wait = set(fleet.members), fleet.wait

    def dies() -> None:
        if fleet.world.now == 20:
            raise Killed

    meanwhile(fleet, dies)
    work = everybody(fleet)
    with pytest.raises(Killed):
        Refresh(work, fleet.world.tools).run()
    fleet.world.change(wait=wait)
    fleet.world.breaks(fleet.group)
    fleet.world.journal.intents.append(work)
    recovery.conclude_open([Intent(0, work)], fleet.world.tools)
    wait(10)
    assert set(fleet.members) == old


def test_a_batch_stops_where_somebody_makes_the_group_smaller() -> None:
    """A group set back to its size during the proof loses none of its servers to the batch (I02)."""
    fleet = large(*["healthy"] * 6, floor=2)
    old = list(fleet.members)

    def resized() -> None:
        if fleet.desired == 9:
            fleet.desired = 6
            for name in old[-3:]:
                becomes(fleet, name, lifecycle="Terminating", target="draining")

    meanwhile(fleet, resized)
    ending = Refresh(everybody(fleet), fleet.world.tools).run()
    assert (fleet.desired, ending.status) == (6, Status.NOT_HEALED)
    assert "somebody else resized the group" in ending.reason


def test_a_batch_gives_back_for_who_left_by_itself() -> None:
    """A server of the batch that ends by itself has its place taken by the group: one is too many then, and goes."""
    fleet = large(*["healthy"] * 4, floor=2)
    last = list(fleet.members)[-1]
    left: list[str] = []

    def dies() -> None:
        if fleet.desired == 7 and not left:
            left.append(last)
            becomes(fleet, last, lifecycle="Terminating", target="draining")

    meanwhile(fleet, dies)
    assert Refresh(everybody(fleet), fleet.world.tools).run().status is Status.HEALED
    assert (left, fleet.desired) == ([last], 4)


def test_a_rollback_leaves_what_an_autoscaler_added() -> None:
    """I02: as many as were asked for go back, and not what a scaling policy added under load meanwhile."""
    fleet = SimulatedFleet(*["healthy"] * 4, maximum=10, floor=2)
    fleet.change(scaled=True)
    fleet.spread_over("eu-central-1a", "eu-central-1b")
    fleet.full = {"eu-central-1a"}
    scaled: list[int] = []

    def scaling() -> None:
        if fleet.desired == 5 and not scaled:
            fleet.desired += 3
            scaled.append(fleet.desired)

    meanwhile(fleet, scaling)
    assert Rollout(fleet.repair(0), fleet.world.tools).run().status is Status.ROLLED_BACK
    assert (scaled, fleet.desired) == ([8], 7)


def test_a_look_behind_the_batch_keeps_the_floor() -> None:
    """F08: a look that still counts the server just told to leave lets no other go below the floor (I02)."""
    fleet = large(*["healthy"] * 5, floor=5)
    seen: list[Fleet | Unreadable] = []
    told: list[int] = [0]

    def stale(group: Urn) -> Fleet | Unreadable:
        seen.append(fleet.look(group))
        behind = told[-1] != len(fleet.calls) and fleet.calls[-1] == "terminate"
        told.append(len(fleet.calls))
        return seen[-2] if behind else seen[-1]

    def fails() -> None:
        if fleet.desired == 8 and fleet.healthy == 8:
            for name in list(fleet.members)[3:5]:
                becomes(fleet, name, target="unhealthy")

    fleet.world.fleet = stale
    meanwhile(fleet, fails)
    ending = Refresh(everybody(fleet), fleet.world.tools).run()
    assert "fewer than 5 healthy servers" in ending.reason
    assert fleet.calls.count("terminate") >= 1


def test_a_batch_that_cannot_be_given_back_tells_how_much() -> None:
    """Three that were asked for and may not leave, since they are all that serves, are told as three."""
    fleet = large(*["healthy"] * 4, floor=4)
    fleet.new = Newcomers(healthy_after=20)
    fleet.refuse["terminate"] = ClientError({"Error": {"Code": "AccessDenied"}}, "Terminate")
    surge = Surge(fleet.repair(), fleet.world.tools)
    assert surge.grow(surge.see(), by=3) is None
    ending = surge.roll_back("the tenant is worse off")
    assert ending.status is Status.NOT_HEALED
    assert "the fleet may be 3 servers too large" in ending.reason


def test_looks_behind_name_nobody_twice() -> None:
    """F08: of two that are given back each leaves once, also while looks still show the fleet as it was before."""
    fleet = SimulatedFleet(*["healthy"] * 5, maximum=8, floor=3, size=3)
    sizes = [fleet.look(fleet.group.urn)]
    told: list[str] = []
    terminate = fleet.world.aws.answers["terminate_instance_in_auto_scaling_group"]

    def noted(parameters: dict[str, Any]) -> Any:
        told.append(parameters["InstanceId"])
        return terminate(parameters)

    late = iter(range(3))
    fleet.world.aws.answers["terminate_instance_in_auto_scaling_group"] = noted
    fleet.world.fleet = lambda group: sizes[0] if len(told) == 1 and next(late, 3) < 3 else fleet.look(group)
    surge = Surge(fleet.repair(), fleet.world.tools)
    surge.base, surge.asked = 3, 2
    assert surge.give_back()
    assert (len(set(told)), len(told), fleet.desired) == (2, 2, 3)


def with_standby(fleet: SimulatedFleet) -> None:
    """A group counts no server on standby."""
    staying = fleet._staying
    fleet._staying = lambda: [m for m in staying() if m.lifecycle != "Standby"]  # type: ignore[method-assign]


@pytest.mark.parametrize("refresh", [False, True])
def test_a_server_on_standby_is_left_alone(*, refresh: bool) -> None:
    """One that a person puts on standby while others are replaced is not ended, although it was to be."""
    fleet = large("unhealthy", "unhealthy", "healthy", "healthy", floor=2)
    second = list(fleet.members)[1]
    fleet.world.breaks(fleet.group)
    failing = replace(finding(fleet.group, Verdict.FAIL, "health.target"), kind=Kind.HEALTH)
    fleet.world.change(
        look=lambda _: tuple(
            replace(failing, resource_id=m.instance_id)
            for m in fleet.members.values()
            if m.lifecycle == "InService" and m.target != "healthy"
        )
    )
    with_standby(fleet)

    def put_aside() -> None:
        if fleet.members[second].lifecycle == "InService":
            becomes(fleet, second, lifecycle="Standby", target="unused")

    meanwhile(fleet, put_aside)
    work = fleet.repair(0, 1)
    (Refresh if refresh else Rollout)(work, fleet.world.tools).run()
    assert second in fleet.members
    assert fleet.calls == ["set_desired_capacity", "terminate"]


def test_a_server_on_standby_is_none_too_many() -> None:
    """What is given back is never a server on standby, which is not of the group's size."""
    fleet = SimulatedFleet("healthy", "healthy", "healthy", floor=3)
    fleet._launch("healthy")
    kept = list(fleet.members)[-1]
    becomes(fleet, kept, lifecycle="Standby", target="unused")
    with_standby(fleet)
    fleet.new = Newcomers(launched=False)
    Rollout(fleet.repair(0), fleet.world.tools).run()
    fleet.wait(10)
    assert (kept in fleet.members, fleet.desired) == (True, 3)


def test_a_call_that_timed_out_may_have_worked() -> None:
    """F08: a size that was set although the call timed out is seen by the second look, and given back."""
    fleet = SimulatedFleet("unhealthy", "healthy", "healthy", floor=2)
    set_desired, before = fleet.world.aws.answers["set_desired_capacity"], fleet.look(fleet.group.urn)
    behind: list[bool] = []

    def late(parameters: dict[str, Any]) -> None:
        set_desired(parameters)
        behind.append(True)
        raise ReadTimeoutError(endpoint_url="autoscaling")

    fleet.world.aws.answers["set_desired_capacity"] = late
    fleet.world.fleet = lambda group: before if behind and behind.pop() else fleet.look(group)
    assert Rollout(fleet.repair(0), fleet.world.tools).run().status is Status.ROLLED_BACK
    assert fleet.desired == 3


def test_a_newcomer_of_the_old_image_proves_nothing() -> None:
    """A server out of a warm pool that is as outdated as the one that it replaces is no canary, and nobody's fault."""
    fleet = SimulatedFleet("healthy", "healthy", "healthy", maximum=8, floor=3)
    launch = fleet._launch

    def warm(state: str) -> None:
        launch(state)
        becomes(fleet, list(fleet.members)[-1], outdated=True)

    fleet._launch = warm  # type: ignore[method-assign]
    ending = Refresh(everybody(fleet), fleet.world.tools).run()
    assert (ending.status, ending.bad_image, fleet.desired) == (Status.ROLLED_BACK, "", 3)
    assert "not of what the group launches now" in ending.reason


def test_a_newcomer_that_a_hook_holds_blames_no_image() -> None:
    """A lifecycle hook that nobody completes says nothing against what was launched."""
    fleet = SimulatedFleet("unhealthy", "healthy", "healthy", floor=2)
    launch = fleet._launch

    def held(state: str) -> None:
        launch(state)
        becomes(fleet, list(fleet.members)[-1], lifecycle="Pending:Wait")

    fleet._launch = held  # type: ignore[method-assign]
    fleet.new = Newcomers(healthy_after=None)
    ending = Rollout(fleet.repair(0), fleet.world.tools).run()
    assert (ending.status, ending.bad_image) == (Status.ROLLED_BACK, "")
    assert "Pending:Wait" in ending.reason


@pytest.mark.parametrize("process", ["Launch", "AddToLoadBalancer"])
@pytest.mark.parametrize("room", [3, 8], ids=["full", "room"])
def test_a_group_that_somebody_has_halted_is_left_alone(process: str, room: int) -> None:
    """While no server can come, or none can serve, nothing is asked of the group, and no image is blamed."""
    fleet = SimulatedFleet("stopped", "healthy", "healthy", maximum=room, floor=2)

    def halted(group: Urn) -> Fleet | Unreadable:
        seen = fleet.look(group)
        return replace(seen, suspended=frozenset({process, "AlarmNotification"})) if isinstance(seen, Fleet) else seen

    fleet.world.fleet = halted
    ending = Rollout(fleet.repair(0), fleet.world.tools).run()
    assert (ending.status, ending.bad_image, fleet.calls) == (Status.REFUSED, "", [])
    assert f"suspended {process} of the group" in ending.reason


def test_a_least_size_that_somebody_raised_is_lowered_first() -> None:
    """AWS ends no server of a group at its least size, so that is set as declared before the surplus leaves."""
    fleet = SimulatedFleet(*["healthy"] * 5, maximum=10, floor=2, size=3)
    fleet.change(inputs={"desiredCapacity": 3.0, "minSize": 2.0})
    fleet.world.breaks(fleet.group)
    least, terminate = [5], fleet.world.aws.answers["terminate_instance_in_auto_scaling_group"]

    def refused(parameters: dict[str, Any]) -> Any:
        if fleet.desired - 1 < least[-1]:
            refusal = ClientError({"Error": {"Code": "ValidationError"}}, "TerminateInstanceInAutoScalingGroup")
            raise refusal
        return terminate(parameters)

    def look(group: Urn) -> Fleet | Unreadable:
        seen = fleet.look(group)
        return replace(seen, minimum=least[-1]) if isinstance(seen, Fleet) else seen

    fleet.world.fleet = look
    fleet.world.aws.answers |= {
        "terminate_instance_in_auto_scaling_group": refused,
        "update_auto_scaling_group": lambda parameters: least.append(parameters["MinSize"]),
    }
    fleet.world.engine.would = {fleet.group.urn: ()}
    fleet.world.engine.besides = [Step(fleet.group.urn, GROUP, "update", ("desiredCapacity", "minSize"))]
    act(plan(repair("reapply", fleet.group)), fleet.world.tools)
    assert (least, fleet.desired) == ([5, 2], 3)

"""Servers replaced one by one, on a simulated fleet that checks the floor after every write (I02)."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import pytest
from botocore.exceptions import ClientError
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.act import recovery
from reconciler.act.act import act
from reconciler.act.fleet import surplus
from reconciler.act.strategies import STRATEGIES
from reconciler.act.strategies.refresh_image import Refresh
from reconciler.act.strategies.rollout import Rollout
from reconciler.errors import RepairRefused
from reconciler.model import UNITS, Finding, Fleet, Repair, Status, Unreadable, Urn, Verdict
from reconciler.observe.sessions import SessionRefused
from reconciler.ports import OpenIntent
from tests.unit.act_fleet import Killed, Newcomers, SimulatedFleet
from tests.unit.act_world import finding, plan


def rollout(fleet: SimulatedFleet, *numbers: int) -> tuple[Status, str]:
    ending = Rollout(fleet.repair(*numbers), fleet.world.tools).run()
    return ending.status, ending.reason


def test_new_before_old() -> None:
    """One more server, proven for the bake time, and only then does the old one leave (I07)."""
    fleet = SimulatedFleet("unhealthy", "healthy", "healthy", floor=2)
    old = next(iter(fleet.members))
    assert rollout(fleet, 0)[0] is Status.HEALED
    assert fleet.calls == ["set_desired_capacity", "terminate"]
    assert fleet.world.now >= 20 + 30
    assert (fleet.desired, fleet.healthy, old in fleet.members) == (3, 3, False)


def test_one_after_the_other() -> None:
    """Two servers are replaced in turn; the fleet is never more than one too large."""
    fleet = SimulatedFleet("unhealthy", "healthy", "stopped", floor=1)
    assert rollout(fleet, 0, 2)[0] is Status.HEALED
    assert fleet.calls == ["set_desired_capacity", "terminate"] * 2
    assert (fleet.desired, fleet.healthy) == (3, 3)


@pytest.mark.parametrize("verdict", [Verdict.PASS, Verdict.UNKNOWN])
def test_a_server_that_got_well_meanwhile_stays(verdict: Verdict) -> None:
    """Each server is judged once more right before it is replaced: one that is well again stays, and one that cannot be
    judged ends the rollout (I06)."""
    fleet = SimulatedFleet("unhealthy", "unhealthy", "healthy", floor=1)
    first, second = list(fleet.members)[:2]

    def look(_: Collection[Urn]) -> tuple[Finding, ...]:
        verdicts = {first: Verdict.FAIL, second: verdict if first not in fleet.members else Verdict.FAIL}
        return tuple(replace(finding(fleet.group, v, "health.target"), resource_id=i) for i, v in verdicts.items())

    fleet.world.change(look=look)
    status, reason = rollout(fleet, 0, 1)
    assert status is (Status.HEALED if verdict is Verdict.PASS else Status.NOT_HEALED), reason
    assert (first in fleet.members, second in fleet.members) == (False, True)
    assert fleet.calls == ["set_desired_capacity", "terminate"]


def test_a_refusal_after_growing_gives_back() -> None:
    """A tenant's session that is refused when the old server is to leave takes back the new one (F01, F11)."""
    fleet = SimulatedFleet("unhealthy", "healthy", "healthy", floor=1)
    aws: Any = fleet.world.aws
    permit = aws.permit
    refused: list[str] = []

    @contextmanager
    def once(repair: Repair, *, operations: Collection[str], resources: Collection[str]) -> Iterator[None]:
        if not refused and "autoscaling:TerminateInstanceInAutoScalingGroup" in operations:
            refused.extend(operations)
            raise SessionRefused("the tenant's role could not be assumed")
        with permit(repair, operations=operations, resources=resources):
            yield

    aws.permit = once
    status, reason = rollout(fleet, 0)
    assert (status, "could not be assumed" in reason) == (Status.ROLLED_BACK, True)
    fleet.wait(10)
    assert (fleet.desired, len(fleet.members)) == (3, 3)


def test_refused_after_a_write_is_a_failure() -> None:
    """A refusal says that nothing was written, and budgets rely on it: after a first server it is a failure (I03)."""
    fleet = SimulatedFleet("unhealthy", "healthy", "healthy", maximum=3, floor=1)
    fleet.world.breaks(fleet.group)
    work = replace(fleet.repair(0, 1), finding_ids=(finding(fleet.group).id,))
    (outcome,) = act(plan(work), fleet.world.tools)
    assert fleet.calls == ["terminate"]
    assert outcome.status is Status.NOT_HEALED
    assert "may still serve" in outcome.reason
    assert "part of it was done before" in outcome.reason


@pytest.mark.parametrize("launched", [True, False])
def test_what_a_server_that_never_gets_well_was_launched_from(*, launched: bool) -> None:
    """Where the group itself replaces a server, a new one that stays ill tells of its template; none at all does not
    (F48)."""
    fleet = SimulatedFleet("terminated", "healthy")
    fleet.new = Newcomers(healthy_after=None, launched=launched)
    ending = Rollout(fleet.repair(0), fleet.world.tools).run()
    assert (ending.status, ending.bad_image) == (Status.NOT_HEALED, fleet.image if launched else "")


@pytest.mark.parametrize("new", [Newcomers(healthy_after=None), Newcomers(launched=False)])
def test_a_failed_replacement_is_rolled_back(new: Newcomers) -> None:
    """A newcomer that never gets healthy, or is never launched, is given back, and the rollout ends (F13, F48)."""
    fleet = SimulatedFleet("unhealthy", "unhealthy", "healthy", floor=1)
    before = set(fleet.members)
    fleet.new = new
    status, reason = rollout(fleet, 0, 1)
    assert status is Status.ROLLED_BACK
    assert "no new server became healthy" in reason
    fleet.wait(10)
    assert (fleet.desired, set(fleet.members)) == (3, before)
    assert fleet.calls.count("set_desired_capacity") == (1 if new.launched else 2)


def test_no_room_and_serving_is_refused() -> None:
    """At its maximum, a fleet gives up no server that may serve; the refusal says what to change."""
    fleet = SimulatedFleet("healthy", "healthy", maximum=2)
    status, reason = rollout(fleet, 0)
    assert status is Status.REFUSED
    assert "maxSize" in reason
    assert fleet.calls == []


def test_no_room_but_serving_nobody() -> None:
    """At its maximum, a server that serves nobody may leave first: the floor counts healthy ones only."""
    fleet = SimulatedFleet("unhealthy", "healthy", maximum=2, floor=1)
    assert rollout(fleet, 0)[0] is Status.HEALED
    assert fleet.calls == ["terminate"]
    assert (fleet.desired, fleet.healthy) == (2, 2)


def test_no_room_and_unknown_is_refused() -> None:
    """At its maximum, a server whose health cannot be read stays (I06, F23)."""
    fleet = SimulatedFleet("unhealthy", "healthy", maximum=2)
    first = next(iter(fleet.members))
    fleet.members[first] = replace(fleet.members[first], target=Unreadable("AccessDenied"))
    assert rollout(fleet, 0)[0] is Status.REFUSED
    assert fleet.calls == []


def test_a_dead_server_is_deregistered_and_replaced() -> None:
    """A server that somebody terminated leaves the load balancer and is reported lost; the group replaces it."""
    fleet = SimulatedFleet("terminated", "healthy", floor=1)
    assert rollout(fleet, 0)[0] is Status.HEALED
    assert fleet.calls == ["deregister", "report"]
    assert (fleet.desired, fleet.healthy) == (2, 2)


def test_a_server_that_left_already() -> None:
    """A server that the group has replaced by itself meanwhile needs no write."""
    fleet = SimulatedFleet("unhealthy", "healthy")
    work = fleet.repair(0)
    del fleet.members[work.members[0]]
    assert Rollout(work, fleet.world.tools).run().status is Status.HEALED
    assert (fleet.calls, fleet.healthy) == ([], 2)


def test_a_server_outside_the_group_stays() -> None:
    """A living server that is registered without being a member is a person's business."""
    fleet = SimulatedFleet("unhealthy", "healthy")
    first = next(iter(fleet.members))
    fleet.members[first] = replace(fleet.members[first], lifecycle="Detached")
    assert rollout(fleet, 0)[0] is Status.REFUSED
    assert fleet.calls == []


def test_somebody_else_resizes() -> None:
    """Another actor takes the additional server away: the rollout stops, and shrinks nothing."""
    fleet = SimulatedFleet("unhealthy", "healthy", floor=1)
    wait = fleet.wait

    def meddle(seconds: float) -> None:
        wait(seconds)
        fleet.desired = 2

    fleet.world.change(wait=meddle)
    status, reason = rollout(fleet, 0)
    assert (status, fleet.desired) == (Status.NOT_HEALED, 2)
    assert "somebody else" in reason


def test_another_server_fails_meanwhile() -> None:
    """A serving server stays if, by the time its replacement is proven, the fleet would fall below its floor (I02)."""
    fleet = SimulatedFleet("healthy", "healthy", floor=2)
    work = fleet.repair(0)
    old, neighbour = fleet.members
    wait = fleet.wait

    def meddle(seconds: float) -> None:
        wait(seconds)
        if neighbour in fleet.members:
            fleet.members[neighbour] = replace(fleet.members[neighbour], target="unhealthy")

    fleet.world.change(wait=meddle)
    ending = Rollout(work, fleet.world.tools).run()
    assert ending.status is Status.ROLLED_BACK
    assert "fewer than 2 healthy" in ending.reason
    assert fleet.members[old].lifecycle == "InService"
    assert (fleet.desired, fleet.healthy) == (2, 2)


def test_a_stale_look_takes_out_no_second_server() -> None:
    """While looks still show the fleet as too large, the one server given back stays the only one (F08)."""
    fleet = SimulatedFleet("unhealthy", "healthy", "healthy", floor=1)
    fleet.new = Newcomers(healthy_after=None)
    look, looks = fleet.look, iter(range(10_000))
    work = fleet.repair(0)

    def stale(group: Urn) -> Fleet | Unreadable:
        seen = look(group)
        late = fleet.calls.count("terminate") == 1 and next(looks) < 5
        return replace(seen, desired=4) if late and isinstance(seen, Fleet) else seen

    fleet.world.fleet = stale
    assert Rollout(work, fleet.world.tools).run().status is Status.ROLLED_BACK
    assert fleet.calls == ["set_desired_capacity", "terminate"]
    assert fleet.desired == 3


def test_one_look_does_not_choose_who_leaves() -> None:
    """Of a fleet that is too large nobody leaves because of one look that shows it as it was before (F08, I02)."""
    fleet = SimulatedFleet("healthy", "unhealthy", "healthy", size=2, floor=2)
    old, sick, _ = fleet.members
    look, looks = fleet.look, iter(range(10_000))

    def stale(group: Urn) -> Fleet | Unreadable:
        seen = look(group)
        if next(looks) != 1 or not isinstance(seen, Fleet):
            return seen
        well = replace(fleet.members[sick], target="healthy")
        return replace(seen, members=(replace(fleet.members[old], target="unhealthy"), well, seen.members[2]))

    fleet.world.fleet = stale
    rollout = Rollout(fleet.repair(), fleet.world.tools)
    rollout.base, rollout.asked = 2, 1
    assert rollout.give_back()
    assert (fleet.calls, fleet.healthy, sick in fleet.members) == (["terminate"], 2, False)


def test_aws_refuses_to_end_the_old_server() -> None:
    """A refused termination gives the new server back, or says that the fleet is one too large."""
    fleet = SimulatedFleet("unhealthy", "healthy", floor=1)
    fleet.refuse["terminate"] = ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, "Terminate")
    status, reason = rollout(fleet, 0)
    assert status is Status.NOT_HEALED
    assert "AccessDenied" in reason
    assert "one server too large" in reason


def test_a_fleet_that_cannot_be_seen_is_not_touched() -> None:
    """No look, no rollout: the repair is refused (F23, I06)."""
    fleet = SimulatedFleet("unhealthy", "healthy")
    work = fleet.repair(0)
    fleet.world.breaks(fleet.group)
    work = replace(work, finding_ids=(finding(fleet.group).id,))
    fleet.unreadable = True
    (outcome,) = act(plan(work), fleet.world.tools)
    assert outcome.status is Status.REFUSED
    assert fleet.calls == []


def test_blind_for_a_while_in_the_middle() -> None:
    """Looks that fail half-way are waited out; nothing is decided on them."""
    fleet = SimulatedFleet("unhealthy", "healthy", floor=1)
    wait = fleet.wait

    def flicker(seconds: float) -> None:
        wait(seconds)
        fleet.unreadable = int(fleet.world.now / 10) % 3 == 0

    fleet.world.change(wait=flicker)
    assert rollout(fleet, 0)[0] is Status.HEALED
    assert fleet.healthy == 2


def test_dry_run_only_tells() -> None:
    """A dry run of a rollout says what it would do and writes nothing (I15)."""
    fleet = SimulatedFleet("unhealthy", "healthy")
    fleet.world.breaks(fleet.group)
    work = replace(fleet.repair(0), finding_ids=(finding(fleet.group).id,))
    (outcome,) = act(plan(work), fleet.world.tools, dry_run=True)
    assert outcome.status is Status.DRY_RUN
    assert "2 to 3 servers" in outcome.reason
    assert fleet.calls == []


@dataclass
class Intent:
    number: int
    repair: Repair


def recover(fleet: SimulatedFleet, work: Repair) -> None:
    """The next process: it looks at what the last one left, and concludes it."""
    fleet.kill_at = None
    fleet.world.aws.permitted = None
    fleet.world.journal.intents.append(work)
    intents: list[OpenIntent] = [Intent(len(fleet.world.journal.intents) - 1, work)]
    (outcome,) = recovery.conclude_open(intents, fleet.world.tools)
    assert outcome.status is Status.INTERRUPTED


@settings(deadline=None, max_examples=300)
@given(
    states=st.lists(st.sampled_from(["healthy", "unhealthy", "stopped", "terminated"]), min_size=1, max_size=4),
    data=st.data(),
)
def test_killed_anywhere(states: list[str], data: st.DataObject) -> None:
    """Whatever the fleet, whatever becomes of newcomers, and wherever the process dies before or after a write: the
    floor holds, and the next process brings the fleet back to its size (F24, C08, C09, C10, I02, I07)."""
    numbers = data.draw(st.lists(st.integers(0, len(states) - 1), min_size=1, unique=True), label="members")
    fleet = SimulatedFleet(
        *states,
        maximum=len(states) + data.draw(st.integers(0, 1), label="room"),
        floor=data.draw(st.integers(0, len(states)), label="floor"),
    )
    fleet.new = data.draw(
        st.sampled_from([Newcomers(), Newcomers(healthy_after=None), Newcomers(launched=False)]), label="newcomers"
    )
    fleet.kill_at = data.draw(st.none() | st.integers(0, 4), label="killed at write")
    fleet.killed_after_effect = data.draw(st.booleans(), label="after its effect")
    work = fleet.repair(*numbers)
    size = fleet.desired
    try:
        Rollout(work, fleet.world.tools).run()
    except Killed:
        recover(fleet, work)
    fleet.wait(10)
    assert fleet.desired == size
    # A fleet whose surge came with nobody healthy to spare may keep a server, but never fewer than the floor.
    assert fleet.healthy >= fleet.floor


def test_recovery_leaves_a_fleet_of_the_right_size_alone() -> None:
    """An open intent of a rollout that had not begun costs no write (I09)."""
    fleet = SimulatedFleet("unhealthy", "healthy")
    recover(fleet, fleet.repair(0))
    assert fleet.calls == []


def test_recovery_takes_out_one_server_at_most() -> None:
    """What an autoscaler added beyond the one server of the rollout is not taken away."""
    fleet = SimulatedFleet("healthy", "healthy", "healthy", "healthy", "healthy", size=3, floor=1)
    recover(fleet, fleet.repair(0))
    assert fleet.desired == 4


def test_an_intent_that_cannot_be_judged_stays_open() -> None:
    """While the fleet cannot be seen, a cut-off rollout is not concluded (I06)."""
    fleet = SimulatedFleet("unhealthy", "healthy")
    fleet.unreadable = True
    assert recovery.conclude_open([Intent(0, fleet.repair(0))], fleet.world.tools) == ()


@pytest.mark.parametrize("strategy", ["rollout", "refresh-image", "quarantine"])
@pytest.mark.parametrize("unit", [UNITS, "vcpu"])
def test_a_group_whose_size_does_not_count_servers_is_left_alone(unit: str, strategy: str) -> None:
    """One more or less of such a size is not one server, so none leaves (I02); the refusal says what it counts."""
    fleet = SimulatedFleet("unhealthy", "healthy", "healthy", floor=1)
    fleet.unit = unit
    run = STRATEGIES[strategy].run
    assert run is not None
    with pytest.raises(RepairRefused) as refused:
        run(replace(fleet.repair(0), strategy=strategy), fleet.world.tools)
    assert f"counts {unit}" in refused.value.why
    assert fleet.calls == []


@pytest.mark.parametrize("strategy", [Rollout, Refresh])
def test_a_server_that_is_marked_meanwhile_is_not_ended(strategy: type[Rollout]) -> None:
    """T09: a server that somebody says was broken into, while a pass is under way, is evidence: no rollout ends it."""
    fleet = SimulatedFleet("healthy", "healthy", "healthy", maximum=6)
    first, marked, last = fleet.members
    fleet.members[marked] = replace(fleet.members[marked], compromised="kim says: crypto mining")
    alone = strategy(fleet.repair(1), fleet.world.tools).run()
    assert (alone.status, fleet.calls) == (Status.CONTINUES, [])
    fleet.world.change(pace=replace(fleet.world.tools.pace, batch=2))
    strategy(fleet.repair(0, 1, 2), fleet.world.tools).run()
    fleet.wait(60)
    assert marked in fleet.members
    assert first not in fleet.members
    assert (last in fleet.members) is (strategy is Rollout)


def test_what_is_too_much_never_is_a_marked_server() -> None:
    """T09: a group that is larger than it should be gives another server back, or none."""
    fleet = SimulatedFleet("unhealthy", "healthy", "healthy")
    first = next(iter(fleet.members))
    fleet.members[first] = replace(fleet.members[first], compromised="x")
    seen = fleet.look(fleet.group.urn)
    assert isinstance(seen, Fleet)
    assert surplus(seen, (), (), 1) not in (None, fleet.members[first])
    assert surplus(seen, (), (), 2) is None


def test_a_group_that_others_size_may_stay_larger_and_the_outcome_says_so() -> None:
    """F24: after a crash nobody knows how large it was; what it was to repair is told as for any other."""
    fleet = SimulatedFleet("healthy", "unhealthy", "healthy", maximum=6)
    fleet.change(scaled=True)
    work = fleet.repair(1)
    fleet.world.journal.intents.append(work)
    intents: list[OpenIntent] = [Intent(0, work)]
    (outcome,) = recovery.conclude_open(intents, fleet.world.tools)
    assert "others size the group, which may be larger" in outcome.reason
    assert fleet.calls == []

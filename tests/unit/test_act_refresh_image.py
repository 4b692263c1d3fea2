"""Whole fleets moved to another image: one server first, then batches, zone by zone, on a simulated fleet (I02)."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.act import recovery
from reconciler.act.strategies.refresh_image import Refresh
from reconciler.act.strategies.rollout import Rollout
from reconciler.act.tools import Ending
from reconciler.model import Finding, Fleet, Repair, Status, Urn, Verdict
from reconciler.observe.sessions import SessionRefused
from reconciler.ports import OpenIntent
from tests.unit.act_fleet import Killed, Newcomers, SimulatedFleet
from tests.unit.act_world import finding

ZONES = ("eu-central-1a", "eu-central-1b", "eu-central-1c")


def refreshed(fleet: SimulatedFleet, work: Repair | None = None, *, batch: int = 1) -> Ending:
    fleet.world.change(pace=replace(fleet.world.tools.pace, batch=batch))
    work = work or everybody(fleet)
    return Refresh(work, fleet.world.tools).run()


def everybody(fleet: SimulatedFleet) -> Repair:
    return replace(fleet.repair(*range(len(fleet.members))), strategy="refresh-image")


def healthy(count: int, *, room: int = 1, floor: int | None = None) -> SimulatedFleet:
    fleet = SimulatedFleet(*["healthy"] * count, maximum=count + room, floor=count if floor is None else floor)
    fleet.spread_over(*ZONES)
    return fleet


@pytest.mark.parametrize("count", [3, 10, 30])
@pytest.mark.parametrize("batch", [1, 4])
def test_all_are_replaced_and_the_floor_holds(count: int, batch: int) -> None:
    """Every server is another one afterwards, and no write left fewer than all of them (I02, I07)."""
    fleet = healthy(count, room=batch)
    old = set(fleet.members)
    assert refreshed(fleet, batch=batch).status is Status.HEALED
    fleet.wait(10)
    assert not old & set(fleet.members)
    assert (fleet.desired, fleet.healthy) == (count, count)


@pytest.mark.parametrize("well", [0, 1, 6], ids=["one more", "the first", "all but the first"])
def test_servers_that_are_right_again_stay(well: int) -> None:
    """Who set the template back meanwhile keeps the servers that fit it, and the first to go is one that must (I06)."""
    fleet = healthy(7, room=3)
    old = list(Refresh(everybody(fleet), fleet.world.tools).members)
    stay = set(old[:1] if well == 1 else old[1:] if well else old[3:4])

    def look(_: Collection[Urn]) -> tuple[Finding, ...]:
        begun = well == 1 or old[0] not in fleet.members
        fits = {i for i in old if i in stay and begun}
        verdicts = {i: Verdict.PASS if i in fits else Verdict.FAIL for i in old}
        return tuple(replace(finding(fleet.group, v, "health.outdated"), resource_id=i) for i, v in verdicts.items())

    fleet.world.change(look=look)
    assert refreshed(fleet, batch=3).status is Status.HEALED
    fleet.wait(10)
    assert stay == set(old) & set(fleet.members)
    assert (fleet.desired, fleet.healthy) == (7, 7)
    assert fleet.calls[:2] == ["set_desired_capacity", "terminate"]


def test_a_refusal_in_a_batch_gives_all_back() -> None:
    """A tenant's session that is refused once the batch's new servers are there takes them back (F01, F11)."""
    fleet = healthy(7, room=3)
    aws: Any = fleet.world.aws
    permit, asked = aws.permit, [0]

    @contextmanager
    def refusing(repair: Repair, *, operations: Collection[str], resources: Collection[str]) -> Iterator[None]:
        asked[0] += "autoscaling:TerminateInstanceInAutoScalingGroup" in operations
        if asked[0] == 2 and fleet.desired == 9:  # the first server of the first batch is to leave
            asked[0] += 1
            raise SessionRefused("the tenant's role could not be assumed")
        with permit(repair, operations=operations, resources=resources):
            yield

    aws.permit = refusing
    ending = refreshed(fleet, batch=3)
    assert ending.status is Status.ROLLED_BACK
    assert "could not be assumed" in ending.reason
    fleet.wait(10)
    assert (fleet.desired, fleet.healthy, len(fleet.members)) == (7, 7, 7)


def test_one_server_first() -> None:
    """A new server that does not become healthy ends it after one launch; the image is named as the culprit (F48)."""
    fleet = healthy(10, room=4)
    fleet.new = Newcomers(healthy_after=None)
    before = set(fleet.members)
    ending = refreshed(fleet, batch=4)
    fleet.wait(10)
    assert (ending.status, ending.bad_image) == (Status.ROLLED_BACK, "lt-1:1")
    assert set(fleet.members) == before
    assert fleet.calls == ["set_desired_capacity", "terminate"]


@pytest.mark.parametrize("strategy", [Rollout, Refresh])
def test_a_pass_that_has_taken_long_enough_ends_between_two_servers(strategy: type[Rollout]) -> None:
    """What has begun is finished, the fleet is as large as before, and that the others are left is no failure."""
    fleet = healthy(6)
    old = set(fleet.members)
    fleet.world.change(until=fleet.world.now + 60)
    ending = strategy(everybody(fleet), fleet.world.tools).run()
    fleet.wait(10)
    replaced = len(old - set(fleet.members))
    assert ending.status is Status.CONTINUES
    assert ending.reason.startswith("rollout.pass_seconds are over")
    assert f"({replaced} of 6 were replaced before)" in ending.reason
    assert (fleet.desired, fleet.healthy, 0 < replaced < 6) == (6, 6, True)


def test_a_pass_that_is_over_time_still_replaces_one_server() -> None:
    """However long other repairs took, each rollout gets on."""
    fleet = healthy(3)
    old = set(fleet.members)
    fleet.world.change(until=0.0)
    assert refreshed(fleet).status is Status.CONTINUES
    fleet.wait(10)
    assert len(old - set(fleet.members)) == 1


def test_no_capacity_is_not_the_images_fault() -> None:
    """Where no server was launched at all, the image is not remembered as bad (F13)."""
    fleet = healthy(3)
    fleet.new = Newcomers(launched=False)
    ending = refreshed(fleet)
    assert (ending.status, ending.bad_image) == (Status.ROLLED_BACK, "")


def test_zones_one_after_another() -> None:
    """The servers of one zone have all gone before the first of the next one does."""
    fleet = healthy(9)
    zone_of = {i: m.zone for i, m in fleet.members.items()}
    gone: list[str] = []
    answer = fleet.world.aws.answers["terminate_instance_in_auto_scaling_group"]

    def noted(parameters: dict[str, str]) -> object:
        gone.append(parameters["InstanceId"])
        return answer(parameters)

    fleet.world.aws.answers["terminate_instance_in_auto_scaling_group"] = noted
    assert refreshed(fleet).status is Status.HEALED
    order = [zone_of[i] for i in gone if i in zone_of]
    assert order == sorted(order)


def test_a_zone_without_room_keeps_its_servers() -> None:
    """A newcomer elsewhere than in the emptiest zone means that this one is full: what serves there stays (F13)."""
    fleet = healthy(6, floor=3)
    fleet.full = {ZONES[0]}
    work = everybody(fleet)
    # One server of the full zone is gone already, so that the newcomer belongs there.
    del fleet.members[work.members[0]]
    fleet.desired = 5
    ending = Rollout(replace(work, members=work.members[3:4]), fleet.world.tools).run()
    fleet.wait(10)
    assert ending.status is Status.ROLLED_BACK
    assert f"zone {ZONES[0]} has no room" in ending.reason
    assert work.members[3] in fleet.members


def test_a_tenant_that_is_worse_off_gets_its_old_server_back() -> None:
    """The newcomer is healthy, but another server stopped serving since it came: it is given back, and said so."""
    fleet = healthy(3)
    fleet.spread_over(ZONES[0])
    other = replace(fleet.group, urn=Urn(f"{fleet.group.urn}-2"), name="acme-others", id="id-acme-others")
    known = {**fleet.world.tools.declared.resources, other.urn: other}
    fleet.world.change(declared=replace(fleet.world.tools.declared, resources=known))
    look = fleet.look

    def both(group: Urn) -> Fleet | object:
        if group == fleet.group.urn:
            return look(group)
        seen = look(fleet.group.urn)
        assert isinstance(seen, Fleet)
        left = seen.members[:3] if len(seen.members) == 3 and not fleet.calls else seen.members[:2]
        return replace(seen, group=group, members=left)

    fleet.world.fleet = both  # type: ignore[assignment]
    work = fleet.repair(0)
    ending = Rollout(work, fleet.world.tools).run()
    fleet.wait(10)
    assert ending.status is Status.ROLLED_BACK
    assert "worse off" in ending.reason
    assert fleet.desired == 3
    assert work.members[0] in fleet.members


@dataclass
class Intent:
    number: int
    repair: Repair


@settings(deadline=None, max_examples=150)
@given(data=st.data())
def test_killed_anywhere(data: st.DataObject) -> None:
    """Wherever it dies, whatever the batch and whatever becomes of newcomers: the floor holds, and the next process
    brings the fleet back to its size (F24, C08, C10, C11, I02)."""
    count = data.draw(st.integers(2, 8), label="servers")
    room = data.draw(st.integers(1, 4), label="room")
    fleet = healthy(count, room=room, floor=data.draw(st.integers(0, count), label="floor"))
    fleet.new = data.draw(st.sampled_from([Newcomers(), Newcomers(healthy_after=None), Newcomers(launched=False)]))
    fleet.kill_at = data.draw(st.none() | st.integers(0, 3 * count), label="killed at write")
    fleet.killed_after_effect = data.draw(st.booleans(), label="after its effect")
    work = everybody(fleet)
    try:
        refreshed(fleet, work, batch=data.draw(st.integers(1, 5), label="batch"))
    except Killed:
        fleet.kill_at = None
        fleet.world.aws.permitted = None
        fleet.world.journal.intents.append(work)
        intents: list[OpenIntent] = [Intent(len(fleet.world.journal.intents) - 1, work)]
        recovery.conclude_open(intents, fleet.world.tools)
    fleet.wait(10)
    assert fleet.desired == count
    assert fleet.healthy >= fleet.floor

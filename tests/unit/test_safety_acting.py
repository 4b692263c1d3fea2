"""What stands between a plan and a write, one thing at a time."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from reconciler.act.act import act
from reconciler.act.fleet import may_leave
from reconciler.act.strategies.rollout import Rollout
from reconciler.detect.drift import drift
from reconciler.errors import LeaseLost, RepairRefused
from reconciler.model import AcceptedBy, Fleet, Member, ObservedResource, Presence, Status, Unreadable, Verdict
from tests.unit.act_fleet import SimulatedFleet
from tests.unit.act_world import GROUP, KEY, KINDS, THING, World, declared, finding, plan, repair, resource

LATER = datetime(2027, 1, 1, tzinfo=UTC)


def test_what_was_accepted_meanwhile_is_not_written() -> None:
    """An exception that came after the plan still stops the repair it covers."""
    vpc = resource("acme-vpc", THING)
    world = World(declared(vpc))
    world.broken[vpc.urn] = [replace(finding(vpc), accepted=AcceptedBy("ana", "migration", LATER))]
    (outcome,) = act(plan(repair("reapply", vpc)), world.tools)
    assert (outcome.status, world.engine.ups) == (Status.HEALED, [])


def test_a_dry_run_does_not_call_a_key_back() -> None:
    """I15: what a strategy writes before the engine looks is left out of a dry run."""
    key = resource("acme-key", KEY)
    world = World(declared(key))
    world.breaks(key)
    (outcome,) = act(plan(repair("restore", key)), world.tools, dry_run=True)
    assert outcome.status is Status.DRY_RUN
    assert world.log == ["look", "preview"]


def test_every_write_to_a_fleet_asks_for_the_lease() -> None:
    """I05: a reconciler that lost its lease changes no group, whatever it had planned."""
    fleet = SimulatedFleet("unhealthy", "healthy")
    fleet.world.journal.trouble["ensure_held"] = LeaseLost("taken")
    with pytest.raises(LeaseLost):
        Rollout(fleet.repair(0), fleet.world.tools).run()
    assert fleet.calls == []


def test_a_rollout_stays_with_its_tenant() -> None:
    """I10: a repair of one tenant that names the group of another is refused before anything is looked at."""
    fleet = SimulatedFleet("unhealthy", "healthy")
    with pytest.raises(RepairRefused, match="belongs to tenant acme"):
        Rollout(replace(fleet.repair(0), tenant="globex"), fleet.world.tools)


def _server(name: str, state: str | Unreadable = "running", target: str | Unreadable = "healthy") -> Member:
    return Member(name, "eu-central-1a", "InService", state, target)


@pytest.mark.parametrize(
    ("member", "floor", "may"),
    [
        (_server("i-0"), 1, True),
        (_server("i-0"), 2, False),
        (_server("i-0", target="unhealthy"), 9, True),
        (_server("i-0", "stopped", Unreadable("denied")), 9, True),
        (_server("i-0", Unreadable("denied")), 0, False),
        (_server("i-0", target=Unreadable("denied")), 0, False),
    ],
)
def test_who_may_leave_a_fleet(member: Member, floor: int, may: bool) -> None:
    """I02 I06 F23: a server leaves if it serves nobody or enough others do; one that cannot be judged stays."""
    fleet = Fleet(resource("acme-servers").urn, "g", 2, 0, 3, (member, _server("i-1")))
    assert may_leave(member, fleet, floor) is may


@pytest.mark.parametrize("refusal", ["VpcLimitExceeded", "InsufficientInstanceCapacity", "DependencyViolation"])
def test_what_aws_has_no_room_for_is_not_healed(refusal: str) -> None:
    """F12 F13 F14: a refusal by AWS is the outcome in AWS's own words, and nothing else is tried in its place."""
    vpc = resource("acme-vpc", THING)
    world = World(declared(vpc))
    world.breaks(vpc)
    world.engine.would[vpc.urn] = ("create",)
    world.engine.fails[vpc.urn] = refusal
    (outcome,) = act(plan(repair("recreate", vpc)), world.tools)
    assert (outcome.status, refusal in outcome.reason, len(world.engine.ups)) == (Status.NOT_HEALED, True, 1)


def test_a_group_that_launches_another_tenants_template_has_drifted() -> None:
    """T05: a launch template shared across tenants is a difference of the group like any other, and is set back."""
    group = resource("acme-servers", GROUP, inputs={"launchTemplate": {"id": "lt-acme", "version": "$Default"}})
    shared = {"launchTemplate": {"id": "lt-globex", "version": "$Default"}}
    seen = ObservedResource(group.urn, Presence.PRESENT, shared)
    found = list(drift(group, seen, KINDS[GROUP]))
    assert [(f.verdict, f.property) for f in found] == [(Verdict.FAIL, "launchTemplate")]

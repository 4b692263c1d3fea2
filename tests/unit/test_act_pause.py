"""A pause in the middle of a pass: the tenant's changes end where they are, everybody else's go on (I14)."""

from __future__ import annotations

from dataclasses import replace

from reconciler.act.act import act
from reconciler.model import Repair, Status
from tests.unit.act_fleet import SimulatedFleet
from tests.unit.act_world import World, declared, finding, plan, repair, resource

ACME, ZETA = resource("acme-vpc"), resource("zeta-vpc")


def paused_when(world: World, words: str, tenant: str = "acme") -> None:
    """The tenant is paused as soon as some repair tells this."""

    def progress(_: Repair, message: str) -> None:
        if words in message:
            world.journal.paused.add(tenant)

    world.change(progress=progress)


def rollout_of(fleet: SimulatedFleet) -> Repair:
    fleet.world.breaks(fleet.group)
    return replace(fleet.repair(0), finding_ids=(finding(fleet.group).id,))


def test_a_tenant_paused_before_the_update_is_left_out_of_it() -> None:
    """I14: its repair was previewed with another tenant's; the update has the other one's resources alone."""
    world = World(declared(ACME, ZETA))
    world.breaks(ACME)
    world.breaks(ZETA)
    paused_when(world, "asking the engine")
    outcomes = {o.tenant: o for o in act(plan(repair("reapply", ACME), repair("reapply", ZETA)), world.tools)}
    assert (outcomes["acme"].status, outcomes["zeta"].status) == (Status.REFUSED, Status.HEALED)
    assert "acme is paused" in outcomes["acme"].reason
    assert [targets for targets, _ in world.engine.ups] == [(ZETA.urn,)]
    assert world.journal.open == []


def test_a_tenant_paused_in_the_middle_of_a_rollout() -> None:
    """I14: nothing more is written to its fleet, its intent stays open for later, and the next tenant is served."""
    fleet = SimulatedFleet("unhealthy", "healthy", "healthy", floor=2)
    world = fleet.world
    bucket = resource("zeta-data", "aws:s3/bucket:Bucket")
    work, other = rollout_of(fleet), repair("escalate", bucket)
    paused_when(world, "new first")
    outcomes = act(plan(work, other), world.tools)
    assert [(o.repair_id, o.status) for o in outcomes] == [
        (work.id, Status.INTERRUPTED),
        (other.id, Status.ESCALATED),
    ]
    assert fleet.calls == []
    assert world.journal.open == [0]


def test_what_needs_a_paused_repair_is_refused() -> None:
    """A repair that waits for one that was cut off is not done either."""
    fleet = SimulatedFleet("unhealthy", "healthy", "healthy", floor=2)
    work = rollout_of(fleet)
    paused_when(fleet.world, "new first")
    outcomes = act(plan(work, repair("escalate", ZETA, after=[work])), fleet.world.tools)
    assert [o.status for o in outcomes] == [Status.INTERRUPTED, Status.REFUSED]

"""One story on one cell: faults of one tenant are looked at, left alone on purpose, repaired once, and never again.

The story is told once (``story``); each test looks at one chapter of it, so that they say apart what holds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from reconciler.cycle import Pass
from reconciler.errors import StackmendError
from reconciler.model import Deferral, Scan, Status
from reconciler.record.lease import LeaseHeld
from sandbox.control import Calls, Write
from tests.integration.loop import (
    BRONZE,
    GOLD,
    SILVER,
    Cell,
    Record,
    assert_clean,
    assert_fleets_whole,
    by_status,
    failing,
    naming,
    things,
)

pytestmark = pytest.mark.engine

FAULTS = ("stop-instance", "expose-subnet", "mute-alarm", "delete-listener", "suspend-versioning")
"""All strike SILVER: a server, three properties and a missing resource."""


@dataclass(frozen=True)
class Story:
    """What happened, chapter by chapter; ``…_calls`` are those that arrived at the server during it."""

    whole: Scan
    broken: Scan
    looked_calls: Calls
    planned: Pass
    after_up: Scan
    paused: Pass
    paused_calls: Calls
    paused_tenant: Pass
    paused_tenant_writes: tuple[Write, ...]
    refused: StackmendError | None
    refused_calls: int
    refused_command: tuple[int, str]
    repaired: tuple[int, Mapping[str, Any]]
    writes: tuple[Write, ...]
    healed: Scan
    again: Pass
    again_calls: Calls
    before: Record
    after: Record


@pytest.fixture(scope="module")
def story(cell: Cell) -> Story:
    control = cell.control
    before = cell.record()
    whole = cell.scan()
    for fault in FAULTS:
        cell.strike(fault, SILVER)

    control.reset()
    broken = cell.scan()
    with cell.cycle() as cycle:
        cycle.plan()
    planned = cell.repair(dry_run=True)
    looked_calls = control.calls()

    cell.sandbox.stack().up(color="never")
    after_up = cell.scan()

    control.reset()
    assert cell.command("pause", "--reason", "we are looking into it").returncode == 0
    paused = cell.repair()
    paused_calls = control.calls()
    assert cell.command("resume").returncode == 0

    cell.strike("strip-tag", GOLD)
    control.reset()
    with cell.cycle() as cycle:
        cycle.pause(SILVER, "their release")
        paused_tenant = cell.repair()
        cycle.resume(SILVER)
    paused_tenant_writes = control.writes()

    control.reset()
    with cell.reconciler() as first:
        rule = control.inject("delay", "elbv2", "CreateListener", seconds=600)
        first.reaches(rule)
        calls = control.calls("reconciler").total
        refused = None
        try:
            cell.repair()
        except StackmendError as error:
            refused = error
        second = cell.command("repair")
        refused_calls = control.calls("reconciler").total - calls
        control.clear()
        repaired = first.ended()
    writes = control.writes()
    healed = cell.scan()

    control.reset()
    again = cell.repair()
    return Story(
        whole=whole,
        broken=broken,
        looked_calls=looked_calls,
        planned=planned,
        after_up=after_up,
        paused=paused,
        paused_calls=paused_calls,
        paused_tenant=paused_tenant,
        paused_tenant_writes=paused_tenant_writes,
        refused=refused,
        refused_calls=refused_calls,
        refused_command=(second.returncode, second.stderr),
        repaired=repaired,
        writes=writes,
        healed=healed,
        again=again,
        again_calls=control.calls(),
        before=before,
        after=cell.record(),
    )


def codes(deferrals: tuple[Deferral, ...]) -> set[str]:
    return {d.code for d in deferrals}


def test_looking_writes_nothing(story: Story) -> None:
    """scan, plan and repair --dry-run make no write call while five faults are open, the engine included; the dry run
    still says of each what it would do (I15)."""
    assert len(failing(story.broken)) >= len(FAULTS)
    assert story.looked_calls.writes == {}
    assert story.looked_calls.total > 0
    assert {o.status for o in story.planned.outcomes} == {Status.DRY_RUN}
    assert {i for o in story.planned.outcomes for i in o.finding_ids} == set(failing(story.broken))
    told = " ".join(o.reason for o in story.planned.outcomes)
    assert "create" in told
    assert "update" in told
    assert "replace i-" in told


def test_a_plain_update_leaves_the_drift(story: Story) -> None:
    """`pulumi up` compares the program with its own state, so it leaves all of it as it is, and nothing is taken for
    declared by that; what healed it then was the reconciler."""
    assert failing(story.after_up).keys() == failing(story.broken).keys()
    assert failing(story.healed) == {}


def test_a_pause_stops_everything(story: Story) -> None:
    """While the cell is paused, from another process, a repair makes no write call and says why (I14)."""
    assert story.paused.outcomes == ()
    assert codes(story.paused.plan.deferrals) == {"paused"}
    assert {i for d in story.paused.plan.deferrals for i in d.finding_ids} == set(failing(story.after_up))
    assert all("we are looking into it" in d.reason for d in story.paused.plan.deferrals)
    assert story.paused_calls.writes == {}


def test_a_pause_of_one_tenant_stops_only_it(story: Story) -> None:
    """While one tenant is paused another one's fault is healed, and no write names the paused one (I14, I10)."""
    assert [(o.tenant, o.status) for o in story.paused_tenant.outcomes] == [(GOLD, Status.HEALED)]
    assert codes(story.paused_tenant.plan.deferrals) == {"paused"}
    assert story.paused_tenant_writes
    assert naming(story.paused_tenant_writes, things(story.whole, [SILVER, BRONZE])) == []


def test_two_reconcilers_at_once(story: Story) -> None:
    """While one repairs, another one is told who holds the cell, ends with 1, and makes no call at all (I01, I05)."""
    assert isinstance(story.refused, LeaseHeld)
    code, told = story.refused_command
    assert code == 1
    assert "is held by process" in " ".join(told.split())
    assert "Traceback" not in told
    assert story.refused_calls == 0


def test_repaired_by_each_its_strategy(story: Story) -> None:
    """The one that held the lease heals all of it; nothing of it is done twice (I01)."""
    code, document = story.repaired
    assert code == 0
    strategies = sorted(o["strategy"] for o in document["outcomes"])
    assert strategies == ["reapply", "reapply", "reapply", "recreate", "rollout"]
    assert {o["status"] for o in document["outcomes"]} == {"healed"}
    assert_clean(story.healed)
    assert_fleets_whole(story.healed)
    calls = [w.call for w in story.writes if w.status == 200]
    for call in ("elbv2:CreateListener", "cloudwatch:PutMetricAlarm", "ec2:ModifySubnetAttribute"):
        assert calls.count(call) == 1
    assert not [call for call in calls if call.startswith("ec2:Run")]


def test_no_write_names_another_tenant(story: Story) -> None:
    """Faults of one tenant cause no call that names a resource, a server, a name or a tag of another (I10, T08)."""
    assert {w.actor for w in story.writes} == {"engine", "reconciler"}
    assert len(naming(story.writes, things(story.whole, [SILVER]))) == len(story.writes) >= len(FAULTS)
    assert naming(story.writes, things(story.whole, [GOLD, BRONZE])) == []


def test_a_second_pass_writes_nothing(story: Story) -> None:
    """The pass after the repair makes no write call and has nothing to say (I09)."""
    assert (story.again.outcomes, story.again.plan.deferrals) == ((), ())
    assert story.again_calls.writes == {}


def test_the_record_of_it(story: Story, cell: Cell) -> None:
    """Only what was done has intents, each with one terminal record; the ledger verifies (I04, I12)."""
    assert by_status(story.after.since(story.before)) == {
        ("reapply", "healed"): 4,
        ("recreate", "healed"): 1,
        ("rollout", "healed"): 1,
    }
    story.after.assert_whole()
    with cell.cycle() as cycle:
        assert cycle.verify_ledger(None).valid
    assert cell.engine_agrees()

"""Every fault of the sandbox happens, is found for what it is, and is healed by the strategy that is meant for it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from itertools import cycle

import pytest

from reconciler.model import Fleet, Kind, Status
from reconciler.present.documents import finding_document
from sandbox import application
from sandbox.faults.registry import FAULTS
from tests.integration.loop import (
    BRONZE,
    GOLD,
    SILVER,
    TENANTS,
    Cell,
    FastForward,
    assert_clean,
    assert_fleets_whole,
    by_status,
    failing,
    wrong,
)

pytestmark = pytest.mark.engine

ROUNDS = (
    {
        "terminate-instance": "rollout",
        "open-ssh": "reapply",
        "unblock-bucket": "recreate",
        "drop-redirect": "reapply",
        "shorten-log-retention": "restore",
        "strip-tag": "reapply",
    },
    {
        "stop-instance": "rollout",
        "delete-default-route": "recreate",
        "disable-key-rotation": "restore",
        "downgrade-tls": "reapply",
        "delete-alias": "recreate",
        "widen-role-policy": "reapply",
    },
    {
        "crash-application": "rollout",
        "detach-subnet": "recreate",
        "change-encryption": "reapply",
        "schedule-key-deletion": "restore",
        "mute-alarm": "reapply",
        "delete-alarm": "recreate",
    },
    {
        "deregister-target": "rollout",
        "disable-dns-hostnames": "reapply",
        "suspend-versioning": "reapply",
        "expose-subnet": "reapply",
        "allow-imdsv1": "reapply",
        "shrink-group": "reapply",
    },
    {
        "suspend-healing": "reapply",
        "delete-listener": "recreate",
        "weaken-health-check": "reapply",
        "drop-tls-policy": "recreate",
    },
)
"""The faults with the strategy that heals each. Those of one round strike the tenants in turn, each another resource,
and are healed together."""

ALONE = {
    "compromise-server": "test_act_quarantine",
    "fail-load-balancer": "test_loop_redeploy",
    "grant-key": "test_loop_stateful",
}
"""Faults that no repair heals, or whose repairs replace what others of a round would look at, with the tests that they
have to themselves."""


@pytest.fixture(scope="module", autouse=True)
def clock(cell: Cell) -> Iterator[FastForward]:
    """Ten minutes later: the servers' warming up is over, so that one that does not answer is sick."""
    with FastForward.by(timedelta(minutes=10)) as clock, pytest.MonkeyPatch.context() as patch:
        patch.setenv("STACKMEND_VERIFY__POLL_SECONDS", "10")
        yield clock


def test_every_fault_that_shows_is_in_a_round() -> None:
    """No fault of the registry is left out; one without types, a bad image, shows only in what is launched later."""
    rounds = [name for faults in ROUNDS for name in faults]
    assert sorted([*rounds, *ALONE]) == sorted(name for name, fault in FAULTS.items() if fault.types)


@pytest.mark.parametrize("faults", ROUNDS, ids=" ".join)
def test_found_and_healed(cell: Cell, faults: dict[str, str]) -> None:
    """Each fault adds findings on its own tenant's resources of its types and no others, none is hidden behind another,
    nothing becomes unknown; one repair heals all by the strategies meant for them, and the next scan is clean (I02,
    I08)."""
    seen = failing(cell.scan())
    struck = {}
    for (name, strategy), tenant in zip(faults.items(), cycle(TENANTS), strict=False):
        cell.strike(name, tenant)
        scan = cell.scan()
        now = failing(scan)
        new = {id_: finding for id_, finding in now.items() if id_ not in seen}
        assert new, f"{name} was not found"
        for finding in new.values():
            assert FAULTS[name].explains(finding_document(finding)), f"{name} does not explain {finding.message}"
            assert finding.tenant == tenant
        assert now.keys() >= seen.keys()
        assert len(wrong(scan)) == len(now)
        struck[frozenset(new)] = (name, strategy, tenant, Status.HEALED)
        seen = now

    done = cell.repair()
    assert {
        frozenset(o.finding_ids): (struck[frozenset(o.finding_ids)][0], o.strategy, o.tenant, o.status)
        for o in done.outcomes
    } == struck
    assert done.plan.deferrals == ()
    after = cell.scan()
    assert_clean(after)
    assert_fleets_whole(after)


def test_an_image_that_cannot_serve(cell: Cell) -> None:
    """Servers launched from a broken image never serve: the sick server's replacement is tried once and rolled back,
    the others keep serving, no further one is tried, and after the second failure a person is told (F48, I02, I07)."""
    assert_clean(cell.scan())
    image = cell.strike("break-image", SILVER)
    assert_clean(cell.scan())
    sick = cell.strike("crash-application", SILVER)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STACKMEND_FLAP__SAME_FAILURE_LIMIT", "2")
        for _ in range(2):
            cell.control.reset()
            (outcome,) = cell.repair().outcomes
            assert (outcome.strategy, outcome.status) == ("rollout", Status.ROLLED_BACK)
            assert "no new server became healthy" in outcome.reason
            assert cell.control.calls().writes == {
                "autoscaling:SetDesiredCapacity": 1,
                "autoscaling:TerminateInstanceInAutoScalingGroup": 1,
            }
        cell.control.reset()
        (outcome,) = cell.repair().outcomes
        assert (outcome.strategy, outcome.status) == ("escalate", Status.ESCALATED)
        assert cell.control.calls().writes == {}
    scan = cell.scan()
    assert {(f.kind, f.resource_id) for f in scan.failing} == {(Kind.HEALTH, sick)}
    fleet = scan.observed.fleets[scan.failing[0].urn]
    assert isinstance(fleet, Fleet)
    assert len(fleet.healthy) == len(fleet.members) - 1 == fleet.desired - 1

    cell.client("ec2").delete_tags(Resources=[image], Tags=[{"Key": application.TAG}])
    assert by_status(cell.repair().outcomes) == {("rollout", "healed"): 1}
    after = cell.scan()
    assert_clean(after)
    assert_fleets_whole(after)


def test_a_second_pass_writes_nothing(cell: Cell) -> None:
    """With everything healed, another repair does nothing at all: no outcome, no write call of anybody (I09)."""
    for fault, tenant in (("strip-tag", GOLD), ("delete-alarm", SILVER), ("drop-redirect", BRONZE)):
        cell.strike(fault, tenant)
    assert len(cell.repair().outcomes) == 3
    cell.control.reset()
    again = cell.repair()
    assert (again.outcomes, again.plan.repairs, again.plan.deferrals) == ((), (), ())
    assert cell.control.calls().writes == {}
    assert cell.control.calls("reconciler").total > 0

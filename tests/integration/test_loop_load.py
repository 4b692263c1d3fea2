"""Fleets of 3, 10 and 30 servers under load while they are replaced: never fewer healthy targets than the floor.

Two witnesses: the server counts the healthy targets of every group right after each write call, inside the lock under
which it made the call; and a client that does nothing else asks for them as often as it gets an answer.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta

import pytest

from reconciler.cycle import Pass
from reconciler.model import Status
from reconciler.settings import load
from reconciler.wiring import floors_of
from sandbox import cells
from sandbox.lifecycle import Sandbox
from stacks.config import load_file
from tenancy.tenant import Size
from tests.integration.loop import (
    BRONZE,
    GOLD,
    SETTINGS,
    SILVER,
    TENANTS,
    Cell,
    FastForward,
    assert_clean,
    assert_fleets_whole,
    by_status,
)

pytestmark = pytest.mark.engine

SIZES = {
    GOLD: Size(min=2, desired=3, max=4),
    SILVER: Size(min=5, desired=10, max=13),
    BRONZE: Size(min=10, desired=30, max=36),
}
HELD = 600.0


@pytest.fixture(scope="module")
def cell(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cell]:
    """A cell of its own, with the three sizes of fleets."""
    sandbox = Sandbox("dev", home=tmp_path_factory.mktemp("load") / "home")
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith(("STACKMEND_", "AWS_", "PULUMI_"))]:
            patch.delenv(name)
        try:
            sandbox.start()
            sandbox._configured(3)
            config = load_file(sandbox.config_file)
            tenants = tuple(t.model_copy(update={"size": SIZES[t.name]}) for t in config.tenants)
            cells.write(config.model_copy(update={"tenants": tenants}), sandbox.config_file)
            sandbox.up()
            more = {"STACKMEND_ROLLOUT__BATCH": "5", "STACKMEND_BUDGET__GLOBAL": "100%"}
            for name, value in {**sandbox.environment(), **SETTINGS, **more}.items():
                patch.setenv(name, value)
            patch.setenv("AWS_ENDPOINT_URL", sandbox.url)
            yield Cell(sandbox)
        finally:
            sandbox.down()


class Load:
    """What two witnesses saw of the fleets while something was done to them."""

    def __init__(self, cell: Cell) -> None:
        self.cell = cell
        with cell.cycle() as cycle:
            declared = cycle._declared()
        floors = floors_of(declared, load().rollout.floor_percent)
        self.floors = {declared.resources[urn].id: floor for urn, floor in floors.items()}
        self.answers = 0
        self.lowest: dict[str, int] = {}
        self._groups = {
            cell.victim(t).arn("elasticloadbalancing:targetgroup", "api"): cell.victim(t).group() for t in TENANTS
        }

    @contextmanager
    def running(self) -> Iterator[None]:
        """Clients that ask, from now until the end."""
        over = threading.Event()
        thread = threading.Thread(target=self._ask, args=(over,))
        self.cell.control.reset()
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()
        self.floor_held()

    def _ask(self, over: threading.Event) -> None:
        elbv2 = self.cell.client("elbv2")
        while not over.is_set():
            for arn, group in self._groups.items():
                rows = elbv2.describe_target_health(TargetGroupArn=arn)["TargetHealthDescriptions"]
                healthy = sum(row["TargetHealth"]["State"] == "healthy" for row in rows)
                self.lowest[group] = min(healthy, self.lowest.get(group, healthy))
                self.answers += 1

    def floor_held(self) -> None:
        writes = [w for w in self.cell.control.writes() if w.actor != "other"]
        assert self.floors
        for group, floor in self.floors.items():
            for write in writes:
                assert write.healthy[group] >= floor, f"{write.call} {write.params}: {write.healthy[group]} < {floor}"
            assert self.lowest[group] >= floor
        assert self.answers > len(self.floors)


def outdated(cell: Cell, *tenants: str) -> None:
    """Launch all servers of these tenants from other content, and let their groups launch what is declared again."""
    for tenant in tenants:
        victim = cell.victim(tenant)
        template = victim.launch_template()
        found = victim.ec2.describe_launch_template_versions(LaunchTemplateId=template, Versions=["$Default"])
        current = found["LaunchTemplateVersions"][0]
        number = str(current["VersionNumber"])
        other = {**current["LaunchTemplateData"], "InstanceType": "t3.nano"}
        made = victim.ec2.create_launch_template_version(LaunchTemplateId=template, LaunchTemplateData=other)  # type: ignore[arg-type]
        version = str(made["LaunchTemplateVersion"]["VersionNumber"])
        victim.ec2.modify_launch_template(LaunchTemplateId=template, DefaultVersion=version)
        for server in victim.members():
            victim.autoscaling.terminate_instance_in_auto_scaling_group(
                InstanceId=server, ShouldDecrementDesiredCapacity=False
            )
        victim.ec2.modify_launch_template(LaunchTemplateId=template, DefaultVersion=number)


def image(cell: Cell, tenant: str) -> str:
    """The image that the tenant's group launches."""
    victim = cell.victim(tenant)
    found = victim.ec2.describe_launch_template_versions(
        LaunchTemplateId=victim.launch_template(), Versions=["$Default"]
    )
    return found["LaunchTemplateVersions"][0]["LaunchTemplateData"]["ImageId"]


def zones(cell: Cell, tenant: str) -> Sequence[int]:
    """How many servers the zones of a tenant have."""
    group = cell.client("autoscaling").describe_auto_scaling_groups(AutoScalingGroupNames=[cell.victim(tenant).group()])
    found = [i["AvailabilityZone"] for i in group["AutoScalingGroups"][0]["Instances"]]
    return [found.count(zone) for zone in sorted(set(found))]


def passes(cell: Cell, most: int) -> list[Pass]:
    """Passes until one has nothing to do, on a clock that waiting costs nothing on."""
    done: list[Pass] = []
    with FastForward.by(timedelta(hours=2)):
        while len(done) < most:
            done.append(cell.repair())
            if not done[-1].plan.repairs:
                break
    return done


def healed(cell: Cell) -> None:
    after = cell.scan()
    assert_clean(after)
    assert_fleets_whole(after)


def test_fleets_of_every_size_are_refreshed(cell: Cell) -> None:
    """All servers of 3, 10 and 30 are replaced under load: the first alone, then in batches, zone by zone; the floor
    holds at every write, and the zones are even in the end (I02, I07)."""
    outdated(cell, *TENANTS)
    load_ = Load(cell)
    with load_.running():
        done = passes(cell, 3)
    outcomes = [o for p in done for o in p.outcomes]
    assert by_status(outcomes) == {("refresh-image", "healed"): 3}, outcomes
    assert all(max(counts) - min(counts) <= 1 for counts in (zones(cell, t) for t in TENANTS))
    healed(cell)


def test_replacements_that_fail(cell: Cell) -> None:
    """The first new server never becomes healthy: nothing else is touched, the fleet keeps all its servers, and the
    image is remembered, so the next pass asks a person instead of trying again (F48, I02, I07)."""
    outdated(cell, SILVER)
    cell.strike("break-image", SILVER)
    load_ = Load(cell)
    with load_.running():
        with FastForward.by(timedelta(hours=2)):
            first, second = cell.repair(), cell.repair()
    (outcome,) = first.outcomes
    assert (outcome.strategy, outcome.status) == ("refresh-image", Status.ROLLED_BACK)
    assert "no other was touched" in outcome.reason
    assert outcome.bad_image
    assert [(o.strategy, o.status) for o in second.outcomes] == [("escalate", Status.ESCALATED)]
    assert sum(zones(cell, SILVER)) == 10
    cell.client("ec2").delete_tags(Resources=[image(cell, SILVER)], Tags=[{"Key": "sandbox:application"}])
    with FastForward.by(timedelta(days=2)):
        cell.repair()
    healed(cell)


def test_a_zone_without_capacity(cell: Cell) -> None:
    """A zone has no room: its servers, which serve, are not given up for ones elsewhere; once it has room again, all
    are replaced (F13, I02)."""
    outdated(cell, GOLD)
    cell.strike("exhaust-zone", GOLD)
    load_ = Load(cell)
    with load_.running():
        stuck = passes(cell, 1)[0]
    (outcome,) = stuck.outcomes
    assert outcome.status is Status.ROLLED_BACK
    assert "has no room" in outcome.reason
    assert sum(zones(cell, GOLD)) == 3
    assert len(zones(cell, GOLD)) > 1
    cell.client("ec2").delete_tags(Resources=[image(cell, GOLD)], Tags=[{"Key": "sandbox:capacity"}])
    with load_.running():
        passes(cell, 3)
    healed(cell)


@pytest.mark.parametrize(
    ("call", "skip"), [("SetDesiredCapacity", 1), ("TerminateInstanceInAutoScalingGroup", 3)], ids=["grown", "gone"]
)
def test_killed_in_the_middle(cell: Cell, call: str, skip: int) -> None:
    """The reconciler dies when a batch of new servers is up, or when some of the old ones have gone: the next one makes
    the fleet whole and finishes, and no write of either leaves fewer than the floor (F24, C08, C10, C11, I02)."""
    outdated(cell, SILVER)
    load_ = Load(cell)
    with load_.running():
        with cell.reconciler() as first:
            rule = cell.control.inject("timeout", "autoscaling", call, seconds=HELD, times=1, skip=skip, performed=True)
            first.reaches(rule)
            first.kill_all()
        assert cell.record().open
        passes(cell, 3)
    healed(cell)
    cell.record().assert_whole()

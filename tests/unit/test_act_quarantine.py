"""Servers that were broken into, on the sandbox's server: isolated, kept, replaced, and ended when it is time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from itertools import count
from typing import Any

import pytest

from reconciler.act import recovery
from reconciler.act.strategies import STRATEGIES
from reconciler.model import Repair, Status, Verdict
from reconciler.ports import OpenIntent
from sandbox.faults.registry import FAULTS
from sandbox.lifecycle import Sandbox
from tenancy.tags import FORENSIC, KEEP_UNTIL, QUARANTINED_FROM
from tests.unit.act_fleet import Killed
from tests.unit.sandbox_stage import Intent, Stage
from tests.unit.sandbox_worlds import emptied, running

numbers = count(1)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    with running(tmp_path_factory.mktemp("quarantine") / "home") as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(server: Sandbox) -> Sandbox:
    return emptied(server)


class Scene(Stage):
    """A fleet of three, one of which was broken into."""

    def __init__(self, sandbox: Sandbox, floor: int) -> None:
        super().__init__(sandbox, f"clinic-{next(numbers)}", floor=floor)
        self.victim = FAULTS["compromise-server"].strike(self.world.victim)
        self.control.reset()

    def repair(self, strategy: str) -> Repair:
        (found,) = [f for f in self.look(None) if f.verdict is Verdict.FAIL and f.resource_id == self.victim]
        return Repair(
            strategy, self.group.tenant, (self.group.urn,), (found.id,), found.message, members=(self.victim,)
        )

    def run(self, repair: Repair) -> tuple[Status, str]:
        run = STRATEGIES[repair.strategy].run
        assert run is not None
        ending = run(repair, self.acting.tools)
        return ending.status, ending.reason

    def server(self) -> Any:
        rows = self.world.victim.ec2.describe_instances(InstanceIds=[self.victim])["Reservations"]
        return rows[0]["Instances"][0]

    def tags(self) -> dict[str, str]:
        return {t["Key"]: t["Value"] for t in self.server()["Tags"]}

    def snapshots(self) -> list[Any]:
        mine: Any = [{"Name": f"tag:{FORENSIC}", "Values": [self.victim]}]
        found: list[Any] = self.world.victim.ec2.describe_snapshots(Filters=mine)["Snapshots"]
        return found

    def isolated(self) -> None:
        """It is out of everything, cut off, and kept; the fleet is whole without it."""
        (group,) = self.server()["SecurityGroups"]
        seen = self.world.victim.ec2.describe_security_groups(GroupIds=[group["GroupId"]])["SecurityGroups"][0]
        assert (seen["IpPermissions"], seen["IpPermissionsEgress"]) == ([], [])
        assert self.server()["State"]["Name"] == "running"
        assert self.victim not in self.world.members()
        assert self.victim not in self.world.targets()
        assert self.tags()[QUARANTINED_FROM] == self.world.group
        assert len(self.snapshots()) == len(self.server()["BlockDeviceMappings"])
        assert len(self.world.members()) == self.world.scaling_group()["DesiredCapacity"] == 3
        assert sorted(self.world.targets().values()) == ["healthy"] * 3
        assert self.failing() == set()


@pytest.mark.parametrize("floor", [3, 2], ids=["replacement first", "at once"])
def test_a_compromised_server_is_isolated_and_kept(sandbox: Sandbox, floor: int) -> None:
    """It leaves its fleet, its network and its load balancer, its volumes have snapshots; the floor holds at each write
    (I02, I07)."""
    scene = Scene(sandbox, floor)
    assert scene.failing() == {("health.compromised", scene.victim)}
    status, reason = scene.run(scene.repair("quarantine"))
    assert status is Status.HEALED, reason
    assert ("SetDesiredCapacity" in scene.calls()) == (floor == 3)
    assert all(w.healthy[scene.world.group] >= floor for w in scene.control.writes())
    scene.isolated()


def test_a_second_run_writes_nothing_new(sandbox: Sandbox) -> None:
    """Run again, it finds everything done but the one call that cuts it off, which changes nothing (I09)."""
    scene = Scene(sandbox, 2)
    work = scene.repair("quarantine")
    scene.run(work)
    until = scene.tags()[KEEP_UNTIL]
    scene.control.reset()
    assert scene.run(work)[0] is Status.HEALED
    assert scene.calls() == ["ModifyInstanceAttribute"]
    assert scene.tags()[KEEP_UNTIL] == until
    scene.isolated()


@pytest.mark.parametrize("performed", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("at", [0, 2, 3, 5])
def test_killed_anywhere_and_resumed(sandbox: Sandbox, at: int, *, performed: bool) -> None:
    """Wherever the process dies, the next one finishes the isolation and concludes it as interrupted; nothing is made
    twice (F24, C04, C10, I04)."""
    scene = Scene(sandbox, 3)
    work = scene.repair("quarantine")
    with scene.dying(at, performed=performed), pytest.raises(Killed):
        scene.run(work)
    scene.acting.journal.intents.append(work)
    intents: list[OpenIntent] = [Intent(0, work)]
    (outcome,) = recovery.conclude_open(intents, scene.acting.tools)
    assert outcome.status is Status.INTERRUPTED
    assert "is healed" in outcome.reason, outcome.reason
    scene.isolated()


def test_no_room_and_no_floor_to_spare(sandbox: Sandbox) -> None:
    """At its maximum and at its floor, the fleet keeps the server, and a person is told what to change (I02)."""
    scene = Scene(sandbox, 3)
    scene.world.victim.autoscaling.update_auto_scaling_group(AutoScalingGroupName=scene.world.group, MaxSize=3)
    status, reason = scene.run(scene.repair("quarantine"))
    assert status is Status.REFUSED
    assert "maxSize" in reason
    assert scene.victim in scene.world.members()


def test_a_server_of_nobody_is_not_isolated(sandbox: Sandbox) -> None:
    """An instance that is not in the group and that no quarantine took out of it is refused, by whatever plan (I10)."""
    scene, other = Scene(sandbox, 2), Scene(sandbox, 2)
    work = replace(scene.repair("quarantine"), members=(other.victim,))
    scene.control.reset()
    assert scene.run(work)[0] is Status.REFUSED
    assert scene.calls() == []


def test_disposed_of_when_its_time_is_over(sandbox: Sandbox) -> None:
    """Before its time it stays; after it the server is ended, and its snapshots stay."""
    scene = Scene(sandbox, 2)
    scene.run(scene.repair("quarantine"))
    assert scene.failing() == set()
    work = Repair("dispose", scene.group.tenant, (scene.group.urn,), (), "over", members=(scene.victim,))
    early, reason = scene.run(work)
    assert (early, "to be kept" in reason) == (Status.REFUSED, True)
    scene.now += timedelta(hours=73)
    assert scene.failing() == {("health.quarantine-over", scene.victim)}
    assert scene.run(work)[0] is Status.HEALED
    assert scene.server()["State"]["Name"] == "terminated"
    assert scene.failing() == set()
    assert scene.snapshots()


@pytest.mark.parametrize("spoiled", ["in the group", "not cut off", "no snapshot", "no moment"])
def test_a_tag_alone_ends_no_server(sandbox: Sandbox, spoiled: str) -> None:
    """A server that somebody tagged as if its quarantine were over is not ended (T01)."""
    scene = Scene(sandbox, 2)
    if spoiled != "in the group":
        scene.run(scene.repair("quarantine"))
    ec2 = scene.world.victim.ec2
    past = "never" if spoiled == "no moment" else "2020-01-01T00:00:00+00:00"
    ec2.create_tags(
        Resources=[scene.victim],
        Tags=[{"Key": QUARANTINED_FROM, "Value": scene.world.group}, {"Key": KEEP_UNTIL, "Value": past}],
    )
    if spoiled == "not cut off":
        ec2.modify_instance_attribute(InstanceId=scene.victim, Groups=[scene.world.security_group])
    if spoiled == "no snapshot":
        for row in scene.snapshots():
            ec2.delete_snapshot(SnapshotId=row["SnapshotId"])
    work = Repair("dispose", scene.group.tenant, (scene.group.urn,), (), "over", members=(scene.victim,))
    assert scene.run(work)[0] is Status.REFUSED
    assert scene.server()["State"]["Name"] == "running"

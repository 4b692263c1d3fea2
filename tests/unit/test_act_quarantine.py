"""Servers that were broken into, on the sandbox's server: isolated, kept, replaced, and ended when it is time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from itertools import count
from typing import Any

import pytest

from reconciler.act import recovery
from reconciler.act.act import act
from reconciler.act.aws_writes import AwsCallFailed
from reconciler.act.isolation import Isolation
from reconciler.act.strategies import STRATEGIES
from reconciler.model import Fleet, Repair, Status, Unreadable, Urn, Verdict
from reconciler.ports import OpenIntent
from sandbox.faults.registry import FAULTS
from sandbox.lifecycle import Sandbox
from tenancy.tags import COMPROMISED, FORENSIC, KEEP_UNTIL, QUARANTINED_FROM
from tests.unit.act_fleet import Killed
from tests.unit.act_world import plan
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

    def withdraw(self) -> None:
        self.world.victim.ec2.delete_tags(Resources=[self.victim], Tags=[{"Key": COMPROMISED}])

    def spared(self) -> None:
        """It serves as before, and nothing of the quarantine is left."""
        assert self.victim in self.world.members()
        assert self.world.targets()[self.victim] == "healthy"
        assert not {QUARANTINED_FROM, KEEP_UNTIL} & self.tags().keys()
        assert self.snapshots() == []
        assert self.world.scaling_group()["DesiredCapacity"] == 3
        assert self.failing() == set()

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


@pytest.mark.parametrize("at", [0, 1, 2], ids=["untouched", "tagged", "replaced"])
def test_a_mark_that_was_withdrawn_is_believed(sandbox: Sandbox, at: int) -> None:
    """A quarantine that was cut off before the server left its group is not finished once its mark is taken back: the
    server stays, untagged, and the group gets its size back (F24, C04)."""
    scene = Scene(sandbox, 3)
    work = scene.repair("quarantine")
    with scene.dying(at, performed=False), pytest.raises(Killed):
        scene.run(work)
    scene.withdraw()
    scene.control.reset()
    scene.acting.journal.intents.append(work)
    intents: list[OpenIntent] = [Intent(0, work)]
    (outcome,) = recovery.conclude_open(intents, scene.acting.tools)
    assert outcome.status is Status.INTERRUPTED
    assert "DetachInstances" not in scene.calls()
    scene.spared()


def test_a_mark_that_is_withdrawn_while_its_replacement_starts(sandbox: Sandbox) -> None:
    """The server is looked at again right before it leaves: no longer marked, it stays, and the new one goes back."""
    scene = Scene(sandbox, 3)
    work = scene.repair("quarantine")
    grown = False
    fleet = scene.acting.tools.fleet

    def looked(group: Urn) -> Fleet | Unreadable:
        nonlocal grown
        if scene.world.scaling_group()["DesiredCapacity"] == 4:
            grown = True
            scene.withdraw()
        return fleet(group)

    scene.acting.change(fleet=looked)
    status, reason = scene.run(work)
    assert (status, reason) == (Status.ROLLED_BACK, "its mark was withdrawn: it stays")
    assert grown
    scene.spared()


def test_what_could_not_be_cut_off_is_not_forgotten(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that left its group but kept its network is still compromised, not isolated; it can be finished."""
    scene = Scene(sandbox, 2)
    work = scene.repair("quarantine")

    def refused(_: Isolation) -> str:
        raise AwsCallFailed("ec2 create_security_group failed", why="SecurityGroupLimitExceeded")

    with monkeypatch.context() as limited:
        limited.setattr(Isolation, "cut_off", refused)
        status, reason = scene.run(work)
    assert status is Status.NOT_HEALED
    assert "SecurityGroupLimitExceeded" in reason
    assert scene.victim not in scene.world.members()
    assert scene.failing() == {("health.compromised", scene.victim)}
    assert scene.run(scene.repair("quarantine"))[0] is Status.HEALED
    scene.isolated()


def test_an_investigator_may_come_in(sandbox: Sandbox) -> None:
    """An isolated server that got another security group beside the quarantine's is not cut off once more."""
    scene = Scene(sandbox, 2)
    scene.run(scene.repair("quarantine"))
    (group,) = scene.server()["SecurityGroups"]
    both = [group["GroupId"], scene.world.security_group]
    scene.world.victim.ec2.modify_instance_attribute(InstanceId=scene.victim, Groups=both)
    assert scene.failing() == set()


def test_a_tag_alone_cuts_no_server_off(sandbox: Sandbox) -> None:
    """A server of another group, tagged as if a quarantine had taken it out of this one, is left alone (T01)."""
    scene, other = Scene(sandbox, 2), Scene(sandbox, 2)
    scene.run(scene.repair("quarantine"))
    tags: Any = [{"Key": QUARANTINED_FROM, "Value": scene.world.group}]
    other.world.victim.ec2.create_tags(Resources=[other.victim], Tags=tags)
    found = {(f.rule, f.resource_id): f for f in scene.look(None) if f.verdict is Verdict.FAIL}
    forged = found["health.compromised", other.victim]
    work = Repair("quarantine", scene.group.tenant, (scene.group.urn,), (forged.id,), "", members=(other.victim,))
    scene.control.reset()
    status, reason = scene.run(work)
    assert (status, "a group has it" in reason) == (Status.REFUSED, True)
    assert scene.calls() == []


def test_what_was_ended_is_told_when_another_stays(sandbox: Sandbox) -> None:
    """Of several servers whose time is over, one that may not go stops the rest; the reason names those that went."""
    scene = Scene(sandbox, 2)
    scene.run(scene.repair("quarantine"))
    scene.now += timedelta(hours=73)
    stays = min(scene.world.members())
    members = (scene.victim, stays)
    (over,) = [f for f in scene.look(None) if f.verdict is Verdict.FAIL]
    work = Repair("dispose", scene.group.tenant, (scene.group.urn,), (over.id,), "over", members=members)
    (outcome,) = act(plan(work), scene.acting.tools)
    assert outcome.status is Status.NOT_HEALED
    assert f"{stays} stays" in outcome.reason
    assert f"ended before: {scene.victim}" in outcome.reason


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

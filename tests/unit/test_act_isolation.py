"""Isolating a server where EC2 and Auto Scaling answer late, or not in full."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest

from reconciler.act.act import act
from reconciler.act.strategies.quarantine import Quarantine
from reconciler.model import Outcome, Repair, Status
from tenancy.tags import KEEP_UNTIL, QUARANTINED_FROM
from tests.unit.act_fleet import Killed, SimulatedFleet
from tests.unit.act_world import plan

Answer = Callable[[dict[str, Any]], Any]


class Scene:
    """A fleet of three, one of which was broken into; what EC2 says of it is as little as the strategies read."""

    def __init__(self) -> None:
        self.fleet = SimulatedFleet("healthy", "healthy", "healthy", floor=2, maximum=6)
        self.victim = next(iter(self.fleet.members))
        self.fleet.members[self.victim] = replace(self.fleet.members[self.victim], compromised="yes")
        self.tags: dict[str, str] = {}
        self.groups: list[dict[str, Any]] = []
        self.volumes: list[dict[str, Any]] = [{"VolumeId": "vol-1", "Encrypted": True}]
        self.unseen = 0
        """How many times security groups are not shown yet."""
        self.done: list[str] = []
        self.answers = self.fleet.world.aws.answers
        self.answers |= {
            "describe_instances": self._instances,
            "create_tags": self._tag,
            "detach_instances": self._detach,
            "describe_auto_scaling_instances": self._of_groups,
            "describe_security_groups": self._security_groups,
            "create_security_group": self._create,
            "modify_instance_attribute": lambda _: self.done.append("cut off"),
            "describe_volumes": lambda _: {"Volumes": self.volumes},
            "describe_snapshots": lambda _: {"Snapshots": []},
            "create_snapshot": lambda _: self.done.append("snapshot"),
            "deregister_targets": lambda _: {},
            "terminate_instances": lambda _: self.done.append("terminated"),
        }

    def _instances(self, _: object) -> Mapping[str, Any]:
        row = {
            "InstanceId": self.victim,
            "VpcId": "vpc-1",
            "Tags": [{"Key": key, "Value": value} for key, value in self.tags.items()],
            "NetworkInterfaces": [{"NetworkInterfaceId": "eni-1", "Groups": [{"GroupId": "sg-q"}]}],
            "BlockDeviceMappings": [{"DeviceName": "/dev/xvda", "Ebs": {"VolumeId": "vol-1"}}],
        }
        return {"Reservations": [{"Instances": [row]}]}

    def _tag(self, parameters: dict[str, Any]) -> None:
        self.tags |= {tag["Key"]: tag["Value"] for tag in parameters["Tags"]}

    def _detach(self, parameters: dict[str, Any]) -> None:
        member = self.fleet.members[self.victim]
        self.fleet.members[self.victim] = replace(member, lifecycle="Detaching", target="draining")
        self.fleet.desired -= parameters["ShouldDecrementDesiredCapacity"]
        self.fleet._launch("initial")

    def _of_groups(self, _: object) -> Mapping[str, Any]:
        member = self.fleet.members.get(self.victim)
        rows = [{"InstanceId": self.victim, "LifecycleState": member.lifecycle}] if member else []
        return {"AutoScalingInstances": rows}

    def _security_groups(self, _: object) -> Mapping[str, Any]:
        if self.unseen:
            self.unseen -= 1
            return {"SecurityGroups": []}
        return {"SecurityGroups": self.groups}

    def _create(self, parameters: dict[str, Any]) -> Mapping[str, Any]:
        self.groups = [{"GroupId": "sg-q", "Tags": parameters["TagSpecifications"][0]["Tags"]}]
        return {"GroupId": "sg-q"}

    def repair(self, strategy: str = "quarantine") -> Repair:
        return Repair(strategy, "acme", (self.fleet.group.urn,), ("f-1",), "broken into", members=(self.victim,))

    def run(self) -> tuple[Status, str]:
        ending = Quarantine(self.repair(), self.fleet.world.tools).run()
        return ending.status, ending.reason


def test_a_new_security_group_is_waited_for() -> None:
    """EC2 may not show for a while what was just made: the server is cut off in the same pass, not in a later one."""
    scene = Scene()
    scene.unseen = 3
    status, reason = scene.run()
    assert (status, scene.done) == (Status.HEALED, ["cut off", "snapshot"]), reason


def test_a_server_that_its_group_still_drains_is_cut_off() -> None:
    """C10: cut off between leaving its group and the network, it does not stay on the network until it has drained."""
    scene = Scene()
    shown = scene.answers["describe_security_groups"]

    def dies(_: object) -> None:
        raise Killed

    scene.answers["describe_security_groups"] = dies
    with pytest.raises(Killed):
        scene.run()
    scene.answers["describe_security_groups"] = shown
    assert scene.fleet.members[scene.victim].lifecycle == "Detaching"
    scene.run()
    assert "cut off" in scene.done


def test_volumes_that_are_not_listed_are_not_kept() -> None:
    """F15: an empty answer about volumes that the server itself names is no proof that all of them have snapshots."""
    scene = Scene()
    scene.volumes = []
    status, reason = scene.run()
    assert (status, scene.done) == (Status.NOT_HEALED, ["cut off"])
    assert "vol-1" in reason


def test_no_server_ends_whose_volumes_are_not_listed() -> None:
    """F15: nor is such a server ended when its time is over: its volumes would go with it."""
    scene = Scene()
    scene.volumes = []
    scene.tags = {QUARANTINED_FROM: scene.fleet.group.id, KEEP_UNTIL: "2020-01-01T00:00:00+00:00"}
    scene.groups = [{"GroupId": "sg-q", "Tags": [{"Key": QUARANTINED_FROM, "Value": "x"}]}]
    del scene.fleet.members[scene.victim]
    scene.fleet.world.breaks(scene.fleet.group)
    found = scene.fleet.world.broken[scene.fleet.group.urn][0].id
    outcomes: tuple[Outcome, ...] = act(
        plan(replace(scene.repair("dispose"), finding_ids=(found,))), scene.fleet.world.tools
    )
    assert (outcomes[0].status, scene.done) == (Status.NOT_HEALED, [])
    assert "vol-1" in outcomes[0].reason


def test_a_server_that_is_in_no_group_is_not_isolated() -> None:
    """I10: a server that no quarantine took out of this group is left alone, also if no other group has it."""
    scene = Scene()
    del scene.fleet.members[scene.victim]
    assert scene.run()[0] is Status.REFUSED
    assert scene.done == []

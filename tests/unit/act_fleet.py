"""An auto scaling group with its load balancer, simulated: it launches, heals, drains, and fails as told."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from reconciler.model import SERVERS, Fleet, Member, Repair, Unreadable, Urn
from tests.unit.act_world import GROUP, World, declared, resource

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
BALANCER = "arn:aws:elasticloadbalancing:eu-central-1:123456789012:targetgroup/api/1"


class Killed(BaseException):
    """The process dies here."""


@dataclass
class Newcomers:
    """What becomes of new servers."""

    healthy_after: float | None = 20.0
    """Seconds from launch until healthy; None: never."""
    launched: bool = True
    """False: no capacity."""


class SimulatedFleet:
    """Checks the invariants at every step: ``floor`` is never undercut by the reconciler's own doing."""

    def __init__(self, *states: str, maximum: int | None = None, floor: int = 1, size: int | None = None) -> None:
        """``states`` of the members: ``healthy``, ``unhealthy``, ``stopped`` or ``terminated``."""
        declared_size = float(len(states) if size is None else size)
        self.group = resource("acme-servers", GROUP, inputs={"desiredCapacity": declared_size})
        self.world = World(declared(self.group))
        self.world.change(floor=lambda *_: floor)
        self.world.fleet = self.look
        self.desired = len(states)
        self.maximum = len(states) + 1 if maximum is None else maximum
        self.members: dict[str, Member] = {}
        self.born: dict[str, float] = {}
        self.new = Newcomers()
        self.unreadable = False
        self.calls: list[str] = []
        self.kill_at: int | None = None
        self.killed_after_effect = False
        self.refuse: dict[str, Exception] = {}
        self.zones: tuple[str, ...] = ("eu-central-1a",)
        self.full: set[str] = set()
        """Zones without room for another server."""
        self.image = "lt-1:1"
        self.unit = SERVERS
        self._number = 0
        for state in states:
            self._launch(state)
        self.floor = min(floor, self.healthy)
        self.world.aws.answers = {
            "set_desired_capacity": self._write("set_desired_capacity", self._set_desired),
            "terminate_instance_in_auto_scaling_group": self._write("terminate", self._terminate),
            "set_instance_health": self._write("report", self._report),
            "deregister_targets": self._write("deregister", self._deregister),
        }
        self.world.change(wait=self.wait)

    def change(self, **fields: Any) -> None:
        """Declare the group otherwise."""
        self.group = replace(self.group, **fields)
        self.world.change(declared=declared(self.group))

    # --- what the reconciler sees ---------------------------------------------------------------------------

    def look(self, group: Urn) -> Fleet | Unreadable:
        assert group == self.group.urn
        if self.unreadable:
            return Unreadable("Throttling")
        return Fleet(
            group=self.group.urn,
            name=self.group.id,
            desired=self.desired,
            minimum=0,
            maximum=self.maximum,
            members=tuple(self.members.values()),
            grace_seconds=60,
            target_groups=(BALANCER,),
            launches=self.image,
            unit=self.unit,
        )

    @property
    def healthy(self) -> int:
        return sum(m.target == "healthy" and m.lifecycle == "InService" for m in self.members.values())

    def repair(self, *numbers: int) -> Repair:
        """A rollout of the members of these positions."""
        ids = tuple(list(self.members)[n] for n in numbers)
        return Repair("rollout", "acme", (self.group.urn,), ("f-1",), "servers are unhealthy", members=ids)

    # --- what the world does --------------------------------------------------------------------------------

    def wait(self, seconds: float) -> None:
        self.world.now += seconds
        for name, member in list(self.members.items()):
            if member.lifecycle == "Terminating":
                del self.members[name]
            elif member.target == "initial" and self._due(name):
                self.members[name] = replace(member, target="healthy", lifecycle="InService")
        self._fill()

    def _due(self, name: str) -> bool:
        return self.new.healthy_after is not None and self.world.now - self.born[name] >= self.new.healthy_after

    def _fill(self) -> None:
        while self.new.launched and len(self._staying()) < self.desired:
            self._launch("initial")

    def _staying(self) -> list[Member]:
        return [m for m in self.members.values() if m.lifecycle != "Terminating"]

    def _launch(self, state: str) -> None:
        self._number += 1
        name = f"i-{self._number:017x}"
        self.born[name] = self.world.now
        server = state if state in ("stopped", "terminated") else "running"
        target = {"healthy": "healthy", "initial": "initial"}.get(state, "unhealthy")
        launched = EPOCH + timedelta(seconds=self.world.now + self._number)
        self.members[name] = Member(name, self._zone(), "InService", server, target, launched=launched)

    def _zone(self) -> str:
        """Where Auto Scaling launches: in the zone with the fewest servers that has room."""
        counts = Counter(m.zone for m in self._staying())
        return min((z for z in self.zones if z not in self.full), key=lambda zone: counts[zone])

    def spread_over(self, *zones: str) -> None:
        """Let the servers there are, and those that come, be in these zones in turn."""
        self.zones = zones
        for number, (name, member) in enumerate(list(self.members.items())):
            self.members[name] = replace(member, zone=zones[number % len(zones)])

    # --- what the reconciler does ---------------------------------------------------------------------------

    def _write(self, name: str, effect: Callable[[dict[str, Any]], None]) -> Callable[[dict[str, Any]], dict[str, Any]]:
        def call(parameters: dict[str, Any]) -> dict[str, Any]:
            number = len(self.calls)
            self.calls.append(name)
            if number == self.kill_at and not self.killed_after_effect:
                raise Killed
            if name in self.refuse:
                raise self.refuse[name]
            effect(parameters)
            assert self.healthy >= self.floor, f"{name} left {self.healthy} healthy, below {self.floor} (I02)"
            if number == self.kill_at:
                raise Killed
            return {}

        return call

    def _set_desired(self, parameters: dict[str, Any]) -> None:
        assert parameters["AutoScalingGroupName"] == self.group.id
        self.desired = parameters["DesiredCapacity"]
        assert self.desired <= self.maximum
        extra = len(self._staying()) - self.desired
        # The group chooses what goes, and may well choose the best server.
        for member in sorted(self._staying(), key=lambda m: m.target != "healthy")[: max(0, extra)]:
            self.members[member.instance_id] = replace(member, lifecycle="Terminating", target="draining")

    def _terminate(self, parameters: dict[str, Any]) -> None:
        member = self.members[parameters["InstanceId"]]
        self.members[member.instance_id] = replace(member, lifecycle="Terminating", target="draining")
        if parameters["ShouldDecrementDesiredCapacity"]:
            self.desired -= 1

    def _report(self, parameters: dict[str, Any]) -> None:
        assert (parameters["HealthStatus"], parameters["ShouldRespectGracePeriod"]) == ("Unhealthy", False)
        member = self.members[parameters["InstanceId"]]
        assert member.state == "terminated", "a server that lives was reported as lost"
        self.members[member.instance_id] = replace(member, lifecycle="Terminating")

    def _deregister(self, parameters: dict[str, Any]) -> None:
        assert parameters["TargetGroupArn"] == BALANCER
        for target in parameters["Targets"]:
            member = self.members[target["Id"]]
            assert member.state == "terminated", "a server that lives was deregistered"
            self.members[target["Id"]] = replace(member, target="unregistered")

"""A simulated auto scaling group with its load balancer: it launches, warms up, drains, and fails as it is told."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from typing import Any

from simulator.layout import REGION

BOOT, DRAIN = 20.0, 15.0
"""Seconds until a new server serves, and until one that leaves is gone."""


@dataclass(slots=True)
class Server:
    """One server. ``born`` and the other times are on the world's clock."""

    id: str
    zone: str
    version: int
    born: float
    lifecycle: str = "InService"
    state: str = "running"
    target: str = "healthy"
    good: bool = True
    """Whether it will ever serve."""
    left: float = 0.0
    sick_at: float = -1e9
    """When something was last wrong with it."""

    @property
    def healthy(self) -> bool:
        return (self.lifecycle, self.state, self.target) == ("InService", "running", "healthy")


@dataclass(slots=True)
class SimFleet:
    """One group. ``name`` is its physical id, ``template`` the id of what it launches from."""

    name: str
    template: str
    targets: str
    desired: int
    minimum: int
    maximum: int
    version: int = 1
    grace: int = 60
    servers: dict[str, Server] = field(default_factory=dict)
    bad_image: bool = False
    no_capacity: bool = False
    zones_down: frozenset[str] = frozenset()
    launched: int = 0

    def launch(self, now: float, *, ready: bool = False) -> Server:
        self.launched += 1
        number = sum(map(ord, self.name)) * 0x100000 + self.launched
        zone = REGION + "ab"[self.launched % 2]
        server = Server(f"i-{number:017x}", zone, self.version, now)
        if not ready:
            server.target, server.good = "initial", not self.bad_image
            server.sick_at = now
        self.servers[server.id] = server
        return server

    def tick(self, now: float) -> None:
        """Let time do its work."""
        for server in list(self.servers.values()):
            if server.lifecycle == "Terminating" and now - server.left >= DRAIN:
                del self.servers[server.id]
            elif server.target == "initial" and now - server.born >= BOOT:
                served = server.good and server.zone not in self.zones_down
                server.target = "healthy" if served else "unhealthy"
            if not server.healthy or server.version != self.version:
                server.sick_at = now
        while not self.no_capacity and len(self.staying) < self.desired:
            self.launch(now)

    @property
    def staying(self) -> list[Server]:
        return [s for s in self.servers.values() if s.lifecycle != "Terminating"]

    @property
    def healthy(self) -> int:
        return sum(s.healthy for s in self.servers.values())

    def leave(self, server: Server, now: float) -> None:
        server.lifecycle, server.left, server.sick_at = "Terminating", now, now
        if server.target == "healthy":
            server.target = "draining"

    # --- what can be called --------------------------------------------------------------------------------

    def set_desired(self, count: int, now: float) -> None:
        self.desired = count
        # The group chooses who goes, and may well choose the best.
        surplus = sorted(self.staying, key=lambda s: not s.healthy)[: max(0, len(self.staying) - count)]
        for server in surplus:
            self.leave(server, now)

    def terminate(self, id_: str, now: float, *, shrink: bool) -> None:
        self.leave(self.servers[id_], now)
        self.desired -= shrink

    def report_unhealthy(self, id_: str, now: float) -> None:
        self.leave(self.servers[id_], now)

    def deregister(self, id_: str, now: float) -> None:
        server = self.servers[id_]
        server.target, server.sick_at = "unregistered", now

    # --- what AWS says -------------------------------------------------------------------------------------

    def row(self, arns: list[str], subnets: list[str], tags: list[dict[str, Any]]) -> dict[str, Any]:
        inside = [
            {
                "InstanceId": s.id,
                "LifecycleState": s.lifecycle,
                "AvailabilityZone": s.zone,
                "HealthStatus": "Healthy",
                "LaunchTemplate": {"LaunchTemplateId": self.template, "Version": str(s.version)},
            }
            for s in self.servers.values()
        ]
        return {
            "AutoScalingGroupName": self.name,
            "DesiredCapacity": self.desired,
            "MinSize": self.minimum,
            "MaxSize": self.maximum,
            "HealthCheckGracePeriod": self.grace,
            "HealthCheckType": "ELB",
            "TargetGroupARNs": arns,
            "VPCZoneIdentifier": ",".join(subnets),
            "LaunchTemplate": {"LaunchTemplateId": self.template, "Version": str(self.version)},
            "Tags": [{"Key": t["key"], "Value": t["value"], "PropagateAtLaunch": False} for t in tags],
            "Instances": inside,
        }

    def copied(self) -> SimFleet:
        return copy.deepcopy(self)

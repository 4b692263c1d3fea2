"""Isolate a server that was broken into: out of its fleet, cut off from the network, its volumes kept for forensics.

Its place is taken first, unless the floor allows it to go at once. Every step looks at what is there before it writes,
so that a quarantine which was cut off is simply run again. Detaching comes before cutting off, a call apart: a group
that sees a member fail ends it, and what it held with it.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from reconciler.act.aws_writes import AwsCallFailed
from reconciler.act.fleet import dead, find, leaving, may_leave
from reconciler.act.isolation import Isolation
from reconciler.act.strategies.base import Strategy
from reconciler.act.strategies.rollout import Rollout
from reconciler.act.tools import Ending, Tools
from reconciler.model import Fleet, Member, Repair, Status
from tenancy.tags import KEEP_UNTIL, QUARANTINED_FROM


class Quarantine(Rollout):
    """The isolation of ``repair.members`` of one group."""

    def __init__(self, repair: Repair, tools: Tools) -> None:
        super().__init__(repair, tools)
        if self.declared_size is not None and self.base == self.declared_size + 1:
            # One that was cut off had asked for the server that takes the place already.
            self.base = self.declared_size

    def run(self) -> Ending:
        told = []
        for instance in self.members:
            ending = self.attempt(instance)
            if ending.status is not Status.HEALED:
                return ending
            told.append(ending.reason)
        return Ending(Status.HEALED, "; ".join(filter(None, told)))

    def replace(self, instance: str) -> Ending:
        fleet = self.see()
        server = Isolation(self.tools, self.repair, fleet.name, instance)
        member = find(fleet, instance)
        if member is not None and dead(member):
            return self.bury(member, fleet)
        if member is not None and not member.compromised:
            return self.spare(server, instance, fleet)
        whole = True
        if member is not None:
            if KEEP_UNTIL not in server.tags():
                server.keep_until(self.tools.now() + timedelta(hours=self.tools.pace.keep_hours))
            if ending := self.detach(server, member, fleet):
                return ending
            whole = fleet.desired > self.base or self.asked > 0
            self.asked = 0
        elif server.tags().get(QUARANTINED_FROM) != fleet.name:
            return Ending(Status.REFUSED, f"{instance} is not a server of {fleet.name}, and no quarantine took it out")
        elif server.in_a_group(or_leaving=False):
            return Ending(
                Status.REFUSED, f"{instance} is said to have been taken out of {fleet.name}, but a group has it"
            )
        self.tell(f"cutting {instance} off from the network")
        server.cut_off()
        for target_group in fleet.target_groups:
            if any(
                m.instance_id == instance and m.target not in ("unregistered", "draining") for m in self.see().members
            ):
                self.writes.deregister(target_group, instance)
        kept = self.preserve(server)
        if not whole:
            ending = self.until_whole(without=instance)
            if ending.status is not Status.HEALED:
                return ending
        return Ending(Status.HEALED, f"{instance} is isolated; {kept}")

    def detach(self, server: Isolation, member: Member, fleet: Fleet) -> Ending | None:
        """Take it out of its group, its replacement first if the floor needs one; an ending if it has to stay."""
        instance = member.instance_id
        grown = fleet.desired > self.base
        below = f"without {instance} the fleet would have fewer than {self.floor} healthy servers"
        if not may_leave(member, fleet, self.floor):
            if grown:
                self.asked = fleet.desired - self.base
                return self.roll_back(below)
            if fleet.desired + 1 > fleet.maximum:
                why = f"the group is at its maximum of {fleet.maximum}, and its floor needs {instance}"
                return Ending(Status.REFUSED, f"{why}; raise maxSize by one to make room, or isolate it by hand")
            if ending := self.grow(fleet):
                return ending
            fleet = self.see()
            now = find(fleet, instance)
            if now is not None and not now.compromised:
                return self.spare(server, instance, fleet)
            if now is not None and not may_leave(now, fleet, self.floor):
                return self.roll_back(below)
            grown = fleet.desired > self.base
        self.tell(f"{instance} leaves its group")
        server.detach(shrink=grown)
        return None

    def spare(self, server: Isolation, instance: str, fleet: Fleet) -> Ending:
        """Nobody says any more that it was broken into: it stays, and what was begun is taken back."""
        server.forget()
        self.asked = max(0, fleet.desired - self.base)
        others = [m for m in fleet.members if m.instance_id != instance and not m.compromised and not leaving(m)]
        newest = max(others, key=lambda m: m.launched or datetime.min.replace(tzinfo=UTC), default=None)
        self.rejected = frozenset({newest.instance_id} if newest else ())
        words = "its mark was withdrawn: it stays"
        return self.roll_back(words) if self.asked else Ending(Status.HEALED, words)

    def preserve(self, server: Isolation) -> str:
        """Snapshots of all volumes; in words, what was kept."""
        until = server.tags().get(KEEP_UNTIL, "")
        volumes, there = server.volumes(), server.snapshots()
        for volume in volumes:
            if volume["VolumeId"] not in there:
                self.tell(f"a snapshot of {volume['VolumeId']}")
                server.snapshot(volume["VolumeId"], until)
        open_ = sorted(v["VolumeId"] for v in volumes if not v.get("Encrypted"))
        said = f"{len(volumes)} volumes have snapshots, kept until {until}"
        # A snapshot is encrypted exactly if its volume is.
        return f"{said}; not encrypted, as their volumes are not: {', '.join(open_)}" if open_ else said


def resume(repair: Repair, tools: Tools) -> str:
    """Finish a quarantine that was cut off. Empty if it is done, else why not, in words."""
    try:
        ending = Quarantine(repair, tools).run()
    except AwsCallFailed as error:
        return str(error)
    return "" if ending.status is Status.HEALED else ending.reason


def _run(repair: Repair, tools: Tools) -> Ending:
    return Quarantine(repair, tools).run()


def _preview(repair: Repair, tools: Tools) -> str:
    quarantine = Quarantine(repair, tools)
    return f"isolate {', '.join(quarantine.members)}, keep them for {tools.pace.keep_hours:g} h, and replace them"


STRATEGY = Strategy(
    name="quarantine",
    does="takes the named servers out of their group, cuts them off from the network and keeps their volumes",
    run=_run,
    preview=_preview,
    permissions=(
        "autoscaling:DescribeAutoScalingInstances",
        "autoscaling:DetachInstances",
        "autoscaling:SetDesiredCapacity",
        "autoscaling:SetInstanceHealth",
        "autoscaling:TerminateInstanceInAutoScalingGroup",
        "ec2:CreateSecurityGroup",
        "ec2:CreateSnapshot",
        "ec2:CreateTags",
        "ec2:DeleteTags",
        "ec2:DescribeSnapshots",
        "ec2:DescribeVolumes",
        "ec2:ModifyInstanceAttribute",
        "ec2:ModifyNetworkInterfaceAttribute",
        "ec2:RevokeSecurityGroupEgress",
        "ec2:RevokeSecurityGroupIngress",
        "elasticloadbalancing:DeregisterTargets",
    ),
)

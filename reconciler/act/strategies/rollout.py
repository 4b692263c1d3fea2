"""Replace servers of a fleet one by one: a new one is proven healthy before the old one leaves.

The first replacement that fails ends the rollout: what makes one newcomer fail makes the next one fail, too. Zones are
done one after another, so that a fault which only shows later has not reached all of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from reconciler.act import wellbeing
from reconciler.act.fleet import aside, astray, by_zone, dead, find, leaving, may_leave, serving
from reconciler.act.strategies.base import Strategy
from reconciler.act.surge import Surge
from reconciler.act.tools import Ending, Tools
from reconciler.model import Fleet, Member, Repair, Status, Verdict

_GONE_FROM_BALANCER = frozenset({"unregistered", "unused", "draining"})


class Rollout(Surge):
    """The replacement of ``repair.members`` of one group."""

    def __init__(self, repair: Repair, tools: Tools) -> None:
        super().__init__(repair, tools)
        self.bad = repair.members
        self.members = by_zone(self.found, repair.members)
        self._well: wellbeing.Wellbeing | None = None
        self._asked: set[str] = set()

    def run(self) -> Ending:
        """Replace all, or up to the first that fails."""
        self.remember_well()
        total = len(self.members)
        for number, instance in enumerate(self.members, 1):
            ending = self.out_of_time() if number > 1 else None
            if ending is None:
                self.tell(f"server {number} of {total}: {instance}")
                due = self.due((instance,))
                ending = due if isinstance(due, Ending) else self.attempt(instance) if due else Ending(Status.HEALED)
            if ending.status is not Status.HEALED:
                done = f" ({number - 1} of {total} were replaced before)" if number > 1 else ""
                return replace(ending, reason=ending.reason + done)
        return Ending(Status.HEALED)

    def remember_well(self) -> None:
        """How the tenant is before anything is done. Its own fleet is judged server by server."""
        self._well = wellbeing.of({self.repair.tenant}, self.tools, without=(self.group,))

    def out_of_time(self) -> Ending | None:
        """How a rollout ends between two servers in a pass that has taken as long as it may. That is no failure."""
        if self.tools.clock() < self.tools.until:
            return None
        return Ending(Status.CONTINUES, "rollout.pass_seconds are over; the next pass goes on")

    def due(self, instances: Sequence[str]) -> tuple[str, ...] | Ending:
        """Those that are still to be replaced, or are not there: the plan may be hours old at a fleet's last server.

        An ending if that cannot be told of one of them.
        """
        verdicts: dict[str, set[Verdict]] = {instance: set() for instance in instances}
        for finding in self.tools.look({self.group}):
            if finding.resource_id in verdicts:
                verdicts[finding.resource_id].add(finding.verdict)
        for instance, found in verdicts.items():
            if Verdict.UNKNOWN in found and Verdict.FAIL not in found:
                return Ending(Status.NOT_HEALED, f"whether {instance} is still to be replaced cannot be seen now")
            if found == {Verdict.PASS}:
                self.tell(f"{instance} is well again: it stays")
        return tuple(i for i in instances if verdicts[i] != {Verdict.PASS})

    def attempt(self, instance: str) -> Ending:
        """``replace``, with a refusal as an ending."""
        return self.careful(lambda: self.replace(instance))

    def preview(self) -> str:
        """What ``run`` would do, in words."""
        members = ", ".join(self.members)
        return (
            f"replace {members}: {self.base} to {self.base + 1} servers, then back to {self.base}; floor {self.floor}"
        )

    def replace(self, instance: str) -> Ending:
        """Replace one server, or say why not. Raises AwsCallFailed."""
        fleet = self.see()
        if fleet.desired != self.base:
            return Ending(Status.NOT_HEALED, f"somebody else resized the group to {fleet.desired} meanwhile")
        if any(m.instance_id == instance and m.lifecycle == "Detached" and not dead(m) for m in fleet.members):
            why = f"{instance} gets requests without being a server of the group; nobody knows what it is for"
            return Ending(Status.REFUSED, why)
        member = find(fleet, instance)
        if member is None:
            self.tell("it left already; waiting for the group to replace it")
            return self.until_whole(without=instance)
        if aside(member):
            self.tell(f"{instance} is on standby: it stays")
            return Ending(Status.HEALED)
        if dead(member):
            return self.bury(member, fleet)
        if member.compromised:
            return Ending(Status.CONTINUES, f"{instance} was marked as compromised: the next pass isolates it")
        if fleet.desired + 1 > fleet.maximum:
            return self.in_its_place(member, fleet)

        if ending := self.grow(fleet):
            return ending
        if reason := self.misplaced(fleet, member):
            return self.roll_back(reason)
        fleet = self.see()
        if fleet.desired <= self.base:
            return Ending(Status.NOT_HEALED, "somebody else resized the group meanwhile")
        member = find(fleet, instance)
        if member is None or aside(member):
            if self.give_back():
                return Ending(Status.HEALED)
            return Ending(Status.NOT_HEALED, f"the fleet is {self.surplus} too large, and none may leave")
        if member.compromised:
            return self.roll_back(f"{instance} was marked as compromised meanwhile: it is isolated, not ended")
        if not may_leave(member, fleet, self.floor):
            return self.roll_back(f"without {instance} the fleet would have fewer than {self.floor} healthy servers")
        self.tell(f"the new server is healthy; {instance} leaves")
        self.writes.terminate(instance, shrink=True)
        self.asked -= 1
        return self.until(lambda f: f"{instance} has not left yet" if self.present(f, instance) else "")

    def misplaced(self, before: Fleet, member: Member) -> str:
        """Why the newcomer does not make up for this server: its zone, or how the tenant is since it came."""
        now = self.see()
        known = {m.instance_id for m in before.members}
        came = [m for m in now.members if m.instance_id not in known and not leaving(m)]
        self.rejected = frozenset(m.instance_id for m in came)
        zone = astray(before, came)
        if zone and serving(member, now) is not False:
            return f"zone {zone} has no room for a new server, and {member.instance_id} serves in {member.zone}"
        # Once in each zone: what a server of a new kind does to the others shows with the first of them.
        asked = self._well is None or member.zone in self._asked
        self._asked.add(member.zone)
        worse = {} if asked or self._well is None else wellbeing.worse(self._well, self.tools)
        if worse:
            return f"the tenant is worse off since the new server came: {'; '.join(worse.values())}"
        self.rejected = frozenset()
        return ""

    def bury(self, member: Member, fleet: Fleet) -> Ending:
        """A server that is gone already: take out its stale registration and tell the group, which replaces it.

        The group would notice by itself at its next health check; a group whose checks are suspended never would.
        """
        instance = member.instance_id
        if member.target not in _GONE_FROM_BALANCER:
            for target_group in fleet.target_groups:
                self.writes.deregister(target_group, instance)
        self.tell("the server is gone already; the group replaces it")
        self.writes.report_unhealthy(instance)
        return self.until_whole(without=instance)

    def in_its_place(self, member: Member, fleet: Fleet) -> Ending:
        """No room for one more: only a server that serves nobody may leave first."""
        instance = member.instance_id
        if serving(member, fleet) is not False:
            why = f"the group is at its maximum of {fleet.maximum} and {instance} may still serve requests"
            return Ending(Status.REFUSED, f"{why}; raise maxSize by one to make room for its replacement")
        if halted := self.halted(fleet):
            return halted
        self.tell(f"no room for one more, and {instance} serves nobody: it leaves first")
        self.writes.terminate(instance, shrink=False)
        return self.until_whole(without=instance)


def _run(repair: Repair, tools: Tools) -> Ending:
    return Rollout(repair, tools).run()


def _preview(repair: Repair, tools: Tools) -> str:
    return Rollout(repair, tools).preview()


STRATEGY = Strategy(
    name="rollout",
    does="replaces the named servers one by one, each after its replacement is proven healthy",
    run=_run,
    preview=_preview,
    permissions=(
        "autoscaling:SetDesiredCapacity",
        "autoscaling:SetInstanceHealth",
        "autoscaling:TerminateInstanceInAutoScalingGroup",
        "elasticloadbalancing:DeregisterTargets",
    ),
)

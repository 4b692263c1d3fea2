"""Replace servers of a fleet one by one: a new one is proven healthy before the old one leaves.

Every step is decided on a fresh look, and a rollout that is cut off leaves a fleet that is at most one server too
large, which ``Rollout.give_back`` makes good, whoever calls it. The first replacement that fails ends the rollout:
what makes one newcomer fail makes the next one fail, too. Zones are done one after another, so that a fault which only
shows later has not reached all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from reconciler.act import wellbeing
from reconciler.act.aws_writes import AwsCallFailed, FleetWrites
from reconciler.act.fleet import astray, by_zone, dead, find, leaving, may_leave, serving, superfluous
from reconciler.act.strategies.base import Strategy
from reconciler.act.tools import Ending, Interrupted, Tools
from reconciler.errors import LeaseLost, RepairRefused, StackmendError, TenantPaused
from reconciler.model import SERVERS, Fleet, Member, Repair, Status, Urn, Verdict

_NOT_OURS = (Interrupted, LeaseLost, TenantPaused)
"""What ends a repair where it is; the next pass puts right what it left."""
_GONE_FROM_BALANCER = frozenset({"unregistered", "unused", "draining"})


class Rollout:
    """The replacement of ``repair.members`` of one group.

    ``base`` is the size that the fleet comes back to: the one found at the start, never the declared one, so that
    what an autoscaler added under load is not taken away.
    """

    def __init__(self, repair: Repair, tools: Tools) -> None:
        resource = tools.declared.resources.get(repair.urns[0]) if len(repair.urns) == 1 else None
        if resource is None:
            raise RepairRefused("a rollout concerns exactly one declared group", where=repair.id)
        if resource.tenant != repair.tenant:
            raise RepairRefused(f"the group belongs to tenant {resource.tenant}", where=resource.urn)
        self.repair, self.tools = repair, tools
        self.group: Urn = resource.urn
        self.writes = FleetWrites(tools.aws, tools.journal, repair, resource.id)
        fleet = tools.fleet(self.group)
        if not isinstance(fleet, Fleet):
            raise RepairRefused("the fleet cannot be seen now", where=self.group, why=fleet.reason)
        if fleet.unit != SERVERS:
            why = f"its size counts {fleet.unit}, so one more or less of it is not one server"
            todo = "replace the server, or resize the group, by hand"
            raise RepairRefused("the servers of this group are not touched", where=self.group, why=why, todo=todo)
        self.base = fleet.desired
        self._grown = False
        self.declared_size = resource.size
        # Where somebody else sizes it, what it is to have is what AWS says.
        self.floor = tools.floor(self.group, fleet.desired if resource.size is None else resource.size)
        healthy = {m.instance_id for m in fleet.healthy}
        self._sick = {m.instance_id for m in fleet.members} - healthy
        self.members = by_zone(fleet, repair.members)
        self._well: wellbeing.Wellbeing | None = None
        self._asked: set[str] = set()
        self._first = frozenset(m.instance_id for m in fleet.members)
        """The servers that were there at the start."""
        self._rejected: frozenset[str] = frozenset()
        """Healthy newcomers that are not to stay: they go back, and not the server they were to replace."""

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

    def careful(self, work: Callable[[], Ending]) -> Ending:
        """Do it; what AWS refuses, or what lies before AWS once a server was asked for, is rolled back."""
        try:
            return work()
        except _NOT_OURS:
            raise
        except AwsCallFailed as error:
            return self.roll_back(str(error))
        except StackmendError as error:
            if not self._grown:
                raise
            return self.roll_back(str(error))

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
        if member is None:
            return Ending(Status.HEALED) if self.give_back() else Ending(Status.NOT_HEALED, "one server too many")
        if member.compromised:
            return self.roll_back(f"{instance} was marked as compromised meanwhile: it is isolated, not ended")
        if not may_leave(member, fleet, self.floor):
            return self.roll_back(f"without {instance} the fleet would have fewer than {self.floor} healthy servers")
        self.tell(f"the new server is healthy; {instance} leaves")
        self.writes.terminate(instance, shrink=True)
        self._grown = False
        return self.until(lambda f: f"{instance} has not left yet" if self.present(f, instance) else "")

    def grow(self, fleet: Fleet, by: int = 1) -> Ending | None:
        """So many servers more, proven; or what became of the attempt."""
        known = frozenset(m.instance_id for m in fleet.members)
        self.tell(f"{by} new first: {self.base} to {self.base + by} servers")
        self._grown = True
        self.writes.set_desired(self.base + by)
        if self.proven(known, by):
            return None
        new = [m for m in self.see().members if m.instance_id not in known]
        ending = self.roll_back(self.what_became_of_newcomers(known))
        # Where none was launched, it was not what it would have been launched from.
        return replace(ending, bad_image=_launched(fleet) if new else "")

    def misplaced(self, before: Fleet, member: Member) -> str:
        """Why the newcomer does not make up for this server: its zone, or how the tenant is since it came."""
        now = self.see()
        known = {m.instance_id for m in before.members}
        came = [m for m in now.members if m.instance_id not in known and not leaving(m)]
        self._rejected = frozenset(m.instance_id for m in came)
        zone = astray(before, came)
        if zone and serving(member, now) is not False:
            return f"zone {zone} has no room for a new server, and {member.instance_id} serves in {member.zone}"
        # Once in each zone: what a server of a new kind does to the others shows with the first of them.
        asked = self._well is None or member.zone in self._asked
        self._asked.add(member.zone)
        worse = {} if asked or self._well is None else wellbeing.worse(self._well, self.tools)
        if worse:
            return f"the tenant is worse off since the new server came: {'; '.join(worse.values())}"
        self._rejected = frozenset()
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
        self.tell(f"no room for one more, and {instance} serves nobody: it leaves first")
        self.writes.terminate(instance, shrink=False)
        return self.until_whole(without=instance)

    def proven(self, known: frozenset[str], count: int = 1) -> bool:
        """Wait for ``count`` servers that were not known before and that stay healthy for the bake time."""
        clock, pace = self.tools.clock, self.tools.pace
        started, limit = clock(), pace.patience + pace.bake
        since: dict[str, float] = {}
        while True:
            fleet = self.tools.fleet(self.group)
            now = clock()
            if isinstance(fleet, Fleet):
                limit = fleet.grace_seconds + pace.patience + pace.bake
                since = {m.instance_id: since.get(m.instance_id, now) for m in fleet.healthy}
                if sum(now - first >= pace.bake for i, first in since.items() if i not in known) >= count:
                    return True
            if now - started > limit:
                return False
            self.tools.wait(pace.poll)

    def what_became_of_newcomers(self, known: frozenset[str]) -> str:
        """The reason that a replacement failed, for people."""
        new = [m for m in self.see().members if m.instance_id not in known]
        told = ", ".join(f"{m.instance_id} is {m.state}, target {m.target} {m.target_reason}".rstrip() for m in new)
        return f"no new server became healthy: {told or 'none was launched'}"

    def roll_back(self, reason: str) -> Ending:
        """Give the additional server back and stop; nothing to give back if none was asked for."""
        if not self._grown:
            return Ending(Status.NOT_HEALED, reason)
        self.tell(f"rolling back: {reason}")
        try:
            given_back = self.give_back()
        except _NOT_OURS:
            raise
        except StackmendError as error:
            return Ending(Status.NOT_HEALED, f"{reason}; the fleet may be one server too large: {error}")
        if not given_back:
            return Ending(Status.NOT_HEALED, f"{reason}; the fleet is one server too large, and none may leave")
        return Ending(Status.ROLLED_BACK, reason)

    def give_back(self) -> bool:
        """Take one server out of a fleet that is larger than ``base``. False if none may leave in time.

        For each size it acts once and then waits to see the effect: a stale look must not take out a second server. Nor
        must it choose one: it takes two looks in a row that come to the same.
        """
        clock, pace = self.tools.clock, self.tools.pace
        started = clock()
        expected: int | None = None
        chosen: str | int | None = None
        while True:
            fleet = self.see()
            if fleet.desired <= self.base:
                return True
            before, chosen = chosen, None
            if expected in (None, fleet.desired):
                chosen = superfluous(fleet, self.base, self.repair.members, self._rejected, self.floor)
            if chosen is not None and chosen == before:
                expected, chosen, started = self.shrink(fleet, chosen), None, clock()
            if clock() - started > pace.patience:
                return False
            self.tools.wait(pace.poll)

    def shrink(self, fleet: Fleet, chosen: str | int) -> int:
        """One step down, as ``superfluous`` chose it; the size that the fleet has afterwards."""
        if isinstance(chosen, int):
            self.writes.set_desired(chosen)
            return chosen
        self.tell(f"{chosen} leaves")
        self.writes.terminate(chosen, shrink=True)
        return fleet.desired - 1

    def until_whole(self, *, without: str) -> Ending:
        """Wait until as many servers are healthy as the fleet has, less those that were not when this began."""

        def missing(fleet: Fleet) -> str:
            healthy = sum(m.instance_id != without for m in fleet.healthy)
            others = sum(m.instance_id in self._sick - {without} for m in fleet.members if m not in fleet.healthy)
            return f"{healthy} of {self.base} servers are healthy" if healthy + others < self.base else ""

        ending = self.until(missing)
        if ending.status is Status.HEALED:
            return ending
        fleet = self.see()
        new = [m for m in fleet.members if m.instance_id not in self._first and m not in fleet.healthy]
        return replace(ending, bad_image=_launched(fleet) if new else "")

    def until(self, missing: Callable[[Fleet], str]) -> Ending:
        """Wait until nothing is missing."""
        clock, pace = self.tools.clock, self.tools.pace
        started = clock()
        while True:
            fleet = self.see()
            reason = missing(fleet)
            if not reason:
                return Ending(Status.HEALED)
            if clock() - started > fleet.grace_seconds + pace.patience:
                return Ending(Status.NOT_HEALED, reason)
            self.tools.wait(pace.poll)

    def present(self, fleet: Fleet, instance: str) -> bool:
        """Whether it is still there, draining included."""
        return any(m.instance_id == instance and not dead(m) for m in fleet.members)

    def see(self) -> Fleet:
        """A look that answers; asks again for a while. Raises AwsCallFailed."""
        clock, pace = self.tools.clock, self.tools.pace
        started = clock()
        while True:
            fleet = self.tools.fleet(self.group)
            if isinstance(fleet, Fleet):
                return fleet
            if clock() - started > pace.patience:
                raise AwsCallFailed("the fleet cannot be seen", where=self.group, why=fleet.reason)
            self.tools.wait(pace.poll)

    def tell(self, message: str) -> None:
        self.tools.progress(self.repair, message)


def _launched(fleet: Fleet) -> str:
    """What new servers come from, never empty: one group may launch from several templates."""
    return fleet.launches or f"what {fleet.name} launches"


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

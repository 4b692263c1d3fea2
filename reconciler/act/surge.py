"""One group made larger for a while, and brought back to its size: what every replacement of servers rests on.

Every step is decided on a fresh look. A change that is cut off leaves a fleet that is too large by what it had asked
for, which ``Surge.give_back`` makes good, whoever calls it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from reconciler.act.aws_writes import AwsCallFailed, FleetWrites
from reconciler.act.fleet import dead, superfluous
from reconciler.act.tools import Ending, Interrupted, Tools
from reconciler.errors import LeaseLost, RepairRefused, StackmendError, TenantPaused
from reconciler.model import SERVERS, Fleet, Repair, Status, Urn

_HELD = "Pending:Wait"
_NEEDED = frozenset({"Launch", "AddToLoadBalancer"})
"""Processes of a group without which no server comes, or none serves."""
_NOBODY = ""
"""Who leaves a fleet that is of its size."""
_NOT_OURS = (Interrupted, LeaseLost, TenantPaused)
"""What ends a repair where it is; the next pass puts right what it left."""


class Surge:
    """A group that gets servers on top of its own, and gives as many back. Raises RepairRefused if it must not.

    It gives back what it has ``asked`` for, and never goes below ``base``, the size found at the start: what an
    autoscaler added under load, before or meanwhile, is not taken away.
    """

    def __init__(self, repair: Repair, tools: Tools, group: Urn | None = None) -> None:
        """``group`` is the one of the repair's resources that is meant; none is needed if there is only one."""
        urns = repair.urns if group is None else (group,)
        resource = tools.declared.resources.get(urns[0]) if len(urns) == 1 else None
        if resource is None:
            raise RepairRefused("servers are replaced in exactly one declared group", where=repair.id)
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
        self.found = fleet
        self.base = fleet.desired
        self.asked = 0
        """How many servers it has on top, which leave again in one way or the other."""
        self.bad: tuple[str, ...] = ()
        """The servers that are to leave."""
        self.declared_size = resource.size
        # Where somebody else sizes it, what it is to have is what AWS says.
        self.floor = tools.floor(self.group, fleet.desired if resource.size is None else resource.size)
        self.rejected: frozenset[str] = frozenset()
        """Newcomers that are not to stay: they go back, and not the server they were to replace."""
        self._known: frozenset[str] | None = None
        """While newcomers prove themselves: who was there before them. Until then none of them is to stay."""

    def grow(self, fleet: Fleet, by: int = 1) -> Ending | None:
        """So many servers more, proven; or what became of the attempt."""
        if halted := self.halted(fleet):
            return halted
        known = frozenset(m.instance_id for m in fleet.members)
        self.tell(f"{by} new first: {self.base} to {self.base + by} servers")
        self.asked, self._known = by, known
        self.writes.set_desired(self.base + by)
        if self.proven(known, by):
            self._known = None
            return None
        new = [m for m in self.see().members if m.instance_id not in known]
        ending = self.roll_back(self.what_became_of_newcomers(known))
        # Where none was launched, or a lifecycle hook held it, it was not what it would have been launched from.
        tried = any(not m.lifecycle.startswith(_HELD) and m.outdated is not True for m in new)
        return replace(ending, bad_image=_launched(fleet) if tried else "")

    def halted(self, fleet: Fleet) -> Ending | None:
        """Why no server can come now, if somebody has suspended what that takes: it would not be the server's fault.

        https://docs.aws.amazon.com/autoscaling/ec2/userguide/as-suspend-resume-processes.html
        """
        if names := ", ".join(sorted(_NEEDED & fleet.suspended)):
            return Ending(Status.REFUSED, f"somebody has suspended {names} of the group; resume it first")
        return None

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
                # One that a warm pool still had of an earlier template is no proof of what is launched now.
                fit = [m for m in fleet.healthy if m.outdated is not True]
                since = {m.instance_id: since.get(m.instance_id, now) for m in fit}
                if sum(now - first >= pace.bake for i, first in since.items() if i not in known) >= count:
                    return True
            if now - started > limit:
                return False
            self.tools.wait(pace.poll)

    def what_became_of_newcomers(self, known: frozenset[str]) -> str:
        """The reason that a replacement failed, for people."""
        new = [m for m in self.see().members if m.instance_id not in known]
        told = ", ".join(
            f"{m.instance_id} is {m.state}, {m.lifecycle}, target {m.target} {m.target_reason}".rstrip()
            + (", and not of what the group launches now" if m.outdated is True else "")
            for m in new
        )
        return f"no new server became healthy: {told or 'none was launched'}"

    def careful(self, work: Callable[[], Ending]) -> Ending:
        """Do it; what AWS refuses, or what lies before AWS once a server was asked for, is rolled back."""
        try:
            return work()
        except _NOT_OURS:
            raise
        except AwsCallFailed as error:
            return self.roll_back(str(error))
        except StackmendError as error:
            if not self.asked:
                raise
            return self.roll_back(str(error))

    def roll_back(self, reason: str) -> Ending:
        """Give back what was asked for and stop; there is nothing to give back if nothing was."""
        if not self.asked:
            return Ending(Status.NOT_HEALED, reason)
        self.tell(f"rolling back: {reason}")
        try:
            given_back = self.give_back()
        except _NOT_OURS:
            raise
        except StackmendError as error:
            return Ending(Status.NOT_HEALED, f"{reason}; the fleet may be {self.surplus} too large: {error}")
        if not given_back:
            return Ending(Status.NOT_HEALED, f"{reason}; the fleet is {self.surplus} too large, and none may leave")
        return Ending(Status.ROLLED_BACK, reason)

    @property
    def surplus(self) -> str:
        """What was asked for and not given back, in words."""
        return "one server" if self.asked == 1 else f"{self.asked} servers"

    def give_back(self) -> bool:
        """Take out as many servers as were asked for, while there are more than ``base``. False if not all may in time.

        For each size it acts once and then waits to see the effect: a stale look must not take out a second server. Nor
        must it choose one, or say that all is done: it takes two looks in a row that come to the same.
        """
        clock, pace = self.tools.clock, self.tools.pace
        started = clock()
        expected: int | None = None
        chosen: str | int | None = None
        while True:
            fleet = self.see()
            size = max(self.base, fleet.desired - self.asked)
            before, chosen = chosen, None
            if fleet.desired <= size:
                chosen = _NOBODY
            elif expected in (None, fleet.desired):
                chosen = superfluous(fleet, size, self.bad, self.rejected | self._unproven(fleet), self.floor)
            if chosen is not None and chosen == before:
                if chosen == _NOBODY:
                    self.asked = 0
                    return True
                expected, chosen, started = self.shrink(fleet, chosen), None, clock()
                self.asked -= fleet.desired - expected
            if clock() - started > pace.patience:
                return False
            self.tools.wait(pace.poll)

    def _unproven(self, fleet: Fleet) -> frozenset[str]:
        if self._known is None:
            return frozenset()
        return frozenset(m.instance_id for m in fleet.members) - self._known

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
        first = {m.instance_id for m in self.found.members}
        sick = first - {m.instance_id for m in self.found.healthy} - {without}

        def missing(fleet: Fleet) -> str:
            healthy = sum(m.instance_id != without for m in fleet.healthy)
            others = sum(m.instance_id in sick for m in fleet.members if m not in fleet.healthy)
            return f"{healthy} of {self.base} servers are healthy" if healthy + others < self.base else ""

        ending = self.until(missing)
        if ending.status is Status.HEALED:
            return ending
        fleet = self.see()
        new = [m for m in fleet.members if m.instance_id not in first and m not in fleet.healthy]
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

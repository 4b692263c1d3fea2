"""Move a whole fleet to what its group launches now: one server first, then the others in batches, zone by zone.

The first one is the canary: only when it has proven itself does anything more happen, so a bad image costs no more than
one server that nobody sends requests to. An image that failed is remembered, and not tried again.
"""

from __future__ import annotations

from dataclasses import replace

from reconciler.act.fleet import aside, dead, find, may_leave
from reconciler.act.strategies.base import Strategy
from reconciler.act.strategies.rollout import STRATEGY as ROLLOUT
from reconciler.act.strategies.rollout import Rollout
from reconciler.act.tools import Ending, Tools
from reconciler.model import Repair, Status


class Refresh(Rollout):
    """The replacement of many servers of one group: ``base`` to ``base`` + batch servers and back, again and again."""

    def run(self) -> Ending:
        due = self.due(self.members)
        if isinstance(due, Ending) or not due:
            return due if isinstance(due, Ending) else Ending(Status.HEALED)
        canary, rest = due[:1], due[1:]
        self.tell(f"one server first: {', '.join(canary)}")
        self.remember_well()
        first = self.attempt(canary[0])
        if first.status is not Status.HEALED:
            return replace(first, reason=f"the first server failed, so no other was touched: {first.reason}")
        self.members = rest
        done = 1
        while self.members:
            due = self.due(self.members)
            if isinstance(due, Ending):
                return replace(due, reason=f"{due.reason} ({done} of {len(rest) + 1} were replaced before)")
            self.members = due
            if not due:
                break
            batch, left = self.batch()
            ending = self.out_of_time() or (self.together(batch) if len(batch) > 1 else self.attempt(batch[0]))
            if ending.status is not Status.HEALED:
                return replace(ending, reason=f"{ending.reason} ({done} of {len(rest) + 1} were replaced before)")
            self.members = left
            done += len(batch)
            self.tell(f"{done} of {len(rest) + 1} run the new image")
        return Ending(Status.HEALED)

    def batch(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """The next servers, of one zone only and as many as there is room for, and those that remain."""
        fleet = self.see()
        zone_of = {m.instance_id: m.zone for m in fleet.members}
        alive = {m.instance_id for m in fleet.members if not dead(m)}
        zone = zone_of.get(self.members[0])
        room = max(1, min(self.tools.pace.batch, fleet.maximum - fleet.desired))
        first: list[str] = []
        for instance in self.members:
            if len(first) == room or zone_of.get(instance) != zone or (first and instance not in alive):
                break
            first.append(instance)
        size = len(first) if first[0] in alive else 1
        return self.members[:size], self.members[size:]

    def together(self, batch: tuple[str, ...]) -> Ending:
        """Replace several servers: as many new ones, all proven, before the first of the old ones leaves."""
        return self.careful(lambda: self.replace_all(batch))

    def replace_all(self, batch: tuple[str, ...]) -> Ending:
        """``together``, where nothing is refused."""
        fleet = self.see()
        if fleet.desired != self.base:
            return Ending(Status.NOT_HEALED, f"somebody else resized the group to {fleet.desired} meanwhile")
        staying = [m for i in batch if (m := find(fleet, i)) is not None and not m.compromised and not aside(m)]
        if not staying:
            return Ending(Status.HEALED)
        if ending := self.grow(fleet, by=len(staying)):
            return ending
        if reason := self.misplaced(fleet, staying[0]):
            return self.roll_back(reason)
        gone: set[str] = set()
        for old in staying:
            fleet = self.see()
            if fleet.desired <= self.base:
                return Ending(Status.NOT_HEALED, "somebody else resized the group meanwhile")
            member = find(fleet, old.instance_id)
            if member is None or aside(member):
                continue
            if member.compromised:
                return self.roll_back(f"{old.instance_id} was marked as compromised meanwhile")
            # A look may still show those that have just been told to leave.
            rest = replace(fleet, members=tuple(m for m in fleet.members if m.instance_id not in gone))
            if not may_leave(member, rest, self.floor):
                why = f"without {old.instance_id} the fleet would have fewer than {self.floor} healthy servers"
                return self.roll_back(why)
            self.writes.terminate(old.instance_id, shrink=True)
            gone.add(old.instance_id)
            self.asked -= 1
        # Of those that left by themselves the group has taken the places, so there are as many too many.
        if self.asked and not self.give_back():
            return Ending(Status.NOT_HEALED, f"the fleet is {self.surplus} too large, and none may leave")
        return self.until(lambda f: ", ".join(i for i in sorted(gone) if self.present(f, i)))


def _run(repair: Repair, tools: Tools) -> Ending:
    return Refresh(repair, tools).run()


def _preview(repair: Repair, tools: Tools) -> str:
    refresh = Refresh(repair, tools)
    return f"{refresh.preview()}; {refresh.members[0]} first, then {tools.pace.batch} at a time, zone by zone"


STRATEGY = Strategy(
    name="refresh-image",
    does="replaces the named servers by ones of what their group launches now: one first, then the rest zone by zone",
    run=_run,
    preview=_preview,
    permissions=ROLLOUT.permissions,
)

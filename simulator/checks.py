"""The invariants of the robustness programme, checked on the world's truth and on the record at every step.

Nothing here trusts the product: what is broken is asked of the world, what is intended of the database.
"""

from __future__ import annotations

import json
import sqlite3
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import floor
from pathlib import Path
from typing import Any

from reconciler.act.steps import Step
from reconciler.model import Urn
from reconciler.plan.strategy import OF_SERVERS
from reconciler.record.documents import to_repair
from reconciler.record.ledger import GENESIS, Entry
from simulator.layout import STATEFUL
from simulator.world import Process, Violation, World
from tenancy.tiers import TIERS

SHARE, FLAPS, WINDOW, SAME_FAILURES, BAKE = 0.20, 3, 3600.0, 2, 30.0
"""The default settings that the invariants speak of, said again: a changed default has to be changed here, too."""
STALE_SECONDS = 300.0
"""How far back a repair's reason may lie: the pass that saw it, and what a stale read answers."""


@dataclass(slots=True)
class _Intent:
    number: int
    run: str
    strategy: str
    urns: tuple[Urn, ...]
    tenant: str | None
    members: tuple[str, ...]
    findings: frozenset[str]
    at: float
    healthy: frozenset[str] = frozenset()
    """Servers that were healthy when the intent was written."""
    status: str = ""


@dataclass
class Checks:
    """``path`` is the store's file, which is read past the product. ``Violation`` is raised by whatever is found."""

    world: World
    path: Path
    clocks_jumped: bool = False
    intents: dict[int, _Intent] = field(default_factory=dict)
    written: dict[tuple[str, str | None], dict[str, int]] = field(default_factory=lambda: defaultdict(dict))
    """The resources and servers that were written in a run, of a tenant or of the cell, and under which intent."""
    writes: int = 0
    _entries: int = 0
    _head: str = GENESIS
    _concluded: set[int] = field(default_factory=set)
    _grown: dict[Urn, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._db = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False)
        self.floors = {
            urn: -(-fleet.desired * TIERS_FLOOR[self.world.program[urn].tenant] // 100)
            for urn, fleet in self.world.fleets.items()
        }

    def close(self) -> None:
        self._db.close()

    # --- at a write to the world ---------------------------------------------------------------------------

    def engine_writes(self, step: Step) -> None:
        """The engine is about to do this."""
        blueprint = self.world.program[step.urn]
        intent = self._may_write(step.urn, blueprint.tenant, f"engine {step.op} {step.urn.rsplit('::', 1)[-1]}")
        self._within_budget(intent, step.urn)
        if blueprint.type in STATEFUL and step.op != "update":
            raise Violation(f"I08: {step.op} of {step.urn}, which holds data")
        if step.op == "create" and step.urn in self.world.live:
            raise Violation(f"I06: a second {step.urn} is created")
        if step.op not in ("create", "update"):
            raise Violation(f"I10: the engine does {step.op} to {step.urn}")

    def state_written(self) -> None:
        self._holds_lease("state import")

    def aws_writes(self, urn: Urn, operation: str, parameters: Mapping[str, Any]) -> None:
        """A strategy is about to call this on a resource of ``urn``, which may be a fleet."""
        intent = self._may_write(urn, self.world.program[urn].tenant, f"{operation} {urn.rsplit('::', 1)[-1]}")
        self._not_paused_since_check(operation)
        fleet = self.world.fleets.get(urn)
        if fleet is None:
            self._within_budget(intent, urn)
            return
        about = str(parameters.get("InstanceId") or next((t["Id"] for t in parameters.get("Targets", ())), ""))
        if about in intent.members:
            self._within_budget(intent, about)
        if operation == "set_desired_capacity" and parameters["DesiredCapacity"] > fleet.desired:
            self._grown[urn] = self.world.now
            there = [s for i in intent.members if (s := fleet.servers.get(i)) is not None]
            wrong = [s for s in there if s.sick_at >= intent.at - 10 or s.version != fleet.version]
            if not wrong:
                raise Violation(f"I06: a rollout of {', '.join(intent.members)} begins, and nothing is wrong with them")
        leaves = fleet.servers.get(about) if "InstanceId" in parameters else None
        if leaves is not None and leaves.healthy and leaves.id in intent.members:
            newer = [s for s in fleet.servers.values() if s.healthy and s.id not in intent.healthy]
            if not newer:
                raise Violation(f"I07: {leaves.id} leaves before a new server is healthy")

    def fleets_kept(self, before: Mapping[Urn, int], operation: str) -> None:
        """A call has just taken effect."""
        for urn, healthy in before.items():
            now = self.world.fleets[urn].healthy
            if now < healthy and now < self.floors[urn]:
                raise Violation(f"I02: {operation} leaves {now} healthy servers, the floor is {self.floors[urn]}")

    def _may_write(self, urn: Urn, tenant: str, what: str) -> _Intent:
        self.writes += 1
        process = self._holds_lease(what)
        process.run_writes += 1
        self.observe_record()
        open_ = [i for i in self.intents.values() if not i.status and urn in i.urns]
        if not open_:
            raise Violation(f"I04: {what} without an open intent")
        if len(open_) > 1:
            raise Violation(f"I01: {what} under {len(open_)} intents")
        if open_[0].tenant != tenant:
            raise Violation(f"I10: {what} of tenant {tenant} by a repair of {open_[0].tenant}")
        return open_[0]

    def _holds_lease(self, what: str) -> Process:
        process = self.world.running
        if process is None or process.dry:
            raise Violation(f"I15: {what} in a dry run")
        (token,) = self._db.execute("SELECT token FROM leases").fetchone() or (0,)
        if process.lease is None or process.lease.token != token:
            held = process.lease.token if process.lease else "none"
            raise Violation(f"I05: {what} under lease number {held}, the cell's is {token}")
        return process

    def _not_paused_since_check(self, what: str) -> None:
        if self._db.execute("SELECT 1 FROM pauses WHERE tenant = ''").fetchone():
            raise Violation(f"I14: {what} while the cell is paused")

    # --- the record ----------------------------------------------------------------------------------------

    def observe_record(self) -> None:
        """Whatever was written to the record since the last look."""
        last = max(self.intents, default=0)
        rows = self._db.execute("SELECT intent, run_id, repair FROM intents WHERE intent > ? ORDER BY 1", (last,))
        for number, run, document in rows.fetchall():
            self._intended(number, run, document)
        open_ = [n for n, i in self.intents.items() if not i.status]
        if open_:
            marks = ",".join("?" * len(open_))
            found = self._db.execute(f"SELECT intent, outcome FROM outcomes WHERE intent IN ({marks})", open_)  # noqa: S608
            for number, outcome in found.fetchall():
                self.intents[number].status = json.loads(outcome)["status"]
        self._read_ledger()

    def _intended(self, number: int, run: str, document: str) -> None:
        repair, world = to_repair(document), self.world
        fleets = [world.fleets[u] for u in repair.urns if u in world.fleets]
        intent = self.intents[number] = _Intent(
            number,
            run,
            repair.strategy,
            repair.urns,
            repair.tenant,
            repair.members,
            frozenset(repair.finding_ids),
            world.now,
            frozenset(s.id for f in fleets for s in f.servers.values() if s.healthy),
        )
        world.counts[f"intent {repair.strategy}"] += 1
        if (process := world.running) is not None and process.only not in (None, repair.tenant):
            raise Violation(f"I10: a run for {process.only} repairs {repair.tenant}")
        for (tenant,) in self._db.execute("SELECT tenant FROM pauses").fetchall():
            if tenant in ("", repair.tenant):
                raise Violation(f"I14: an intent for {repair.tenant} while {tenant or 'the cell'} is paused")
        if repair.strategy == "escalate":
            return
        self._has_reason(intent)
        if not self.clocks_jumped:
            self._no_flapping(intent)

    def _has_reason(self, intent: _Intent) -> None:
        world, since = self.world, self.world.now - STALE_SECONDS
        if intent.strategy in OF_SERVERS:
            fleet = world.fleets[intent.urns[0]]
            servers = [fleet.servers[i] for i in intent.members if i in fleet.servers]
            sick = len(servers) < len(intent.members) or any(
                s.sick_at >= since or s.version != fleet.version for s in servers
            )
            if intent.members and not sick:
                raise Violation(f"I06: {', '.join(intent.members)} are to be replaced, and nothing is wrong with them")
        elif not any(world.broken_at.get(u, -1e9) >= since or world.behind(u) for u in intent.urns):
            raise Violation(f"I06: {intent.strategy} of {', '.join(intent.urns)}, and nothing is wrong with it")

    def _within_budget(self, intent: _Intent, what: str) -> None:
        """``what``, a resource or a server that is replaced, is written: counted, whatever the repair says it costs."""
        for scope, pool in (
            (intent.tenant, sum(b.tenant == intent.tenant for b in self.world.program.values())),
            (None, len(self.world.program)),
        ):
            written, limit = self.written[intent.run, scope], max(1, floor(pool * SHARE))
            written.setdefault(what, intent.number)
            # A repair that cannot be cut may have a whole budget to itself, and more.
            alone = intent.strategy not in OF_SERVERS and set(written.values()) == {intent.number}
            if len(written) > limit and not alone:
                raise Violation(f"I03: {len(written)} resources of {scope or 'the cell'} in one pass, limit {limit}")

    def _no_flapping(self, intent: _Intent) -> None:
        recent = [i for i in self.intents.values() if i.at >= self.world.now - WINDOW and i.number != intent.number]
        failed = [
            i
            for i in recent
            if i.status in ("not healed", "rolled back")
            and i.findings & intent.findings
            and set(i.urns) & set(intent.urns)
        ]
        healed = [
            i
            for i in recent
            if (i.status, i.strategy) == ("healed", intent.strategy)
            and (i.findings & intent.findings if intent.strategy in OF_SERVERS else set(i.urns) & set(intent.urns))
        ]
        if len(healed) >= FLAPS:
            raise Violation(f"I11: {intent.strategy} of {intent.urns} after it was healed {len(healed)} times")
        if len(failed) >= SAME_FAILURES:
            raise Violation(f"I11: {intent.strategy} of {intent.urns} after it failed {len(failed)} times")

    def _read_ledger(self) -> None:
        """The chain goes on from where it was, and each intent has one end in it (I04, I12)."""
        rows = self._db.execute("SELECT * FROM ledger WHERE seq > ? ORDER BY seq", (self._entries,)).fetchall()
        for row in rows:
            entry = Entry(*row)
            if entry.seq != self._entries + 1 or entry.prev_hash != self._head or not entry.intact:
                raise Violation(f"I12: entry {entry.seq} of the ledger does not follow {self._entries}")
            self._entries, self._head = entry.seq, entry.hash
            if entry.event == "outcome":
                number = json.loads(entry.payload)["intent"]
                if number in self._concluded:
                    raise Violation(f"I04: intent {number} has two terminal records")
                self._concluded.add(number)

    def ledger_is_whole(self) -> None:
        """Nothing that was read once has gone (I12)."""
        row = self._db.execute("SELECT count(*), max(seq) FROM ledger").fetchone()
        if tuple(row) != (self._entries, self._entries or None):
            raise Violation(f"I12: the ledger had {self._entries} entries and has {row[0]}, up to {row[1]}")

    def all_concluded(self) -> None:
        """Nothing is under way, so every intent has exactly one outcome (I04)."""
        self.observe_record()
        open_ = [n for n, i in self.intents.items() if not i.status]
        if open_ or self._concluded != self.intents.keys():
            raise Violation(f"I04: intents without an end: {open_ or sorted(self.intents.keys() - self._concluded)}")

    def interrupted(self) -> int:
        """How many intents were cut off and concluded by a later pass."""
        self.observe_record()
        return sum(i.status == "interrupted" for i in self.intents.values())

    def statuses(self) -> Sequence[tuple[str, str]]:
        return [(i.strategy, i.status) for i in self.intents.values()]


TIERS_FLOOR = {
    name: int(policy.healthy_floor_percent)
    for name, policy in zip(("acme", "blue", "corner"), TIERS.values(), strict=True)
}

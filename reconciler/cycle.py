"""The product on one page: declare, observe, detect, plan, act, verify, record. Only this module calls the stages.

A cycle works on one cell. ``scan`` and ``plan`` change nothing in AWS; ``repair`` holds the cell's lease while it acts,
and begins by putting right what a pass that died left behind.
"""

from __future__ import annotations

import getpass
import secrets
import socket
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, Self

import structlog

from reconciler.act import recovery
from reconciler.act.act import act
from reconciler.act.tools import Tools
from reconciler.attributing import Attributing
from reconciler.deciding import Deciding
from reconciler.decisions import Acknowledgement, Approval
from reconciler.declare import baseline
from reconciler.errors import ConfigurationError
from reconciler.looking import Looking
from reconciler.model import (
    WHOLE,
    Attribution,
    Declared,
    Finding,
    Fleet,
    Outcome,
    Plan,
    Repair,
    Scan,
    Scope,
    Unreadable,
    Urn,
    Verdict,
)
from reconciler.observe.observe import locate_pending, observe
from reconciler.observe.reads import Failed, Observer
from reconciler.observe.registry import OBSERVERS
from reconciler.outside import Outside, StackEngine
from reconciler.plan.breaker import sees_too_little
from reconciler.ports import Journal as JournalPort
from reconciler.ports import Progress
from reconciler.present.documents import outcome_document, plan_document
from reconciler.record import audit, checkpoint, cuts, journal, sightings
from reconciler.record.lease import Lease
from reconciler.record.store import Run, Store
from reconciler.settings import Settings
from reconciler.verify.verify import verify
from reconciler.wiring import ReadOnlyJournal, floors_of, pace_of

log = structlog.get_logger(__name__)

GROUP = "aws:autoscaling/group:Group"


@dataclass(frozen=True, slots=True)
class Pass:
    """One whole pass: what was found, what was decided, what became of it."""

    scan: Scan
    plan: Plan
    outcomes: tuple[Outcome, ...]


class Cycle:
    """One cell and everything that a pass over it needs."""

    def __init__(
        self,
        settings: Settings,
        store: Store,
        observers: Mapping[str, Observer] = OBSERVERS,
        outside: Outside | None = None,
    ) -> None:
        self.settings, self.store = settings, store
        self._outside = outside or Outside(settings)
        self._cell = settings.cell
        self._actor = f"{getpass.getuser()}@{socket.gethostname()}"
        self._looking = Looking(settings, store, observers, self._outside, actor=self._actor)
        self._attributing = Attributing(settings.attribution, self._outside.clients)
        self._period: datetime | None = None
        self._locks: tuple[Path | None] | None = None
        self._deciding = Deciding(settings, store, self._looking.kinds, self._outside.now, actor=self._actor)

    @classmethod
    def open(cls, settings: Settings) -> Self:
        """Raises StoreError, ConfigurationError."""
        return cls(settings, Store.open(settings.store_url, key=settings.checkpoint_key))

    def close(self) -> None:
        self._outside.close()
        self.store.close()

    # --- the stages, in order ------------------------------------------------------------------------------

    def scan(self, *, tenant: str | None = None) -> Scan:
        """Look at the whole cell, or at one tenant of it, and record what was found."""
        run_id = self._begin("scan")
        scan = self._attributing.named(self._scan(run_id, Scope(tenant)))
        self._finish(scan, {})
        return scan

    def plan(self, *, tenant: str | None = None) -> Plan:
        """What a repair would do now."""
        run_id = self._begin("plan")
        scan = self._scan(run_id, Scope(tenant))
        plan = self._plan(scan)
        self._finish(self._attributing.named(scan), {"plan": plan_document(plan)})
        return plan

    def repair(
        self,
        *,
        progress: Progress,
        tenant: str | None = None,
        dry_run: bool = False,
        scope: Scope = WHOLE,
        who: Mapping[Urn, Attribution] | None = None,
        new_period: bool = False,
        events: Collection[str] = (),
    ) -> Pass:
        """One whole pass. A dry run goes as far as the engine's preview.

        ``events`` led to it, and told ``who`` changed what. Passes of one period share the budgets of one pass: the
        service's passes by the clock each begin a new one, those for events in between do not.
        Raises LeaseHeld if another reconciler holds the cell, EngineLocked while somebody else's update runs.
        """
        scope = Scope(tenant) if tenant is not None else scope
        self._attributing.told(who or {})
        with self._outside.engine() as engine:
            if dry_run:
                return self._pass(engine, ReadOnlyJournal(), progress, scope, events, dry_run=True)
            lease = self._lease()
            try:
                with self._outside.keeping(lease):
                    if new_period:
                        self._period = self._outside.now()
                    return self._pass(engine, lease, progress, scope, events, dry_run=False)
            finally:
                lease.release()

    def _lease(self) -> Lease:
        """Raises LeaseHeld."""
        seconds, process = self.settings.lease_seconds, self._outside.process()
        return Lease.acquire(self.store, self._cell, seconds=seconds, actor=self._actor, process=process)

    def _pass(
        self,
        engine: StackEngine,
        lease: Lease | ReadOnlyJournal,
        progress: Progress,
        scope: Scope,
        events: Collection[str],
        *,
        dry_run: bool,
    ) -> Pass:
        run_id = self._begin("dry run" if dry_run else "repair")
        held = journal.Journal(lease, run_id=run_id, actor=self._actor) if isinstance(lease, Lease) else lease
        unsettled: frozenset[Urn] = frozenset()
        leftovers: tuple[Outcome, ...] = ()
        declared: Declared | None = None
        if not dry_run and None not in self._paused():
            declared, unsettled, leftovers = self._recover(engine, held, progress)
        declared = declared or self._declared()
        engine.warm_up({r.type for r in declared.resources.values()})
        spent = journal.intended(self.store, self._cell, self._period) if self._period else ()
        scan = self._scan(run_id, scope, declared)
        touched = {urn for repair in spent for urn in repair.urns}
        if scope.urns is not None and (why := sees_too_little(scan, scope.urns, touched, self._deciding.policy)):
            log.warning("looking at everything before anything is repaired", run_id=run_id, why=why)
            scan = self._scan(run_id, WHOLE)
        if self._period is not None:
            log.info("verdicts", run_id=run_id, failing=len(scan.failing), events=len(events))
        plan = self._plan(scan, spent)
        tools = self._tools(scan.declared, engine, held, progress, unsettled)
        outcomes = act(plan, tools, dry_run=dry_run)
        if not dry_run:
            self._deciding.watched(whole=scope == WHOLE)
        done = [outcome_document(o) for o in (*leftovers, *outcomes)]
        scan = self._attributing.named(scan)
        more = {"events": list(events)[:100]} if events else {}
        self._finish(scan, {"plan": plan_document(plan), "outcomes": done, "dry_run": dry_run, **more})
        return Pass(scan, plan, outcomes)

    def _scan(self, run_id: str, scope: Scope, declared: Declared | None = None) -> Scan:
        began = time.monotonic()
        declared = declared or self._declared()
        scan = self._looking.scan(run_id, declared, self._resources_of(declared, scope), began=began)
        sightings.sight(self.store, self._cell, scan.findings, every=scope == WHOLE)
        return scan

    def _declared(self, *, again: bool = False) -> Declared:
        """``again`` is for one more look at a state to which nothing is known to have been written."""
        kept = self.store.baseline(self._cell)
        declared = self._outside.declared(baseline.from_json(kept) if kept else None, again=again)
        if not declared.tampered:
            self.store.save_baseline(self._cell, declared.version, baseline.to_json(declared), actor=self._actor)
        return declared

    def _plan(self, scan: Scan, spent: Sequence[Repair] = ()) -> Plan:
        return self._deciding.plan(scan, spent)

    def _recover(
        self, engine: StackEngine, held: JournalPort, progress: Progress
    ) -> tuple[Declared | None, frozenset[Urn], tuple[Outcome, ...]]:
        """What a pass that died left behind: the engine's lock, its open operations, intents without an end.

        Also returns the declaration as it is afterwards, or None if it must be read again.
        """
        if self._locks is None:
            # Asking takes the engine two commands, and a process has one backend.
            self._locks = (engine.lock_directory(),)
        removed = recovery.unlock(
            *self._locks,
            patience=self.settings.verify.timeout_seconds,
            poll=min(1.0, self.settings.verify.poll_seconds),
            now=self._outside.now,
            clock=self._outside.steady,
            wait=self._outside.wait,
        )
        for lock in removed:
            log.warning("removed the engine lock of a dead process", lock=lock)
        declared = self._declared()
        unsettled: frozenset[Urn] = frozenset()
        if declared.pending:
            creating = {o.resource.urn for o in declared.pending if o.kind == "creating"}
            cuts.note(self.store, self._cell, creating, actor=self._actor)
            adopted = recovery.adopt(engine, self._located(declared), held.ensure_held)
            unsettled = adopted.unsettled
            if adopted.changed:
                log.warning("settled what a killed update left open", pending=len(declared.pending))
                declared = self._declared()
        intents = journal.open_intents(self.store, self._cell)
        leftovers = recovery.conclude_open(intents, self._tools(declared, engine, held, progress, unsettled))
        return None if intents else declared, unsettled, leftovers

    def _located(self, declared: Declared) -> Mapping[Urn, str | None]:
        """Where each cut-off create is: its id, None where it is proven absent; what is not known is left out."""
        found = locate_pending(declared, self._outside.aws(declared), observers=self._looking.observers)
        located: dict[Urn, str | None] = {}
        for operation in declared.pending:
            urn, observer = operation.resource.urn, self._looking.observers.get(operation.resource.type)
            answer = found.get(urn)
            if operation.kind == "creating" and observer and observer.locate and not isinstance(answer, Failed):
                located[urn] = answer
        return located

    def quarantine(self, instance: str, reason: str, *, progress: Progress) -> Outcome:
        """Mark a server of one of the cell's fleets as compromised, under the lease and in the ledger.

        The next pass isolates it. Raises ConfigurationError if no fleet of the cell has it, LeaseHeld.
        """
        run_id = self._begin("quarantine")
        declared = self._declared()
        fleets = observe(
            declared,
            self._outside.aws(declared),
            only={r.urn for r in declared.resources.values() if r.type == GROUP},
            observers=self._looking.observers,
        ).fleets
        group = next(
            (
                u
                for u, f in fleets.items()
                if isinstance(f, Fleet) and any(m.instance_id == instance for m in f.members)
            ),
            None,
        )
        if group is None:
            raise ConfigurationError(f"no fleet of cell {self._cell} has a server {instance!r}")
        tenant = declared.resources[group].tenant
        mark = Repair("mark", tenant, (group,), (), reason, members=(instance,))
        with self._outside.engine() as engine:
            lease = self._lease()
            try:
                with self._outside.keeping(lease):
                    held = journal.Journal(lease, run_id=run_id, actor=self._actor)
                    tools = self._tools(declared, engine, held, progress, frozenset())
                    (outcome,) = act(Plan(run_id, self._cell, (mark,), ()), tools)
            finally:
                lease.release()
        self.store.finish_run(run_id, summary={"outcomes": [outcome_document(outcome)]}, findings=(), actor=self._actor)
        return outcome

    # --- what the stages are given -------------------------------------------------------------------------

    def _tools(
        self,
        declared: Declared,
        engine: StackEngine,
        held: JournalPort,
        progress: Progress,
        unsettled: frozenset[Urn],
    ) -> Tools:
        aws = self._outside.aws(declared)
        changes = engine.changes
        sessions = self._outside.sessions(declared)
        if sessions is not None:
            engine.acts_as(sessions.environment)

        def look(urns: Collection[Urn]) -> tuple[Finding, ...]:
            # The state is read again: a repair gives resources new ids, and somebody may have deployed.
            nonlocal changes
            before, changes = changes, engine.changes
            now = self._declared(again=before == changes)
            engine.known(self._outside.recorded)
            return self._looking.judged(now, urns)[1]

        def fleet(group: Urn) -> Fleet | Unreadable:
            found = observe(declared, aws, only={group}, observers=self._looking.observers).fleets.get(group)
            return found if found is not None else Unreadable("the group was not found")

        return Tools(
            engine=engine,
            aws=self._outside.writer(declared),
            journal=held,
            look=look,
            fleet=fleet,
            verify=partial(
                verify,
                look=look,
                timeout=self.settings.verify.timeout_seconds,
                poll=self.settings.verify.poll_seconds,
                clock=self._outside.steady,
                wait=self._outside.wait,
            ),
            declared=declared,
            kinds=self._looking.kinds,
            progress=progress,
            clock=self._outside.steady,
            wait=self._outside.wait,
            floors=floors_of(declared, self.settings.rollout.floor_percent),
            pace=pace_of(self.settings),
            state=engine,
            unsettled=unsettled,
            apart=sessions is not None,
            pause=lambda tenant, why: self.store.pause(self._cell, tenant=tenant, reason=why, who="stackmend"),
            now=self._outside.now,
        )

    def _paused(self) -> Mapping[str | None, str]:
        return {p.tenant: f"paused by {p.who}: {p.reason}" for p in self.store.pauses(self._cell)}

    def _resources_of(self, declared: Declared, scope: Scope) -> frozenset[Urn] | None:
        if scope.urns is not None:
            return scope.urns & declared.resources.keys()
        if (tenant := scope.tenant) is None:
            return None
        if not (owned := declared.of(tenant)):
            known = sorted({r.tenant for r in declared.resources.values() if r.tenant})
            raise ConfigurationError(
                f"there is no tenant {tenant!r} in cell {self._cell}", todo=f"One of: {', '.join(known)}."
            )
        return frozenset(r.urn for r in owned)

    def looked(self, urn: Urn) -> datetime | None:
        """When the last look of this process that left nothing about the resource open began."""
        return self._looking.looked.get(urn)

    # --- the record ----------------------------------------------------------------------------------------

    def _begin(self, kind: str) -> str:
        run_id = f"{self._outside.now():%Y%m%dT%H%M%S}-{secrets.token_hex(3)}"
        self.store.begin_run(run_id, self._cell, kind, actor=self._actor)
        return run_id

    def _finish(self, scan: Scan, more: Mapping[str, Any]) -> None:
        verdicts = {v.value.lower(): len(scan.of(v)) for v in Verdict}
        summary = {"verdicts": verdicts, "calls": scan.coverage.calls, **more}
        self.store.finish_run(scan.run_id, summary=summary, findings=scan.findings, actor=self._actor)

    def history(self, limit: int) -> tuple[Run, ...]:
        return self.store.runs(self._cell, limit=limit)

    def pause(self, tenant: str | None, reason: str) -> None:
        self.store.pause(self._cell, tenant=tenant, reason=reason, who=self._actor)

    def resume(self, tenant: str | None) -> bool:
        return self.store.resume(self._cell, tenant=tenant, who=self._actor)

    def approve(self, plan_id: str, *, note: str, seconds: float | None, who: str | None) -> Approval:
        return self._deciding.approve(plan_id, note=note, seconds=seconds, who=who)

    def acknowledge(
        self, tenant: str | None, *, reason: str, seconds: float | None, who: str | None
    ) -> tuple[Acknowledgement, ...]:
        return self._deciding.acknowledge(tenant, reason=reason, seconds=seconds, who=who)

    def verify_ledger(self, kept: Path | None) -> audit.Report:
        return audit.verify(self.store, *([checkpoint.load(kept)] if kept else []))

    def write_checkpoint(self, out: Path) -> None:
        out.write_text(checkpoint.checkpoint(self.store).to_json(), "utf-8")

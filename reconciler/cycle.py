"""The product on one page: declare, observe, detect, plan, act, verify, record. Only this module calls the stages.

A cycle works on one cell. ``scan`` and ``plan`` change nothing in AWS; ``repair`` holds the cell's lease while it acts,
and begins by putting right what a pass that died left behind.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Self

import structlog

from reconciler.act.act import act
from reconciler.acting import Acting, Recovered
from reconciler.attributing import Attributing
from reconciler.deciding import Deciding
from reconciler.decisions import Acknowledgement, Approval
from reconciler.declare import baseline
from reconciler.errors import ConfigurationError, StackmendError
from reconciler.interventions import Interventions, given
from reconciler.looking import Looking
from reconciler.model import (
    WHOLE,
    Attribution,
    Declared,
    Outcome,
    Plan,
    Scan,
    Scope,
    Urn,
    Verdict,
)
from reconciler.observe.reads import Observer
from reconciler.observe.registry import OBSERVERS
from reconciler.outside import Outside, StackEngine
from reconciler.plan.breaker import sees_too_little
from reconciler.ports import Journal as JournalPort
from reconciler.ports import Progress
from reconciler.present.documents import outcome_document, plan_document
from reconciler.record import audit, checkpoint, journal, sightings
from reconciler.record.marks import Mark
from reconciler.record.process import this_person
from reconciler.record.store import Pause, Run, Store
from reconciler.settings import Settings
from reconciler.wiring import ReadOnlyJournal

log = structlog.get_logger(__name__)


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
        self._actor = this_person()
        self._looking = Looking(settings, store, observers, self._outside, actor=self._actor)
        self._attributing = Attributing(settings.attribution, self._outside.clients)
        self._period: int | None = None
        """The last intent before the period began: their numbers only grow, whatever becomes of the clock."""
        self._failed_lately: frozenset[Urn] = frozenset()
        """What failed in small looks since the last whole one."""
        self._acting = Acting(settings, store, self._looking, self._outside, self.declared, actor=self._actor)
        self._deciding = Deciding(settings, store, self._looking.kinds, self._outside.now, actor=self._actor)
        self._interventions = Interventions(store, self._cell, actor=self._actor)

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
        with self._recorded(run_id := self._new_id(), "scan"):
            scan = self._attributing.named(self._scan(run_id, Scope(tenant)))
            self._finish(scan, {})
        return scan

    def plan(self, *, tenant: str | None = None) -> Plan:
        """What a repair would do now."""
        with self._recorded(run_id := self._new_id(), "plan"):
            scan = self._attributing.named(self._scan(run_id, Scope(tenant)))
            plan = self._deciding.plan(scan)
            self._finish(scan, {"plan": plan_document(plan), "whole": tenant is None})
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
        run_id = self._new_id()
        if dry_run:
            with self._recorded(run_id, "dry run"), self._outside.engine() as engine:
                return self._pass(run_id, engine, ReadOnlyJournal(), progress, scope, events, dry_run=True)
        with self._acting.holding(run_id) as held, self._recorded(run_id, "repair"), self._outside.engine() as engine:
            if new_period:
                self._period = journal.last_intent(self.store, self._cell)
            self._acting.noting(engine)
            return self._pass(run_id, engine, held, progress, scope, events, dry_run=False)

    def _pass(
        self,
        run_id: str,
        engine: StackEngine,
        held: JournalPort,
        progress: Progress,
        scope: Scope,
        events: Collection[str],
        *,
        dry_run: bool,
    ) -> Pass:
        paused = any(p.tenant is None for p in self.store.pauses(self._cell))
        recovered = Recovered() if dry_run or paused else self._acting.recover(engine, held, progress)
        declared = recovered.declared or self.declared()
        engine.warm_up({r.type for r in declared.resources.values()})
        spent = journal.intended(self.store, self._cell, self._period) if self._period is not None else ()
        scan = self._scan(run_id, scope, declared)
        lately = self._failed_lately.union(*(repair.urns for repair in spent))
        if scope.urns is not None and (why := sees_too_little(scan, scope.urns, lately, self._deciding.policy)):
            log.warning("looking at everything before anything is repaired", run_id=run_id, why=why)
            scope, scan = WHOLE, self._scan(run_id, WHOLE)
        if scope.urns is not None:
            self._failed_lately |= {f.urn for f in scan.failing}
        elif scope == WHOLE:
            self._failed_lately = frozenset()
        if self._period is not None:
            log.info("verdicts", run_id=run_id, failing=len(scan.failing), events=len(events))
        # Whom a fight is with is asked before the plan, which tells it; of all else, when nothing waits for the answer.
        scan = self._attributing.named(scan, only=self._deciding.fought_over(scan))
        plan = self._deciding.plan(scan, spent)
        if not dry_run:
            # What is under way, or was when a pass died, can be explained.
            self.store.note_run(
                run_id, summary={"plan": plan_document(plan), "whole": scope == WHOLE}, findings=scan.findings
            )
        tools = self._acting.tools(scan.declared, engine, held, progress, recovered.unsettled)
        outcomes = act(plan, tools, dry_run=dry_run)
        if not dry_run:
            self._deciding.watched(whole=scope == WHOLE)
        done = [outcome_document(o) for o in (*recovered.leftovers, *outcomes)]
        scan = self._attributing.named(scan)
        more: dict[str, Any] = {"whole": scope == WHOLE} | ({"events": list(events)[:100]} if events else {})
        self._finish(scan, {"plan": plan_document(plan), "outcomes": done, "dry_run": dry_run, **more})
        return Pass(scan, plan, outcomes)

    def _scan(self, run_id: str, scope: Scope, declared: Declared | None = None) -> Scan:
        began = time.monotonic()
        declared = declared or self.declared()
        scan = self._looking.scan(run_id, declared, self._resources_of(declared, scope), began=began)
        sightings.sight(self.store, self._cell, scan.findings, every=scope == WHOLE)
        return scan

    def declared(self, *, again: bool = False) -> Declared:
        """``again`` is for one more look at a state to which nothing is known to have been written."""
        kept = self.store.baseline(self._cell)
        declared = self._outside.declared(baseline.from_json(kept) if kept else None, again=again)
        if not declared.tampered:
            self.store.save_baseline(self._cell, declared.version, baseline.to_json(declared), actor=self._actor)
        return declared

    def quarantine(self, instance: str, reason: str) -> Mark:
        """Mark a server of one of the cell's fleets as compromised, also while a pass runs; the next one isolates it.

        Raises ConfigurationError if no fleet of the cell has it.
        """
        reason = given(reason)
        declared = self.declared()
        tenants = {urn: r.tenant for urn, r in declared.resources.items()}
        return self._interventions.mark(instance, reason, self._looking.fleets(declared), tenants)

    def release(self, instance: str, reason: str) -> None:
        """Take the mark of a server back. Raises ConfigurationError if it has none."""
        self._interventions.unmark(instance, reason)

    # --- what the stages are given -------------------------------------------------------------------------

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

    @contextmanager
    def _recorded(self, run_id: str, kind: str) -> Iterator[None]:
        """The run that the block is; what it ends with, if not with its findings, is recorded as why it failed."""
        self.store.begin_run(run_id, self._cell, kind, actor=self._actor)
        try:
            yield
        except Exception as error:
            known = isinstance(error, StackmendError)
            told = str(error) if known else f"unexpected {type(error).__name__}: {error}"
            reason = "; ".join(line.strip() for line in told.splitlines())
            try:
                self.store.fail_run(run_id, reason, actor=self._actor)
            except StackmendError as other:
                log.warning("why the pass failed could not be recorded", run_id=run_id, error=str(other))
            raise

    def _new_id(self) -> str:
        return f"{self._outside.now():%Y%m%dT%H%M%S}-{secrets.token_hex(3)}"

    def _finish(self, scan: Scan, more: Mapping[str, Any]) -> None:
        verdicts = {v.value.lower(): len(scan.of(v)) for v in Verdict}
        summary = {"verdicts": verdicts, "calls": scan.coverage.calls, **more}
        self.store.finish_run(scan.run_id, summary=summary, findings=scan.findings, actor=self._actor)

    def history(self, limit: int) -> tuple[Run, ...]:
        return self.store.runs(self._cell, limit=limit)

    def pause(self, tenant: str | None, reason: str) -> tuple[Pause, ...]:
        return self._interventions.pause(tenant, reason)

    def resume(self, tenant: str | None, reason: str = "") -> tuple[Pause, ...]:
        return self._interventions.resume(tenant, reason)

    def approve(self, plan_id: str, *, note: str, seconds: float | None, who: str | None) -> Approval:
        return self._deciding.approve(plan_id, note=note, seconds=seconds, who=who)

    def acknowledge(
        self, tenant: str | None, *, reason: str, seconds: float | None, who: str | None
    ) -> tuple[Acknowledgement, ...]:
        return self._deciding.acknowledge(tenant, reason=given(reason), seconds=seconds, who=who)

    def verify_ledger(self, kept: Path | None) -> audit.Report:
        return audit.verify(self.store, *([checkpoint.load(kept)] if kept else []))

    def write_checkpoint(self, out: Path) -> checkpoint.Checkpoint:
        return checkpoint.write(self.store, out)

"""The acting half of a cycle: everything that writes to the world, under the cell's lease."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from math import inf
from pathlib import Path
from typing import Protocol

import structlog

from reconciler.act import recovery
from reconciler.act.tools import Tools
from reconciler.errors import StackmendError
from reconciler.looking import Looking
from reconciler.model import Declared, Finding, Fleet, Outcome, Unreadable, Urn, Value
from reconciler.observe.clients import AccountUnverified
from reconciler.observe.observe import locate_pending, observe
from reconciler.observe.reads import Failed
from reconciler.outside import Outside, StackEngine
from reconciler.ownership import sighted
from reconciler.ports import Journal as JournalPort
from reconciler.ports import Progress
from reconciler.record import cuts, journal
from reconciler.record.engines import Engines
from reconciler.record.lease import Lease
from reconciler.record.store import Store
from reconciler.settings import Settings
from reconciler.verify.verify import verify
from reconciler.wiring import floor_of, pace_of

log = structlog.get_logger(__name__)


class Reading(Protocol):
    """Reads the declaration; ``again`` where nothing is known to have been written to the state since."""

    def __call__(self, *, again: bool = False) -> Declared: ...


@dataclass(frozen=True, slots=True)
class Recovered:
    """What a pass that died left behind, put right."""

    declared: Declared | None = None
    """The declaration as it is afterwards, or None if it must be read again."""
    unsettled: frozenset[Urn] = frozenset()
    """What nobody can say whether it exists."""
    leftovers: tuple[Outcome, ...] = ()


class Acting:
    """Acts in one cell."""

    def __init__(
        self, settings: Settings, store: Store, looking: Looking, outside: Outside, declared: Reading, *, actor: str
    ) -> None:
        self._settings, self._store, self._looking, self._outside = settings, store, looking, outside
        self._declared, self._cell, self._actor = declared, settings.cell, actor
        self._engines = Engines(store, settings.cell, outside.process)
        self._locks: tuple[Path | None] | None = None

    @contextmanager
    def holding(self, run_id: str) -> Iterator[JournalPort]:
        """The cell's lease, and the journal that only its holder may write. Raises LeaseHeld."""
        seconds, process = self._settings.lease_seconds, self._outside.process()
        lease = Lease.acquire(self._store, self._cell, seconds=seconds, actor=self._actor, process=process)
        try:
            with self._outside.keeping(lease):
                yield journal.Journal(lease, run_id=run_id, actor=self._actor)
        finally:
            lease.release()

    def noting(self, engine: StackEngine) -> None:
        """From now on the engine notes its runs, so that the lock of one that dies is known as ours."""
        engine.noted_in(self._engines)

    def recover(self, engine: StackEngine, held: JournalPort, progress: Progress) -> Recovered:
        """Put right what a pass that died left: the engine's lock, its open operations, intents without an end.

        Raises EngineLocked while somebody else's update runs.
        """
        if self._locks is None:
            # Asking takes the engine two commands, and a process has one backend.
            self._locks = (engine.lock_directory(),)
        removed = recovery.unlock(
            *self._locks,
            patience=self._settings.verify.timeout_seconds,
            poll=min(1.0, self._settings.verify.poll_seconds),
            now=self._outside.now,
            clock=self._outside.steady,
            wait=self._outside.wait,
            died=self._engines.died,
        )
        for lock in removed:
            log.warning("removed the engine lock of a dead process", lock=lock)
        declared = self._declared()
        unsettled: frozenset[Urn] = frozenset()
        if declared.pending:
            creating = {o.resource.urn for o in declared.pending if o.kind == "creating"}
            since = cuts.note(self._store, self._cell, creating, actor=self._actor)
            adopted = recovery.adopt(engine, self._located(declared, since), held.ensure_held)
            unsettled = adopted.unsettled
            if adopted.changed:
                log.warning("settled what a killed update left open", pending=len(declared.pending))
                cuts.note(self._store, self._cell, unsettled & creating, actor=self._actor)
                declared = self._declared()
        intents = journal.open_intents(self._store, self._cell)
        leftovers = recovery.conclude_open(intents, self.tools(declared, engine, held, progress, unsettled))
        return Recovered(None if intents else declared, unsettled, leftovers)

    def _located(self, declared: Declared, since: Mapping[Urn, datetime]) -> Mapping[Urn, str | None]:
        """Where each cut-off create is: its id, None where it is proven absent; what is not known is left out.

        ``since`` says when each was found. What was begun a moment ago AWS may not show everywhere yet (F08): that it
        is not there, or still the one that was there before it, is only believed ``fresh_seconds`` later.
        """
        found = locate_pending(declared, self._outside.aws(declared), observers=self._looking.observers)
        fresh, now = timedelta(seconds=self._settings.fresh_seconds), self._store.clock.now()
        located: dict[Urn, str | None] = {}
        for operation in declared.pending:
            urn, observer = operation.resource.urn, self._looking.observers.get(operation.resource.type)
            if operation.kind != "creating" or not observer or not observer.locate:
                continue
            answer, before = found.get(urn), declared.resources.get(urn)
            young = abs(now - since[urn]) < fresh
            if not isinstance(answer, Failed) and not (young and answer in (None, before and before.id)):
                located[urn] = answer
        return located

    def tools(
        self,
        declared: Declared,
        engine: StackEngine,
        held: JournalPort,
        progress: Progress,
        unsettled: frozenset[Urn],
    ) -> Tools:
        """What a strategy is given to work with."""
        aws = self._outside.aws(declared)
        current, changes = declared, engine.changes
        seen: dict[Urn, frozenset[str]] = {}
        sessions = self._outside.sessions(declared)
        if sessions is not None:
            engine.acts_as(sessions.environment)

        def look(urns: Collection[Urn], *, probing: bool = False) -> tuple[Finding, ...]:
            # The state is read again: a repair gives resources new ids, and somebody may have deployed.
            nonlocal current, changes
            before, changes = changes, engine.changes
            current = self._declared(again=before == changes)
            engine.known(self._outside.recorded)
            return self._looking.judged(current, urns, probing=probing)[1]

        def breaches(values: Mapping[Urn, Mapping[str, Value]]) -> tuple[Finding, ...]:
            return self._looking.breaches(current, values)

        def fleet(group: Urn) -> Fleet | Unreadable:
            # Servers may stand behind a target group that the engine has made since; nothing else brings a new one.
            nonlocal current, changes
            if engine.changes != changes:
                try:
                    current, changes = self._declared(), engine.changes
                except StackmendError as error:
                    return Unreadable(f"the state could not be read again: {error}")
            try:
                observed = observe(current, aws, only={group}, observers=self._looking.observers)
            except AccountUnverified as error:
                return Unreadable(str(error))
            found = self._looking.marked(observed.fleets).get(group)
            if isinstance(found, Fleet):
                # A server that leaves during a repair is still that repair's to write.
                seen[group] = seen.get(group, frozenset()) | sighted(found)
            return found if found is not None else Unreadable("the group was not found")

        return Tools(
            engine=engine,
            aws=self._outside.writer(declared, seen),
            journal=held,
            look=look,
            fleet=fleet,
            verify=partial(
                verify,
                look=look,
                timeout=self._settings.verify.timeout_seconds,
                poll=self._settings.verify.poll_seconds,
                clock=self._outside.steady,
                wait=self._outside.wait,
            ),
            declared=declared,
            kinds=self._looking.kinds,
            progress=progress,
            clock=self._outside.steady,
            wait=self._outside.wait,
            floor=partial(floor_of, declared, self._settings.rollout.floor_percent),
            pace=pace_of(self._settings),
            state=engine,
            unsettled=unsettled,
            apart=sessions is not None,
            asking=partial(look, probing=True) if self._settings.probe.targets else None,
            breaches=breaches,
            # A person's pause of the tenant stands, with its reason.
            pause=lambda t, why: self._store.pause(self._cell, tenant=t, reason=why, who="stackmend", replace=False),
            now=self._outside.now,
            # As the breaker has it: one fleet's trouble is no reason to stop the others.
            unfit_limit=max(2, self._settings.flap.same_failure_limit),
            until=self._outside.steady() + (self._settings.rollout.pass_seconds or inf),
        )

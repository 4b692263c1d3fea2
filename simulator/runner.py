"""Runs one history: the real cycle, pass after pass, and what must be true at its end."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from types import FrameType, TracebackType
from unittest.mock import patch

from sqlalchemy import Engine, delete

from reconciler.cycle import Cycle, Pass
from reconciler.errors import StackmendError
from reconciler.model import Repair, Urn
from reconciler.record import engines, lease
from reconciler.record.process import Process as Identity
from reconciler.record.schema import META, METADATA
from reconciler.settings import AttributionSettings, Breaker, Budget, Flap, Rollout, Settings, Verify
from simulator.answers import OBSERVERS
from simulator.checks import Checks
from simulator.engine import NOBODY
from simulator.events import happen
from simulator.history import ROWS, Event, History
from simulator.layout import CELL
from simulator.outside import SimOutside, SimStore
from simulator.turns import Turns
from simulator.world import BASES, Killed, Process, Violation, World

QUIET_PASSES = 9
"""Passes in a world where nothing goes wrong any more, after which all is healed or handed to a person."""

CRASH_POINTS = {
    "acquire": "C01",
    "release": "C17",
    "judged": "C02",
    "observe": "C02",
    "_plan": "C03",
    "intend": "C04",
    "conclude": "C13",
    "finish_run": "C13",
    "preview": "C05",
    "up": "C05",
    "proven": "C08",
    "deregister": "C10",
    "terminate": "C11",
    "verify": "C12",
    "_recover": "recovery",
}
"""Crash points by the function of the product (or of the world) that was under way, the innermost first."""


@dataclass(frozen=True, slots=True)
class Failed:
    """A history that broke an invariant."""

    history: History
    what: str

    @property
    def sort(self) -> str:
        """What has to stay the same while the history shrinks."""
        return self.what.split(":", 1)[0]


@dataclass
class Result:
    """What one history did."""

    counts: Counter[str] = field(default_factory=Counter)
    failed: Failed | None = None


class Runner:
    """One history. ``engine`` is the store's database, emptied here; ``folder`` is for locks."""

    def __init__(self, history: History, engine: Engine, folder: Path) -> None:
        _empty(engine)
        self.history = history
        self.world = World(history.tenants, history.servers, BASES[history.base], on_step=self._on_step)
        self.checks = Checks(self.world, Path(str(engine.url.database)))
        self.locks = folder / "locks"
        self._engine = engine
        self.operator = SimStore.of(engine, self.world, folder / "key")
        self.settings = Settings(
            cell=CELL,
            store_url=str(engine.url),
            budget=Budget(),
            breaker=Breaker(),
            flap=Flap(),
            verify=Verify(timeout_seconds=60, poll_seconds=10),
            rollout=Rollout(bake_seconds=30),
            attribution=AttributionSettings(enabled=False),
        )
        self.skew = timedelta(0)
        self.dry, self.only = False, None
        self.turns = Turns(self.world)
        self._turn, self._turn_step = 0, 0
        self._events: list[Event] = []
        self._numbers = 0
        self._dead: set[int] = set()
        self._excused = False
        self.counts: Counter[str] = self.world.counts
        self._clear_locks()

    only: str | None

    def run(self) -> Result:
        """Run it to its end, or to the first invariant that does not hold."""
        failed: Failed | None = None
        gone = patch.object(engines, "is_dead", lambda process: process.pid == NOBODY)
        with patch.object(lease, "is_dead", self._is_dead), gone:
            try:
                for turn in range(1, self.history.turns + 1):
                    self._take_turn(turn)
                self._come_to_rest()
            except Violation as violation:
                failed = Failed(self.history, str(violation))
            finally:
                self.turns.abandon()
                self.checks.close()
                self._clear_locks()
        self.counts["histories"] += 1
        self.counts["steps"] += self.world.steps
        self.counts["writes"] += self.checks.writes
        for strategy, status in self.checks.statuses():
            self.counts[f"outcome {strategy}: {status or 'open'}"] += 1
        return Result(self.counts, failed)

    # --- turns ---------------------------------------------------------------------------------------------

    def _take_turn(self, turn: int) -> None:
        self.world.remember()
        self._turn, self._turn_step = turn, 0
        self._events = [e for e in self.history.events if e.turn == turn]
        self.dry, self.only = False, None
        while self._events and self._events[0].step == 0:
            self._happen(self._events.pop(0))
        self._pass()
        self._events = []
        if self.world.locked_by is not None:
            self.world.locked_by = None
        for _ in range(3):
            self.world.pass_time(30)

    def _pass(self) -> Pass | None:
        """One pass by the process that runs, and by whoever joins it."""
        process = self._process()
        self.turns = Turns(self.world)
        self.world.running = process
        done: Pass | None = None
        try:
            done = self._cycle(process)
            self.turns.finish()
        finally:
            self.world.running = None
            self.turns.abandon()
        self.checks.observe_record()
        self.checks.ledger_is_whole()
        return done

    def _cycle(self, process: Process) -> Pass | None:
        store = SimStore.of(self._engine, self.world, Path("key"))
        outside = SimOutside(self.settings, self.world, process, self.checks, self.locks)
        cycle = Cycle(self.settings, store, OBSERVERS, outside)
        self.counts["passes"] += 1
        try:
            return cycle.repair(progress=_quietly, tenant=process.only, dry_run=process.dry)
        except Killed:
            self.counts["crashes"] += 1
        except StackmendError as error:
            self.counts[f"ended by {type(error).__name__}"] += 1
            if not self._excused:
                raise Violation(f"error: {type(error).__name__} without a fault: {error}") from error
        except Exception as error:
            raise Violation(f"bug: {type(error).__name__}: {error} ({_where(error.__traceback__)})") from error
        return None

    def _process(self) -> Process:
        self._numbers += 1
        return Process(self._numbers, skew=self.skew, dry=self.dry, only=self.only)

    def start_rival(self) -> None:
        """Another reconciler begins a pass; it runs when it is its turn."""
        if self.world.running is None:
            return
        self.counts["rivals"] += 1
        process = self._process()
        process.dry = False
        self.turns.start(process, lambda: self._cycle(process))

    def die(self) -> None:
        """The process that runs is dead from here on."""
        process = self.world.running
        if process is not None:
            process.dead = True
            self.counts[f"crash at {_crash_point()}"] += 1
            if process.number % 2:
                # Every second one dies where others can see it; of the rest nobody knows before their lease runs out.
                self._dead.add(process.number)
            else:
                self.world.pass_time(70)

    def _is_dead(self, process: Identity) -> bool:
        return process.pid in self._dead

    # --- steps ---------------------------------------------------------------------------------------------

    def _on_step(self, label: str, write: bool) -> None:
        if self.world.running is None:
            return
        self.counts[f"step {label.split(' ')[0]}"] += 1
        done = label.endswith(" done")
        self._turn_step += not done
        while self._events and self._events[0].step <= self._turn_step:
            event = self._events[0]
            if event.kind == "crash":
                if done != (event.arg == "done"):
                    return
            elif write:
                return
            self._events.pop(0)
            self._happen(event)
        if label.startswith("store"):
            self.checks.observe_record()

    def _happen(self, event: Event) -> None:
        self._excused = True
        self.counts[f"event {event.kind}"] += 1
        for row in ROWS[event.kind]:
            self.counts[f"row {row}"] += 1
        happen(self, event)

    # --- the end -------------------------------------------------------------------------------------------

    def _come_to_rest(self) -> None:
        """Nothing goes wrong any more: what is not healed now must be in the hands of a person, and told so."""
        world = self.world
        world.faults.clear()
        world.fights.clear()
        self.skew, self.dry, self.only = timedelta(0), False, None
        for fleet in world.fleets.values():
            fleet.bad_image, fleet.no_capacity, fleet.zones_down = False, False, frozenset()
        for pause in self.operator.pauses(CELL):
            self.operator.resume(CELL, tenant=pause.tenant, who="kim")
        world.pass_time(4 * 3600)
        world.pass_time(30)
        self._excused = False
        done = None
        for number in range(QUIET_PASSES):
            self._turn, self._turn_step = 100 + number, 0
            world.remember()
            before, leftovers = self.checks.writes, self.checks.interrupted()
            done = self._pass()
            if self.checks.interrupted() > leftovers:
                continue  # what a pass that died had left was put right
            if done is not None and not any(r.strategy != "escalate" for r in done.plan.repairs):
                # It has found nothing that it may repair: an unchanged world as far as it goes.
                if self.checks.writes != before:
                    raise Violation("I09: a pass over an unchanged world wrote something")
                if not world.pending:
                    break  # otherwise it waits to be sure of what was cut off
            for _ in range(3):
                world.pass_time(400)
        else:
            raise Violation(
                f"rest: after {QUIET_PASSES} quiet passes there is still something to repair: {_told(done)}; "
                f"open operations in the state: {world.pending}"
            )
        if done is None:
            raise Violation("rest: the last quiet pass did not end")
        self.checks.all_concluded()
        self._nothing_is_hidden(done)

    def _nothing_is_hidden(self, done: Pass) -> None:
        """What is still wrong is told: escalated, or deferred with a reason that is not ignorance."""
        told = {i for r in done.plan.repairs for i in r.finding_ids}
        told |= {i for d in done.plan.deferrals if d.code != "unknown" for i in d.finding_ids}
        known = {f.urn for f in done.scan.findings if f.id in told}
        for urn in self.world.program:
            fleet = self.world.fleets.get(urn)
            sick = fleet is not None and (fleet.healthy < fleet.desired or len(fleet.servers) != fleet.desired)
            broken = self.world.is_broken(urn)
            if broken and urn in self.world.live and self.world.only_names_lost(urn, told=known):
                broken = False  # what it names is gone and told, and what it should name instead is not there yet
            thing, recorded = self.world.live.get(urn), self.world.state.get(urn)
            lost = thing is not None and (recorded is None or recorded.id != thing.id)
            if (broken or sick or lost) and urn not in known:
                raise Violation(f"rest: {urn} is still broken and nobody is told: {_state(self.world, urn)}")
        if self.world.stray_ids:
            raise Violation(f"rest: created twice: {', '.join(self.world.stray_ids)}")

    def _clear_locks(self) -> None:
        for path in self.locks.glob("*"):
            path.unlink()


def _quietly(repair: Repair, message: str) -> None: ...


def _empty(engine: Engine) -> None:
    with engine.begin() as connection:
        for table in reversed(METADATA.sorted_tables):
            if table is not META:
                connection.execute(delete(table))


def _told(done: Pass | None) -> str:
    if done is None:
        return "the last one did not end"
    return "; ".join(f"{r.strategy} {[u.rsplit('::', 1)[-1] for u in r.urns]} {r.reason}" for r in done.plan.repairs)


def _state(world: World, urn: Urn) -> str:
    fleet = world.fleets.get(urn)
    if fleet is not None and urn in world.live and not world.differing(urn):
        return f"desired {fleet.desired}, {[(s.id, s.lifecycle, s.state, s.target) for s in fleet.servers.values()]}"
    return "gone" if urn not in world.live else f"differs in {world.differing(urn)}"


def _crash_point() -> str:
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        if (point := CRASH_POINTS.get(frame.f_code.co_name)) is not None:
            return point
        frame = frame.f_back
    return "between"


def _where(trace: TracebackType | None) -> str:
    places: list[str] = []
    while trace is not None:
        code = trace.tb_frame.f_code
        places.append(f"{Path(code.co_filename).name}:{trace.tb_lineno}")
        trace = trace.tb_next
    return " > ".join(places[-5:])


@contextmanager
def quiet_log() -> Iterator[None]:
    """The product's log lines are of no interest in thousands of histories."""
    import structlog

    before = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50), cache_logger_on_first_use=False)
    try:
        yield
    finally:
        structlog.configure(**before)

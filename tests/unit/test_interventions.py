"""What people do while things go wrong, on the real cycle in a simulated cell: mark servers, ask what is under way."""

from __future__ import annotations

import os
import pwd
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from reconciler.cycle import Cycle
from reconciler.errors import ConfigurationError, EngineError, StateError
from reconciler.explain import Explanation, explain
from reconciler.interventions import Interventions
from reconciler.model import Fleet, Repair, Unreadable, Urn
from reconciler.overview import overview
from reconciler.record import marks
from reconciler.record.lease import Lease, LeaseHeld
from reconciler.record.ledger import entries
from reconciler.record.process import this_person
from reconciler.record.store import Store
from simulator.answers import OBSERVERS
from simulator.history import History
from simulator.layout import CELL
from simulator.outside import SimOutside
from simulator.runner import Runner
from simulator.world import Fault, Process, World


@dataclass(frozen=True, slots=True)
class Stage:
    world: World
    store: Store
    cycle: Cycle
    server: str
    """One of the first fleet's."""


def quietly(repair: Repair, message: str) -> None:
    """Nobody watches."""


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    store = Store.open(f"sqlite:///{tmp_path / 'store.db'}")
    runner = Runner(History(0, 2, 2, 0, 1, ()), store._engine, tmp_path)
    outside = SimOutside(runner.settings, runner.world, Process(1), runner.checks, runner.locks)
    runner.world.running = outside.sim_process
    cycle = Cycle(runner.settings, runner.operator, OBSERVERS, outside)
    fleet = next(f for f in cycle._looking.fleets(cycle.declared()).values() if isinstance(f, Fleet))
    return Stage(runner.world, runner.operator, cycle, fleet.members[0].instance_id)


@pytest.fixture
def held(stage: Stage) -> Iterator[Lease]:
    """Another reconciler is in the middle of a pass."""
    lease = Lease.acquire(stage.store, CELL, seconds=60, actor="other")
    yield lease
    lease.release()


def events(store: Store) -> list[str]:
    return [e.event for e in entries(store)]


def test_a_server_is_marked_while_a_pass_runs(stage: Stage, held: Lease) -> None:
    """The mark is on record and in the ledger, the next plan isolates it, the pass keeps its lease (I05)."""
    mark = stage.cycle.quarantine(stage.server, "GuardDuty: crypto mining")
    assert (mark.instance, mark.who) == (stage.server, this_person())
    assert events(stage.store)[-1] == "server marked"
    held.ensure_held()
    (repair,) = stage.cycle.plan().repairs
    assert (repair.strategy, repair.members) == ("quarantine", (stage.server,))
    assert "GuardDuty: crypto mining" in repair.reason
    with pytest.raises(LeaseHeld):
        stage.cycle.repair(progress=quietly)


def test_a_mark_can_be_taken_back(stage: Stage) -> None:
    """A mark of the wrong server is withdrawn, with its reason in the ledger, and nothing is planned any more."""
    stage.cycle.quarantine(stage.server, "it is this one")
    stage.cycle.release(stage.server, "it was another one")
    assert (events(stage.store)[-1], stage.cycle.plan().repairs) == ("mark withdrawn", ())
    with pytest.raises(ConfigurationError, match=r"is not marked.*\n.*Marked are: none"):
        stage.cycle.release(stage.server, "again")


def test_only_a_server_of_the_cell_is_marked(stage: Stage) -> None:
    """A mistyped id, or one that no readable fleet has, marks nobody; what there is, or is not seen, is named."""
    with pytest.raises(ConfigurationError, match=rf"has a server 'i-typo'\n.*{stage.server}"):
        stage.cycle.quarantine("i-typo", "x")
    by = Interventions(stage.store, CELL, actor="me")
    with pytest.raises(ConfigurationError, match="could not be seen now: fleet: AccessDenied"):
        by.mark("i-1", "x", {Urn("urn::fleet"): Unreadable("AccessDenied")}, {})
    with pytest.raises(ConfigurationError, match="--reason is empty"):
        stage.cycle.quarantine(stage.server, "  ")
    assert marks.marks(stage.store, CELL) == ()


def test_a_tag_stands_beside_a_mark(stage: Stage) -> None:
    """What a detector put on the server is not replaced by what a person says."""
    fleets = stage.cycle._looking.fleets(stage.cycle.declared())
    stage.cycle.quarantine(stage.server, "said")
    tagged = {
        urn: replace(f, members=tuple(replace(m, compromised="tagged") for m in f.members))
        for urn, f in fleets.items()
        if isinstance(f, Fleet)
    }
    seen = stage.cycle._looking.marked(tagged)
    assert {m.compromised for f in seen.values() if isinstance(f, Fleet) for m in f.members} == {"tagged"}


def test_what_is_under_way_can_be_explained(stage: Stage) -> None:
    """While a repair runs, it, its finding and its plan are explained, and status shows it with who holds the cell."""
    stage.world.drift(next(urn for urn in stage.world.program if "Bucket::" in urn))
    told: list[Explanation] = []

    def watching(repair: Repair, message: str) -> None:
        if not told:
            told.extend(explain(stage.store, CELL, i) for i in (repair.id, *repair.finding_ids))
            now = overview(stage.store, CELL)
            assert [now.going(r) for r in now.repairs] == [True]

    stage.cycle.repair(progress=watching)
    for answer in told:
        assert [s.kind for s in answer.steps] == ["in progress", "repair"]
        assert "in progress since" in answer.steps[0].document["reason"]
    assert told[1].finding is not None
    assert overview(stage.store, CELL).holder is None


@pytest.mark.parametrize("work", ["scan", "plan", "repair", "dry run"])
def test_a_pass_that_fails_says_why(stage: Stage, work: str) -> None:
    """It is in the history as failed, with the reason, and in the ledger; it does not count as one that finished."""
    stage.world.faults.append(Fault("state corrupt"))
    does: dict[str, Callable[[], object]] = {
        "scan": stage.cycle.scan,
        "plan": stage.cycle.plan,
        "repair": lambda: stage.cycle.repair(progress=quietly),
        "dry run": lambda: stage.cycle.repair(progress=quietly, dry_run=True),
    }
    with pytest.raises(StateError):
        does[work]()
    (run,) = stage.cycle.history(1)
    assert (run.kind, run.finished) == (work, None)
    assert "the stack could not be read; injected: unexpected end of JSON" in run.failed
    assert "run failed" in events(stage.store)
    assert not stage.store.repaired_before(CELL)


def test_a_pass_without_an_engine_is_on_record(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """No Pulumi CLI: the pass is in the history all the same, with the reason, and gives the cell back."""

    def missing(_: object) -> None:
        raise EngineError("the Pulumi CLI is not on the PATH")

    monkeypatch.setattr(SimOutside, "engine", missing)
    with pytest.raises(EngineError):
        stage.cycle.repair(progress=quietly)
    assert stage.cycle.history(1)[0].failed == "the Pulumi CLI is not on the PATH"
    assert overview(stage.store, CELL).holder is None


def test_an_error_of_this_program_is_on_record_and_not_hidden(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """What nobody foresaw is raised as it is, and the history names it."""

    def broken(*_: object, **__: object) -> None:
        raise TypeError("a bug")

    monkeypatch.setattr(stage.cycle._deciding, "plan", broken)
    with pytest.raises(TypeError):
        stage.cycle.plan()
    assert stage.cycle.history(1)[0].failed == "unexpected TypeError: a bug"


def test_the_system_says_who_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """The account is the kernel's word: the environment cannot change it, and one without a name is its number."""
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.setenv(name, "ceo@bank")
    assert this_person().partition("@")[0] == pwd.getpwuid(os.getuid()).pw_name
    monkeypatch.setattr(os, "getuid", lambda: 54321)
    assert this_person().startswith("uid 54321@")

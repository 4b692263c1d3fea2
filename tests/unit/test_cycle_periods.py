"""Passes for events between two passes by the clock, on the simulated cell: what they see and what they spend."""

from __future__ import annotations

from pathlib import Path

import pytest

from reconciler.cycle import Cycle, Pass
from reconciler.model import WHOLE, Scope, Status, Urn
from reconciler.record.store import Store
from simulator.answers import OBSERVERS
from simulator.history import History
from simulator.outside import SimOutside, SimStore
from simulator.runner import Runner
from simulator.world import Process, World


class Stage:
    """The real cycle in a simulated cell of three tenants."""

    def __init__(self, folder: Path) -> None:
        engine = Store.open(f"sqlite:///{folder / 'store.db'}")._engine
        runner, process = Runner(History(0, 3, 3, 0, 1, ()), engine, folder), Process(1)
        self.world: World = runner.world
        self.world.running = process
        outside = SimOutside(runner.settings, self.world, process, runner.checks, runner.locks)
        store = SimStore.of(engine, self.world, Path("key"))
        self.cycle = Cycle(runner.settings, store, OBSERVERS, outside)

    def urn(self, name: str) -> Urn:
        return next(u for u in self.world.program if u.endswith(f"::{name}"))

    def lose(self, *names: str) -> None:
        for name in names:
            self.world.live.pop(self.urn(name))

    def by_clock(self) -> Pass:
        return self.cycle.repair(progress=lambda *_: None, scope=WHOLE, new_period=True)

    def for_event(self, name: str) -> tuple[Pass, bool]:
        """The pass, and whether it looked at everything."""
        done = self.cycle.repair(progress=lambda *_: None, scope=Scope(urns=frozenset({self.urn(name)})))
        return done, len({f.urn for f in done.scan.findings}) > 3


DATA = ("acme-bucket", "acme-key", "blue-bucket", "blue-key")


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path)


def test_a_look_is_dated_by_the_clock_that_dates_breakers(stage: Stage) -> None:
    """Whether a breaker opened after a look began is a comparison of two moments, so one clock gives both."""
    before = stage.world.wall()
    seen = stage.by_clock().scan.observed.at
    assert seen is not None
    assert before <= seen <= stage.world.wall()


def test_what_a_whole_look_hands_to_a_person_leaves_events_alone(stage: Stage) -> None:
    """What is known to fail and was escalated makes no later event a look at everything, and spends no budget."""
    stage.lose(*DATA)
    assert [o.status for o in stage.by_clock().outcomes] == [Status.ESCALATED] * 4
    for name in ("corner-vpc", "acme-vpc", "blue-vpc"):
        stage.world.drift(stage.urn(name))
        done, whole = stage.for_event(name)
        assert ([o.status for o in done.outcomes], whole) == ([Status.HEALED], False)


def test_what_fails_one_by_one_is_counted_though_nothing_is_repaired(stage: Stage) -> None:
    """I03: the fifth failure that events show since the last look at everything leads to the next one."""
    stage.by_clock()
    seen = []
    for name in (*DATA, "corner-bucket", "corner-key"):
        stage.lose(name)
        seen.append(stage.for_event(name)[1])
    assert seen == [False] * 4 + [True, False]

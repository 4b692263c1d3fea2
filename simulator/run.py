"""Many histories, on every processor; the first that fails is made as short as it can be."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from reconciler.record.store import Store
from simulator.history import ROWS, Event, History, generate
from simulator.runner import Failed, Result, Runner, quiet_log

CHUNK = 25


@dataclass
class Summary:
    """What all histories did together, and the failures among them, by seed."""

    counts: Counter[str] = field(default_factory=Counter)
    failures: list[Failed] = field(default_factory=list)

    def add(self, result: Result) -> None:
        self.counts += result.counts
        if result.failed is not None:
            self.failures.append(result.failed)

    @property
    def never_happened(self) -> list[str]:
        """Kinds of events that no history had."""
        return [kind for kind in ROWS if not self.counts[f"event {kind}"]]

    def told(self) -> list[str]:
        """For people: a line for each sort of count, each with its parts."""
        lines = [
            f"{self.counts[name]} {name}" for name in ("histories", "passes", "steps", "writes", "crashes", "rivals")
        ]
        for prefix, words in (
            ("event ", "what happened"),
            ("met ", "faults that met a call"),
            ("row ", "rows of the robustness programme"),
            ("crash at ", "crashes by crash point"),
            ("outcome ", "repairs"),
            ("ended by ", "passes that ended by an error"),
        ):
            parts = {k.removeprefix(prefix): n for k, n in sorted(self.counts.items()) if k.startswith(prefix)}
            lines.append(f"{words}: " + ", ".join(f"{name} {count}" for name, count in parts.items()))
        if self.never_happened:
            lines.append(f"never happened: {', '.join(self.never_happened)}")
        return lines


@contextmanager
def workbench() -> Iterator[Callable[[History], Result]]:
    """Runs histories one after the other on one store in memory."""
    shm = Path("/dev/shm")  # noqa: S108 - a folder in memory where the system has one
    folder = Path(tempfile.mkdtemp(prefix="stackmend-simulator-", dir=shm if shm.is_dir() else None))
    store = Store.open(f"sqlite:///{folder / 'store.db'}")
    try:
        with quiet_log():
            yield lambda history: Runner(history, store._engine, folder).run()
    finally:
        store.close()
        shutil.rmtree(folder)


def simulate(seeds: Iterable[int]) -> Summary:
    """The histories of these seeds, in this process."""
    summary = Summary()
    with workbench() as run:
        for seed in seeds:
            summary.add(run(generate(seed)))
    return summary


def simulate_all(first: int, count: int, *, workers: int = 0, told: Callable[[int], None] = lambda _: None) -> Summary:
    """``count`` histories from the seed ``first`` on, by so many processes (0: one a processor).

    ``told`` learns how many are done.
    """
    chunks = [range(at, min(at + CHUNK, first + count)) for at in range(first, first + count, CHUNK)]
    summary, done = Summary(), 0
    with ProcessPoolExecutor(workers or os.cpu_count()) as pool:
        for chunk, part in zip(chunks, pool.map(simulate, chunks), strict=True):
            summary.counts += part.counts
            summary.failures += part.failures
            done += len(chunk)
            told(done)
    return summary


def shrunk(failed: Failed) -> Failed:
    """The shortest history that still fails in the same way: events are left out for as long as it does."""
    with workbench() as run:

        def still(events: tuple[Event, ...], turns: int) -> Failed | None:
            result = run(replace(failed.history, events=events, turns=turns)).failed
            return result if result is not None and result.sort == failed.sort else None

        best = failed
        size = max(1, len(best.history.events) // 2)
        while True:
            found = None
            for at in range(0, len(best.history.events), size):
                events = best.history.events[:at] + best.history.events[at + size :]
                if found := still(events, best.history.turns):
                    best = found
                    break
            if found is None:
                if size == 1:
                    break
                size //= 2
        last = max((e.turn for e in best.history.events), default=1)
        return still(best.history.events, last) or best

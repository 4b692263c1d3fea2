"""The crash matrix on the real engine: dead before and after each crash point, started again, and all is well.

The points that lie in AWS's or the engine's own work (C06, C07) are in ``test_loop_crash``, by calls whose answer never
comes; here the process ends between two of its own steps (F24).
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from reconciler.errors import StackmendError
from reconciler.model import Fleet, Scan, Status
from tests.integration.dying import DEAD, POINTS
from tests.integration.loop import BRONZE, SILVER, Cell, Record, assert_clean, assert_fleets_whole

pytestmark = pytest.mark.engine

FLEET = ("C01", "C02", "C03", "C04", "C08", "C09", "C11", "C13", "C17")
"""Points that a rollout comes by; it needs no engine."""
ENGINE = ("C05", "C12")


def dying(point: str, when: str, *arguments: str) -> None:
    """Run ``stackmend`` until it dies there."""
    command = [sys.executable, "-m", "tests.integration.dying", point, when, *arguments]
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=300)
    assert done.returncode == DEAD, (done.stdout, done.stderr)


def terminal_records(record: Record) -> None:
    """No intent has two ends, and none an end that the ledger does not know (I04)."""
    assert set(record.terminal) == set(record.outcomes)
    assert set(record.terminal.values()) <= {1}


def floors_hold(scan: Scan) -> None:
    """Every fleet still has healthy servers in all but the place that was struck (I02)."""
    for fleet in scan.observed.fleets.values():
        assert isinstance(fleet, Fleet)
        assert len(fleet.healthy) >= fleet.desired - 1


@pytest.fixture
def whole(cell: Cell) -> Iterator[Cell]:
    """The cell as declared, before and after."""
    before = cell.census()
    yield cell
    after = cell.scan()
    assert_clean(after)
    assert_fleets_whole(after)
    assert cell.locks() == []
    assert cell.census() == before
    cell.record().assert_whole()
    with cell.cycle() as cycle:
        assert cycle.verify_ledger(None).valid


def recovered(cell: Cell, before: Record) -> Record:
    """Whatever the crash left, the next passes put right; what was recorded before is still there."""
    left = cell.record()
    terminal_records(left)
    assert left.intents[: len(before.intents)] == before.intents
    with cell.cycle() as cycle:
        assert cycle.verify_ledger(None).valid
    floors_hold(cell.scan())
    for _ in range(2):
        if all(o.status in (Status.HEALED, Status.INTERRUPTED) for o in cell.repair().outcomes):
            break
    return left


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("point", FLEET)
def test_dead_in_a_rollout(whole: Cell, point: str, when: str) -> None:
    """Dead at a point of replacing a server, which the next pass finishes or undoes (C01-C04, C08, C09, C11, C13, C17,
    F24, I01, I02, I04, I07, I12)."""
    before = whole.record()
    whole.strike("stop-instance" if point in ("C08", "C09", "C11") else "terminate-instance", BRONZE)
    dying(point, when, "repair", "--output", "json")
    left = recovered(whole, before)
    intended = point not in ("C01", "C02", "C03") and (point, when) != ("C04", "before")
    assert bool(len(left.intents) - len(before.intents)) == intended


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("point", ENGINE)
def test_dead_at_the_engine(whole: Cell, point: str, when: str) -> None:
    """Dead before or after the engine's preview, or its update: what it did is seen, the rest is done (C05, C12, F24,
    I04, I09)."""
    before = whole.record()
    whole.strike("expose-subnet", SILVER)
    dying(point, when, "repair", "--output", "json")
    left = recovered(whole, before)
    assert left.open


@pytest.mark.parametrize("when", ["before", "after"])
def test_dead_at_a_checkpoint(whole: Cell, tmp_path: Path, when: str) -> None:
    """Dead before or after a checkpoint is signed: the ledger verifies, and the next one can be written (C14, I12)."""
    dying("C14", when, "ledger", "checkpoint", str(tmp_path / "one.json"))
    with whole.cycle() as cycle:
        assert cycle.verify_ledger(None).valid
        cycle.write_checkpoint(tmp_path / "two.json")
        assert cycle.verify_ledger(tmp_path / "two.json").valid


def test_every_point_is_here() -> None:
    """No crash point of the launcher is left out."""
    assert sorted((*FLEET, *ENGINE, "C14")) == sorted(POINTS)


def test_a_process_that_passes_its_point_by_fails() -> None:
    """A launcher that never comes to its point does not end as if it had died there."""
    with pytest.raises((AssertionError, StackmendError)):
        dying("C14", "before", "--help")

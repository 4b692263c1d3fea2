"""What looks like a catastrophe and is none, or is too large to be repaired by a machine: nothing false, no repair."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from reconciler.cycle import Pass
from reconciler.errors import StackmendError
from reconciler.model import Presence, Verdict
from sandbox.lifecycle import Sandbox
from tests.integration.sandbox_cell import Cell
from tests.moto_server import empty

pytestmark = pytest.mark.engine


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cell]:
    sandbox = Sandbox(home=tmp_path_factory.mktemp("alarms") / "sandbox")
    try:
        sandbox.up(1)
        yield Cell(sandbox)
    finally:
        sandbox.down()


@pytest.fixture
def cell(deployed: Cell, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cell]:
    deployed.environment(monkeypatch)
    deployed.sandbox.control.reset()
    yield deployed
    deployed.sandbox.control.clear()


def test_credentials_that_expire_in_mid_scan_make_unknown_only(cell: Cell) -> None:
    """F11 I06: whenever they expire, what was read before stands, all else is UNKNOWN, and nothing fails."""
    whole = cell.scan()
    assert not whole.of(Verdict.FAIL) + whole.of(Verdict.UNKNOWN)
    passing = {f.id for f in whole.of(Verdict.PASS)}
    known: list[int] = []
    for after in (1, 8, 20, 30, whole.coverage.calls * 3 // 4):
        control = cell.sandbox.control
        control.inject("error", actor="reconciler", skip=after, code="ExpiredToken", message="expired")
        scan = cell.scan()
        control.clear()
        assert not scan.of(Verdict.FAIL)
        assert Presence.ABSENT not in {o.presence for o in scan.observed.resources.values()}
        assert scan.observed.failed
        assert all("ExpiredToken" in f.reason or "400" in f.reason for f in scan.observed.failed)
        assert {f.id for f in scan.of(Verdict.PASS)} < passing | {f.id for f in scan.of(Verdict.UNKNOWN)}
        known.append(scan.coverage.observed)
    assert known[0] == 0 < max(known)


def test_credentials_that_are_expired_already_end_the_scan(cell: Cell) -> None:
    """F11: if not even the account can be verified, nothing is read and nothing is said."""
    cell.sandbox.control.inject("error", actor="reconciler", code="ExpiredToken", message="expired")
    with pytest.raises(StackmendError, match="nothing was read"):
        cell.scan()


def nothing_is_done(cell: Cell, **settings: Any) -> Pass:
    """A repair after which nothing was planned, done or written, and every failure deferred."""
    cell.sandbox.control.reset()
    with cell.cycle(**settings) as cycle:
        done = cycle.repair(progress=lambda *_: None)
    assert (done.plan.repairs, done.outcomes) == ((), ())
    deferred = {i for d in done.plan.deferrals for i in d.finding_ids}
    assert {f.id for f in done.scan.failing} <= deferred
    assert cell.sandbox.control.calls().writes == {}
    return done


def absent(done: Pass) -> int:
    return sum(o.presence is Presence.ABSENT for o in done.scan.observed.resources.values())


def test_the_wrong_region_repairs_nothing(cell: Cell) -> None:
    """A region setting that is wrong makes everything lie elsewhere: it is seen through the engine, and nothing is
    missing."""
    assert absent(nothing_is_done(cell, region="eu-west-1")) == 0


def test_an_emptied_account_repairs_nothing(cell: Cell) -> None:
    """F15: everything is gone for real; building a whole cell anew is not a repair. The last test: the cell is gone."""
    empty(cell.sandbox.url)
    done = nothing_is_done(cell)
    assert absent(done) > 20
    assert "breaker" in {d.code for d in done.plan.deferrals}

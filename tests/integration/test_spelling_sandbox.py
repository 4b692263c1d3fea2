"""Another spelling of a declared value, with the real engine as second witness: learnt once, and no cover for drift."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from reconciler.model import DeclaredResource, Finding, Kind, Scan, Status, Verdict
from reconciler.observe.reads import Answers, Observer, Sight
from reconciler.observe.registry import OBSERVERS
from reconciler.record.ledger import entries
from sandbox.lifecycle import Sandbox
from tests.integration.sandbox_cell import ALARM, Cell, named

pytestmark = pytest.mark.engine

TENANT = "acme-bank"


def _shouting(alarm: Observer) -> Observer:
    """An observer that answers one property in other words than the program wrote."""

    def see(resource: DeclaredResource, answers: Answers) -> Sight:
        sight = alarm.see(resource, answers)
        if isinstance(sight, Mapping):
            return {**sight, "comparisonOperator": str(sight["comparisonOperator"]).upper()}
        return sight

    return replace(alarm, see=see)


OTHERWISE = {**OBSERVERS, ALARM: _shouting(OBSERVERS[ALARM])}


@pytest.fixture
def cell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cell]:
    sandbox = Sandbox(home=tmp_path / "sandbox")
    try:
        sandbox.up(1)
        cell = Cell(sandbox)
        cell.environment(monkeypatch)
        yield cell
    finally:
        sandbox.down()


def alarms(scan: Scan, verdict: Verdict) -> set[tuple[str, str, str]]:
    found: tuple[Finding, ...] = scan.of(verdict)
    return {(f.urn.rsplit("::", 1)[-1], f.rule, f.property) for f in found if (f.type, f.kind) == (ALARM, Kind.DRIFT)}


def strike(cell: Cell, scan: Scan, **changes: object) -> None:
    """Somebody changes an alarm by hand."""
    cloudwatch = cell.aws("cloudwatch")
    alarm = named(scan.declared, ALARM, f"{TENANT}-5xx")
    (row,) = cloudwatch.describe_alarms(AlarmNames=[alarm.id])["MetricAlarms"]
    known = cloudwatch.meta.service_model.operation_model("PutMetricAlarm").input_shape.members
    cloudwatch.put_metric_alarm(**{**{k: v for k, v in row.items() if k in known}, **changes})


def test_learnt_once_and_no_cover_for_a_real_change(cell: Cell) -> None:
    """Spelled otherwise passes after the first look; a real change, before that look or after it, is drift."""
    everyone = {f"{TENANT}-{n}" for n in ("5xx", "latency", "unhealthy-hosts")}
    spelled = {(name, "drift.normalisation", "comparisonOperator") for name in everyone}
    first = cell.scan(OTHERWISE)
    assert alarms(first, Verdict.FAIL) == set()
    assert alarms(first, Verdict.PASS) >= spelled
    with cell.cycle(OTHERWISE) as cycle:
        (told,) = [e for e in entries(cycle.store) if e.event == "normalisation"]
        assert len(json.loads(told.payload)["spellings"]) == 3

    strike(cell, first, ComparisonOperator="LessThanThreshold", Threshold=7.5)
    with cell.cycle(OTHERWISE) as cycle:
        done = cycle.repair(progress=lambda *_: None)
    assert alarms(done.scan, Verdict.FAIL) == {
        (f"{TENANT}-5xx", "drift.property", name) for name in ("comparisonOperator", "threshold")
    }
    assert {o.status for o in done.outcomes} == {Status.HEALED}

    # After the next update somebody is faster than the first look.
    cell.sandbox.up()
    strike(cell, first, ComparisonOperator="LessThanThreshold")
    for _ in range(2):
        late = cell.scan(OTHERWISE)
        assert alarms(late, Verdict.FAIL) == {(f"{TENANT}-5xx", "drift.property", "comparisonOperator")}
        assert alarms(late, Verdict.PASS) >= {s for s in spelled if s[0] != f"{TENANT}-5xx"}

"""SIGKILL in the middle of a repair, at calls whose answer never comes; then started again, once.

Every test kills at an event: the server has taken a certain call, and holds its answer back.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from reconciler.act.process import session_members
from reconciler.model import Status
from tests.integration.loop import (
    BRONZE,
    GOLD,
    SILVER,
    Cell,
    Record,
    assert_clean,
    assert_fleets_whole,
    until,
)

pytestmark = pytest.mark.engine

HELD = 600.0
"""Seconds for which the server holds an answer: longer than anything here takes."""


class Aftermath:
    """The cell before the crash, to be compared with what is there after the next pass."""

    def __init__(self, cell: Cell) -> None:
        self._cell = cell
        self._census, self._record = cell.census(), cell.record()

    def interrupted(self) -> Record:
        """What the crash left in the record: intents that nobody has concluded."""
        record = self._cell.record()
        assert record.open
        assert len(record.outcomes) < len(record.intents)
        return record

    def put_right(self, document: Mapping[str, Any]) -> None:
        """All is as declared, nothing was made twice or left behind, and the record has one end for each intent."""
        cell = self._cell
        assert cell.locks() == []
        after = cell.scan()
        assert_clean(after)
        assert_fleets_whole(after)
        assert after.declared.pending == ()
        assert cell.census() == self._census
        assert {o["status"] for o in document["outcomes"]} <= {"healed"}
        record = cell.record()
        record.assert_whole()
        assert [o for o in record.since(self._record) if o.status is Status.INTERRUPTED]
        with cell.cycle() as cycle:
            assert cycle.verify_ledger(None).valid
        assert cell.engine_agrees()


@pytest.fixture
def aftermath(cell: Cell) -> Iterator[Aftermath]:
    assert_clean(cell.scan())
    yield Aftermath(cell)
    cell.control.clear()


def again(cell: Cell) -> Mapping[str, Any]:
    """One more pass, as a process of its own."""
    with cell.reconciler() as second:
        code, document = second.ended()
    assert code == 0, document
    return document


def test_killed_alone(cell: Cell, aftermath: Aftermath) -> None:
    """The reconciler dies while its engine creates a listener and updates a subnet; the next one, started while that
    engine still runs, waits for it or for its end before it does anything (F24, F40, C06, I01, I04)."""
    cell.strike("delete-listener", SILVER)
    cell.strike("expose-subnet", BRONZE)
    with cell.reconciler() as first:
        first.reaches(
            cell.control.inject("delay", "elbv2", "CreateListener", seconds=HELD, times=1),
            cell.control.inject("delay", "ec2", "ModifySubnetAttribute", seconds=HELD, times=1),
        )
        (engine,) = first.engines()
        first.kill()
        assert session_members(engine), "the engine of a dead reconciler was to run on"
        aftermath.interrupted()
        calls = cell.control.calls("reconciler").total
        with cell.reconciler() as second:
            until(lambda: cell.holder() == second.process.pid, "the second one's lease")
            assert cell.control.calls("reconciler").total == calls
            cell.control.clear()
            code, document = second.ended()
    assert code == 0
    assert session_members(engine) == []
    aftermath.put_right(document)


@pytest.mark.parametrize("performed", [True, False], ids=["created", "not created"])
def test_killed_with_its_engine_in_creates(cell: Cell, aftermath: Aftermath, *, performed: bool) -> None:
    """All processes die when AWS has, or has not, created a listener, an alarm and a route, and the state knows of
    none: what exists is adopted, what does not is created, nothing twice (F04, F05, F24, F40, F42, C05, C06, C12)."""
    for fault, tenant in (("delete-listener", GOLD), ("delete-alarm", SILVER), ("delete-default-route", BRONZE)):
        cell.strike(fault, tenant)
    calls = (("elbv2", "CreateListener"), ("cloudwatch", "PutMetricAlarm"), ("ec2", "CreateRoute"))
    with cell.reconciler() as first:
        first.reaches(
            *(cell.control.inject("timeout", *call, seconds=HELD, times=1, performed=performed) for call in calls)
        )
        first.kill_all()
    aftermath.interrupted()
    with cell.cycle() as cycle:
        assert {p.kind for p in cycle.declared().pending} == {"creating"}
        assert len(cycle.declared().pending) == len(calls)
    cell.control.reset()
    document = again(cell)
    made = [w.call for w in cell.control.writes() if (*w.call.split(":"),) in calls]
    assert sorted(made) == ([] if performed else sorted(":".join(call) for call in calls))
    aftermath.put_right(document)


def test_killed_with_its_engine_in_updates(cell: Cell, aftermath: Aftermath) -> None:
    """All processes die when AWS has taken one update and not yet another: both are as declared after the next pass
    (F04, F24, F40, F42, C05, C12)."""
    cell.strike("open-ssh", GOLD)
    cell.strike("mute-alarm", SILVER)
    with cell.reconciler() as first:
        first.reaches(
            cell.control.inject("timeout", "ec2", "RevokeSecurityGroupIngress", seconds=HELD, times=1, performed=True),
            cell.control.inject("timeout", "cloudwatch", "PutMetricAlarm", seconds=HELD, times=1),
        )
        first.kill_all()
    aftermath.interrupted()
    aftermath.put_right(again(cell))


@pytest.mark.parametrize(
    "call", ["SetDesiredCapacity", "TerminateInstanceInAutoScalingGroup"], ids=["new one up", "old one gone"]
)
def test_killed_in_a_rollout(cell: Cell, aftermath: Aftermath, call: str) -> None:
    """The reconciler dies when the additional server is up and the old one still there, or when the old one has gone
    and nobody knows: the fleet is back at its size, with healthy servers only (F04, F24, C08, C10, C11, I02, I07)."""
    # A server is judged by its load balancer once it has warmed up; that it was stopped counts at any age.
    sick = cell.strike("stop-instance", GOLD)
    with cell.reconciler() as first:
        first.reaches(cell.control.inject("timeout", "autoscaling", call, seconds=HELD, times=1, performed=True))
        first.kill_all()
    aftermath.interrupted()
    document = again(cell)
    aftermath.put_right(document)
    states = cell.client("ec2").describe_instances(InstanceIds=[sick])["Reservations"][0]["Instances"][0]["State"]
    assert states["Name"] == "terminated"


def test_nothing_of_it_is_left_running(cell: Cell, monkeypatch: pytest.MonkeyPatch) -> None:
    """No process of an engine survives its kill: none that writes behind the next pass's back (F24, F43)."""
    # What was not written does not get well by being looked at for longer.
    monkeypatch.setenv("STACKMEND_VERIFY__TIMEOUT_SECONDS", "2")
    cell.strike("expose-subnet", GOLD)
    with cell.reconciler() as first:
        first.reaches(cell.control.inject("timeout", "ec2", "ModifySubnetAttribute", seconds=HELD, times=1))
        (engine,) = first.engines()
        os.kill(engine, signal.SIGKILL)
        code, document = first.ended()
        assert session_members(engine) == []
    assert (code, [o["status"] for o in document["outcomes"]]) == (1, ["not healed"])
    again(cell)
    assert_clean(cell.scan())
    cell.record().assert_whole()

"""Since when a fault has been seen: it counts from the first look of an unbroken row of them."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import event

from reconciler.model import AcceptedBy, Finding, Kind, Urn, Verdict
from reconciler.record.sightings import first_seen, sight
from reconciler.record.store import Store
from tests.unit.record_worlds import START, Time, finding


@pytest.fixture
def time() -> Time:
    return Time(passed=0)


def server(id_: str = "i-1", verdict: Verdict = Verdict.FAIL, rule: str = "health.target") -> Finding:
    signs = ("sign",) if verdict is Verdict.FAIL else ()
    return finding("g", verdict, kind=Kind.HEALTH, rule=rule, resource_id=id_, property="", signs=signs)


def stray(id_: str = "sg-1") -> Finding:
    return finding(kind=Kind.ORPHAN, rule="orphan.stray", urn=Urn(""), resource_id=id_)


def age(store: Store, found: Finding, cell: str = "dev") -> timedelta | None:
    first = first_seen(store, cell).get(found.id)
    return store.clock.now() - first if first else None


def test_it_counts_from_the_first_look(store: Store, time: Time) -> None:
    """Two looks at the same fault, a minute apart, and a restart of the program between them."""
    sight(store, "dev", [server(), stray()], every=True)
    time.passed += 60
    sight(store, "dev", [server(), stray()], every=True)
    assert age(store, server()) == age(store, stray()) == timedelta(seconds=60)
    assert age(store, server(), cell="prod") is None


def test_a_look_that_shows_it_in_order_begins_anew(store: Store, time: Time) -> None:
    """A server that flaps has not been failing since its first failure."""
    for verdict in (Verdict.FAIL, Verdict.PASS, Verdict.FAIL):
        time.passed += 60
        sight(store, "dev", [server(verdict=verdict)], every=True)
    assert age(store, server()) == timedelta(0)


def test_another_fault_of_the_same_server_is_another_sighting(store: Store, time: Time) -> None:
    """An outdated server that then fails its check has failed that check only now, and is not outdated any more."""
    old = server(rule="health.outdated-template")
    sight(store, "dev", [old], every=True)
    time.passed += 60
    sight(store, "dev", [server()], every=True)
    assert age(store, server()) == timedelta(0)
    assert age(store, old) is None


@pytest.mark.parametrize("between", [[server(verdict=Verdict.UNKNOWN)], []])
def test_a_look_that_saw_nothing_changes_nothing(store: Store, time: Time, between: list[Finding]) -> None:
    """I06: UNKNOWN neither ends nor begins a row, nor does a look at another tenant; a neighbour's health neither."""
    sight(store, "dev", [server()], every=True)
    time.passed += 60
    sight(store, "dev", [*between, server("i-2", Verdict.PASS)], every=False)
    assert age(store, server()) == timedelta(seconds=60)


def test_a_stray_that_is_gone_begins_anew(store: Store, time: Time) -> None:
    """A full look without it ends the row; a look at one tenant, which is not for strays, does not."""
    sight(store, "dev", [stray()], every=True)
    time.passed += 60
    sight(store, "dev", [], every=False)
    assert age(store, stray()) == timedelta(seconds=60)
    sight(store, "dev", [stray("sg-2")], every=True)
    assert age(store, stray()) is None


def test_a_clock_set_back_begins_anew(store: Store, time: Time) -> None:
    """F37: what was first seen in the future makes nothing older, and does not stay young for ever."""
    time.wall_offset = 3600
    sight(store, "dev", [server()], every=True)
    time.wall_offset = 0
    sight(store, "dev", [server()], every=True)
    time.passed += 60
    assert age(store, server()) == timedelta(seconds=60)


def test_what_is_seen_no_more_is_forgotten(store: Store, time: Time) -> None:
    """A server that was replaced leaves nothing behind for ever."""
    sight(store, "dev", [server()], every=True)
    time.passed += timedelta(days=8).total_seconds()
    sight(store, "dev", [server("i-2")], every=True)
    assert age(store, server()) is None
    assert age(store, server("i-2")) == timedelta(0)


def test_what_passes_or_is_accepted_is_not_kept(store: Store) -> None:
    """Only what fails has been failing since a moment."""
    accepted = finding("b", accepted=AcceptedBy("ana", "known", START + timedelta(days=1)))
    sight(store, "dev", [finding(verdict=Verdict.PASS), accepted, server(verdict=Verdict.PASS)], every=True)
    assert first_seen(store, "dev") == {}
    assert store.clock.now() == START


def drifted(property_: str = "tags", verdict: Verdict = Verdict.FAIL) -> Finding:
    return finding(rule="drift.property", verdict=verdict, property=property_)


@pytest.mark.parametrize(
    ("now", "lasts"),
    [
        pytest.param([drifted(), drifted("size")], True, id="it still differs"),
        pytest.param([drifted("size")], False, id="only something else differs"),
        pytest.param([drifted("size"), drifted(verdict=Verdict.UNKNOWN)], True, id="it alone is unknown"),
        pytest.param(
            [finding(rule="drift.unreadable", verdict=Verdict.UNKNOWN, property="")], True, id="all is unknown"
        ),
        pytest.param([finding(rule="drift.missing", property="")], False, id="it is gone"),
        pytest.param([finding(kind=Kind.COMPLIANCE, rule="x", verdict=Verdict.PASS)], True, id="a rule passes"),
        pytest.param([finding("b", Verdict.PASS, rule="drift.property")], True, id="another one is as declared"),
    ],
)
def test_drift_lasts_until_the_resource_is_judged(store: Store, time: Time, now: list[Finding], lasts: bool) -> None:
    """A drift has been seen since its first look, up to one that could tell how the resource differs."""
    sight(store, "dev", [drifted()], every=True)
    time.passed += 60
    sight(store, "dev", now, every=True)
    time.passed += 60
    sight(store, "dev", [drifted()], every=True)
    assert age(store, drifted()) == timedelta(seconds=120 if lasts else 0)


def test_compliance_lasts_until_its_rule_is_asked(store: Store, time: Time) -> None:
    """Another rule that passes says nothing of this one."""
    broken, other = (finding(kind=Kind.COMPLIANCE, rule=rule, property="") for rule in ("tls", "logs"))
    sight(store, "dev", [broken], every=True)
    time.passed += 60
    sight(store, "dev", [replace(other, verdict=Verdict.PASS)], every=True)
    assert age(store, broken) == timedelta(seconds=60)
    sight(store, "dev", [replace(broken, verdict=Verdict.PASS)], every=True)
    assert age(store, broken) is None


def test_any_number_of_findings_can_be_kept(store: Store, time: Time) -> None:
    """More than a database takes parameters in a statement."""
    store._engine.dispose()
    event.listen(store._engine, "connect", lambda new, _: new.setlimit(sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER, 999))
    many = [finding(str(i)) for i in range(1_100)]
    for findings in (many, many, [replace(f, verdict=Verdict.PASS) for f in many]):
        time.passed += 60
        sight(store, "dev", findings, every=True)
    assert first_seen(store, "dev") == {}

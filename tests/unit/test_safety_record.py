"""What the record must refuse, and what it must have made sure of, before anything is written to AWS."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from reconciler.errors import LeaseLost, TenantPaused
from reconciler.record import ledger
from reconciler.record.audit import Integrity, verify
from reconciler.record.clock import moment, text
from reconciler.record.journal import Journal, open_intents
from reconciler.record.lease import Lease
from reconciler.record.schema import LEDGER
from reconciler.record.store import Store
from tests.unit.record_worlds import Time, repair


def test_an_intent_checks_the_token_where_it_is_written(
    store: Store, time: Time, monkeypatch: pytest.MonkeyPatch
) -> None:
    """I05 F30: a holder paused between its last check and its intent writes none, if another took the lease since."""
    lease = Lease.acquire(store, "dev", seconds=60, actor="ci")
    monkeypatch.setattr(lease, "ensure_held", lambda: None)
    time.passed += 61
    Lease.acquire(store, "dev", seconds=60, actor="other")
    with pytest.raises(LeaseLost):
        Journal(lease, run_id="r1", actor="ci").intend(repair("urn:a"))
    assert open_intents(store, "dev") == ()


def test_what_is_written_is_on_the_disk(store: Store) -> None:
    """I04 F24: a commit returns only once the disk has it: SQLite's full synchronisation is on for every connection."""
    with store.read() as connection:
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2


def test_an_entry_that_was_forged_whole_breaks_the_chain(store: Store) -> None:
    """F35 I12: whoever edits an entry and computes its hash anew is found at the next one, which names the old hash."""
    with store.write() as connection:
        for number in range(3):
            ledger.append(connection, store, cell="dev", actor="ci", event="note", payload={"number": number})
        second = ledger.Entry(*connection.execute(LEDGER.select().where(LEDGER.c.seq == 2)).one())
        forged = replace(second, payload='{"number":9}')
        values = {"payload": forged.payload, "hash": forged.expected_hash()}
        connection.execute(LEDGER.update().where(LEDGER.c.seq == 2).values(values))
    report = verify(store)
    assert (report.integrity, report.seq) == (Integrity.INVALID, 3)


def test_a_tenant_called_like_its_cell_locks_nobody_else_out(store: Store) -> None:
    """T10 B34: locks and pauses of a cell go by the cell's name; a tenant of the same name takes none of them."""
    journal = Journal(Lease.acquire(store, "dev", seconds=60, actor="ci"), run_id="r1", actor="ci")
    store.pause("dev", tenant="dev", reason="audit", who="kim")
    journal.ensure_held()
    journal.intend(repair("urn:a", tenant="acme"))
    with pytest.raises(TenantPaused):
        journal.intend(repair("urn:b", tenant="dev"))


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe"])
def test_times_are_kept_without_their_zone(zone: str) -> None:
    """F38 F39: through a whole leap year's changes of the clocks, stored times sort and differ as the moments do."""
    moments = [datetime(2028, 1, 1, tzinfo=UTC) + timedelta(minutes=30 * i) for i in range(366 * 48)]
    stored = [text(one.astimezone(ZoneInfo(zone))) for one in moments]
    assert stored == sorted(stored)
    assert len(set(stored)) == len(stored)
    assert [moment(one) for one in stored] == moments

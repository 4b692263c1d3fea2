"""Intents and outcomes: on the disk before anything happens, one end each, one repair of a resource at a time."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.errors import StoreError, TenantPaused
from reconciler.model import Repair, Status, Urn
from reconciler.ports import Journal as JournalPort
from reconciler.record import documents
from reconciler.record.audit import verify
from reconciler.record.journal import (
    AlreadyConcluded,
    IntentOpen,
    Journal,
    Paused,
    attempts,
    intended,
    last_intent,
    open_intents,
)
from reconciler.record.lease import Lease
from reconciler.record.ledger import entries
from reconciler.record.store import Store
from tests.unit.record_worlds import START, Time, open_store, outcome, repair


def journal_of(store: Store, run_id: str = "r1", cell: str = "dev") -> Journal:
    return Journal(Lease.acquire(store, cell, seconds=60, actor="ci"), run_id=run_id, actor="ci")


def test_it_is_the_port(store: Store) -> None:
    """The acting stage gets what its port promises."""
    port: JournalPort = journal_of(store)
    port.ensure_held()


def test_an_intent_is_open_until_it_is_concluded(store: Store) -> None:
    """I04: an intent is listed with its whole repair until its outcome is there, and not after."""
    journal = journal_of(store)
    planned = Repair(
        "rollout", None, (Urn("urn:a"), Urn("urn:b")), ("f-1", "f-2"), "why", ("i-1",), ("r-0",), ("drift",)
    )
    number = journal.intend(planned)
    (open_intent,) = open_intents(store, "dev")
    assert (open_intent.number, open_intent.repair, open_intent.run_id) == (number, planned, "r1")
    assert open_intent.repair.id == planned.id
    journal.conclude(number, outcome(planned))
    assert open_intents(store, "dev") == ()


def test_a_second_conclusion_is_refused(store: Store) -> None:
    """I04: an intent has exactly one terminal record, and the first one stands."""
    journal = journal_of(store)
    number = journal.intend(repair("urn:a"))
    journal.conclude(number, outcome(repair("urn:a"), Status.INTERRUPTED))
    with pytest.raises(AlreadyConcluded):
        journal.conclude(number, outcome(repair("urn:a"), Status.HEALED))
    assert [a.status for a in attempts(store, "dev", START)] == [Status.INTERRUPTED]


def test_an_outcome_belongs_to_its_intent(store: Store) -> None:
    """A conclusion of an intent that is not there, or by another repair's outcome, is refused."""
    journal = journal_of(store)
    number = journal.intend(repair("urn:a"))
    with pytest.raises(StoreError, match="is not of repair"):
        journal.conclude(number, outcome(repair("urn:b")))
    with pytest.raises(StoreError, match="is not of repair"):
        journal.conclude(number + 1, outcome(repair("urn:a")))
    with pytest.raises(StoreError, match="is not of repair"):
        journal_of(store, cell="prod").conclude(number, outcome(repair("urn:a")))
    assert len(open_intents(store, "dev")) == 1


def test_one_repair_of_a_resource_at_a_time(store: Store) -> None:
    """I01: while an intent is open no other one may name any of its resources; nothing of it is written."""
    journal = journal_of(store)
    number = journal.intend(repair("urn:a", "urn:b"))
    with pytest.raises(IntentOpen, match=f"intent {number}"):
        journal.intend(repair("urn:b", "urn:c"))
    journal.intend(repair("urn:c"))
    journal.conclude(number, outcome(repair("urn:a", "urn:b")))
    journal.intend(repair("urn:b"))


def test_a_repair_that_names_no_resource_is_exclusive_too(store: Store) -> None:
    """A repair of something outside the state is kept from running twice at once by its own id."""
    journal = journal_of(store)
    journal.intend(repair())
    with pytest.raises(IntentOpen):
        journal.intend(repair())


STEPS = st.lists(st.tuples(st.sampled_from(["intend", "conclude", "crash"]), st.integers(0, 3)), max_size=20)


@settings(max_examples=30, deadline=None)
@given(STEPS)
def test_every_intent_ends_exactly_once(steps: list[tuple[str, int]]) -> None:
    """I01, I04: through any sequence of repairs and crashes, with recovery after each, each intent ends once."""
    with tempfile.TemporaryDirectory() as folder:
        time = Time()
        store = open_store(Path(folder), time)
        journal = journal_of(store)
        numbers: list[int] = []
        open_now: dict[str, int] = {}
        for what, which in steps:
            urn = f"urn:{which}"
            if what == "intend" and urn in open_now:
                with pytest.raises(IntentOpen):
                    journal.intend(repair(urn))
            elif what == "intend":
                open_now[urn] = journal.intend(repair(urn))
                numbers.append(open_now[urn])
            elif what == "conclude" and urn in open_now:
                journal.conclude(open_now.pop(urn), outcome(repair(urn)))
            elif what == "crash":
                store.close()
                time.passed += 100
                store = open_store(Path(folder), time)
                journal = journal_of(store)
                cut_off = open_intents(store, "dev")
                assert {i.number for i in cut_off} == set(open_now.values())
                for intent in cut_off:
                    journal.conclude(intent.number, outcome(intent.repair, Status.INTERRUPTED))
                open_now.clear()
        events = [(e.event, json.loads(e.payload).get("intent")) for e in entries(store)]
        assert [number for event, number in events if event == "intent"] == numbers
        ended = [number for event, number in events if event == "outcome"]
        assert sorted(ended) == sorted(set(numbers) - set(open_now.values()))
        assert verify(store).valid
        store.close()


def test_an_intent_outlives_the_process(tmp_path: Path) -> None:
    """C04, F24: a process that dies right after ``intend`` returned leaves the intent for the next one to find."""
    script = """
import os, sys
from reconciler.record.journal import Journal
from reconciler.record.lease import Lease
from reconciler.record.store import Store
from tests.unit.record_worlds import repair
store = Store.open(sys.argv[1])
lease = Lease.acquire(store, "dev", seconds=3600, actor="ci")
Journal(lease, run_id="r1", actor="ci").intend(repair("urn:a"))
os._exit(137)
"""
    url = f"sqlite:///{tmp_path}/dev.db"
    assert subprocess.run([sys.executable, "-c", script, url]).returncode == 137
    with Store.open(url) as store:
        (cut_off,) = open_intents(store, "dev")
        assert cut_off.repair == repair("urn:a")
        journal = journal_of(store, "r2")
        journal.conclude(cut_off.number, outcome(cut_off.repair, Status.INTERRUPTED))
        assert verify(store).valid


def test_attempts_are_counted_by_resource_and_time(store: Store, time: Time) -> None:
    """I11: each concluded repair counts for each of its resources from the moment it was begun, and only then."""
    journal = journal_of(store)
    for urns, status in ((("urn:a", "urn:b"), Status.HEALED), (("urn:a",), Status.NOT_HEALED), (("urn:c",), None)):
        time.passed += 10
        number = journal.intend(repair(*urns))
        time.passed += 1
        if status:
            journal.conclude(number, outcome(repair(*urns), status))
    begun = START + timedelta(seconds=1010)
    found = attempts(store, "dev", begun)
    assert [(a.urn, a.status, (a.at - begun).total_seconds()) for a in found] == [
        ("urn:a", Status.HEALED, 0),
        ("urn:b", Status.HEALED, 0),
        ("urn:a", Status.NOT_HEALED, 11),
    ]
    assert [a.urn for a in attempts(store, "dev", begun + timedelta(seconds=1))] == ["urn:a"]
    assert attempts(store, "prod", begun) == ()


def test_only_what_may_have_written_something_counts_as_intended(store: Store, time: Time) -> None:
    """I03 F37: neither an escalation nor a refusal is charged to the budgets of a period; what is open still is.

    A clock that is set back meanwhile changes nothing.
    """
    journal = journal_of(store)
    assert last_intent(store, "dev") == 0
    journal.conclude(journal.intend(before := repair("urn:before")), outcome(before))
    begun = last_intent(store, "dev")
    time.wall_offset = -30
    for name, status in enumerate((*Status, None)):
        planned = repair(f"urn:{name}")
        number = journal.intend(planned)
        if status:
            journal.conclude(number, outcome(planned, status))
    charged = {int(r.urns[0].removeprefix("urn:")) for r in intended(store, "dev", begun)}
    assert {(*Status, None)[n] for n in charged} == {
        Status.HEALED,
        Status.NOT_HEALED,
        Status.ROLLED_BACK,
        Status.INTERRUPTED,
        Status.CONTINUES,
        None,
    }
    assert intended(store, "prod", 0) == intended(store, "dev", last_intent(store, "dev")) == ()
    assert last_intent(store, "prod") == 0


def test_an_attempt_knows_how_many_servers_it_was_for(store: Store) -> None:
    """I03: the budget of an hour counts the servers of a rollout."""
    planned = Repair("rollout", "acme", (Urn("urn:g"),), ("f-1", "f-2"), "why", ("i-1", "i-2"))
    journal = journal_of(store)
    journal.conclude(journal.intend(planned), outcome(planned))
    assert [a.servers for a in attempts(store, "dev", START)] == [2]


def test_a_repair_of_an_earlier_version_is_read() -> None:
    """What earlier versions wrote beside a repair, its cost, follows from the rest; what they lack is empty."""
    planned = repair("urn:a", "urn:b")
    older = {**json.loads(documents.from_repair(planned)), "cost": 1}
    del older["kinds"], older["zones"]
    assert documents.to_repair(json.dumps(older)) == planned
    assert planned.cost == 2


def test_a_paused_cell_starts_nothing(store: Store) -> None:
    """I14: a pause of the cell stops the next intent of a run in progress and says who asked for it and why."""
    journal = journal_of(store)
    number = journal.intend(repair("urn:a"))
    store.pause("dev", reason="migration", who="kim")
    with pytest.raises(Paused, match="cell dev is paused") as caught:
        journal.ensure_held()
    assert "kim" in str(caught.value)
    assert "migration" in str(caught.value)
    with pytest.raises(Paused):
        journal.intend(repair("urn:b"))
    journal.conclude(number, outcome(repair("urn:a")))
    store.resume("dev", who="kim")
    journal.intend(repair("urn:b"))


def test_a_paused_tenant_stops_only_itself(store: Store) -> None:
    """I14: a pause of one tenant stops its repairs, and nobody else's, also if the names are alike (B34)."""
    journal = journal_of(store)
    store.pause("dev", tenant="tenant-1", reason="audit", who="kim")
    journal.ensure_held()
    journal.intend(repair("urn:a", tenant="tenant-10"))
    journal.intend(repair("urn:b", tenant=None))
    with pytest.raises(TenantPaused, match="tenant tenant-1 is paused"):
        journal.intend(repair("urn:c", tenant="tenant-1"))
    journal.ensure_held(["tenant-10"])
    with pytest.raises(TenantPaused, match="tenant tenant-1 is paused"):
        journal.ensure_held(["tenant-10", "tenant-1"])


def test_reasons_lose_their_secrets(store: Store, tmp_path: Path) -> None:
    """I13: what an engine printed may hold a credential; neither the intent, the outcome nor the ledger keeps it."""
    journal = journal_of(store)
    leaking = repair("urn:a", reason="failed with password=hunter2hunter2")
    number = journal.intend(leaking)
    journal.conclude(number, outcome(leaking, Status.NOT_HEALED, "token AKIAIOSFODNN7EXAMPLE rejected"))
    on_disk = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert b"hunter2" not in on_disk
    assert b"AKIAIOSFODNN7EXAMPLE" not in on_disk


def test_a_lease_that_ran_out_may_still_report(store: Store, time: Time) -> None:
    """What became of a repair is recorded even late, as long as nobody else has taken over."""
    journal = journal_of(store)
    number = journal.intend(repair("urn:a"))
    time.passed += 300
    journal.conclude(number, outcome(repair("urn:a")))
    assert open_intents(store, "dev") == ()

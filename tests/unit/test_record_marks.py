"""Marks of compromised servers: kept without the lease, in the ledger, and counting until they are withdrawn."""

from __future__ import annotations

import json
from dataclasses import replace

from reconciler.model import Status, Urn
from reconciler.overview import overview
from reconciler.record import marks
from reconciler.record.journal import Journal
from reconciler.record.lease import Lease
from reconciler.record.ledger import entries
from reconciler.record.store import Store
from tests.unit.record_worlds import outcome, repair

GROUP = Urn("urn:group")


def marked(store: Store, instance: str = "i-1", reason: str = "crypto mining", cell: str = "dev") -> marks.Mark:
    return marks.mark(store, cell, instance=instance, group=GROUP, tenant="acme", reason=reason, who="kim")


def test_a_mark_is_kept_by_cell_with_who_and_why(store: Store) -> None:
    """It comes back as it was given; marking again replaces the reason; another cell has none; the ledger has all."""
    marked(store, reason="odd")
    again = marked(store, reason="key AKIAIOSFODNN7EXAMPLE\n")
    assert marks.marks(store, "dev") == (again,)
    assert (again.who, again.reason, again.tenant) == ("kim", r"key [secret]\n", "acme")
    assert marks.marks(store, "prod") == ()
    assert [(e.event, e.actor) for e in entries(store)] == [("server marked", "kim")] * 2


def test_a_mark_is_withdrawn_once(store: Store) -> None:
    """Only one that there is, and the ledger keeps who did it and why."""
    marked(store)
    assert not marks.withdraw(store, "dev", "i-2", reason="x", who="lee")
    assert marks.withdraw(store, "dev", "i-1", reason="the other one", who="lee")
    assert not marks.withdraw(store, "dev", "i-1", reason="x", who="lee")
    last = entries(store)[-1]
    assert (last.event, last.actor) == ("mark withdrawn", "lee")
    assert json.loads(last.payload) == {"server": "i-1", "reason": "the other one"}


def test_a_mark_counts_until_it_is_withdrawn(store: Store) -> None:
    """A repair of the server that healed takes it off the list of what waits; were it still there, it would count."""
    marked(store)
    marked(store, "i-2")
    lease = Lease.acquire(store, "dev", seconds=60, actor="ci")
    journal = Journal(lease, run_id="r1", actor="ci")
    work = replace(repair(GROUP), strategy="quarantine", members=("i-1",))
    for status, waiting in ((Status.ROLLED_BACK, ["i-1", "i-2"]), (Status.HEALED, ["i-2"])):
        journal.conclude(journal.intend(work), outcome(work, status))
        assert [m.instance for m in overview(store, "dev").marks] == waiting
    assert [m.instance for m in marks.marks(store, "dev")] == ["i-1", "i-2"]


def test_a_mark_is_done_when_its_server_is_isolated(store: Store) -> None:
    """Also by the pass after the one that died; not by a rollout that found another reason and did nothing."""
    marked(store)
    journal = Journal(Lease.acquire(store, "dev", seconds=60, actor="ci"), run_id="r1", actor="ci")
    work = replace(repair(GROUP), members=("i-1",))
    for strategy, finished, waiting in (("rollout", True, 1), ("quarantine", False, 1), ("quarantine", True, 0)):
        planned = replace(work, strategy=strategy)
        status = Status.HEALED if strategy == "rollout" else Status.INTERRUPTED
        journal.conclude(journal.intend(planned), outcome(planned, status), finished=finished)
        assert len(overview(store, "dev").marks) == waiting

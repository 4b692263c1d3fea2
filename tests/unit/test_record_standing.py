"""What stands between passes: consent is used once, words are bound, and an older store learns to keep both."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from reconciler.decisions import Approved, Breaker, Cause
from reconciler.model import HEALED_BY_ITSELF, Repair, Status
from reconciler.record import standing
from reconciler.record.audit import verify
from reconciler.record.journal import Journal, replacements
from reconciler.record.lease import Lease
from reconciler.record.ledger import entries
from reconciler.record.schema import VERSION
from reconciler.record.standing import NotApproved
from reconciler.record.store import Store
from tests.unit.record_worlds import START, Time, open_store, outcome, repair

NEW = ("approvals", "used_approvals", "acknowledgements", "breakers", "programs")


def journal_of(store: Store) -> Journal:
    return Journal(Lease.acquire(store, "dev", seconds=3600, actor="ci"), run_id="r1", actor="ci")


def consent(store: Store, *repairs: Repair, seconds: float = 600, cell: str = "dev") -> int:
    approved = [Approved(r.content, r.id, r.tenant) for r in repairs]
    given = standing.approve(store, cell, plan="h" * 64, repairs=approved, who="ana", note="CHG-1", seconds=seconds)
    return given.number


def events(store: Store) -> list[str]:
    return [e.event for e in entries(store)]


def breaker(*keys: str, tenant: str | None = "acme", acknowledged: str = "") -> Breaker:
    return Breaker(
        tenant, Cause.FAILING, frozenset(keys), "12 of 52", START, "breaker.share", acknowledged=acknowledged
    )


def test_an_approval_is_used_once(store: Store) -> None:
    """I08: the intent that uses it up is the only one; the second is refused before anything is written."""
    wanted = repair("urn:a")
    under = replace(wanted, approval=consent(store, wanted))
    journal = journal_of(store)
    number = journal.intend(under)
    journal.conclude(number, outcome(under, Status.NOT_HEALED))
    with pytest.raises(NotApproved, match="was used"):
        journal.intend(under)
    (given,) = standing.approvals(store, "dev")
    assert (given.used, given.left("acme")) == (frozenset({wanted.content}), frozenset())


def test_an_approval_is_of_what_was_shown(store: Store) -> None:
    """A repair with another content, or an approval of another cell, is no consent."""
    wanted = repair("urn:a")
    number, elsewhere = consent(store, wanted), consent(store, wanted, cell="prod")
    journal = journal_of(store)
    for other in (
        replace(wanted, basis="another declaration", approval=number),
        replace(repair("urn:b"), approval=number),
        replace(wanted, approval=elsewhere),
        replace(wanted, approval=99),
    ):
        with pytest.raises(NotApproved, match="is not of repair"):
            journal.intend(other)
    assert "intent" not in events(store)


def test_an_approval_that_ran_out_is_none(store: Store, time: Time) -> None:
    """It is checked when the intent is written, so a pass that lingers does not carry it past its end."""
    wanted = repair("urn:a")
    under = replace(wanted, approval=consent(store, wanted, seconds=60))
    journal = journal_of(store)
    time.passed += 60
    with pytest.raises(NotApproved, match="ran out"):
        journal.intend(under)
    assert standing.approvals(store, "dev") == ()


def test_who_approved_is_in_the_ledger(store: Store) -> None:
    """The ledger has the approver, the note, the plan and the end, and the intent that used it."""
    wanted = repair("urn:a")
    journal_of(store).intend(replace(wanted, approval=consent(store, wanted)))
    approved = next(e for e in entries(store) if e.event == "approved")
    intent = next(e for e in entries(store) if e.event == "intent")
    assert approved.actor == "ana"
    assert all(word in approved.payload for word in ("CHG-1", "h" * 64, wanted.id))
    assert '"approval":1' in intent.payload
    assert verify(store).valid


def test_breakers_outlive_the_process(tmp_path: Path, time: Time) -> None:
    """What was open before a restart is open after it, as it was."""
    kept = (breaker("urn:a", "urn:b"), breaker("urn:c", tenant=None))
    with open_store(tmp_path, time) as store:
        standing.save_breakers(store, "dev", kept, actor="ci")
    with open_store(tmp_path, time) as store:
        assert set(standing.breakers(store, "dev")) == set(kept)
        assert standing.breakers(store, "prod") == ()


def test_the_ledger_tells_when_a_breaker_opens_and_closes(store: Store) -> None:
    """Once each, however many passes it is open; an acknowledged one counts as closed."""
    for open_now in ([breaker("a")], [breaker("a", "b")], [breaker("a", acknowledged="by ana")], [breaker("a")], []):
        standing.save_breakers(store, "dev", open_now, actor="ci")
    assert events(store) == ["breaker opened", "breaker closed", "breaker opened", "breaker closed"]


def test_a_word_on_a_breaker_is_bound_and_recorded(store: Store, time: Time) -> None:
    """It holds for the keys that failed then, until its end, and the ledger has who gave it and why."""
    standing.acknowledge(store, "dev", [breaker("a", "b")], who="ana", reason="known outage", seconds=60)
    (word,) = standing.acknowledgements(store, "dev")
    assert (word.tenant, word.cause, word.keys) == ("acme", Cause.FAILING, frozenset({"a", "b"}))
    assert word.expires - word.at == timedelta(seconds=60)
    (entry,) = entries(store)
    assert (entry.event, entry.actor) == ("breaker acknowledged", "ana")
    assert "known outage" in entry.payload
    time.passed += 60
    assert standing.acknowledgements(store, "dev") == ()


def test_secrets_in_a_persons_words_are_not_kept(store: Store) -> None:
    """I13: what somebody pastes into a note is scrubbed before it is written."""
    secret = "AKIAIOSFODNN7EXAMPLE"
    approved = [Approved("c", "r-1", "acme")]
    standing.approve(store, "dev", plan="h", repairs=approved, who="ana", note=f"key {secret}", seconds=60)
    standing.acknowledge(store, "dev", [breaker("a")], who="ana", reason=f"key {secret}", seconds=60)
    kept = [standing.approvals(store, "dev")[0].note, standing.acknowledgements(store, "dev")[0].reason]
    assert not any(secret in text for text in [*kept, *(e.payload for e in entries(store))])


def test_a_breaker_that_nobody_knew_when_deciding_stays(store: Store) -> None:
    """Another pass opens one while a plan is being made: the plan closes what it knew, and not that one."""
    old, new = breaker("a"), breaker("b", tenant="other")
    standing.save_breakers(store, "dev", [old], actor="ci")
    known = standing.breakers(store, "dev")
    standing.save_breakers(store, "dev", [old, new], actor="ci")
    standing.save_breakers(store, "dev", [], known=known, actor="ci")
    assert standing.breakers(store, "dev") == (new,)
    assert events(store) == ["breaker opened", "breaker opened", "breaker closed"]
    standing.save_breakers(store, "dev", [], known=[new], actor="ci")
    assert standing.breakers(store, "dev") == ()


def test_replacements_are_remembered_however_old(store: Store, time: Time) -> None:
    """F48: what new servers were made from, and whether they served, is known long after the flap window."""
    journal = journal_of(store)
    made_from = ("template lt 1", "image ami-1")
    for each, status in (
        (replace(repair("urn:a"), replacement=made_from), Status.ROLLED_BACK),
        (repair("urn:b"), Status.NOT_HEALED),
    ):
        journal.conclude(journal.intend(each), outcome(each, status))
    time.passed += 90 * 86_400
    (found,) = replacements(store, "dev")
    assert (found.urn, found.status, found.replacement) == ("urn:a", Status.ROLLED_BACK, made_from)


def test_of_a_replacement_it_is_known_whether_new_servers_failed(store: Store) -> None:
    """It follows from what every outcome holds already: what failed to become healthy, and that nothing was written."""
    journal = journal_of(store)
    for urn, status, bad_image, reason in (
        ("urn:a", Status.ROLLED_BACK, "lt-1:2", ""),
        ("urn:b", Status.NOT_HEALED, "", "somebody else resized the group"),
        ("urn:c", Status.HEALED, "", HEALED_BY_ITSELF),
        ("urn:d", Status.REFUSED, "", ""),
        ("urn:e", Status.HEALED, "", ""),
    ):
        each = replace(repair(urn), replacement=("image ami-1",))
        ended = replace(outcome(each, status), bad_image=bad_image, reason=reason)
        journal.conclude(journal.intend(each), ended)
    found = {a.urn: (a.unfit, a.wrote) for a in replacements(store, "dev")}
    assert found == {
        "urn:a": (True, True),
        "urn:b": (False, True),
        "urn:c": (False, False),
        "urn:d": (False, False),
        "urn:e": (False, True),
    }


def test_a_store_of_an_earlier_version_learns_to_keep_decisions(tmp_path: Path) -> None:
    """B48: its runs, intents and ledger stay as they are, and from then on it takes approvals and breakers."""
    with open_store(tmp_path) as store:
        store.begin_run("run-1", "dev", "repair", actor="me")
        before = entries(store)
    with closing(sqlite3.connect(tmp_path / "dev.db")) as connection:
        for table in NEW:
            connection.execute(f"DROP TABLE {table}")
        connection.execute("UPDATE stackmend_meta SET version = 2")
        connection.commit()
    with open_store(tmp_path) as store:
        assert entries(store) == before
        assert [r.run_id for r in store.runs("dev")] == ["run-1"]
        assert (standing.approvals(store, "dev"), standing.breakers(store, "dev")) == ((), ())
        assert (standing.program(store, "dev"), standing.acknowledgements(store, "dev")) == ("", ())
        consent(store, repair("urn:a"))
    with closing(sqlite3.connect(tmp_path / "dev.db")) as connection:
        assert connection.execute("SELECT version FROM stackmend_meta").fetchall() == [(VERSION,)]

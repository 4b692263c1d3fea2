"""The commands by which people decide: approve, acknowledge, pause; through the command line, on a real store."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from reconciler.cli import app
from reconciler.decisions import Breaker, Cause
from reconciler.declare import baseline
from reconciler.errors import ConfigurationError
from reconciler.model import Repair
from reconciler.record import marks, standing
from reconciler.record.journal import Journal
from reconciler.record.lease import Lease
from reconciler.record.ledger import entries
from reconciler.record.store import Store
from tests.unit.plan_worlds import NOW, cell, finding, resource, scan
from tests.unit.test_deciding import ASK, decider, passed

ACME = resource("a", "acme")


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    """A store that the command line opens too."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("STACKMEND_CELL", "dev")
    monkeypatch.setenv("STACKMEND_STORE_URL", f"sqlite:///{tmp_path}/dev.db")
    with Store.open(f"sqlite:///{tmp_path}/dev.db") as opened:
        yield opened


def typed(*arguments: str) -> str:
    """What the command prints. Raises what it raises."""
    result = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def refused(*arguments: str) -> str:
    result = CliRunner().invoke(app, arguments)
    assert isinstance(result.exception, ConfigurationError)
    return str(result.exception)


def test_approve_names_who_and_until_when(store: Store) -> None:
    """The identity of account and machine is kept, and the name given beside it; what was approved is in the ledger."""
    made = passed(store, decider(store, modes=[ASK]), scan(cell(ACME), finding(ACME)))
    told = " ".join(typed("approve", made.id, "--as", "Ana", "--note", "CHG-1", "--expires", "30m").split())
    (given,) = standing.approvals(store, "dev")
    assert (given.expires - given.at).total_seconds() == 1800
    account, _, name = given.who.partition(" as ")
    assert ("@" in account, name) == (True, "Ana")
    assert f"Approval {given.number} of 1 repairs by {given.who}" in told
    assert "approved" in [e.event for e in entries(store)]


def test_approve_takes_only_a_span_of_time(store: Store) -> None:
    """An end that is no span, or too far away, approves nothing."""
    made = passed(store, decider(store, modes=[ASK]), scan(cell(ACME), finding(ACME)))
    for span in ("soon", "0h", "-1h", "169h", "1e9s"):
        assert "--expires" in refused("approve", made.id, "--expires", span)
    assert standing.approvals(store, "dev") == ()


def test_acknowledge_needs_an_open_breaker(store: Store) -> None:
    """Without one it is an error; with one the word is kept, bound to what fails."""
    assert "no breaker" in refused("acknowledge", "--tenant", "acme", "--reason", "known")
    opened = Breaker("acme", Cause.FAILING, frozenset({"urn:a"}), "12 of 52", NOW, "breaker.share")
    standing.save_breakers(store, "dev", [opened], actor="ci")
    assert "failing, 1 failing" in " ".join(typed("acknowledge", "--tenant", "acme", "--reason", "known").split())
    (word,) = standing.acknowledgements(store, "dev")
    assert (word.keys, word.reason) == (frozenset({"urn:a"}), "known")


def test_history_and_explain_show_what_waits(store: Store) -> None:
    """As JSON: the plan's id with its proposals, and each proposal with the setting that asks for consent."""
    made = passed(store, decider(store, modes=[ASK]), scan(cell(ACME), finding(ACME)))
    (run,) = json.loads(typed("history", "--output", "json"))["runs"]
    assert (run["summary"]["plan"]["id"], len(run["summary"]["plan"]["proposals"])) == (made.id, 1)
    answer = json.loads(typed("explain", made.id, "--output", "json"))
    assert [s["document"]["setting"] for s in answer["steps"]] == ["modes[1].mode"]


def test_a_pause_from_the_command_line_reaches_the_next_plan(store: Store) -> None:
    """I14: in a process of its own the pause is in the store, and the plan defers with its reason."""
    typed("pause", "--tenant", "acme", "--reason", "migration")
    made = passed(store, decider(store), scan(cell(ACME), finding(ACME)))
    assert [d.code for d in made.deferrals] == ["paused"]
    typed("resume", "--tenant", "acme")
    assert passed(store, decider(store), scan(cell(ACME), finding(ACME))).repairs


def looked_at(store: Store) -> None:
    """A pass has read the cell, with one tenant."""
    store.save_baseline("dev", 1, baseline.to_json(cell(ACME)), actor="me")


def test_a_misspelt_tenant_is_not_paused(store: Store) -> None:
    """B22: it would pause nobody; the error names the tenants there are, and an empty name is not the whole cell."""
    looked_at(store)
    for wrong, said in (("acem", "One of: acme."), ("*", "One of: acme."), ("", "is empty"), (" ", "is empty")):
        assert said in refused("pause", "--tenant", wrong, "--reason", "x")
    assert store.pauses("dev") == ()
    assert "acme" in typed("pause", "--tenant", "acme", "--reason", "x")


def test_a_pause_does_not_fail_for_want_of_knowledge(store: Store) -> None:
    """Before any pass nobody knows the tenants: the pause holds as typed, with a warning; an empty name is refused."""
    assert "--tenant is empty" in refused("pause", "--tenant", " ", "--reason", "x")
    assert "no pass has read this cell yet" in typed("pause", "--tenant", "acem", "--reason", "x")
    assert [p.tenant for p in store.pauses("dev")] == ["acem"]


def test_pause_and_resume_tell_what_is_paused(store: Store) -> None:
    """Who, since when and why, as a table and as JSON; what is left after one was resumed; what is, if nothing fits.

    B22: an empty name resumes nothing.
    """
    looked_at(store)
    typed("pause", "--reason", "migration")
    both = json.loads(typed("pause", "--tenant", "acme", "--reason", " audit ", "--output", "json"))
    assert [(p["tenant"], p["reason"]) for p in both["pauses"]] == [(None, "migration"), ("acme", "audit")]
    assert all(p["who"] and p["since"] for p in both["pauses"])
    told = typed("resume", "--reason", "it is over")
    assert "acme" in told
    assert "migration" not in told
    assert json.loads(entries(store)[-1].payload) == {"tenant": None, "reason": "it is over"}
    assert "Paused are: acme." in refused("resume")
    typed("pause", "--reason", "incident")
    for empty in ("", " "):
        assert "--tenant is empty" in refused("resume", "--tenant", empty)
    assert [p.tenant for p in store.pauses("dev")] == [None, "acme"]
    typed("resume")
    assert "Nothing is paused" in typed("resume", "--tenant", "acme")


def test_status_shows_what_is_in_force(store: Store) -> None:
    """Pauses, breakers, what waits and what was approved, marks, repairs and who holds the cell; it changes nothing."""
    made = passed(store, decider(store, modes=[ASK]), scan(cell(ACME), finding(ACME)))
    typed("approve", made.id, "--note", "CHG-1")
    typed("pause", "--tenant", "acme", "--reason", "audit")
    opened = Breaker("acme", Cause.FAILING, frozenset({"urn:a"}), "12 of 52", NOW, "breaker.share")
    standing.save_breakers(store, "dev", [opened], actor="ci")
    marks.mark(store, "dev", instance="i-1", group=ACME.urn, tenant="acme", reason="mining", who="kim")
    lease = Lease.acquire(store, "dev", seconds=60, actor="me")
    work = Repair("reapply", "other", (ACME.urn,), ("f-1",), "it drifted")
    Journal(lease, run_id="run", actor="me").intend(work)
    before = entries(store)
    found = json.loads(typed("status", "--output", "json"))
    assert [p["tenant"] for p in found["pauses"]] == ["acme"]
    assert [b["cause"] for b in found["breakers"]] == ["failing"]
    assert (found["proposed"]["plan"], len(found["approvals"][0]["left"])) == (made.id, 1)
    assert [m["server"] for m in found["marked"]] == ["i-1"]
    assert [(r["repair_id"], r["state"]) for r in found["repairs"]] == [(work.id, "in progress")]
    assert (found["latest"]["kind"], bool(found["holder"]["pid"])) == ("plan", True)
    table = typed("status")
    for words in ("audit", "12 of 52", "CHG-1", "mining", work.id, "in progress", f"stackmend approve {made.id}"):
        assert words in table
    assert entries(store) == before
    lease.release()
    assert json.loads(typed("status", "--output", "json"))["repairs"][0]["state"] == "cut off"


def test_status_of_a_quiet_cell_says_so(store: Store) -> None:
    """Nothing is told as nothing, not as an empty page."""
    told = typed("status")
    assert "none is on record" in told
    store.begin_run("r1", "dev", "scan", actor="me")
    store.fail_run("r1", "no Pulumi CLI", actor="me")
    assert "failed: no Pulumi CLI" in typed("status")
    history = typed("history")
    assert "failed" in history
    assert "no Pulumi CLI" in history
    assert json.loads(typed("history", "--output", "json"))["runs"][0]["failed"] == "no Pulumi CLI"

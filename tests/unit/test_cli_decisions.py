"""The commands by which people decide: approve, acknowledge, pause; through the command line, on a real store."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from reconciler.cli import app
from reconciler.decisions import Breaker, Cause
from reconciler.errors import ConfigurationError
from reconciler.record import standing
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
    assert given.who.startswith("Ana (")
    assert "@" in given.who
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

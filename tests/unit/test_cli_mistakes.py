"""What people get wrong: every command answers in words, with exit code 1, and never with a traceback."""

from __future__ import annotations

import json
import os
import sqlite3
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, nullcontext
from pathlib import Path
from types import SimpleNamespace

import pytest
import structlog

from reconciler import cli
from reconciler.cli import passes
from reconciler.cli.common import FINDINGS_EXIT, Findings
from reconciler.model import Finding, Verdict
from reconciler.plan.modes import Mode, ModeRule
from reconciler.plan.policy import Policy
from reconciler.plan.selectors import Selector
from reconciler.record.store import Store
from tests.unit.plan_worlds import cell, finding, resource, scan
from tests.unit.test_deciding import ACME, decider, passed
from tests.unit.test_plan_planner import planned

COMMANDS = (
    "scan", "plan", "repair", "repair --dry-run", "run --passes 1", "status", "history", "explain f-1",
    "pause --reason x", "resume", "quarantine i-1 --reason x", "quarantine i-1 --reason x --withdraw",
    "approve p-123456789012", "acknowledge --reason x", "ledger verify", "ledger checkpoint out.json",
)  # fmt: skip
Told = Callable[..., str]


@pytest.fixture(autouse=True)
def logging() -> Iterator[None]:
    """The command sends the process's log to a stream that ends with its test."""
    yield
    structlog.reset_defaults()


@pytest.fixture
def told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Told:
    """Types a command that must fail, in a folder of its own, and gives what it says on stderr."""
    for name in [n for n in os.environ if n.startswith("STACKMEND_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("STACKMEND_CELL", "dev")
    monkeypatch.setenv("COLUMNS", "1000")
    monkeypatch.setenv("PATH", str(tmp_path))

    def typing(command: str, *more: str) -> str:
        monkeypatch.setattr(sys, "argv", ["stackmend", *command.split(), *more])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        said = capsys.readouterr()
        assert (ended.value.code, said.out) == (1, "")
        assert "Traceback" not in said.err
        return said.err

    return typing


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize(
    ("variable", "value", "words"),
    [
        ("SETTINGS", "nowhere.toml", "nowhere.toml: cannot be read"),
        ("SETTINGS", ".", ".: cannot be read: Is a directory"),
        ("SETTINGS", "bad.toml", "bad.toml: is not TOML"),
        ("SETTINGS", "binary.toml", "binary.toml, line 1: byte 0xff is not UTF-8"),
        ("BUDGET", "much", "an environment variable cannot be read"),
        ("CELL", "no/cell", "cell = 'no/cell'"),
        ("STORE_URL", "sqlite:///.", "unable to open database file"),
        ("STORE_URL", "sqlite:///bad.toml", "not a database"),
        ("STORE_URL", "sqlite:///bad.toml/x.db", "its folder cannot be made"),
        ("STORE_URL", "sqlite:////proc/none/x.db", "its folder cannot be made"),
        ("STORE_URL", "nonsense", "store_url cannot be used"),
        ("STORE_URL", "postgresql+psycopg://h:port/db", "store_url cannot be used"),
        ("STORE_URL", "nosuchdb://me:topsecret@h/db", "store_url cannot be used"),
    ],
)
def test_what_is_set_wrongly_is_named(
    told: Told, monkeypatch: pytest.MonkeyPatch, command: str, variable: str, value: str, words: str
) -> None:
    """Settings, files and stores that cannot be used: what, where, why, and what to do about it; no password (I13)."""
    Path("bad.toml").write_text("[half\n" * 200)
    Path("binary.toml").write_bytes(b"\xff\xfe")
    monkeypatch.setenv(f"STACKMEND_{variable}", value)
    said = told(command)
    assert said.startswith("error: ")
    assert words in said
    assert len(said.splitlines()) >= 2
    assert "topsecret" not in said


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("explain nonsense", "is not the id of"),
        ("explain f-000000000000", "knows no finding"),
        ("approve p-000000000000", "knows no plan"),
        ("acknowledge --reason x", "no breaker of the whole cell dev is open"),
        ("acknowledge --reason x --tenant acem", "no breaker of tenant acem is open"),
        ("resume", "Nothing is paused"),
        ("resume --tenant acem", "tenant 'acem' is not paused"),
        ("quarantine i-1 --withdraw --reason x", "'i-1' is not marked"),
        ("run --every soon", "is not a span of time"),
        ("scan", "the Pulumi CLI is not on the PATH"),
        ("repair", "the Pulumi CLI is not on the PATH"),
        ("quarantine i-1 --reason x", "the Pulumi CLI is not on the PATH"),
        ("ledger checkpoint nowhere/x.json", "nowhere/x.json: the checkpoint cannot be written"),
        ("ledger checkpoint .", "the checkpoint cannot be written: Is a directory"),
        ("ledger verify --checkpoint .", "the checkpoint cannot be read: Is a directory"),
        ("ledger verify --checkpoint nowhere", "the checkpoint cannot be read: No such file"),
        ("nonsense", "No such command"),
        ("scan --nonsense", "No such option"),
        ("pause", "Missing option '--reason'"),
        ("history -n 0", "Invalid value"),
    ],
)
def test_what_is_typed_wrongly_is_named(told: Told, command: str, words: str) -> None:
    """Ids, tenants, spans, files and options that there are not: never exit code 2, which would mean findings."""
    assert words in told(command)


@pytest.mark.parametrize("command", ["pause", "acknowledge", "quarantine i-1", "quarantine i-1 --withdraw"])
def test_a_reason_is_not_blank(told: Told, command: str) -> None:
    """What people decide without saying why helps nobody who comes after them."""
    assert "--reason is empty" in told(command, "--reason", " ")


@pytest.mark.parametrize("command", ["status", "history", "explain f-1", "approve p-123456789012"])
def test_a_damaged_record_is_named(told: Told, command: str) -> None:
    """A document that is half gone is no traceback but a record that was damaged, with what to do about it."""
    url = f"sqlite:///{Path('.stackmend/dev.db')}"
    with Store.open(url) as store:
        acme = resource("a", "acme")
        passed(store, decider(store), scan(cell(acme), finding(acme)))
    with closing(sqlite3.connect(".stackmend/dev.db")) as connection:
        connection.execute("UPDATE runs SET summary = substr(summary, 1, 50)")
        connection.execute("UPDATE findings SET document = '{'")
        connection.execute("UPDATE findings SET finding_id = 'f-1'")
        connection.commit()
    said = told(command)
    assert "it holds something that cannot be understood" in said
    assert "restore a copy" in said


def test_a_ledger_that_was_edited_stops_what_would_append(told: Told) -> None:
    """Nobody can be paused on a record that proves nothing: it says so, and what to do."""
    Store.open("sqlite:///.stackmend/dev.db").pause("dev", reason="x", who="me")
    with closing(sqlite3.connect(".stackmend/dev.db")) as connection:
        connection.execute("UPDATE ledger SET payload = 'half'")
        connection.commit()
    assert "does not verify, so nothing can be appended" in told("pause --reason x")


def test_findings_keep_their_exit_code(monkeypatch: pytest.MonkeyPatch) -> None:
    """2 is left to --detailed-exitcode."""

    def found(**_: object) -> None:
        raise Findings(FINDINGS_EXIT)

    monkeypatch.setattr(cli, "app", found)
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == FINDINGS_EXIT


@pytest.mark.parametrize(
    ("mode", "found", "code"),
    [
        ("repair", finding(ACME), 2),
        ("propose", finding(ACME), 2),
        ("observe", finding(ACME), 2),
        ("repair", finding(ACME, verdict=Verdict.UNKNOWN), 0),
        ("repair", finding(ACME, verdict=Verdict.PASS), 0),
    ],
)
def test_a_plan_with_findings_exits_as_a_scan_does(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], mode: str, found: Finding, code: int
) -> None:
    """--detailed-exitcode: 2 if anything fails, also what waits for consent or is held back; UNKNOWN is no failure."""
    made = planned(scan(cell(ACME), found), Policy(modes=(ModeRule(Selector(tenant="*"), Mode(mode)),)))
    monkeypatch.setattr(passes, "open_cycle", lambda _: nullcontext(SimpleNamespace(plan=lambda **_: made)))
    monkeypatch.setattr(sys, "argv", ["stackmend", "plan", "-o", "json", "--detailed-exitcode"])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert (ended.value.code, capsys.readouterr().err) == (code, "")


def test_an_account_without_a_name_can_use_every_command(
    told: Told, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As in a container that runs under a number: what it decides is recorded under that number."""
    monkeypatch.setattr(os, "getuid", lambda: 54321)
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.delenv(name, raising=False)
    for command in COMMANDS[:4]:
        assert "the Pulumi CLI is not on the PATH" in told(command)
    monkeypatch.setattr(sys, "argv", ["stackmend", "pause", "--reason", "x", "-o", "json"])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 0
    assert json.loads(capsys.readouterr().out)["pauses"][0]["who"].startswith("uid 54321@")

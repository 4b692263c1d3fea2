"""Reading a stack through the CLI: the right questions, in the right order, and clear answers when there is none."""

from __future__ import annotations

import json
import stat
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.declare.source import StackSource, read_history
from reconciler.errors import EngineError, StateError
from reconciler.model import UNDO
from reconciler.settings import Settings
from tests.unit.declare_worlds import resource, state, urn

CLI = """#!{python}
import json, pathlib, sys
home = pathlib.Path({home!r})
arguments = sys.argv[1:]
with (home / "asked").open("a") as asked:
    asked.write(json.dumps(arguments) + "\\n")
if arguments == ["version"]:
    print("v3.259.0")
elif (home / "error").exists():
    sys.exit((home / "error").read_text())
elif "history" in arguments:
    page, size = (int(arguments[arguments.index(flag) + 1]) for flag in ("--page", "--page-size"))
    print(json.dumps(json.loads((home / "history").read_text())[(page - 1) * size : page * size]))
else:
    print((home / "export").read_text())
"""


def entry(kind: str, second: int, result: str = "succeeded", **more: Any) -> dict[str, Any]:
    """A history entry that began and ended in this second of one minute."""
    time = f"2026-03-01T00:00:{second:02}.000Z"
    return {"kind": kind, "result": result, "startTime": time, "endTime": time, "version": 0, "environment": {}} | more


TARGETED: dict[str, Any] = {"environment": {"pulumi.flag.target": "set"}}


class Backend:
    """A stand-in for the CLI, with what it answers."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.answer(state([resource("a")]), [entry("update", 1)])

    def answer(self, document: Any, history: list[dict[str, Any]]) -> None:
        (self.home / "export").write_text(document if isinstance(document, str) else json.dumps(document))
        (self.home / "history").write_text(json.dumps(history))

    def fail(self, words: str) -> None:
        (self.home / "error").write_text(words)

    def asked(self) -> list[list[str]]:
        return [json.loads(line) for line in (self.home / "asked").read_text().splitlines()]

    def source(self, **settings: Any) -> StackSource:
        return StackSource(Settings(cell="dev", project_dir=self.home, **settings))


@pytest.fixture
def backend(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Backend:
    cli = tmp_path / "bin" / "pulumi"
    cli.parent.mkdir()
    cli.write_text(CLI.format(python=sys.executable, home=str(tmp_path)))
    cli.chmod(cli.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", str(cli.parent))
    return Backend(tmp_path)


def test_a_stack_is_read(backend: Backend) -> None:
    """The state and the moment of the last update come together, and settings outrank what the state tells."""
    declared = backend.source().load()
    assert list(declared.resources) == [urn("a")]
    assert declared.version == int(datetime(2026, 3, 1, 0, 0, 1, tzinfo=UTC).timestamp())
    assert (declared.account, declared.region) == ("123456789012", "eu-west-1")
    overruled = backend.source(account="999999999999", region="us-east-1").load()
    assert (overruled.account, overruled.region) == ("999999999999", "us-east-1")


def test_reading_opens_no_secret_and_takes_no_lock(backend: Backend) -> None:
    """I13, I15: only ``stack history`` and then ``stack export`` are run, for this stack, without showing secrets."""
    source = backend.source()
    source.load()
    source.load()
    asked = backend.asked()
    commands = [arguments[1:3] for arguments in asked if arguments != ["version"]]
    assert commands == [["stack", "history"], ["stack", "export"]] * 2
    assert "--show-secrets" not in str(asked)
    assert all(arguments[-2:] == ["--stack", "dev"] for arguments in asked if arguments != ["version"])


def test_another_look_reads_the_state_alone(backend: Backend) -> None:
    """A state that has not changed is taken as it was read, without its history; one that has is read as a whole."""
    source = backend.source()
    first = source.again()
    assert source.again() is first
    backend.answer(state([resource("a"), resource("b")]), [entry("update", 2)])
    second = source.again()
    assert list(second.resources) == [urn("a"), urn("b")]
    assert source.recorded >= {urn("a"), urn("b")}
    commands = [arguments[2] for arguments in backend.asked() if arguments != ["version"]]
    assert commands == ["history", "export", "export", "export", "history", "export"]


def test_a_baseline_is_applied(backend: Backend) -> None:
    """After a refresh the baseline stands; a targeted repair's own resource, written in its time, is believed."""
    baseline = backend.source().load()
    refreshed = resource("a", inputs={"cidrBlock": "live"}, modified="2026-03-01T00:00:02.5Z")
    repaired = resource("b", inputs={"vpcId": "new"}, modified="2026-03-01T00:00:03.123456789Z")
    history = [entry("update", 3, **TARGETED), entry("refresh", 2), entry("update", 1)]
    backend.answer(state([refreshed, repaired]), history)
    stands = backend.source().load(baseline)
    assert stands.resources[urn("a")].inputs == {"cidrBlock": "10.0.0.0/16"}
    assert stands.resources[urn("b")].inputs == {"vpcId": "new"}
    assert [(change.urn, change.property) for change in stands.tampered] == [(urn("a"), "cidrBlock")]


def test_the_history_is_read_as_far_as_needed(backend: Backend) -> None:
    """However many targeted repairs came since, the last full update is found, on whatever page."""
    repairs = [entry("update", 2, **TARGETED)] * 120
    backend.answer(state(), [*repairs, entry("update", 1), *([entry("update", 0)] * 200)])
    assert backend.source().load().version == int(datetime(2026, 3, 1, 0, 0, 1, tzinfo=UTC).timestamp())
    assert sum("history" in arguments for arguments in backend.asked()) == 3


@pytest.mark.parametrize(
    ("words", "message", "todo"),
    [
        ("error: no stack named 'dev' found", "no such stack", "Check cell"),
        ("error: incorrect passphrase", "incorrect passphrase", "PULUMI_CONFIG_PASSPHRASE"),
        ("error: PULUMI_ACCESS_TOKEN must be set for login", "must be set", "pulumi login"),
        ('error: unable to open state directory "file:///x"', "unable to open", "PULUMI_BACKEND_URL"),
        ("error: if you're using the --stack flag, pass the fully qualified name", "fully qualified", "project_dir"),
        ("error: dial tcp: connection refused", "could not be read", "availability"),
    ],
)
def test_a_stack_that_cannot_be_read_says_why(backend: Backend, words: str, message: str, todo: str) -> None:
    """F22: each way in which the backend does not answer is a StateError with what to do; nothing counts as empty."""
    backend.fail(words)
    with pytest.raises(StateError, match=message) as caught:
        backend.source().load()
    assert todo in caught.value.todo
    assert "dev" in caught.value.where


def test_what_the_cli_prints_is_scrubbed(backend: Backend) -> None:
    """I13: a credential in the CLI's own words does not reach the error."""
    backend.fail("error: s3://key?password=hunter2hunter2 refused")
    with pytest.raises(StateError) as caught:
        backend.source().load()
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("text", ['{"version": 3, "deploy', "[" * 100_000 + "]" * 100_000], ids=["half", "endless"])
def test_an_export_that_is_no_json_is_refused(backend: Backend, text: str) -> None:
    """F45: half a document is an error, not half a declaration; so is one that is nested without end."""
    backend.answer(text, [])
    with pytest.raises(StateError, match="did not print JSON"):
        backend.source().load()


def test_a_missing_cli_is_an_engine_error(backend: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a Pulumi CLI on the PATH the error says so and how to get one."""
    monkeypatch.setenv("PATH", str(backend.home))
    with pytest.raises(EngineError, match="CLI is not on the PATH"):
        backend.source().load()


def test_a_missing_folder_is_not_taken_for_a_missing_cli(backend: Backend) -> None:
    """A project folder that does not exist is named."""
    source = StackSource(Settings(cell="dev", project_dir=backend.home / "nowhere"))
    with pytest.raises(StateError, match="no such folder"):
        source.load()


@pytest.mark.parametrize("version", ["v2.0.0", "v3.258.9", "v4.0.0"])
def test_an_outdated_cli_is_refused(backend: Backend, version: str) -> None:
    """A CLI older than the SDK, or of another major version, is an EngineError with both versions."""
    cli = backend.home / "bin" / "pulumi"
    cli.write_text(cli.read_text().replace("v3.259.0", version))
    with pytest.raises(EngineError, match=rf"cannot be used[\s\S]*it is {version[1:]}; needed is 3"):
        backend.source().load()


def test_only_successful_updates_declare() -> None:
    """Refreshes, imports, previews and failed or unfinished updates do not make a new declaration; a destroy does."""
    others = [
        entry("refresh", 9),
        entry("import", 8),
        entry("preview", 7),
        entry("update", 6, result="failed"),
        entry("update", 5, result="in-progress", endTime=None),
    ]
    history = read_history(iter([*others, entry("destroy", 4), entry("update", 1)]))
    assert history.version == int(datetime(2026, 3, 1, 0, 0, 4, tzinfo=UTC).timestamp())
    assert history.partial == ()
    assert read_history(iter(others)).version == 0


def test_a_backends_own_number_is_used() -> None:
    """Where the backend numbers its updates, that number is the version."""
    assert read_history(iter([entry("update", 1, version=42)])).version == 42


@pytest.mark.parametrize("flag", ["pulumi.flag.target", "pulumi.flag.exclude", "pulumi.flag.target-replace"])
def test_a_failed_partial_update_declares_nothing(flag: str) -> None:
    """What a partial update wrote counts only if it succeeded: its refresh may have come first."""
    narrowed: dict[str, Any] = {"environment": {flag: "set"}}
    history = read_history(iter([entry("update", 5, result="failed", **narrowed), entry("update", 3, **narrowed)]))
    assert not history.wrote(datetime(2026, 3, 1, 0, 0, 5, tzinfo=UTC))
    assert history.wrote(datetime(2026, 3, 1, 0, 0, 3, 999_000, tzinfo=UTC))
    assert not history.wrote(None)


def test_what_took_a_repair_back_declares_nothing() -> None:
    """Its values are those that somebody wrote by hand: they do not become the declaration by being brought back."""
    narrowed: dict[str, Any] = {"environment": {"pulumi.flag.target": "set"}}
    history = read_history(iter([entry("update", 5, message=UNDO, **narrowed), entry("update", 3, **narrowed)]))
    assert not history.wrote(datetime(2026, 3, 1, 0, 0, 5, 500_000, tzinfo=UTC))
    assert history.wrote(datetime(2026, 3, 1, 0, 0, 3, 500_000, tzinfo=UTC))


KINDS = st.sampled_from(["update", "refresh", "destroy", "import"])


@given(st.lists(st.tuples(KINDS, st.booleans(), st.booleans()), max_size=12))
def test_the_version_is_that_of_the_newest_full_success(past: list[tuple[str, bool, bool]]) -> None:
    """For any history the version names the newest successful update or destroy of the whole stack."""
    entries = [
        entry(kind, 59 - i, "succeeded" if good else "failed", **(TARGETED if part else {}))
        for i, (kind, good, part) in enumerate(past)
    ]
    full = [59 - i for i, (kind, good, part) in enumerate(past) if kind in {"update", "destroy"} and good and not part]
    expected = int(datetime(2026, 3, 1, 0, 0, full[0], tzinfo=UTC).timestamp()) if full else 0
    assert read_history(iter(entries)).version == expected

"""The engine as a process, with a shell script in its place: how it ends, and what it leaves running."""

from __future__ import annotations

import os
import threading
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pulumi.automation.errors import CommandError, ConcurrentUpdateError

from reconciler.act.process import EngineCommand, EngineStopped, EngineTimeout, session_members
from reconciler.errors import EngineError, StoreError


@pytest.fixture
def place(tmp_path: Path) -> Path:
    os.mkfifo(tmp_path / "reached")
    return tmp_path


def command(place: Path, script: str, *, timeout: float = 60, grace: float = 30) -> EngineCommand:
    """A Pulumi that answers ``version`` and otherwise runs ``script``."""
    cli = place / "pulumi"
    cli.write_text(f'#!/bin/sh\n[ "$1" = version ] && echo v3.259.0 && exit\n{script}\n')
    cli.chmod(0o755)
    return EngineCommand({"PATH": f"{place}{os.pathsep}{os.environ['PATH']}"}, timeout=timeout, grace=grace)


def run(cli: EngineCommand, place: Path) -> str:
    return cli.run(["up"], str(place), {}).stdout


def test_output_environment_and_arguments(place: Path) -> None:
    """The command runs non-interactively, in its directory, with the given variables; both outputs come back."""
    cli = command(place, 'echo "$* $WHO $(basename $PWD)"; echo warned >&2')
    cli.scope({"WHO": "acme"})
    lines: list[str] = []
    result = cli.run(["up"], str(place), {}, on_output=lines.append)
    assert result.stdout == f"--non-interactive up acme {place.name}"
    assert (result.stderr, lines) == ("warned", [result.stdout])
    cli.scope({})
    assert "acme" not in run(cli, place)


@pytest.mark.parametrize(
    ("message", "error"),
    [("error: the stack is currently locked by 1 lock(s)", ConcurrentUpdateError), ("error: no", CommandError)],
)
def test_failures_are_the_automation_api_s_own(place: Path, message: str, error: type[Exception]) -> None:
    """A failing command raises what Automation API would raise, so that locks are told apart from the rest."""
    with pytest.raises(error):
        run(command(place, f'echo "{message}" >&2; exit 255'), place)


class Notes:
    """What was noted, in order. The engine at ``place`` waits until it is."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.told: list[str] = []

    def began(self, pid: int, since: datetime) -> None:
        assert pid in session_members(pid)
        assert since <= datetime.now(UTC)
        self.told.append("began")
        (self.place / "reached").write_text("")

    def ended(self) -> None:
        self.told.append("ended")


@pytest.mark.parametrize(
    ("end", "told"), [("exit 0", ["began", "ended"]), ("exit 255", ["began"]), ("kill -9 $$", ["began"])]
)
def test_an_engine_that_takes_the_lock_is_noted(place: Path, end: str, told: list[str]) -> None:
    """It is noted while it runs, and forgotten only if all went well: any other may have left its lock (F40). A run
    that takes no lock is not noted."""
    notes = Notes(place)
    cli = command(place, f'[ -n "$LOCKS" ] && {{ cat reached; {end}; }}; exit 0')
    cli.scope({"LOCKS": "1"}, notes=notes)
    with suppress(CommandError):
        run(cli, place)
    assert notes.told == told
    cli.scope({})
    run(cli, place)
    assert notes.told == told


def test_an_engine_that_cannot_be_noted_does_not_go_on(place: Path) -> None:
    """If its lock could not be told from a stranger's after a crash, the engine is ended before it has written."""

    class Broken(Notes):
        def began(self, pid: int, since: datetime) -> None:  # noqa: ARG002
            self.told.append(str(pid))
            raise StoreError("could not be written")

    notes = Broken(place)
    cli = command(place, "cat reached")
    cli.scope({}, notes=notes)
    with pytest.raises(StoreError):
        run(cli, place)
    assert session_members(int(notes.told[0])) == []


def test_without_a_cli(tmp_path: Path) -> None:
    """No Pulumi on the PATH is an error that says what to do."""
    with pytest.raises(EngineError, match="not on the PATH"):
        EngineCommand({"PATH": str(tmp_path)}, timeout=1, grace=1)


def test_out_of_time_and_deaf(place: Path) -> None:
    """An engine that ignores the request to stop is killed, and its plugins with it (F19)."""
    pids = place / "pids"
    script = f"trap '' INT; sleep 600 & echo $$ $! > {pids}; while :; do wait; done"
    with pytest.raises(EngineTimeout, match="took longer"):
        run(command(place, script, timeout=1, grace=0.2), place)
    assert session_members(int(pids.read_text().split()[0])) == []


def test_killed_from_outside(place: Path) -> None:
    """An engine that is killed takes its plugins along: none of them may write any more (F24, F26)."""
    pids = place / "pids"
    with pytest.raises(CommandError):
        run(command(place, f"sleep 600 & echo $$ $! > {pids}; kill -9 $$"), place)
    assert session_members(int(pids.read_text().split()[0])) == []


def test_told_to_stop(place: Path) -> None:
    """Told to stop, the engine gets an interrupt, may finish, and nothing is started afterwards (F25)."""
    script = (
        f"trap 'echo finishing > {place}/end; exit 1' INT; echo here > {place}/reached; while :; do sleep 0.05; done"
    )
    cli = command(place, script)

    def stop() -> None:
        (place / "reached").read_text()
        cli.stop()

    thread = threading.Thread(target=stop)
    thread.start()
    with pytest.raises(EngineStopped):
        run(cli, place)
    thread.join()
    assert (place / "end").read_text() == "finishing\n"
    with pytest.raises(EngineStopped, match="not started any more"):
        run(cli, place)

"""The engine as a process: its own session, a time limit, and an end that does not lose what is in flight.

The engine's plugins outlive an engine that is killed, and a provider that lives on may still write. So the engine
leads a session of its own, and whoever kills it ends the whole session. Told to stop, it is asked first: it finishes
the operations in flight, records them, and starts no others.
"""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import IO, Any

from pulumi.automation import CommandResult, OnOutput
from pulumi.automation.errors import create_command_error

from reconciler.errors import EngineError
from reconciler.ports import EngineNotes
from reconciler.pulumi_cli import PulumiCli

_PROC = Path("/proc")


class EngineStopped(EngineError):
    """The engine was told to stop and did, after the operations in flight."""


class EngineTimeout(EngineError):
    """The engine ran longer than it may and was stopped."""


class EngineCommand(PulumiCli):
    """The Pulumi CLI found on the engine's own PATH, run in a session of its own.

    ``timeout`` and ``grace`` are seconds: how long a command may run, and how long it may take to stop when asked.
    """

    def __init__(self, env: Mapping[str, str], *, timeout: float, grace: float) -> None:
        self._env = {**os.environ, **env}
        super().__init__(self._env)
        self._timeout, self._grace = timeout, grace
        self._process: subprocess.Popen[str] | None = None
        self._stopping = False
        self._scope: dict[str, str] = {}
        self._client: str | None = None
        self._notes: EngineNotes | None = None

    def scope(self, env: Mapping[str, str], client: str | None = None, notes: EngineNotes | None = None) -> None:
        """For the next runs, in place of the last scope: variables, the address of a program that is ready, and, for a
        run that takes the stack's lock, where that is noted."""
        self._scope, self._client, self._notes = dict(env), client, notes

    @property
    def environment(self) -> Mapping[str, str]:
        """What a run of the engine gets, but for its scope."""
        return self._env

    def stop(self) -> None:
        """Ask the engine, if it runs, to end after the operations in flight. Nothing is started any more."""
        self._stopping = True
        self._interrupt()

    def _interrupt(self) -> None:
        """Told to stop before or after the process is there, the engine gets one interrupt: two would be an abort."""
        if not self._stopping:
            return
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(signal.SIGINT)

    def run(
        self,
        args: list[str],
        cwd: str,
        additional_env: Mapping[str, str],
        on_output: OnOutput | None = None,
        on_error: OnOutput | None = None,
    ) -> CommandResult:
        """Run one command to its end. Raises CommandError, EngineStopped or EngineTimeout."""
        command = [self.command, "--non-interactive", *args, *([f"--client={self._client}"] if self._client else [])]
        env = {**self._env, **additional_env, "PULUMI_AUTOMATION_API": "true", **self._scope}
        if self._stopping:
            raise EngineStopped(f"`pulumi {args[0]}` is not started any more")
        since = datetime.now(UTC)
        with (
            _stopped_by_signals(self.stop),
            subprocess.Popen(
                command,
                cwd=cwd,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                encoding="utf-8",
                errors="replace",
                start_new_session=True,
            ) as process,
        ):
            self._process = process
            self._interrupt()
            out, err = _Lines(process.stdout, on_output), _Lines(process.stderr, on_error)
            try:
                if self._notes is not None:
                    self._notes.began(process.pid, since)
                in_time = self._wait(process)
            finally:
                self._process = None
                if process.returncode != 0:
                    end_session(process.pid)
            result = CommandResult(stdout=out.text(), stderr=err.text(), code=process.returncode)
        if not in_time:
            raise EngineTimeout(f"`pulumi {args[0]}` took longer than {self._timeout:.0f} s and was stopped")
        if result.code != 0:
            if self._stopping:
                raise EngineStopped(f"`pulumi {args[0]}` was told to stop")
            raise create_command_error(result)
        if self._notes is not None:
            self._notes.ended()
        return result

    def _wait(self, process: subprocess.Popen[str]) -> bool:
        """Whether it ended by itself. Whatever interrupts the waiting, nothing is left running."""
        try:
            process.wait(self._timeout)
        except subprocess.TimeoutExpired:
            self._end(process)
            return False
        except BaseException:
            self._end(process)
            raise
        return True

    def _end(self, process: subprocess.Popen[str]) -> None:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(self._grace)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def end_session(leader: int) -> None:
    """Kill every process of the session that ``leader`` began, and wait until they are gone, for 5 s at most.

    Does nothing where the system has no ``/proc``.
    """
    if not _PROC.is_dir() or leader == os.getsid(0):
        return
    for _ in range(100):
        left = session_members(leader)
        if not left:
            return
        for pid in left:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.05)


def session_members(leader: int) -> list[int]:
    """The living processes of a session."""
    found = []
    for entry in _PROC.iterdir():
        if entry.name.isdigit():
            with suppress(FileNotFoundError, ProcessLookupError):
                state, _, _, session = (entry / "stat").read_text().rpartition(")")[2].split()[:4]
                if int(session) == leader and state != "Z":
                    found.append(int(entry.name))
    return found


class _Lines:
    """Reads a pipe to its end on a thread of its own."""

    def __init__(self, pipe: IO[str] | None, told: OnOutput | None) -> None:
        self._pipe, self._told = pipe, told
        self._lines: list[str] = []
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        for line in self._pipe or ():
            self._lines.append(line.rstrip())
            if self._told is not None:
                self._told(self._lines[-1])

    def text(self) -> str:
        self._thread.join(timeout=10)
        return "\n".join(self._lines)


@contextmanager
def _stopped_by_signals(stop: Callable[[], None]) -> Iterator[None]:
    """SIGTERM and SIGINT reach ``stop`` first, and what handled them before once the engine has ended.

    Only the main thread may install handlers. A side effect is wanted too: a child never inherits an ignored SIGINT,
    under which the engine's plugins would not end.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    received: list[int] = []

    def receive(number: int, _: FrameType | None) -> None:
        received.append(number)
        stop()

    before: dict[int, Any] = {n: signal.signal(n, receive) for n in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        for number in dict.fromkeys(received):
            if before[number] is signal.SIG_DFL:
                raise SystemExit(128 + number)
            signal.raise_signal(number)

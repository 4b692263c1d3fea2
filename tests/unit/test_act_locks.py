"""Who holds the stack's lock, and which locks are removed."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from reconciler.act import recovery
from reconciler.act.locks import Died, Holder, lock_directory, locks
from reconciler.errors import EngineLocked
from reconciler.record.engines import Engines
from reconciler.record.process import process_of, this_process
from tests.unit.record_worlds import Time, open_store

NOW = datetime(2026, 1, 1, tzinfo=UTC)

needs_proc = pytest.mark.skipif(not this_process().boot, reason="only Linux tells whether a process is dead")


def lock(directory: Path, text: str | None = None, name: str = "one", **fields: Any) -> Path:
    directory.mkdir(parents=True, exist_ok=True)
    holder = {"pid": 1, "hostname": socket.gethostname(), "username": "eve", "timestamp": "2026-01-01T00:00:00Z"}
    file = directory / f"{name}.json"
    file.write_text(json.dumps({**holder, **fields}) if text is None else text)
    (directory / f"{name}.json.attrs").write_text("{}")
    os.utime(file, (NOW.timestamp() - 3600,) * 2)
    return file


def dead_pid() -> int:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    return process.pid


@pytest.mark.parametrize(
    ("backend", "expected"),
    [
        ("file:///srv/state", Path("/srv/state/.pulumi/locks/organization/p/s")),
        ("file://~", Path.home() / ".pulumi/locks/organization/p/s"),
        ("file:///srv/a%20b?no_tmp_dir=true", Path("/srv/a b/.pulumi/locks/organization/p/s")),
        ("s3://bucket/state", None),
        ("https://api.pulumi.com", None),
    ],
)
def test_only_file_backends_have_a_lock_directory(backend: str, expected: Path | None) -> None:
    """Where the lock files are; other backends are never judged from here."""
    assert lock_directory(backend, "p", "s") == expected


def never(host: str, pid: int, taken: datetime) -> bool:
    """Nothing is known of any engine."""
    return False


@pytest.fixture
def engines(tmp_path: Path) -> Iterator[Engines]:
    """The notes of this product's engines, in a store of its own."""
    with open_store(tmp_path / "record", Time()) as store:
        yield Engines(store, "dev", process_of)


def noted(engines: Engines, pid: int = 4711, since: datetime = NOW, **fields: Any) -> None:
    """An engine that was started here and is dead, unless ``fields`` of its process say otherwise."""
    one = replace(this_process(), pid=pid, started="1", **fields)
    Engines(engines._database, "dev", lambda _: one).began(pid, since)


@pytest.mark.parametrize("pid", [dead_pid(), os.getpid(), 10**30], ids=["dead", "another program", "no number"])
@pytest.mark.parametrize("host", [socket.gethostname(), "elsewhere.example"])
def test_a_lock_of_which_nothing_is_known_is_somebody_else_s(tmp_path: Path, pid: int, host: str) -> None:
    """No process here has the number, or another program has it: that says nothing of a container's or of another
    machine's engine, whatever the host is called (I01)."""
    lock(tmp_path, pid=pid, hostname=host)
    assert [one.holder for one in locks(tmp_path, now=NOW, died=never)] == [Holder.ELSEWHERE]


@needs_proc
@pytest.mark.parametrize(
    ("process", "fields", "holder"),
    [
        ({}, {}, Holder.DEAD),
        ({"since": NOW - timedelta(seconds=20)}, {}, Holder.DEAD),
        ({}, {"timestamp": "2026-01-01T01:00:00.123456789+01:00"}, Holder.DEAD),
        ({"pid": 4712}, {}, Holder.ELSEWHERE),
        ({}, {"pid": 10**30}, Holder.ELSEWHERE),
        ({}, {"hostname": "elsewhere.example"}, Holder.ELSEWHERE),
        ({"namespace": "pid:[1]"}, {}, Holder.ELSEWHERE),
        ({"boot": "another"}, {}, Holder.ELSEWHERE),
        ({"since": NOW + timedelta(seconds=1)}, {}, Holder.ELSEWHERE),
        ({"since": NOW - timedelta(hours=1)}, {}, Holder.ELSEWHERE),
        ({}, {"timestamp": "yesterday"}, Holder.ELSEWHERE),
        ({}, {"timestamp": "2026-01-01T00:00:00"}, Holder.ELSEWHERE),
    ],
)
def test_only_the_lock_of_a_noted_engine_can_be_a_dead_one_s(
    engines: Engines, tmp_path: Path, process: dict[str, Any], fields: dict[str, Any], holder: Holder
) -> None:
    """The number, the host, the time, the running kernel and its numbering all have to be those of the engine that was
    noted (F40, I01)."""
    noted(engines, **process)
    lock(tmp_path, **({"pid": 4711} | fields))
    assert [one.holder for one in locks(tmp_path, now=NOW, died=engines.died)] == [holder]


@needs_proc
def test_an_engine_that_lives_or_ended_by_itself_is_not_dead(engines: Engines) -> None:
    """A noted engine that runs is not dead, and of one that gave its lock back no lock is left to judge (I01)."""
    me = os.getpid()
    engines.began(me, NOW)
    assert not engines.died(socket.gethostname(), me, NOW)
    noted(engines)
    assert engines.died(socket.gethostname(), 4711, NOW)
    noted(engines, 4712)
    assert engines.died(socket.gethostname(), 4711, NOW), "an engine that met its lock has taken its place"
    engines.ended()
    assert not engines.died(socket.gethostname(), 4711, NOW)


@pytest.mark.parametrize("text", ["{{{", "", "[]", "{}", '{"pid": "x", "hostname": "h"}', "\x00\xff"])
def test_garbage(tmp_path: Path, text: str) -> None:
    """An unreadable lock file is garbage once it is old; a fresh one may be in the middle of being written (F41)."""
    file = lock(tmp_path, text)
    assert [one.holder for one in locks(tmp_path, now=NOW, died=never)] == [Holder.GARBAGE]
    os.utime(file, (NOW.timestamp() - 1,) * 2)
    assert [one.holder for one in locks(tmp_path, now=NOW, died=never)] == [Holder.ALIVE]


def unlock(
    directory: Path | None, died: Died = never, wait: Callable[[float], None] = lambda _: None
) -> tuple[str, ...]:
    ticks = iter(range(1000))
    return recovery.unlock(
        directory, patience=5, poll=1, now=lambda: NOW, clock=lambda: float(next(ticks)), wait=wait, died=died
    )


@needs_proc
def test_dead_and_garbage_locks_are_removed(engines: Engines, tmp_path: Path) -> None:
    """The lock of an engine of ours that died goes, and garbage, with their side files, and are named (F40, F41)."""
    noted(engines, dead := dead_pid())
    lock(tmp_path / "locks", pid=dead)
    lock(tmp_path / "locks", "{{{", name="two")
    removed = unlock(tmp_path / "locks", engines.died)
    assert "eve@" in removed[0]
    assert "unreadable" in removed[1]
    assert list((tmp_path / "locks").iterdir()) == []


@needs_proc
@pytest.mark.parametrize("host", [socket.gethostname(), "elsewhere.example"])
def test_a_lock_of_another_host_or_container_stays(engines: Engines, tmp_path: Path, host: str) -> None:
    """Nobody can tell from here whether that process lives: the lock stays, and the error says whose it is and what to
    do (I01)."""
    noted(engines, dead := dead_pid())
    mine = lock(tmp_path / "locks", pid=dead)
    theirs = lock(tmp_path / "locks", name="two", hostname=host, pid=2**22 + 1)
    with pytest.raises(EngineLocked, match=rf"(?s)eve@{host}.*pulumi cancel"):
        unlock(tmp_path / "locks", engines.died)
    assert (mine.exists(), theirs.exists()) == (False, True)


@needs_proc
def test_a_process_that_got_the_dead_engine_s_number_is_left_alone(engines: Engines, tmp_path: Path) -> None:
    """The dead engine's session is ended with its lock, but not a session that another process began under that number
    since (F40, I01)."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, start_new_session=True) as other:
        noted(engines, other.pid)
        file = lock(tmp_path / "locks", pid=other.pid)
        assert unlock(tmp_path / "locks", engines.died)
        assert not file.exists()
        other.communicate(b"\n")
    assert other.returncode == 0


def test_a_lock_that_is_released_meanwhile_is_waited_for(tmp_path: Path) -> None:
    """An engine that is still at work is waited for, and not disturbed (F44)."""
    file = lock(tmp_path, "{")
    os.utime(file, ((NOW + timedelta(seconds=1)).timestamp(),) * 2)
    assert unlock(tmp_path, wait=lambda _: file.unlink()) == ()


def test_no_lock_directory_is_no_lock(tmp_path: Path) -> None:
    """A stack that was never locked, or a backend without lock files, needs nothing."""
    assert unlock(tmp_path / "nothing") == unlock(None) == ()

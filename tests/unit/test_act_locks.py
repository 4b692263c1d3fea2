"""Who holds the stack's lock, and which locks are removed."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from reconciler.act import recovery
from reconciler.act.locks import Holder, lock_directory, locks
from reconciler.errors import EngineLocked

NOW = datetime(2026, 1, 1, tzinfo=UTC)


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


@pytest.mark.parametrize(
    ("fields", "holder"),
    [
        ({"pid": dead_pid()}, Holder.DEAD),
        ({"pid": os.getpid()}, Holder.DEAD),
        ({"pid": 10**30}, Holder.DEAD),
        ({"hostname": "elsewhere.example"}, Holder.ELSEWHERE),
        ({"pid": dead_pid(), "hostname": "elsewhere.example"}, Holder.ELSEWHERE),
    ],
)
def test_holders(tmp_path: Path, fields: dict[str, Any], holder: Holder) -> None:
    """A dead process, a number that another program has now, and a process on another host (F40)."""
    lock(tmp_path, **fields)
    assert [one.holder for one in locks(tmp_path, now=NOW)] == [holder]


@pytest.mark.parametrize("text", ["{{{", "", "[]", "{}", '{"pid": "x", "hostname": "h"}', "\x00\xff"])
def test_garbage(tmp_path: Path, text: str) -> None:
    """An unreadable lock file is garbage once it is old; a fresh one may be in the middle of being written (F41)."""
    file = lock(tmp_path, text)
    assert [one.holder for one in locks(tmp_path, now=NOW)] == [Holder.GARBAGE]
    os.utime(file, (NOW.timestamp() - 1,) * 2)
    assert [one.holder for one in locks(tmp_path, now=NOW)] == [Holder.ALIVE]


def unlock(directory: Path | None, wait: Callable[[float], None] = lambda _: None) -> tuple[str, ...]:
    ticks = iter(range(1000))
    return recovery.unlock(directory, patience=5, poll=1, now=lambda: NOW, clock=lambda: float(next(ticks)), wait=wait)


def test_dead_and_garbage_locks_are_removed(tmp_path: Path) -> None:
    """The locks of dead processes go, with their side files, and are named (F40, F41)."""
    lock(tmp_path, pid=dead_pid())
    lock(tmp_path, "{{{", name="two")
    removed = unlock(tmp_path)
    assert "eve@" in removed[0]
    assert "unreadable" in removed[1]
    assert list(tmp_path.iterdir()) == []


def test_a_lock_of_another_host_stays(tmp_path: Path) -> None:
    """Nobody can tell from here whether that process lives: the lock stays, and the error says whose it is (I01)."""
    mine = lock(tmp_path, pid=dead_pid())
    theirs = lock(tmp_path, name="two", hostname="elsewhere.example")
    with pytest.raises(EngineLocked, match=r"elsewhere\.example"):
        unlock(tmp_path)
    assert (mine.exists(), theirs.exists()) == (False, True)


def test_a_lock_that_is_released_meanwhile_is_waited_for(tmp_path: Path) -> None:
    """An engine that is still at work is waited for, and not disturbed (F44)."""
    file = lock(tmp_path, "{")
    os.utime(file, ((NOW + timedelta(seconds=1)).timestamp(),) * 2)
    assert unlock(tmp_path, wait=lambda _: file.unlink()) == ()


def test_no_lock_directory_is_no_lock(tmp_path: Path) -> None:
    """A stack that was never locked, or a backend without lock files, needs nothing."""
    assert unlock(tmp_path / "nothing") == unlock(None) == ()

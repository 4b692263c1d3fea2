"""Who holds the stack's lock in a file backend: a process that lives, an engine of ours that died, or nobody can tell.

The engine keeps one JSON file a lock under ``.pulumi/locks/organization/<project>/<stack>/`` with ``pid``,
``hostname``, ``username`` and ``timestamp``. Other backends are never judged from here. A number that no process here
has proves no death: containers have numbers of their own, and two machines may bear one name. Only of an engine that
this product started and noted (``Died``) is it known where its number counts.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import TypeAlias
from urllib.parse import unquote, urlsplit

from reconciler.errors import EngineLocked

_SETTLING_SECONDS = 60.0
"""A lock file that cannot be read may be one that is being written; older than this it is garbage."""


class Holder(StrEnum):
    ALIVE = "alive"
    DEAD = "dead"
    ELSEWHERE = "elsewhere"
    GARBAGE = "garbage"


Died: TypeAlias = Callable[[str, int, datetime], bool]
"""Whether the engine of that host and number that took a lock at that moment is one of ours, and certainly dead."""


@dataclass(frozen=True, slots=True)
class Lock:
    """One lock file, and what can be said of the process that wrote it."""

    path: Path
    holder: Holder
    pid: int = 0
    words: str = ""


def lock_directory(backend: str, project: str, stack: str) -> Path | None:
    """Where a file backend keeps the locks of a stack; None for any other backend."""
    parts = urlsplit(backend)
    if parts.scheme != "file":
        return None
    root = Path(unquote(parts.netloc + parts.path)).expanduser()
    return root / ".pulumi" / "locks" / "organization" / project / stack


def locks(directory: Path, *, now: datetime, died: Died) -> tuple[Lock, ...]:
    """All locks of a stack. Raises EngineLocked if the directory cannot be read."""
    if not directory.is_dir():
        return ()
    try:
        return tuple(_judged(path, now, died) for path in sorted(directory.glob("*.json")))
    except OSError as error:
        raise EngineLocked("the lock cannot be read", where=str(directory), why=str(error)) from error


def release(lock: Lock) -> None:
    """Remove one lock file and nothing else: a lock that somebody took meanwhile stays."""
    lock.path.unlink(missing_ok=True)
    lock.path.with_name(lock.path.name + ".attrs").unlink(missing_ok=True)


def _judged(path: Path, now: datetime, died: Died) -> Lock:
    text = path.read_bytes()
    try:
        document = json.loads(text)
        pid, host = int(document["pid"]), str(document["hostname"])
        words = f"{document.get('username', '?')}@{host}, process {pid}, since {document.get('timestamp', '?')}"
    except (ValueError, KeyError, TypeError):
        age = now.timestamp() - path.stat().st_mtime
        if age < _SETTLING_SECONDS:
            return Lock(path, Holder.ALIVE, words="a lock file that is being written")
        return Lock(path, Holder.GARBAGE, words=f"an unreadable lock file, {age:.0f} s old")
    if (taken := _moment(document.get("timestamp"))) is not None and died(host, pid, taken):
        return Lock(path, Holder.DEAD, pid, words)
    here = host == socket.gethostname() and _alive(pid)
    return Lock(path, Holder.ALIVE if here else Holder.ELSEWHERE, pid, words)


def _moment(stamp: object) -> datetime | None:
    try:
        taken = datetime.fromisoformat(str(stamp))
    except ValueError:
        return None
    return taken if taken.tzinfo is not None else None


def _alive(pid: int) -> bool:
    """Whether an engine with this number runs here; a number that another program got since then does not count."""
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        # Gone just now, or a system without /proc, where the number is all there is to go by.
        return not Path("/proc/self").exists()
    name, _, rest = stat.partition("(")[2].rpartition(")")
    return name.startswith("pulumi") and rest.split()[0] != "Z"

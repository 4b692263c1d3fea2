"""Which process holds a lease or a lock, so exactly that another can know whether it is dead, and who runs this one.

A host name and a process number are not enough: numbers are reused, containers have numbers of their own, and two
machines may bear one name. Only what the very same running kernel says about the very same process counts.
"""

from __future__ import annotations

import os
import pwd
import socket
from dataclasses import dataclass
from pathlib import Path

_PROC = Path("/proc")


@dataclass(frozen=True, slots=True)
class Process:
    """``boot``, ``namespace`` and ``started`` are empty where the system does not tell them."""

    host: str
    pid: int
    boot: str = ""
    """The kernel's boot id: equal only on the same machine since the same start."""
    namespace: str = ""
    """The process-number namespace."""
    started: str = ""
    """When the process started, in clock ticks since boot."""


def this_process() -> Process:
    return process_of(os.getpid())


def process_of(pid: int) -> Process:
    """A process of this machine, by the number that it has here."""
    started = _state(pid)
    return Process(socket.gethostname(), pid, _boot(), _namespace(), started[1] if started else "")


def this_person() -> str:
    """The account that runs this process, and its machine, as the system says; the environment could say anything."""
    number = os.getuid()
    try:
        account = pwd.getpwuid(number).pw_name
    except KeyError:
        account = f"uid {number}"
    return f"{account}@{socket.gethostname()}"


def is_dead(process: Process) -> bool:
    """Whether the process certainly runs no more. False whenever that cannot be known from here."""
    if not (process.boot and process.namespace and process.started):
        return False
    if process.boot != _boot() or process.namespace != _namespace():
        return False
    state = _state(process.pid)
    if state is None:
        return not (_PROC / str(process.pid)).exists()
    return state[1] != process.started or (state[0] in "ZX" and _threads(process.pid) <= 1)


def _boot() -> str:
    try:
        return (_PROC / "sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


def _namespace() -> str:
    try:
        return str((_PROC / "self/ns/pid").readlink())
    except OSError:
        return ""


def _state(pid: int) -> tuple[str, str] | None:
    """The state letter and the start time, fields 3 and 22 of proc(5) ``stat``; the name before may hold anything."""
    try:
        fields = (_PROC / str(pid) / "stat").read_text("utf-8", "replace").rpartition(")")[2].split()
        return fields[0], fields[19]
    except (OSError, IndexError):
        return None


def _threads(pid: int) -> int:
    try:
        return sum(1 for _ in (_PROC / str(pid) / "task").iterdir())
    except OSError:
        return 0

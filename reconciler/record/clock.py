"""Time as a value to hand in: the wall clock says when things happened, the steady clock how long they took."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime


def _utc() -> datetime:
    return datetime.now(UTC)


def _steady() -> float:
    """Seconds since boot. Unlike ``time.monotonic`` they also pass while the machine sleeps, as leases do."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()


@dataclass(frozen=True, slots=True)
class Clock:
    """Both clocks. ``now`` may jump (NTP, an operator); ``steady`` never does, but means nothing to another machine."""

    now: Callable[[], datetime] = _utc
    steady: Callable[[], float] = _steady


def text(moment: datetime) -> str:
    """UTC, in ISO 8601 with microseconds always: such texts sort as the moments do."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds")


def moment(stored: str) -> datetime:
    """The inverse of ``text``."""
    return datetime.fromisoformat(stored)

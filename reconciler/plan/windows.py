"""When repairs may happen: maintenance windows in local time, and freezes.

A window takes place once on each of its days, at its wall-clock times. Where the clocks change, a time that does not
exist is moved by the change, and of one that exists twice the first is meant.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from reconciler.model import Deadline
from reconciler.plan.selectors import Selector, Subject

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Window:
    """One entry of ``[[windows]]``. An ``end`` at or before ``start`` is on the next day; ``end`` None is midnight."""

    selector: Selector
    days: frozenset[str]
    start: time
    end: time | None
    zone: ZoneInfo
    critical: bool = False
    """Whether a repair of something critical need not wait for it."""

    def holds(self, now: datetime) -> bool:
        local = now.astimezone(self.zone).date()
        return any(start <= now < end for start, end in map(self._on, (local - _DAY, local)) if start)

    def opens(self, now: datetime) -> datetime:
        """When it opens next. ``days`` is never empty, so it does within eight days."""
        local = now.astimezone(self.zone).date()
        # A clock change before midnight moves a start past it, so yesterday's may be still to come.
        starts = (self._on(local + n * _DAY)[0] for n in range(-1, 9))
        return min(start for start in starts if start and start > now)

    def ends(self, now: datetime) -> Sequence[datetime]:
        """When it ends after ``now``, as far as tomorrow."""
        local = now.astimezone(self.zone).date()
        ends = (end for start, end in (self._on(local + n * _DAY) for n in (-1, 0, 1)) if start)
        return [end for end in ends if end > now]

    def _on(self, day: date) -> tuple[datetime | None, datetime]:
        """The window that begins on a day, as instants; no start on a day that is none of its own."""
        over_night = self.end is None or self.end <= self.start
        start = datetime.combine(day, self.start, self.zone)
        end = datetime.combine(day + _DAY if over_night else day, self.end or time(), self.zone)
        first, last = start.astimezone(UTC), end.astimezone(UTC)
        if last <= first:
            # Only its start lies in an hour that does not exist. Within a zone, times subtract as the wall shows them.
            last = first + (end - start)
        return (first if DAYS[day.weekday()] in self.days else None), last

    def __str__(self) -> str:
        end = self.end.strftime("%H:%M") if self.end else "24:00"
        days = ", ".join(d for d in DAYS if d in self.days)
        return f"{days} {self.start:%H:%M} to {end} {self.zone.key}"


@dataclass(frozen=True, slots=True)
class Freeze:
    """One entry of ``[[freezes]]``: nothing that it selects is repaired from ``start`` until ``end``."""

    selector: Selector
    start: datetime
    end: datetime
    reason: str
    critical: bool = False
    """Whether a repair of something critical may go through it."""


def closed(
    found: Collection[Subject],
    windows: Sequence[Window],
    freezes: Sequence[Freeze],
    now: datetime,
    critical: bool,
) -> tuple[str, str, str] | None:
    """(code, words, setting) why a repair with these subjects may not happen now, or None if it may.

    A repair that windows select needs one of them to be open; one that none selects needs none.
    """
    for number, freeze in enumerate(freezes, 1):
        fits = any(freeze.selector.fits(s) for s in found)
        if fits and freeze.start <= now < freeze.end and not (critical and freeze.critical):
            words = f"frozen until {freeze.end.astimezone(UTC):%Y-%m-%d %H:%M} UTC: {freeze.reason}"
            return "freeze", f"{words} (entry {number} of [[freezes]])", f"freezes[{number}]"
    mine = [(i, w) for i, w in enumerate(windows, 1) if any(w.selector.fits(s) for s in found)]
    if not mine or any(w.holds(now) for _, w in mine) or (critical and all(w.critical for _, w in mine)):
        return None
    number, window = min(mine, key=lambda pair: pair[1].opens(now))
    words = f"outside its maintenance window; entry {number} of [[windows]] ({window}) opens next, at"
    return "window", f"{words} {window.opens(now):%Y-%m-%d %H:%M} UTC", f"windows[{number}]"


def closing(
    found: Collection[Subject],
    windows: Sequence[Window],
    freezes: Sequence[Freeze],
    now: datetime,
    critical: bool,
) -> Deadline | None:
    """When a repair with these subjects, which may happen now, may not any more; None if nothing of that is near."""
    moments = {f.start for f in freezes if f.start > now} | {end for w in windows for end in w.ends(now)}
    for at in sorted(moments):
        if (stop := closed(found, windows, freezes, at, critical)) is not None:
            return Deadline(at, stop[1])
    return None

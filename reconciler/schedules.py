"""The entries of ``[[modes]]``, ``[[windows]]`` and ``[[freezes]]`` as they are written, checked one by one.

An entry says what it is about; leaving everything out is a mistake, and everything has to be written as ``*``.
"""

from __future__ import annotations

import re
from datetime import datetime, time, timedelta
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, StrictBool, model_validator

from reconciler.model import Kind
from tenancy.tiers import Tier

FindingKind = Kind
SELECTORS = ("tenant", "tier", "type", "kind", "rule")
_CLOCK = re.compile(r"([01]\d|2[0-3]):([0-5]\d)|24:00")
_PATTERN = re.compile(r"[A-Za-z0-9_.:/*-]{1,200}")


def _pattern(value: object) -> str:
    if not isinstance(value, str) or not _PATTERN.fullmatch(value):
        raise ValueError("allowed are up to 200 letters, digits and _ . : / -, with * for any text; '*' is everything")
    return value


def _one_of(*allowed: str) -> Any:
    def check(value: object) -> str:
        if value not in allowed:
            raise ValueError(f"allowed are {', '.join(allowed)}, or * for all of them")
        return str(value)

    return BeforeValidator(check)


def _clock(value: object) -> str:
    if isinstance(value, time):
        value = value.strftime("%H:%M") if not (value.second or value.microsecond or value.tzinfo) else str(value)
    if not isinstance(value, str) or not _CLOCK.fullmatch(value):
        raise ValueError("allowed is a time of day such as '22:30', from '00:00' to '24:00'")
    return value


def _zone(value: object) -> ZoneInfo:
    if isinstance(value, ZoneInfo):
        return value
    try:
        return ZoneInfo(value if isinstance(value, str) else "")
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError("allowed is an IANA time zone such as 'Europe/Berlin' or 'UTC'") from error


def _days(value: object) -> object:
    if value == ["*"] or value == "*":
        return list(_WEEK)
    if not isinstance(value, list | tuple) or not value or not set(map(str, value)) <= set(_WEEK):
        raise ValueError(f"allowed is a list of {', '.join(_WEEK)}, or ['*'] for every day")
    return value


def _moment(value: datetime) -> datetime:
    if value.tzinfo is None:
        raise ValueError("allowed is a moment with its offset, such as 2026-12-24T18:00:00+01:00")
    return value


_WEEK = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
Pattern = Annotated[str, BeforeValidator(_pattern)]
Clock = Annotated[str, BeforeValidator(_clock)]
Zone = Annotated[ZoneInfo, BeforeValidator(_zone)]
Days = Annotated[tuple[str, ...], BeforeValidator(_days)]
Moment = Annotated[datetime, AfterValidator(_moment)]


class Entry(BaseModel):
    """What an entry is about: everything that fits all of the selectors given."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)

    tenant: Pattern | None = None
    tier: Annotated[str, _one_of(*Tier, "*")] | None = None
    type: Pattern | None = None
    """A Pulumi type token, as in ``aws:s3/bucket:Bucket``."""
    kind: Annotated[str, _one_of(*Kind, "*")] | None = None
    rule: Pattern | None = None

    @model_validator(mode="after")
    def _selects(self) -> Entry:
        if all(getattr(self, name) is None for name in SELECTORS):
            raise ValueError(f"it selects nothing: name at least one of {', '.join(SELECTORS)}; tenant = '*' is all")
        return self


class ModeEntry(Entry):
    """``[[modes]]``."""

    mode: Literal["observe", "propose", "repair"]


class WindowEntry(Entry):
    """``[[windows]]``."""

    days: Days
    start: Clock
    end: Clock
    zone: Zone
    critical: StrictBool = False
    """Whether a repair of something critical need not wait for the window."""

    @model_validator(mode="after")
    def _lasts(self) -> WindowEntry:
        if self.start == self.end or self.start == "24:00":
            raise ValueError("end must differ from start; a whole day is from '00:00' to '24:00'")
        return self


class FreezeEntry(Entry):
    """``[[freezes]]``."""

    start: Moment
    end: Moment
    reason: Annotated[str, Field(min_length=1, max_length=500)]
    critical: StrictBool = False
    """Whether a repair of something critical may go through the freeze."""

    @model_validator(mode="after")
    def _ends(self) -> FreezeEntry:
        if self.end <= self.start:
            raise ValueError("end must be after start")
        if self.end - self.start > timedelta(days=366):
            raise ValueError("a freeze may last up to 366 days; for longer, use mode = 'observe'")
        return self

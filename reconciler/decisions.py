"""What people, and earlier passes, have decided: nouns that the record keeps and the planner obeys.

Frozen, as all nouns. A decision is always bound to what it was made about, so that it never covers what came later.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


@dataclass(frozen=True, slots=True)
class Approved:
    """One repair that a person has approved: ``content`` is ``Repair.content``."""

    content: str
    repair_id: str
    tenant: str | None


@dataclass(frozen=True, slots=True)
class Approval:
    """A person's consent to the proposals of one plan, exactly as they were; each of them once."""

    number: int
    plan: str
    """``Plan.hash``."""
    who: str
    note: str
    at: datetime
    expires: datetime
    repairs: tuple[Approved, ...]
    used: frozenset[str] = frozenset()
    """Contents that were carried out under it."""

    def left(self, tenant: str | None) -> frozenset[str]:
        """What may still be carried out for one tenant."""
        return frozenset(r.content for r in self.repairs if r.tenant == tenant) - self.used


class Cause(StrEnum):
    """Why a breaker opens."""

    FAILING = "failing"
    """Too large a share of resources fails at once."""
    MISSING = "missing"
    """Too many resources are gone at once: an empty or wrong answer is likelier than such a loss."""
    REPAIRS = "repairs"
    """Too large a share of the repairs themselves fails."""
    REPLACEMENT = "replacement"
    """New servers from one template or image fail the same way."""
    STORM = "storm"
    """A breaker was open, or very much began to fail, a moment ago."""


@dataclass(frozen=True, slots=True)
class Breaker:
    """An open breaker of one tenant, or of the whole cell (None)."""

    tenant: str | None
    cause: Cause
    keys: frozenset[str]
    """What failed: URNs, or for repairs and replacements what names them."""
    reason: str
    since: datetime
    setting: str = ""
    """The setting that decided, as it is written in docs/settings.md."""
    acknowledged: str = ""
    """By whom and until when, in words; such a breaker stops nothing."""


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """A person's word that repairs may go on although a breaker opened, for exactly what failed then."""

    tenant: str | None
    cause: Cause
    keys: frozenset[str]
    who: str
    reason: str
    at: datetime
    expires: datetime

"""What else the planner is told: what earlier passes and people have left standing. Values only; none is needed."""

from __future__ import annotations

from dataclasses import dataclass

from reconciler.decisions import Acknowledgement, Approval, Breaker
from reconciler.model import Attempt, Repair


@dataclass(frozen=True, slots=True)
class Circumstances:
    """The standing decisions of a cell, and what is remembered longer than the history lasts."""

    approvals: tuple[Approval, ...] = ()
    acknowledgements: tuple[Acknowledgement, ...] = ()
    breakers: tuple[Breaker, ...] = ()
    """Those that were open after the last look."""
    replacements: tuple[Attempt, ...] = ()
    """Concluded replacements of servers of any age, oldest first."""
    under_way: tuple[Repair, ...] = ()
    """Repairs that were begun and have not ended yet, or were cut off."""
    upgrade: str = ""
    """In words, how this program differs from the one that made the last pass; empty if it does not."""

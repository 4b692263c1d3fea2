"""How much may be changed at once, as values. Everything has a safe default; nothing here can be left out."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from reconciler.plan.strategy import Row


@dataclass(frozen=True, slots=True)
class Limit:
    """An upper bound: a number, or a share of a pool (0 to 1), or the smaller of both."""

    count: int | None = None
    share: float | None = None

    def of(self, pool: int) -> int:
        """What the limit allows of ``pool`` things. Shares round down, but to no less than one."""
        bounds = [pool]
        if self.count is not None:
            bounds.append(self.count)
        if self.share is not None:
            bounds.append(max(1, math.floor(pool * self.share)))
        return max(0, min(bounds))


@dataclass(frozen=True, slots=True)
class Policy:
    """The planner's rules. Budgets count resources touched in one pass; a replaced server counts as one."""

    budget_global: Limit = Limit(share=0.20)
    budget_tenant: Limit = Limit(share=0.20)
    breaker_share: float = 0.20
    """Above this share of failing resources, of a tenant or of the cell, nothing is repaired there."""
    breaker_minimum: int = 5
    """Fewer failing resources than this never open the breaker: a share of a handful says little."""
    fleet_share: float = 0.50
    """Above this share of failing servers in one fleet the servers are not the cause: none is replaced."""
    flap_limit: int = 3
    flap_window: timedelta = timedelta(hours=1)
    same_failure_limit: int = 2
    """A repair that failed this often in the window is not tried again: a person looks at it."""
    hold_down: timedelta = timedelta(seconds=60)
    """How long a server must have been failing by a single sign before it is replaced; two signs need no waiting."""
    removable: frozenset[str] = frozenset()
    """Types of which an orphan may be removed at all."""
    remove_orphans: bool = False
    """Whether they are; otherwise a person is told that they could be."""
    orphan_age: timedelta = timedelta(hours=1)
    """How long an orphan must have been seen before it is removed."""
    tier_rank: Mapping[str, int] = field(default_factory=lambda: {"gold": 0, "silver": 1, "bronze": 2})
    """Which tenants are repaired first when the budget does not reach for all."""
    overrides: tuple[Row, ...] = ()
    """Rows of the strategy table that stand before its own."""
    bad_images: frozenset[str] = frozenset()
    """What groups launch (``Fleet.launches``) that failed to become healthy before: no server is replaced by it."""

"""How much may be changed at once, as values. Everything has a safe default; nothing here can be left out."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from reconciler.plan.modes import ModeRule
from reconciler.plan.strategy import Row
from reconciler.plan.windows import Freeze, Window

HOUR = timedelta(hours=1)


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
    """The planner's rules. Budgets count resources that may be written (``Repair.cost``), in one pass if nothing else
    is said."""

    budget_global: Limit = Limit(share=0.20)
    budget_tenant: Limit = Limit(share=0.20)
    budget_tier: Mapping[str, Limit] = field(default_factory=dict)
    """Of all resources of a tier's tenants; a tier that is not named has no budget of its own."""
    budget_kind: Mapping[str, Limit] = field(default_factory=dict)
    """Of the cell's resources, for repairs of one kind of finding; a kind that is not named has none of its own."""
    budget_hour: Limit = Limit(share=1.0)
    """Resources of the cell touched within an hour, earlier passes included."""
    budget_repairs: Limit = Limit(count=50)
    """Repairs in one pass, which are carried out at the same time as far as they can be."""
    zones_at_once: int = 1
    """Zones of one tenant in which one pass replaces failed servers."""
    breaker_share: float = 0.20
    """Above this share of failing resources, of a tenant or of the cell, nothing is repaired there."""
    breaker_minimum: int = 5
    """Fewer failing resources than this never open the breaker: a share of a handful says little."""
    fleet_share: float = 0.50
    """Above this share of failing servers in one fleet the servers are not the cause: none is replaced."""
    missing_share: float = 0.10
    """As ``breaker_share``, of resources that are gone: a wrong answer is likelier than such a loss."""
    missing_minimum: int = 5
    repair_share: float = 0.50
    """Above this share of failing repairs in the flap window, repairing is not what helps."""
    repair_minimum: int = 5
    """Fewer failing repairs than this never open the breaker."""
    storm_findings: int = 100
    """More findings of one tenant than this, first seen within ``cooldown``, are a storm."""
    cooldown: timedelta = timedelta(minutes=5)
    """How long after a storm, or after a breaker was open, nothing is repaired."""
    flap_limit: int = 3
    flap_window: timedelta = timedelta(hours=1)
    same_failure_limit: int = 2
    """A repair that failed this often in the window is not tried again: a person looks at it."""
    backoff: timedelta = timedelta(minutes=1)
    """From the first failed attempt to the next one; doubled with every further failure, up to ``backoff_longest``."""
    backoff_longest: timedelta = timedelta(hours=1)
    unfinished_limit: int = 5
    """A repair that was cut off, or refused, this often in a row within ``fight_window`` is left to a person."""
    fight_limit: int = 3
    """What was set back or deleted this often within ``fight_window`` after it was healed is left to a person."""
    fight_window: timedelta = timedelta(days=1)
    modes: tuple[ModeRule, ...] = ()
    windows: tuple[Window, ...] = ()
    freezes: tuple[Freeze, ...] = ()
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

    @property
    def memory(self) -> timedelta:
        """How far back the history must reach that the planner is given."""
        return max(self.flap_window, self.fight_window, self.backoff_longest, HOUR)

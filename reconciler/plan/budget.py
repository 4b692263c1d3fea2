"""Spending the budgets of one pass, fairly: a tenant with ten thousand findings starves nobody."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from reconciler.model import Attempt, Declared, Finding, Repair, Status, Urn
from reconciler.plan.policy import HOUR, Limit, Policy
from reconciler.plan.strategy import ESCALATE

_TOUCHED_NOTHING = frozenset({Status.REFUSED, Status.ESCALATED, Status.DRY_RUN})


@dataclass(slots=True)
class _Purse:
    """One budget: what it allows, and what is left of it."""

    words: str
    setting: str
    limit: int
    left: int

    def allows(self, cost: int) -> bool:
        # What costs more than a whole budget could never run; it may have an untouched budget to itself.
        return 0 < cost <= self.left or 0 < self.limit == self.left


class Budget:
    """What is left to spend in this pass, after the repairs ``spent`` that count against it."""

    def __init__(
        self,
        declared: Declared,
        policy: Policy,
        spent: Iterable[Repair] = (),
        *,
        history: Sequence[Attempt] = (),
        now: datetime | None = None,
        findings: Mapping[str, Finding] | None = None,
    ) -> None:
        self._declared, self._policy, self._findings = declared, policy, findings or {}
        self._purses: dict[tuple[str, str], _Purse] = {}
        everything = len(declared.resources)
        touched = touched_lately(history, now) if now else frozenset()
        # A resource may be touched more than once in an hour, so a number is not bounded by how many there are.
        hour = policy.budget_hour.count or policy.budget_hour.of(everything)
        words = f"the cell's budget for an hour is spent ({hour} resources)"
        self._hour = _Purse(words, "budget.hour", hour, max(0, hour - len(touched)))
        for repair in spent:
            for purse, cost in self._of(repair):
                purse.left = max(0, purse.left - cost)

    def spend(self, repair: Repair) -> tuple[str, str] | None:
        """Take the repair's cost. Returns None if it fits, else (which budget is spent in words, its setting)."""
        mine = self._of(repair)
        for purse, cost in mine:
            if not purse.allows(cost):
                return purse.words, purse.setting
        for purse, cost in mine:
            purse.left = max(0, purse.left - cost)
        return None

    def _of(self, repair: Repair) -> list[tuple[_Purse, int]]:
        """The budgets that a repair counts against, and what it costs there."""
        declared, policy, tenant = self._declared, self._policy, repair.tenant
        facts = declared.tenants.get(tenant or "")
        everything = len(declared.resources)
        pool = len(declared.of(tenant)) if tenant is not None else everything
        whose = f"the budget of tenant {tenant}" if tenant is not None else "the budget of what no tenant owns"
        purses = [
            self._purse("tenant", tenant or "", whose, policy.budget_tenant, pool),
            self._purse("global", "", "the cell's budget", policy.budget_global, everything),
        ]
        if facts and (limit := policy.budget_tier.get(facts.tier)):
            of_tier = sum(len(declared.of(t)) for t, f in declared.tenants.items() if f.tier == facts.tier)
            purses.append(self._purse("tier", facts.tier, f"the budget of tier {facts.tier}", limit, of_tier))
        for kind in sorted({self._findings[i].kind.value for i in repair.finding_ids if i in self._findings}):
            if limit := policy.budget_kind.get(kind):
                purses.append(self._purse("kind", kind, f"the budget for findings of kind {kind}", limit, everything))
        number = self._purse("repairs", "", "the number of repairs at once", policy.budget_repairs, 1_000_000)
        return [*((purse, repair.cost) for purse in purses), (self._hour, repair.cost), (number, 1)]

    def _purse(self, level: str, name: str, words: str, limit: Limit, pool: int) -> _Purse:
        found = self._purses.get((level, name))
        if found is None:
            allowed = limit.of(pool)
            unit = "repairs" if level == "repairs" else "resources"
            setting = f"budget.{level}.{name}" if level in ("tier", "kind") else f"budget.{level}"
            found = _Purse(f"{words} for this pass is spent ({allowed} {unit})", setting, allowed, allowed)
            self._purses[level, name] = found
        return found


def touched_lately(history: Sequence[Attempt], now: datetime) -> frozenset[tuple[Urn, datetime]]:
    """Every touch of a resource within the last hour."""
    return frozenset(
        (a.urn, a.at)
        for a in history
        if now - HOUR < a.at <= now and a.strategy != ESCALATE and a.status not in _TOUCHED_NOTHING
    )


def in_turn(repairs: Iterable[Repair], tenant_order: dict[str | None, tuple[int, str]]) -> Iterator[Repair]:
    """One repair of each tenant in turn, tenants in the given order, each tenant's repairs in their own order."""
    queues: dict[str | None, deque[Repair]] = defaultdict(deque)
    for repair in repairs:
        queues[repair.tenant].append(repair)
    waiting = sorted(queues, key=lambda tenant: tenant_order.get(tenant, (99, tenant or "")))
    while waiting:
        for tenant in list(waiting):
            yield queues[tenant].popleft()
            if not queues[tenant]:
                waiting.remove(tenant)

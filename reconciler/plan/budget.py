"""Spending the budgets of one pass, fairly: a tenant with ten thousand findings starves nobody."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable, Iterator

from reconciler.model import Declared, Repair
from reconciler.plan.policy import Policy


class Budget:
    """What is left to spend in this pass, in resources touched, after the repairs ``spent`` that count against it."""

    def __init__(self, declared: Declared, policy: Policy, spent: Iterable[Repair] = ()) -> None:
        self._declared, self._policy = declared, policy
        self._cell = self._cell_limit = policy.budget_global.of(len(declared.resources))
        self._tenants: dict[str | None, int] = {}
        for repair in spent:
            self._take(repair)

    def spend(self, repair: Repair) -> str | None:
        """Take the repair's cost. Returns None if it fits, else which budget is spent, in words."""
        tenant_limit, left = self._limit(repair.tenant), self._left(repair.tenant)
        # A repair that costs more than a whole budget could never run; it may have an untouched budget to itself.
        if repair.cost > left and left < tenant_limit:
            return f"the budget of tenant {repair.tenant} for this pass is spent ({tenant_limit} resources)"
        if repair.cost > self._cell and self._cell < self._cell_limit:
            return f"the cell's budget for this pass is spent ({self._cell_limit} resources)"
        if left == 0 or self._cell == 0:
            return "the budget for this pass is zero"
        self._take(repair)
        return None

    def _take(self, repair: Repair) -> None:
        left = self._left(repair.tenant)
        self._tenants[repair.tenant] = max(0, left - repair.cost)
        self._cell = max(0, self._cell - repair.cost)

    def _left(self, tenant: str | None) -> int:
        return self._tenants.setdefault(tenant, self._limit(tenant))

    def _limit(self, tenant: str | None) -> int:
        return self._policy.budget_tenant.of(len(self._pool(tenant)))

    def _pool(self, tenant: str | None) -> tuple[object, ...]:
        return self._declared.of(tenant) if tenant is not None else tuple(self._declared.resources)


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

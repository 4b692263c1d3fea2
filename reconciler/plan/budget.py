"""Spending the budgets of one pass, fairly: a tenant with ten thousand findings starves nobody.

Tenants take turns within a pass, and over the passes the one that was served least comes first.
A repair of servers is cut to what is left; any other is done as a whole or not at all.
"""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from reconciler.model import TOUCHED_NOTHING, Attempt, Declared, Finding, Repair
from reconciler.plan.policy import HOUR, Limit, Policy
from reconciler.plan.strategy import ESCALATE, OF_SERVERS, QUARANTINE


@dataclass(slots=True)
class Purse:
    """One budget: what it allows, and what is left of it."""

    words: str
    setting: str
    limit: int
    left: int

    def allows(self, cost: int) -> bool:
        # What costs more than a whole budget could never run; it may have an untouched budget to itself.
        return 0 < cost <= self.left or 0 < self.limit == self.left

    def take(self, cost: int) -> None:
        self.left = max(0, self.left - cost)


@dataclass(slots=True)
class Share:
    """How much of one repair fits: all of its servers or some, or of one that cannot be cut the only part."""

    repair: Repair
    purses: Sequence[Purse]
    parts: int
    fit: int = 0
    stop: Purse | None = None
    """The budget that has no room for the next part."""


class Budget:
    """What is left to spend in this pass, after the repairs ``spent`` that count against it.

    The hour's budget knows those from ``history``, and of repairs ``under_way`` that they have not ended.
    """

    def __init__(
        self,
        declared: Declared,
        policy: Policy,
        spent: Iterable[Repair] = (),
        *,
        history: Sequence[Attempt] = (),
        under_way: Sequence[Repair] = (),
        now: datetime | None = None,
    ) -> None:
        self._declared, self._policy = declared, policy
        self._purses: dict[tuple[str, str], Purse] = {}
        everything = len(declared.resources)
        # A resource may be touched more than once in an hour, so a number is not bounded by how many there are.
        hour = policy.budget_hour.count or policy.budget_hour.of(everything)
        words = f"the cell's budget for an hour is spent ({hour} resources)"
        touched = touched_lately(history, now) if now else 0
        touched += sum(r.cost for r in under_way if r.strategy != ESCALATE)
        self._hour = Purse(words, "budget.hour", hour, max(0, hour - touched))
        self._repairs = self._purse("repairs", "", "the number of repairs at once", policy.budget_repairs, 1_000_000)
        for repair in (r for r in spent if r.strategy != ESCALATE):
            self._repairs.take(1)
            for purse in self._of_pass(repair):
                purse.take(repair.cost)

    def share_out(self, repairs: Iterable[Repair], turn: Callable[[str | None], tuple[int, int, str]]) -> list[Share]:
        """Spend on these repairs: one repair, or one server of one, of each tenant in turn, in the order of the
        tenants and, within a tenant, of its repairs. The shares are in the order in which their turn came.

        The further servers of a fleet come after the tenant's other repairs, or a refresh of many passes would have the
        tenant's whole budget in each of them; those that were broken into do not wait.
        """
        queues: dict[str | None, deque[Share]] = defaultdict(deque)
        for repair in repairs:
            queues[repair.tenant].append(Share(repair, self._of(repair), len(repair.members) if can_cut(repair) else 1))
        waiting = sorted(queues, key=turn)
        shares: list[Share] = []
        while waiting:
            for tenant in list(waiting):
                share = queues[tenant][0]
                if not share.fit:
                    shares.append(share)
                cost = 1 if share.parts > 1 else share.repair.cost
                if share.repair.strategy != ESCALATE:
                    share.stop = self._take(share.purses, cost, begins=not share.fit)
                share.fit += share.stop is None
                if share.stop or share.fit == share.parts:
                    queues[tenant].popleft()
                elif share.repair.strategy != QUARANTINE:
                    queues[tenant].rotate(-1)
                if not queues[tenant]:
                    waiting.remove(tenant)
        return shares

    def tightest(self, repair: Repair) -> Purse:
        """The budget that has the least left for the resources of a repair."""
        return min(self._of(repair), key=lambda purse: purse.left)

    def spend(self, repair: Repair) -> None:
        """Spend on a repair as a whole."""
        for purse in self._of(repair):
            purse.take(repair.cost)

    def _take(self, purses: Sequence[Purse], cost: int, *, begins: bool) -> Purse | None:
        if begins and not self._repairs.allows(1):
            return self._repairs
        for purse in purses:
            if not purse.allows(cost):
                return purse
        self._repairs.take(begins)
        for purse in purses:
            purse.take(cost)
        return None

    def _of(self, repair: Repair) -> list[Purse]:
        """The budgets for resources that a repair counts against."""
        return [*self._of_pass(repair), self._hour]

    def _of_pass(self, repair: Repair) -> list[Purse]:
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
        for kind in repair.kinds:
            if limit := policy.budget_kind.get(kind):
                purses.append(self._purse("kind", kind, f"the budget for findings of kind {kind}", limit, everything))
        return purses

    def _purse(self, level: str, name: str, words: str, limit: Limit, pool: int) -> Purse:
        found = self._purses.get((level, name))
        if found is None:
            allowed = limit.of(pool)
            unit = "repairs" if level == "repairs" else "resources"
            setting = f"budget.{level}.{name}" if level in ("tier", "kind") else f"budget.{level}"
            found = Purse(f"{words} for this pass is spent ({allowed} {unit})", setting, allowed, allowed)
            self._purses[level, name] = found
        return found


def can_cut(repair: Repair) -> bool:
    """Whether some of its servers can be repaired now and the others later. What was approved is done as it was."""
    return repair.strategy in OF_SERVERS and len(repair.members) > 1 and repair.approval is None


def part_of(repair: Repair, members: Sequence[str], findings: Mapping[str, Finding]) -> tuple[Repair, tuple[str, ...]]:
    """The repair of only these of its servers, in this order, and the findings of the others."""
    others = set(repair.members).difference(members)
    of_others = {i for i in repair.finding_ids if i in findings and findings[i].resource_id in others}
    mine = tuple(i for i in repair.finding_ids if i not in of_others)
    later = tuple(i for i in repair.finding_ids if i in of_others)
    return replace(repair, members=tuple(members), finding_ids=mine), later


def turns(
    declared: Declared, policy: Policy, history: Sequence[Attempt], now: datetime
) -> Callable[[str | None], tuple[int, int, str]]:
    """The order of tenants: who had the fewest repairs within the last hour, then by tier, then by name."""
    owners = {urn: r.tenant for urn, r in declared.resources.items()}
    # One repair of several resources is in the history once for each of them, and still was one repair.
    repairs = {
        (owners[a.urn], a.at, a.finding_ids)
        for a in history
        if a.strategy != ESCALATE and a.at > now - HOUR and a.urn in owners
    }
    served = Counter(tenant for tenant, _, _ in repairs)

    def turn(tenant: str | None) -> tuple[int, int, str]:
        facts = declared.tenants.get(tenant or "")
        return served[tenant], policy.tier_rank.get(facts.tier, 50) if facts else 99, tenant or ""

    return turn


def touched_lately(history: Sequence[Attempt], now: datetime) -> int:
    """How many resources were touched within the last hour, each as often as it was; servers count one by one.

    What seems to lie ahead was touched before the clock was set back.
    """
    lately = (a for a in history if a.at > now - HOUR)
    touches = {
        (a.urn, a.at, a.finding_ids): max(1, a.servers)
        for a in lately
        if a.strategy != ESCALATE and a.status not in TOUCHED_NOTHING
    }
    return sum(touches.values())

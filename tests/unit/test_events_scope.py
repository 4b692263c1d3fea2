"""A small look is never bolder than a whole one: neither its breaker nor its budget."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from reconciler.model import Repair, Urn
from reconciler.plan.breaker import sees_too_little
from reconciler.plan.budget import Budget, turns
from reconciler.plan.policy import Limit, Policy
from tests.unit.plan_worlds import NOW, cell, finding, resource, scan

POLICY = Policy(breaker_share=0.2, breaker_minimum=5)
MANY = [resource(f"s{i}") for i in range(20)]


def verdict(failing: int, looked_at: int, touched: int = 0) -> str:
    world = scan(cell(*MANY), *(finding(r) for r in MANY[:failing]))
    return sees_too_little(
        world, [r.urn for r in MANY[:looked_at]], [r.urn for r in MANY[-touched:]] if touched else [], POLICY
    )


def test_one_failure_needs_no_look_at_everything() -> None:
    """A single resource that fails is no pattern, even if nothing else was looked at."""
    assert verdict(0, 8) == ""
    assert verdict(1, 1) == ""
    assert verdict(1, 8) == ""
    assert verdict(2, 12) == ""


def test_a_high_share_of_failures_needs_a_look_at_everything() -> None:
    """Several failures that are more than the breaker's share of the look are not judged by it (I03)."""
    assert verdict(2, 8) == "2 of the 8 resources looked at fail"


def test_failures_that_reach_the_breaker_s_minimum_need_a_look_at_everything() -> None:
    """From the number on from which breakers count, only a look at everything can say whether they open (I03)."""
    assert verdict(5, 20).startswith("5 resources fail here")


def test_failures_that_come_one_by_one_are_counted_together() -> None:
    """What was repaired since the last whole pass counts: a disappearance in small steps is noticed (I03)."""
    assert verdict(1, 8, touched=3) == ""
    assert verdict(1, 8, touched=4) == "1 resources fail here, and 4 others failed or were repaired of late"


@given(st.lists(st.integers(min_value=1, max_value=4), max_size=12), st.integers(min_value=0, max_value=12))
def test_passes_of_one_period_share_one_budget(costs: list[int], split: int) -> None:
    """However repairs are spread over the passes of a period, no more fit than into one pass (I03)."""
    policy = Policy(budget_global=Limit(count=6), budget_tenant=Limit(count=4), budget_kind={"drift": Limit(count=3)})
    declared = cell(*MANY)
    repairs = [
        Repair("reapply", "acme", tuple(Urn(f"s{i}-{n}") for n in range(cost)), (str(i),), "", kinds=("drift",))
        for i, cost in enumerate(costs)
    ]

    def fitting(some: Sequence[Repair], spent: Sequence[Repair] = ()) -> list[Repair]:
        order = turns(declared, policy, (), NOW)
        return [s.repair for s in Budget(declared, policy, spent).share_out(some, order) if s.stop is None]

    early = fitting(repairs[:split])
    assert early + fitting(repairs[split:], early) == fitting(repairs)

"""What the planner must leave alone, and the limits it must not stop too early at."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from reconciler.model import AcceptedBy, Attempt, Kind, Status, Urn
from reconciler.plan.planner import plan
from reconciler.plan.policy import Limit, Policy
from tests.unit.plan_worlds import KINDS, NOW, cell, finding, resource, scan
from tests.unit.test_plan_planner import planned


def test_an_accepted_finding_is_neither_repaired_nor_deferred() -> None:
    """An exception is somebody's decision: the planner has nothing to say about what it covers."""
    subnet = resource("subnet")
    accepted = replace(finding(subnet), accepted=AcceptedBy("ana", "migration", NOW + timedelta(days=1)))
    result = planned(scan(cell(subnet), accepted))
    assert (result.repairs, result.proposals, result.deferrals) == ((), (), ())


def test_many_failures_of_very_many_resources_are_repaired() -> None:
    """The breaker counts shares: six failing resources of a hundred are work, not a sign of something else."""
    bad = [resource(f"bad-{i}") for i in range(6)]
    assert len(planned(scan(cell(*bad, fillers=100), *(finding(r) for r in bad))).repairs) == 6


def test_the_cells_budget_is_shared_by_the_tenants() -> None:
    """I03: each tenant within its own budget, and all together within the cell's."""
    bad = [resource(f"bad-{t}", tenant=t) for t in ("acme", "globex", "initech")]
    policy = Policy(budget_global=Limit(count=2), budget_tenant=Limit(count=2))
    result = plan(
        scan(cell(*bad), *(finding(r) for r in bad)), policy, (), KINDS, now=NOW,
        dependents=lambda _: frozenset(), users=lambda _: frozenset(),
    )  # fmt: skip
    assert sum(r.cost for r in result.repairs) == 2
    assert [d.code for d in result.deferrals] == ["budget"]


def test_a_stray_is_reported_and_left_alone() -> None:
    """T01: tags are a claim and no proof, so what merely carries them is never repaired, whoever it names."""
    subnet = resource("subnet")
    stray = replace(finding(subnet, "orphan.stray", Kind.ORPHAN), urn=Urn(""))
    claiming = replace(stray, urn=subnet.urn)
    result = planned(scan(cell(subnet), stray, claiming))
    assert (result.repairs, {d.code for d in result.deferrals}) == ((), {"orphan"})


def test_a_fight_with_somebody_else_ends_with_a_person() -> None:
    """F52 I11: what another actor changes back each time is set right three times an hour, and then no more."""
    subnet = resource("subnet")
    history: list[Attempt] = []
    strategies = []
    for minute in range(0, 50, 10):
        now = NOW + timedelta(minutes=minute)
        result = plan(
            scan(cell(subnet), finding(subnet)), Policy(), history, KINDS, now=now,
            dependents=lambda _: frozenset(), users=lambda _: frozenset(),
        )  # fmt: skip
        (repair,) = result.repairs
        strategies.append(repair.strategy)
        history.append(Attempt(subnet.urn, repair.strategy, Status.HEALED, now, repair.finding_ids))
    assert strategies == ["reapply", "reapply", "reapply", "escalate", "escalate"]

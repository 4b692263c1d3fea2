"""Budgets count what is written: servers one by one, and every resource of a repair."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.decisions import Approval, Approved
from reconciler.model import Attempt, DeclaredResource, Finding, Kind, Plan, Repair, Scan, Severity, Status, Urn
from reconciler.plan.budget import Purse
from reconciler.plan.circumstances import Circumstances
from reconciler.plan.modes import Mode, ModeRule
from reconciler.plan.policy import Limit, Policy
from reconciler.plan.selectors import Selector
from reconciler.plan.strategy import COMPROMISED, ESCALATE, OF_SERVERS, OUTDATED
from tests.unit.plan_worlds import GROUP, NOW, cell, finding, fleet, resource, scan
from tests.unit.test_plan_planner import planned

ALL = Limit(share=1.0)
ROOMY = Policy(
    budget_tenant=ALL, budget_global=ALL, breaker_share=1.0, missing_share=1.0, fleet_share=1.0, zones_at_once=9
)
SERVERS = resource("servers", type_=GROUP)


def outdated(group: DeclaredResource, count: int) -> list[Finding]:
    return [finding(group, OUTDATED, Kind.HEALTH, resource_id=f"i-{n}", property_="") for n in range(count)]


def of_fleet(found: Collection[Finding], *others: DeclaredResource, size: int = 30) -> Scan:
    return scan(cell(SERVERS, *others), *found, fleets={SERVERS.urn: fleet(SERVERS, size)})


def acting(plan: Plan) -> list[Repair]:
    return [r for r in plan.repairs if r.strategy != ESCALATE]


def test_servers_are_replaced_as_far_as_the_smallest_budget_reaches() -> None:
    """I03: of thirty outdated servers a pass takes what is left, and the deferral of the others says which budget."""
    found = outdated(SERVERS, 30)
    narrow = replace(ROOMY, budget_tenant=Limit(count=7), budget_kind={"health": Limit(count=4)})
    plan = planned(of_fleet(found), narrow)
    (repair,) = plan.repairs
    assert (repair.strategy, len(repair.members), repair.cost) == ("refresh-image", 4, 4)
    assert {f.resource_id for f in found if f.id in repair.finding_ids} == set(repair.members)
    (rest,) = plan.deferrals
    assert (rest.code, rest.setting, len(rest.finding_ids)) == ("budget", "budget.kind.health", 26)
    assert rest.reason.endswith("is spent (4 resources); 4 of 30 servers are replaced first")


def test_the_next_pass_goes_on_with_the_rest() -> None:
    """Pass after pass takes other servers, until all are done; each part is a whole refresh with its first server."""
    left, done = outdated(SERVERS, 10), list[str]()
    while left:
        (repair,) = planned(of_fleet(left, size=10), replace(ROOMY, budget_tenant=Limit(count=3))).repairs
        done += repair.members
        assert repair.strategy == ("refresh-image" if len(left) > 1 else "rollout")
        left = [f for f in left if f.id not in repair.finding_ids]
    assert sorted(done) == [f"i-{n}" for n in range(10)]


def test_servers_and_other_repairs_share_a_budget() -> None:
    """I03: what earlier repairs have taken is no longer there for the servers."""
    bad = [resource(f"bad-{i}") for i in range(2)]
    found = [*outdated(SERVERS, 8), *map(finding, bad)]
    plan = planned(of_fleet(found, *bad, size=8), replace(ROOMY, budget_tenant=Limit(count=5)))
    assert sorted((r.strategy, r.cost) for r in plan.repairs) == [("reapply", 1), ("reapply", 1), ("refresh-image", 3)]


def test_a_repair_costs_everything_that_it_writes() -> None:
    """I03: a resource that comes back is paid for with all that refers to it, and has no room beside another repair."""
    gone, bad = resource("sg"), resource("bad")
    users = [resource(f"u{i}", uses=["sg"]) for i in range(5)]
    of = cell(gone, *users, bad)
    six = replace(ROOMY, budget_tenant=Limit(count=6))
    plan = planned(scan(of, finding(gone, "drift.missing"), finding(bad)), six)
    assert [r.cost for r in plan.repairs] in ([6], [1])
    assert [d.setting for d in plan.deferrals] == ["budget.tenant"]
    both = planned(scan(of, finding(gone, "drift.missing"), finding(bad)), replace(six, budget_tenant=Limit(count=7)))
    assert sorted(r.cost for r in both.repairs) == [1, 6]


def test_what_cannot_be_cut_has_an_untouched_budget_to_itself() -> None:
    """What costs more than a whole budget is done when nothing else has touched that, and then nothing else is."""
    gone, bad = resource("sg"), resource("bad")
    users = [resource(f"u{i}", uses=["sg"]) for i in range(20)]
    of = cell(gone, *users, bad)
    two = replace(ROOMY, budget_tenant=Limit(count=2))
    (alone,) = planned(scan(of, finding(gone, "drift.missing")), two).repairs
    assert alone.cost == 21
    assert len(planned(scan(of, finding(gone, "drift.missing"), finding(bad)), two).repairs) == 1
    none = replace(ROOMY, budget_tenant=Limit(count=0))
    assert planned(scan(of, finding(gone, "drift.missing")), none).repairs == ()


def test_a_broken_into_server_waits_for_no_other_repair() -> None:
    """Compromised servers have the budget before anything else of their tenant, all of them."""
    bad = [resource(f"bad-{i}") for i in range(3)]
    found = [
        *(
            finding(SERVERS, COMPROMISED, Kind.HEALTH, resource_id=f"i-{n}", severity=Severity.CRITICAL)
            for n in range(3)
        )
    ]
    plan = planned(of_fleet([*found, *map(finding, bad)], *bad), replace(ROOMY, budget_tenant=Limit(count=3)))
    assert [(r.strategy, len(r.members)) for r in plan.repairs] == [("quarantine", 3)]


def test_what_needs_a_fleet_waits_for_one_part_of_it() -> None:
    """An alarm on a fleet that is refreshed over many passes is set right in the first one, after that one's part."""
    alarm = resource("alarm", needs=["servers"])
    plan = planned(of_fleet([*outdated(SERVERS, 30), finding(alarm)], alarm), replace(ROOMY, budget_tenant=Limit(4)))
    by_strategy = {r.strategy: r for r in plan.repairs}
    assert len(by_strategy["refresh-image"].members) == 4 - by_strategy["reapply"].cost
    assert by_strategy["reapply"].after == (by_strategy["refresh-image"].id,)


def test_what_is_proposed_fits_into_a_pass_and_is_done_as_it_was_approved() -> None:
    """I03: consent is asked for as many servers as a whole budget has room for, and no more and no fewer are done."""
    of = of_fleet(outdated(SERVERS, 30))
    asking = replace(
        ROOMY, budget_tenant=Limit(count=4), modes=(ModeRule(Selector(tenant="*"), Mode.PROPOSE),), budget_hour=Limit(6)
    )
    first = planned(of, asking)
    (proposal,) = first.proposals
    assert (len(proposal.members), [len(d.finding_ids) for d in first.deferrals]) == (4, [26])
    consent = Approval(
        7, "h", "ana", "", NOW - timedelta(minutes=1), NOW + timedelta(hours=1),
        (Approved(proposal.content, proposal.id, "acme"),),
    )  # fmt: skip
    told = Circumstances(approvals=(consent,))
    assert [r.content for r in planned(of, asking, circumstances=told).repairs] == [proposal.content]
    busy = Attempt(Urn("x"), "rollout", Status.HEALED, NOW - timedelta(minutes=5), ("f",), servers=3)
    later = planned(of, asking, circumstances=told, history=(busy,))
    assert (later.repairs, {d.setting for d in later.deferrals}) == ((), {"budget.tenant", "budget.hour"})


def test_an_hour_counts_servers() -> None:
    """I03: a rollout of several servers spends as many of the hour's resources."""
    lately = Attempt(SERVERS.urn, "refresh-image", Status.HEALED, NOW - timedelta(minutes=30), ("f",), servers=8)
    plan = planned(of_fleet(outdated(SERVERS, 30)), replace(ROOMY, budget_hour=Limit(count=10)), history=(lately,))
    assert [len(r.members) for r in plan.repairs] == [2]


def test_what_the_period_has_spent_is_charged_to_the_hour_once() -> None:
    """I03: repairs of an earlier pass of the period are known to the hour's budget from the history already."""
    bad = resource("bad")
    spent = [Repair("reapply", "acme", (Urn(f"acme-quiet-{i}"),), (f"f-{i}",), "") for i in range(3)]
    then = NOW - timedelta(minutes=2)
    history = tuple(Attempt(r.urns[0], "reapply", Status.HEALED, then, r.finding_ids) for r in spent)
    of, hour = scan(cell(bad), finding(bad)), replace(ROOMY, budget_hour=Limit(count=4))
    assert planned(of, hour, spent=spent, history=history).repairs
    full = planned(of, replace(hour, budget_hour=Limit(count=3)), spent=spent, history=history)
    assert (full.repairs, [d.setting for d in full.deferrals]) == ((), ["budget.hour"])


def test_escalations_of_the_period_spend_nothing() -> None:
    """What was handed to a person has touched nothing and leaves the whole budget."""
    bad = resource("bad")
    spent = [Repair(ESCALATE, "acme", (Urn(f"acme-quiet-{i}"),), (f"f-{i}",), "") for i in range(9)]
    assert planned(scan(cell(bad), finding(bad)), replace(ROOMY, budget_tenant=Limit(count=1)), spent=spent).repairs


# --- whatever fails -----------------------------------------------------------------------------------------

SIZE, TENANTS = 8, ("t0", "t1", "t2")
GROUPS = {t: resource(f"{t}-servers", t, GROUP) for t in TENANTS}
ROOTS = {t: resource(f"{t}-root", t) for t in TENANTS}
LEAVES = [resource(f"{t}-{n}", t, uses=[f"{t}-root"] if n < 3 else []) for t in TENANTS for n in range(5)]
WORLD = cell(*ROOTS.values(), *LEAVES, *GROUPS.values(), fillers=0)
FLEETS = {g.urn: fleet(g, SIZE) for g in GROUPS.values()}

SERVER_FAULTS = st.builds(
    lambda tenant, number, sick: finding(
        GROUPS[tenant], "health.target" if sick else OUTDATED, Kind.HEALTH, resource_id=f"i-{number}", property_=""
    ),
    st.sampled_from(TENANTS), st.integers(0, SIZE - 1), st.booleans(),
)  # fmt: skip
MISSING = st.builds(lambda tenant: finding(ROOTS[tenant], "drift.missing", property_=""), st.sampled_from(TENANTS))
DRIFT = st.builds(finding, st.sampled_from(LEAVES))
ESCALATED = st.builds(lambda of: finding(of, "a-rule", Kind.COMPLIANCE), st.sampled_from(LEAVES))
FAULTS = st.lists(st.one_of(SERVER_FAULTS, MISSING, DRIFT, ESCALATED), max_size=40, unique_by=lambda f: f.id)
LIMITS = st.one_of(st.builds(Limit, st.integers(0, 9)), st.builds(lambda s: Limit(share=s), st.floats(0.01, 1)))
SOME = st.one_of(st.builds(Limit, st.integers(1, 9)), st.builds(lambda s: Limit(share=s), st.floats(0.01, 1)))


def policies(limits: st.SearchStrategy[Limit]) -> st.SearchStrategy[Policy]:
    return st.builds(
        lambda tenant, whole, tier, drift, health, hour, repairs: replace(
            ROOMY, budget_tenant=tenant, budget_global=whole, budget_tier={"gold": tier}, budget_hour=hour,
            budget_kind={"drift": drift, "health": health}, budget_repairs=repairs,
        ),
        *[limits] * 7,
    )  # fmt: skip


def written(repair: Repair) -> int:
    return len(repair.members) if repair.members else len(repair.urns)


def test_what_costs_more_than_a_whole_budget_waits_for_an_untouched_one() -> None:
    """A repair that cannot be cut and is larger than its budget has that budget to itself, or waits (I03)."""
    purse = Purse("the budget is spent", "budget.tenant", 3, 3)
    assert purse.allows(5)
    purse.take(1)
    assert (purse.allows(5), purse.allows(2)) == (False, True)


@settings(deadline=None)
@given(FAULTS, policies(LIMITS))
def test_no_plan_writes_more_than_any_budget_allows(found: list[Finding], policy: Policy) -> None:
    """I03: whatever fails and whatever is allowed, at each level no more is written than its limit, or one repair that
    cannot be cut."""
    repairs = acting(planned(scan(WORLD, *found, fleets=FLEETS), policy))
    kinds = {f.id: f.kind.value for f in found}
    everything = len(WORLD.resources)
    levels = [(policy.budget_tenant.of(len(WORLD.of(t))), [r for r in repairs if r.tenant == t]) for t in TENANTS]
    levels += [
        (limit.of(everything), [r for r in repairs if any(kinds[i] == kind for i in r.finding_ids)])
        for kind, limit in policy.budget_kind.items()
    ]
    hour = policy.budget_hour
    levels += [
        (policy.budget_global.of(everything), repairs),
        (policy.budget_tier["gold"].of(everything), repairs),
        (hour.count if hour.count is not None else hour.of(everything), repairs),
    ]
    for limit, mine in levels:
        alone = len(mine) == 1 and limit > 0 and mine[0].strategy not in OF_SERVERS
        assert sum(map(written, mine)) <= limit or alone
    assert len(repairs) <= policy.budget_repairs.of(1_000_000)


@settings(deadline=None)
@given(FAULTS, policies(SOME))
def test_passes_go_on_until_all_is_repaired(found: list[Finding], policy: Policy) -> None:
    """A pass that has something to do, and no budget of nothing, does something; so every tenant has its turn, and no
    finding is lost between two passes."""
    left = list(found)
    while left:
        plan = planned(scan(WORLD, *left, fleets=FLEETS), policy)
        placed = [i for r in plan.repairs for i in r.finding_ids] + [i for d in plan.deferrals for i in d.finding_ids]
        assert sorted(placed) == sorted(f.id for f in left)
        done = {i for r in acting(plan) for i in r.finding_ids}
        if not done:
            assert {r.strategy for r in plan.repairs} == {ESCALATE}
            assert plan.deferrals == ()
            return
        left = [f for f in left if f.id not in done]


@settings(deadline=None)
@given(st.integers(1, SIZE), st.integers(1, 12), st.integers(1, 12))
def test_a_fleet_that_is_refreshed_starves_no_other_tenant(servers: int, whole: int, repairs: int) -> None:
    """Servers take turns with the repairs of other tenants, one by one, also where theirs comes last."""
    policy = replace(ROOMY, budget_global=Limit(whole), budget_repairs=Limit(repairs))
    found = [*outdated(GROUPS["t0"], servers), *(finding(r) for r in LEAVES if r.tenant != "t0")]
    plan = planned(scan(WORLD, *found, fleets=FLEETS), policy)
    assert len({r.tenant for r in plan.repairs}) == min(len(TENANTS), whole, repairs)


def test_a_server_that_fails_does_not_wait_behind_those_that_are_only_outdated() -> None:
    """I03: a rollout that is cut begins with what fails, in whatever zone it is."""
    members = tuple(
        replace(m, zone="abc"[n // 10], target="unhealthy" if n == 29 else "healthy")
        for n, m in enumerate(fleet(SERVERS, 30).members)
    )
    sick = finding(SERVERS, "health.instance-state", Kind.HEALTH, resource_id="i-29", property_="")
    world = scan(
        cell(SERVERS), *outdated(SERVERS, 29), sick, fleets={SERVERS.urn: replace(fleet(SERVERS, 30), members=members)}
    )
    (repair,) = acting(planned(world, replace(ROOMY, budget_tenant=Limit(count=5))))
    assert len(repair.members) == 5
    assert "i-29" in repair.members


def test_what_is_proposed_together_fits_into_one_pass() -> None:
    """I03: a plan with two fleets that is approved is done as it was shown, and what is left is proposed afterwards."""
    groups = [resource(name, type_=GROUP) for name in ("a", "b")]
    fleets = {
        g.urn: replace(
            fleet(g, 8), members=tuple(replace(m, instance_id=f"{m.instance_id}{g.name}") for m in fleet(g, 8).members)
        )
        for g in groups
    }
    found = [
        finding(g, OUTDATED, Kind.HEALTH, resource_id=m.instance_id, property_="")
        for g in groups
        for m in fleets[g.urn].members
    ]
    asks = replace(ROOMY, budget_tenant=Limit(count=5), modes=(ModeRule(Selector(tenant="*"), Mode.PROPOSE),))
    world = scan(cell(*groups), *found, fleets=fleets)
    shown = planned(world, asks)
    assert sum(len(r.members) for r in shown.proposals) == 5
    approved = tuple(Approved(r.content, r.id, r.tenant) for r in shown.proposals)
    approval = Approval(1, shown.hash, "ann", "", NOW, NOW + timedelta(hours=1), approved, frozenset())
    done = planned(world, asks, circumstances=Circumstances(approvals=(approval,)))
    assert [r.members for r in done.repairs] == [r.members for r in shown.proposals]
    assert not any("approved another plan" in r.reason for r in done.proposals)

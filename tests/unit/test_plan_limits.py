"""Budgets at every level, one failure domain at a time, and a fair share for everybody."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.model import Attempt, Declared, Finding, Fleet, Kind, Member, Plan, Repair, Status, TenantFacts, Urn
from reconciler.plan.circumstances import Circumstances
from reconciler.plan.planner import plan
from reconciler.plan.policy import Limit, Policy
from tests.unit.plan_worlds import GROUP, KINDS, NOW, cell, downstream, finding, resource, scan
from tests.unit.test_plan_planner import planned

ROOMY = Policy(budget_tenant=Limit(share=1.0), budget_global=Limit(share=1.0), breaker_share=1.0)


def tiers(of: Declared, **tier: str) -> Declared:
    return replace(of, tenants={t: TenantFacts(t, tier[t], frozenset()) for t in of.tenants})


def test_a_tier_has_a_budget_of_its_own() -> None:
    """I03: two bronze tenants share one budget, and the gold one is not counted against it."""
    bad = [resource(f"{t}-{i}", t) for t in ("b1", "b2", "g") for i in range(2)]
    world = tiers(cell(*bad), b1="bronze", b2="bronze", g="gold")
    result = planned(scan(world, *map(finding, bad)), replace(ROOMY, budget_tier={"bronze": Limit(count=3)}))
    assert sorted(str(r.tenant) for r in result.repairs) == ["b1", "b1", "b2", "g", "g"]
    assert [(d.code, d.setting) for d in result.deferrals] == [("budget", "budget.tier.bronze")]


def test_a_reason_has_a_budget_of_its_own() -> None:
    """I03: repairs for one kind of finding leave room for those of another."""
    bad = [resource(f"bad-{i}") for i in range(4)]
    group = resource("group", type_=GROUP)
    sick = finding(group, "health.target", Kind.HEALTH, resource_id="i-0")
    of = scan(cell(*bad, group), *map(finding, bad), sick, fleets={group.urn: in_zones(group.urn, "abc")})
    result = planned(of, replace(ROOMY, budget_kind={"drift": Limit(count=1)}))
    assert sorted(r.strategy for r in result.repairs) == ["reapply", "rollout"]
    assert {d.setting for d in result.deferrals} == {"budget.kind.drift"}


def test_an_hour_has_a_budget_over_all_passes() -> None:
    """I03 F37: what earlier passes touched within the hour counts, also if the clock was set back since; what was
    refused or is older does not."""
    bad = [resource(f"bad-{i}") for i in range(3)]
    policy = replace(ROOMY, budget_hour=Limit(count=3))

    def touched(minutes: int, status: Status) -> Attempt:
        return Attempt(Urn(f"x{minutes}{status}"), "reapply", status, NOW - timedelta(minutes=minutes), ("f",))

    old, refused = touched(61, Status.HEALED), touched(5, Status.REFUSED)
    lately = touched(10, Status.HEALED), touched(59, Status.NOT_HEALED)
    of = scan(cell(*bad), *map(finding, bad))
    assert len(planned(of, policy, history=(old, refused)).repairs) == 3
    result = planned(of, policy, history=lately)
    assert (len(result.repairs), {d.setting for d in result.deferrals}) == (1, {"budget.hour"})
    set_back = (touched(-60, Status.HEALED), touched(-1, Status.HEALED))
    assert len(planned(of, policy, history=set_back).repairs) == 1


def test_what_has_not_ended_counts_in_the_hour() -> None:
    """I03: a repair that is under way, or was cut off, has its part of the hour; an escalation has none."""
    bad = [resource(f"bad-{i}") for i in range(3)]
    of, policy = scan(cell(*bad), *map(finding, bad)), replace(ROOMY, budget_hour=Limit(count=3))
    begun = Repair("rollout", "acme", (Urn("g"),), ("f",), "", members=("i-1", "i-2"))
    for repair, left in ((begun, 1), (replace(begun, strategy="escalate"), 3)):
        assert len(planned(of, policy, circumstances=Circumstances(under_way=(repair,))).repairs) == left


def test_repairs_at_once_have_a_limit() -> None:
    """So many repairs a pass, however small they are."""
    bad = [resource(f"bad-{i}") for i in range(5)]
    result = planned(scan(cell(*bad), *map(finding, bad)), replace(ROOMY, budget_repairs=Limit(count=2)))
    assert (len(result.repairs), {d.setting for d in result.deferrals}) == (2, {"budget.repairs"})


def test_what_no_tenant_owns_has_a_budget_and_no_tenants_name() -> None:
    """I03: resources of the cell itself are repaired beside a tenant's, and what does not fit is told as theirs."""
    bad = [resource("acme-1"), *(resource(f"shared-{i}", None) for i in range(3))]
    result = planned(scan(cell(*bad), *map(finding, bad)), replace(ROOMY, budget_tenant=Limit(count=2)))
    assert sorted(str(r.tenant) for r in result.repairs) == ["None", "None", "acme"]
    (deferral,) = result.deferrals
    assert deferral.setting == "budget.tenant"
    assert deferral.reason.startswith("the budget of what no tenant owns for this pass is spent")


def in_zones(group: Urn, zones: str) -> Fleet:
    members = tuple(Member(f"i-{n}", z, "InService", "running", "healthy") for n, z in enumerate(zones))
    return Fleet(group, "g", len(members), 1, len(members) + 1, members)


def test_failed_servers_are_replaced_in_one_zone_at_a_time() -> None:
    """F49 I03: the worst hit zone of a tenant first, over all of its fleets; the others in later passes."""
    groups = [resource(f"g{i}", type_=GROUP) for i in range(2)]
    fleets = {g.urn: in_zones(g.urn, "aabbccaabbcc") for g in groups}
    sick = [(groups[0], "i-2"), (groups[0], "i-4"), (groups[1], "i-8"), (groups[1], "i-9")]
    found = [finding(g, "health.target", Kind.HEALTH, resource_id=i) for g, i in sick]
    result = planned(scan(cell(*groups), *found, fleets=fleets), ROOMY)
    assert {r.urns[0]: r.members for r in result.repairs} == {groups[0].urn: ("i-2",), groups[1].urn: ("i-8", "i-9")}
    assert [(d.setting, d.finding_ids) for d in result.deferrals] == [("budget.zones", (found[1].id,))]
    wide = planned(scan(cell(*groups), *found, fleets=fleets), replace(ROOMY, zones_at_once=2))
    assert sum(len(r.members) for r in wide.repairs) == 4


def test_passes_of_one_period_stay_in_their_zones() -> None:
    """F49 I03: what an earlier pass has replaced counts, so a server that fails next waits unless it is in that zone.

    The zones are no part of what a repair is, so an approval of it holds.
    """
    group = resource("g", type_=GROUP)

    def after(spent: Sequence[Repair], *sick: str, zones_at_once: int = 1) -> Plan:
        found = [finding(group, "health.target", Kind.HEALTH, resource_id=i) for i in sick]
        of = scan(cell(group), *found, fleets={group.urn: in_zones(group.urn, "aabbccaabbcc")})
        return planned(of, replace(ROOMY, zones_at_once=zones_at_once), spent=spent)

    first = after((), "i-0").repairs
    assert [(r.zones, r.content) for r in first] == [(("a",), replace(first[0], zones=()).content)]
    other = after(first, "i-2", "i-3")
    assert (other.repairs, [d.setting for d in other.deferrals]) == ((), ["budget.zones"])
    assert [r.members for r in after(first, "i-1", "i-2", "i-3").repairs] == [("i-1",)]
    assert [r.zones for r in after(first, "i-2", "i-4", "i-5", zones_at_once=2).repairs] == [("c",)]
    assert after([replace(r, tenant="other") for r in first], "i-2").repairs


def test_each_tenant_has_its_own_zones() -> None:
    """One tenant's failed zone does not keep another tenant's failed server waiting."""
    groups = [resource("g0", "acme", GROUP), resource("g1", "other", GROUP)]
    fleets = {g.urn: in_zones(g.urn, "abc") for g in groups}
    found = [
        finding(g, "health.target", Kind.HEALTH, resource_id=i) for g, i in zip(groups, ("i-0", "i-1"), strict=True)
    ]
    assert len(planned(scan(cell(*groups), *found, fleets=fleets), ROOMY).repairs) == 2


def test_outdated_servers_are_replaced_zone_after_zone() -> None:
    """They serve on meanwhile, so one repair has them all, in the order of their zones."""
    group = resource("g", type_=GROUP)
    found = [finding(group, "health.outdated-template", Kind.HEALTH, resource_id=f"i-{n}") for n in range(6)]
    of = scan(cell(group), *found, fleets={group.urn: in_zones(group.urn, "abcabc")})
    (repair,) = planned(of, ROOMY).repairs
    assert repair.members == ("i-0", "i-3", "i-1", "i-4", "i-2", "i-5")


@settings(max_examples=3, deadline=None)
@given(st.integers(1, 6), st.integers(1, 40))
def test_ten_thousand_findings_of_one_tenant_starve_nobody(quiet: int, budget: int) -> None:
    """T08: as many of the quiet tenants as the budget has room for are served, before the noisy one's second turn."""
    noisy = [resource(f"n{i}", "aaa-noisy") for i in range(100)]
    calm = [resource(f"q{i}", f"tenant-{i}") for i in range(quiet)]
    flood = [finding(r, property_=f"p{i}") for r in noisy for i in range(100)]
    policy = replace(ROOMY, budget_global=Limit(count=budget), storm_findings=1_000_000, missing_share=1.0)
    result = planned(scan(cell(*noisy, *calm, fillers=5), *flood, *map(finding, calm)), policy)
    served = {r.tenant for r in result.repairs} - {"aaa-noisy"}
    assert len(served) >= min(quiet, budget - 1)
    assert sum(r.cost for r in result.repairs) <= budget


def passes_until_served(world: Declared, noise: list[Finding], quiet: Finding, policy: Policy) -> int:
    """How many passes, each fed with what the earlier ones did, a quiet finding waits beside those of a noisy tenant.

    Each pass has at least one more finding of the noise than it can repair.
    """
    history: list[Attempt] = []
    for number in range(1, len(noise) + 1):
        now = NOW + number * timedelta(minutes=5)
        result = plan(
            scan(world, *noise[number - 1 :], quiet), policy, history, KINDS, now=now,
            dependents=lambda urns: downstream(world, urns), users=lambda urns: downstream(world, urns),
        )  # fmt: skip
        if any(quiet.id in r.finding_ids for r in result.repairs):
            return number
        history += [Attempt(u, r.strategy, Status.HEALED, now, r.finding_ids) for r in result.repairs for u in r.urns]
    raise AssertionError("its turn never came")


def test_a_small_budget_goes_round_over_the_passes() -> None:
    """T08: who was served least within the hour comes first, so a noisy tenant does not have every pass to itself."""
    noisy, calm = [resource(f"n{i}", "acme") for i in range(30)], resource("z", "zeta")
    policy = replace(ROOMY, budget_global=Limit(count=1), cooldown=timedelta(0))
    assert passes_until_served(cell(*noisy, calm), [*map(finding, noisy)], finding(calm), policy) == 2


def test_what_needs_a_whole_budget_has_its_turn_beside_a_noisy_tenant() -> None:
    """T08: a repair that costs more than a whole budget finds it untouched when its tenant comes first."""
    noisy, base = [resource(f"n{i}", "acme") for i in range(30)], resource("z", "zeta")
    users = [resource(f"zu{i}", "zeta", uses=["z"]) for i in range(9)]
    policy = replace(ROOMY, budget_global=Limit(count=8), cooldown=timedelta(0), missing_share=1.0)
    noise, gone = [*map(finding, noisy)], finding(base, "drift.missing", property_="")
    assert passes_until_served(cell(*noisy, base, *users), noise, gone, policy) == 2


def test_tiers_decide_among_those_served_alike() -> None:
    """T08: of tenants with as many repairs, the gold one comes first; an escalation is no repair."""
    gold, bronze = resource("zg", "zgold"), resource("b", "bronze")
    world = tiers(cell(gold, bronze), zgold="gold", bronze="bronze")
    policy = replace(ROOMY, budget_global=Limit(count=1))

    def first(*history: Attempt) -> list[str | None]:
        return [r.tenant for r in planned(scan(world, finding(gold), finding(bronze)), policy, history=history).repairs]

    before = Attempt(Urn("zgold-quiet-1"), "reapply", Status.HEALED, NOW - timedelta(minutes=9), ("f",))
    assert first() == first(replace(before, strategy="escalate")) == ["zgold"]
    assert first(replace(before, at=NOW - timedelta(minutes=61))) == ["zgold"]
    assert first(before) == ["bronze"]


TINY = Limit(share=0.01)


@pytest.mark.parametrize(
    "policy",
    [
        Policy(budget_hour=TINY),
        Policy(budget_repairs=TINY),
        Policy(budget_tenant=TINY),
        Policy(budget_global=TINY),
        Policy(budget_tier={"gold": TINY}),
        Policy(budget_kind={"drift": TINY}),
    ],
)
def test_a_small_pool_always_has_room_for_one(policy: Policy) -> None:
    """I03: no share rounds down to nothing, at any level."""
    subnet = resource("subnet")
    assert planned(scan(cell(subnet, fillers=5), finding(subnet)), policy).repairs

"""The planner: which repair for which cause, in which order, and what is left alone and why."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.declare.graph import Graph
from reconciler.model import Attempt, Finding, Kind, Plan, Scan, Severity, Status, Unreadable, Verdict
from reconciler.plan.planner import plan
from reconciler.plan.policy import Limit, Policy
from tests.unit.plan_worlds import DATA, GROUP, KINDS, NOW, cell, downstream, finding, fleet, resource, scan


def planned(of: Scan, policy: Policy | None = None, *, history: tuple[Attempt, ...] = (), **options: object) -> Plan:
    return plan(
        of, policy or Policy(), history, KINDS, now=NOW,
        dependents=lambda urns: downstream(of.declared, urns),
        users=lambda urns: Graph(of.declared).users(urns), **options,  # type: ignore[arg-type]
    )  # fmt: skip


def test_drift_of_a_stateless_resource_is_reapplied() -> None:
    """A drifted subnet is set back by a targeted update of itself alone."""
    subnet = resource("subnet")
    (repair,) = planned(scan(cell(subnet), finding(subnet))).repairs
    assert (repair.strategy, repair.urns) == ("reapply", (subnet.urn,))


def test_drift_and_its_rule_are_one_repair() -> None:
    """A drift finding and a compliance finding on the same resource have one cause and one repair."""
    subnet = resource("subnet")
    found = finding(subnet), finding(subnet, "sg-admin-ports", Kind.COMPLIANCE)
    (repair,) = planned(scan(cell(subnet), *found)).repairs
    assert set(repair.finding_ids) == {f.id for f in found}


def test_a_stateful_resource_is_restored_in_place_and_never_created_anew() -> None:
    """I08: a drifted bucket is restored, a missing one is escalated to a person."""
    drifted, missing = resource("b1", type_=DATA), resource("b2", type_=DATA)
    of = scan(cell(drifted, missing), finding(drifted), finding(missing, "drift.missing"))
    assert {r.urns[0]: r.strategy for r in planned(of).repairs} == {drifted.urn: "restore", missing.urn: "escalate"}


def test_an_unknown_type_is_treated_as_stateful() -> None:
    """A type nobody described might hold data, so when it is missing it is escalated."""
    odd = resource("odd", type_="aws:new/thing:Thing")
    (repair,) = planned(scan(cell(odd), finding(odd, "drift.missing"))).repairs
    assert repair.strategy == "escalate"


def test_a_protected_resource_is_not_created_anew() -> None:
    """Pulumi's own protection is respected even for a stateless type."""
    kept = resource("kept", protect=True)
    (repair,) = planned(scan(cell(kept), finding(kept, "drift.missing"))).repairs
    assert repair.strategy == "escalate"


def test_a_rule_that_fails_without_drift_is_for_a_person() -> None:
    """Applying the program again cannot heal what the program itself says."""
    subnet = resource("subnet")
    (repair,) = planned(scan(cell(subnet), finding(subnet, "kms-rotation", Kind.COMPLIANCE))).repairs
    assert repair.strategy == "escalate"
    assert "program" in repair.reason


def test_a_grant_to_a_stranger_is_for_a_person() -> None:
    """T04: a key whose policy is as declared, but which a stranger may use, is escalated and not touched."""
    key = resource("key", type_="aws:kms/key:Key")
    (repair,) = planned(scan(cell(key), finding(key, "kms-grants", Kind.COMPLIANCE))).repairs
    assert (repair.strategy, repair.urns) == ("escalate", (key.urn,))
    assert "a person" in repair.reason


def test_a_grant_to_a_stranger_does_not_end_the_repair_of_its_key() -> None:
    """T04: drift of the same key is restored apart from the grant, which would make each restoring count as failed."""
    key = resource("key", type_="aws:kms/key:Key")
    drifted, granted = finding(key), finding(key, "kms-grants", Kind.COMPLIANCE)
    rotation = finding(key, "kms-rotation", Kind.COMPLIANCE)
    repairs = planned(scan(cell(key), drifted, granted, rotation)).repairs
    assert {r.strategy: set(r.finding_ids) for r in repairs} == {
        "restore": {drifted.id, rotation.id},
        "escalate": {granted.id},
    }


def test_what_the_state_lost_is_for_a_person() -> None:
    """A resource that exists but is no longer in the state would be created a second time; it has to be imported."""
    lost = resource("lost")
    found = finding(lost, "drift.declaration-changed", property_="")
    (repair,) = planned(scan(cell(lost), found)).repairs
    assert repair.strategy == "escalate"
    assert "import" in repair.reason


def test_a_missing_resource_comes_back_with_what_refers_to_it() -> None:
    """Dependents of a missing resource are repaired with it, since its id changes; another tenant's are not (I10)."""
    vpc, subnet = resource("vpc"), resource("subnet", uses=["vpc"])
    peer = resource("peer", tenant="other", uses=["vpc"])
    (repair,) = planned(scan(cell(vpc, subnet, peer), finding(vpc, "drift.missing"))).repairs
    assert (repair.strategy, repair.urns) == ("recreate", (vpc.urn, subnet.urn))


def test_nothing_is_created_on_what_a_person_must_bring_back() -> None:
    """I08: the policy of a bucket that is gone waits for the bucket; an alarm that names no value of it does not."""
    bucket = resource("bucket", type_=DATA)
    policy, alarm = resource("policy", uses=["bucket"]), resource("alarm", needs=["bucket"])
    missing = [finding(r, "drift.missing") for r in (bucket, policy, alarm)]
    result = planned(scan(cell(bucket, policy, alarm), *missing))
    assert {r.urns[0]: r.strategy for r in result.repairs} == {bucket.urn: "escalate", alarm.urn: "recreate"}
    (deferral,) = result.deferrals
    assert (deferral.code, deferral.finding_ids) == ("dependency", (missing[1].id,))
    assert "needs bucket" in deferral.reason


def test_what_merely_comes_later_is_not_repaired_with_it() -> None:
    """A load balancer that only waits for a route at creation holds no value of it and is left alone."""
    route, balancer = resource("route"), resource("balancer", needs=["route"])
    (repair,) = planned(scan(cell(route, balancer), finding(route, "drift.missing"))).repairs
    assert repair.urns == (route.urn,)


def test_missing_resources_that_need_each_other_are_one_repair() -> None:
    """A missing VPC and its missing subnet are created in one go and cost two."""
    vpc, subnet = resource("vpc"), resource("subnet", uses=["vpc"])
    found = finding(subnet, "drift.missing"), finding(vpc, "drift.missing")
    (repair,) = planned(scan(cell(vpc, subnet), *found)).repairs
    assert (repair.urns, repair.cost, set(repair.finding_ids)) == ((vpc.urn, subnet.urn), 2, {f.id for f in found})


def test_unknown_plans_nothing() -> None:
    """I06: an UNKNOWN verdict becomes a deferral that says why, never a repair."""
    subnet = resource("subnet")
    result = planned(scan(cell(subnet), finding(subnet, verdict=Verdict.UNKNOWN)))
    assert result.repairs == ()
    assert [d.code for d in result.deferrals] == ["unknown"]


def test_a_server_is_replaced_after_its_template_is_repaired() -> None:
    """A rollout waits for the repair of what the group needs, so that the new server is a right one."""
    template, group = resource("template"), resource("group", type_=GROUP, needs=["template"])
    sick = finding(group, "health.target", Kind.HEALTH, resource_id="i-0")
    result = planned(scan(cell(template, group), finding(template), sick, fleets={group.urn: fleet(group, 3)}))
    by_strategy = {r.strategy: r for r in result.repairs}
    assert by_strategy["rollout"].members == ("i-0",)
    assert by_strategy["rollout"].after == (by_strategy["reapply"].id,)


def test_servers_that_fail_together_are_not_replaced() -> None:
    """F48: two of three servers failing have a common cause; replacing them would spread it."""
    group = resource("group", type_=GROUP)
    sick = [finding(group, "health.target", Kind.HEALTH, resource_id=f"i-{n}") for n in range(2)]
    result = planned(scan(cell(group), *sick, fleets={group.urn: fleet(group, 3)}))
    assert result.repairs == ()
    assert {d.code for d in result.deferrals} == {"breaker"}


def test_an_unreadable_fleet_is_left_alone() -> None:
    """I06: a fleet that could not be read is not changed, even when one of its servers is known to be bad; it says why
    it could not."""
    group = resource("group", type_=GROUP)
    sick = finding(group, "health.target", Kind.HEALTH, resource_id="i-0")
    made = planned(scan(cell(group), sick, fleets={group.urn: Unreadable("denied")}))
    assert made.repairs == ()
    assert [d.reason for d in made.deferrals] == ["the fleet could not be read: denied"]


def test_the_breaker_opens_for_the_tenant_alone() -> None:
    """Above a fifth of one tenant's resources nothing is repaired there; the other tenant is still served."""
    bad = [resource(f"bad-{i}") for i in range(11)]
    other = resource("other", tenant="other")
    world = cell(*bad, other, resource("third", tenant="third"), resource("fourth", tenant="fourth"))
    result = planned(scan(world, *(finding(r) for r in bad), finding(other)))
    assert [r.tenant for r in result.repairs] == ["other"]
    assert {d.code for d in result.deferrals} == {"breaker"}


def test_the_breaker_opens_for_the_cell() -> None:
    """Mass failure over all tenants stops everything, though no tenant alone is above its share's minimum count."""
    bad = [resource(f"bad-{i}", tenant=f"t{i}") for i in range(8)]
    result = planned(scan(cell(*bad, fillers=2), *(finding(r) for r in bad)))
    assert result.repairs == ()
    assert {d.code for d in result.deferrals} == {"breaker"}


def test_one_failure_in_a_tiny_cell_is_repaired() -> None:
    """A share of a handful says little: one failing resource of three does not open the breaker."""
    subnet = resource("subnet")
    assert planned(scan(cell(subnet, fillers=2), finding(subnet))).repairs


def test_budgets_hold_and_what_does_not_fit_says_so() -> None:
    """I03: with room for two resources of the tenant, the third repair is deferred by budget."""
    bad = [resource(f"bad-{i}") for i in range(3)]
    result = planned(scan(cell(*bad), *(finding(r) for r in bad)), Policy(budget_tenant=Limit(count=2)))
    assert sum(r.cost for r in result.repairs) == 2
    assert [d.code for d in result.deferrals] == ["budget"]


def test_a_noisy_tenant_starves_nobody() -> None:
    """T08: with a cell budget of four, a tenant with fifty findings leaves room for the quiet one's single repair."""
    noisy = [resource(f"n{i:03}", "aaa-noisy") for i in range(50)]
    quiet = resource("quiet", "zzz-quiet")
    world = cell(*noisy, quiet, fillers=300)
    result = planned(scan(world, *(finding(r) for r in noisy), finding(quiet)), Policy(budget_global=Limit(count=4)))
    assert "zzz-quiet" in {r.tenant for r in result.repairs}


def test_a_zero_budget_repairs_nothing() -> None:
    """An operator who sets a budget of zero gets no repair at all."""
    subnet = resource("subnet")
    assert planned(scan(cell(subnet), finding(subnet)), Policy(budget_global=Limit(count=0))).repairs == ()


def test_what_keeps_breaking_is_escalated() -> None:
    """I11: after three repairs within the window the fourth is an escalation."""
    subnet = resource("subnet")
    past = tuple(
        Attempt(subnet.urn, "reapply", Status.HEALED, NOW - timedelta(minutes=5 * i), ("f",)) for i in (1, 2, 3)
    )
    (repair,) = planned(scan(cell(subnet), finding(subnet)), history=past).repairs
    assert repair.strategy == "escalate"


def test_old_repairs_do_not_count_against_the_flap_cap() -> None:
    """I11: the cap counts inside its window only."""
    subnet = resource("subnet")
    past = tuple(Attempt(subnet.urn, "reapply", Status.HEALED, NOW - timedelta(hours=2), ("f",)) for _ in range(9))
    (repair,) = planned(scan(cell(subnet), finding(subnet)), history=past).repairs
    assert repair.strategy == "reapply"


def test_what_failed_the_same_way_twice_is_escalated() -> None:
    """A repair that did not heal its finding twice is not tried a third time."""
    subnet = resource("subnet")
    found = finding(subnet)
    past = tuple(
        Attempt(subnet.urn, "reapply", Status.NOT_HEALED, NOW - timedelta(minutes=i), (found.id,)) for i in (1, 2)
    )
    (repair,) = planned(scan(cell(subnet), found), history=past).repairs
    assert repair.strategy == "escalate"


@pytest.mark.parametrize("key", [None, "acme"])
def test_a_pause_defers_everything_it_covers(key: str | None) -> None:
    """I14: a paused cell or tenant gets no repair, and the deferral says who paused it and why."""
    subnet = resource("subnet")
    result = planned(scan(cell(subnet), finding(subnet)), paused={key: "paused by ana: migration"})
    assert result.repairs == ()
    assert [(d.code, d.reason) for d in result.deferrals] == [("paused", "paused by ana: migration")]


def test_what_the_stack_only_reads_is_not_repaired() -> None:
    """A resource read with .get is managed elsewhere."""
    read = resource("read", external=True)
    assert planned(scan(cell(read), finding(read))).repairs == ()


def test_a_repair_whose_prerequisite_is_deferred_waits_with_it() -> None:
    """The rollout is not done when the budget has no room for what the group needs."""
    role, template = resource("role"), resource("template", uses=["role"])
    group = resource("group", type_=GROUP)
    group = replace(group, dependencies=frozenset({template.urn}))
    first = resource("first")
    sick = finding(group, "health.target", Kind.HEALTH, resource_id="i-0")
    missing = finding(role, "drift.missing"), finding(template, "drift.missing")
    urgent = finding(first, severity=Severity.CRITICAL)
    world = scan(cell(first, role, template, group), urgent, *missing, sick, fleets={group.urn: fleet(group, 3)})
    result = planned(world, Policy(budget_tenant=Limit(count=2)))
    assert [r.urns for r in result.repairs] == [(first.urn,)]
    assert {d.code for d in result.deferrals} == {"budget", "dependency"}


failing = st.lists(
    st.tuples(st.integers(0, 29), st.sampled_from(["drift.property", "drift.missing", "rule"]), st.booleans()),
    max_size=40,
)


@given(failing, st.integers(0, 6), st.integers(1, 8))
def test_every_failing_finding_is_planned_or_deferred_exactly_once(
    faults: list[tuple[int, str, bool]], needs: int, budget: int
) -> None:
    """Whatever fails: each finding is in one repair or one deferral, budgets hold, and stateful is never recreated."""
    resources = [
        resource(
            f"r{i}",
            f"t{i % 3}",
            DATA if i % 5 == 0 else "aws:ec2/subnet:Subnet",
            uses=[f"r{i - 3 * needs}"] if needs and i >= 3 * needs else (),
        )
        for i in range(30)
    ]
    found: dict[str, Finding] = {}
    for i, rule, unknown in faults:
        kind = Kind.COMPLIANCE if rule == "rule" else Kind.DRIFT
        f = finding(resources[i], rule, kind, Verdict.UNKNOWN if unknown else Verdict.FAIL, property_=f"p{unknown}")
        found[f.id] = f
    world = scan(cell(*resources), *found.values())
    result = planned(world, Policy(budget_global=Limit(count=budget)))
    assert result == planned(world, Policy(budget_global=Limit(count=budget)))

    placed = [i for r in result.repairs for i in r.finding_ids] + [i for d in result.deferrals for i in d.finding_ids]
    assert sorted(placed) == sorted(found)
    acting = [r for r in result.repairs if r.strategy != "escalate"]
    assert sum(r.cost for r in acting) <= budget or len(acting) == 1
    for repair in acting:
        assert all(found[i].verdict is Verdict.FAIL for i in repair.finding_ids)
        assert {world.declared.resources[u].tenant for u in repair.urns} == {repair.tenant}
        missing = {found[i].urn for i in repair.finding_ids if found[i].rule == "drift.missing"}
        assert all(world.declared.resources[u].type != DATA for u in missing)
    seen: set[str] = set()
    for repair in acting:
        assert set(repair.after) <= {r.id for r in acting}
        seen.add(repair.id)


@given(st.integers(0, 1000), st.one_of(st.none(), st.integers(0, 50)), st.one_of(st.none(), st.floats(0.001, 1)))
def test_limits_round_down_but_leave_room_for_one(pool: int, count: int | None, share: float | None) -> None:
    """A share of a small pool allows one; no limit allows more than there is."""
    allowed = Limit(count, share).of(pool)
    assert 0 <= allowed <= pool
    if pool and count != 0:
        assert allowed >= 1
    if share is not None and pool * share >= 1:
        assert allowed <= pool * share

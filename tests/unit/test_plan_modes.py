"""Modes and approvals: what may be done without asking, and that consent covers exactly what was shown, once."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.decisions import Approval, Approved
from reconciler.model import AcceptedBy, Declared, DeclaredResource, Finding, Kind, Plan, Repair
from reconciler.plan.circumstances import Circumstances
from reconciler.plan.modes import Mode, ModeRule
from reconciler.plan.policy import Limit, Policy
from reconciler.plan.selectors import Selector
from tests.unit.plan_worlds import DATA, GROUP, NOW, PLAIN, cell, finding, fleet, resource, scan
from tests.unit.test_plan_planner import planned

ACME, OTHER = resource("a", "acme"), resource("o", "other")


def ruled(*rules: tuple[Selector, Mode]) -> Policy:
    return Policy(modes=tuple(ModeRule(selector, mode) for selector, mode in rules))


ASKING = ruled((Selector(tenant="*"), Mode.PROPOSE))


def approval(*repairs: Repair, used: Collection[str] = (), minutes: float = 60) -> Approval:
    consent = tuple(Approved(r.content, r.id, r.tenant) for r in repairs)
    at = NOW - timedelta(minutes=1)
    return Approval(7, "h", "ana", "", at, NOW + timedelta(minutes=minutes), consent, frozenset(used))


def again(of: Declared, found: Collection[Finding], *approvals: Approval, policy: Policy = ASKING) -> Plan:
    return planned(scan(of, *found), policy, circumstances=Circumstances(approvals=approvals))


def test_what_is_only_observed_is_not_planned() -> None:
    """In mode observe nothing is planned, and the deferral names the entry and the setting."""
    policy = ruled((Selector(tenant="acme"), Mode.OBSERVE))
    result = planned(scan(cell(ACME, OTHER), finding(ACME), finding(OTHER)), policy)
    assert [r.tenant for r in result.repairs] == ["other"]
    (deferral,) = result.deferrals
    assert (deferral.code, deferral.setting) == ("mode", "modes[1].mode")
    assert "tenant = acme" in deferral.reason


def test_what_needs_consent_waits_for_it() -> None:
    """In mode propose a repair is a proposal: it is in the plan and not among its repairs."""
    result = planned(scan(cell(ACME), finding(ACME)), ASKING)
    assert result.repairs == ()
    assert [(p.urns, p.setting) for p in result.proposals] == [((ACME.urn,), "modes[1].mode")]


@pytest.mark.parametrize(
    "selector",
    [
        Selector(tenant="ac*"),
        Selector(tier="gold", tenant="acme"),
        Selector(type="aws:ec2/*", tenant="acme"),
        Selector(kind="drift", tenant="acme"),
        Selector(rule="drift.property", tenant="acme"),
    ],
    ids=str,
)
def test_each_part_selects(selector: Selector) -> None:
    """Tenant, tier, type, kind and rule narrow an entry, and B34: a name that only begins alike is not meant."""
    policy = ruled((selector, Mode.OBSERVE))
    found = finding(ACME), finding(OTHER)
    assert [r.tenant for r in planned(scan(cell(ACME, OTHER), *found), policy).repairs] == ["other"]
    narrower = replace(selector, rule="drift.prop")
    assert len(planned(scan(cell(ACME, OTHER), *found), ruled((narrower, Mode.OBSERVE))).repairs) == 2


def test_a_selector_without_parts_selects_nothing() -> None:
    """B20: leaving everything out never means everything; B21: that has to be written."""
    nobodys = resource("n", None)
    of = scan(cell(ACME, nobodys), finding(ACME), finding(nobodys))
    assert len(planned(of, ruled((Selector(), Mode.OBSERVE))).repairs) == 2
    assert planned(of, ruled((Selector(tenant="*"), Mode.OBSERVE))).repairs == ()


@given(st.permutations(list(Mode)))
def test_of_entries_that_overlap_the_most_restrictive_counts(modes: list[Mode]) -> None:
    """B19: in whatever order they stand, the strictest entry decides, and the reason names the others."""
    result = planned(scan(cell(ACME), finding(ACME)), ruled(*((Selector(tenant="acme"), m) for m in modes)))
    (deferral,) = result.deferrals
    assert deferral.code == "mode"
    assert "the most restrictive one counts" in deferral.reason


def test_a_repair_takes_the_strictest_mode_of_all_that_it_touches() -> None:
    """What comes back together with a resource of an observed type waits as that type does."""
    vpc = resource("vpc")
    bucket = resource("bucket", type_=DATA, uses=["vpc"])
    of = scan(cell(vpc, bucket), finding(vpc, "drift.missing"))
    assert planned(of).repairs
    assert planned(of, ruled((Selector(type=DATA), Mode.OBSERVE))).repairs == ()


def test_what_is_approved_is_done_under_its_approval() -> None:
    """The same proposals as approved become repairs that carry the approval's number."""
    of, found = cell(ACME, OTHER), [finding(ACME), finding(OTHER)]
    first = again(of, found)
    second = again(of, found, approval(*first.proposals))
    assert second.proposals == ()
    assert {r.approval for r in second.repairs} == {7}
    assert {r.content for r in second.repairs} == {r.content for r in first.proposals}


def changed_input(of: DeclaredResource) -> DeclaredResource:
    return replace(of, inputs={"cidrBlock": "10.0.0.0/8"})


def test_a_changed_plan_needs_a_new_approval() -> None:
    """One more, one less, another declaration or another difference: nothing of that tenant is done."""
    second = resource("b", "acme")
    of, found = cell(ACME, second), [finding(ACME), finding(second)]
    consent = approval(*again(of, found).proposals)
    assert len(again(of, found, consent).repairs) == 2
    for world, fault in (
        (of, [*found, finding(resource("acme-quiet-1", "acme"))]),
        (of, found[:1]),
        (cell(changed_input(ACME), second), found),
        (of, [replace(found[0], observed="something else"), found[1]]),
    ):
        result = again(world, fault, consent)
        assert result.repairs == ()
        assert any("it has changed since" in p.reason for p in result.proposals)


def test_consent_covers_accepted_differences() -> None:
    """I08: an update sets all properties, so one that was accepted after the approval, or changed, was not approved.

    The proposal names what it would set back beside what is wrong; the order of the findings makes no difference.
    """
    mine, kept = finding(ACME, property_="description"), finding(ACME, property_="ingress")
    partner = replace(kept, observed=["192.0.2.1/32"], accepted=AcceptedBy("ben", "partner", NOW + timedelta(days=3)))
    (shown,) = again(cell(ACME), [mine]).proposals
    assert "accepts" not in shown.reason
    changed = again(cell(ACME), [mine, partner], approval(shown))
    assert changed.repairs == ()
    (both,) = changed.proposals
    assert "it also sets back what an exception accepts: a ingress" in both.reason
    assert again(cell(ACME), [partner, mine], approval(both)).repairs
    assert again(cell(ACME), [replace(partner, observed=["0.0.0.0/0"]), mine], approval(both)).repairs == ()


def test_what_somebody_accepted_is_set_back_by_consent_only() -> None:
    """Where repairs are automatic, too, one that would set back an accepted difference waits for a person (I08)."""
    mine, kept = finding(ACME, property_="description"), finding(ACME, property_="ingress")
    partner = replace(kept, accepted=AcceptedBy("ben", "partner", NOW + timedelta(days=3)))
    made = planned(scan(cell(ACME), mine, partner))
    assert (made.repairs, [p.sets_back for p in made.proposals]) == ((), [("a ingress",)])
    told = Circumstances(approvals=(approval(*made.proposals),))
    assert [r.approval for r in planned(scan(cell(ACME), mine, partner), circumstances=told).repairs] == [7]


def test_servers_are_replaced_without_an_update() -> None:
    """What is accepted of a group is not set back when servers of it are replaced, and a repair does not say so."""
    group = resource("g", type_=GROUP)
    sick = finding(group, "health.target", Kind.HEALTH, resource_id="i-0", property_="")
    kept = replace(finding(group), accepted=AcceptedBy("ben", "load test", NOW + timedelta(days=3)))
    (repair,) = planned(scan(cell(group), sick, kept, fleets={group.urn: fleet(group, 3)})).repairs
    assert (repair.strategy, "accepts" in repair.reason) == ("rollout", False)


def test_an_approval_is_of_each_tenant_by_itself() -> None:
    """A tenant whose plan changes does not take the consent from the others."""
    of, found = cell(ACME, OTHER), [finding(ACME), finding(OTHER)]
    consent = approval(*again(of, found).proposals)
    result = again(of, [*found, finding(resource("acme-quiet-1", "acme"))], consent)
    assert [r.tenant for r in result.repairs] == ["other"]
    assert {p.tenant for p in result.proposals} == {"acme"}


def test_an_approval_runs_out_and_is_used_once() -> None:
    """Consent does not last, and what was carried out under it needs new consent to be done again."""
    of, found = cell(ACME), [finding(ACME)]
    (proposal,) = again(of, found).proposals
    assert again(of, found, approval(proposal, minutes=-0.5)).repairs == ()
    assert again(of, found, approval(proposal, used=[proposal.content])).repairs == ()


def test_what_is_left_of_an_approval_is_done_later() -> None:
    """What the budget had no room for goes in the next pass, without asking again."""
    second = resource("b", "acme")
    of, found = cell(ACME, second), [finding(ACME), finding(second)]
    narrow = replace(ASKING, budget_tenant=Limit(count=1))
    consent = approval(*again(of, found).proposals)
    first = again(of, found, consent, policy=narrow)
    assert (len(first.repairs), [d.code for d in first.deferrals]) == (1, ["budget"])
    left = [f for f in found if f.id not in first.repairs[0].finding_ids]
    rest = again(of, left, replace(consent, used=frozenset({first.repairs[0].content})), policy=narrow)
    assert [r.approval for r in rest.repairs] == [7]


def test_an_escalation_is_never_a_proposal() -> None:
    """I08: a missing bucket is for a person; no approval turns it into something that creates one anew."""
    bucket = resource("bucket", type_=DATA)
    result = again(cell(bucket), [finding(bucket, "drift.missing")])
    assert result.proposals == ()
    assert [r.strategy for r in result.repairs] == ["escalate"]
    consent = approval(*result.repairs)
    assert [r.strategy for r in again(cell(bucket), [finding(bucket, "drift.missing")], consent).repairs] == [
        "escalate"
    ]


def test_a_repair_that_needs_a_proposal_waits_with_it() -> None:
    """Servers are not replaced before somebody has consented to the repair of their template."""
    template = resource("template", type_=PLAIN)
    group = resource("group", type_=GROUP, needs=["template"])
    sick = finding(group, "health.target", Kind.HEALTH, resource_id="i-0")
    of = scan(cell(template, group), finding(template), sick, fleets={group.urn: fleet(group, 3)})
    result = planned(of, ruled((Selector(kind="drift"), Mode.PROPOSE)))
    assert (result.repairs, [d.code for d in result.deferrals]) == ((), ["dependency"])


def test_the_plans_name_covers_all_that_matters() -> None:
    """Another declaration, another difference or another proposal is another plan, the same look the same one."""
    of, found = cell(ACME, OTHER), [finding(ACME)]
    base = again(of, found)
    assert again(of, found).hash == base.hash
    assert base.id == f"p-{base.hash[:12]}"
    others = [
        again(cell(changed_input(ACME), OTHER), found),
        again(of, [replace(found[0], declared="x")]),
        again(of, [*found, finding(OTHER)]),
        again(of, found, policy=Policy()),
    ]
    assert len({p.hash for p in others} | {base.hash}) == 5

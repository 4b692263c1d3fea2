"""Breakers: what opens them, that they stay open, what closes them, and what a person's word covers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from reconciler.decisions import Acknowledgement, Breaker, Cause
from reconciler.model import Attempt, Declared, DeclaredResource, Finding, Kind, Plan, Repair, Status, Urn, Verdict
from reconciler.plan.basis import TEMPLATE, based, replacement_of
from reconciler.plan.circumstances import Circumstances
from reconciler.plan.planner import plan
from reconciler.plan.policy import Policy
from reconciler.plan.trips import FAILED
from tests.unit.plan_worlds import DATA, GROUP, KINDS, NOW, cell, finding, fleet, resource, scan

CALM = Policy(cooldown=timedelta(0))
"""Without a cool-down, so that only the breaker itself holds anything back."""
MINUTE = timedelta(minutes=1)


def looked(
    of: Declared,
    found: Iterable[Finding],
    told: Circumstances | None = None,
    *,
    policy: Policy = CALM,
    history: Sequence[Attempt] = (),
    now: datetime = NOW,
    fleets: Sequence[DeclaredResource] = (),
    first_seen: Mapping[str, datetime] | None = None,
) -> Plan:
    """The plan of a look at the whole cell: what does not fail passes."""
    failing = list(found)
    bad = {f.urn for f in failing}
    fine = [finding(r, verdict=Verdict.PASS) for r in of.resources.values() if r.urn not in bad]
    return plan(
        scan(of, *failing, *fine, fleets={g.urn: fleet(g, 3) for g in fleets}), policy, history, KINDS, now=now,
        dependents=lambda _: frozenset(), users=lambda _: frozenset(), circumstances=told or Circumstances(),
        first_seen=first_seen,
    )  # fmt: skip


def after(before: Plan, *given: Acknowledgement) -> Circumstances:
    """What the next pass is told."""
    return Circumstances(breakers=before.breakers, acknowledgements=given)


def word_on(breaker: Breaker, minutes: float = 60) -> Acknowledgement:
    until = NOW + timedelta(minutes=minutes)
    return Acknowledgement(breaker.tenant, breaker.cause, breaker.keys, "ana", "known", NOW - MINUTE, until)


def codes(of: Plan) -> set[str]:
    return {d.code for d in of.deferrals}


BAD = [resource(f"bad-{i}") for i in range(12)]
OTHERS = [resource(f"o-{t}", tenant=t) for t in ("other", "third", "fourth")]
WORLD = cell(*BAD, *OTHERS)
FOUND = [finding(r) for r in BAD]


def test_it_says_what_opened_it() -> None:
    """The breaker names its tenant, its cause, the share, the limit, the setting and what fails."""
    (breaker,) = looked(WORLD, FOUND).breakers
    assert (breaker.tenant, breaker.cause, breaker.setting) == ("acme", Cause.FAILING, "breaker.share")
    assert breaker.keys == {str(r.urn) for r in BAD}
    assert "12 of 52" in breaker.reason
    assert "20%" in breaker.reason


def test_it_stays_open_until_all_is_well_again() -> None:
    """Half of it healed is below the limit, and yet nothing is repaired; once all is well, the next fault is."""
    first = looked(WORLD, FOUND)
    half = looked(WORLD, FOUND[:6], after(first), now=NOW + MINUTE)
    assert (half.repairs, codes(half)) == ((), {"breaker"})
    assert "stays open until" in half.deferrals[0].reason
    assert half.breakers[0].since == NOW
    one = looked(WORLD, FOUND[:1], after(half), now=NOW + 2 * MINUTE)
    assert (one.repairs, codes(one)) == ((), {"breaker"})
    well = looked(WORLD, [finding(OTHERS[0])], after(one), now=NOW + 3 * MINUTE)
    assert (well.breakers, len(well.repairs)) == ((), 1)


def test_what_is_not_known_or_not_seen_closes_nothing() -> None:
    """I06: a resource that could not be judged, or was not looked at, is not well again."""
    first = looked(WORLD, FOUND)
    blind = [replace(f, verdict=Verdict.UNKNOWN) for f in FOUND]
    assert looked(WORLD, blind, after(first)).breakers
    elsewhere = plan(
        scan(WORLD, finding(OTHERS[0])), CALM, (), KINDS, now=NOW, dependents=lambda _: frozenset(),
        users=lambda _: frozenset(), circumstances=after(first),
    )  # fmt: skip
    assert [b.tenant for b in elsewhere.breakers] == ["acme"]


@pytest.mark.parametrize(
    ("looked_at", "opened", "open_"),
    [(-2, -1, True), (-1, -1, False), (-1, -2, False), (-1, 30, False)],
    ids=["before it", "at once", "after it", "the clock was set back"],
)
def test_a_look_from_before_it_opened_does_not_close_it(looked_at: int, opened: int, *, open_: bool) -> None:
    """A plan holds no lease: what its older look shows as well says nothing of a breaker that a later look opened."""
    (first,) = looked(WORLD, FOUND).breakers
    told = Circumstances(breakers=(replace(first, since=NOW + opened * MINUTE),))
    fine = scan(WORLD, *(finding(r, verdict=Verdict.PASS) for r in WORLD.resources.values()))
    seen = replace(fine, observed=replace(fine.observed, at=NOW + looked_at * MINUTE))
    later = plan(
        seen, CALM, (), KINDS, now=NOW, dependents=lambda _: frozenset(), users=lambda _: frozenset(),
        circumstances=told,
    )  # fmt: skip
    assert [b.keys for b in later.breakers] == ([first.keys] if open_ else [])


def test_a_persons_word_lets_repairs_go_on() -> None:
    """An acknowledged breaker stops nothing; it is still shown, with who said so."""
    first = looked(WORLD, FOUND)
    told = looked(WORLD, FOUND, after(first, *map(word_on, first.breakers)))
    assert told.repairs
    assert "breaker" not in codes(told)
    assert "acknowledged by ana" in told.breakers[0].acknowledged


def test_more_failures_than_were_acknowledged_open_it_again() -> None:
    """The word was on what failed then; fewer failures are covered by it, and one more is not."""
    first = looked(WORLD, FOUND)
    word = word_on(first.breakers[0])
    assert looked(WORLD, FOUND[:11], after(first, word)).repairs
    one_more = looked(WORLD, [*FOUND, finding(resource("acme-quiet-1"))], after(first, word))
    assert (one_more.repairs, codes(one_more)) == ((), {"breaker"})


def test_a_word_does_not_last() -> None:
    """When it has run out, and as much fails as before, the breaker is open again."""
    first = looked(WORLD, FOUND)
    word = word_on(first.breakers[0], minutes=5)
    later = looked(WORLD, FOUND, after(first, word), now=NOW + 6 * MINUTE)
    assert (later.repairs, codes(later)) == ((), {"breaker"})


def test_a_word_closes_nothing() -> None:
    """When it has run out, what opened the breaker keeps it open, although by then too little fails to open one."""
    first = looked(WORLD, FOUND)
    half = looked(WORLD, FOUND[:6], after(first, word_on(first.breakers[0])), now=NOW + MINUTE)
    assert len(half.repairs) == 6
    assert half.breakers[0].keys == {str(r.urn) for r in BAD[:6]}
    assert "acknowledged by ana" in half.breakers[0].acknowledged
    later = looked(WORLD, FOUND[:6], after(half), now=NOW + 61 * MINUTE)
    assert (later.repairs, codes(later)) == ((), {"breaker"})
    well = looked(WORLD, FOUND[:0], after(half), now=NOW + 61 * MINUTE)
    assert well.breakers == ()


@pytest.mark.parametrize("rule", ["drift.property", "drift.missing"])
def test_another_failure_opens_it_again_when_few_are_left(rule: str) -> None:
    """What a word was not given on is not covered by it, however few of the others still fail; it is over with that."""
    bad = [finding(r, rule) for r in BAD]
    first = looked(WORLD, bad[:11])
    words = [word_on(b) for b in first.breakers]
    few = looked(WORLD, bad[:3], after(first, *words), now=NOW + MINUTE)
    assert few.repairs
    again = looked(WORLD, [*bad[:3], bad[11]], after(few, *words), now=NOW + 2 * MINUTE)
    assert (again.repairs, codes(again)) == ((), {"breaker"})
    assert all(str(BAD[11].urn) in b.keys for b in again.breakers)
    assert looked(WORLD, bad[:3], after(again, *words), now=NOW + 3 * MINUTE).repairs
    elsewhere = looked(WORLD, [*bad[:3], finding(OTHERS[0], rule)], after(few, *words), now=NOW + 2 * MINUTE)
    assert {r.tenant for r in elsewhere.repairs} == {"acme", "other"}


def test_a_word_on_one_tenant_is_none_on_another() -> None:
    """The cell's breaker and each tenant's are acknowledged apart."""
    first = looked(WORLD, FOUND)
    word = replace(word_on(first.breakers[0]), tenant=None)
    assert looked(WORLD, FOUND, after(first, word)).repairs == ()


def test_many_that_are_gone_open_it_sooner() -> None:
    """F15: six of fifty-two missing at once are likelier a wrong answer than a loss; six that drifted are work."""
    gone = [finding(r, "drift.missing") for r in BAD[:6]]
    result = looked(WORLD, gone)
    assert [(b.tenant, b.cause, b.setting) for b in result.breakers] == [
        ("acme", Cause.MISSING, "breaker.missing_share")
    ]
    assert result.repairs == ()
    assert len(looked(WORLD, FOUND[:6]).repairs) == 6
    assert looked(WORLD, gone[:4]).repairs


def tries(urn: Urn, *statuses: Status, made_from: tuple[str, ...] = (), strategy: str = "reapply") -> list[Attempt]:
    return [
        Attempt(
            urn, strategy, status, NOW - timedelta(minutes=30 - i), (f"f-{urn}-{i}",), made_from,
            unfit=bool(made_from) and status in FAILED,
        )
        for i, status in enumerate(statuses)
    ]  # fmt: skip


def test_what_goes_with_something_else_counts_once() -> None:
    """A bucket that is gone takes its configuration along, and that is one thing gone, not a disappearance."""
    bucket = resource("data", type_=DATA)
    inside = [resource(f"data-{i}", uses=["data"]) for i in range(8)]
    gone = [finding(r, rule="drift.missing") for r in (bucket, *inside)]
    assert Cause.MISSING not in {b.cause for b in looked(cell(bucket, *inside), gone).breakers}
    alone = [resource(f"data-{i}") for i in range(9)]
    gone = [finding(r, rule="drift.missing") for r in alone]
    assert Cause.MISSING in {b.cause for b in looked(cell(*alone), gone).breakers}


def test_repairs_that_fail_stop_repairing() -> None:
    """When most repairs of a tenant fail, its repairs are not what helps; another tenant's go on."""
    mixed = [Status.NOT_HEALED] * 3 + [Status.ROLLED_BACK] * 3 + [Status.HEALED] * 4
    history = tries(BAD[0].urn, *mixed) + tries(OTHERS[0].urn, *[Status.HEALED] * 5)
    result = looked(WORLD, [finding(BAD[1]), finding(OTHERS[1])], history=history)
    assert [(b.tenant, b.cause) for b in result.breakers] == [("acme", Cause.REPAIRS)]
    assert [r.tenant for r in result.repairs] == ["third"]
    later = looked(WORLD, [finding(BAD[1])], after(result), history=history, now=NOW + timedelta(hours=2))
    assert (later.breakers, len(later.repairs)) == ((), 1)


def test_what_healed_by_itself_does_not_outweigh_repairs_that_fail() -> None:
    """Faults that passed before they were repaired say nothing for repairing, however many they are."""
    failed, passed = tries(BAD[0].urn, *[Status.NOT_HEALED] * 5), tries(BAD[1].urn, *[Status.HEALED] * 5)
    assert looked(WORLD, [finding(BAD[2])], history=[*failed, *passed]).breakers == ()
    by_itself = [replace(a, wrote=False) for a in passed]
    opened = looked(WORLD, [finding(BAD[2])], history=[*failed, *by_itself]).breakers
    assert {(b.tenant, b.cause) for b in opened} == {("acme", Cause.REPAIRS), (None, Cause.REPAIRS)}


def test_one_repair_of_many_resources_is_one_repair() -> None:
    """A VPC that could not be created again with its ten subnets has failed once, not eleven times."""
    failed = [Attempt(r.urn, "recreate", Status.NOT_HEALED, NOW - MINUTE, ("f-1",)) for r in BAD]
    assert looked(WORLD, [finding(OTHERS[0])], history=failed).breakers == ()


@pytest.mark.parametrize(
    ("statuses", "stopped"),
    [
        ([Status.NOT_HEALED, Status.ROLLED_BACK], True),
        ([Status.NOT_HEALED], False),
        ([Status.NOT_HEALED, Status.ROLLED_BACK, Status.HEALED], False),
        ([Status.HEALED, Status.ROLLED_BACK, Status.ROLLED_BACK], True),
        ([Status.ROLLED_BACK, Status.CONTINUES, Status.ROLLED_BACK], False),
    ],
)
def test_a_template_whose_servers_fail_is_remembered(statuses: list[Status], *, stopped: bool) -> None:
    """F48: after two failed replacements nothing is made from it, however long ago, until one was healthy."""
    world, group = with_template("ami-1")
    made_from = replacement_of(world, group.urn)
    past = tries(group.urn, *statuses, made_from=made_from, strategy="rollout")
    past = [replace(a, at=a.at - timedelta(days=30)) for a in past]
    sick = finding(group, "health.target", Kind.HEALTH, resource_id="i-0")
    result = looked(world, [sick], Circumstances(replacements=tuple(past)), fleets=[group])
    assert (result.repairs == ()) is stopped
    assert codes(result) == ({"breaker"} if stopped else set())


def stops_a_rollout(*past: Attempt) -> bool:
    """Whether, after these replacements, no more servers are made from the same template."""
    world, group = with_template("ami-1")
    made_from = replacement_of(world, group.urn)
    told = Circumstances(replacements=tuple(replace(a, replacement=made_from) for a in past))
    sick = finding(group, "health.target", Kind.HEALTH, resource_id="i-0")
    return looked(world, [sick], told, fleets=[group]).repairs == ()


@pytest.mark.parametrize("strategy", ["rollout", "refresh-image", "quarantine", "dispose"])
def test_a_replacement_that_launched_nothing_blames_no_template(strategy: str) -> None:
    """A throttled call, a group resized meanwhile or a failed disposal says nothing of new servers, however often."""
    failed = tries(Urn("g"), *[Status.NOT_HEALED, Status.ROLLED_BACK] * 3, made_from=("m",), strategy=strategy)
    assert stops_a_rollout(*failed)
    assert not stops_a_rollout(*(replace(a, unfit=False) for a in failed))


@pytest.mark.parametrize(
    ("strategy", "wrote", "clears"),
    [
        ("rollout", True, True),
        ("refresh-image", True, True),
        ("rollout", False, False),
        ("quarantine", True, False),
        ("dispose", True, False),
    ],
)
def test_only_a_new_server_that_serves_clears_a_template(strategy: str, *, wrote: bool, clears: bool) -> None:
    """What healed by itself, an isolation and a disposal launched nothing that could speak for the template."""
    failed = tries(Urn("g"), Status.ROLLED_BACK, Status.ROLLED_BACK, made_from=("m",), strategy="rollout")
    (well,) = tries(Urn("g"), Status.HEALED, made_from=("m",), strategy=strategy)
    assert stops_a_rollout(*failed, replace(well, wrote=wrote)) is not clears


def test_a_disposal_launches_nothing() -> None:
    """It is not made from the template, so an open breaker for that does not stop it, as it stops a rollout."""
    world, group = with_template("ami-1")
    one = Repair("dispose", "acme", (group.urn,), (), "", members=("i-0",))
    others = [replace(one, strategy=strategy) for strategy in ("rollout", "refresh-image", "quarantine")]
    made_from = replacement_of(world, group.urn)
    assert [r.replacement for r in based([one, *others], scan(world))] == [(), *[made_from] * 3]


def with_template(image: str, tenant: str = "acme") -> tuple[Declared, DeclaredResource]:
    template = replace(resource(f"{tenant}-lt", tenant, TEMPLATE), inputs={"imageId": image})
    group = resource(f"{tenant}-asg", tenant, GROUP, uses=[f"{tenant}-lt"])
    return cell(template, group), group


def test_a_new_template_is_a_new_chance() -> None:
    """What failed is forgotten as soon as the template or the image in it is another one."""
    old, group = with_template("ami-1")
    new, _ = with_template("ami-2")
    bad = [Status.NOT_HEALED, Status.NOT_HEALED]
    told = Circumstances(replacements=tuple(tries(group.urn, *bad, made_from=replacement_of(old, group.urn))))
    sick = finding(group, "health.target", Kind.HEALTH, resource_id="i-0")
    assert looked(old, [sick], told, fleets=[group]).repairs == ()
    assert looked(new, [sick], told, fleets=[group]).repairs
    drifted = finding(resource("acme-quiet-1"))
    assert [r.urns for r in looked(old, [sick, drifted], told, fleets=[group]).repairs] == [(drifted.urn,)]


def test_an_image_is_blamed_once_two_fleets_failed_with_it() -> None:
    """F48: a bad image stops the third tenant's replacement; one tenant's own trouble does not."""
    world, group = with_template("ami-1", "third")
    sick = finding(group, "health.target", Kind.HEALTH, resource_id="i-0")
    own = tries(Urn("one"), *[Status.ROLLED_BACK] * 3, made_from=("image ami-1",))
    assert looked(world, [sick], Circumstances(replacements=tuple(own)), fleets=[group]).repairs
    both = (*own, *tries(Urn("two"), Status.NOT_HEALED, made_from=("image ami-1",)))
    assert looked(world, [sick], Circumstances(replacements=both), fleets=[group]).repairs == ()


def test_after_a_breaker_the_dust_settles_first() -> None:
    """When the failures are gone, nothing of the tenant is repaired until the cool-down is over."""
    policy = Policy(cooldown=5 * MINUTE)
    first = looked(WORLD, FOUND, policy=policy)
    new = [finding(resource("acme-quiet-1")), finding(OTHERS[0])]
    soon = looked(WORLD, new, after(first), policy=policy, now=NOW + 4 * MINUTE)
    assert ([r.tenant for r in soon.repairs], codes(soon)) == (["other"], {"cool-down"})
    assert "another 60 s" in soon.deferrals[0].reason
    late = looked(WORLD, new, after(soon), policy=policy, now=NOW + 6 * MINUTE)
    assert (len(late.repairs), late.breakers) == (2, ())


def test_a_storm_of_new_findings_is_waited_out() -> None:
    """T08: more findings of a tenant than the limit, first seen within the cool-down, hold back that tenant alone,
    until most of them have lasted so long; what comes later neither ends the wait nor lengthens it."""
    policy = Policy(storm_findings=20, cooldown=5 * MINUTE)
    found = [finding(r, property_=f"p{i}") for r in BAD[:3] for i in range(7)]
    first = looked(WORLD, [*found, finding(OTHERS[0])], policy=policy)
    assert ([r.tenant for r in first.repairs], codes(first)) == (["other"], {"cool-down"})
    seen = {f.id: NOW for f in found}
    more = [*found, finding(BAD[0], property_="later")]
    soon = looked(WORLD, more, after(first), policy=policy, now=NOW + 4 * MINUTE, first_seen=seen)
    assert "another 60 s" in soon.deferrals[0].reason
    late = looked(WORLD, more, after(soon), policy=policy, now=NOW + 5 * MINUTE, first_seen=seen)
    assert (len(late.repairs), late.breakers) == (3, ())


def test_what_has_failed_for_long_is_no_storm() -> None:
    """T08: findings that were first seen before the cool-down are not new, however few passes have seen them."""
    policy = Policy(storm_findings=20, cooldown=5 * MINUTE)
    found = [finding(r, property_=f"p{i}") for r in BAD[:3] for i in range(7)]
    seen = {f.id: NOW - 6 * MINUTE for f in found}
    assert len(looked(WORLD, found, policy=policy, first_seen=seen).repairs) == 3


def test_a_clock_set_back_makes_no_storm_longer() -> None:
    """F37: what was first seen ahead of now counts as seen now."""
    policy = Policy(storm_findings=1, cooldown=5 * MINUTE)
    found = [finding(BAD[0], property_=f"p{i}") for i in range(2)]
    seen = {f.id: NOW + 60 * MINUTE for f in found}
    assert "another 300 s" in looked(WORLD, found, policy=policy, first_seen=seen).deferrals[0].reason


def test_after_an_upgrade_it_only_looks() -> None:
    """The first pass of a changed program repairs and escalates nothing, and says which change it was."""
    told = Circumstances(upgrade="stackmend was changed")
    result = looked(WORLD, FOUND[:1], told)
    assert (result.repairs, result.proposals, codes(result)) == ((), (), {"upgrade"})
    assert "stackmend was changed" in result.deferrals[0].reason

"""From findings to repairs: group by cause, choose a strategy, order by dependency, spend the budgets.

Pure: the same scan, policy, history and time always give the same plan. What is not repaired becomes a deferral that
says why; every failing finding is in exactly one repair or one deferral.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from reconciler.model import (
    Attempt,
    Deferral,
    Finding,
    Kind,
    Plan,
    Repair,
    ResourceKind,
    Scan,
    Urn,
    Verdict,
)
from reconciler.plan.basis import based, replacement_of
from reconciler.plan.breaker import breakers
from reconciler.plan.circumstances import Circumstances
from reconciler.plan.hold_down import held_down
from reconciler.plan.keeping import losing, undoing
from reconciler.plan.ladder import carrying, laddered
from reconciler.plan.limits import one_domain_at_a_time, within_limits
from reconciler.plan.orphans import CODE, REPORTED, adoptions, orphans, removals
from reconciler.plan.policy import Policy
from reconciler.plan.redeployment import IMMUTABLE, as_a_unit
from reconciler.plan.servers import repairs_of
from reconciler.plan.strategy import (
    ADDED,
    BROKEN,
    ESCALATE,
    MISSING,
    QUARANTINE,
    RECREATE,
    REDEPLOY,
    strategy_for,
)

Downstream = Callable[[Collection[Urn]], frozenset[Urn]]


def plan(
    scan: Scan,
    policy: Policy,
    history: Sequence[Attempt],
    kinds: Mapping[str, ResourceKind],
    *,
    now: datetime,
    dependents: Downstream,
    users: Downstream,
    paused: Mapping[str | None, str] | None = None,
    spent: Sequence[Repair] = (),
    circumstances: Circumstances | None = None,
    first_seen: Mapping[str, datetime] | None = None,
    cut_off: Mapping[Urn, datetime] | None = None,
) -> Plan:
    """Decide what to do about a scan.

    ``history`` holds the attempts inside the policy's memory. ``dependents`` gives all resources that need one of
    the given ones, directly or not; ``users`` those whose inputs hold a value of them. ``paused`` maps a tenant (None:
    the whole cell) to the reason it is paused. ``first_seen`` says since when a finding has been seen without
    interruption, by its id; one that is not in it is seen for the first time. ``cut_off`` says when the creation of a
    resource was found cut off. ``spent`` are repairs of earlier passes that count against this one's budgets.
    """
    told = circumstances or Circumstances()
    left_behind = orphans(scan, first_seen or {}, cut_off or {})
    deferrals = [*_unknown(scan)]
    repairable: list[Finding] = []
    for finding in scan.failing:
        if any(finding is orphan.finding for orphan in left_behind):
            continue
        reason = _not_repairable(finding, scan) or held_down(finding, first_seen or {}, policy, now)
        if reason is None:
            repairable.append(finding)
        else:
            deferrals.append(Deferral((finding.id,), reason[1], reason[0]))

    repairs, blocked_fleets = _repairs(repairable, scan, policy, kinds, users)
    deferrals += blocked_fleets
    repairs, other_zones = one_domain_at_a_time(repairs, scan, policy, spent)
    deferrals += other_zones
    adopting = adoptions(left_behind, [r for r in repairs if r.strategy == RECREATE], scan, kinds)
    repairs = [adopting.get(r, r) for r in repairs]
    taken = {i for r in adopting.values() for i in r.finding_ids}
    unwanted = [o for o in left_behind if o.finding.id not in taken]
    recent = [a for a in history if a.at >= now - policy.flap_window]
    removing, kept = removals(unwanted, scan, policy, recent, first_seen or {}, now)
    repairs += removing
    deferrals += kept
    failing = {f.id: f for f in scan.failing}
    rungs = [laddered(r, history, policy, now, failing, first_seen or {}) for r in repairs]
    deferrals += [r for r in rungs if isinstance(r, Deferral)]
    repairs = [r for r in rungs if isinstance(r, Repair)]
    repairs, groundless = _without_what_stays_gone(repairs, scan, users)
    deferrals += groundless
    repairs = based([carrying(r, history, scan.declared, failing) for r in repairs], scan)
    repairs = losing(undoing(repairs, scan), scan)
    repairs = _ordered(repairs, dependents)

    made_from = {u: replacement_of(scan.declared, u) for u in scan.declared.resources}
    open_now = breakers(
        scan, policy, history, told, now,
        made_from={m for made in made_from.values() for m in made}, first_seen=first_seen or {},
    )  # fmt: skip
    chosen = within_limits(
        repairs, scan, policy, told,
        breakers=open_now, paused=paused or {}, spent=spent, history=history, now=now,
    )  # fmt: skip
    deferrals += chosen.deferrals
    return Plan(scan.run_id, scan.cell, chosen.repairs, tuple(deferrals), chosen.proposals, open_now, chosen.deadlines)


def _unknown(scan: Scan) -> Iterable[Deferral]:
    """UNKNOWN plans nothing. One deferral per resource, so that people see what could not be judged."""
    by_urn: dict[tuple[Urn, str], list[Finding]] = defaultdict(list)
    for finding in scan.of(Verdict.UNKNOWN):
        by_urn[finding.urn, finding.resource_id].append(finding)
    for findings in by_urn.values():
        yield Deferral(tuple(f.id for f in findings), f"not known, so not touched: {findings[0].message}", "unknown")


def _not_repairable(finding: Finding, scan: Scan) -> tuple[str, str] | None:
    """(code, words) when nothing is to be done about a failing finding by itself."""
    if finding.kind is Kind.ORPHAN:
        return CODE, REPORTED
    if finding.rule == "health.alarm":
        return "symptom", "an alarm is a symptom; what causes it is repaired where it shows"
    if finding.rule == "health.endpoint":
        return "symptom", "an endpoint that does not answer is a symptom; what causes it is repaired where it shows"
    if finding.urn not in scan.declared.resources:
        return "unmanaged", "it is not among the resources this cell declares"
    if scan.declared.resources[finding.urn].external:
        return "unmanaged", "the stack only reads this resource; it is managed elsewhere"
    return None


def _repairs(
    findings: Sequence[Finding],
    scan: Scan,
    policy: Policy,
    kinds: Mapping[str, ResourceKind],
    users: Downstream,
) -> tuple[list[Repair], list[Deferral]]:
    by_resource: dict[tuple[Urn, bool], list[Finding]] = defaultdict(list)
    by_fleet: dict[Urn, list[Finding]] = defaultdict(list)
    for finding in findings:
        if finding.kind is Kind.HEALTH and finding.rule != BROKEN:
            by_fleet[finding.urn].append(finding)
        else:
            # What a repair cannot heal would make it count as failed, and after a few times end it.
            by_resource[finding.urn, finding.rule in ADDED].append(finding)

    repairs: list[Repair] = []
    deferrals: list[Deferral] = []
    for (urn, _), group in by_resource.items():
        resource = scan.declared.resources[urn]
        kind = kinds.get(resource.type, ResourceKind(resource.type, stateful=True))
        facts = scan.declared.tenants.get(resource.tenant or "")
        strategy, reason = strategy_for(
            tuple(group),
            kind,
            protected=resource.protect,
            tier=facts.tier if facts else "",
            rows=policy.overrides,
            immutable=IMMUTABLE.get(resource.type, frozenset()),
        )
        repair = Repair(strategy, resource.tenant, (urn,), _ids(group), reason)
        repairs.append(as_a_unit(repair, group, scan.declared, kinds, users) if strategy == REDEPLOY else repair)
    repairs = _together_with_users(repairs, scan, users)

    for urn, group in by_fleet.items():
        kind = kinds.get(scan.declared.resources[urn].type, ResourceKind(scan.declared.resources[urn].type))
        of_fleet, stopped = repairs_of(urn, group, scan, policy, kind)
        repairs += of_fleet
        deferrals += stopped
    return repairs, deferrals


def _together_with_users(repairs: Sequence[Repair], scan: Scan, users: Downstream) -> list[Repair]:
    """A missing resource comes back with another id, so what refers to it is repaired with it.

    Missing resources whose users overlap become one repair: the engine creates them in one go.
    """
    merged: list[tuple[Repair, frozenset[Urn]]] = []
    for repair in sorted(repairs, key=lambda r: r.strategy != RECREATE):
        touched = frozenset(repair.urns)
        if repair.strategy == RECREATE:
            touched |= {u for u in users(repair.urns) if scan.declared.resources[u].tenant == repair.tenant}
        home = next(
            (
                i
                for i, (r, urns) in enumerate(merged)
                if _joins(r, repair) and r.strategy == RECREATE and urns & touched
            ),
            None,
        )
        if home is None:
            merged.append((repair, touched))
        else:
            other, urns = merged[home]
            merged[home] = (_joined(other, repair), urns | touched)
    in_order = {urn: i for i, urn in enumerate(scan.declared.resources)}
    return [replace(r, urns=tuple(sorted(urns, key=lambda u: in_order.get(u, -1)))) for r, urns in merged]


def _joins(first: Repair, second: Repair) -> bool:
    """Whether two repairs may be one: an escalation never joins, since it stands for something not to be touched."""
    return first.tenant == second.tenant and ESCALATE not in (first.strategy, second.strategy)


def _joined(first: Repair, second: Repair) -> Repair:
    return replace(
        first,
        finding_ids=first.finding_ids + second.finding_ids,
        reason=f"{first.reason}; {second.reason}",
    )


def _without_what_stays_gone(
    repairs: Sequence[Repair], scan: Scan, users: Downstream
) -> tuple[list[Repair], list[Deferral]]:
    """Drop what would create something on a resource that is gone until a person decides.

    It would fail, and not without harm: the engine forgets what it finds gone before it fails to create it.
    """
    missing = {f.urn for f in scan.failing if f.rule == MISSING}
    gone = {
        u: scan.declared.resources[u].name for r in repairs if r.strategy == ESCALATE for u in r.urns if u in missing
    }
    kept: list[Repair] = []
    dropped: list[Deferral] = []
    for repair in repairs:
        ground = sorted(name for urn, name in gone.items() if not users([urn]).isdisjoint(repair.urns))
        if repair.strategy == RECREATE and ground:
            words = f"it needs {', '.join(ground)}, and whether that comes back is for a person to decide"
            dropped.append(Deferral(repair.finding_ids, words, "dependency"))
        else:
            kept.append(repair)
    return kept, dropped


def _ordered(repairs: Sequence[Repair], dependents: Downstream) -> list[Repair]:
    """``after`` names the repairs of what a repair's resources need, and those that come first to the same resource.

    Of two repairs of one resource the earlier goes first: a compromised server is isolated, then a group is put right,
    then its servers are replaced. They must not wait for each other.
    """
    active = sorted((r for r in repairs if r.strategy != ESCALATE), key=lambda r: r.strategy != QUARANTINE)
    # An id is a digest: with many repairs it must not be made again for each pair of them.
    named = [(r.id, frozenset(r.urns), dependents(r.urns)) for r in active]
    downstream = {id_: needed for id_, _, needed in named}
    place = {id_: i for i, (id_, _, _) in enumerate(named)}
    result = []
    for repair in repairs:
        own, mine = frozenset(repair.urns), repair.id
        after = tuple(
            other
            for other, urns, needed in named
            if other != mine
            and repair.strategy != ESCALATE
            and (place[other] < place[mine] if own & urns else own & needed and urns.isdisjoint(downstream[mine]))
        )
        result.append(replace(repair, after=after))
    return result


def _ids(findings: Iterable[Finding]) -> tuple[str, ...]:
    return tuple(sorted({f.id for f in findings}))

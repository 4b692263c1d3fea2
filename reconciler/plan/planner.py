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
    Status,
    Urn,
    Verdict,
)
from reconciler.plan.breaker import open_breakers
from reconciler.plan.budget import Budget, in_turn
from reconciler.plan.hold_down import held_down
from reconciler.plan.orphans import CODE, REPORTED, adoptions, orphans, removals
from reconciler.plan.policy import Policy
from reconciler.plan.redeployment import IMMUTABLE, as_a_unit
from reconciler.plan.servers import repairs_of
from reconciler.plan.strategy import (
    BROKEN,
    ESCALATE,
    MISSING,
    QUARANTINE,
    RECREATE,
    REDEPLOY,
    severity_rank,
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
    first_seen: Mapping[str, datetime] | None = None,
    cut_off: Mapping[Urn, datetime] | None = None,
    spent: Sequence[Repair] = (),
) -> Plan:
    """Decide what to do about a scan.

    ``history`` holds the attempts inside the policy's flap window. ``dependents`` gives all resources that need one of
    the given ones, directly or not; ``users`` those whose inputs hold a value of them. ``paused`` maps a tenant (None:
    the whole cell) to the reason it is paused. ``first_seen`` says since when a finding has been seen without
    interruption, by its id; one that is not in it is seen for the first time. ``cut_off`` says when the creation of a
    resource was found cut off. ``spent`` are repairs of earlier passes that count against this one's budgets.
    """
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
    adopting = adoptions(left_behind, [r for r in repairs if r.strategy == RECREATE], scan, kinds)
    repairs = [adopting.get(r, r) for r in repairs]
    taken = {i for r in adopting.values() for i in r.finding_ids}
    unwanted = [o for o in left_behind if o.finding.id not in taken]
    removing, kept = removals(unwanted, scan, policy, history, first_seen or {}, now)
    repairs += removing
    deferrals += kept
    repairs = [_escalated_if_flapping(r, history, policy, now) for r in repairs]
    repairs, groundless = _without_what_stays_gone(repairs, scan, users)
    deferrals += groundless
    repairs = _ordered(repairs, dependents)

    stops = open_breakers(scan.declared, scan.failing, policy)
    chosen, stopped = _within_limits(repairs, scan, policy, stops, paused or {}, spent)
    deferrals += stopped
    return Plan(scan.run_id, scan.cell, tuple(chosen), tuple(deferrals))


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
    by_resource: dict[Urn, list[Finding]] = defaultdict(list)
    by_fleet: dict[Urn, list[Finding]] = defaultdict(list)
    for finding in findings:
        of_servers = finding.kind is Kind.HEALTH and finding.rule != BROKEN
        (by_fleet if of_servers else by_resource)[finding.urn].append(finding)

    repairs: list[Repair] = []
    deferrals: list[Deferral] = []
    for urn, group in by_resource.items():
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
        cost=first.cost + second.cost,
    )


def _escalated_if_flapping(repair: Repair, history: Sequence[Attempt], policy: Policy, now: datetime) -> Repair:
    """Flap cap, and no third try of what failed the same way twice (I11)."""
    if repair.strategy == ESCALATE:
        return repair
    since = now - policy.flap_window
    # A rollout's resource is its group; many servers of one group may need replacing for good reasons, so its
    # attempts count by what they were for.
    mine = set(repair.finding_ids) if repair.members else None
    recent = [
        a
        for a in history
        if a.at >= since
        and a.strategy != ESCALATE
        and a.urn in repair.urns
        and (mine is None or mine & set(a.finding_ids))
    ]
    healed = sum(a.status is Status.HEALED and a.strategy == repair.strategy for a in recent)
    failed = sum(
        a.status in (Status.NOT_HEALED, Status.ROLLED_BACK) and bool(set(a.finding_ids) & set(repair.finding_ids))
        for a in recent
    )
    if failed >= policy.same_failure_limit:
        why = f"repairing it failed {failed} times within {policy.flap_window}"
    elif healed >= policy.flap_limit:
        why = f"it was repaired {healed} times within {policy.flap_window} and broke again: something keeps breaking it"
    else:
        return repair
    return replace(repair, strategy=ESCALATE, members=(), reason=f"{repair.reason}; {why}")


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
    """``after`` names the repairs of what a repair's resources need."""
    active = sorted((r for r in repairs if r.strategy != ESCALATE), key=lambda r: r.strategy != QUARANTINE)
    downstream = {r.id: dependents(r.urns) for r in active}
    place = {r.id: i for i, r in enumerate(active)}
    result = []
    for repair in repairs:
        own = set(repair.urns)
        after = tuple(
            other.id
            for other in active
            if other.id != repair.id
            and repair.strategy != ESCALATE
            # Of two repairs of one resource the first one goes first; each waiting for the other, neither would.
            and (own & downstream[other.id] or (own & set(other.urns) and place[other.id] < place[repair.id]))
            and not (set(other.urns) & downstream[repair.id])
        )
        result.append(replace(repair, after=after))
    return result


def _within_limits(
    repairs: Sequence[Repair],
    scan: Scan,
    policy: Policy,
    breakers: Mapping[str | None, str],
    paused: Mapping[str | None, str],
    spent: Sequence[Repair],
) -> tuple[list[Repair], list[Deferral]]:
    severity = {f.id: severity_rank(f) for f in scan.failing}
    facts = scan.declared.tenants
    order: dict[str | None, tuple[int, str]] = {t: (policy.tier_rank.get(f.tier, 50), t) for t, f in facts.items()}
    by_urgency = sorted(repairs, key=lambda r: (len(r.after), min(severity[i] for i in r.finding_ids), r.id))
    budget = Budget(scan.declared, policy, spent)
    chosen: list[Repair] = []
    deferrals: list[Deferral] = []
    for repair in in_turn(by_urgency, order):
        stop = _stop(repair, breakers, paused)
        if stop is None and repair.strategy != ESCALATE and (reason := budget.spend(repair)):
            stop = ("budget", reason)
        if stop is None:
            chosen.append(repair)
        else:
            deferrals.append(Deferral(repair.finding_ids, stop[1], stop[0]))
    kept, orphaned = _with_their_needs(chosen)
    return kept, deferrals + orphaned


def _stop(
    repair: Repair, breakers: Mapping[str | None, str], paused: Mapping[str | None, str]
) -> tuple[str, str] | None:
    for code, reasons in (("paused", paused), ("breaker", breakers)):
        reason = reasons.get(None) or reasons.get(repair.tenant)
        if reason:
            return code, reason
    return None


def _with_their_needs(chosen: Sequence[Repair]) -> tuple[list[Repair], list[Deferral]]:
    """Drop, until nothing changes, the repairs that wait for one that is not done in this pass."""
    kept = list(chosen)
    dropped: list[Deferral] = []
    while True:
        ids = {r.id for r in kept}
        waiting = [r for r in kept if not set(r.after) <= ids]
        if not waiting:
            return kept, dropped
        for repair in waiting:
            kept.remove(repair)
            dropped.append(Deferral(repair.finding_ids, "it waits for the repair of something it needs", "dependency"))


def _ids(findings: Iterable[Finding]) -> tuple[str, ...]:
    return tuple(sorted({f.id for f in findings}))

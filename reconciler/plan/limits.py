"""Which of the repairs that would help are carried out now: everything that may hold one back, in one order.

What somebody has decided comes first (an upgrade nobody has watched, modes, pauses), then what failed too often
(breakers), then the time of day (freezes, windows), then consent, and last the budgets, so that nothing spends them
that is not done.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from reconciler.decisions import Breaker
from reconciler.model import Attempt, Deadline, Deferral, Finding, Fleet, Repair, Scan, Severity
from reconciler.plan.breaker import stop_of
from reconciler.plan.budget import Budget, in_turn
from reconciler.plan.circumstances import Circumstances
from reconciler.plan.modes import Decided, Mode, approved, mode_of
from reconciler.plan.policy import Policy
from reconciler.plan.selectors import Subject, subjects
from reconciler.plan.strategy import ESCALATE, severity_rank
from reconciler.plan.windows import closed, closing

OUTDATED = "health.outdated-template"

Stop = tuple[str, str, str]
"""(code, words, setting)."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """What is done now, what waits for consent, and what is not done and why."""

    repairs: tuple[Repair, ...]
    proposals: tuple[Repair, ...]
    deferrals: tuple[Deferral, ...]
    deadlines: Mapping[str, Deadline] = field(default_factory=dict)
    """By ids of ``repairs``."""


def within_limits(
    repairs: Sequence[Repair],
    scan: Scan,
    policy: Policy,
    told: Circumstances,
    *,
    breakers: Sequence[Breaker],
    paused: Mapping[str | None, str],
    spent: Sequence[Repair],
    history: Sequence[Attempt],
    now: datetime,
) -> Chosen:
    findings = {f.id: f for f in scan.failing}
    found = {r.id: subjects(r, scan.declared, findings) for r in repairs}
    deferrals: list[Deferral] = []
    free: list[Repair] = []
    asking: list[Repair] = []
    for repair in repairs:
        mode = mode_of(found[repair.id], policy.modes)
        if stop := _stop(repair, mode, breakers, paused, told, policy, now):
            deferrals.append(_deferred(repair, stop))
        elif mode.mode is Mode.PROPOSE and repair.strategy != ESCALATE:
            asking.append(replace(repair, setting=mode.setting, reason=f"{repair.reason}; {mode.why}"))
        elif repair.loses and repair.strategy != ESCALATE:
            asking.append(repair)
        else:
            free.append(repair)
    going, proposals = approved(asking, told.approvals, now)
    budget = Budget(scan.declared, policy, spent, history=history, now=now, findings=findings)
    done: list[Repair] = []
    for repair in _by_urgency([*free, *going], scan, policy, findings):
        stop = None if repair.strategy == ESCALATE else _not_now(repair, found[repair.id], policy, findings, now)
        if stop is None and repair.strategy != ESCALATE and (reason := budget.spend(repair)):
            stop = ("budget", *reason)
        if stop is None:
            done.append(repair)
        else:
            deferrals.append(_deferred(repair, stop))
    kept, waiting = with_their_needs(done)
    times = (policy.windows, policy.freezes, now)
    until = {
        r.id: closing(found[r.id], *times, critical=_critical(r, findings)) for r in kept if r.strategy != ESCALATE
    }
    deadlines = {id_: deadline for id_, deadline in until.items() if deadline is not None}
    return Chosen(tuple(kept), tuple(proposals), (*deferrals, *waiting), deadlines)


def _stop(
    repair: Repair,
    mode: Decided,
    breakers: Sequence[Breaker],
    paused: Mapping[str | None, str],
    told: Circumstances,
    policy: Policy,
    now: datetime,
) -> Stop | None:
    """Whatever holds a repair back until somebody decides otherwise, or until what failed is well again."""
    if told.upgrade:
        return "upgrade", f"{told.upgrade}: this pass only looks, so that what the change makes of the world shows", ""
    if mode.mode is Mode.OBSERVE:
        return "mode", mode.why, mode.setting
    if reason := paused.get(None) or paused.get(repair.tenant):
        return "paused", reason, ""
    return stop_of(repair, breakers, now, policy)


def _not_now(
    repair: Repair, found: Collection[Subject], policy: Policy, findings: Mapping[str, Finding], now: datetime
) -> Stop | None:
    return closed(found, policy.windows, policy.freezes, now, critical=_critical(repair, findings))


def _critical(repair: Repair, findings: Mapping[str, Finding]) -> bool:
    return any(findings[i].severity is Severity.CRITICAL for i in repair.finding_ids if i in findings)


def _by_urgency(
    repairs: Sequence[Repair], scan: Scan, policy: Policy, findings: Mapping[str, Finding]
) -> Sequence[Repair]:
    facts = scan.declared.tenants
    order: dict[str | None, tuple[int, str]] = {t: (policy.tier_rank.get(f.tier, 50), t) for t, f in facts.items()}
    rank = {i: severity_rank(f) for i, f in findings.items()}
    return list(
        in_turn(sorted(repairs, key=lambda r: (len(r.after), min(rank[i] for i in r.finding_ids), r.id)), order)
    )


def _deferred(repair: Repair, stop: Stop) -> Deferral:
    code, words, setting = stop
    return Deferral(repair.finding_ids, words, code, setting)


def with_their_needs(chosen: Sequence[Repair]) -> tuple[list[Repair], list[Deferral]]:
    """Drop, until nothing changes, the repairs that wait for one that is not done in this pass."""
    kept = list(chosen)
    dropped: list[Deferral] = []
    while True:
        ids = {r.id for r in kept}
        waiting = [r for r in kept if not set(r.after) <= ids]
        if not waiting:
            return kept, dropped
        gone = {r.id for r in waiting}
        kept = [r for r in kept if r.id not in gone]
        dropped += [
            Deferral(r.finding_ids, "it waits for the repair of something it needs", "dependency") for r in waiting
        ]


def one_domain_at_a_time(repairs: Sequence[Repair], scan: Scan, policy: Policy) -> tuple[list[Repair], list[Deferral]]:
    """Failed servers of a tenant are replaced in so many zones a pass, the worst hit first (I03).

    Servers that only run an outdated template serve on; they are replaced one after another, zone after zone.
    """
    findings = {f.id: f for f in scan.failing}
    zones = {m.instance_id: m.zone for f in scan.observed.fleets.values() if isinstance(f, Fleet) for m in f.members}
    failed: dict[str | None, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for repair in repairs:
        for member in _failed(repair, findings):
            if member in zones:
                failed[repair.tenant][zones[member]] += 1
    allowed = {
        tenant: set(sorted(counts, key=lambda z: (-counts[z], z))[: policy.zones_at_once])
        for tenant, counts in failed.items()
    }
    kept: list[Repair] = []
    deferrals: list[Deferral] = []
    for repair in repairs:
        later = {m for m in _failed(repair, findings) if m in zones and zones[m] not in allowed[repair.tenant]}
        now = tuple(sorted((m for m in repair.members if m not in later), key=lambda m: (zones.get(m, ""), m)))
        mine = tuple(i for i in repair.finding_ids if i not in findings or findings[i].resource_id not in later)
        if later:
            names = ", ".join(sorted({zones[m] for m in later}))
            words = f"servers in other zones of tenant {repair.tenant} are replaced first; {names} follows"
            rest = tuple(i for i in repair.finding_ids if i not in mine)
            deferrals.append(Deferral(rest, words, "budget", "budget.zones"))
        if mine:
            # The members' order is the order in which they are replaced.
            kept.append(
                replace(repair, members=now, finding_ids=mine, cost=max(1, len(now))) if repair.members else repair
            )
    return kept, deferrals


def _failed(repair: Repair, findings: Mapping[str, Finding]) -> set[str]:
    """The servers of a repair that fail, other than by being outdated."""
    mine = (findings[i] for i in repair.finding_ids if i in findings)
    return {f.resource_id for f in mine if f.rule != OUTDATED} & set(repair.members)

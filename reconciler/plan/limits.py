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
from reconciler.plan.budget import Budget, Purse, can_cut, part_of, turns
from reconciler.plan.circumstances import Circumstances
from reconciler.plan.modes import Decided, Mode, approved, mode_of
from reconciler.plan.policy import Policy
from reconciler.plan.selectors import Subject, subjects
from reconciler.plan.strategy import ESCALATE, severity_rank
from reconciler.plan.windows import Freeze, Window, closed, closing

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
    deferrals: list[Deferral] = []
    free: list[Repair] = []
    asking: list[Repair] = []
    whole = Budget(scan.declared, policy)
    parts: dict[str, str] = {}
    for repair in repairs:
        mode = mode_of(subjects(repair, scan.declared, findings), policy.modes)
        if stop := _stop(repair, mode, breakers, paused, told, policy, now):
            deferrals.append(_deferred(repair, stop))
        elif mode.mode is Mode.PROPOSE and repair.strategy != ESCALATE:
            # What is approved is done as it was shown, so what is shown has to fit into one pass.
            purse = whole.tightest(repair)
            if can_cut(repair) and not purse.left:
                deferrals.append(_deferred(repair, ("budget", purse.words, purse.setting)))
                continue
            part, later = _cut(repair, purse.left, purse, findings)
            whole.spend(part)
            parts[repair.id] = part.id
            deferrals += later
            asking.append(replace(part, setting=mode.setting, reason=f"{part.reason}; {mode.why}"))
        elif (repair.loses or repair.sets_back) and repair.strategy != ESCALATE:
            asking.append(repair)
        else:
            free.append(repair)
    going, proposals = approved(asking, told.approvals, now)
    ready: list[Repair] = []
    for repair in (*free, *going):
        if repair.strategy != ESCALATE and (stop := closed(*_when(repair, scan, policy, findings, now))):
            deferrals.append(_deferred(repair, stop))
        else:
            ready.append(repair)
    budget = Budget(scan.declared, policy, spent, history=history, under_way=told.under_way, now=now)
    done: list[Repair] = []
    for share in budget.share_out(_by_urgency(ready, findings), turns(scan.declared, policy, history, now)):
        repair = share.repair
        if share.stop is None:
            done.append(repair)
        elif share.fit:
            part, later = _cut(repair, share.fit, share.stop, findings)
            parts[repair.id] = part.id
            deferrals += later
            done.append(part)
        else:
            deferrals.append(_deferred(repair, ("budget", share.stop.words, share.stop.setting)))
    # What waits for a repair waits for the part of it that is done now, not for a fleet to be done over many passes.
    done = [replace(r, after=tuple(parts.get(i, i) for i in r.after)) for r in done]
    kept, waiting = with_their_needs(done)
    deadlines = {
        r.id: deadline
        for r in kept
        if r.strategy != ESCALATE and (deadline := closing(*_when(r, scan, policy, findings, now)))
    }
    return Chosen(tuple(kept), tuple(proposals), (*deferrals, *waiting), deadlines)


def _cut(repair: Repair, count: int, purse: Purse, findings: Mapping[str, Finding]) -> tuple[Repair, list[Deferral]]:
    """The repair of so many of its servers at most, and the deferral of the others."""
    if not can_cut(repair) or count >= len(repair.members):
        return repair, []
    failed = _failed(repair, findings)
    # What fails goes before what is only outdated; in each of them zone after zone, as they stand.
    first = sorted(repair.members, key=lambda m: m not in failed)[:count]
    part, later = part_of(repair, [m for m in repair.members if m in first], findings)
    words = f"{purse.words}; {count} of {len(repair.members)} servers are replaced first"
    return part, [Deferral(later, words, "budget", purse.setting)]


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


def _when(
    repair: Repair, scan: Scan, policy: Policy, findings: Mapping[str, Finding], now: datetime
) -> tuple[Collection[Subject], Sequence[Window], Sequence[Freeze], datetime, bool]:
    """What decides whether a repair may happen at this time, as ``windows`` asks for it."""
    critical = any(findings[i].severity is Severity.CRITICAL for i in repair.finding_ids if i in findings)
    return subjects(repair, scan.declared, findings), policy.windows, policy.freezes, now, critical


def _by_urgency(repairs: Sequence[Repair], findings: Mapping[str, Finding]) -> Sequence[Repair]:
    rank = {i: severity_rank(f) for i, f in findings.items()}
    return sorted(repairs, key=lambda r: (len(r.after), min(rank[i] for i in r.finding_ids), r.id))


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


def one_domain_at_a_time(
    repairs: Sequence[Repair], scan: Scan, policy: Policy, spent: Sequence[Repair]
) -> tuple[list[Repair], list[Deferral]]:
    """Failed servers of a tenant are replaced in so many zones a pass, the worst hit first (I03).

    The zones of repairs ``spent`` in earlier passes of the period are among them.
    Servers that only run an outdated template serve on; they are replaced one after another, zone after zone.
    """
    findings = {f.id: f for f in scan.failing}
    zones = {m.instance_id: m.zone for f in scan.observed.fleets.values() if isinstance(f, Fleet) for m in f.members}
    failed: dict[str | None, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for repair in repairs:
        for member in _failed(repair, findings):
            if member in zones:
                failed[repair.tenant][zones[member]] += 1
    allowed: dict[str | None, set[str]] = {}
    for tenant, counts in failed.items():
        used = {zone for r in spent if r.tenant == tenant for zone in r.zones}
        others = sorted(counts.keys() - used, key=lambda z: (-counts[z], z))
        allowed[tenant] = used.union(others[: max(0, policy.zones_at_once - len(used))])
    kept: list[Repair] = []
    deferrals: list[Deferral] = []
    for repair in repairs:
        mine = {m: zones[m] for m in _failed(repair, findings) if m in zones}
        later = {m for m, zone in mine.items() if zone not in allowed[repair.tenant]}
        # The members' order is the order in which they are replaced.
        now = sorted((m for m in repair.members if m not in later), key=lambda m: (zones.get(m, ""), m))
        part, rest = part_of(repair, now, findings)
        if later:
            names = ", ".join(sorted({zones[m] for m in later}))
            words = f"servers in other zones of tenant {repair.tenant} are replaced first; {names} follows"
            deferrals.append(Deferral(rest, words, "budget", "budget.zones"))
        if part.finding_ids:
            kept.append(replace(part, zones=tuple(sorted({mine[m] for m in mine.keys() - later}))))
    return kept, deferrals


def _failed(repair: Repair, findings: Mapping[str, Finding]) -> set[str]:
    """The servers of a repair that fail, other than by being outdated."""
    mine = (findings[i] for i in repair.finding_ids if i in findings)
    return {f.resource_id for f in mine if f.rule != OUTDATED} & set(repair.members)

"""The breakers: when too much fails at once, the failures are evidence of something else, and a person decides.

An open breaker stays open until all that opened it is proven well again, or a person acknowledges exactly that; more
failures than were acknowledged open it again (docs/decisions/0008-breakers-stay-open.md).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from reconciler.decisions import Acknowledgement, Breaker, Cause
from reconciler.model import (
    ROLLOUTS,
    Attempt,
    Declared,
    Finding,
    Fleet,
    Kind,
    Repair,
    Scan,
    Status,
    Unreadable,
    Urn,
    Verdict,
)
from reconciler.plan.circumstances import Circumstances
from reconciler.plan.policy import Policy
from reconciler.plan.strategy import ESCALATE, MISSING

FAILED = frozenset({Status.NOT_HEALED, Status.ROLLED_BACK})
REPAIRS_COUNTED = FAILED | {Status.HEALED}
PROVING = frozenset({Status.HEALED, Status.CONTINUES})
"""How a replacement ends of which at least one new server serves."""
Place = tuple[str | None, Cause]


def breakers(
    scan: Scan,
    policy: Policy,
    history: Sequence[Attempt],
    told: Circumstances,
    now: datetime,
    *,
    made_from: Collection[str] = (),
    first_seen: Mapping[str, datetime] | None = None,
) -> tuple[Breaker, ...]:
    """The breakers that are open after this look, acknowledged ones included.

    ``made_from`` are the templates and images that are declared now; others are no longer anybody's trouble.
    ``first_seen`` says of each finding, by its id, since when it has been seen; one that is not in it is seen now.
    """
    tripped = [
        *_failing(scan.declared, scan.failing, policy),
        *_missing(scan, policy),
        *_repairs(scan.declared, history, policy, now),
        *_replacements(told.replacements, policy, made_from),
    ]
    tripping = {k for b in tripped for k in b.keys}
    found = _standing(
        tripped, told, now, lambda b: _still(b, scan, tripping, now), there=lambda b: _failing_there(b, scan)
    )
    storms = _storms(scan, [b for b in found if not b.acknowledged], policy, first_seen or {}, now)
    ended = now - policy.cooldown
    cooling = _standing(storms, told, now, lambda b: b.keys if b.since > ended else frozenset(), storm=True)
    return (*found, *cooling)


def stop_of(repair: Repair, open_now: Sequence[Breaker], now: datetime, policy: Policy) -> tuple[str, str, str] | None:
    """(code, words, setting) if an open breaker stops a repair; the one of the whole cell is named first."""
    for breaker in sorted(open_now, key=lambda b: (b.cause is Cause.STORM, b.tenant is not None)):
        if breaker.acknowledged or (breaker.tenant is not None and breaker.tenant != repair.tenant):
            continue
        if breaker.cause is Cause.REPLACEMENT and breaker.keys.isdisjoint(repair.replacement):
            continue
        if breaker.cause is Cause.STORM:
            left = (breaker.since + policy.cooldown - now).total_seconds()
            return "cool-down", f"{breaker.reason}; nothing is repaired for another {left:.0f} s", breaker.setting
        return "breaker", breaker.reason, breaker.setting
    return None


def _standing(
    tripped: Sequence[Breaker],
    told: Circumstances,
    now: datetime,
    still: Callable[[Breaker], frozenset[str]],
    *,
    there: Callable[[Breaker], frozenset[str]] = lambda _: frozenset(),
    storm: bool = False,
) -> list[Breaker]:
    """What trips now, with what tripped before and is not over; ``still`` gives the keys that are not well again.

    A word on what does not trip any more covers nothing that fails ``there`` beside them.
    """
    fresh = {(b.tenant, b.cause): b if storm else replace(b, since=now) for b in tripped}
    former = {(b.tenant, b.cause): b for b in told.breakers if (b.cause is Cause.STORM) is storm}
    found = []
    for place in sorted({*fresh, *former}, key=lambda p: (p[0] or "", p[1])):
        before, trips = former.get(place), fresh.get(place)
        lasting = still(before) if before else frozenset()
        keys = lasting | (trips.keys if trips else frozenset())
        by = _acknowledged(place, keys, told.acknowledgements, now)
        if trips is not None:
            since = before.since if before and (not storm or before.since > trips.since) else trips.since
            found.append(replace(trips, keys=keys, since=since, acknowledged=by))
        elif before is not None and keys:
            if by and not _acknowledged(place, beside := keys | there(before), told.acknowledgements, now):
                keys, by = beside, ""
            found.append(replace(before, keys=keys, reason=_lingering(before), acknowledged=by))
    return found


def _acknowledged(place: Place, keys: frozenset[str], given: Sequence[Acknowledgement], now: datetime) -> str:
    """By whom and until when, if somebody has acknowledged all of what fails."""
    for ack in given:
        if (ack.tenant, ack.cause) == place and ack.at <= now < ack.expires and keys <= ack.keys:
            return f"acknowledged by {ack.who} until {ack.expires:%Y-%m-%d %H:%M} UTC: {ack.reason}"
    return ""


_OPEN_STILL = "; it stays open until all that failed then is well again, or a person acknowledges it"


def _lingering(breaker: Breaker) -> str:
    if breaker.cause is Cause.STORM or breaker.reason.endswith(_OPEN_STILL):
        return breaker.reason
    return breaker.reason + _OPEN_STILL


def _still(breaker: Breaker, scan: Scan, tripping: set[str], now: datetime) -> frozenset[str]:
    """What of a former breaker is not proven well again. A resource that was not looked at, or is unknown, is not."""
    if scan.observed.at is not None and scan.observed.at < breaker.since <= now:
        # Another pass opened it meanwhile, since a plan holds no lease: this look is too old to close it.
        return breaker.keys
    if breaker.cause in (Cause.REPAIRS, Cause.REPLACEMENT):
        return breaker.keys & tripping
    seen: set[Urn] = set()
    bad: set[Urn] = {f.urn for f in scan.failing}
    for finding in scan.findings:
        seen.add(finding.urn)
        if finding.verdict is Verdict.UNKNOWN:
            bad.add(finding.urn)
    return frozenset(
        k for k in breaker.keys if Urn(k) in scan.declared.resources and (Urn(k) in bad or Urn(k) not in seen)
    )


def _failing_there(breaker: Breaker, scan: Scan) -> frozenset[str]:
    """What fails now in the way and in the place that a breaker is about."""
    if breaker.cause is Cause.FAILING:
        urns = {f.urn for f in scan.failing}
    elif breaker.cause is Cause.MISSING:
        urns = _gone(scan)
    else:
        return frozenset()
    resources = scan.declared.resources
    mine = (resources[u] for u in urns & resources.keys())
    return frozenset(r.urn for r in mine if breaker.tenant in (None, r.tenant))


def _failing(declared: Declared, failing: Sequence[Finding], policy: Policy) -> list[Breaker]:
    """Counted in declared resources, not in findings: ten findings on one bucket are one failing resource."""
    return _shares(
        declared, {f.urn for f in failing}, Cause.FAILING, "fail at once", policy.breaker_share, policy.breaker_minimum,
        "breaker.share",
    )  # fmt: skip


def _missing(scan: Scan, policy: Policy) -> list[Breaker]:
    """Many that are gone at once: AWS, or who asked it, is likelier to be wrong than the tenants to be without them."""
    return _shares(
        scan.declared, _gone(scan), Cause.MISSING, "are gone at once", policy.missing_share, policy.missing_minimum,
        "breaker.missing_share",
    )  # fmt: skip


def _gone(scan: Scan) -> set[Urn]:
    """What is missing; what is gone with something that it refers to counts once: a bucket takes its configuration."""
    gone = {f.urn for f in scan.failing if f.rule == MISSING}
    resources = scan.declared.resources
    return {u for u in gone if u not in resources or resources[u].references.isdisjoint(gone)}


def _shares(
    declared: Declared, urns: set[Urn], cause: Cause, what: str, share: float, minimum: int, setting: str
) -> list[Breaker]:
    by_tenant: dict[str | None, set[Urn]] = defaultdict(set)
    for urn in urns & declared.resources.keys():
        by_tenant[declared.resources[urn].tenant].add(urn)
    opened = []
    for tenant, mine in by_tenant.items():
        if tenant is not None and (words := _too_many(len(mine), len(declared.of(tenant)), share, minimum)):
            reason = f"breaker open: {words} of tenant {tenant}'s resources {what}"
            opened.append(_breaker(tenant, cause, mine, reason, setting))
    everything = set().union(*by_tenant.values())
    if words := _too_many(len(everything), len(declared.resources), share, minimum):
        reason = f"breaker open: {words} of the cell's resources {what}"
        opened.append(_breaker(None, cause, everything, reason, setting))
    return opened


def _repairs(declared: Declared, history: Sequence[Attempt], policy: Policy, now: datetime) -> list[Breaker]:
    """Repairs that fail one after another say that repairing is not what helps."""
    recent = [a for a in history if a.at >= now - policy.flap_window]
    by_tenant: dict[str | None, dict[str, Status]] = defaultdict(dict)
    for attempt in recent:
        # What healed by itself says nothing for repairing.
        counts = attempt.strategy != ESCALATE and attempt.status in REPAIRS_COUNTED and attempt.wrote
        if counts and attempt.urn in declared.resources:
            # One repair has many attempts, one for each resource; they share the moment and the findings.
            name = f"{attempt.strategy} at {attempt.at.isoformat()} of {', '.join(attempt.finding_ids)}"
            for tenant in {declared.resources[attempt.urn].tenant, None}:
                by_tenant[tenant][name] = attempt.status
    opened = []
    for tenant, ended in by_tenant.items():
        failed = {name for name, status in ended.items() if status in FAILED}
        if words := _too_many(len(failed), len(ended), policy.repair_share, policy.repair_minimum):
            whose = f"of tenant {tenant}" if tenant is not None else "in the cell"
            reason = f"breaker open: {words} of the repairs {whose} within {policy.flap_window} failed"
            opened.append(_breaker(tenant, Cause.REPAIRS, failed, reason, "breaker.repair_share"))
    return opened


def _replacements(replaced: Sequence[Attempt], policy: Policy, in_use: Collection[str]) -> list[Breaker]:
    """Templates and images from which new servers failed and, since then, none was healthy.

    Only what was launched is evidence, for or against: a replacement also fails for reasons of its own (a call that was
    throttled, a fleet that could not be seen), and a quarantine or a finding that passed by itself needs no new server.
    An image is blamed once fleets of two groups failed with it: one fleet's trouble is no reason to stop the others.
    """
    failures: dict[str, list[Attempt]] = defaultdict(list)
    for attempt in replaced:
        for made_from in set(attempt.replacement) & set(in_use):
            if attempt.unfit:
                failures[made_from].append(attempt)
            elif attempt.strategy in ROLLOUTS and attempt.status in PROVING and attempt.wrote:
                failures[made_from].clear()
    bad = {
        made_from
        for made_from, attempts in failures.items()
        if len(attempts) >= policy.same_failure_limit
        and (not made_from.startswith("image ") or len({a.urn for a in attempts}) > 1)
    }
    if not bad:
        return []
    names = ", ".join(sorted(bad))
    reason = f"breaker open: new servers from {names} failed again and again; nothing is made from it until it changes"
    return [_breaker(None, Cause.REPLACEMENT, bad, reason, "flap.same_failure_limit")]


def _storms(
    scan: Scan,
    open_now: Sequence[Breaker],
    policy: Policy,
    first_seen: Mapping[str, datetime],
    now: datetime,
) -> list[Breaker]:
    """Where a breaker is open, or very much is new, the dust has to settle before anything is repaired there.

    New is what was first seen within the cool-down, whichever kind of pass saw it; the storm is over when so much of it
    is older that the rest is none.
    """
    storms: dict[str | None, Breaker] = {}
    if not policy.cooldown:
        return []
    for breaker in open_now:
        if breaker.cause in (Cause.FAILING, Cause.MISSING):
            reason = "cooling down after a breaker was open"
            storms[breaker.tenant] = _breaker(
                breaker.tenant, Cause.STORM, breaker.keys, reason, "breaker.cooldown_seconds", now
            )
    fresh: dict[str, list[tuple[datetime, Urn]]] = defaultdict(list)
    for finding in scan.failing:
        since = min(first_seen.get(finding.id, now), now)
        if finding.tenant is not None and since > now - policy.cooldown:
            fresh[finding.tenant].append((since, finding.urn))
    for tenant, new in fresh.items():
        if (count := len(new)) > policy.storm_findings:
            reason = f"cooling down: {count} findings of tenant {tenant} are new (the limit is {policy.storm_findings})"
            since, _ = sorted(new)[-policy.storm_findings - 1]
            urns = [urn for _, urn in new]
            storms.setdefault(tenant, _breaker(tenant, Cause.STORM, urns, reason, "breaker.storm_findings", since))
    return list(storms.values())


def _breaker(
    tenant: str | None, cause: Cause, keys: Iterable[str], reason: str, setting: str, since: datetime = datetime.min
) -> Breaker:
    """``since`` is replaced when it is known whether the breaker was open before, unless it is of a storm."""
    return Breaker(tenant, cause, frozenset(str(k) for k in keys), reason, since, setting)


def sees_too_little(scan: Scan, looked_at: Collection[Urn], lately: Collection[Urn], policy: Policy) -> str:
    """Why a look at only ``looked_at`` must become a look at the whole cell before anything is repaired; or nothing.

    A breaker counts what fails in the whole cell, and a small look cannot. So it is trusted only while little fails in
    it: less than the breakers' share of what was looked at (one alone is no pattern), and, together with what failed or
    was repaired ``lately``, less than the number from which breakers count.
    """
    failing = {f.urn for f in scan.failing if f.urn in scan.declared.resources}
    if not failing:
        return ""
    if len(failing | set(lately)) >= policy.breaker_minimum:
        others = len(set(lately) - failing)
        return f"{len(failing)} resources fail here, and {others} others failed or were repaired of late"
    if len(failing) > 1 and len(failing) > policy.breaker_share * len(looked_at):
        return f"{len(failing)} of the {len(looked_at)} resources looked at fail"
    return ""


def fleet_breaker(fleet: Fleet | Unreadable | None, failing: Sequence[Finding], policy: Policy) -> str | None:
    """Why none of the fleet's servers may be replaced, or None if they may.

    Servers that fail together share a cause (a bad image, a dependency, a zone); replacing them spreads it.
    """
    if fleet is None:
        return "the fleet was not observed"
    if isinstance(fleet, Unreadable):
        return f"the fleet could not be read: {fleet.reason}"
    sick = {f.resource_id for f in failing if f.kind is Kind.HEALTH and f.rule != "health.outdated-template"}
    sick &= {m.instance_id for m in fleet.members}
    if len(sick) > 1 and len(sick) > policy.fleet_share * len(fleet.members):
        return f"breaker open: {len(sick)} of {len(fleet.members)} servers of {fleet.name} fail together"
    return None


def _too_many(count: int, pool: int, share: float, minimum: int) -> str:
    if pool == 0 or count < minimum or count <= share * pool:
        return ""
    return f"{count} of {pool} ({count / pool:.0%}, the limit is {share:.0%})"

"""The breakers: when too much fails at once, the failures are evidence of something else, and a person decides.

An open breaker stays open until all that opened it is proven well again, or a person acknowledges exactly that; more
failures than were acknowledged open it again (docs/decisions/0008-breakers-stay-open.md).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from reconciler.decisions import Acknowledgement, Breaker, Cause
from reconciler.model import Attempt, Repair, Scan, Urn, Verdict
from reconciler.plan.circumstances import Circumstances
from reconciler.plan.policy import Policy
from reconciler.plan.trips import (
    bad_templates,
    gone,
    storms_of,
    too_many_failed,
    too_many_failing,
    too_many_missing,
)

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
        *too_many_failing(scan.declared, scan.failing, policy),
        *too_many_missing(scan, policy),
        *too_many_failed(scan.declared, history, policy, now),
        *bad_templates(told.replacements, policy, made_from),
    ]
    tripping = {k for b in tripped for k in b.keys}
    found = _standing(
        tripped, told, now, lambda b: _still(b, scan, tripping, now), there=lambda b: _failing_there(b, scan)
    )
    storms = storms_of(scan, [b for b in found if not b.acknowledged], policy, first_seen or {}, now)
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
        urns = gone(scan)
    else:
        return frozenset()
    resources = scan.declared.resources
    mine = (resources[u] for u in urns & resources.keys())
    return frozenset(r.urn for r in mine if breaker.tenant in (None, r.tenant))


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

"""The escalation ladder: try, wait longer each time, and after a few tries hand over to a person with what is known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from reconciler.model import Attempt, Declared, Deferral, Finding, Kind, Repair, Status
from reconciler.plan.policy import Policy
from reconciler.plan.strategy import ESCALATE, MISSING, OF_SERVERS
from reconciler.plan.trips import FAILED

UNFINISHED = frozenset({Status.INTERRUPTED, Status.REFUSED})
"""Ends that say nothing against a repair when they come once: a restart, a lock, an answer that failed to come."""


def laddered(
    repair: Repair,
    history: Sequence[Attempt],
    policy: Policy,
    now: datetime,
    findings: Mapping[str, Finding],
    first_seen: Mapping[str, datetime],
) -> Repair | Deferral:
    """The repair itself, an escalation in its place, or a deferral until its next try (I11).

    ``first_seen`` says since when a finding has lasted, by its id.
    """
    if repair.strategy == ESCALATE:
        return repair
    # Of a group many servers may need replacing for good reasons, so attempts at them count by what they were for.
    mine = set(repair.finding_ids) if repair.strategy in OF_SERVERS else None
    past = [
        a
        for a in history
        if a.strategy != ESCALATE and a.urn in repair.urns and (mine is None or mine & set(a.finding_ids))
    ]
    tries = _in_a_row(repair, past)
    why = (
        _flapping(repair, past, policy, now)
        or _unfinished(tries, policy, now)
        or _fought_over(repair, past, policy, now, findings)
    )
    if why is not None:
        words, setting = why
        return replace(repair, strategy=ESCALATE, members=(), reason=f"{repair.reason}; {words}", setting=setting)
    # A try that was cut off when it had healed the fault already is no reason to wait when that comes back.
    began = min((first_seen[i] for i in repair.finding_ids if i in first_seen), default=None)
    lasting = {at: s for at, s in tries.items() if s in FAILED or began is None or at >= began}
    if waiting := _backing_off(repair, lasting, policy, now):
        return waiting
    # Cut off twice, it may be what ends the process: then no other repair of the pass is cut off with it.
    suspect = sum(status is Status.INTERRUPTED for status in tries.values()) > 1
    return replace(repair, alone=suspect)


def _in_a_row(repair: Repair, past: Sequence[Attempt]) -> Mapping[datetime, Status]:
    """How each try of these findings ended since one last healed them, oldest first.

    One repair of several resources is in the history once for each of them, and still was one try.
    """
    wanted = set(repair.finding_ids)
    tries: dict[datetime, Status] = {}
    for attempt in sorted((a for a in past if wanted & set(a.finding_ids)), key=lambda a: a.at):
        if attempt.status is Status.HEALED:
            tries.clear()
        elif attempt.status in FAILED | UNFINISHED:
            tries[attempt.at] = attempt.status
    return tries


def _flapping(repair: Repair, past: Sequence[Attempt], policy: Policy, now: datetime) -> tuple[str, str] | None:
    """Flap cap, and no third try of what failed the same way twice."""
    recent = [a for a in past if a.at >= now - policy.flap_window]
    # One repair of several resources is in the history once for each of them, and still was one repair.
    failed = len({a.at for a in recent if a.status in FAILED and set(a.finding_ids) & set(repair.finding_ids)})
    healed = len({a.at for a in recent if _healing(a) and a.strategy == repair.strategy})
    if failed >= policy.same_failure_limit:
        return f"repairing it failed {failed} times within {policy.flap_window}", "flap.same_failure_limit"
    if healed >= policy.flap_limit:
        why = f"it was repaired {healed} times within {policy.flap_window} and broke again: something keeps breaking it"
        return why, "flap.limit"
    return None


def _unfinished(tries: Mapping[datetime, Status], policy: Policy, now: datetime) -> tuple[str, str] | None:
    """Cut off or refused again and again: it may be what ends the process, or what nobody can do."""
    since = now - policy.fight_window
    cut_off = [at for at, status in tries.items() if status is Status.INTERRUPTED and at >= since]
    refused = [at for at, status in tries.items() if status is Status.REFUSED and at >= since]
    if len(cut_off) >= policy.unfinished_limit:
        why = f"it was cut off {len(cut_off)} times within {policy.fight_window} and never healed"
        return f"{why}: it may be what ends the process", "retry.unfinished_limit"
    # A refusal wrote nothing, so it is asked again now and then whether what stood in the way is gone.
    if len(refused) >= policy.unfinished_limit and refused[-1] >= now - policy.flap_window:
        why = f"it was refused {len(refused)} times within {policy.fight_window} and never healed"
        return why, "retry.unfinished_limit"
    return None


def _fought_over(
    repair: Repair,
    past: Sequence[Attempt],
    policy: Policy,
    now: datetime,
    findings: Mapping[str, Finding],
) -> tuple[str, str] | None:
    """The same fault of the same resource, healed and set back again and again: somebody else wants it otherwise."""
    for finding_id in repair.finding_ids:
        finding = findings.get(finding_id)
        if finding is None:
            continue
        if (times := times_set_back(finding, past, policy, now)) >= policy.fight_limit:
            what = "it was brought back" if finding.rule == MISSING else f"{finding.property} was healed"
            undone = "is gone again" if finding.rule == MISSING else "set back"
            last = finding.attribution or "not known"
            words = f"{what} {times} times within {policy.fight_window} and {undone} each time"
            return f"{words}; who changed it last: {last}", "retry.fight_limit"
    return None


def times_set_back(finding: Finding, history: Sequence[Attempt], policy: Policy, now: datetime) -> int:
    """How often within ``Policy.fight_window`` a property was healed that drifted again, or a resource that is gone."""
    if finding.kind is not Kind.DRIFT or not (finding.property or finding.rule == MISSING):
        return 0
    since = now - policy.fight_window
    return len({a.at for a in history if _healing(a) and finding.id in a.finding_ids and a.at >= since})


def _healing(attempt: Attempt) -> bool:
    """Whether a repair healed it, and not the fault itself passed."""
    return attempt.status is Status.HEALED and attempt.wrote


def _backing_off(repair: Repair, tries: Mapping[datetime, Status], policy: Policy, now: datetime) -> Deferral | None:
    """Wait before the next try, twice as long after each failure in a row.

    What was cut off or refused for the first time is taken up at once: after a restart it is likeliest to be that.
    """
    unfinished = [at for at, status in tries.items() if status in UNFINISHED]
    counted = [at for at in tries if at not in unfinished[:1]]
    if not counted:
        return None
    # Beyond so many doublings the longest wait has long been reached.
    wait = min(policy.backoff * 2 ** min(len(counted) - 1, 20), policy.backoff_longest)
    due = counted[-1] + wait
    if now >= due:
        return None
    if not unfinished:
        ended = "failed once" if len(counted) == 1 else f"failed {len(counted)} times"
    else:
        ended = f"failed, was refused or was cut off {len(tries)} times"
    words = f"repairing it {ended}; the next try is at {due:%Y-%m-%d %H:%M:%S} UTC"
    return Deferral(repair.finding_ids, words, "back-off", "retry.backoff_seconds")


def carrying(repair: Repair, history: Sequence[Attempt], declared: Declared, findings: Mapping[str, Finding]) -> Repair:
    """An escalation with what was tried before and what a person should look at."""
    if repair.strategy != ESCALATE:
        return repair
    tried = dict.fromkeys(
        f"{a.strategy} at {a.at:%Y-%m-%d %H:%M:%S} UTC: {a.status.value}"
        for a in history
        if a.strategy != ESCALATE and a.urn in repair.urns and set(a.finding_ids) & set(repair.finding_ids)
    )
    resources = [declared.resources[u] for u in repair.urns if u in declared.resources]
    look_at = [f"{r.name} ({r.type}, {r.id or 'no id yet'})" for r in resources]
    look_at += dict.fromkeys(findings[i].message for i in repair.finding_ids if i in findings)
    return replace(repair, tried=tuple(tried), look_at=tuple(look_at))

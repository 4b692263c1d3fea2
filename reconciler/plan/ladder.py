"""The escalation ladder: try, wait longer each time, and after a few tries hand over to a person with what is known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from reconciler.model import Attempt, Declared, Deferral, Finding, Kind, Repair, Status
from reconciler.plan.breaker import FAILED
from reconciler.plan.policy import Policy
from reconciler.plan.strategy import ESCALATE, OF_SERVERS


def laddered(
    repair: Repair,
    history: Sequence[Attempt],
    policy: Policy,
    now: datetime,
    findings: Mapping[str, Finding],
) -> Repair | Deferral:
    """The repair itself, an escalation in its place, or a deferral until its next try (I11)."""
    if repair.strategy == ESCALATE:
        return repair
    # Of a group many servers may need replacing for good reasons, so attempts at them count by what they were for.
    mine = set(repair.finding_ids) if repair.strategy in OF_SERVERS else None
    past = [
        a
        for a in history
        if a.strategy != ESCALATE and a.urn in repair.urns and (mine is None or mine & set(a.finding_ids))
    ]
    why = _flapping(repair, past, policy, now) or _fought_over(repair, past, policy, now, findings)
    if why is not None:
        words, setting = why
        return replace(repair, strategy=ESCALATE, members=(), reason=f"{repair.reason}; {words}", setting=setting)
    return _backing_off(repair, past, policy, now) or repair


def _flapping(repair: Repair, past: Sequence[Attempt], policy: Policy, now: datetime) -> tuple[str, str] | None:
    """Flap cap, and no third try of what failed the same way twice."""
    recent = [a for a in past if a.at >= now - policy.flap_window]
    # One repair of several resources is in the history once for each of them, and still was one repair.
    failed = len({a.at for a in recent if a.status in FAILED and set(a.finding_ids) & set(repair.finding_ids)})
    healed = len({a.at for a in recent if a.status is Status.HEALED and a.strategy == repair.strategy})
    if failed >= policy.same_failure_limit:
        return f"repairing it failed {failed} times within {policy.flap_window}", "flap.same_failure_limit"
    if healed >= policy.flap_limit:
        why = f"it was repaired {healed} times within {policy.flap_window} and broke again: something keeps breaking it"
        return why, "flap.limit"
    return None


def _fought_over(
    repair: Repair,
    past: Sequence[Attempt],
    policy: Policy,
    now: datetime,
    findings: Mapping[str, Finding],
) -> tuple[str, str] | None:
    """The same property of the same resource, healed and set back again and again: somebody else wants it otherwise."""
    for finding_id in repair.finding_ids:
        finding = findings.get(finding_id)
        if finding is None:
            continue
        if (times := times_set_back(finding, past, policy, now)) >= policy.fight_limit:
            words = f"{finding.property} was healed {times} times within {policy.fight_window} and set back"
            last = finding.attribution or "not known"
            return f"{words} each time; who changed it last: {last}", "retry.fight_limit"
    return None


def times_set_back(finding: Finding, history: Sequence[Attempt], policy: Policy, now: datetime) -> int:
    """How often a drifted property was healed within ``Policy.fight_window`` before it drifted again."""
    if finding.kind is not Kind.DRIFT or not finding.property:
        return 0
    since = now - policy.fight_window
    return len({a.at for a in history if a.status is Status.HEALED and finding.id in a.finding_ids and a.at >= since})


def _backing_off(repair: Repair, past: Sequence[Attempt], policy: Policy, now: datetime) -> Deferral | None:
    """Wait before the next try, twice as long after each failure in a row."""
    wanted = set(repair.finding_ids)
    failures: list[datetime] = []
    for attempt in sorted((a for a in past if wanted & set(a.finding_ids)), key=lambda a: a.at):
        if attempt.status is Status.HEALED:
            failures.clear()
        elif attempt.status in FAILED and attempt.at not in failures:
            failures.append(attempt.at)
    if not failures:
        return None
    # Beyond so many doublings the longest wait has long been reached.
    wait = min(policy.backoff * 2 ** min(len(failures) - 1, 20), policy.backoff_longest)
    due = failures[-1] + wait
    if now >= due:
        return None
    times = "once" if len(failures) == 1 else f"{len(failures)} times"
    words = f"repairing it failed {times}; the next try is at {due:%Y-%m-%d %H:%M:%S} UTC"
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

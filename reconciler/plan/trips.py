"""What trips a breaker in one look and in the history behind it, whatever was open before."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime

from reconciler.decisions import Breaker, Cause
from reconciler.model import ROLLOUTS, Attempt, Declared, Finding, Scan, Status, Urn
from reconciler.plan.policy import Policy
from reconciler.plan.strategy import ESCALATE, MISSING

FAILED = frozenset({Status.NOT_HEALED, Status.ROLLED_BACK})
REPAIRS_COUNTED = FAILED | {Status.HEALED}
PROVING = frozenset({Status.HEALED, Status.CONTINUES})
"""How a replacement ends of which at least one new server serves."""


def too_many_failing(declared: Declared, failing: Sequence[Finding], policy: Policy) -> list[Breaker]:
    """Counted in declared resources, not in findings: ten findings on one bucket are one failing resource."""
    return _shares(
        declared, {f.urn for f in failing}, Cause.FAILING, "fail at once", policy.breaker_share, policy.breaker_minimum,
        "breaker.share",
    )  # fmt: skip


def too_many_missing(scan: Scan, policy: Policy) -> list[Breaker]:
    """Many that are gone at once: AWS, or who asked it, is likelier to be wrong than the tenants to be without them."""
    return _shares(
        scan.declared, gone(scan), Cause.MISSING, "are gone at once", policy.missing_share, policy.missing_minimum,
        "breaker.missing_share",
    )  # fmt: skip


def gone(scan: Scan) -> set[Urn]:
    """What is missing; what is gone with something that it refers to counts once: a bucket takes its configuration."""
    gone = {f.urn for f in scan.failing if f.rule == MISSING}
    resources = scan.declared.resources
    return {u for u in gone if u not in resources or resources[u].references.isdisjoint(gone)}


def too_many_failed(declared: Declared, history: Sequence[Attempt], policy: Policy, now: datetime) -> list[Breaker]:
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


def bad_templates(replaced: Sequence[Attempt], policy: Policy, in_use: Collection[str]) -> list[Breaker]:
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


def storms_of(
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


def _breaker(
    tenant: str | None, cause: Cause, keys: Iterable[str], reason: str, setting: str, since: datetime = datetime.min
) -> Breaker:
    """``since`` is replaced when it is known whether the breaker was open before, unless it is of a storm."""
    return Breaker(tenant, cause, frozenset(str(k) for k in keys), reason, since, setting)


def _too_many(count: int, pool: int, share: float, minimum: int) -> str:
    if pool == 0 or count < minimum or count <= share * pool:
        return ""
    return f"{count} of {pool} ({count / pool:.0%}, the limit is {share:.0%})"

"""The repairs of one fleet's servers: what is wrong with them decides what becomes of them."""

from __future__ import annotations

from collections.abc import Sequence

from reconciler.model import SERVERS, Deferral, Finding, Fleet, Kind, Repair, ResourceKind, Scan, Unreadable, Urn
from reconciler.plan.policy import Policy
from reconciler.plan.strategy import (
    COMPROMISED,
    ESCALATE,
    OUTDATED,
    QUARANTINE_OVER,
    RESIZING,
    Cause,
    chosen,
    severity_rank,
)


def repairs_of(
    urn: Urn, findings: Sequence[Finding], scan: Scan, policy: Policy, kind: ResourceKind
) -> tuple[list[Repair], list[Deferral]]:
    """The repairs of one group's failing health findings, at most one of each strategy.

    The breaker of the fleet stops replacements of servers that fail together; a compromised server is isolated all the
    same, and one whose quarantine is over serves nobody.
    """
    tenant = scan.declared.resources[urn].tenant
    facts = scan.declared.tenants.get(tenant or "")
    fleet = scan.observed.fleets.get(urn)
    repairs: list[Repair] = []
    deferrals: list[Deferral] = []
    known_bad = isinstance(fleet, Fleet) and fleet.launches in policy.bad_images
    for cause, group in _by_cause(findings, known_bad=known_bad).items():
        ids = tuple(sorted({f.id for f in group}))
        # Servers that are not to be replaced yet are evidence all the same.
        evidence = [f for f in scan.failing if f.urn == urn and f.rule not in (COMPROMISED, QUARANTINE_OVER)]
        stop = fleet_breaker(fleet, evidence, policy)
        if (stop and cause in (Cause.SERVER, Cause.OUTDATED)) or not isinstance(fleet, Fleet):
            deferrals.append(Deferral(ids, stop or "the fleet was not observed", "breaker"))
            continue
        members = tuple(sorted({f.resource_id for f in group if f.resource_id.startswith("i-")}))
        strategy = chosen(cause, Kind.HEALTH, kind, facts.tier if facts else "", policy.overrides)
        reason = min(group, key=severity_rank).message
        if known_bad and all(f.rule == OUTDATED for f in group):
            strategy, reason = ESCALATE, f"{reason}; new servers launched from {fleet.launches} did not become healthy"
        if strategy in RESIZING and fleet.unit != SERVERS:
            strategy = ESCALATE
            reason = f"{reason}; the group's size counts {fleet.unit}, so no server of it can be replaced by one more"
        if strategy == ESCALATE:
            members = ()
        repairs.append(Repair(strategy, tenant, (urn,), ids, reason, members=members))
    return repairs, deferrals


def _by_cause(findings: Sequence[Finding], *, known_bad: bool) -> dict[Cause, list[Finding]]:
    """``known_bad``: new servers of the group did not become healthy, so only those that fail are replaced by such."""
    groups: dict[Cause, list[Finding]] = {}
    special = {COMPROMISED: Cause.COMPROMISED, QUARANTINE_OVER: Cause.OVER}
    for finding in findings:
        groups.setdefault(special.get(finding.rule, Cause.SERVER), []).append(finding)
    servers = groups.get(Cause.SERVER, [])
    if known_bad:
        failing = {f.resource_id for f in servers if f.rule != OUTDATED}
        apart = [f for f in servers if f.resource_id not in failing]
        parts = {Cause.SERVER: [f for f in servers if f.resource_id in failing], Cause.OUTDATED: apart}
        return {cause: part for cause, part in (groups | parts).items() if part}
    if len(servers) > 1 and all(f.rule == OUTDATED for f in servers):
        groups[Cause.OUTDATED] = groups.pop(Cause.SERVER)
    return groups


def fleet_breaker(fleet: Fleet | Unreadable | None, failing: Sequence[Finding], policy: Policy) -> str | None:
    """Why none of the fleet's servers may be replaced, or None if they may.

    Servers that fail together share a cause (a bad image, a dependency, a zone); replacing them spreads it.
    """
    if fleet is None:
        return "the fleet was not observed"
    if isinstance(fleet, Unreadable):
        return f"the fleet could not be read: {fleet.reason}"
    sick = {f.resource_id for f in failing if f.kind is Kind.HEALTH and f.rule != OUTDATED}
    sick &= {m.instance_id for m in fleet.members}
    if len(sick) > 1 and len(sick) > policy.fleet_share * len(fleet.members):
        return f"breaker open: {len(sick)} of {len(fleet.members)} servers of {fleet.name} fail together"
    return None

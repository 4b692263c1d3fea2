"""The breaker: when too much fails at once, the failures are evidence of something else, and a person decides."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence

from reconciler.model import Declared, Finding, Fleet, Kind, Scan, Unreadable, Urn
from reconciler.plan.policy import Policy


def open_breakers(declared: Declared, failing: Sequence[Finding], policy: Policy) -> Mapping[str | None, str]:
    """Which breakers are open, with the reason in words: by tenant, and under ``None`` for the whole cell.

    Counted in declared resources, not in findings: ten findings on one bucket are one failing resource.
    """
    by_tenant: dict[str | None, set[Urn]] = defaultdict(set)
    for finding in failing:
        if finding.urn in declared.resources:
            by_tenant[finding.tenant].add(finding.urn)
    reasons: dict[str | None, str] = {}
    for tenant, urns in by_tenant.items():
        if tenant is not None and (share := _too_many(len(urns), len(declared.of(tenant)), policy)):
            reasons[tenant] = f"breaker open: {share} of tenant {tenant}'s resources fail at once"
    total = len(set().union(*by_tenant.values())) if by_tenant else 0
    if share := _too_many(total, len(declared.resources), policy):
        reasons[None] = f"breaker open: {share} of the cell's resources fail at once"
    return reasons


def sees_too_little(scan: Scan, looked_at: Collection[Urn], touched: Collection[Urn], policy: Policy) -> str:
    """Why a look at only ``looked_at`` must become a look at the whole cell before anything is repaired; or nothing.

    A breaker counts what fails in the whole cell, and a small look cannot. So it is trusted only while little fails in
    it: less than the breakers' share of what was looked at (one alone is no pattern), and, together with what was
    ``touched`` by the passes of late, less than the number from which breakers count.
    """
    failing = {f.urn for f in scan.failing if f.urn in scan.declared.resources}
    if not failing:
        return ""
    if len(failing | set(touched)) >= policy.breaker_minimum:
        return f"{len(failing)} resources fail here, and {len(set(touched) - failing)} others were repaired of late"
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


def _too_many(count: int, pool: int, policy: Policy) -> str:
    if pool == 0 or count < policy.breaker_minimum or count <= policy.breaker_share * pool:
        return ""
    return f"{count} of {pool} ({count / pool:.0%}, the limit is {policy.breaker_share:.0%})"

"""Small worlds for the planner's tests: a cell with tenants, resources that need each other, and findings on them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import UTC, datetime

from reconciler.model import (
    Coverage,
    Declared,
    DeclaredResource,
    Finding,
    Fleet,
    Kind,
    Member,
    Observed,
    ResourceKind,
    Scan,
    Severity,
    TenantFacts,
    Unreadable,
    Urn,
    Verdict,
)

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
PLAIN = "aws:ec2/subnet:Subnet"
DATA = "aws:s3/bucket:Bucket"
GROUP = "aws:autoscaling/group:Group"
KINDS: Mapping[str, ResourceKind] = {
    PLAIN: ResourceKind(PLAIN),
    DATA: ResourceKind(DATA, stateful=True),
    GROUP: ResourceKind(GROUP),
}


def resource(
    name: str,
    tenant: str | None = "acme",
    type_: str = PLAIN,
    *,
    needs: Collection[str] = (),
    uses: Collection[str] = (),
    protect: bool = False,
    external: bool = False,
) -> DeclaredResource:
    return DeclaredResource(
        Urn(name), type_, name, f"id-{name}", {}, tenant=tenant,
        dependencies=frozenset(Urn(n) for n in (*needs, *uses)), references=frozenset(Urn(n) for n in uses),
        protect=protect, external=external,
    )  # fmt: skip


def cell(*resources: DeclaredResource, fillers: int = 40) -> Declared:
    """A cell of the given resources, and so many healthy ones beside them for each tenant."""
    tenants = {r.tenant for r in resources if r.tenant}
    quiet = [resource(f"{t}-quiet-{i}", t) for t in sorted(tenants) for i in range(fillers)]
    facts = {t: TenantFacts(t, "gold", frozenset({"soc2"})) for t in tenants}
    return Declared("dev", "p", "1" * 12, "us-east-1", {r.urn: r for r in (*resources, *quiet)}, facts)


def finding(
    of: DeclaredResource,
    rule: str = "drift.property",
    kind: Kind = Kind.DRIFT,
    verdict: Verdict = Verdict.FAIL,
    *,
    severity: Severity = Severity.HIGH,
    resource_id: str = "",
    property_: str = "p",
) -> Finding:
    return Finding(
        rule, kind, verdict, severity, of.urn, of.type, resource_id or of.id, of.tenant, f"{of.name} broke", property_,
        signs=("EC2 says it is stopped", "the load balancer says it is unused") if kind is Kind.HEALTH else (),
    )  # fmt: skip


def scan(declared: Declared, *findings: Finding, fleets: Mapping[Urn, Fleet | Unreadable] | None = None) -> Scan:
    return Scan("run", "dev", declared, Observed({}, fleets or {}), findings, Coverage(len(declared.resources), 0, 0))


def fleet(of: DeclaredResource, members: int) -> Fleet:
    servers = tuple(Member(f"i-{n}", "a", "InService", "running", "healthy") for n in range(members))
    return Fleet(of.urn, of.name, members, 1, members + 1, servers)


def downstream(declared: Declared, urns: Collection[Urn]) -> frozenset[Urn]:
    """What needs one of ``urns``; resources stand after what they need, so one walk finds all."""
    found: set[Urn] = set(urns)
    for r in declared.resources.values():
        if r.dependencies & found:
            found.add(r.urn)
    return frozenset(found - set(urns))

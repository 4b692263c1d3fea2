"""What is wrong: verdicts with their evidence, and the account of one look."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from reconciler.model.declared import Declared
from reconciler.model.observed import Observed, Path, Span
from reconciler.model.values import Urn, Value, digest


class Verdict(StrEnum):
    PASS = "PASS"  # noqa: S105
    FAIL = "FAIL"
    UNKNOWN = "UNKNOWN"


class Kind(StrEnum):
    DRIFT = "drift"
    HEALTH = "health"
    COMPLIANCE = "compliance"
    ORPHAN = "orphan"


class Severity(StrEnum):
    CRITICAL = "critical"
    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"


@dataclass(frozen=True, slots=True)
class Finding:
    """One rule's verdict on one resource, or on one property or member of it."""

    # Stands above the fields because one of them is called ``property`` too.
    @property
    def id(self) -> str:
        """Stable from scan to scan: the same fault of the same thing has the same id."""
        urnless = self.kind in (Kind.HEALTH, Kind.ORPHAN)
        return "f-" + digest(self.rule, self.urn, self.resource_id if urnless else "", self.property)

    rule: str
    kind: Kind
    verdict: Verdict
    severity: Severity
    urn: Urn
    type: str
    resource_id: str
    tenant: str | None
    message: str
    property: str = ""
    declared: Value = None
    observed: Value = None
    accepted: AcceptedBy | None = None
    """Set when an exception covers it: shown, never hidden, never repaired."""
    signs: tuple[str, ...] = ()
    """The independent signs that a server or an endpoint has failed, in words; it takes two, or one that lasts."""
    attribution: Attribution | None = None
    """Who last changed the resource; None if nobody asked. It decides nothing and is no part of ``id``."""


@dataclass(frozen=True, slots=True)
class AcceptedBy:
    """The exception that accepts a finding."""

    owner: str
    reason: str
    expires: datetime


@dataclass(frozen=True, slots=True)
class Attribution:
    """The last change of a resource that AWS recorded, or why none is known. A sign, not a proof of the cause."""

    principal: str = ""
    """ARN of who called, or the AWS service that did."""
    event: str = ""
    """The API call, ``ec2:AuthorizeSecurityGroupIngress``."""
    at: datetime | None = None
    source_address: str = ""
    event_id: str = ""
    not_known: str = ""
    """Why nobody can be named; the other fields are then empty."""

    def __str__(self) -> str:
        if self.not_known:
            return f"not known: {self.not_known}"
        when = f" at {self.at:%Y-%m-%d %H:%M:%S} UTC" if self.at else ""
        return f"{self.principal} by {self.event}{when}" + (f" from {self.source_address}" * bool(self.source_address))


@dataclass(frozen=True, slots=True)
class Scope:
    """The part of a cell that a pass looks at: one tenant, or exactly some resources. Neither means the whole cell."""

    tenant: str | None = None
    urns: frozenset[Urn] | None = None
    """None is no limit; empty is nothing at all."""


WHOLE = Scope()


@dataclass(frozen=True, slots=True)
class Coverage:
    """How much of what is declared was seen, and by which path."""

    declared: int
    observed: int
    unknown: int
    unsupported: tuple[str, ...] = ()
    """Type tokens without an observer: seen through the engine's refresh, or not at all."""
    calls: int = 0
    seconds: float = 0.0
    paths: tuple[Seen, ...] = ()
    unseen: tuple[Unseen, ...] = ()


@dataclass(frozen=True, slots=True)
class Seen:
    """How many resources one path showed to be there or to be gone."""

    path: Path
    resources: int
    span: Span


@dataclass(frozen=True, slots=True)
class Unseen:
    """A resource of which nothing is known, and why."""

    urn: Urn
    type: str
    path: Path
    reason: str


@dataclass(frozen=True, slots=True)
class Scan:
    """Everything one pass of declare, observe and detect found."""

    run_id: str
    cell: str
    declared: Declared
    observed: Observed
    findings: tuple[Finding, ...]
    coverage: Coverage

    def of(self, verdict: Verdict) -> tuple[Finding, ...]:
        return tuple(f for f in self.findings if f.verdict is verdict)

    @property
    def failing(self) -> tuple[Finding, ...]:
        """FAIL findings that no exception accepts."""
        return tuple(f for f in self.findings if f.verdict is Verdict.FAIL and f.accepted is None)

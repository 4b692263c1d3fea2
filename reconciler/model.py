"""The nouns every stage speaks: what was declared, what was observed, what is wrong, what to do, what became of it.

Everything here is frozen. Stages receive these values and return these values; nothing here talks to AWS,
to Pulumi or to the store.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import NewType, TypeAlias

from reconciler.decisions import Breaker

Urn = NewType("Urn", str)

Value: TypeAlias = "bool | int | float | str | Sequence[Value] | Mapping[str, Value] | Secret | Unreadable | None"
"""A property value in Pulumi's vocabulary: JSON, plus the two values that must never be compared by content."""


@dataclass(frozen=True, slots=True)
class Secret:
    """A declared secret. It is never opened, so it has no content to compare, print or store."""

    def __str__(self) -> str:
        return "[secret]"


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A property whose read failed. It is neither equal nor unequal to anything: the verdict is UNKNOWN."""

    reason: str

    def __str__(self) -> str:
        return f"[unknown: {self.reason}]"


# --- kinds of resources ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ResourceKind:
    """How values of one resource type compare, and what may never be done to it.

    Property paths are dotted; ``[]`` stands for every element of a list (``ingress[].cidrBlocks``).
    """

    token: str
    """Pulumi type token, ``aws:ec2/vpc:Vpc``."""
    stateful: bool = False
    """Holds data or keys: restored in place or escalated, never replaced, never deleted."""
    unordered: frozenset[str] = frozenset()
    """Lists that AWS treats as sets."""
    documents: frozenset[str] = frozenset()
    """Strings that hold a JSON document, compared by meaning."""
    write_only: frozenset[str] = frozenset()
    """Inputs that no AWS read answers: not compared (``forceDestroy``, ``deletionWindowInDays``)."""
    contradicted: frozenset[str] = frozenset()
    """Provider-filled defaults that AWS answers otherwise with nothing wrong: compared only if the program set them."""
    references: frozenset[str] = frozenset()
    """Values that name a resource by id, name or ARN interchangeably (``kmsKeyId``)."""


# --- declared ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class DeclaredResource:
    """One custom resource of the stack's state, as the last successful update declared it."""

    urn: Urn
    type: str
    name: str
    """Logical name: the last part of the URN."""
    id: str
    """Physical id as Pulumi keeps it; empty while a create is pending."""
    inputs: Mapping[str, Value]
    """Inputs without ``__defaults``; a secret is a ``Secret``."""
    programmed: frozenset[str] = frozenset()
    """Top-level inputs the program set (``propertyDependencies``); the others were filled in by the provider."""
    tenant: str | None = None
    parent: Urn | None = None
    dependencies: frozenset[Urn] = frozenset()
    """What has to exist before it, for whatever reason."""
    references: frozenset[Urn] = frozenset()
    """Those of them whose ids or other values its inputs hold."""
    protect: bool = False
    external: bool = False
    created: datetime | None = None
    """When the engine created it; None if the state does not say."""


@dataclass(frozen=True, slots=True)
class PendingOperation:
    """An engine operation that a killed update left open in the state."""

    kind: str
    """``creating``, ``updating``, ``deleting``, ``reading`` or ``importing``."""
    resource: DeclaredResource


@dataclass(frozen=True, slots=True)
class Declared:
    """A cell as declared. ``resources`` is in the state's order: what a resource needs stands before it."""

    cell: str
    project: str
    account: str
    region: str
    resources: Mapping[Urn, DeclaredResource]
    tenants: Mapping[str, TenantFacts] = field(default_factory=dict)
    pending: tuple[PendingOperation, ...] = ()
    tampered: tuple[ChangedDeclaration, ...] = ()
    version: int = 0
    """Number of the last successful update; grows by one or more with every ``pulumi up``."""

    def of(self, tenant: str) -> tuple[DeclaredResource, ...]:
        return tuple(r for r in self.resources.values() if r.tenant == tenant)


@dataclass(frozen=True, slots=True)
class TenantFacts:
    """What the reconciler must know of a tenant, read from the tags its resources declare."""

    name: str
    tier: str
    regimes: frozenset[str]


@dataclass(frozen=True, slots=True)
class ChangedDeclaration:
    """A declared value that changed in the state although no update ran (a ``pulumi refresh``, an edited state)."""

    urn: Urn
    property: str
    was: Value
    now: Value


# --- observed ----------------------------------------------------------------------------------------------


class Presence(StrEnum):
    PRESENT = "present"
    ABSENT = "absent"
    UNKNOWN = "unknown"


class Path(StrEnum):
    """How a resource is looked at."""

    BULK = "bulk"
    """An observer reads AWS: listings, with direct reads behind them."""
    REFRESH = "refresh"
    """The engine asks the resource's provider: one resource at a time, for types without an observer."""


@dataclass(frozen=True, slots=True)
class ObservedResource:
    """What AWS answers for one declared resource, in Pulumi's vocabulary.

    ``properties`` holds every property the observer can see, declared or not; one that could not be read is
    ``Unreadable``. ABSENT is only ever said after a complete listing and a direct read agree, or by the provider
    where there is no observer.
    """

    urn: Urn
    presence: Presence
    properties: Mapping[str, Value] = field(default_factory=dict)
    reason: str = ""
    """Why the presence is UNKNOWN, or how absence was proven."""
    path: Path = Path.BULK
    differing: frozenset[str] = frozenset()
    """Properties that the provider says are not as declared; it knows its type, so no comparison here overrules it."""
    failed: str = ""
    """Why AWS says that it failed for good, though it is there; empty if AWS does not say so."""


@dataclass(frozen=True, slots=True)
class Refreshed:
    """What a preview of a refresh says of one resource: read and compared by its provider, nothing written."""

    id: str
    """Physical id in the state that the engine looked with."""
    exists: bool
    changed: frozenset[str] | None
    """Top-level properties that are not as in the state's inputs; None if some are not and it does not say which."""
    before: Mapping[str, Value] = field(default_factory=dict)
    """The inputs in the state."""
    inputs: Mapping[str, Value] = field(default_factory=dict)
    """The inputs that the refresh would put in their place: live values."""
    outputs: Mapping[str, Value] = field(default_factory=dict)
    """All live values."""
    partial: str = ""
    """What the provider could not read, in its words."""


@dataclass(frozen=True, slots=True)
class Spelling:
    """An observed value that stands for a declared one although it is written otherwise, by digests of both."""

    urn: Urn
    property: str
    declared: str
    observed: str


@dataclass(frozen=True, slots=True)
class Span:
    """When a look began, and how many seconds it took: nothing it says is older than ``at``."""

    at: datetime
    seconds: float


@dataclass(frozen=True, slots=True)
class Member:
    """One server of a fleet."""

    instance_id: str
    zone: str
    lifecycle: str
    """Auto Scaling lifecycle state, such as ``InService`` or ``Terminating``."""
    state: str | Unreadable
    """EC2 instance state: ``running``, ``stopped``, ``terminated``, …"""
    target: str | Unreadable
    """Target health: ``healthy``, ``unhealthy``, ``initial``, ``draining``, ``unused``, ``unregistered``."""
    target_reason: str = ""
    launched: datetime | None = None
    outdated: bool | Unreadable = False
    """Whether it was launched from a template that differs in content from the one its group launches now."""
    compromised: str = ""
    """Why somebody says that it is compromised; empty if nobody does."""

    checks: str | Unreadable = ""
    """What EC2's own status checks say of it: ``ok``, ``impaired``, …; empty if there was no need to ask."""


@dataclass(frozen=True, slots=True)
class Quarantined:
    """A server that is isolated, kept for whoever investigates."""

    instance_id: str
    until: datetime | None
    """When it may go; None if its tag cannot be read: then it stays."""


@dataclass(frozen=True, slots=True)
class Fleet:
    """The servers behind one auto scaling group, as the group, EC2 and the load balancer see them."""

    group: Urn
    name: str
    desired: int
    minimum: int
    maximum: int
    members: tuple[Member, ...]
    grace_seconds: int = 300
    target_groups: tuple[str, ...] = ()
    launches: str = ""
    """What the group launches now, as ``template id:version``; empty if it is not known."""
    quarantined: tuple[Quarantined, ...] = ()
    """Servers that were taken out of it because they were compromised, and still exist."""

    @property
    def healthy(self) -> tuple[Member, ...]:
        return tuple(
            m for m in self.members if m.lifecycle == "InService" and m.target == "healthy" and m.state == "running"
        )


@dataclass(frozen=True, slots=True)
class Probe:
    """What one endpoint answered when it was asked from here, some times in a row."""

    url: str
    samples: int
    answered: int
    """How many of the samples were answered as expected."""
    failures: tuple[str, ...] = ()
    """Why the others were not, in words, each reason once."""


@dataclass(frozen=True, slots=True)
class Observed:
    """One look at the world."""

    resources: Mapping[Urn, ObservedResource]
    fleets: Mapping[Urn, Fleet | Unreadable] = field(default_factory=dict)
    alarms: Mapping[Urn, str | Unreadable] = field(default_factory=dict)
    """Alarm state by the alarm's URN: ``OK``, ``ALARM`` or ``INSUFFICIENT_DATA``."""
    probes: Mapping[Urn, Probe | Unreadable] = field(default_factory=dict)
    """What endpoints answered, by the URN of the load balancer in front of them; only those that are probed."""
    strays: tuple[Stray, ...] = ()
    at: datetime | None = None
    calls: int = 0
    failed: tuple[FailedRead, ...] = ()
    spans: Mapping[Path, Span] = field(default_factory=dict)
    """The paths that were taken, with their times."""


@dataclass(frozen=True, slots=True)
class Stray:
    """A live resource that is not in the cell's state, but carries its ownership tags or is inside its networks."""

    type: str
    id: str
    tenant: str | None
    """Who it says that it belongs to, by its tags; the network's tenant if it was found in there."""
    name: str
    tags: Mapping[str, str]
    inside: Urn | None = None
    """The declared network it was found in, if its tags do not say that it is this cell's."""
    network: str = ""
    """Id of the network that AWS says it is in, for what is in one."""
    physical_name: str = ""
    """The name that AWS knows it by, which cannot be changed as tags can; empty if it has none."""


@dataclass(frozen=True, slots=True)
class FailedRead:
    """One AWS read that did not answer, after retries."""

    service: str
    operation: str
    target: str
    """The resource asked for, or ``*`` for a listing."""
    reason: str


# --- findings ----------------------------------------------------------------------------------------------


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
    """The independent signs that a server has failed, in words; it takes two, or one that lasts."""
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


# --- plan --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Repair:
    """One planned change: a strategy applied to resources, with its reasons and its cost in budget."""

    strategy: str
    tenant: str | None
    urns: tuple[Urn, ...]
    finding_ids: tuple[str, ...]
    reason: str
    members: tuple[str, ...] = ()
    """Physical ids: servers to replace, or the live resource that is adopted or removed."""
    after: tuple[str, ...] = ()
    """Ids of repairs that must be healed first."""
    cost: int = 1
    replaces: tuple[Urn, ...] = ()
    """Those of ``urns`` that the engine may replace."""
    basis: str = ""
    """Digest of the declaration and the differences it was planned from; another basis needs another approval."""
    replacement: tuple[str, ...] = ()
    """What new servers are made from: ``template …`` and ``image …``."""
    approval: int | None = None
    """Number of the approval it is carried out under."""
    tried: tuple[str, ...] = ()
    """For an escalation: what was tried before, in words."""
    look_at: tuple[str, ...] = ()
    """For an escalation: what a person should look at."""
    setting: str = ""
    """The setting that made it an escalation or a proposal."""
    adopts: Urn = Urn("")
    """For an adoption: the declared resource that the one of ``members`` becomes, with the name AWS knows that by."""
    physical_name: str = ""

    @property
    def id(self) -> str:
        return "r-" + digest(self.strategy, *sorted(self.urns), *sorted(self.members), *sorted(self.finding_ids))

    @property
    def content(self) -> str:
        """Names what it would do exactly: an approval of it holds for nothing else."""
        return digest(self.id, self.basis, self.adopts, self.physical_name, length=64)


@dataclass(frozen=True, slots=True)
class Deferral:
    """Findings that are not repaired now, with the reason in words."""

    finding_ids: tuple[str, ...]
    reason: str
    code: str = ""
    """Machine-readable: ``budget``, ``breaker``, ``unknown``, ``mode``, ``window``, ``paused``, ``dependency``, …"""
    setting: str = ""
    """The setting that decided, as it is written in docs/settings.md; empty if none did."""

    @property
    def id(self) -> str:
        return "d-" + digest(self.code, *sorted(self.finding_ids))


@dataclass(frozen=True, slots=True)
class Plan:
    """What one pass will do, what it would do if a person approved, and what it will not do.

    ``hash`` names it exactly.
    """

    run_id: str
    cell: str
    repairs: tuple[Repair, ...]
    deferrals: tuple[Deferral, ...]
    proposals: tuple[Repair, ...] = ()
    """Repairs that wait for a person's approval."""
    breakers: tuple[Breaker, ...] = ()
    """The breakers that are open after this look, acknowledged ones too."""

    @property
    def hash(self) -> str:
        parts = [*(r.content for r in self.repairs), "proposals", *(r.content for r in self.proposals)]
        return digest(self.cell, *parts, length=64)

    @property
    def id(self) -> str:
        """What people type."""
        return f"p-{self.hash[:12]}"


# --- outcomes ----------------------------------------------------------------------------------------------


class Status(StrEnum):
    HEALED = "healed"
    NOT_HEALED = "not healed"
    ROLLED_BACK = "rolled back"
    REFUSED = "refused"
    INTERRUPTED = "interrupted"
    ESCALATED = "escalated"
    DRY_RUN = "dry run"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one repair."""

    repair_id: str
    strategy: str
    urns: tuple[Urn, ...]
    status: Status
    seconds: float
    reason: str = ""
    tenant: str | None = None
    finding_ids: tuple[str, ...] = ()
    bad_image: str = ""
    """What the group launched (``Fleet.launches``) when its new servers failed to become healthy."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One past repair of one resource, as the planner needs it for flap caps and budgets over time."""

    urn: Urn
    strategy: str
    status: Status
    at: datetime
    finding_ids: tuple[str, ...] = ()
    replacement: tuple[str, ...] = ()
    """``Repair.replacement`` of that repair."""


def digest(*parts: str | None, length: int = 12) -> str:
    """Hex SHA-256 over the parts as a JSON list, cut to ``length``; unambiguous whatever the parts hold."""
    return hashlib.sha256(_ENCODER.encode(parts).encode()).hexdigest()[:length]


_ENCODER = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False)

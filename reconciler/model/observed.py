"""What was observed: three-valued presence, fleets and their servers, probes, and what could not be read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from reconciler.model.values import Unreadable, Urn, Value


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

    weight: int = 1
    """How much of its group's size it makes up, where that counts ``UNITS``; otherwise one."""
    checks: str | Unreadable = ""
    """What EC2's own status checks say of it: ``ok``, ``impaired``, …; empty if there was no need to ask."""


SERVERS, UNITS = "servers", "units"
"""What a group's size counts: servers, or units of which each server makes up its weight."""


@dataclass(frozen=True, slots=True)
class Quarantined:
    """A server that was taken out of its group to be isolated, kept for whoever investigates."""

    instance_id: str
    until: datetime | None
    """When it may go; None if its tag cannot be read: then it stays."""
    cut_off: bool = True
    """Whether it was cut off from the network."""


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
    unit: str = SERVERS
    """What ``desired``, ``minimum`` and ``maximum`` count: ``SERVERS``, ``UNITS``, or something else in AWS's words."""
    suspended: frozenset[str] = frozenset()
    """Processes of the group that somebody has suspended, such as ``Launch``."""
    quarantined: tuple[Quarantined, ...] = ()
    """Servers that were taken out of it because they were compromised, and still exist."""

    @property
    def healthy(self) -> tuple[Member, ...]:
        return tuple(
            m for m in self.members if m.lifecycle == "InService" and m.target == "healthy" and m.state == "running"
        )

    @property
    def measured(self) -> bool:
        """Whether it is known how much of its size each server makes up; of processors or memory AWS does not say."""
        return self.unit in (SERVERS, UNITS)


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

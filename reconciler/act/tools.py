"""What acting needs from the rest of the product, handed in by the pipeline as one value."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from math import inf
from typing import Any, Protocol

from reconciler.act.steps import EnginePlan, EngineRun
from reconciler.errors import StackmendError
from reconciler.model import Declared, Finding, Repair, ResourceKind, Status, Urn, Value
from reconciler.ports import AwsWriter, FleetLook, Journal, Look, Progress


class Interrupted(StackmendError):
    """Raised by ``Tools.wait`` when this process is to stop: what is under way ends where it is."""


class Updates(Protocol):
    """The engine as repairs use it (``Engine``). ``replace`` are targets that are replaced though nothing differs,
    ``overriding`` gives inputs that stand above the program's, for this preview and the update under it."""

    def recorded(self, targets: Collection[Urn]) -> frozenset[Urn]: ...

    def preview(
        self,
        targets: Sequence[Urn],
        tenants: Collection[str] | None = None,
        *,
        replace: Sequence[Urn] = (),
        overriding: Mapping[Urn, Mapping[str, Value]] | None = None,
    ) -> EnginePlan: ...

    def up(self, targets: Sequence[Urn], plan: EnginePlan, tenants: Collection[str] | None = None) -> EngineRun: ...


class StateDocument(Protocol):
    """The engine's state as recovery and adoption use it (``Engine``)."""

    def export(self) -> Mapping[str, Any]: ...

    def import_(self, document: Mapping[str, Any]) -> None: ...


class Verify(Protocol):
    """Looks again until the findings of these repairs pass or time is out.

    Returns the reason it is not healed, in words, by repair id; a repair that is not in it is healed.
    """

    def __call__(self, repairs: Sequence[Repair]) -> Mapping[str, str]: ...


@dataclass(frozen=True, slots=True)
class Pace:
    """How patient a rollout is, in seconds."""

    poll: float = 10.0
    bake: float = 30.0
    """How long a new server must stay healthy before the old one goes."""
    patience: float = 600.0
    """How long a new server may take to become healthy beyond its group's grace period."""
    batch: int = 1
    """Servers that an image refresh replaces at a time, once the first one has proven the image."""
    keep_hours: float = 72.0
    """How long an isolated server is kept."""


@dataclass(frozen=True, slots=True)
class Tools:
    """Everything a strategy may use."""

    engine: Updates
    aws: AwsWriter
    journal: Journal
    look: Look
    fleet: FleetLook
    verify: Verify
    declared: Declared
    kinds: Mapping[str, ResourceKind]
    progress: Progress
    clock: Callable[[], float]
    """Monotonic seconds."""
    wait: Callable[[float], None]
    """Waits some seconds; raises Interrupted to end what is under way."""
    floor: Callable[[Urn, int], int] = lambda _, size: size
    """The least number of healthy servers of a group that is to have so many."""
    pace: Pace = Pace()
    state: StateDocument | None = None
    unsettled: frozenset[Urn] = frozenset()
    """Resources whose create was cut off and whose existence is unknown: nothing may touch them."""
    apart: bool = False
    """Whether each tenant has an identity of its own, so that no update of the engine may concern two of them."""
    asking: Look | None = None
    """As ``look``, with the tenants' endpoints asked, too; None where nobody's are."""
    breaches: Callable[[Mapping[Urn, Mapping[str, Value]]], Sequence[Finding]] | None = None
    """What the rules would object to, or could not judge, if properties of some resources had these values."""
    noted: Callable[[Repair], None] = lambda _: None
    """Told of a repair that it writes something for which no permit of ``aws`` is asked."""
    pause: Callable[[str, str], None] | None = None
    """Pauses a tenant's repairs, with the reason, until a person resumes them."""
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    unfit_limit: int = 2
    """In so many fleets new servers from one template or image may fail in a pass; then no other is made from it."""
    until: float = inf
    """On ``clock``: from then on a rollout that has replaced a server leaves the others to the next pass."""


@dataclass(frozen=True, slots=True)
class Ending:
    """How a strategy's own steps ended. ``HEALED`` is a claim that verification still has to confirm."""

    status: Status
    reason: str = ""
    bad_image: str = ""
    """What new servers were launched from that did not become healthy."""

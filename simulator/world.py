"""The simulated world: what is live, what the engine's state says, what time it is, and who runs.

Whatever a process does to the world or the record is a *step*. At a step time passes, events of the history happen, a
process dies or gives way to another, and afterwards the invariants are checked. Nothing here is random.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from reconciler.errors import LeaseLost, StoreError
from reconciler.model import Urn
from simulator.fleet import SimFleet
from simulator.layout import FREE, GROUP, TARGETS, TEMPLATE, Blueprint, Ref, program

if TYPE_CHECKING:
    from reconciler.record.lease import Lease

STEP_SECONDS = 0.2
LONG_AGO = -1e9

BASES = (
    datetime(2026, 3, 1, 12, tzinfo=UTC),
    datetime(2028, 2, 29, 23, 58, tzinfo=UTC),
    datetime(2026, 3, 29, 0, 58, tzinfo=UTC),
    datetime(2026, 12, 31, 23, 58, tzinfo=UTC),
)
"""When histories begin: any day, a leap day (F38), the change of the clocks (F39), the end of a year."""


class Killed(BaseException):
    """The process is dead: nothing that it would do afterwards happens."""


class Violation(BaseException):
    """An invariant does not hold. No handler of the product may catch it."""


@dataclass(slots=True)
class Thing:
    """A live resource."""

    urn: Urn
    type: str
    tenant: str
    id: str
    props: dict[str, Any]


@dataclass(slots=True)
class Recorded:
    """A resource in the engine's state. ``created`` and ``modified`` are seconds on the world's clock."""

    id: str
    inputs: dict[str, Any]
    created: float = -86400.0


@dataclass(slots=True, eq=False)
class Process:
    """One reconciler process; another one is started after each crash."""

    number: int
    skew: timedelta = timedelta(0)
    lease: Lease | None = None
    renewed: float = 0.0
    dead: bool = False
    dry: bool = False
    only: str | None = None
    run_writes: int = 0


@dataclass(slots=True)
class Fault:
    """Something that goes wrong a number of times: ``match`` is a part of what it concerns."""

    kind: str
    match: str = ""
    times: int = 1


@dataclass
class World:
    """``on_step`` lets the events of the history happen; ``checks`` are told of what is done to the world."""

    tenants: int = 2
    servers: int = 3
    base: datetime = BASES[0]
    on_step: Callable[[str, bool], None] = lambda _label, _write: None
    on_died: Callable[[], None] = lambda: None
    now: float = 0.0
    steps: int = 0
    serial: int = 0
    version: int = 1
    seen_version: int = 0
    """The last full update that a pass has seen: what an unseen one declared nobody can know."""
    program: dict[Urn, Blueprint] = field(default_factory=dict)
    live: dict[Urn, Thing] = field(default_factory=dict)
    state: dict[Urn, Recorded] = field(default_factory=dict)
    fleets: dict[Urn, SimFleet] = field(default_factory=dict)
    pending: list[tuple[Urn, str]] = field(default_factory=list)
    redeclared: set[Urn] = field(default_factory=set)
    broken_at: dict[Urn, float] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    fights: dict[Urn, Any] = field(default_factory=dict)
    stray_ids: list[str] = field(default_factory=list)
    running: Process | None = None
    locked_by: object = None
    """Who holds the engine's lock: a process, or a word for somebody else."""
    past: tuple[dict[Urn, Thing], dict[Urn, SimFleet]] = field(default_factory=lambda: ({}, {}))
    counts: Counter[str] = field(default_factory=Counter)
    _meant: dict[Urn, dict[str, Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.program = program(self.tenants, self.servers)
        for blueprint in self.program.values():
            self.create(blueprint.urn, record=True)
        for fleet in self.fleets.values():
            for server in fleet.servers.values():
                server.born, server.sick_at = -86400.0, LONG_AGO
        self.remember()

    # --- what is deployed ----------------------------------------------------------------------------------

    def resolved(self, urn: Urn) -> dict[str, Any]:
        """The program's inputs with the ids that the state holds now."""
        if urn not in self._meant:
            self._meant[urn] = self._resolved(self.program[urn].inputs)
        return self._meant[urn]

    def forget(self, urn: Urn) -> None:
        """The state loses a resource."""
        self.state.pop(urn, None)
        self._meant.clear()

    def _resolved(self, value: Any, lost: Any = "pending") -> Any:
        """``lost`` stands for references that the state does not hold: at the same place, if it is built alike."""
        if isinstance(value, Ref):
            recorded = self.state.get(value.urn)
            return recorded.id if recorded else lost
        if isinstance(value, dict):
            alike = isinstance(lost, dict)
            return {k: self._resolved(item, lost.get(k) if alike else lost) for k, item in value.items()}
        if isinstance(value, list):
            alike = isinstance(lost, list) and len(lost) == len(value)
            return [self._resolved(item, lost[i] if alike else lost) for i, item in enumerate(value)]
        return value

    def create(self, urn: Urn, *, record: bool) -> Thing:
        """Make a resource live. ``record``: the engine knows of it at once."""
        if (old := self.live.get(urn)) is not None:
            self.stray_ids.append(old.id)
        blueprint = self.program[urn]
        self.serial += 1
        inputs = self.resolved(urn)
        id_ = f"{blueprint.name}-{self.serial:08x}"
        if blueprint.type == TARGETS:
            id_ = f"arn:aws:elasticloadbalancing:eu-central-1:123456789012:targetgroup/{blueprint.name}/{self.serial}"
        elif blueprint.type == GROUP:
            id_ = str(inputs["name"])
            self.fleets[urn] = SimFleet(
                name=id_,
                template=inputs["launchTemplate"]["id"],
                targets=inputs["targetGroupArns"][0],
                desired=inputs["desiredCapacity"],
                minimum=inputs["minSize"],
                maximum=inputs["maxSize"],
            )
            for _ in range(inputs["desiredCapacity"]):
                self.fleets[urn].launch(self.now, ready=True)
        thing = self.live[urn] = Thing(urn, blueprint.type, blueprint.tenant, id_, dict(inputs))
        if record:
            self.record(urn, id_)
        return thing

    def record(self, urn: Urn, id_: str) -> None:
        old = self.state.get(urn)
        created = old.created if old is not None and old.id == id_ else self.now if self.steps else -86400.0
        self.state[urn] = Recorded(id_, {}, created)
        if old is None or old.id != id_:
            self._meant.clear()
        self.state[urn].inputs = self.resolved(urn)

    def differing(self, urn: Urn) -> list[str]:
        """The properties in which a live resource is not what the program says."""
        want, have = self.resolved(urn), self.live[urn].props
        return sorted(key for key in want if want[key] != have.get(key))

    def only_names_lost(self, urn: Urn, *, told: Collection[Urn]) -> bool:
        """Whether a live resource differs only in references to what the state has lost, all of which is ``told``."""
        have, inputs = self.live[urn].props, self.program[urn].inputs
        lost = self.program[urn].references - self.state.keys()
        kept = {key: self._resolved(inputs[key], have.get(key)) for key in self.differing(urn)}
        return lost <= set(told) and all(have.get(key) == value for key, value in kept.items())

    def is_broken(self, urn: Urn) -> bool:
        return urn not in self.live or bool(self.differing(urn))

    def behind(self, urn: Urn) -> bool:
        """Whether the state still holds other inputs than the program."""
        return urn in self.state and self.state[urn].inputs != self.resolved(urn)

    def owner(self, id_: str) -> Urn | None:
        """Whose an id, name or ARN of a live resource or server is."""
        for urn, thing in self.live.items():
            if thing.id == id_:
                return urn
        return next((urn for urn, fleet in self.fleets.items() if id_ in (fleet.name, *fleet.servers)), None)

    def update(self, urn: Urn) -> None:
        """What the engine does to a resource that is not as the program says."""
        thing = self.live[urn]
        thing.props.update(self.resolved(urn))
        if urn in self.fleets:
            fleet = self.fleets[urn]
            fleet.grace = thing.props["healthCheckGracePeriod"]
            fleet.version = int(thing.props["launchTemplate"]["version"])
            fleet.maximum, fleet.minimum = thing.props["maxSize"], thing.props["minSize"]
            fleet.targets = thing.props["targetGroupArns"][0]
            if fleet.desired != thing.props["desiredCapacity"]:
                fleet.set_desired(thing.props["desiredCapacity"], self.now)
        self.record(urn, thing.id)

    def sync_fleets(self) -> None:
        """A group's size is what the group says."""
        for urn, fleet in self.fleets.items():
            if urn in self.live:
                self.live[urn].props["desiredCapacity"] = fleet.desired

    def remember(self) -> None:
        """What a stale read answers from now on."""
        self.past = (deepcopy(self.live), {urn: fleet.copied() for urn, fleet in self.fleets.items()})

    def deploy(self, *, image: str | None = None) -> None:
        """Somebody runs a full ``pulumi up``, perhaps with a new image."""
        if image is not None:
            for blueprint in self.program.values():
                if blueprint.type == TEMPLATE:
                    blueprint.inputs["imageId"] = image  # type: ignore[index]
                elif blueprint.type == GROUP:
                    template = blueprint.inputs["launchTemplate"]
                    template["version"] = str(int(template["version"]) + 1)
        self._meant.clear()
        for urn in self.program:
            if urn in self.live:
                self.update(urn)
            else:
                self.create(urn, record=True)
        self.pending.clear()
        self.redeclared.clear()
        self.version += 1
        # Until its effect shows everywhere, everything may look as if it were not as declared.
        self.broken_at.update(dict.fromkeys(self.program, self.now))

    def drift(self, urn: Urn) -> None:
        """Somebody changes a property."""
        thing = self.live.get(urn)
        name = FREE.get(thing.type) if thing else None
        if thing is None or name is None:
            return
        self.counts["drift"] += 1
        value = thing.props[name]
        thing.props[name] = (
            not value
            if isinstance(value, bool)
            else value + 7
            if isinstance(value, int)
            else f"{value}-x"
            if isinstance(value, str)
            else ["vgw-2"]
        )
        if urn in self.fleets:
            self.fleets[urn].grace = thing.props[name]

    # --- steps ---------------------------------------------------------------------------------------------

    def wall(self) -> datetime:
        """What the running process's clock says."""
        skew = self.running.skew if self.running else timedelta(0)
        return self.base + timedelta(seconds=self.now) + skew

    def step(self, label: str, *, write: bool = False) -> None:
        """Something is about to be done. In a ``write`` nothing but death comes between its checks and itself."""
        self._alive()
        self.steps += 1
        self.pass_time(STEP_SECONDS)
        self.on_step(label, write)
        self._alive()
        self._keep_lease()

    def after(self, label: str) -> None:
        """Something was done, and the process has not noticed yet: it may die here as well."""
        self._alive()
        self.on_step(f"{label} done", True)
        self._alive()

    def _alive(self) -> None:
        if self.running is not None and self.running.dead:
            raise Killed

    def pass_time(self, seconds: float) -> None:
        self.now += seconds
        for fleet in self.fleets.values():
            fleet.tick(self.now)
        self.sync_fleets()
        for urn in self.program:
            if self.is_broken(urn):
                self.broken_at[urn] = self.now

    def wait(self, seconds: float) -> None:
        """The running process waits."""
        while seconds > 0:
            self.pass_time(min(seconds, 5.0))
            seconds -= 5.0
            self.step("wait")

    def _keep_lease(self) -> None:
        """The thread that renews the lease in the background, as ``Lease.kept`` does."""
        process = self.running
        if process is None or process.lease is None or self.now - process.renewed < process.lease.seconds / 4:
            return
        process.renewed = self.now
        lease, process.lease = process.lease, None  # no renewal within a renewal
        try:
            lease.renew()
        except (LeaseLost, StoreError):
            pass
        finally:
            process.lease = lease

    def take_fault(self, kind: str, what: str = "") -> Fault | None:
        """The fault that this meets, counted as used."""
        for fault in self.faults:
            if fault.kind == kind and fault.match in what:
                fault.times -= 1
                if fault.times <= 0:
                    self.faults.remove(fault)
                self.counts[f"met {kind}"] += 1
                return fault
        return None

    @contextmanager
    def as_running(self, process: Process | None) -> Iterator[None]:
        before, self.running = self.running, process
        try:
            yield
        finally:
            self.running = before

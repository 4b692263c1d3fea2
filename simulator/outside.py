"""The product's seams on the simulated world: what a cycle meets beyond its record, and the record's own steps."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path

from sqlalchemy import Connection, Engine

from reconciler.declare.baseline import effective
from reconciler.declare.state import tenant_facts
from reconciler.errors import StateError, StoreError
from reconciler.model import Declared, DeclaredResource, PendingOperation, Urn
from reconciler.observe.clients import Clients
from reconciler.observe.dialogue import Ask
from reconciler.outside import Outside, StackEngine
from reconciler.ports import AwsWriter
from reconciler.record.clock import Clock
from reconciler.record.lease import Lease
from reconciler.record.process import Process as Identity
from reconciler.record.store import Store
from reconciler.settings import Settings
from simulator.answers import Cloud
from simulator.checks import Checks
from simulator.engine import SimEngine, engine_process
from simulator.layout import ACCOUNT, CELL, PROJECT, REGION
from simulator.world import Process, World
from simulator.writer import SimWriter


class SimOutside(Outside):
    """``Outside`` for one process of the simulated world."""

    def __init__(self, settings: Settings, world: World, process: Process, checks: Checks, locks: Path) -> None:
        super().__init__(settings)
        self.world, self.sim_process, self.checks = world, process, checks
        self._locks = locks
        self._cloud = Cloud(world)

    def declared(self, baseline: Declared | None, *, again: bool = False) -> Declared:  # noqa: ARG002
        world = self.world
        world.step("state read")
        if world.take_fault("state corrupt"):
            raise StateError("the stack could not be read", where=CELL, why="injected: unexpected end of JSON input")
        resources = {urn: self._resource(urn) for urn in world.program if urn in world.state}
        known = resources.keys()
        pending = tuple(PendingOperation(kind, self._resource(urn)) for urn, kind in world.pending)
        now = Declared(
            CELL,
            PROJECT,
            ACCOUNT,
            REGION,
            resources,
            tenant_facts(resources.values()),
            pending,
            version=world.version,
        )
        return effective(now, baseline, redeclared=world.redeclared & known)

    @property
    def recorded(self) -> frozenset[Urn]:
        return frozenset(self.world.state)

    def _resource(self, urn: Urn) -> DeclaredResource:
        blueprint, recorded = self.world.program[urn], self.world.state.get(urn)
        inputs = recorded.inputs if recorded else self.world.resolved(urn)
        return DeclaredResource(
            urn=urn,
            type=blueprint.type,
            name=blueprint.name,
            id=recorded.id if recorded else "",
            inputs=inputs,
            programmed=frozenset(inputs),
            tenant=blueprint.tenant,
            dependencies=blueprint.references,
            references=blueprint.references,
            created=self.world.base + timedelta(seconds=recorded.created) if recorded else None,
        )

    def engine(self, *, timeout: float | None = None) -> StackEngine:  # noqa: ARG002
        return SimEngine(self.world, self.checks, self._locks)

    def aws(self, declared: Declared) -> Ask:  # noqa: ARG002
        return self._cloud.ask

    def clients(self, declared: Declared, region: str = "") -> Clients:  # noqa: ARG002
        raise AssertionError("the simulated world has no network")

    def sessions(self, declared: Declared) -> None:
        """There are no roles to act under."""

    def writer(self, declared: Declared, seen: Mapping[Urn, Collection[str]]) -> AwsWriter:
        return SimWriter(self.world, self.checks, declared, seen)

    def process(self, pid: int | None = None) -> Identity:
        if pid is not None:
            return engine_process(pid)
        return Identity("simulated", self.sim_process.number)

    @contextmanager
    def keeping(self, lease: Lease) -> Iterator[None]:
        self.sim_process.lease, self.sim_process.renewed = lease, self.world.now
        try:
            yield
        finally:
            self.sim_process.lease = None

    def now(self) -> datetime:
        return self.world.wall()

    def steady(self) -> float:
        return self.world.now

    def wait(self, seconds: float) -> None:
        self.world.wait(seconds)


class SimStore(Store):
    """The real store, whose transactions are steps."""

    world: World

    @classmethod
    def of(cls, engine: Engine, world: World, key: Path) -> SimStore:
        store = cls(engine, Clock(now=world.wall, steady=lambda: world.now), key)
        store.world = world
        return store

    @contextmanager
    def read(self) -> Iterator[Connection]:
        self._step("read")
        with super().read() as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        self._step("write")
        with super().write() as connection:
            yield connection
        if self.world.running is not None:
            self.world.after("store write")

    def _step(self, what: str) -> None:
        if self.world.running is None:
            return  # a person at another terminal
        self.world.step(f"store {what}")
        if self.world.take_fault("store fails", what):
            raise StoreError(f"could not be {what}: injected", where=self.where)

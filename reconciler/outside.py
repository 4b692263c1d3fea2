"""What a cycle meets beyond its record: the stack's state and engine, AWS, and time; a simulation hands in another."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection, Mapping
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from reconciler.act.engine import Engine
from reconciler.act.tools import StateDocument, Updates
from reconciler.act.warm import WarmPrograms
from reconciler.declare.source import StackSource
from reconciler.model import Declared, Refreshed, Unreadable, Urn
from reconciler.observe.clients import Clients
from reconciler.observe.dialogue import Ask
from reconciler.observe.sessions import Sessions
from reconciler.ports import AwsWriter, EngineNotes
from reconciler.record.lease import Lease
from reconciler.record.process import Process, process_of, this_process
from reconciler.settings import Settings
from reconciler.wiring import GuardedWriter, sessions_of

_GRACE_SECONDS = 10.0
"""How long an engine that is told to stop looking may take; it has nothing in flight that could be lost."""


class StackEngine(Updates, StateDocument, Protocol):
    """The engine of one stack, as a whole (``Engine``)."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None, /
    ) -> None: ...

    def refreshed(self, targets: Collection[Urn]) -> Mapping[Urn, Refreshed | Unreadable]: ...

    def acts_as(self, identity: Callable[[str], Mapping[str, str]]) -> None: ...

    def lock_directory(self) -> Path | None: ...

    def noted_in(self, notes: EngineNotes) -> None: ...

    def warm_up(self, types: Collection[str]) -> None: ...

    @property
    def changes(self) -> int: ...

    def known(self, urns: Collection[Urn]) -> None: ...


class Outside:
    """The real one, for the cell of ``settings``."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._source = StackSource(settings)
        self._clients: dict[tuple[str, str], Clients] = {}
        self._programs = WarmPrograms()

    def close(self) -> None:
        """End what runs for it."""
        self._programs.close()

    def declared(self, baseline: Declared | None, *, again: bool = False) -> Declared:
        """See ``StackSource.load``; ``again``: see ``StackSource.again``."""
        return self._source.again(baseline) if again else self._source.load(baseline)

    @property
    def recorded(self) -> frozenset[Urn]:
        """All resources that the state held when it was last read, components and providers included."""
        return self._source.recorded

    def engine(self, *, timeout: float | None = None) -> StackEngine:
        """The cell's engine. Raises EngineError if there is no CLI."""
        config = self._settings.config_file
        project, config = self._settings.project_dir.resolve(), config.resolve() if config else None
        if timeout is None:
            return Engine(project, self._settings.cell, config, os.environ, programs=self._programs)
        return Engine(project, self._settings.cell, config, os.environ, timeout=timeout, grace=_GRACE_SECONDS)

    def aws(self, declared: Declared) -> Clients | Ask:
        """Who answers the reads of the cell's account and region."""
        return self.clients(declared)

    def writer(self, declared: Declared, seen: Mapping[Urn, Collection[str]]) -> AwsWriter:
        """The same clients, for the writes that are not the engine's. ``seen``: see ``GuardedWriter``."""
        return GuardedWriter(self.clients(declared), declared, seen, self.sessions(declared))

    def sessions(self, declared: Declared) -> Sessions | None:
        """The roles under which tenants' repairs act, if there are any."""
        return sessions_of(self._settings, self.clients(declared))

    def clients(self, declared: Declared, region: str = "") -> Clients:
        """The guarded clients of the cell's account in a region, its own if none is named."""
        place = (declared.account, region or declared.region)
        if place not in self._clients:
            self._clients[place] = Clients(place[1], place[0], connections=self._settings.concurrency)
        return self._clients[place]

    def process(self, pid: int | None = None) -> Process:
        """A process of this machine: who holds the lease, or the engine with that number."""
        return this_process() if pid is None else process_of(pid)

    def keeping(self, lease: Lease) -> AbstractContextManager[None]:
        """Renews the lease while it is open."""
        return lease.kept()

    def now(self) -> datetime:
        return datetime.now(UTC)

    def steady(self) -> float:
        """Monotonic seconds."""
        return time.monotonic()

    def wait(self, seconds: float) -> None:
        time.sleep(seconds)

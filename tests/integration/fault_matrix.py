"""One deployed cell, looked at again and again, each time with one operation of AWS broken in one way.

A whole look at the sandbox takes seconds, most of them for reads that the fault does not touch. So the answers to
those are kept from the first look, and only the broken operation is really asked: real clients, guard, retries,
pagination and parsers against the sandbox's server, which damages its answers. ``Cell.whole`` keeps nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import botocore.session
from botocore import xform_name

from reconciler.declare.graph import Graph
from reconciler.declare.state import parse
from reconciler.detect.detect import detect
from reconciler.detect.health import also_judged_by
from reconciler.model import GROUP, Coverage, Declared, Finding, Observed, Plan, Scan, Urn
from reconciler.observe import clients as clients_module
from reconciler.observe import executor
from reconciler.observe.aws import fleet
from reconciler.observe.clients import Clients
from reconciler.observe.observe import observe
from reconciler.observe.reads import Answer, Answers, Read
from reconciler.observe.registry import KINDS, OBSERVERS
from reconciler.observe.scope import scope
from reconciler.plan.planner import plan
from reconciler.plan.policy import Policy
from sandbox.lifecycle import ACCOUNT, CREDENTIAL, Sandbox

EFFECTS = (
    "access-denied",
    "not-found",
    "internal-error",
    "unavailable",
    "throttle",
    "timeout",
    "reset",
    "truncate",
    "repeat-token",
    "malformed",
    "empty",
)
"""The sandbox's names of what can go wrong with an answer."""

ATTEMPTS = 2
"""Tries of a call, where the product makes more; the pauses between them are left out."""

PATIENCE = 0.25
"""Seconds that the clients wait for an answer that never comes; 30 in the product."""


@dataclass(frozen=True, slots=True)
class Judged:
    """What one pass makes of the cell, up to the plan."""

    observed: Observed
    findings: tuple[Finding, ...]
    plan: Plan


class Cell:
    """A deployed cell and everything that looking at it needs, without the engine and the store.

    With a ``tenant`` every look is at what that one has, narrowly.
    """

    def __init__(self, sandbox: Sandbox, tenant: str = "") -> None:
        self._control = sandbox.control
        state = sandbox.stack().export_stack()
        document = {"version": state.version, "deployment": state.deployment}
        self.declared: Declared = replace(parse(document, cell=sandbox.cell), account=ACCOUNT)
        self._only = {u for u, r in self.declared.resources.items() if r.tenant == tenant} if tenant else None
        self._parts = {} if self._only is None else scope(self.declared.resources[urn] for urn in self._only)
        self._clients = self.clients()
        self._hasty = self._with_little_patience()
        self._known: dict[Read, Answer] = {}

    def clients(self) -> Clients:
        """Clients of the sandbox as the product has them."""
        session = botocore.session.Session()
        session.set_credentials(CREDENTIAL, CREDENTIAL)
        return Clients(self.declared.region, ACCOUNT, session=session)

    def _with_little_patience(self) -> Clients:
        kept = clients_module.READ_SECONDS
        clients_module.READ_SECONDS = PATIENCE  # type: ignore[assignment]
        try:
            return self.clients()
        finally:
            clients_module.READ_SECONDS = kept

    # --- looking -------------------------------------------------------------------------------------------

    def whole(self) -> Judged:
        """One pass in which every read is made."""
        return self._judged(self._clients)

    def calls(self) -> tuple[str, ...]:
        """Every read, as ``service:Action``, that the server's own log says one whole pass makes."""
        self._control.reset()
        self.whole()
        return tuple(sorted(self._control.calls("reconciler").reads))

    def broken(self, call: str, effect: str, *also_empty: str) -> Judged:
        """One pass with every call of one operation broken, the reads of others answered from memory.

        ``also_empty`` are operations that answer empty lists besides.
        """
        with self.faults(call, effect, *also_empty):
            hasty = {call: self._hasty} if effect == "timeout" else {}
            return self._judged(
                self._asking({call: self._clients, **dict.fromkeys(also_empty, self._clients), **hasty})
            )

    @contextmanager
    def faults(self, call: str, effect: str, *also_empty: str) -> Iterator[None]:
        """The same as a state of the server."""
        try:
            for name, what in [(call, effect), *((other, "empty") for other in also_empty)]:
                service, _, action = name.partition(":")
                self._control.inject(what, service, action, seconds=4 * PATIENCE)
            yield
            if spared := [rule for rule in self._control.faults() if not rule["hits"]]:
                raise AssertionError(f"these calls were never made: {spared}")
        finally:
            self._control.clear()

    def asked_when_empty(self, call: str) -> frozenset[str]:
        """The operations that a pass asks while ``call`` answers empty lists."""
        asked: set[str] = set()
        with self.faults(call, "empty"):
            self._judged(self._asking({call: self._clients}, asked))
        return frozenset(asked)

    def _judged(self, source: Clients | Callable[[Iterable[Read]], Mapping[Read, Answer]]) -> Judged:
        only, now = self._only, datetime.now(UTC)
        seen = None if only is None else {*only, *also_judged_by(self.declared, only)}
        observed = observe(self.declared, source, only=seen, narrow=True)
        findings = detect(self.declared, observed, KINDS, now=now, only=only)
        scan = Scan("run", self.declared.cell, self.declared, observed, findings, Coverage(0, 0, 0))
        needs = Graph(self.declared)
        repairs = plan(scan, Policy(), (), KINDS, now=now, dependents=needs.dependents, users=needs.users)
        return Judged(observed, findings, repairs)

    def _asking(
        self, broken: Mapping[str, Clients], asked: set[str] | None = None
    ) -> Callable[[Iterable[Read]], Mapping[Read, Answer]]:
        def ask(reads: Iterable[Read]) -> Mapping[Read, Answer]:
            wanted = list(reads)
            names = {read: self._name(read) for read in wanted}
            if asked is not None:
                asked.update(names.values())
            live: dict[Read, Answer] = {}
            for call, clients in broken.items():
                live.update(executor.run([r for r in wanted if names[r] == call], clients))
            new = [r for r in wanted if names[r] not in broken and r not in self._known]
            self._known.update(executor.run(new, self._clients))
            return {read: live[read] if read in live else self._known[read] for read in wanted}

        return ask

    def _name(self, read: Read) -> str:
        names = self._clients.client(read.service).meta.method_to_api_mapping
        return f"{read.service}:{names[xform_name(read.operation)]}"

    # --- what rests on what --------------------------------------------------------------------------------

    def concerned(self) -> Mapping[str, frozenset[Urn]]:
        """The resources whose verdicts rest on an operation, by ``service:Action``: the observers are asked."""
        found: dict[str, set[Urn]] = {}
        for urn, reads in self._reads().items():
            for read in (part for whole in reads for part in (whole, *self._parts.get(whole, ()))):
                found.setdefault(self._name(read), set()).add(urn)
        return {call: frozenset(urns) for call, urns in found.items()}

    @property
    def narrowed(self) -> tuple[str, ...]:
        """The operations, as ``service:Action``, that a narrow look asks for less."""
        return tuple(sorted({self._name(part) for parts in self._parts.values() for part in parts}))

    def _reads(self) -> Mapping[Urn, Collection[Read]]:
        ask = self._asking({})
        found: dict[Urn, set[Read]] = {}
        for resource in self.declared.resources.values():
            for see in (OBSERVERS[resource.type].see, *([fleet.see] if resource.type == GROUP else [])):
                noted = _Noting(self._known)
                while see(resource, noted) and noted.unanswered:
                    ask(noted.unanswered)
                    noted.unanswered.clear()
                found.setdefault(resource.urn, set()).update(noted.used)
        return found


class _Noting(Answers):
    """Answers that remember what was asked."""

    def __init__(self, answers: Mapping[Read, Answer]) -> None:
        super().__init__(answers)
        self.used: dict[Read, None] = {}

    def get(self, read: Read) -> Any:
        self.used[read] = None
        return super().get(read)

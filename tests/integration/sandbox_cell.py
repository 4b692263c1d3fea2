"""One sandbox cell with one tenant, and cycles over it in this process."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest

from reconciler.cycle import Cycle
from reconciler.model import Declared, DeclaredResource, Finding, Kind, Scan
from reconciler.observe.reads import Observer
from reconciler.observe.registry import OBSERVERS
from reconciler.record.store import Store
from reconciler.settings import load
from sandbox.lifecycle import Sandbox

ALARM = "aws:cloudwatch/metricAlarm:MetricAlarm"
LOG_GROUP = "aws:cloudwatch/logGroup:LogGroup"


def without(*types: str) -> Mapping[str, Observer]:
    """The observers, but those of some types: these are then seen through the engine."""
    return {type_: observer for type_, observer in OBSERVERS.items() if type_ not in types}


class Cell:
    """A deployed cell. ``environment`` holds while a test runs."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox

    def aws(self, service: str) -> Any:
        client: Any = self.sandbox.session().client
        return client(service, endpoint_url=self.sandbox.url)

    @contextmanager
    def cycle(self, observers: Mapping[str, Observer] = OBSERVERS, **settings: Any) -> Iterator[Cycle]:
        chosen = load(**settings)
        cycle = Cycle(chosen, Store.open(chosen.store_url), observers)
        try:
            yield cycle
        finally:
            cycle.close()

    def scan(self, observers: Mapping[str, Observer] = OBSERVERS, **settings: Any) -> Scan:
        with self.cycle(observers, **settings) as cycle:
            return cycle.scan()

    def environment(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for key, value in self.sandbox.environment().items():
            monkeypatch.setenv(key, value)


def drifts(scan: Scan, type_: str) -> set[tuple[str, str, str, str]]:
    """(resource, rule, property, verdict) of the drift findings of one type."""
    return {
        (f.urn.rsplit("::", 1)[-1], f.rule, f.property, f.verdict.value)
        for f in scan.findings
        if f.type == type_ and f.kind is Kind.DRIFT
    }


def named(declared: Declared, type_: str, name: str) -> DeclaredResource:
    return next(r for r in declared.resources.values() if (r.type, r.name) == (type_, name))


def values(findings: tuple[Finding, ...], type_: str) -> dict[tuple[str, str], tuple[object, object]]:
    """(declared, observed) of each failing property of one type."""
    return {
        (f.urn.rsplit("::", 1)[-1], f.property): (f.declared, f.observed)
        for f in findings
        if f.type == type_ and f.rule == "drift.property" and f.property
    }

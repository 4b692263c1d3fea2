"""What the tests of the record share: a clock they move themselves, stores, and some nouns."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from reconciler.model import Finding, Kind, Outcome, Repair, Severity, Status, Urn, Verdict
from reconciler.record.clock import Clock
from reconciler.record.store import Store

START = datetime(2026, 2, 28, 23, 59, 0, tzinfo=UTC)


@dataclass
class Time:
    """True time, and one machine's wall clock beside it."""

    passed: float = 1000.0
    wall_offset: float = 0.0

    def clock(self) -> Clock:
        return Clock(now=lambda: START + timedelta(seconds=self.passed + self.wall_offset), steady=lambda: self.passed)


def open_store(folder: Path, time: Time | None = None, name: str = "dev.db") -> Store:
    return Store.open(f"sqlite:///{folder / name}", clock=(time or Time()).clock())


def repair(*urns: str, tenant: str | None = "acme", reason: str = "drifted") -> Repair:
    return Repair("reapply", tenant, tuple(Urn(urn) for urn in urns), ("f-1",), reason)


def outcome(of: Repair, status: Status = Status.HEALED, reason: str = "") -> Outcome:
    return Outcome(of.id, of.strategy, of.urns, status, 1.5, reason, of.tenant, of.finding_ids)


def finding(name: str = "a", verdict: Verdict = Verdict.FAIL, **changes: object) -> Finding:
    values: dict[str, object] = {
        "rule": "drift",
        "kind": Kind.DRIFT,
        "verdict": verdict,
        "severity": Severity.HIGH,
        "urn": Urn(f"urn:pulumi:dev::p::aws:ec2/vpc:Vpc::{name}"),
        "type": "aws:ec2/vpc:Vpc",
        "resource_id": f"vpc-{name}",
        "tenant": "acme",
        "message": f"{name} differs",
        "property": "tags",
    }
    return Finding(**values | changes)  # type: ignore[arg-type]

"""One deployed cell for the tests of the whole loop: how they break it, look at it, run the product on it and count.

The product works here as in a shell of the sandbox: the tests' process has the sandbox's environment, so a ``Cycle`` in
this process and a ``stackmend`` process do the same. Only ``FastForward`` is not of this world.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from pathlib import Path
from typing import Any, Self

import pytest
from sqlalchemy import select

from reconciler import outside
from reconciler.act.process import end_session, session_members
from reconciler.cycle import Cycle, Pass
from reconciler.errors import EngineError
from reconciler.model import Finding, Fleet, Outcome, Repair, Scan, Verdict
from reconciler.record.documents import to_outcome
from reconciler.record.schema import INTENTS, LEASES, LEDGER, OPEN, OUTCOMES
from reconciler.record.store import Store
from reconciler.settings import load
from sandbox.control import Control, Write
from sandbox.faults.registry import FAULTS
from sandbox.faults.victim import Victim
from sandbox.lifecycle import Sandbox

GOLD, SILVER, BRONZE = TENANTS = ("acme-bank", "blue-clinic", "corner-shop")

SETTINGS = {
    "STACKMEND_ROLLOUT__BAKE_SECONDS": "0",
    "STACKMEND_VERIFY__POLL_SECONDS": "0.1",
    "STACKMEND_VERIFY__TIMEOUT_SECONDS": "60",
    # The same resource is broken and healed again and again here, which is not what the flap cap's tests are about.
    "STACKMEND_FLAP__LIMIT": "100",
    "STACKMEND_FLAP__SAME_FAILURE_LIMIT": "100",
    # CloudTrail allows two look-ups a second; only its own tests wait for them.
    "STACKMEND_ATTRIBUTION__ENABLED": "false",
    "STACKMEND_RETRY__FIGHT_LIMIT": "100",
    "STACKMEND_RETRY__BACKOFF_SECONDS": "0",
    "STACKMEND_BUDGET__HOUR": "100000",
    "STACKMEND_BREAKER__REPAIR_MINIMUM": "1000",
    "STACKMEND_BREAKER__COOLDOWN_SECONDS": "0",
}


def until(condition: Callable[[], object], what: str, *, seconds: float = 240.0) -> None:
    """Wait for something that another process does. Fails after ``seconds``."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            pytest.fail(f"after {seconds:.0f} s: {what} has not happened")
        threading.Event().wait(0.05)


def quietly(repair: Repair, message: str) -> None:
    """Progress that nobody watches."""


class Cell:
    """A deployed cell and everything around it."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self.name = sandbox.cell

    @property
    def control(self) -> Control:
        return self.sandbox.control

    # --- breaking it ---------------------------------------------------------------------------------------

    def victim(self, tenant: str) -> Victim:
        return Victim(self.sandbox.session(), tenant, self.name, endpoint_url=self.sandbox.url)

    def strike(self, fault: str, tenant: str) -> str:
        return FAULTS[fault].strike(self.victim(tenant))

    # --- the product ---------------------------------------------------------------------------------------

    @contextmanager
    def cycle(self) -> Iterator[Cycle]:
        opened = Cycle.open(load())
        try:
            yield opened
        finally:
            opened.close()

    def scan(self, tenant: str | None = None) -> Scan:
        with self.cycle() as opened:
            return opened.scan(tenant=tenant)

    def repair(self, tenant: str | None = None, *, dry_run: bool = False) -> Pass:
        with self.cycle() as opened:
            return opened.repair(progress=quietly, tenant=tenant, dry_run=dry_run)

    def command(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run ``stackmend`` to its end."""
        return subprocess.run(
            [*STACKMEND, *arguments], env={**os.environ, **environment}, capture_output=True, text=True, timeout=300
        )

    @contextmanager
    def reconciler(self) -> Iterator[Reconciler]:
        """``stackmend repair`` in a process of its own; whatever of it still runs at the end is killed."""
        command = [*STACKMEND, "repair", "--output", "json"]
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
        ) as process:
            started = Reconciler(self, process)
            try:
                yield started
            finally:
                self.control.clear()
                if process.poll() is None:
                    started.kill_all()

    def engine_agrees(self) -> bool:
        """Whether a preview of the whole program finds nothing to change."""
        try:
            self.sandbox.preview(expect_no_changes=True)
        except EngineError as error:
            pytest.fail(str(error))
        return True

    # --- what is recorded ----------------------------------------------------------------------------------

    def record(self) -> Record:
        settings = load()
        store = Store.open(settings.store_url)
        try:
            with store.read() as connection:
                outcomes = connection.execute(select(OUTCOMES.c.intent, OUTCOMES.c.outcome).order_by(OUTCOMES.c.intent))
                ended = [json.loads(p) for p in connection.scalars(select(LEDGER.c.payload).where(_EVENT == "outcome"))]
                intents = tuple(connection.scalars(select(INTENTS.c.intent).order_by(INTENTS.c.intent)))
                return Record(
                    intents=intents,
                    outcomes={number: to_outcome(document) for number, document in outcomes},
                    open=tuple(connection.scalars(select(OPEN.c.urn))),
                    terminal=Counter(payload["intent"] for payload in ended),
                )
        finally:
            store.close()

    def holder(self) -> int:
        """The process that holds the cell's lease; 0 for none."""
        store = Store.open(load().store_url)
        try:
            with store.read() as connection:
                row = connection.execute(select(LEASES).where(LEASES.c.cell == self.name)).one_or_none()
                return int(json.loads(row.process)["pid"]) if row is not None and row.holder else 0
        finally:
            store.close()

    # --- what there is -------------------------------------------------------------------------------------

    def client(self, service: str) -> Any:
        session: Any = self.sandbox.session()
        return session.client(service, endpoint_url=self.sandbox.url)

    def census(self) -> dict[str, int]:
        """How many there are of what a repair could make twice or leave behind, in the whole account."""
        ec2, elbv2 = self.client("ec2"), self.client("elbv2")
        balancers = [one["LoadBalancerArn"] for one in elbv2.describe_load_balancers()["LoadBalancers"]]
        listeners = [elbv2.describe_listeners(LoadBalancerArn=arn)["Listeners"] for arn in balancers]
        tables = ec2.describe_route_tables()["RouteTables"]
        running = [{"Name": "instance-state-name", "Values": ["pending", "running"]}]
        return {
            "alarms": len(self.client("cloudwatch").describe_alarms()["MetricAlarms"]),
            "balancers": len(balancers),
            "buckets": len(self.client("s3").list_buckets()["Buckets"]),
            "keys": len(self.client("kms").list_keys()["Keys"]),
            "listeners": sum(map(len, listeners)),
            "log groups": len(self.client("logs").describe_log_groups()["logGroups"]),
            "routes out": sum(r.get("DestinationCidrBlock") == "0.0.0.0/0" for t in tables for r in t["Routes"]),
            "security groups": len(ec2.describe_security_groups()["SecurityGroups"]),
            "servers": sum(len(r["Instances"]) for r in ec2.describe_instances(Filters=running)["Reservations"]),
        }

    def locks(self) -> list[Path]:
        """The engine's locks on the stack."""
        return list(self.sandbox.cell_directory.glob(f"state/.pulumi/locks/organization/*/{self.name}/*.json"))


STACKMEND = (str(Path(sys.executable).with_name("stackmend")),)
_EVENT = LEDGER.c.event


@dataclass(frozen=True)
class Record:
    """Intents and what became of them."""

    intents: tuple[int, ...]
    outcomes: Mapping[int, Outcome]
    open: tuple[str, ...]
    terminal: Mapping[int, int]
    """How many outcomes the ledger holds for an intent."""

    def since(self, before: Record) -> tuple[Outcome, ...]:
        return tuple(o for number, o in self.outcomes.items() if number not in before.outcomes)

    def assert_whole(self) -> None:
        """Every intent has exactly one terminal record, in the store and in the ledger (I04)."""
        assert self.open == ()
        assert tuple(self.outcomes) == self.intents
        assert self.terminal == dict.fromkeys(self.intents, 1)


class Reconciler:
    """A ``stackmend repair`` that runs."""

    def __init__(self, cell: Cell, process: subprocess.Popen[str]) -> None:
        self._cell, self.process = cell, process

    def reaches(self, *rules: int) -> None:
        """Wait until each of these rules of the server has met its call."""

        def met() -> bool:
            if self.process.poll() is not None:
                pytest.fail(f"it ended before: {self.process.communicate()}")
            return {r["id"] for r in self._cell.control.faults() if r["hits"]} >= set(rules)

        until(met, f"the call of rules {rules}")

    def engines(self) -> list[int]:
        """Its engines, each of which leads a session with its plugins in it."""
        return [pid for pid, name in self._children() if name.startswith("pulumi")]

    def _children(self) -> list[tuple[int, str]]:
        """Every process that it started, each the first of a session: engines, and what waits to run programs."""
        places = [place for place in Path("/proc").glob("[0-9]*/stat") if _parent(place) == self.process.pid]
        return [(int(p.parent.name), p.read_text().partition("(")[2].rpartition(")")[0]) for p in places]

    def kill(self) -> None:
        """SIGKILL to it alone; its engine has a session of its own and runs on."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def kill_all(self) -> None:
        """SIGKILL to it, to its engine, to the engine's plugins and to the program."""
        children = self._children()
        self.kill()
        for child, _ in children:
            end_session(child)
            assert session_members(child) == []

    def ended(self) -> tuple[int, Mapping[str, Any]]:
        """Its exit code and the document it printed."""
        out, err = self.process.communicate(timeout=300)
        assert out, err
        document: Mapping[str, Any] = json.loads(out)
        return self.process.returncode, document


def _parent(stat: Path) -> int:
    with suppress(FileNotFoundError, ProcessLookupError):
        return int(stat.read_text().rpartition(")")[2].split()[1])
    return 0


class FastForward:
    """The pipeline's clocks, ahead of the real ones: waiting costs nothing, and servers are old when it begins."""

    def __init__(self, ahead: timedelta) -> None:
        self._ahead = ahead

    def monotonic(self) -> float:
        return time.monotonic() + self._ahead.total_seconds()

    def sleep(self, seconds: float) -> None:
        self._ahead += timedelta(seconds=seconds)

    def now(self, zone: tzinfo | None = None) -> datetime:
        return datetime.now(zone) + self._ahead

    @classmethod
    @contextmanager
    def by(cls, ahead: timedelta) -> Iterator[Self]:
        clock = cls(ahead)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(outside, "time", clock)
            patch.setattr(outside, "datetime", clock)
            yield clock


def wrong(scan: Scan) -> list[str]:
    """What a scan says against the cell, in words; empty if all is well and all was seen."""
    return [f"{f.verdict} {f.rule} {f.tenant} {f.message}" for f in scan.findings if f.verdict is not Verdict.PASS]


def assert_clean(scan: Scan) -> None:
    """Nothing fails, nothing is unknown, nothing is orphaned, and every declared resource was seen."""
    assert wrong(scan) == []
    assert scan.coverage.observed == scan.coverage.declared == len(scan.declared.resources)
    assert scan.observed.strays == ()


def assert_fleets_whole(scan: Scan) -> None:
    """Every group has as many servers as it declares, all of them healthy, and no other (I02)."""
    groups = [r for r in scan.declared.resources.values() if r.type == "aws:autoscaling/group:Group"]
    assert groups
    for group in groups:
        fleet = scan.observed.fleets[group.urn]
        assert isinstance(fleet, Fleet)
        assert len(fleet.members) == len(fleet.healthy) == fleet.desired == group.inputs["desiredCapacity"]


def failing(scan: Scan) -> dict[str, Finding]:
    return {f.id: f for f in scan.failing}


def by_status(outcomes: Collection[Outcome]) -> Counter[tuple[str, str]]:
    return Counter((o.strategy, o.status.value) for o in outcomes)


def names(outcome: Outcome) -> set[str]:
    return {urn.rsplit("::", 1)[-1] for urn in outcome.urns}


def things(scan: Scan, tenants: Collection[str]) -> set[str]:
    """All ids and names by which a call could name a resource of these tenants, and the tenants' names themselves."""
    owned = {r.id for t in tenants for r in scan.declared.of(t)}
    fleets = [f for f in scan.observed.fleets.values() if isinstance(f, Fleet) and f.name in owned]
    return owned | {m.instance_id for fleet in fleets for m in fleet.members} | set(tenants)


def naming(writes: Collection[Write], anything: Collection[str]) -> list[str]:
    """The calls that name one of these things."""
    return [f"{w.call} {w.params}" for w in writes if any(w.names(thing) for thing in anything)]

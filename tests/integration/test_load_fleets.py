"""Fleets of 3, 10 and 30 servers under load while they are replaced: never fewer healthy targets than the floor.

Two witnesses: the sandbox's server counts the healthy targets of every group right after each write call; and a client
that does nothing else asks for them as often as it gets an answer.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import count

import pytest

from reconciler.act import recovery
from reconciler.act.strategies import STRATEGIES
from reconciler.act.tools import Ending
from reconciler.detect.findings import about
from reconciler.detect.health import OUTDATED
from reconciler.model import Finding, Kind, Repair, Severity, Status, Verdict
from reconciler.ports import OpenIntent
from sandbox.faults.registry import FAULTS
from sandbox.lifecycle import Sandbox
from tests.unit.act_fleet import Killed
from tests.unit.sandbox_stage import Intent, Stage
from tests.unit.sandbox_worlds import client, emptied, running

numbers = count(1)
SIZES = [3, 10, 30]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    with running(tmp_path_factory.mktemp("load") / "home") as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(server: Sandbox) -> Sandbox:
    return emptied(server)


class Loaded(Stage):
    """A fleet whose servers are all to be replaced, and which may not lose one of them: the floor is its size."""

    def __init__(self, sandbox: Sandbox, size: int, *, batch: int = 1) -> None:
        super().__init__(sandbox, f"busy-{next(numbers)}", floor=size, size=size, room=max(1, batch))
        self.size = size
        self.old = tuple(self.world.members())
        self.acting.change(pace=replace(self.acting.tools.pace, batch=batch))
        self._elbv2 = client(sandbox, "elbv2")
        self.lowest = size
        self.answers = 0

    def look(self, _: object) -> tuple[Finding, ...]:
        group, words = self.group, "was launched from another template than its group's now"
        found = about(group, OUTDATED, Kind.HEALTH, Verdict.FAIL, Severity.MEDIUM, words)
        return tuple(replace(found, resource_id=i) for i in self.old if i in self.world.members())

    def repair(self, strategy: str) -> Repair:
        return Repair(strategy, self.group.tenant, (self.group.urn,), ("f-1",), "outdated", members=self.old)

    def run(self, repair: Repair) -> Ending:
        run = STRATEGIES[repair.strategy].run
        assert run is not None
        return run(repair, self.acting.tools)

    @contextmanager
    def load(self) -> Iterator[None]:
        """A client that asks for the healthy targets from now until the end; then both witnesses are heard."""
        over = threading.Event()
        thread = threading.Thread(target=self._ask, args=(over,))
        self.control.reset()
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()
        for write in self.control.writes():
            left = write.healthy[self.world.group]
            assert left >= self.size, f"{write.call} {write.params} left {left} of {self.size}"
        assert self.lowest >= self.size
        assert self.answers > 0

    def _ask(self, over: threading.Event) -> None:
        while not over.is_set():
            rows = self._elbv2.describe_target_health(TargetGroupArn=self.world.target_group)
            healthy = sum(r["TargetHealth"]["State"] == "healthy" for r in rows["TargetHealthDescriptions"])
            self.lowest, self.answers = min(self.lowest, healthy), self.answers + 1
            over.wait(0.1)

    def zones(self) -> Counter[str]:
        return Counter(i["AvailabilityZone"] for i in self.world.scaling_group()["Instances"])

    def whole(self) -> None:
        assert len(self.world.members()) == self.world.scaling_group()["DesiredCapacity"] == self.size
        assert sorted(self.world.targets().values()) == ["healthy"] * self.size


@pytest.mark.parametrize("strategy", ["rollout", "refresh-image"])
@pytest.mark.parametrize("size", SIZES)
def test_every_server_is_replaced(sandbox: Sandbox, size: int, strategy: str) -> None:
    """All servers are other ones afterwards, and neither witness ever saw fewer than all of them healthy (I02, I07)."""
    fleet = Loaded(sandbox, size, batch=5 if strategy == "refresh-image" else 1)
    old = set(fleet.world.members())
    with fleet.load():
        ending = fleet.run(fleet.repair(strategy))
    assert ending.status is Status.HEALED, ending.reason
    fleet.whole()
    assert not old & set(fleet.world.members())


@pytest.mark.parametrize("size", SIZES)
def test_replacements_that_fail(sandbox: Sandbox, size: int) -> None:
    """New servers never become healthy: the first one is given back, and all the old ones go on (F48, I02, I07)."""
    fleet = Loaded(sandbox, size, batch=5)
    old = set(fleet.world.members())
    FAULTS["break-image"].strike(fleet.world.victim)
    with fleet.load():
        ending = fleet.run(fleet.repair("refresh-image"))
    assert ending.status is Status.ROLLED_BACK
    assert ending.bad_image
    fleet.whole()
    assert set(fleet.world.members()) == old


@pytest.mark.parametrize("size", SIZES)
def test_a_zone_without_room(sandbox: Sandbox, size: int) -> None:
    """A zone has no room: it keeps its servers that serve, and the fleet keeps all (F13, I02)."""
    fleet = Loaded(sandbox, size)
    FAULTS["exhaust-zone"].strike(fleet.world.victim)
    with fleet.load():
        ending = fleet.run(fleet.repair("refresh-image"))
    assert ending.status is Status.ROLLED_BACK
    assert "has no room" in ending.reason
    assert not ending.bad_image
    fleet.whole()
    assert len(fleet.zones()) == 2


@pytest.mark.parametrize("performed", [False, True], ids=["before", "after"])
@pytest.mark.parametrize(("size", "at"), [(3, 1), (10, 2), (10, 5), (30, 4)])
def test_killed_in_the_middle(sandbox: Sandbox, size: int, at: int, *, performed: bool) -> None:
    """The reconciler dies at a write; the next one makes the fleet whole before it does anything else, and no write of
    either leaves fewer than the floor (F24, C08, C10, C11, I02)."""
    fleet = Loaded(sandbox, size, batch=3)
    work = fleet.repair("refresh-image")
    with fleet.load():
        with fleet.dying(at, performed=performed), pytest.raises(Killed):
            fleet.run(work)
        fleet.acting.journal.intents.append(work)
        intents: list[OpenIntent] = [Intent(0, work)]
        recovery.conclude_open(intents, fleet.acting.tools)
    fleet.whole()

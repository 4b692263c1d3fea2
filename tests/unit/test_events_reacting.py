"""From events to passes: how much is looked at, what is deleted when, and who waits."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from typing import Any

import pytest

from reconciler.cycle import Pass
from reconciler.errors import StackmendError
from reconciler.events.inbox import Inbox
from reconciler.events.receiver import Receiver
from reconciler.model import WHOLE, Attribution, Coverage, Finding, Observed, Plan, Scan, Scope, Urn
from reconciler.reacting import RETRY_SECONDS, Reacting
from reconciler.service import Service
from tests.unit.events_worlds import INTRUDER, api_call, cell
from tests.unit.plan_worlds import finding
from tests.unit.test_events_inbox import Clock

FIREWALL, OTHER = Urn("firewall"), Urn("other-firewall")


class Passes:
    """Passes that see what they are told to, and are remembered."""

    def __init__(self) -> None:
        self.scopes: list[Scope] = []
        self.periods: list[bool] = []
        self.who: dict[Urn, Attribution] = {}
        self.findings: tuple[Finding, ...] = ()
        self.fails: Exception | None = None

    def repair(
        self, *, progress: Any, scope: Scope, who: Mapping[Urn, Attribution], new_period: bool, events: Any
    ) -> Pass:
        progress(None, f"a pass for {len(events)} events")
        if self.fails is not None:
            raise self.fails
        self.scopes.append(scope)
        self.periods.append(new_period)
        self.who |= who
        scan = Scan("run", "dev", cell(), Observed({}), self.findings, Coverage(0, 0, 0))
        return Pass(scan, Plan("run", "dev", (), ()), ())


class Queue:
    """A queue that answers what it holds once, and notes what is deleted."""

    def __init__(self) -> None:
        self.deleted: list[str] = []

    def receive_message(self, **_: Any) -> Mapping[str, Any]:
        return {}

    def delete_message_batch(self, **params: Any) -> Mapping[str, Any]:
        self.deleted += [entry["ReceiptHandle"] for entry in params["Entries"]]
        return {}


class World:
    """Everything between the queue and the cycle, on one clock."""

    def __init__(self) -> None:
        self.clock, self.passes, self.queue = Clock(), Passes(), Queue()
        self.inbox = Inbox(settle_seconds=0, clock=self.clock, most=5)
        self.receiver = Receiver(self.queue, "url", self.inbox, poll_seconds=0, pause=0.01)
        self.told: list[Pass] = []
        self.reacting = Reacting(
            self.passes, self.inbox, self.receiver, lambda *_: None, told=self.told.append, clock=self.clock
        )

    def come(self, receipt: str, group: str = "sg-1") -> None:
        assert self.inbox.take_in(json.dumps(api_call(parameters={"groupId": group})), receipt) == ""


@pytest.fixture
def world() -> World:
    world = World()
    world.receiver.stop()
    world.reacting.tick()
    return world


def test_an_event_leads_to_a_small_pass_and_is_deleted_after_it(world: World) -> None:
    """Exactly what a change touches is looked at, with who did it, and then its message is deleted."""
    world.come("r1")
    assert world.queue.deleted == []
    world.reacting.react()
    assert world.passes.scopes == [WHOLE, Scope(urns=frozenset({FIREWALL}))]
    assert world.passes.periods == [True, False]
    assert world.passes.who[FIREWALL].principal == INTRUDER
    assert world.queue.deleted == ["r1"]
    assert world.reacting.due() is None


def test_the_pass_by_the_clock_deals_with_what_waits(world: World) -> None:
    """A pass over everything leaves nothing to do for the events that came before it."""
    world.come("r1")
    world.reacting.tick()
    assert world.passes.scopes == [WHOLE, WHOLE]
    assert world.queue.deleted == ["r1"]
    assert world.reacting.due() is None


def test_a_pass_that_could_not_be_made_keeps_its_messages(world: World) -> None:
    """While another reconciler holds the cell nothing is deleted, and the events come again after a pause."""
    world.come("r1")
    world.passes.fails = StackmendError("held by another reconciler")
    with pytest.raises(StackmendError):
        world.reacting.react()
    with pytest.raises(StackmendError):
        world.reacting.tick()
    assert world.queue.deleted == []
    assert world.reacting.due() == RETRY_SECONDS
    world.clock.now += RETRY_SECONDS
    world.passes.fails = None
    world.reacting.react()
    assert world.queue.deleted == ["r1"]


def test_a_crash_deletes_nothing(world: World) -> None:
    """An error that nobody foresaw leaves the messages to the next process (C16, F24)."""
    world.come("r1")
    world.passes.fails = ZeroDivisionError()
    with pytest.raises(ZeroDivisionError):
        world.reacting.react()
    assert world.queue.deleted == []


def test_a_flood_is_one_pass_over_everything(world: World) -> None:
    """More changes than there is room for are dealt with by one pass, and all deleted after it (T08)."""
    for i in range(50):
        world.come(f"r{i}")
    world.reacting.react()
    assert world.passes.scopes == [WHOLE, WHOLE]
    assert len(world.queue.deleted) == 50


def test_changes_of_most_of_the_cell_are_one_pass_over_everything(world: World) -> None:
    """What touches more than half of the cell is looked at whole."""
    everything = {"ids": [r.id for r in cell().resources.values()]}
    world.inbox.take_in(json.dumps(api_call(parameters=everything)), "r")
    world.reacting.react()
    assert world.passes.scopes[-1] == WHOLE


def test_a_noisy_tenant_waits_and_slows_nobody_down(world: World) -> None:
    """Events that show nothing new wait longer and longer, up to a bound, while other tenants' are looked at (T08)."""
    for i in range(6):
        world.come(f"noise-{i}")
        world.clock.now += world.reacting.due() or 0
        world.reacting.react()
    looks = len(world.passes.scopes)
    world.come("more noise")
    world.come("other", group="sg-2")
    world.reacting.react()
    assert world.passes.scopes[looks:] == [Scope(urns=frozenset({OTHER}))]
    assert world.queue.deleted[-1] == "other"
    pause = world.reacting.due()
    assert pause is not None
    assert 0 < pause <= 30
    world.clock.now += pause
    world.reacting.react()
    assert world.queue.deleted[-1] == "more noise"


def test_something_new_ends_the_waiting(world: World) -> None:
    """A look that shows something new is no noise."""
    for i in range(6):
        world.passes.findings = (finding(cell().resources[FIREWALL], property_=str(i)),)
        world.come(f"r{i}")
        assert world.reacting.due() == 0
        world.reacting.react()
    assert len(world.queue.deleted) == 6


def test_the_service_reacts_between_its_ticks() -> None:
    """An event that comes while the service waits is dealt with at once, on the service's own thread."""
    world = World()
    reacted, first = threading.Event(), threading.Event()
    world.reacting = Reacting(
        world.passes,
        world.inbox,
        world.receiver,
        lambda *_: None,
        told=lambda _: (reacted if world.passes.scopes[1:] else first).set(),
    )
    service = Service(world.reacting.tick, 3600, world.reacting)
    thread = threading.Thread(target=service.run)
    thread.start()
    try:
        assert first.wait(30)
        world.come("r1")
        assert reacted.wait(30)
    finally:
        service.stop()
        world.reacting.stop()
        thread.join(30)
    assert not thread.is_alive()
    assert world.passes.scopes == [WHOLE, Scope(urns=frozenset({FIREWALL}))]

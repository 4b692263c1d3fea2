"""The inbox: duplicates, disorder, bursts and floods become few looks, and no message is ever forgotten."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from reconciler.events.inbox import RECEIPTS_PER_CHANGE, WHOLE_PAUSE_SECONDS, Inbox
from reconciler.model import Urn
from tests.unit.events_worlds import INTRUDER, NOW, api_call, resolver

GROUPS = ("sg-1", "sg-2")


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def inbox(clock: Clock | None = None, *, known: bool = True, **settings: Any) -> Inbox:
    made = Inbox(clock=clock or Clock(), **settings)
    if known:
        made.know(resolver())
    return made


def put(box: Inbox, receipt: str, group: str = "sg-1", **event: Any) -> str:
    return box.take_in(json.dumps(api_call(parameters={"groupId": group}, **event)), receipt)


def test_a_burst_is_one_look() -> None:
    """Changes that come together, in any order, are dealt with together, once they have settled."""
    clock = Clock()
    box = inbox(clock, settle_seconds=0.5)
    for i in range(5):
        assert put(box, f"r{i}", at=NOW - timedelta(seconds=i)) == ""
    assert box.due() == 0.5
    clock.now += 0.5
    assert box.due() == 0.0
    batch = box.take()
    assert batch.urns == {Urn("firewall")}
    assert set(batch.receipts) == {"r0", "r1", "r2", "r3", "r4"}
    assert box.due() is None


def test_a_second_delivery_is_no_second_look() -> None:
    """The same event delivered again while it waits is merged, and after it was dealt with it is dropped (F51)."""
    box = inbox()
    event = api_call(event_id="e1")
    assert box.take_in(json.dumps(event), "first") == ""
    assert box.take_in(json.dumps(event), "second") == ""
    batch = box.take()
    assert set(batch.receipts) == {"first", "second"}
    assert len(batch.event_ids) == 1
    box.done(batch)
    assert box.take_in(json.dumps(event), "third") == "duplicate"
    assert box.due() is None


def test_the_latest_change_says_who() -> None:
    """Of changes delivered out of order the latest names the actor."""
    box = inbox()
    put(box, "late", at=NOW, principal={"arn": "late"})
    put(box, "early", at=NOW - timedelta(minutes=5), principal={"arn": "early"})
    assert box.take().who[Urn("firewall")].principal == "late"


def test_what_a_look_has_seen_since_needs_no_other() -> None:
    """A change older than the last look at its resources is dropped; so the reconciler's own repairs come to rest."""
    looks: dict[Urn, datetime] = {Urn("firewall"): NOW}
    box = inbox(looked=looks.get)
    assert put(box, "r1", at=NOW - timedelta(seconds=10)) == "seen already"
    assert put(box, "r2", at=NOW - timedelta(seconds=1)) == ""
    assert put(box, "r3", at=NOW + timedelta(seconds=10)) == ""
    assert put(box, "r4", group="sg-2", at=NOW - timedelta(seconds=10)) == ""


def test_a_wrong_clock_here_hides_no_change() -> None:
    """This machine's clock is an hour ahead of AWS's: changes are compared by AWS's clock (F36)."""
    hour = timedelta(hours=1)
    looks = {Urn("firewall"): NOW + hour - timedelta(seconds=10)}
    box = inbox(looked=looks.get)
    body = json.dumps(api_call(at=NOW))
    assert box.take_in(body, "r1", ahead=-hour) == ""


def test_a_flood_is_one_look_at_everything() -> None:
    """More changes than there is room for lead to one look at everything, whose end deletes them all (T08)."""
    clock = Clock()
    box = inbox(clock, most=3)
    for i in range(10):
        assert put(box, f"r{i}") == ""
    clock.now += 1
    batch = box.take()
    assert batch.whole
    assert batch.surplus == 7
    assert len(set(batch.receipts)) == 10
    box.done(batch)
    for i in range(10, 20):
        put(box, f"r{i}")
    assert [bool(box.take().whole), box.due()] == [False, WHOLE_PAUSE_SECONDS]


def test_a_flood_stops_being_received() -> None:
    """Beyond a bound the rest stays in the queue until a look is done."""
    box = inbox(most=1)
    for i in range(RECEIPTS_PER_CHANGE + 1):
        assert not box.full
        put(box, f"r{i}")
    assert box.full
    box.take(everything=True)
    assert not box.full


def test_what_could_not_be_looked_at_comes_again() -> None:
    """A batch given back is due again after a pause, whole or in part, and keeps its receipts."""
    clock = Clock()
    box = inbox(clock, settle_seconds=0)
    put(box, "acme")
    put(box, "other", group="sg-2")
    left = box.give_back(box.take(), seconds=5, only=lambda urns: Urn("firewall") in urns)
    assert left.receipts == ("other",)
    assert left.urns == {Urn("other-firewall")}
    assert box.due() == 5
    assert box.take().receipts == ()
    assert box.take(everything=True).receipts == ("acme",)
    box.give_back(left, seconds=5)
    clock.now += 5
    assert box.take().receipts == ("other",)


def test_nothing_is_known_before_the_first_look() -> None:
    """What comes before anything was declared waits for the first look at everything."""
    box = inbox(known=False)
    assert put(box, "r1") == ""
    assert box.due() is None
    assert box.take(everything=True).receipts == ("r1",)


def test_every_reason_is_counted() -> None:
    """What came in is counted by what became of it (T13)."""
    box = inbox()
    put(box, "r1")
    box.take_in("{", "r2")
    box.take_in(json.dumps({**api_call(), "account": "210987654321"}), "r3")
    assert box.counts == {"taken": 1, "poison: not JSON": 1, "ignored: another account": 1}


def test_who_did_it_is_only_said_of_what_the_record_names() -> None:
    """A change of a network is no explanation for what merely stands in it."""
    box = inbox()
    box.take_in(json.dumps(api_call(name="ModifyVpcAttribute", parameters={"vpcId": "vpc-1"})), "r")
    batch = box.take()
    assert Urn("subnet") in batch.urns
    assert {u: a.principal for u, a in batch.who.items()} == {Urn("vpc"): INTRUDER}


STEPS = st.lists(
    st.sampled_from(["put", "again", "take", "take all", "done", "back", "part back", "time"]), max_size=40
)


@given(STEPS, st.integers(min_value=1, max_value=3))
def test_no_receipt_is_lost_or_handed_out_twice(steps: list[str], most: int) -> None:
    """In any order of steps every message is waiting, in a batch, or was said to need no look (F51)."""
    clock = Clock()
    box = inbox(clock, most=most, settle_seconds=0)
    inside: set[str] = set()
    finished: set[str] = set()
    batches = []
    for i, step in enumerate(steps):
        if step in ("put", "again"):
            receipt = f"r{i}"
            event_id = "same" if step == "again" else ""
            needless = put(box, receipt, group=GROUPS[i % 2], event_id=event_id)
            (finished if needless else inside).add(receipt)
        elif step.startswith("take"):
            batches.append(box.take(everything=step == "take all"))
            assert set(batches[-1].receipts) <= inside
            inside -= set(batches[-1].receipts)
        elif step == "time":
            clock.now += WHOLE_PAUSE_SECONDS
        elif batches:
            batch = batches.pop()
            if step == "part back":
                left = box.give_back(batch, seconds=1, only=lambda urns: Urn("firewall") in urns)
                inside |= set(batch.receipts) - set(left.receipts)
                finished |= set(left.receipts)
            elif step == "done":
                box.done(batch)
                finished |= set(batch.receipts)
            else:
                box.give_back(batch, seconds=1)
                inside |= set(batch.receipts)
    rest = box.take(everything=True)
    assert set(rest.receipts) == inside
    assert finished.isdisjoint(rest.receipts)

"""What has come in and waits to be looked at: without duplicates, in no order, and never more than there is room for.

A message stays in the queue, hidden, until the look that deals with it is done, so what is lost here comes again. What
a look that began after the change has seen already needs no other one: that is how the reconciler's own repairs, late
messages and the backlog of an outage come to rest.
"""

from __future__ import annotations

import threading
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from reconciler.events.message import Change, Ignored, Poison, parse
from reconciler.events.resolve import Resolver
from reconciler.model import Attribution, Urn

MARGIN = timedelta(seconds=2)
"""A look must begin so long after a change to have seen it: records have whole seconds, and reads lag a little."""
REMEMBERED = 10_000
"""Events dealt with whose ids are kept, so that a second delivery is known."""
WHOLE_PAUSE_SECONDS = 30.0
"""Between two looks at everything that events ask for: a flood must not keep AWS busy."""
RECEIPTS_PER_CHANGE = 20
"""How many messages wait for one whole look, in multiples of ``most``, before no more are received."""


@dataclass(slots=True)
class _Waiting:
    change: Change
    look_at: frozenset[Urn]
    about: frozenset[Urn]
    receipts: list[str]
    since: float
    not_before: float = 0.0


@dataclass(frozen=True, slots=True)
class Batch:
    """What one look is to deal with."""

    urns: frozenset[Urn] = frozenset()
    whole: str = ""
    """Why everything must be looked at; empty if ``urns`` are enough."""
    who: Mapping[Urn, Attribution] = field(default_factory=dict)
    """The latest change of a resource, by whom."""
    event_ids: tuple[str, ...] = ()
    receipts: tuple[str, ...] = ()
    surplus: int = 0
    """How many of the messages were only counted, for want of room."""
    entries: tuple[_Waiting, ...] = ()


class Inbox:
    """Fed by the receiver's thread, emptied by the service's. ``settle_seconds`` lets a burst come together.

    ``looked`` says when the last look at a resource that saw it began.
    """

    def __init__(
        self,
        *,
        most: int = 1000,
        settle_seconds: float = 0.5,
        clock: Callable[[], float] = time.monotonic,
        looked: Callable[[Urn], datetime | None] = lambda _: None,
    ) -> None:
        self._most, self._settle, self._clock, self._looked = most, settle_seconds, clock, looked
        self.wake: Callable[[], None] = lambda: None
        """Called when something new waits."""
        self._lock = threading.Lock()
        self._resolver: Resolver | None = None
        self._waiting: dict[str, _Waiting] = {}
        self._done: OrderedDict[str, None] = OrderedDict()
        self._surplus: list[str] = []
        self._whole = ""
        self._asked = 0.0
        self._not_before = 0.0
        self.counts: Counter[str] = Counter()

    def know(self, resolver: Resolver) -> None:
        """What is declared now; nothing is taken in before."""
        self._resolver = resolver

    @property
    def resolver(self) -> Resolver | None:
        return self._resolver

    @property
    def full(self) -> bool:
        """Whether to leave what else comes in the queue until the next look."""
        return len(self._surplus) >= RECEIPTS_PER_CHANGE * self._most

    # --- the receiver's side -------------------------------------------------------------------------------

    def take_in(self, body: str, receipt: str, *, ahead: timedelta = timedelta()) -> str:
        """Take in one message; ``ahead`` is how much AWS's clock is ahead of this machine's.

        Returns why it needs no look and can be deleted, in a few fixed words, or nothing if it waits for one.
        """
        message = parse(body)
        if isinstance(message, Poison):
            return self._counted(f"poison: {message.reason}")
        if isinstance(message, Ignored):
            return self._counted(f"ignored: {message.reason}")
        with self._lock:
            return self._counted(self._put(message, receipt, ahead))

    def ask_for_everything(self, why: str) -> None:
        """Events may have been lost: the next look must be at everything."""
        with self._lock:
            self._want_whole(why)

    def _counted(self, why: str) -> str:
        self.counts[why or "taken"] += 1
        return why

    def _put(self, change: Change, receipt: str, ahead: timedelta) -> str:
        if change.event_id in self._done:
            return "duplicate"
        if (same := self._waiting.get(change.event_id)) is not None:
            same.receipts.append(receipt)
            return ""
        if self._resolver is None:
            self._surplus.append(receipt)
            return ""
        concerned = self._resolver.concerned(change)
        if not concerned.look_at:
            return f"ignored: {concerned.why_none}"
        if self._seen_since(change.at - ahead, concerned.look_at):
            self._remember(change.event_id)
            return "seen already"
        if len(self._waiting) >= self._most:
            self._surplus.append(receipt)
            self._want_whole(f"more than {self._most} changes at once")
            return ""
        now = self._clock()
        self._waiting[change.event_id] = _Waiting(change, concerned.look_at, concerned.about, [receipt], now)
        self.wake()
        return ""

    def _seen_since(self, at: datetime, urns: Collection[Urn]) -> bool:
        return all((looked := self._looked(urn)) is not None and looked >= at + MARGIN for urn in urns)

    def _want_whole(self, why: str) -> None:
        if not self._whole:
            self._whole, self._asked = why, self._clock()
        self.wake()

    # --- the service's side --------------------------------------------------------------------------------

    def due(self) -> float | None:
        """Seconds until something should be looked at; None while nothing waits."""
        with self._lock:
            times = [max(w.since + self._settle, w.not_before) for w in self._waiting.values()]
            if self._whole:
                times.append(max(self._asked + self._settle, self._not_before))
            return max(0.0, min(times) - self._clock()) if times else None

    def take(self, *, everything: bool = False) -> Batch:
        """What is to be looked at now; ``everything`` also takes what would have to wait, for a look at everything."""
        with self._lock:
            now = self._clock()
            whole = self._whole if everything or self._not_before <= now else ""
            chosen = [w for w in self._waiting.values() if everything or whole or w.not_before <= now]
            for waiting in chosen:
                del self._waiting[waiting.change.event_id]
            surplus: list[str] = []
            if everything or whole:
                surplus, self._surplus, self._whole = self._surplus, [], ""
        return Batch(
            urns=frozenset(u for w in chosen for u in w.look_at),
            whole=whole,
            who=_latest(chosen),
            event_ids=tuple(w.change.event_id for w in chosen),
            receipts=(*(r for w in chosen for r in w.receipts), *surplus),
            surplus=len(surplus),
            entries=tuple(chosen),
        )

    def done(self, batch: Batch) -> None:
        """A look has dealt with it; another delivery of the same events is a duplicate."""
        with self._lock:
            for event_id in batch.event_ids:
                self._remember(event_id)
            if batch.whole:
                self._not_before = self._clock() + WHOLE_PAUSE_SECONDS

    def give_back(self, batch: Batch, *, seconds: float, only: Callable[[frozenset[Urn]], bool] | None = None) -> Batch:
        """Let what could not be looked at, or the part of it that ``only`` chooses, wait ``seconds`` and come again.

        Returns what is left of the batch.
        """
        until = self._clock() + seconds
        back = [w for w in batch.entries if only is None or only(w.look_at)]
        with self._lock:
            for waiting in back:
                # It may have been delivered again in the meantime.
                again = self._waiting.get(waiting.change.event_id)
                waiting.receipts += again.receipts if again else []
                waiting.not_before = until
                self._waiting[waiting.change.event_id] = waiting
            if only is None:
                kept = {r for w in batch.entries for r in w.receipts}
                self._surplus += [r for r in batch.receipts if r not in kept]
                if batch.whole:
                    self._whole, self._asked = batch.whole, self._clock()
                self._not_before = until
        if only is None:
            return Batch()
        left = [w for w in batch.entries if not only(w.look_at)]
        given = {r for w in back for r in w.receipts}
        return replace(
            batch,
            urns=frozenset(u for w in left for u in w.look_at),
            who=_latest(left),
            event_ids=tuple(w.change.event_id for w in left),
            receipts=tuple(r for r in batch.receipts if r not in given),
            entries=tuple(left),
        )

    def _remember(self, event_id: str) -> None:
        self._done[event_id] = None
        while len(self._done) > REMEMBERED:
            self._done.popitem(last=False)


def _latest(waiting: Collection[_Waiting]) -> dict[Urn, Attribution]:
    """Messages come in any order; the latest change of a resource is the one that counts."""
    who: dict[Urn, Attribution] = {}
    for one in sorted(waiting, key=lambda w: w.change.at):
        if one.change.attribution is not None:
            who |= dict.fromkeys(one.about, one.change.attribution)
    return who

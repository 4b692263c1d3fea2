"""From events to passes: a small pass over what they touch, or a whole one if they are too many or too unclear.

Every message is deleted after the pass that dealt with it and never before, so that a crash repeats work and loses
none. The pass by the clock deals with whatever waits as well.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Protocol, Self

import structlog

from reconciler.cycle import Cycle, Pass
from reconciler.errors import StackmendError
from reconciler.events.inbox import Batch, Inbox
from reconciler.events.receiver import Receiver
from reconciler.events.resolve import Resolver
from reconciler.model import WHOLE, Attribution, Scope, Urn
from reconciler.observe.clients import queue_client
from reconciler.ports import Progress

log = structlog.get_logger(__name__)

WHOLE_SHARE = 0.5
"""Above this share of the cell a pass over all of it costs as much, and sees more."""
RETRY_SECONDS = 5.0
"""After a pass that could not be made: another reconciler holds the cell, an update runs, AWS does not answer."""
LONGEST_COOL_OFF = 30.0
QUIET_SECONDS = 120.0
"""After which a noisy tenant counts as calm again."""


class Passes(Protocol):
    """The cycle, as far as events need it."""

    def repair(
        self,
        *,
        progress: Progress,
        scope: Scope,
        who: Mapping[Urn, Attribution],
        new_period: bool,
        events: Collection[str],
    ) -> Pass: ...


@dataclass(slots=True)
class _Noise:
    """How often in a row events of one tenant led to a look that showed nothing new."""

    failing: frozenset[str]
    fruitless: int
    until: float


class Reacting:
    """The service's events: what is due, and what to do about it. ``service.Events``."""

    def __init__(
        self,
        cycle: Passes,
        inbox: Inbox,
        receiver: Receiver,
        progress: Progress,
        *,
        told: Callable[[Pass], None],
        cool_off: float = 1.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._cycle, self._inbox, self._receiver, self._progress, self._told = cycle, inbox, receiver, progress, told
        self._cool_off, self._clock = cool_off, clock
        self._noise: dict[str | None, _Noise] = {}
        self._receiving = False

    @classmethod
    def open(cls, cycle: Cycle, progress: Progress, *, told: Callable[[Pass], None]) -> Self:
        """On the queue of the settings. Raises ConfigurationError."""
        settings = cycle.settings.events
        inbox = Inbox(most=settings.most, settle_seconds=settings.settle_seconds, looked=cycle.looked)
        client = queue_client(settings.queue_url, cycle.settings.region)
        return cls(cycle, inbox, Receiver(client, settings.queue_url, inbox), progress, told=told)

    def tick(self) -> None:
        """The pass by the clock, over everything; what waits is dealt with by it too. Raises StackmendError."""
        batch = self._inbox.take(everything=True)
        self._pass(batch, WHOLE, by_clock=True)
        if not self._receiving and self._inbox.resolver is not None:
            self._receiving = True
            self._receiver.start()

    def wake_by(self, wake: Callable[[], None]) -> None:
        self._inbox.wake = wake

    def due(self) -> float | None:
        return self._inbox.due()

    def react(self) -> None:
        """One pass over what the events that are due touch. Raises StackmendError."""
        batch = self._inbox.take()
        if not batch.whole:
            if noisy := {t for t in self._tenants(batch) if self._cooling(t)}:
                seconds = max(self._noise[t].until for t in noisy) - self._clock()
                batch = self._inbox.give_back(
                    batch, seconds=seconds, only=lambda urns: not noisy.isdisjoint(self._tenants_of(urns))
                )
            if not batch.urns:
                return
        self._pass(batch, self._scope(batch), by_clock=False)

    def _pass(self, batch: Batch, scope: Scope, *, by_clock: bool) -> None:
        if not by_clock:
            log.info(
                "events",
                changes=len(batch.event_ids),
                surplus=batch.surplus,
                look_at=len(scope.urns) if scope.urns is not None else "everything",
                why=batch.whole,
            )
        try:
            done = self._cycle.repair(
                progress=self._progress, scope=scope, who=batch.who, new_period=by_clock, events=batch.event_ids
            )
        except StackmendError:
            self._inbox.give_back(batch, seconds=RETRY_SECONDS)
            raise
        except BaseException:
            # Nobody knows what was dealt with: the messages stay in the queue, for the next process.
            self._receiver.stop()
            raise
        self._inbox.know(Resolver.of(done.scan, self._inbox.resolver))
        self._inbox.done(batch)
        self._receiver.delete(batch.receipts)
        if not by_clock:
            self._note(batch, done)
        self._told(done)

    def stop(self) -> None:
        self._receiver.stop()

    def _scope(self, batch: Batch) -> Scope:
        resolver = self._inbox.resolver
        if batch.whole or resolver is None or len(batch.urns) > WHOLE_SHARE * len(resolver.declared.resources):
            return WHOLE
        return Scope(urns=batch.urns)

    # --- noise ---------------------------------------------------------------------------------------------

    def _tenants(self, batch: Batch) -> set[str | None]:
        return self._tenants_of(batch.urns)

    def _tenants_of(self, urns: frozenset[Urn]) -> set[str | None]:
        resources = self._inbox.resolver.declared.resources if self._inbox.resolver else {}
        return {r.tenant for u in urns if (r := resources.get(u))}

    def _cooling(self, tenant: str | None) -> bool:
        noise = self._noise.get(tenant)
        return noise is not None and noise.until > self._clock()

    def _note(self, batch: Batch, done: Pass) -> None:
        """A tenant whose events show nothing new waits longer and longer; others are not slowed down by it."""
        now = self._clock()
        for tenant in self._tenants(batch):
            failing = frozenset(f.id for f in done.scan.failing if f.tenant == tenant)
            before = self._noise.get(tenant)
            calm = before is None or now - before.until > QUIET_SECONDS
            fruitless = 0
            if not failing or (before is not None and failing == before.failing):
                fruitless = 1 if calm or before is None else before.fruitless + 1
            # The first looks are free: most events are one change, seen at once.
            pause = min(LONGEST_COOL_OFF, self._cool_off * 2.0 ** (fruitless - 3)) if fruitless >= 3 else 0.0
            self._noise[tenant] = _Noise(failing, fruitless, now + pause)

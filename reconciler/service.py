"""The reconciler as a service: a pass at every tick, and in between whenever an event says so, until told to stop.

A tick that fails is logged and the next one comes all the same; a tick finds the cell paused or held by another
reconciler and does nothing. SIGTERM and SIGINT let the pass in progress end, then the service ends.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from queue import Empty, SimpleQueue
from types import FrameType
from typing import Protocol, Self

import schedule
import structlog

from reconciler.errors import StackmendError

log = structlog.get_logger(__name__)


class Events(Protocol):
    """What the service needs of the events between two ticks."""

    def wake_by(self, wake: Callable[[], None]) -> None:
        """Call ``wake``, from any thread, when one has come."""

    def due(self) -> float | None:
        """Seconds until one should be dealt with; None while there is none."""

    def react(self) -> None:
        """Deal with what is due."""


class Service:
    """Runs ``tick`` every ``seconds`` on the calling thread; the first tick is at once.

    ``events`` are dealt with on the same thread, so that no two passes overlap.
    """

    def __init__(self, tick: Callable[[], object], seconds: float, events: Events | None = None) -> None:
        self._tick, self._events = tick, events
        self._seconds = max(1.0, seconds)
        self._scheduler = schedule.Scheduler()
        self._scheduler.every(max(1, round(seconds))).seconds.do(self._guarded, tick)
        self._stopped = False
        # The one primitive that a signal handler may use while the interrupted code is inside it.
        self._wakes: SimpleQueue[None] = SimpleQueue()
        if events is not None:
            events.wake_by(self.wake)

    def run(self, *, passes: int | None = None) -> int:
        """Run until ``stop`` is called, a signal comes, or ``passes`` ticks are done. Returns the number of ticks."""
        done = 0
        with _Signals(self.stop) as signals:
            while not self._stopped and (passes is None or done < passes):
                started = time.monotonic()
                self._scheduler.run_all()
                done += 1
                if passes is None or done < passes:
                    self._wait(started)
        if signals.received:
            log.info("stopped", signal=signals.received)
        return done

    def wake(self) -> None:
        """Look again whether an event is due. May be called from any thread."""
        self._wakes.put(None)

    def stop(self) -> None:
        """End after the pass in progress."""
        self._stopped = True
        self.wake()

    def _wait(self, started: float) -> None:
        """Until the next tick is due, dealing with events. The scheduler counts in wall-clock time, so a clock that is
        set back would make it sleep on; the monotonic clock bounds the wait."""
        while not self._stopped:
            left = min(self._scheduler.idle_seconds or 0.0, self._seconds - (time.monotonic() - started))
            if left <= 0:
                return
            due = self._events.due() if self._events else None
            if self._events and due is not None and due <= 0:
                self._guarded(self._events.react)
                continue
            with suppress(Empty):
                self._wakes.get(timeout=left if due is None else min(left, due))
                while True:
                    self._wakes.get_nowait()

    def _guarded(self, work: Callable[[], object]) -> None:
        try:
            work()
        except StackmendError as error:
            log.warning("tick failed", error=str(error), kind=type(error).__name__)


class _Signals:
    """Turns SIGTERM and SIGINT into a call, and puts the old handlers back afterwards."""

    def __init__(self, call: Callable[[], None]) -> None:
        self._call = call
        self._old: dict[int, object] = {}
        self.received = ""

    def __enter__(self) -> Self:
        if threading.current_thread() is not threading.main_thread():
            return self
        for number in (signal.SIGTERM, signal.SIGINT):
            self._old[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._old.items():
            signal.signal(number, handler)  # type: ignore[arg-type]

    def _handle(self, number: int, _: FrameType | None) -> None:
        # Nothing is logged here: the interrupted code may be in the middle of a log line, and hold its lock.
        self.received = signal.Signals(number).name
        self._call()

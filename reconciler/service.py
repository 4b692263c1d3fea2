"""The reconciler as a service: a pass at every tick, until it is told to stop.

A tick that fails is logged and the next one comes all the same; a tick finds the cell paused or held by another
reconciler and does nothing. SIGTERM and SIGINT let the pass in progress end, then the service ends.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable
from types import FrameType

import schedule
import structlog

from reconciler.errors import StackmendError

log = structlog.get_logger(__name__)


class Service:
    """Runs ``tick`` every ``seconds`` on the calling thread; the first tick is at once."""

    def __init__(self, tick: Callable[[], object], seconds: float) -> None:
        self._tick = tick
        self._seconds = max(1.0, seconds)
        self._scheduler = schedule.Scheduler()
        self._scheduler.every(max(1, round(seconds))).seconds.do(self._guarded)
        self._stop = threading.Event()

    def run(self, *, passes: int | None = None) -> int:
        """Run until ``stop`` is called, a signal comes, or ``passes`` ticks are done. Returns the number of ticks."""
        done = 0
        with _Signals(self.stop):
            while not self._stop.is_set() and (passes is None or done < passes):
                started = time.monotonic()
                self._scheduler.run_all()
                done += 1
                if passes is None or done < passes:
                    self._wait(started)
        return done

    def _wait(self, started: float) -> None:
        """Until the next tick is due. The scheduler counts in wall-clock time, so a clock that is set back would make
        it sleep on; the monotonic clock bounds the wait."""
        idle = self._scheduler.idle_seconds or 0.0
        left = self._seconds - (time.monotonic() - started)
        self._stop.wait(max(0.0, min(idle, left)))

    def stop(self) -> None:
        """End after the tick in progress."""
        self._stop.set()

    def _guarded(self) -> None:
        try:
            self._tick()
        except StackmendError as error:
            log.warning("tick failed", error=str(error), kind=type(error).__name__)


class _Signals:
    """Turns SIGTERM and SIGINT into a call, and puts the old handlers back afterwards."""

    def __init__(self, call: Callable[[], None]) -> None:
        self._call = call
        self._old: dict[int, object] = {}

    def __enter__(self) -> None:
        if threading.current_thread() is not threading.main_thread():
            return
        for number in (signal.SIGTERM, signal.SIGINT):
            self._old[number] = signal.signal(number, self._received)

    def __exit__(self, *_: object) -> None:
        for number, handler in self._old.items():
            signal.signal(number, handler)  # type: ignore[arg-type]

    def _received(self, number: int, _: FrameType | None) -> None:
        log.info("stopping after the pass in progress", signal=signal.Signals(number).name)
        self._call()

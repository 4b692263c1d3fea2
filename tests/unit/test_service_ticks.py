"""The service: ticks come, failures do not end them, and it stops when it is told to."""

from __future__ import annotations

import io
import os
import signal
import threading

import structlog

from reconciler import log
from reconciler.errors import StackmendError
from reconciler.service import Service


def test_the_first_tick_is_at_once_and_passes_bound_the_run() -> None:
    """With one pass asked for, the service ticks once without waiting for its interval."""
    ticks: list[int] = []
    assert Service(lambda: ticks.append(1), seconds=3600).run(passes=1) == 1
    assert ticks == [1]


def test_a_failing_tick_does_not_end_the_service() -> None:
    """A tick that finds the cell held by another reconciler is logged, and the next one comes all the same."""
    ticks: list[int] = []

    def tick() -> None:
        ticks.append(1)
        if len(ticks) == 1:
            raise StackmendError("held by another reconciler")

    assert Service(tick, seconds=1).run(passes=2) == 2
    assert len(ticks) == 2


def test_a_bug_in_a_tick_is_not_hidden() -> None:
    """An error that nobody foresaw ends the service instead of looping over it."""

    def tick() -> None:
        raise ZeroDivisionError

    try:
        Service(tick, seconds=1).run(passes=2)
    except ZeroDivisionError:
        return
    raise AssertionError("the error was swallowed")


def test_a_signal_lets_the_tick_in_progress_end() -> None:
    """F25: SIGTERM during a tick lets it finish, and no other tick begins."""
    finished: list[int] = []

    def tick() -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        finished.append(1)

    before = signal.getsignal(signal.SIGTERM)
    assert Service(tick, seconds=1).run() == 1
    assert finished == [1]
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_signal_in_the_middle_of_a_log_line_stops_the_service() -> None:
    """F25: SIGTERM that comes while the service writes a line of its log neither hangs it nor is lost."""

    class Interrupting(io.StringIO):
        def write(self, text: str) -> int:
            if "a line" in text:
                os.kill(os.getpid(), signal.SIGTERM)
            return super().write(text)

    before = structlog.get_config()
    log.configure(json=True, stream=Interrupting())
    try:
        assert Service(lambda: structlog.get_logger().info("a line"), seconds=3600).run() == 1
    finally:
        structlog.configure(**before)


def test_stop_wakes_a_waiting_service() -> None:
    """Told to stop from another thread, it does not sit out its interval."""
    ticked = threading.Event()
    service = Service(ticked.set, seconds=3600)
    thread = threading.Thread(target=service.run)
    thread.start()
    assert ticked.wait(30)
    service.stop()
    thread.join(30)
    assert not thread.is_alive()

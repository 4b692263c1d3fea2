"""Several processes on one world, one at a time: who runs is decided at steps, never by the operating system."""

from __future__ import annotations

import threading
from collections.abc import Callable

from simulator.world import Process, World


class Over(BaseException):
    """The history has ended; whoever still waits for a turn goes home."""


class Turns:
    """Hands the world to one process after the other. The first one runs on the caller's own thread."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._go: dict[Process, threading.Semaphore] = {}
        self._threads: list[threading.Thread] = []
        self._waiting: list[Process] = []
        self._over = False
        self.errors: list[BaseException] = []

    def start(self, process: Process, body: Callable[[], object]) -> None:
        """A further process, which runs as soon as it is given a turn."""
        self._go[process] = threading.Semaphore(0)
        self._waiting.append(process)

        def run() -> None:
            try:
                self._wait(process)
                body()
            except Over:
                pass
            except BaseException as error:  # noqa: BLE001 - raised again on the caller's thread by ``finish``
                self.errors.append(error)
            if not self._over:
                self._pass_on()

        thread = threading.Thread(target=run, daemon=True)
        self._threads.append(thread)
        thread.start()

    def switch(self) -> None:
        """Give the turn to whoever waits longest; returns when it comes back."""
        mine = self._world.running
        if mine is None or not self._waiting:
            return
        self._go.setdefault(mine, threading.Semaphore(0))
        self._waiting.append(mine)
        self._pass_on()
        self._wait(mine)

    def finish(self) -> None:
        """Let everybody else come to an end, and raise what went wrong there."""
        while self._waiting and not self.errors:
            self.switch()
        self._close()
        if self.errors:
            raise self.errors[0]

    def _close(self) -> None:
        self._over = True
        for process in self._waiting:
            self._go[process].release()
        for thread in self._threads:
            thread.join()

    def abandon(self) -> None:
        """The history failed: nobody gets another turn."""
        self._close()

    def _pass_on(self) -> None:
        if self._waiting:
            following = self._waiting.pop(0)
            self._go[following].release()

    def _wait(self, process: Process) -> None:
        self._go[process].acquire()
        if self._over:
            raise Over
        self._world.running = process

"""Makes the reads: many at once, all pages of each, and every way to fail turned into an answer that says so."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Collection, Iterable, Sequence
from functools import partial
from queue import Empty, SimpleQueue
from types import TracebackType
from typing import Any, Self

from botocore.exceptions import BotoCoreError, ClientError, DataNotFoundError, NoRegionError, ParamValidationError
from botocore.parsers import ResponseParserError

from reconciler.observe.clients import Clients
from reconciler.observe.pagination import IncompleteAnswer, follow, page_size
from reconciler.observe.reads import Answer, Failed, Missing, Read, Rows
from reconciler.observe.refusals import code_of, status_of

DEADLINE_SECONDS = 120.0
CONCURRENCY = 128

_BUGS = (ParamValidationError, DataNotFoundError, NoRegionError)
"""botocore's words for a read that was written down wrongly: these are raised, since no AWS can answer them."""


class Stream:
    """Reads that are made while others are still being asked for: the source of a look's answers.

    Not more than ``concurrency`` at once, and of one service not more than it bears at the moment, so that one that
    is throttled leaves the others their places. Listings go first: others wait for what they hold. Each read has
    ``deadline_seconds`` from when it is submitted. To be used in a ``with`` block, by one thread.
    """

    def __init__(
        self, clients: Clients, *, concurrency: int = CONCURRENCY, deadline_seconds: float = DEADLINE_SECONDS
    ) -> None:
        self._clients, self._most, self._seconds = clients, concurrency, deadline_seconds
        self._answers: SimpleQueue[tuple[Read, Answer | Exception]] = SimpleQueue()
        self._changed = threading.Condition()
        self._queues: dict[str, deque[tuple[Read, float]]] = {}
        self._busy: dict[str, int] = {}
        self._open = 0
        self._closed = False
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()

    def submit(self, reads: Sequence[Read]) -> None:
        deadline = time.monotonic() + self._seconds
        with self._changed:
            for read in reads:
                queue = self._queues.setdefault(read.service, deque())
                (queue.appendleft if read.target == "*" else queue.append)((read, deadline))
            self._open += len(reads)
            self._changed.notify(len(reads))
            missing = min(self._most, self._open) - len(self._threads)
        for _ in range(missing):
            thread = threading.Thread(target=self._work, name="read", daemon=True)
            try:
                thread.start()
            except RuntimeError:  # the system has no room for another; those that run make the reads
                if not self._threads:
                    raise
                break
            self._threads.append(thread)

    def take(self) -> Collection[tuple[Read, Answer]]:
        """Raises what a read raised that no AWS can answer."""
        found = [self._answers.get()]
        try:
            while True:
                found.append(self._answers.get_nowait())
        except Empty:
            pass
        self._open -= len(found)
        taken: list[tuple[Read, Answer]] = []
        for read, answer in found:
            if isinstance(answer, Exception):
                raise answer
            taken.append((read, answer))
        return taken

    def _work(self) -> None:
        done = None
        while (job := self._next(done)) is not None:
            read, deadline = job
            try:
                answer: Answer | Exception = _answer(read, self._clients, deadline)
            except Exception as error:  # noqa: BLE001 - raised again where it is taken
                answer = error
            self._answers.put((read, answer))
            done = read.service

    def _next(self, done: str | None) -> tuple[Read, float] | None:
        """The next read whose service has room, of which ``done`` has one place more now; the services take turns.

        None when the stream is closed.
        """
        with self._changed:
            if done is not None:
                self._busy[done] -= 1
            while not self._closed:
                for service, queue in self._queues.items():
                    busy = self._busy.get(service, 0)
                    if queue and busy < self._clients.limiter(service).allowed:
                        self._busy[service] = busy + 1
                        self._queues[service] = self._queues.pop(service)
                        return queue.popleft()
                # Room comes back with an answer, which its own worker sees; a limit also grows without one of ours.
                self._changed.wait(0.05 if any(self._queues.values()) else None)
        return None


def run(
    reads: Iterable[Read],
    clients: Clients,
    *,
    concurrency: int = CONCURRENCY,
    deadline_seconds: float = DEADLINE_SECONDS,
) -> dict[Read, Answer]:
    """Answer each distinct read once, in the order asked; what is not answered in time is Failed.

    Only a bug raises: a read whose parameters or names the API does not have.
    """
    wanted = tuple(dict.fromkeys(reads))
    found: dict[Read, Answer] = {}
    with Stream(clients, concurrency=concurrency, deadline_seconds=deadline_seconds) as stream:
        stream.submit(wanted)
        while len(found) < len(wanted):
            found.update(stream.take())
    return {read: found[read] for read in wanted}


def _answer(read: Read, clients: Clients, deadline: float) -> Answer:
    name = f"{read.service}:{read.operation}"
    try:
        name = f"{read.service}:{clients.wire(read.service).name(read.operation)}"
        paging = clients.paging(read.service, read.operation)
        params = {key: thaw(value) for key, value in read.params}
        if read.result:
            params |= page_size(name, paging, params)
        call = partial(clients.call, read.service, read.operation, deadline=deadline)
        return Rows(follow(call, params, result=read.result, paging=paging))
    except _BUGS:
        raise
    except ClientError as error:
        code, message = code_of(error), error.response.get("Error", {}).get("Message", "")
        said = f"{name} for {read.target}: {code}: {message}"
        return Missing(said) if code in read.absent and status_of(error) < 500 else Failed(said)
    except UnicodeError as error:  # half a character cannot be sent; the words of it cannot be shown either
        return Failed(f"{name} for {read.target!a}: {type(error).__name__}")
    except (BotoCoreError, ResponseParserError, IncompleteAnswer, TimeoutError) as error:
        return Failed(f"{name} for {read.target}: {type(error).__name__}: {error}")


def thaw(value: Any) -> Any:
    """A hashable parameter as botocore wants it: pairs of a name and a value are a structure, other tuples lists."""
    if not isinstance(value, tuple):
        return value
    if value and all(isinstance(part, tuple) and len(part) == 2 and isinstance(part[0], str) for part in value):
        return {key: thaw(part) for key, part in value}
    return [thaw(part) for part in value]

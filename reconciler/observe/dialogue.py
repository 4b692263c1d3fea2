"""Questions and answers: whoever asks gets its answer as soon as the last read it needs is there, and nobody waits.

An observer that needs more says so and is asked again when that has come. So follow-up reads start while the first
listings are still on their way, and verdicts are made while others are still being read.
"""

from __future__ import annotations

import traceback
from collections import deque
from collections.abc import Callable, Collection, Hashable, Iterable, Mapping, Sequence
from typing import Protocol, TypeAlias, TypeVar

import structlog

from reconciler.observe.reads import Answer, Answers, Failed, More, Read, Row, Rows

Ask: TypeAlias = Callable[[Iterable[Read]], Mapping[Read, Answer]]
"""Answers reads. Every read asked gets an answer."""

K = TypeVar("K", bound=Hashable)
T = TypeVar("T")

ROUNDS = 6
"""A fleet in need of repair takes five: who left, what isolates a server, an old version, status checks, the answer."""

log = structlog.get_logger(__name__)


class Source(Protocol):
    """Where answers come from."""

    def submit(self, reads: Sequence[Read]) -> None:
        """Begin to make these reads. None of them was submitted before."""

    def take(self) -> Collection[tuple[Read, Answer]]:
        """Answers that have come since; waits for one. Only called while something submitted has no answer."""


class Rounds:
    """A function that answers reads, as a source: what was submitted is asked all at once."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask
        self._submitted: list[Read] = []

    def submit(self, reads: Sequence[Read]) -> None:
        self._submitted += reads

    def take(self) -> Collection[tuple[Read, Answer]]:
        reads, self._submitted = self._submitted, []
        return self._ask(reads).items()


class Dialogue:
    """Asks what is asked for, each read once.

    ``scope`` names listings that are not read whole: their rows are put together from narrower reads.
    """

    def __init__(
        self,
        source: Source | Ask,
        *,
        claimed: Collection[str] = (),
        scope: Mapping[Read, tuple[Read, ...]] | None = None,
    ) -> None:
        self._source: Source = Rounds(source) if callable(source) else source
        self._scope = dict(scope or {})
        self._asked: dict[Read, None] = {}
        self._parts_left: dict[Read, int] = {}
        self._part_of: dict[Read, list[Read]] = {}
        self._waiting: dict[Read, list[Callable[[], None]]] = {}
        self.known: dict[Read, Answer] = {}
        self.answers = Answers(self.known, claimed=claimed)

    def failed(self) -> list[tuple[Read, Failed]]:
        """The reads that did not answer, in the order in which they were asked."""
        found = ((read, self.known.get(read)) for read in self._asked)
        return [(read, answer) for read, answer in found if isinstance(answer, Failed)]

    def fetch(self, reads: Iterable[Read]) -> None:
        """Make those of the reads that were not made yet, and wait for them."""
        wanted = list(dict.fromkeys(reads))
        self._ask(wanted)
        while any(read not in self.known for read in wanted):
            self._listen()

    def resolve(
        self,
        questions: Mapping[K, Callable[[Answers], T | More]],
        first: Mapping[K, Iterable[Read]] | None = None,
    ) -> dict[K, T | Failed]:
        """Put each question as soon as its ``first`` reads are there, read what it asks for, and put it again.

        It is put at most ROUNDS times. A question that raises has a bug: that is logged, and its answer is Failed
        like that of a failed read.
        """
        settled: dict[K, T | Failed] = {}
        puts = dict.fromkeys(questions, 0)
        ready: deque[K] = deque()
        for key in questions:
            self._when_known((first or {}).get(key, ()), ready, key)
        while len(settled) < len(questions):
            while ready:
                key = ready.popleft()
                result: T | More | Failed
                if puts[key] == ROUNDS:
                    result = Failed(f"it kept asking for {ROUNDS} rounds")
                else:
                    puts[key] += 1
                    result = self._put(key, questions[key])
                if isinstance(result, More):
                    self._when_known(result.reads, ready, key)
                else:
                    settled[key] = result
            if len(settled) < len(questions):
                self._listen()
        return {key: settled[key] for key in questions}

    def listed(self, what: str, find: Callable[[Answers], Iterable[T]]) -> list[T]:
        """What ``find`` finds; nothing if it crashes on an answer, which must not cost the whole look."""
        found = self._put(what, lambda answers: list(find(answers)))
        return found if isinstance(found, list) else []

    # --- asking and hearing --------------------------------------------------------------------------------

    def _when_known(self, reads: Iterable[Read], ready: deque[K], key: K) -> None:
        """Put ``key`` into ``ready`` once all of the reads are answered."""
        missing = [read for read in dict.fromkeys(reads) if read not in self.known]
        left = len(missing)
        if not left:
            ready.append(key)
            return

        def heard() -> None:
            nonlocal left
            left -= 1
            if not left:
                ready.append(key)

        for read in missing:
            self._waiting.setdefault(read, []).append(heard)
        self._ask(missing)

    def _ask(self, reads: Iterable[Read]) -> None:
        new: list[Read] = []
        for read in reads:
            if read in self.known or read in self._asked or read in self._parts_left:
                continue
            parts = self._scope.get(read)
            if parts is None:
                self._asked[read] = None
                new.append(read)
                continue
            missing = [part for part in dict.fromkeys(parts) if part not in self.known]
            self._parts_left[read] = len(missing)
            for part in missing:
                self._part_of.setdefault(part, []).append(read)
                if part not in self._asked:
                    self._asked[part] = None
                    new.append(part)
            if not missing:
                self._learn(read, self._composed(read))
        if new:
            self._source.submit(new)

    def _listen(self) -> None:
        for read, answer in self._source.take():
            self._learn(read, answer)

    def _learn(self, read: Read, answer: Answer) -> None:
        self.known[read] = answer
        for heard in self._waiting.pop(read, ()):
            heard()
        for whole in self._part_of.pop(read, ()):
            self._parts_left[whole] -= 1
            if not self._parts_left[whole]:
                self._learn(whole, self._composed(whole))

    def _composed(self, listing: Read) -> Answer:
        """The rows of all parts. What a part says is not there is no row; that it is gone is for others to prove."""
        rows: list[Row] = []
        for part in self._scope[listing]:
            answer = self.known[part]
            if isinstance(answer, Failed):
                return answer
            if isinstance(answer, Rows):
                rows += answer.rows
        return Rows(tuple(rows))

    def _put(self, key: object, question: Callable[[Answers], T | More]) -> T | More | Failed:
        try:
            return question(self.answers)
        except Exception as error:  # noqa: BLE001 - a plugin's bug must cost its own resource only, and be seen
            log.error("observer_crashed", urn=key, traceback=traceback.format_exc())
            return Failed(f"the observer crashed: {type(error).__name__}: {error}")

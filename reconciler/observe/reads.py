"""Reads as values: an observer says which reads it needs and what their answers mean; it never calls AWS itself.

Because a read is a value, all observers' reads of a cycle form one plan: equal reads are made once, in bulk where
AWS offers it, and any answer can be replaced by a failure in a test. Observers are pure functions.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar

from reconciler.model import DeclaredResource, ResourceKind, Value

T = TypeVar("T")

Row: TypeAlias = Mapping[str, Any]
"""One element of an AWS answer, in AWS's vocabulary."""


@dataclass(frozen=True, slots=True)
class Read:
    """One AWS read. ``params`` is hashable: a tuple of (name, value) with lists as tuples, structures as such a tuple.

    ``operation`` is boto3's name (``describe_vpcs``) or the API's (``DescribeVpcs``). ``result`` is the JMESPath of
    the list in the response whose elements are the rows (``Vpcs``, ``Reservations[].Instances[]``), followed over all
    pages; empty means the whole response is the only row. Where AWS leaves an empty list out, the path says so
    (``QueueUrls || `[]` ``). ``absent`` lists the error codes by which AWS says that
    just this thing does not exist; any other error is a failed read.
    """

    service: str
    operation: str
    result: str = ""
    params: tuple[tuple[str, Any], ...] = ()
    absent: frozenset[str] = frozenset()
    target: str = "*"
    """What is asked for, for people: a resource id, or ``*`` for a listing."""


@dataclass(frozen=True, slots=True)
class Rows:
    """A complete answer: every page was read."""

    rows: tuple[Row, ...]


@dataclass(frozen=True, slots=True)
class Missing:
    """Not there: AWS answered, and said so. ``how`` is the proof in words."""

    how: str


@dataclass(frozen=True, slots=True)
class Failed:
    """The read did not answer, or not completely. It proves nothing."""

    reason: str


@dataclass(frozen=True, slots=True)
class More:
    """These reads are needed before anything can be said."""

    reads: tuple[Read, ...]


FAILED = "stackmend:failed"
"""Key under which an observer's properties say, in AWS's words, that the resource failed for good; never a property."""

Answer: TypeAlias = Rows | Missing | Failed
Sight: TypeAlias = Mapping[str, Value] | Missing | Failed | More
"""What an observer makes of the answers: the properties, proven absence, nothing, or a further question."""


class Answers:
    """The answers so far. Asking for a read that was not made yields ``More`` for it, so observers ask as they go.

    ``claimed`` are the physical ids that the state already holds: ``locate`` must not find one of those.
    ``unanswered`` collects what was asked in vain, for those that cannot return ``More`` (``owned``).
    """

    def __init__(self, answers: Mapping[Read, Answer], *, claimed: Collection[str] = ()) -> None:
        self._answers = answers
        self._indexes: dict[tuple[Read, str], dict[Any, Row]] = {}
        self._derived: dict[tuple[Read, Any], Any] = {}
        self.claimed = frozenset(claimed)
        self.unanswered: dict[Read, None] = {}

    def get(self, read: Read) -> Answer | More:
        answer = self._answers.get(read)
        if answer is None:
            self.unanswered[read] = None
            return More((read,))
        return answer

    def one(self, read: Read) -> Row | Missing | Failed | More:
        """The single row of a direct read; an empty answer is ``Missing`` only if AWS has no other word for it."""
        answer = self.get(read)
        if isinstance(answer, Rows):
            if not answer.rows:
                if read.absent:
                    return Failed(
                        f"{read.service}:{read.operation} answered nothing for {read.target}, not even that it is gone"
                    )
                return Missing(f"{read.service}:{read.operation} answered nothing for {read.target}")
            return answer.rows[0]
        return answer

    def find(self, listing: Read, key: str, value: Any, *, direct: Read) -> Row | Missing | Failed | More:
        """The row of ``listing`` whose ``key`` is ``value``.

        A row that a complete listing lacks is asked for by ``direct`` before it counts as missing: an empty or
        truncated listing is no proof. A failed listing is a failure, whatever else is known.
        """
        answer = self.get(listing)
        if not isinstance(answer, Rows):
            return answer
        index = self._indexes.get((listing, key))
        if index is None:
            index = self._indexes[listing, key] = {row[key]: row for row in answer.rows if key in row}
        row = index.get(value)
        return row if row is not None else self.one(direct)

    def derived(self, read: Read, make: Callable[[tuple[Row, ...]], T]) -> T | Missing | Failed | More:
        """What ``make``, a function with a name of its own, makes of a complete answer; made once in a look.

        For what many resources look up in one listing: going through it for each of them would cost its square.
        """
        answer = self.get(read)
        if not isinstance(answer, Rows):
            return answer
        key = (read, make)
        if key not in self._derived:
            self._derived[key] = make(answer.rows)
        found: T = self._derived[key]
        return found


@dataclass(frozen=True, slots=True)
class Owned:
    """A live resource found in a listing, with its tags, whether declared or not."""

    id: str
    tags: Mapping[str, str]
    network: str = ""
    """The id of the network it is in, as AWS says."""
    physical_name: str = ""
    """The name that AWS knows it by, if it has one beside its id."""


@dataclass(frozen=True, slots=True)
class Observer:
    """How one resource type is seen. One of these per type is all that observation needs.

    ``reads`` names the bulk listings and per-resource reads for a declared resource; ``see`` turns their answers into
    properties in Pulumi's vocabulary (all the type's inputs it can see, declared or not) and may ask for more.
    ``locate`` finds the physical id of a resource whose create was cut off, from its inputs; ``owned`` lists what
    carries tags in the listings, to find strays. ``permissions`` are the IAM actions of all these reads.
    """

    kind: ResourceKind
    reads: Callable[[DeclaredResource], tuple[Read, ...]]
    see: Callable[[DeclaredResource, Answers], Sight]
    permissions: tuple[str, ...]
    locate: Callable[[DeclaredResource, Answers], str | Missing | Failed | More] | None = None
    owned: Callable[[Answers], Iterable[Owned]] | None = None

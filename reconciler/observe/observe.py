"""Looks at everything declared, and says PRESENT, ABSENT or UNKNOWN of each; nothing that fails here becomes a verdict.

The reads of all resources form one plan, made in rounds: what every observer needs first, then what their answers
made them ask. Equal reads are made once.
"""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TypeAlias, TypeVar

import structlog

from reconciler.errors import WrongAccount
from reconciler.model import (
    Declared,
    DeclaredResource,
    FailedRead,
    Fleet,
    Observed,
    ObservedResource,
    Path,
    Presence,
    Span,
    Stray,
    Unreadable,
    Urn,
)
from reconciler.observe import executor
from reconciler.observe.aws import fleet
from reconciler.observe.by_refresh import see_by_refresh
from reconciler.observe.clients import Clients
from reconciler.observe.reads import FAILED, Answer, Answers, Failed, Missing, More, Observer, Read, Sight
from reconciler.observe.registry import OBSERVERS
from reconciler.observe.tags import strays
from reconciler.observe.unmanaged import unmanaged
from reconciler.ports import Refresh

Ask: TypeAlias = Callable[[Iterable[Read]], Mapping[Read, Answer]]
"""Answers reads. Every read asked gets an answer; ``executor.run`` is the real one."""

FleetSight: TypeAlias = Fleet | Missing | Failed | More

K = TypeVar("K", bound=Hashable)
T = TypeVar("T")

ROUNDS = 4
ALARM = "aws:cloudwatch/metricAlarm:MetricAlarm"

log = structlog.get_logger(__name__)


def observe(
    declared: Declared,
    clients: Clients | Ask,
    *,
    only: Collection[Urn] | None = None,
    observers: Mapping[str, Observer] = OBSERVERS,
    refresh: Refresh | None = None,
    fresh: timedelta = timedelta(0),
) -> Observed:
    """One look at everything declared, or at ``only`` these resources (and then not for strays).

    ``clients`` are real ones, whose account is verified before anything is read, or a function that answers reads.
    Types that ``observers`` lacks are seen through ``refresh``. What was created less than ``fresh`` ago and is not
    found is UNKNOWN: AWS may not show it yet (F08).
    Raises WrongAccount and AccountUnverified; any other failure to read is UNKNOWN in what it returns.
    """
    at, began = datetime.now(UTC), time.monotonic()
    wanted = [r for r in declared.resources.values() if only is None or r.urn in only]
    ask, calls = _asking(declared, clients)
    talk = Dialogue(ask, claimed={r.id for r in declared.resources.values() if r.id})

    seen = {r.urn: (r, o) for r in wanted if r.id and (o := observers.get(r.type)) is not None}
    groups = {r.urn: r for r in wanted if r.id and r.type == fleet.GROUP and r.type in observers}
    talk.fetch(read for r, o in seen.values() for read in o.reads(r))
    talk.fetch(read for r in groups.values() for read in fleet.reads(r))
    sights: Mapping[Urn, Sight] = talk.resolve({urn: partial(o.see, r) for urn, (r, o) in seen.items()})
    fleets: Mapping[Urn, FleetSight] = talk.resolve({urn: partial(fleet.see, r) for urn, r in groups.items()})

    resources = {r.urn: _observed(r, sights.get(r.urn)) for r in wanted}
    members = {m.instance_id for one in fleets.values() if isinstance(one, Fleet) for m in one.members}
    found_strays = _strays(declared, observers, talk, members) if only is None else ()
    spans = {Path.BULK: Span(at, time.monotonic() - began)}
    blind = [r for r in wanted if r.id and r.type not in observers]
    if refresh is not None and blind:
        then = datetime.now(UTC), time.monotonic()
        resources |= see_by_refresh(blind, refresh)
        spans[Path.REFRESH] = Span(then[0], time.monotonic() - then[1])
    resources |= {r.urn: _too_fresh(resources[r.urn]) for r in wanted if _is_fresh(r, at, fresh)}
    return Observed(
        resources=resources,
        fleets={urn: found for urn, sight in fleets.items() if (found := _fleet(sight)) is not None},
        alarms=dict(_alarms(wanted, resources)),
        strays=found_strays,
        at=at,
        calls=calls(),
        failed=tuple(
            FailedRead(read.service, read.operation, read.target, answer.reason)
            for read, answer in talk.known.items()
            if isinstance(answer, Failed)
        ),
        spans=spans,
    )


def locate_pending(
    declared: Declared, clients: Clients | Ask, *, observers: Mapping[str, Observer] = OBSERVERS
) -> dict[Urn, str | Failed]:
    """The physical ids of what a killed update was creating.

    A URN that is not in the answer was not created, or its type cannot be located. Failed says that it cannot be
    told: creating it again may make a second one. Raises as ``observe``.
    """
    pending = {
        operation.resource.urn: (operation.resource, locate)
        for operation in declared.pending
        if operation.kind == "creating"
        and (observer := observers.get(operation.resource.type)) is not None
        and (locate := observer.locate) is not None
    }
    if not pending:
        return {}
    ask, _ = _asking(declared, clients)
    # What left the state may have been created again since, under the natural key and so the id that it had.
    lost = {change.urn for change in declared.tampered if not change.property and change.now is None}
    claimed = {r.id for urn, r in declared.resources.items() if r.id and urn not in lost}
    talk = Dialogue(ask, claimed=claimed)
    found = talk.resolve({urn: partial(locate, resource) for urn, (resource, locate) in pending.items()})
    return {urn: one for urn, one in found.items() if isinstance(one, str | Failed)}


class Dialogue:
    """Questions and answers: asks what is asked for, in as few rounds as the questions allow."""

    def __init__(self, ask: Ask, *, claimed: Collection[str] = ()) -> None:
        self._ask = ask
        self.known: dict[Read, Answer] = {}
        self.answers = Answers(self.known, claimed=claimed)

    def fetch(self, reads: Iterable[Read]) -> None:
        """Make those of the reads that were not made yet."""
        new = [read for read in dict.fromkeys(reads) if read not in self.known]
        if new:
            self.known.update(self._ask(new))

    def resolve(self, questions: Mapping[K, Callable[[Answers], T | More]]) -> dict[K, T | Failed]:
        """Put each question, read what it asks for, and put it again, at most ROUNDS times.

        A question that raises has a bug: that is logged, and its answer is Failed like that of a failed read.
        """
        settled: dict[K, T | Failed] = {}
        open_ = dict(questions)
        for _ in range(ROUNDS):
            asked: list[Read] = []
            for key, question in list(open_.items()):
                result = self._put(key, question)
                if isinstance(result, More):
                    asked += result.reads
                else:
                    settled[key] = result
                    del open_[key]
            if not open_:
                break
            self.fetch(asked)
        return {key: settled.get(key, Failed(f"it kept asking for {ROUNDS} rounds")) for key in questions}

    def listed(self, what: str, find: Callable[[Answers], Iterable[T]]) -> list[T]:
        """What ``find`` finds; nothing if it crashes on an answer, which must not cost the whole look."""
        found = self._put(what, lambda answers: list(find(answers)))
        return found if isinstance(found, list) else []

    def _put(self, key: object, question: Callable[[Answers], T | More]) -> T | More | Failed:
        try:
            return question(self.answers)
        except Exception as error:  # noqa: BLE001 - a plugin's bug must cost its own resource only, and be seen
            log.error("observer_crashed", urn=key, traceback=traceback.format_exc())
            return Failed(f"the observer crashed: {type(error).__name__}: {error}")


def _asking(declared: Declared, clients: Clients | Ask) -> tuple[Ask, Callable[[], int]]:
    """How to ask, and how many calls that took. Nothing is asked of an account that was not verified."""
    if not isinstance(clients, Clients):
        return clients, lambda: 0
    if clients.account != declared.account or clients.region != declared.region:
        raise WrongAccount(
            f"the stack is in {declared.account} {declared.region}, the clients in {clients.account} {clients.region}; "
            "nothing was read",
            where=declared.cell,
        )
    before = clients.calls
    clients.verify_account()
    return partial(executor.run, clients=clients), lambda: clients.calls - before


def _observed(resource: DeclaredResource, sight: Sight | None) -> ObservedResource:
    match sight:
        case Missing(how):
            return ObservedResource(resource.urn, Presence.ABSENT, reason=how)
        case Failed(reason):
            return ObservedResource(resource.urn, Presence.UNKNOWN, reason=reason)
        case Mapping():
            properties = {name: value for name, value in sight.items() if name != FAILED}
            failed = str(sight.get(FAILED) or "")
            return ObservedResource(resource.urn, Presence.PRESENT, properties, failed=failed)
        case _:
            reason = f"no observer for type {resource.type}" if resource.id else "it has no physical id yet"
            return ObservedResource(resource.urn, Presence.UNKNOWN, reason=reason)


def _is_fresh(resource: DeclaredResource, at: datetime, fresh: timedelta) -> bool:
    """The engine may run on a machine whose clock is a little ahead; one that is far ahead makes nothing fresh."""
    return resource.created is not None and abs(at - resource.created) < fresh


def _too_fresh(seen: ObservedResource) -> ObservedResource:
    """Only absence is doubted: that something is there is believed at once, whatever its properties are."""
    if seen.presence is not Presence.ABSENT:
        return seen
    return replace(
        seen, presence=Presence.UNKNOWN, reason=f"created a moment ago, too fresh to be judged missing ({seen.reason})"
    )


def _fleet(sight: FleetSight) -> Fleet | Unreadable | None:
    """A fleet, or why it is unknown; none if its group does not exist, which is the group's own finding."""
    if isinstance(sight, Failed):
        return Unreadable(sight.reason)
    return sight if isinstance(sight, Fleet) else None


def _alarms(
    wanted: Iterable[DeclaredResource], resources: Mapping[Urn, ObservedResource]
) -> Iterator[tuple[Urn, str | Unreadable]]:
    for resource in wanted:
        if resource.type == ALARM:
            seen = resources[resource.urn]
            state = seen.properties.get("stateValue")
            if seen.presence is Presence.UNKNOWN:
                yield resource.urn, Unreadable(seen.reason)
            elif isinstance(state, str | Unreadable):
                yield resource.urn, state


def _strays(
    declared: Declared, observers: Mapping[str, Observer], talk: Dialogue, members: Collection[str]
) -> tuple[Stray, ...]:
    """What carries this cell's tag or is inside its networks, and is not in its state, of every type with a listing."""
    owners = {type_: observer.owned for type_, observer in observers.items() if observer.owned is not None}
    for _ in range(ROUNDS):
        talk.answers.unanswered.clear()
        found = {type_: talk.listed(type_, owned) for type_, owned in owners.items()}
        inside = talk.listed("unmanaged", lambda answers: unmanaged(declared, answers, members))
        if not talk.answers.unanswered:
            break
        talk.fetch(list(talk.answers.unanswered))
    tagged = [s for type_, ones in found.items() for s in strays(declared, type_, ones, talk.answers.claimed)]
    # What says itself that it is this cell's is reported as that, and once.
    every = {(s.type, s.id): s for s in (*inside, *tagged)}
    return tuple(every[key] for key in sorted(every))

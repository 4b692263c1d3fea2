"""Looks at everything declared, and says PRESENT, ABSENT or UNKNOWN of each; nothing that fails here becomes a verdict.

The reads of all resources form one plan: what every observer needs first, then at once what the answers made it ask.
Equal reads are made once. A look at some resources reads narrowly; only a whole listing proves that one is gone.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, TypeAlias

from reconciler.errors import WrongAccount
from reconciler.model import (
    GROUP,
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
from reconciler.observe.dialogue import ROUNDS, Ask, Dialogue, Source
from reconciler.observe.reads import FAILED, Answers, Failed, Missing, More, Observer, Read, Sight
from reconciler.observe.registry import OBSERVERS
from reconciler.observe.scope import scope
from reconciler.observe.tags import strays
from reconciler.observe.unmanaged import unmanaged
from reconciler.ports import Refresh

FleetSight: TypeAlias = Fleet | Missing | Failed | More

ALARM = "aws:cloudwatch/metricAlarm:MetricAlarm"


def observe(
    declared: Declared,
    clients: Clients | Ask,
    *,
    only: Collection[Urn] | None = None,
    observers: Mapping[str, Observer] = OBSERVERS,
    refresh: Refresh | None = None,
    fresh: timedelta = timedelta(0),
    narrow: bool = False,
) -> Observed:
    """One look at everything declared, or at ``only`` these resources (and then not for strays).

    ``clients`` are real ones, whose account is verified before anything is read, or a function that answers reads;
    ``narrow`` says that it answers narrowed listings as well, which real clients always do.
    Types that ``observers`` lacks, and what is in another region or account, are seen through ``refresh``. What was
    created less than ``fresh`` ago and is not found is UNKNOWN: AWS may not show it yet (F08).
    Raises WrongAccount and AccountUnverified; any other failure to read is UNKNOWN in what it returns.
    """
    at, began = datetime.now(UTC), time.monotonic()
    wanted = [r for r in declared.resources.values() if only is None or r.urn in only]
    away = {r.urn: where for r in wanted if (where := declared.elsewhere(r))}
    here = [r for r in wanted if r.urn not in away]
    claimed = {r.id for r in declared.resources.values() if r.id}
    with _asking(declared, clients) as (source, calls):
        parts = scope(here) if only is not None and (narrow or isinstance(clients, Clients)) else {}
        talk = Dialogue(source, claimed=claimed, scope=parts)
        sights, fleets = _look(talk, here, observers)
        failed = dict(talk.failed())
        if parts and (gone := [r for r in here if isinstance(sights.get(r.urn), Missing)]):
            # What narrow reads do not show is looked for in the whole listings before it counts as absent.
            talk = Dialogue(source, claimed=claimed)
            whole = _look(talk, gone, observers)
            sights, fleets = {**sights, **whole[0]}, {**fleets, **whole[1]}
            failed |= dict(talk.failed())
        resources = {r.urn: _observed(r, sights.get(r.urn), away.get(r.urn, "")) for r in wanted}
        members = {m.instance_id for one in fleets.values() if isinstance(one, Fleet) for m in one.members}
        found_strays = _strays(declared, observers, talk, members) if only is None else ()
        failed |= dict(talk.failed())
    spans = {Path.BULK: Span(at, time.monotonic() - began)}
    blind = [r for r in wanted if r.id and (r.type not in observers or r.urn in away)]
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
            FailedRead(read.service, read.operation, read.target, answer.reason) for read, answer in failed.items()
        ),
        spans=spans,
    )


def _look(
    talk: Dialogue, wanted: Iterable[DeclaredResource], observers: Mapping[str, Observer]
) -> tuple[Mapping[Urn, Sight], Mapping[Urn, FleetSight]]:
    """What the observers make of the resources, and of the servers in those that are groups."""
    seen = {r.urn: (r, o) for r in wanted if r.id and (o := observers.get(r.type)) is not None}
    questions: dict[tuple[str, Urn], Callable[[Answers], Sight | FleetSight]] = {}
    first: dict[tuple[str, Urn], Iterable[Read]] = {}
    for urn, (resource, observer) in seen.items():
        questions["see", urn], first["see", urn] = partial(observer.see, resource), observer.reads(resource)
        if resource.type == GROUP:
            questions["fleet", urn], first["fleet", urn] = partial(fleet.see, resource), fleet.reads(resource)
    settled: Mapping[tuple[str, Urn], Any] = talk.resolve(questions, first)
    of = {kind: {urn: found for (k, urn), found in settled.items() if k == kind} for kind in ("see", "fleet")}
    return of["see"], of["fleet"]


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
    # Where the cell is read, what is somewhere else is not there, and that says nothing.
    away = {u: Failed(f"it is in {where}") for u, (r, _) in pending.items() if (where := declared.elsewhere(r))}
    pending = {u: one for u, one in pending.items() if u not in away}
    if not pending:
        return dict(away)
    # What left the state may have been created again since, under the natural key and so the id that it had.
    lost = {change.urn for change in declared.tampered if not change.property and change.now is None}
    claimed = {r.id for urn, r in declared.resources.items() if r.id and urn not in lost}
    with _asking(declared, clients) as (source, _):
        talk = Dialogue(source, claimed=claimed)
        found = talk.resolve({urn: partial(locate, resource) for urn, (resource, locate) in pending.items()})
    return {**away, **{urn: one for urn, one in found.items() if isinstance(one, str | Failed)}}


@contextmanager
def _asking(declared: Declared, clients: Clients | Ask) -> Iterator[tuple[Source | Ask, Callable[[], int]]]:
    """What answers, and how many calls that took. Nothing is asked of an account that was not verified."""
    if not isinstance(clients, Clients):
        yield clients, lambda: 0
        return
    if clients.account != declared.account or clients.region != declared.region:
        raise WrongAccount(
            f"the stack is in {declared.account} {declared.region}, the clients in {clients.account} {clients.region}; "
            "nothing was read",
            where=declared.cell,
        )
    before = clients.calls
    clients.verify_account()
    with executor.Stream(clients, concurrency=clients.connections) as stream:
        yield stream, lambda: clients.calls - before


def _observed(resource: DeclaredResource, sight: Sight | None, away: str) -> ObservedResource:
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
            if away and resource.id:
                reason = f"it is in {away}, which is not where the cell is read"
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

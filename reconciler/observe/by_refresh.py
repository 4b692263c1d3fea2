"""Sees the types that have no observer through the engine: a preview of a refresh, of exactly those resources.

Every provider can read and compare what it made, so nothing declared is invisible. It is slower, and the engine stops
at the first resource that cannot be read, so what it did not get to is asked for again without that one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from reconciler.errors import StackmendError
from reconciler.model import DeclaredResource, ObservedResource, Path, Presence, Refreshed, Unreadable, Urn, Value
from reconciler.ports import Refresh

ROUNDS = 4
_LONGEST_REASON = 500


def see_by_refresh(resources: Sequence[DeclaredResource], refresh: Refresh) -> dict[Urn, ObservedResource]:
    """PRESENT, ABSENT or UNKNOWN of each resource; an engine that fails makes UNKNOWN what it did not answer for."""
    answers: dict[Urn, Refreshed | Unreadable] = {}
    why = "the engine said nothing of it"
    for _ in range(ROUNDS):
        left = [r.urn for r in resources if r.urn not in answers]
        if not left:
            break
        try:
            found = refresh(left)
        except (StackmendError, OSError) as error:
            why = f"the engine could not look: {_line(error)}"
            break
        answers.update(found)
        if not found:
            break
    return {r.urn: _observed(r, answers.get(r.urn, Unreadable(why))) for r in resources}


def _observed(resource: DeclaredResource, answer: Refreshed | Unreadable) -> ObservedResource:
    if isinstance(answer, Unreadable):
        return _unknown(resource, _line(answer.reason))
    if answer.id != resource.id:
        return _unknown(resource, f"the state changed meanwhile: it says {answer.id} instead of {resource.id}")
    if not answer.exists:
        how = f"its provider finds no {resource.type} {resource.id}"
        return ObservedResource(resource.urn, Presence.ABSENT, reason=how, path=Path.REFRESH)
    if answer.partial:
        return _unknown(resource, f"its provider could read it only in part: {_line(answer.partial)}")
    if answer.changed is None:
        return _unknown(resource, "its provider says that it is not as declared, but not in what")
    return ObservedResource(
        resource.urn,
        Presence.PRESENT,
        _properties(resource.inputs, answer, answer.changed),
        path=Path.REFRESH,
        differing=answer.changed & resource.inputs.keys(),
    )


def _properties(declared: Mapping[str, Value], answer: Refreshed, changed: frozenset[str]) -> dict[str, Value]:
    """The live values; what the provider calls equal to a declared value keeps the declared spelling.

    The provider compares with the inputs in the state. Where those are not what was declared, live values count.
    """
    live = {**answer.inputs, **answer.outputs}
    properties: dict[str, Value] = {name: live.get(name) for name in {*live, *declared}}
    for name, value in declared.items():
        if name not in changed and name in answer.before and answer.before[name] == value:
            properties[name] = value
    return properties


def _unknown(resource: DeclaredResource, reason: str) -> ObservedResource:
    return ObservedResource(resource.urn, Presence.UNKNOWN, reason=reason, path=Path.REFRESH)


def _line(words: object) -> str:
    """An error as one line that is not too long."""
    text = " ".join(str(words).split())
    return text if len(text) <= _LONGEST_REASON else text[: _LONGEST_REASON - 3] + "..."

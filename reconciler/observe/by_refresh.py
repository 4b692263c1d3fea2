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
_TAGS, _ALL_TAGS = "tags", "tagsAll"


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
        differing=_differing(resource.inputs, answer.changed),
    )


def _differing(declared: Mapping[str, Value], changed: frozenset[str]) -> frozenset[str]:
    """The declared properties that the provider calls different; default tags are tags."""
    found = changed & declared.keys()
    return found - {_ALL_TAGS} | {_TAGS} if _ALL_TAGS in found else found


def _properties(declared: Mapping[str, Value], answer: Refreshed, changed: frozenset[str]) -> dict[str, Value]:
    """The live values; what the provider calls equal to a declared value keeps the declared spelling.

    The provider compares with the inputs in the state. Where those are not what was declared, live values count.
    ``tags`` are all that the resource has, as AWS answers them: version 7 keeps the provider's default tags apart, in
    ``tagsAll``, and no version says which of the two differs.
    """
    live = {**answer.inputs, **answer.outputs}
    properties: dict[str, Value] = {name: live.get(name) for name in {*live, *declared}}
    same = {n for n, v in declared.items() if n not in changed and n in answer.before and answer.before[n] == v}
    tags = {_TAGS, _ALL_TAGS}
    if changed & tags or not same.issuperset(tags & declared.keys()):
        same -= tags
    properties |= {name: declared[name] for name in same}
    own, every = properties.get(_TAGS), properties.get(_ALL_TAGS)
    if isinstance(every, Mapping) and (own is None or isinstance(own, Mapping)):
        properties[_TAGS] = {**every, **(own or {})}
    return properties


def _unknown(resource: DeclaredResource, reason: str) -> ObservedResource:
    return ObservedResource(resource.urn, Presence.UNKNOWN, reason=reason, path=Path.REFRESH)


def _line(words: object) -> str:
    """An error as one line that is not too long."""
    text = " ".join(str(words).split())
    return text if len(text) <= _LONGEST_REASON else text[: _LONGEST_REASON - 3] + "..."

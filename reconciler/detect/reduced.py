"""What of a property counts: not what the program or its provider leaves to others.

A program says so by ``ignoreChanges``, a provider by ``ignoreTags``. Both sides of a comparison are reduced alike, so
that what is reported is only what counts. An element of a list that is left out stays in its place as nothing: how many
there are counts all the same, as it does for the engine.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from reconciler.model import DeclaredResource, ResourceKind, Value
from reconciler.model.paths import EVERY, PropertyPath

TAGS, ALL_TAGS = "tags", "tagsAll"


def reduction(kind: ResourceKind, resource: DeclaredResource, name: str) -> Callable[[Value], Value] | None:
    """What takes out of either side of a property what does not count; None if all of it does."""
    paths = resource.ignored_in(name)
    if name == TAGS:
        # All default tags may be left to others while the resource's own are not.
        paths += tuple(path for path in resource.ignored_in(ALL_TAGS) if path)
    tags = resource.ignored_tags if name == TAGS else None
    if not paths and not tags:
        return None

    def reduce(value: Value) -> Value:
        for path in paths:
            value = _without(kind, name, value, path)
        if tags and isinstance(value, Mapping):
            value = {key: one for key, one in value.items() if key not in tags}
        elif tags and isinstance(value, list | tuple):
            value = [one for one in value if not (isinstance(one, Mapping) and one.get("key") in tags)]
        return value

    return reduce


def _without(kind: ResourceKind, place: str, value: Value, path: PropertyPath) -> Value:
    first, rest = path[0], path[1:]
    if isinstance(value, Mapping):
        kept = {key: one for key, one in value.items() if rest or first not in (key, EVERY)}
        return {
            key: _without(kind, f"{place}.{key}", one, rest) if first in (key, EVERY) else one
            for key, one in kept.items()
        }
    if isinstance(value, list | tuple) and (first == EVERY or isinstance(first, int)):
        # In a set there is no telling which element it is.
        exact = isinstance(first, int) and kind.described and place not in kind.unordered and place != TAGS
        return [
            one if exact and n != first else _without(kind, f"{place}[]", one, rest) if rest else None
            for n, one in enumerate(value)
        ]
    return value

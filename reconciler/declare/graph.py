"""Who needs whom, among the declared resources."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping
from graphlib import CycleError, TopologicalSorter
from heapq import heappop, heappush

from reconciler.errors import StateError
from reconciler.model import Declared, DeclaredResource, Urn


class Graph:
    """The edges of one declared cell, gathered once; every question walks only what it reaches."""

    def __init__(self, declared: Declared) -> None:
        self._dependents: dict[Urn, set[Urn]] = defaultdict(set)
        self._users: dict[Urn, set[Urn]] = defaultdict(set)
        for urn, resource in declared.resources.items():
            for needed in _needed(resource):
                self._dependents[needed].add(urn)
            for referred in resource.references:
                self._users[referred].add(urn)

    def dependents(self, urns: Collection[Urn]) -> frozenset[Urn]:
        """All resources that need one of ``urns``, directly or not, without ``urns`` themselves."""
        return _reached(self._dependents, urns)

    def users(self, urns: Collection[Urn]) -> frozenset[Urn]:
        """All resources that hold a value of one of ``urns``, directly or through others; its id is in them."""
        return _reached(self._users, urns)


def order(declared: Declared) -> tuple[Urn, ...]:
    """All resources, each after what it needs, otherwise in the order they stand. Raises StateError for a circle."""
    position = {urn: i for i, urn in enumerate(declared.resources)}
    sorter = TopologicalSorter({urn: _needed(r) & declared.resources.keys() for urn, r in declared.resources.items()})
    try:
        sorter.prepare()
    except CycleError as error:
        raise StateError("the resources' dependencies go in a circle", where=declared.cell) from error
    placed: list[Urn] = []
    ready: list[tuple[int, Urn]] = []
    while sorter.is_active():
        for urn in sorter.get_ready():
            heappush(ready, (position[urn], urn))
        _, first = heappop(ready)
        placed.append(first)
        sorter.done(first)
    return tuple(placed)


def _needed(resource: DeclaredResource) -> frozenset[Urn]:
    parent = frozenset({resource.parent} if resource.parent else ())
    return (resource.dependencies | parent) - {resource.urn}


def _reached(edges: Mapping[Urn, Collection[Urn]], start: Collection[Urn]) -> frozenset[Urn]:
    found, frontier = set(start), list(start)
    while frontier:
        fresh = set(edges.get(frontier.pop(), ())) - found
        found |= fresh
        frontier += fresh
    return frozenset(found - set(start))

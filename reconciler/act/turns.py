"""In which order a plan's repairs are carried out, and which of them together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from reconciler.act.strategies import STRATEGIES
from reconciler.model import Repair, Status, Urn


def next_turn(waiting: Sequence[Repair], ended: Mapping[str, Status]) -> list[Repair]:
    """The repairs whose turn it is: all declarative ones that wait for nothing but each other, or else one other.

    What is to be done alone comes last, as far as nothing waits for it.

    Two repairs of one resource never have the same turn (I01).
    """
    batch: dict[Repair, None] = {}
    ready, taken = set(ended), set[Urn]()
    grew = True
    while grew:
        grew = False
        for repair in waiting:
            if repair in batch or repair.alone or not declarative(repair) or not taken.isdisjoint(repair.urns):
                continue
            if ready.issuperset(repair.after):
                batch[repair] = None
                ready.add(repair.id)
                taken.update(repair.urns)
                grew = True
    if batch:
        return list(batch)
    # A plan whose repairs wait for each other in a circle still ends: the first one is refused by ``do``.
    ordered = sorted(waiting, key=lambda r: r.alone)
    return [next((r for r in ordered if set(r.after) <= ended.keys()), waiting[0])]


def declarative(repair: Repair) -> bool:
    strategy = STRATEGIES.get(repair.strategy)
    return strategy is not None and strategy.declarative

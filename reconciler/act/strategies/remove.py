"""Remove an orphan of an interrupted update, after everything that spoke for it was seen once more.

The plan decided on two signs. Here, right before the one call that cannot be taken back, the resource itself is asked
again: it still says whose it is, it still is where AWS alone puts things, nobody declares it, and nothing uses it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from reconciler.act.aws_writes import RemovalWrites
from reconciler.act.removal import Row, removal_of
from reconciler.act.strategies.base import Strategy
from reconciler.act.tools import Ending, Tools
from reconciler.errors import RepairRefused
from reconciler.model import Declared, Repair, Status, Value
from tenancy.tags import CELL, TENANT

_NETWORK = "aws:ec2/vpc:Vpc"


def _run(repair: Repair, tools: Tools) -> Ending:
    if len(repair.members) != 1:
        raise RepairRefused("a removal concerns exactly one live resource", where=repair.id)
    (id_,) = repair.members
    removal = removal_of(id_)
    if removal is None:
        raise RepairRefused("this is nothing that may be removed", where=id_)
    writes = RemovalWrites(tools.aws, tools.journal, repair, removal)
    row = writes.look(id_)
    if row is None:
        return Ending(Status.HEALED, "it is gone already: nothing was written")
    for why in _objections(id_, row, writes.tags(id_, row), repair, tools.declared):
        raise RepairRefused("it is not removed", where=id_, why=why)
    for why in removal.uses(id_, row, writes.read):
        raise RepairRefused("it is in use", where=id_, why=why)
    tools.progress(repair, f"removing {id_}")
    writes.delete(id_)
    started = tools.clock()
    while writes.look(id_, deleted=True) is not None:
        if tools.clock() - started > tools.pace.patience:
            return Ending(Status.NOT_HEALED, "AWS took the call, but it is still there")
        tools.wait(tools.pace.poll)
    return Ending(Status.HEALED)


def _objections(id_: str, row: Row, tags: Mapping[str, str], repair: Repair, declared: Declared) -> Iterator[str]:
    if repair.tenant is None or tags.get(CELL) != declared.cell or tags.get(TENANT) != repair.tenant:
        yield "it does not say any more that it is this cell's and tenant's"
    networks = {r.id for r in declared.of(repair.tenant) if r.type == _NETWORK and r.id} if repair.tenant else set()
    if row.get("VpcId") and row["VpcId"] not in networks:
        yield "it is in a network that is not the tenant's"
    for resource in declared.resources.values():
        if resource.id == id_ or id_ in _texts(resource.inputs):
            yield f"{resource.name} is declared with it"


def _texts(value: Value) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for part in value.values():
            yield from _texts(part)
    elif isinstance(value, Sequence):
        for part in value:
            yield from _texts(part)


STRATEGY = Strategy(
    name="remove",
    does="deletes one resource that an interrupted update of this cell left behind and nothing uses",
    # Without ``preview``: no declared resource could be looked at again before it. ``run`` looks for itself.
    run=_run,
)

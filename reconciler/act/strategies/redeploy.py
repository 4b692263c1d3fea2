"""Replace a stateless resource that is beyond repair, as a unit with what hangs on it: made, cut over to, then retired.

The engine does it in one update: it creates the new ones in dependency order, updates what refers to them, and deletes
the old ones last. The plan names what may be replaced, and the safety check holds the engine to it.
"""

from __future__ import annotations

from reconciler.act.strategies.base import Strategy
from reconciler.act.tools import Tools
from reconciler.errors import RepairRefused
from reconciler.model import GROUP, Fleet, Repair

_BALANCER = "aws:lb/loadBalancer:LoadBalancer"
_TARGETS = "aws:lb/targetGroup:TargetGroup"


def _prepare(repair: Repair, tools: Tools) -> None:
    """Refuse to move servers that serve to a target group in which none of them is healthy yet (I07).

    Behind a load balancer that AWS calls failed nobody is served, whatever its target groups say.
    """
    types = {tools.declared.resources[u].type for u in repair.replaces if u in tools.declared.resources}
    if not repair.replaces:
        raise RepairRefused("it names nothing to replace", where=repair.id)
    if _BALANCER in types or _TARGETS not in types:
        return
    for urn in repair.urns:
        if tools.declared.resources[urn].type == GROUP:
            fleet = tools.fleet(urn)
            if not isinstance(fleet, Fleet):
                raise RepairRefused("the servers behind it cannot be seen now", where=urn, why=fleet.reason)
            if fleet.healthy:
                why = f"{len(fleet.healthy)} servers of {fleet.name} serve through it, and the new one begins empty"
                raise RepairRefused("it is not replaced while it serves", where=urn, why=why)


STRATEGY = Strategy(
    name="redeploy",
    does="replaces the named resources, the new ones first, and updates what refers to them",
    operations=frozenset({"create", "update"}),
    redeploys=True,
    prepare=_prepare,
)

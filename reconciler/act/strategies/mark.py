"""Say of a server that it was broken into: the tag that the next pass isolates it for. A person asks for it."""

from __future__ import annotations

import re

from reconciler.act.fleet import find
from reconciler.act.isolation import Isolation
from reconciler.act.strategies.base import Strategy
from reconciler.act.tools import Ending, Tools
from reconciler.errors import RepairRefused
from reconciler.model import Fleet, Repair, Status
from tenancy.tags import COMPROMISED

_NOT_IN_TAGS = re.compile(r"[^A-Za-z0-9 _.:/=+@-]+")


def _run(repair: Repair, tools: Tools) -> Ending:
    (urn,), (instance,) = repair.urns, repair.members
    fleet = tools.fleet(urn)
    if not isinstance(fleet, Fleet):
        raise RepairRefused("the fleet cannot be seen now", where=urn, why=fleet.reason)
    if tools.declared.resources[urn].tenant != repair.tenant or find(fleet, instance) is None:
        raise RepairRefused(f"{instance} is not a server of {fleet.name}", where=urn)
    server = Isolation(tools.aws, tools.journal, repair, fleet.name, instance, tools.declared.cell)
    server.mark(**{COMPROMISED: _NOT_IN_TAGS.sub("_", repair.reason)[:256] or "no reason given"})
    return Ending(Status.HEALED, f"{instance} is marked as compromised; the next pass isolates it")


STRATEGY = Strategy(
    name="mark",
    does="tags the named server as compromised, at a person's request",
    run=_run,
    permissions=("ec2:CreateTags",),
)

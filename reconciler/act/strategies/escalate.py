"""Hand over to a person: nothing is written."""

from __future__ import annotations

from reconciler.act.strategies.base import Strategy
from reconciler.act.tools import Ending, Tools
from reconciler.model import ESCALATE, Repair, Status


def _run(repair: Repair, tools: Tools) -> Ending:
    told = []
    for urn in repair.urns:
        resource = tools.declared.resources.get(urn)
        told.append(f"{resource.name} ({resource.type}, {resource.id})" if resource else str(urn))
    if not repair.urns:
        told += repair.members
    return Ending(Status.ESCALATED, f"{repair.reason}; a person should look at {', '.join(told)}")


STRATEGY = Strategy(name=ESCALATE, does="writes nothing; says what a person should look at", run=_run)

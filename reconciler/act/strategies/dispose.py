"""End isolated servers whose quarantine is over. Their snapshots stay: a person deletes those.

A tag is a claim that anybody with access can make, so it is not enough: only a server that is in no group, has nothing
but a security group without rules, and whose volumes all have finished snapshots, is ended.
"""

from __future__ import annotations

from datetime import datetime

from reconciler.act.isolation import Isolation
from reconciler.act.strategies.base import Strategy
from reconciler.act.tools import Ending, Tools
from reconciler.errors import RepairRefused
from reconciler.model import Fleet, Repair, Status
from tenancy.tags import KEEP_UNTIL, QUARANTINED_FROM


def _run(repair: Repair, tools: Tools) -> Ending:
    resource = tools.declared.resources.get(repair.urns[0]) if len(repair.urns) == 1 else None
    if resource is None or resource.tenant != repair.tenant:
        raise RepairRefused("it concerns no group of its tenant", where=repair.id)
    fleet = tools.fleet(resource.urn)
    if not isinstance(fleet, Fleet):
        raise RepairRefused("the fleet cannot be seen now", where=resource.urn, why=fleet.reason)
    ended: list[str] = []
    for instance in repair.members:
        server = Isolation(tools, repair, fleet.name, instance)
        if reason := _objection(server, fleet.name, tools.now()):
            before = f"; ended before: {', '.join(ended)}" if ended else ""
            return Ending(Status.REFUSED, f"{instance} stays: {reason}{before}")
        tools.progress(repair, f"{instance} has been kept long enough; it is terminated")
        server.terminate()
        ended.append(instance)
    return Ending(Status.HEALED)


def _objection(server: Isolation, group: str, now: datetime) -> str:
    """Why it may not be ended; empty if it may."""
    tags = server.tags()
    if tags.get(QUARANTINED_FROM) != group:
        return "no quarantine took it out of this group"
    try:
        until = datetime.fromisoformat(tags.get(KEEP_UNTIL, ""))
    except ValueError:
        return f"its tag {KEEP_UNTIL} is not a moment"
    if until.tzinfo is None or until > now:
        return f"it is to be kept until {until}"
    if server.in_a_group(or_leaving=True):
        return "a group has it"
    if not server.isolated():
        return "it is not cut off from the network, so it may be in use"
    there = server.snapshots()
    missing = [v["VolumeId"] for v in server.volumes() if there.get(v["VolumeId"], {}).get("State") != "completed"]
    return f"there is no finished snapshot of {', '.join(missing)}" if missing else ""


def _preview(repair: Repair, tools: Tools) -> str:
    del tools
    return f"terminate {', '.join(repair.members)}"


STRATEGY = Strategy(
    name="dispose",
    does="terminates isolated servers that have been kept as long as they were to be",
    run=_run,
    preview=_preview,
    permissions=(
        "autoscaling:DescribeAutoScalingInstances",
        "ec2:DescribeSnapshots",
        "ec2:DescribeVolumes",
        "ec2:TerminateInstances",
    ),
)

"""A group that is larger than declared, before the engine writes its size.

Told a smaller size, a group chooses by itself who leaves, and looks at zones, templates and age, not at health. So the
surplus servers leave one by one beforehand, those that serve nobody first, and never below the floor (I02).
https://docs.aws.amazon.com/autoscaling/ec2/userguide/ec2-auto-scaling-termination-policies.html
"""

from __future__ import annotations

from dataclasses import replace

from reconciler.act.steps import EnginePlan
from reconciler.act.strategies.rollout import Rollout
from reconciler.act.tools import Tools
from reconciler.errors import LeaseLost, RepairRefused, StackmendError
from reconciler.model import GROUP, Fleet, Repair, Unreadable, Urn, Verdict

_MISSING = "drift.missing"
_SIZE = "desiredCapacity"


def give_surplus_back(repair: Repair, tools: Tools) -> None:
    """Bring every group of the repair down to its declared size. Raises RepairRefused, AwsCallFailed, LeaseLost."""
    for urn in repair.urns:
        resource = tools.declared.resources.get(urn)
        size = resource.inputs.get(_SIZE) if resource and resource.type == GROUP else None
        if isinstance(size, int | float):
            _give_back(replace(repair, urns=(urn,), members=()), urn, int(size), tools)


def _give_back(repair: Repair, group: Urn, size: int, tools: Tools) -> None:
    fleet = tools.fleet(group)
    if not isinstance(fleet, Fleet):
        if any((f.urn, f.rule, f.verdict) == (group, _MISSING, Verdict.FAIL) for f in tools.look([group])):
            return
        raise RepairRefused("the fleet cannot be seen now, so its size is not touched", where=group, why=fleet.reason)
    if fleet.desired <= size:
        return
    rollout = Rollout(repair, tools)
    for rollout.base in range(fleet.desired - 1, size - 1, -1):
        if not rollout.give_back():
            raise RepairRefused(
                f"the group has more than its {size} servers, and none of them may leave now", where=group
            )


def refuse_shrinking(plan: EnginePlan, tools: Tools) -> None:
    """Right before an update: refuse it if the engine would make a group smaller. Raises RepairRefused, LeaseLost.

    The group was brought down to its size before, so what the engine sees is newer (an autoscaler has made it larger),
    or the look at it was old.
    """
    for step in plan.writes:
        resource = tools.declared.resources.get(step.urn)
        if resource is None or resource.type != GROUP or (step.op, _SIZE in step.changed) != ("update", True):
            continue
        size = resource.inputs.get(_SIZE)
        try:
            fleet = tools.fleet(step.urn)
        except LeaseLost:
            raise
        except StackmendError as error:
            fleet = Unreadable(str(error))
        if not isinstance(fleet, Fleet):
            raise RepairRefused("the fleet cannot be seen now, so it is not resized", where=step.urn, why=fleet.reason)
        if not isinstance(size, int | float) or fleet.desired >= size:
            why = f"declared are {size} servers, AWS says {fleet.desired}, and the engine would still change that"
            raise RepairRefused("somebody resizes the group just now", where=step.urn, why=why)

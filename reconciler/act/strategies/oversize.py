"""A group that is larger than declared, before the engine writes its size.

Told a smaller size, a group chooses by itself who leaves, and looks at zones, templates and age, not at health. So the
surplus servers leave one by one beforehand, those that serve nobody first, and never below the floor (I02). Only the
engine's preview says that a size will be written: how many servers there are may be somebody else's to say.
https://docs.aws.amazon.com/autoscaling/ec2/userguide/ec2-auto-scaling-termination-policies.html
"""

from __future__ import annotations

from collections.abc import Iterator

from reconciler.act.steps import EnginePlan, Step
from reconciler.act.surge import Surge
from reconciler.act.tools import Tools
from reconciler.errors import LeaseLost, RepairRefused, StackmendError
from reconciler.model import GROUP, SIZE, DeclaredResource, Fleet, Repair, Unreadable, Urn

_MOST, _LEAST = "maxSize", "minSize"


def give_surplus_back(plan: EnginePlan, repair: Repair, tools: Tools) -> bool:
    """Bring the repair's groups that the engine would make smaller down to that size; whether there were any.

    Where there were, ``plan`` is out of date. Raises RepairRefused, AwsCallFailed, LeaseLost.
    """
    given = False
    for step, group in _updated(plan, tools):
        limit = _limit(step, group) if _resizes(step) else None
        if step.urn not in repair.urns or limit is None or (fleet := _fleet(step.urn, tools)).desired <= limit:
            continue
        surge = Surge(repair, tools, step.urn)
        surge.floor = tools.floor(step.urn, limit)
        surge.base, surge.asked = limit, fleet.desired - limit
        least = group.inputs.get(_LEAST)
        if fleet.minimum > limit and _LEAST in step.changed and isinstance(least, int | float) and least <= limit:
            # AWS ends no server of a group that is at its least size.
            surge.writes.set_minimum(int(least))
        if not surge.give_back():
            raise RepairRefused(
                f"the group has more than its {limit} servers, and none of them may leave now", where=step.urn
            )
        given = True
    return given


def refuse_shrinking(plan: EnginePlan, tools: Tools) -> None:
    """Right before an update: refuse it if the engine would make a group smaller. Raises RepairRefused, LeaseLost.

    The group was brought down to its size before, so what the engine sees is newer (an autoscaler has made it larger),
    or the look at it was old. An update for another reason would write the size as well if it differs by then.
    """
    for step, group in _updated(plan, tools):
        desired, limit, declared = _fleet(group.urn, tools).desired, _limit(step, group), group.inputs.get(SIZE)
        if group.size is None and SIZE in step.changed:
            if not isinstance(declared, int | float) or desired > declared:
                why = f"the program says {declared} and does not ignore changes of it, AWS says {desired}"
                todo = f"Set ignore_changes=['{SIZE}'] on the group, and deploy."
                raise RepairRefused("somebody else sizes the group", where=step.urn, why=why, todo=todo)
            continue
        # A size that is as declared is none that the engine would write.
        least = desired + 1 if SIZE in step.changed else desired
        if (limit is None and _resizes(step)) or (limit is not None and limit < least):
            why = f"declared are {limit} servers, AWS says {desired}, and the engine would change that"
            raise RepairRefused("somebody resizes the group just now", where=step.urn, why=why)


def _updated(plan: EnginePlan, tools: Tools) -> Iterator[tuple[Step, DeclaredResource]]:
    """The groups that the engine would update."""
    for step in plan.writes:
        resource = tools.declared.resources.get(step.urn)
        if resource is not None and resource.type == GROUP and step.op == "update":
            yield step, resource


def _resizes(step: Step) -> bool:
    """Whether the engine's plan writes the group's size or its largest size."""
    return not {SIZE, _MOST}.isdisjoint(step.changed)


def _limit(step: Step, group: DeclaredResource) -> int | None:
    """How many servers the group is to have at most; None if that is not the declaration's to say.

    A largest size below its size makes a group smaller as well.
    """
    if SIZE in step.changed or _MOST not in step.changed:
        return group.size
    most = group.inputs.get(_MOST)
    return int(most) if isinstance(most, int | float) else None


def _fleet(group: Urn, tools: Tools) -> Fleet:
    try:
        fleet = tools.fleet(group)
    except LeaseLost:
        raise
    except StackmendError as error:
        fleet = Unreadable(str(error))
    if not isinstance(fleet, Fleet):
        raise RepairRefused("the fleet cannot be seen now, so it is not resized", where=group, why=fleet.reason)
    return fleet

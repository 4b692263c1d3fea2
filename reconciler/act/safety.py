"""The check between a preview and an update: an operation outside the repairs refuses them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from reconciler.act.refreshed import top_level
from reconciler.act.steps import EnginePlan, Step
from reconciler.act.strategies import STRATEGIES
from reconciler.errors import RepairRefused
from reconciler.losses import Loss, losses
from reconciler.model import Declared, Repair, ResourceKind, Urn

_IN_PLACE = frozenset({"create", "update"})
_REPLACING = frozenset({"replace", "create-replacement", "delete-replaced"})


def refuse_unless(
    plan: EnginePlan, repairs: Sequence[Repair], declared: Declared, kinds: Mapping[str, ResourceKind]
) -> None:
    """Raise RepairRefused unless every write in ``plan`` is one that one of ``repairs`` stands for.

    Whatever the strategy: nothing stateful, protected or of a type without a ``ResourceKind`` is created, replaced or
    deleted, and no resource of another tenant is touched.
    """
    created: set[Urn] = set()
    for step in plan.writes:
        if reason := _objection(step, repairs, declared, kinds):
            raise RepairRefused(f"the engine would {step}", why=reason)
        if step.op == "create-replacement":
            created.add(step.urn)
        if step.op == "delete-replaced" and step.urn not in created and any(step.urn in r.replaces for r in repairs):
            raise RepairRefused(f"the engine would {step}", why="it would delete the old one before there is a new one")


def _losses(step: Step) -> Iterator[Loss]:
    """What an update takes away, by what the engine itself read and would set."""
    changed = {top_level(path) for path in step.changed}
    for loss in losses(step.urn, step.type, step.after, step.before):
        if not changed or loss.keeping.property in changed:
            yield loss


def _objection(
    step: Step, repairs: Sequence[Repair], declared: Declared, kinds: Mapping[str, ResourceKind]
) -> str | None:
    owners = [r for r in repairs if step.urn in r.urns]
    if not owners:
        return "this resource is not part of the repair; if the program changed, deploy it first"
    resource = declared.resources.get(step.urn)
    if resource is None:
        return "this resource is not among those the cell declares"
    if not all(r.tenant == resource.tenant for r in owners):
        return f"it belongs to tenant {resource.tenant}, and the repair to another"
    if step.op != "update":
        if step.protect or resource.protect:
            return "it is protected"
        if any((kind := kinds.get(t)) is None or kind.stateful for t in (step.type, resource.type)):
            return "it holds state, which is only ever restored in place"
    strategies = [STRATEGIES[r.strategy] for r in owners if r.strategy in STRATEGIES]
    approved = {key for r in owners if r.approval is not None for key in r.loses}
    for loss in _losses(step):
        if loss.key not in approved:
            return f"{loss}, which nobody has approved"
    if step.op in _IN_PLACE:
        allowed = any(step.op in s.operations for s in strategies)
    else:
        redeploying = [r for r in owners if r.strategy in STRATEGIES and STRATEGIES[r.strategy].redeploys]
        named = any(step.urn in r.replaces for r in redeploying)
        allowed = step.op in _REPLACING and (named or any(step.type in s.replaceable for s in strategies))
    return None if allowed else f"a repair by {' or '.join(s.name for s in strategies)} must not do that"

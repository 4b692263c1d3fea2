"""Take back what a repair set to its declaration, where its tenant is proven to be worse off since.

Only a *reapply* is taken back, only if it is known exactly what was there before, and only if no rule would object to
it: a breach is never brought back, and neither are rights. The engine does it as it did the repair, under the same
checks, with the earlier values above the program's for this one run. Nothing is declared by that: what was brought
back differs from the declaration again, and a person decides (docs/decisions/0013).
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence

from reconciler.act import wellbeing
from reconciler.act.refreshed import top_level
from reconciler.act.safety import refuse_unless
from reconciler.act.strategies import reapply
from reconciler.act.strategies.oversize import refuse_shrinking
from reconciler.act.tools import Tools
from reconciler.errors import RepairRefused
from reconciler.model import Finding, Kind, Repair, Secret, Unreadable, Urn, Value, Verdict

Earlier = Mapping[Urn, Mapping[str, Value]]
"""Values of properties, by resource, as they were seen right before the repairs."""

_PROPERTY = "drift.property"
_RIGHTS = frozenset({"assumeRolePolicy", "policy"})
_MEASURES = frozenset({"healthCheck", "healthCheckType"})
"""Properties that decide who counts as well: the tenant would seem better for a weaker one, and not be it."""


def undo(repairs: Sequence[Repair], seen: Sequence[Finding], tools: Tools) -> None:
    """Bring back what these repairs, which are all that was done to one tenant, have changed, and prove it by a look.

    ``seen`` is the look right before they were carried out; their intents are still open. Raises RepairRefused where
    that must not be or cannot be done, EngineError, LeaseLost.
    """
    earlier = _earlier(repairs, seen, tools)
    if tools.breaches is None:
        raise RepairRefused("nobody can say what the rules would say of what was there before")
    if found := tools.breaches(earlier):
        raise RepairRefused("what was there before does not keep the rules", why=found[0].message)
    tenants = frozenset(r.tenant for r in repairs if r.tenant is not None)
    targets = tuple(earlier)
    plan = tools.engine.preview(targets, tenants, overriding=earlier)
    refuse_unless(plan, repairs, tools.declared, tools.kinds)
    for step in plan.writes:
        if step.op != "update" or not {top_level(path) for path in step.changed} <= earlier[step.urn].keys():
            raise RepairRefused(f"the engine would {step}", why="that is more than was there before")
    if not plan.writes:
        raise RepairRefused("the engine would bring nothing back")
    refuse_shrinking(plan, tools)
    tools.journal.ensure_held(tenants)
    run = tools.engine.up(targets, plan, tenants)
    if run.failed:
        raise RepairRefused("the engine could not bring it back", why="; ".join(run.failed.values()))
    now = {(f.urn, f.property): f for f in tools.look(targets) if f.rule == _PROPERTY and f.verdict is Verdict.FAIL}
    for urn, properties in earlier.items():
        for name, value in properties.items():
            if (urn, name) not in now or _unordered(now[urn, name].observed) != _unordered(value):
                raise RepairRefused(f"{name} of {urn.rsplit('::', 1)[-1]} is not as it was")


def _earlier(repairs: Sequence[Repair], seen: Sequence[Finding], tools: Tools) -> Earlier:
    """What the repairs have changed, as it was. Raises RepairRefused for anything that cannot be brought back."""
    found: dict[Urn, dict[str, Value]] = {}
    for repair in repairs:
        if repair.strategy != reapply.STRATEGY.name:
            raise RepairRefused(f"a {repair.strategy} cannot be taken back")
        # An update sets all properties of a resource: those as well whose differences somebody has accepted, or that
        # came to differ after the plan was made.
        wrong = [f for f in seen if f.urn in repair.urns and f.verdict is Verdict.FAIL]
        for finding in (f for f in wrong if f.id in repair.finding_ids or f.kind is Kind.DRIFT):
            if finding.kind is Kind.COMPLIANCE:
                raise RepairRefused(f"a breach is not brought back: {finding.message}")
            resource = tools.declared.resources.get(finding.urn)
            known = finding.kind is Kind.DRIFT and finding.rule == _PROPERTY and finding.observed is not None
            if resource is None or not known or finding.property not in resource.inputs:
                raise RepairRefused(f"it is not known what was there before: {finding.message}")
            if finding.type.startswith("aws:iam/") or finding.property in _RIGHTS:
                raise RepairRefused(f"rights are not given back: {finding.message}")
            if finding.type == wellbeing.ALARM or finding.property in _MEASURES:
                raise RepairRefused(f"it only tells how well the tenant is: {finding.message}")
            declared = resource.inputs[finding.property]
            # What no look returns (a password, say) is missing from what was seen: writing that would lose it.
            if _closed(declared) or _closed(finding.observed) or not _keys(declared) <= _keys(finding.observed):
                raise RepairRefused(f"not all of what was there before is known: {finding.message}")
            found.setdefault(finding.urn, {})[finding.property] = finding.observed
    if not found:
        raise RepairRefused("it is not known what was there before")
    return found


def _inside(value: Value) -> Iterator[Value]:
    yield value
    parts: Collection[Value] = ()
    if isinstance(value, Mapping):
        parts = value.values()
    elif isinstance(value, Sequence) and not isinstance(value, str):
        parts = value
    for part in parts:
        yield from _inside(part)


def _closed(value: Value) -> bool:
    return any(isinstance(part, Secret | Unreadable) for part in _inside(value))


def _keys(value: Value) -> set[str]:
    return {key for part in _inside(value) if isinstance(part, Mapping) for key in part}


def _unordered(value: Value) -> Value:
    """A value whose lists have one order: observers answer in that of AWS, which is not always the same."""
    if isinstance(value, Mapping):
        return {key: _unordered(part) for key, part in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return sorted((_unordered(part) for part in value), key=lambda part: json.dumps(part, sort_keys=True))
    return value

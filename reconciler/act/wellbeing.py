"""Whether a tenant is worse off than before: what served and does not now, alarms that rang and endpoints that fell
silent since.

Only what was well before counts. A server that was in no use before its listener came back, and proves sick then, was
sick before; a repair that uncovers a fault has not made it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

import structlog

from reconciler.act.tools import Tools
from reconciler.errors import LeaseLost, StackmendError
from reconciler.model import GROUP, Finding, Fleet, Urn, Verdict

log = structlog.get_logger(__name__)

ALARM = "aws:cloudwatch/metricAlarm:MetricAlarm"
WATCHED = frozenset({ALARM, "aws:lb/loadBalancer:LoadBalancer"})
"""Types that have health findings of their own."""
JOINING = frozenset({"initial", "unregistered"})
RULES = frozenset({"health.alarm", "health.endpoint", "health.resource-failed"})


@dataclass(frozen=True, slots=True)
class Wellbeing:
    """What was well in some tenants at one moment; what could not be seen is in neither."""

    serving: Mapping[Urn, int] = field(default_factory=dict)
    """Healthy servers by group."""
    wanted: Mapping[Urn, int] = field(default_factory=dict)
    """Servers that each of them is to have: as declared, or as AWS says where somebody else sizes it."""
    joining: frozenset[Urn] = frozenset()
    """Groups with running servers that their load balancer has not judged yet."""
    verdicts: Mapping[tuple[str, Urn], Finding] = field(default_factory=dict)
    """Health findings on alarms and load balancers, by rule and resource: one that was replaced has another id."""

    def fills(self, before: Wellbeing) -> bool:
        """Whether a group that serves with fewer servers than before has some that are still to be judged."""
        return any(self.serving[group] < before.serving.get(group, 0) for group in self.joining)


def of(tenants: Collection[str | None], tools: Tools, *, without: Collection[Urn] = ()) -> Wellbeing:
    """How the tenants are now, but for what is in ``without``. Raises LeaseLost; a look that fails shows nothing."""
    counted = (r for r in tools.declared.resources.values() if r.urn not in without)
    mine = [r for r in counted if r.tenant is not None and r.tenant in tenants]
    serving: dict[Urn, int] = {}
    wanted: dict[Urn, int] = {}
    joining: set[Urn] = set()
    for group in (r for r in mine if r.type == GROUP):
        fleet = _seen(group.urn, tools)
        if fleet is not None:
            serving[group.urn] = len(fleet.healthy)
            wanted[group.urn] = fleet.desired if group.size is None else group.size
            if any(m.state == "running" and m.target in JOINING for m in fleet.members):
                joining.add(group.urn)
    watched = {r.urn for r in mine if r.type in WATCHED}
    found: tuple[Finding, ...] = ()
    if watched:
        try:
            found = (tools.asking or tools.look)(watched)
        except LeaseLost:
            raise
        except StackmendError as error:
            log.warning(
                "whether the tenants are worse off cannot be seen", tenants=sorted(map(str, tenants)), why=str(error)
            )
            found = ()
    return Wellbeing(serving, wanted, frozenset(joining), {(f.rule, f.urn): f for f in found if f.rule in RULES})


def _seen(group: Urn, tools: Tools) -> Fleet | None:
    try:
        fleet = tools.fleet(group)
    except LeaseLost:
        raise
    except StackmendError as error:
        log.warning("how many servers serve cannot be seen", group=group, why=str(error))
        return None
    return fleet if isinstance(fleet, Fleet) else None


def again(before: Wellbeing, tools: Tools) -> Mapping[str, str]:
    """How each tenant that was well ``before`` is now that a repair was taken back, in words."""
    still = worse(before, tools)
    places: dict[str | None, set[object]] = defaultdict(set)
    for group in before.serving:
        if group in tools.declared.resources:
            places[tools.declared.resources[group].tenant].add(group)
    for key, finding in before.verdicts.items():
        if finding.verdict is Verdict.PASS:
            places[finding.tenant].add(key)
    now = of(places, tools)
    shown = {*now.serving, *(k for k, f in now.verdicts.items() if f.verdict is not Verdict.UNKNOWN)}
    told = {}
    for tenant in (t for t in places if t is not None):
        told[tenant] = "is well again" if places[tenant] <= shown else "may be well again, which cannot be seen in full"
        if tenant in still:
            told[tenant] = f"is still worse off: {still[tenant]}"
    return told


def worse(before: Wellbeing, tools: Tools) -> Mapping[str, str]:
    """What is worse now than ``before``, in words by tenant; empty if nothing is. Asked twice before it is believed.

    Servers behind a new target group serve once its health checks have passed, which is waited for.
    """
    tenants = {tools.declared.resources[u].tenant for u in before.serving if u in tools.declared.resources}
    tenants |= {f.tenant for f in before.verdicts.values()}
    until = tools.clock() + tools.pace.patience
    now = of(tenants, tools)
    while (first := _compared(before, now, tools)) and now.fills(before) and tools.clock() < until:
        tools.wait(tools.pace.poll)
        now = of(tenants, tools)
    if not first:
        return {}
    tools.wait(tools.pace.poll)
    second = _compared(before, of(tenants, tools), tools)
    return {tenant: why for tenant, why in second.items() if tenant in first}


def _compared(before: Wellbeing, now: Wellbeing, tools: Tools) -> dict[str, str]:
    found: dict[str, str] = {}
    for group, count in before.serving.items():
        resource = tools.declared.resources.get(group)
        # What serves beyond the number that is wanted may leave: somebody had added it.
        enough = min(count, now.wanted.get(group, count))
        if resource and resource.tenant and now.serving.get(group, count) < enough:
            found[resource.tenant] = f"{now.serving[group]} servers of {resource.name} serve, and {count} did before"
    for key, finding in now.verdicts.items():
        was = before.verdicts.get(key)
        # An endpoint that was asked and is silent is one sign; that it answered before and is silent twice is enough.
        bad = finding.verdict is Verdict.FAIL or (finding.verdict is Verdict.UNKNOWN and finding.signs)
        if finding.tenant and bad and finding.accepted is None and was is not None and was.verdict is Verdict.PASS:
            found.setdefault(finding.tenant, finding.message)
    return found

"""The stage: everything declared and everything observed in, every verdict out."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime

from reconciler.detect.drift import changed_declarations, drift
from reconciler.detect.endpoint import endpoints
from reconciler.detect.exceptions import AcceptedException, accept
from reconciler.detect.health import health
from reconciler.detect.orphans import orphans
from reconciler.detect.rule import Rule, judge
from reconciler.detect.rules import RULES
from reconciler.detect.spelling import respelled
from reconciler.model import (
    Declared,
    Finding,
    Observed,
    ObservedResource,
    Presence,
    ResourceKind,
    Spelling,
    TenantFacts,
    Urn,
)


def detect(
    declared: Declared,
    observed: Observed,
    kinds: Mapping[str, ResourceKind],
    *,
    exceptions: Sequence[AcceptedException] = (),
    now: datetime,
    only: Collection[Urn] | None = None,
    rules: Sequence[Rule] = RULES,
    spellings: Collection[Spelling] = (),
) -> tuple[Finding, ...]:
    """All findings, passing ones included, ordered by tenant, URN, rule, property and resource id.

    ``only`` limits the look to those resources; strays belong to none of them and are then left out. ``now`` is
    timezone-aware. A declared resource that ``observed`` does not mention is UNKNOWN. ``spellings`` are differences
    known to be none; rules judge what was really observed.
    """
    chosen = declared.resources.keys() if only is None else set(only)
    meant, notes = respelled(declared, observed, kinds, spellings)
    found = [f for f in (*_all(declared, observed, meant, kinds, now, rules, chosen), *notes) if f.urn in chosen]
    found += [f for f in endpoints(declared, observed, found) if f.urn in chosen]
    if only is None:
        found += orphans(observed)
    found.sort(key=lambda f: (f.tenant or "", f.urn, f.rule, f.property, f.resource_id))
    return accept(found, exceptions, now)


def _all(
    declared: Declared,
    observed: Observed,
    meant: Observed,
    kinds: Mapping[str, ResourceKind],
    now: datetime,
    rules: Sequence[Rule],
    chosen: Collection[Urn],
) -> Iterator[Finding]:
    yield from changed_declarations(declared)
    concerned = {type_: [rule for rule in rules if rule.concerns(type_)] for type_ in declared.types}
    for urn, resource in declared.resources.items():
        if urn not in chosen:
            continue
        nothing = ObservedResource(urn, Presence.UNKNOWN, reason="it was not looked at")
        as_meant = meant.resources.get(urn, nothing)
        yield from drift(resource, as_meant, kinds.get(resource.type, ResourceKind(resource.type)))
        yield from health(resource, as_meant, declared, meant, kinds, now)
        seen = observed.resources.get(urn, nothing)
        if resource.tenant is not None:
            # A tenant without facts is under no regime; what holds for every tenant holds for it as well.
            tenant = declared.tenants.get(resource.tenant) or TenantFacts(resource.tenant, "", frozenset())
            for rule in concerned[resource.type]:
                yield from judge(rule, declared, resource, seen, tenant)

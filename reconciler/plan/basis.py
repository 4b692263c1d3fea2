"""What a repair was planned from, so that consent to it, and blame for its failure, cover nothing else."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import replace

from reconciler.model import GROUP, Declared, DeclaredResource, Finding, Kind, Repair, Urn, digest
from reconciler.plan.strategy import DISPOSE

TEMPLATE = "aws:ec2/launchTemplate:LaunchTemplate"


def based(repair: Repair, declared: Declared, findings: Mapping[str, Finding]) -> Repair:
    """The repair with its basis: what its resources are declared to be, how they differ from that now, and what kinds
    of findings it is for."""
    inputs = {u: declared.resources[u].inputs for u in repair.urns if u in declared.resources}
    # Other kinds of findings hold measurements, which differ from look to look.
    drift = [findings[i] for i in repair.finding_ids if i in findings and findings[i].kind is Kind.DRIFT]
    differences = {f.id: (f.declared, f.observed) for f in drift}
    launches = repair.members and repair.strategy != DISPOSE
    made_from = tuple(m for u in repair.urns for m in replacement_of(declared, u)) if launches else ()
    basis = digest(_text(inputs), _text(differences), *made_from, length=64)
    kinds = {findings[i].kind.value for i in repair.finding_ids if i in findings}
    return replace(repair, basis=basis, replacement=made_from, kinds=tuple(sorted(kinds)))


def replacement_of(declared: Declared, group: Urn) -> tuple[str, ...]:
    """What a group's new servers are made from: its template's content, and the image in it. Empty for no group."""
    resource = declared.resources.get(group)
    if resource is None or resource.type != GROUP:
        return ()
    made_from: list[str] = []
    for template in _templates(declared, resource):
        made_from.append(f"template {template.name} {digest(_text(template.inputs))}")
        if isinstance(image := template.inputs.get("imageId"), str):
            made_from.append(f"image {image}")
    return tuple(made_from)


def _templates(declared: Declared, group: DeclaredResource) -> Collection[DeclaredResource]:
    needed = [declared.resources[u] for u in sorted(group.references | group.dependencies) if u in declared.resources]
    return [r for r in needed if r.type == TEMPLATE]


def _text(value: object) -> str:
    """JSON; secrets and what could not be read as the words that stand for them."""
    return json.dumps(value, sort_keys=True, default=_plain)


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        return dict(value)
    return sorted(map(str, value)) if isinstance(value, set | frozenset) else str(value)

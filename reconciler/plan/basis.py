"""What a repair was planned from, so that consent to it, and blame for its failure, cover nothing else."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from reconciler.model import GROUP, Declared, DeclaredResource, Finding, Kind, Repair, Scan, Urn, Verdict, digest
from reconciler.plan.strategy import DISPOSE

TEMPLATE = "aws:ec2/launchTemplate:LaunchTemplate"


def based(repairs: Sequence[Repair], scan: Scan) -> list[Repair]:
    """The repairs with their basis: what their resources are declared to be, how they differ from that now, and what
    kinds of findings they are for.

    An update sets all properties of a resource, so accepted differences count as well.
    """
    drift: dict[Urn, list[Finding]] = defaultdict(list)
    for finding in scan.of(Verdict.FAIL):
        # Other kinds of findings hold measurements, which differ from look to look.
        if finding.kind is Kind.DRIFT:
            drift[finding.urn].append(finding)
    findings = {f.id: f for f in scan.failing}
    return [_based(r, scan.declared, drift, findings) for r in repairs]


def _based(
    repair: Repair, declared: Declared, drift: Mapping[Urn, Sequence[Finding]], findings: Mapping[str, Finding]
) -> Repair:
    inputs = {u: declared.resources[u].inputs for u in repair.urns if u in declared.resources}
    differences = {f.id: (f.declared, f.observed) for u in repair.urns for f in drift.get(u, ())}
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

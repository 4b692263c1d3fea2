"""Differences that are none: AWS or the provider writes a declared value another way, and means the same.

A rule for each of them cannot be written beforehand. They are told by two witnesses right after an update: an observer
sees a difference, and the provider, asked by the engine, sees none. From then on that one observed value stands for
that one declared value, until the next update. ``docs/decisions/0007`` says why nothing can hide behind it.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace

from reconciler.detect.diff import Difference, differences, first_unreadable
from reconciler.detect.drift import NORMALISATION, PROPERTY
from reconciler.detect.findings import about, shown
from reconciler.detect.rule import Rule
from reconciler.model import (
    Declared,
    DeclaredResource,
    Finding,
    Kind,
    Observed,
    Path,
    Presence,
    Refreshed,
    ResourceKind,
    Severity,
    Spelling,
    Unreadable,
    Urn,
    Value,
    Verdict,
    digest,
)

ACCESS = frozenset(
    {
        "aws:ec2/securityGroup:SecurityGroup",
        "aws:ec2/securityGroupRule:SecurityGroupRule",
        "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule",
        "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule",
        "aws:ec2/networkAcl:NetworkAcl",
        "aws:ec2/networkAclRule:NetworkAclRule",
    }
)
"""Types that say who may reach what. Their differences are accepted by people, never by a comparison."""


def respelled(
    declared: Declared, observed: Observed, kinds: Mapping[str, ResourceKind], spellings: Collection[Spelling]
) -> tuple[Observed, tuple[Finding, ...]]:
    """What was observed, with the known spellings read as what was declared, and one PASS finding for each of them."""
    known = frozenset(spellings)
    resources = dict(observed.resources)
    found: list[Finding] = []
    for urn in {s.urn for s in known} & resources.keys() & declared.resources.keys():
        resource, seen = declared.resources[urn], resources[urn]
        kind = kinds.get(resource.type, ResourceKind(resource.type))
        if seen.presence is not Presence.PRESENT or resource.external:
            continue
        meant = {d.property: d for d in differences(kind, resource, seen) if spelling(urn, d) in known}
        resources[urn] = replace(seen, properties={**seen.properties, **{n: d.declared for n, d in meant.items()}})
        found += (_finding(resource, difference) for difference in meant.values())
    return replace(observed, resources=resources), tuple(found)


def spelling(urn: Urn, difference: Difference) -> Spelling:
    """The difference by digests: the values themselves need not be kept."""
    return Spelling(urn, difference.property, _digest(difference.declared), _digest(difference.observed))


def candidates(
    declared: Declared,
    observed: Observed,
    findings: Sequence[Finding],
    kinds: Mapping[str, ResourceKind],
    rules: Sequence[Rule],
) -> dict[Spelling, Finding]:
    """The drift findings that may be another spelling, if the provider agrees.

    Never what a rule objects to or could not judge, what says who has access, or what the state says otherwise than
    the declaration. What the engine itself looked at needs no second witness: it was the first.
    """
    doubted = {(f.urn, f.rule) for f in findings if f.kind is Kind.COMPLIANCE and f.verdict is not Verdict.PASS}
    tampered = {change.urn for change in declared.tampered}
    found: dict[Spelling, Finding] = {}
    for finding in findings:
        resource, seen = declared.resources.get(finding.urn), observed.resources.get(finding.urn)
        if finding.rule != PROPERTY or finding.verdict is not Verdict.FAIL or resource is None or seen is None:
            continue
        kind = kinds.get(resource.type, ResourceKind(resource.type))
        objected = any((finding.urn, rule.id) in doubted and finding.property in rule.names(resource) for rule in rules)
        if (
            seen.path is Path.BULK
            and finding.urn not in tampered
            and resource.type not in ACCESS
            and not _is_document(kind, finding.property)
            and not objected
            and first_unreadable(finding.observed) is None
        ):
            difference = Difference(finding.property, finding.declared, finding.observed)
            found[spelling(finding.urn, difference)] = finding
    return found


def agreed(
    candidates: Collection[Spelling], declared: Declared, witness: Mapping[Urn, Refreshed | Unreadable]
) -> frozenset[Spelling]:
    """Those of the candidates in which the provider sees no difference from what was declared."""
    return frozenset(s for s in candidates if _agrees(s, declared.resources[s.urn], witness.get(s.urn)))


def first_looks(observed: Observed, findings: Sequence[Finding]) -> Iterator[Urn]:
    """The resources that this look could judge whole: there, seen by an observer, and nothing of it unknown.

    A property that its observer does not read at all is unknown at every look: it keeps nobody from asking about the
    others.
    """
    drifts = [f for f in findings if f.kind is Kind.DRIFT]
    unclear = {f.urn for f in drifts if f.verdict is Verdict.UNKNOWN and not _never_read(f, observed)}
    for urn in dict.fromkeys(f.urn for f in drifts if f.urn not in unclear):
        seen = observed.resources.get(urn)
        if seen is not None and seen.presence is Presence.PRESENT and seen.path is Path.BULK:
            yield urn


def _never_read(finding: Finding, observed: Observed) -> bool:
    seen = observed.resources.get(finding.urn)
    return (
        finding.rule == PROPERTY
        and seen is not None
        and seen.presence is Presence.PRESENT
        and finding.property not in seen.properties
    )


def mark(resource: DeclaredResource) -> str:
    """Changes when the resource is made anew or declared otherwise."""
    return digest(resource.id, _digest(resource.inputs), length=16)


def _agrees(candidate: Spelling, resource: DeclaredResource, answer: Refreshed | Unreadable | None) -> bool:
    name = candidate.property
    return (
        isinstance(answer, Refreshed)
        and answer.exists
        and answer.id == resource.id
        and not answer.partial
        and answer.changed is not None
        and name not in answer.changed
        and name in answer.before
        and answer.before[name] == resource.inputs.get(name)
    )


def _is_document(kind: ResourceKind, name: str) -> bool:
    """Whether the property is, or holds, a JSON document: those are policies."""
    return any(path == name or path.startswith((f"{name}.", f"{name}[]")) for path in kind.documents)


def _finding(resource: DeclaredResource, difference: Difference) -> Finding:
    words = (
        f"{difference.property}: declared {shown(difference.declared)}, observed {shown(difference.observed)}: "
        "another spelling of the same, as the provider said after the update"
    )
    return about(
        resource,
        NORMALISATION,
        Kind.DRIFT,
        Verdict.PASS,
        Severity.LOW,
        words,
        property=difference.property,
        declared=difference.declared,
        observed=difference.observed,
    )


def _digest(value: Value) -> str:
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, default=_plain)
    return digest(text, length=64)


def _plain(value: object) -> object:
    return dict(value) if isinstance(value, Mapping) else str(value)

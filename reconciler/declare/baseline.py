"""The declaration that stands: a state that changed without an update does not change what was declared.

``pulumi refresh`` writes live values over the inputs in the state and takes deleted resources out of it; whoever can
edit the state can do the same. The set that the last successful update declared is therefore kept, and stands.

An update that was killed or failed half-way also leaves a state that no success vouches for. What it created anew is
told by its new id: then the old id wherever it is declared means the new one, and names that the provider made up
for the old resource (``acme-api-1a2b3c4``) are not declared any more.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import replace
from typing import Any

from reconciler.declare.graph import order
from reconciler.declare.state import tenant_facts
from reconciler.declare.values import decode, encode, moment
from reconciler.errors import StateError
from reconciler.model import NO_TAGS, ChangedDeclaration, Declared, DeclaredResource, IgnoredTags, Urn, Value

_FORMAT = 1
_UNSAID = ("",)
"""What ``ignored`` is in a baseline of an earlier version, which did not keep it."""


def effective(declared: Declared, baseline: Declared | None, *, redeclared: Collection[Urn] = frozenset()) -> Declared:
    """What stands, given the state and the set kept before; each change that does not is in ``tampered``.

    A new full update (another ``version``) replaces the baseline as a whole. Without one the baseline's inputs stand,
    except for ``redeclared``: the resources that a later partial update (``--target``) wrote. A resource that left the
    state is still declared (property ``""``, was its id); one that came into it is kept, since its owner is the stack.
    """
    if baseline is None or (baseline.cell, baseline.project) != (declared.cell, declared.project):
        return declared
    if baseline.version != declared.version:
        return declared
    baseline = _completed(baseline, declared)
    renewed = _renewal(declared, baseline)
    changes: list[ChangedDeclaration] = []
    resources: dict[Urn, DeclaredResource] = {}
    for urn, now in declared.resources.items():
        was = baseline.resources.get(urn)
        resources[urn] = now
        if urn in redeclared:
            # What was created anew since has another id now, which the partial update could not know.
            inputs = {key: renewed(item) for key, item in now.inputs.items()}
            changes += _changes(urn, inputs, now.inputs)
            resources[urn] = replace(now, inputs=inputs)
            continue
        if was is None:
            changes.append(ChangedDeclaration(urn, "", None, now.id))
            continue
        inputs = {key: renewed(item) for key, item in was.inputs.items()}
        if was.id and now.id and was.id != now.id:
            inputs = {key: inputs[key] for key in inputs.keys() & was.programmed} | {
                key: item for key, item in now.inputs.items() if key not in was.programmed
            }
        changes += _changes(urn, inputs, now.inputs)
        if was.ignored != now.ignored:
            changes.append(ChangedDeclaration(urn, "ignoreChanges", was.ignored, now.ignored))
        resources[urn] = replace(
            now,
            inputs=inputs,
            programmed=was.programmed,
            tenant=was.tenant,
            ignored=was.ignored,
            ignored_tags=was.ignored_tags,
            scaled=was.scaled or now.scaled,
        )
    gone = {
        urn: replace(was, inputs={key: renewed(item) for key, item in was.inputs.items()})
        for urn, was in baseline.resources.items()
        if urn not in declared.resources
    }
    changes += (ChangedDeclaration(urn, "", was.id, None) for urn, was in gone.items())
    merged = replace(declared, resources=resources | gone)
    if gone:
        merged = replace(merged, resources={urn: merged.resources[urn] for urn in order(merged)})
    tenants = tenant_facts(merged.resources.values())
    return replace(merged, tenants=tenants, tampered=(*declared.tampered, *changes))


def _completed(baseline: Declared, declared: Declared) -> Declared:
    """The baseline; where it is of an earlier version, with what the state says now of what it did not keep."""
    unsaid = {u: r for u, r in baseline.resources.items() if r.ignored == _UNSAID}
    if not unsaid:
        return baseline
    told = {u: replace(r, ignored=(), ignored_tags=NO_TAGS) for u, r in unsaid.items()}
    for urn in unsaid.keys() & declared.resources.keys():
        now = declared.resources[urn]
        told[urn] = replace(unsaid[urn], ignored=now.ignored, ignored_tags=now.ignored_tags)
    return replace(baseline, resources={**baseline.resources, **told})


def _changes(urn: Urn, was: Mapping[str, Value], now: Mapping[str, Value]) -> Iterator[ChangedDeclaration]:
    absent = object()
    for key in sorted(was.keys() | now.keys()):
        if was.get(key, absent) != now.get(key, absent):
            yield ChangedDeclaration(urn, key, was.get(key), now.get(key))


def _renewal(declared: Declared, baseline: Declared) -> Callable[[Value], Value]:
    """Puts the present ids into a declared value, in place of those of resources that have been created anew."""
    new: dict[str, str] = {}
    for urn, was in baseline.resources.items():
        now = declared.resources.get(urn)
        if now is not None and was.id and now.id and was.id != now.id:
            new.update(zip(_spellings(was.id), _spellings(now.id), strict=False))
    if not new:
        return lambda value: value
    longest_first = sorted(new, key=len, reverse=True)
    # An id inside a longer word is another id: acme-1 in acme-10.
    pattern = re.compile(rf"(?<![\w-])(?:{'|'.join(map(re.escape, longest_first))})(?![\w-])")

    def renewed(value: Value) -> Value:
        if isinstance(value, str):
            return pattern.sub(lambda match: new[match.group()], value)
        if isinstance(value, Mapping):
            return {key: renewed(item) for key, item in value.items()}
        if isinstance(value, list):
            return [renewed(item) for item in value]
        return value

    return renewed


def _spellings(id_: str) -> Iterator[str]:
    """How other resources name this one: by id, or by the end of an ARN, as alarms do (``app/acme-alb/50dc6c49``)."""
    yield id_
    if id_.startswith("arn:"):
        tail = id_.rpartition(":")[2]
        yield tail
        if tail.count("/") > 1:
            yield tail.partition("/")[2]


def to_json(declared: Declared) -> dict[str, Any]:
    """As a document for the store: without secrets, pending operations and ``tampered``, which are of the moment."""
    return {
        "format": _FORMAT,
        "cell": declared.cell,
        "project": declared.project,
        "account": declared.account,
        "region": declared.region,
        "version": declared.version,
        "resources": [
            {
                "urn": resource.urn,
                "type": resource.type,
                "name": resource.name,
                "id": resource.id,
                "inputs": encode(resource.inputs),
                "programmed": sorted(resource.programmed),
                "tenant": resource.tenant,
                "parent": resource.parent,
                "dependencies": sorted(resource.dependencies),
                "references": sorted(resource.references),
                "protect": resource.protect,
                "external": resource.external,
                "created": resource.created.isoformat() if resource.created else None,
                "ignored": list(resource.ignored),
                "ignored_tags": [sorted(resource.ignored_tags.keys), list(resource.ignored_tags.prefixes)],
                "scaled": resource.scaled,
                "region": resource.region,
                "account": resource.account,
            }
            for resource in declared.resources.values()
        ],
    }


def from_json(document: Mapping[str, Any]) -> Declared:
    """The inverse of ``to_json``. Raises StateError for a document of another format."""
    if document.get("format") != _FORMAT:
        raise StateError(f"the baseline has format {document.get('format')!r}, known is {_FORMAT}", where="baseline")
    resources = {}
    for fields in document["resources"]:
        keys, prefixes = fields.get("ignored_tags", ((), ()))
        resource = DeclaredResource(
            urn=Urn(fields["urn"]),
            type=fields["type"],
            name=fields["name"],
            id=fields["id"],
            inputs={key: decode(item) for key, item in fields["inputs"].items()},
            programmed=frozenset(fields["programmed"]),
            tenant=fields["tenant"],
            parent=fields["parent"],
            dependencies=frozenset(fields["dependencies"]),
            references=frozenset(fields["references"]),
            protect=fields["protect"],
            external=fields["external"],
            created=moment(fields.get("created")),
            ignored=tuple(fields["ignored"]) if "ignored" in fields else _UNSAID,
            ignored_tags=IgnoredTags(frozenset(keys), tuple(prefixes)),
            scaled=fields.get("scaled", False),
            region=fields.get("region", ""),
            account=fields.get("account", ""),
        )
        resources[resource.urn] = resource
    return Declared(
        cell=document["cell"],
        project=document["project"],
        account=document["account"],
        region=document["region"],
        resources=resources,
        tenants=tenant_facts(resources.values()),
        version=document["version"],
    )

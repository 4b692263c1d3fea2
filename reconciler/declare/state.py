"""The stack's state, as ``pulumi stack export`` prints it, turned into what was declared.

Only inputs count: outputs are stale as soon as the update that wrote them ends. Nothing here guesses: a document that
is not of the form the engine writes is refused as a whole, with the place that is wrong.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace
from reprlib import repr as shortened
from typing import Any

from reconciler.declare.places import Places
from reconciler.declare.values import DEFAULTS, moment, value
from reconciler.errors import StateError
from reconciler.model import GROUP, Declared, DeclaredResource, PendingOperation, TenantFacts, Urn, Value
from tenancy import tags as keys

TENANT_TYPE = "stackmend:index:Tenant"
BUILT_IN = "pulumi:"
SCALERS = frozenset({"aws:autoscaling/policy:Policy", "aws:autoscaling/schedule:Schedule"})
"""Types whose resources set the size of a group."""

_VERSION = 3
_HARMLESS_FEATURES = frozenset({"refreshBeforeUpdate", "hooks", "taint", "replaceWith"})
"""Features of version 4 that do not change what inputs mean."""
_TODO = "Compare with `pulumi stack export`; `pulumi stack history` and the backend's backups hold earlier states."


def parse(document: Mapping[str, Any], *, cell: str, version: int = 0) -> Declared:
    """What the exported ``document`` ({version, deployment}) declares for ``cell``.

    ``version`` numbers the last successful update. Account and region are empty if the state does not tell them.
    Raises StateError, naming the resource, if the document is malformed or of a version that is not known.
    """
    resources, pending = _checked(document)
    by_urn = _live(resources)
    # What waits for its deletion may still be the parent of something.
    holders = {Urn(raw["urn"]): raw for raw in resources} | by_urn
    places = Places(by_urn)
    declared = {
        urn: _resource(raw, holders, places)
        for urn, raw in by_urn.items()
        if raw.get("custom") is True and not raw["type"].startswith(BUILT_IN)
    }
    declared |= _scaled(declared)
    project = next(iter(by_urn)).split("::", 3)[1] if by_urn else ""
    cell_place = places.cell()
    return Declared(
        cell=cell,
        project=project,
        account=cell_place.account,
        region=cell_place.region,
        resources=declared,
        tenants=tenant_facts(declared.values()),
        pending=tuple(
            PendingOperation(kind, _resource(raw, holders, places))
            for kind, raw in pending
            if raw.get("custom") is True and not raw["type"].startswith(BUILT_IN)
        ),
        version=version,
    )


def tenant_facts(resources: Iterable[DeclaredResource]) -> dict[str, TenantFacts]:
    """Tier and regimes of every tenant that owns a resource: what most of its resources' declared tags say."""
    said: dict[str, Counter[tuple[str, frozenset[str]]]] = {}
    for resource in resources:
        if resource.tenant is None:
            continue
        claims = said.setdefault(resource.tenant, Counter())
        tags = declared_tags(resource.inputs)
        if keys.TIER in tags:
            claims[tags[keys.TIER], frozenset(tags.get(keys.REGIME, "").split())] += 1
    return {
        tenant: TenantFacts(tenant, *(claims.most_common(1)[0][0] if claims else ("", frozenset())))
        for tenant, claims in said.items()
    }


def declared_tags(inputs: Mapping[str, Value]) -> dict[str, str]:
    """The tags that inputs declare, as a map or as auto scaling groups do, as a list; secret ones left out."""
    tags = inputs.get("tags")
    if isinstance(tags, Mapping):
        pairs: Iterable[tuple[Value, Value]] = tags.items()
    elif isinstance(tags, list):
        pairs = [(tag.get("key"), tag.get("value")) for tag in tags if isinstance(tag, Mapping)]
    else:
        pairs = ()
    return {key: text for key, text in pairs if isinstance(key, str) and isinstance(text, str)}


def _checked(document: Mapping[str, Any]) -> tuple[list[Mapping[str, Any]], list[tuple[str, Mapping[str, Any]]]]:
    """The resources and pending operations, each with all that is read later in the form it must have."""
    if not isinstance(document, Mapping):
        raise _malformed("the state is not an object", "state")
    version = document.get("version")
    features = document.get("features") or []
    known = version == _VERSION or (version == _VERSION + 1 and _HARMLESS_FEATURES.issuperset(features))
    if not known or isinstance(version, bool):
        raise StateError(
            f"the state has version {version!r}{f' with {features}' if features else ''}, known is {_VERSION}",
            where="version",
            todo="Use a version of stackmend that knows it.",
        )
    deployment = document.get("deployment", "missing")
    if deployment is None:  # a stack that was never updated
        return [], []
    if not isinstance(deployment, Mapping):
        raise _malformed("is not an object", "deployment")
    resources = _list(deployment, "resources", "deployment")
    for i, raw in enumerate(resources):
        _check_resource(raw, f"deployment.resources[{i}]")
    operations = _list(deployment, "pending_operations", "deployment")
    pending = []
    for i, operation in enumerate(operations):
        where = f"deployment.pending_operations[{i}]"
        if not isinstance(operation, Mapping) or not isinstance(operation.get("type"), str):
            raise _malformed("is not an operation with a type", where)
        _check_resource(operation.get("resource"), f"{where}.resource")
        pending.append((operation["type"], operation["resource"]))
    return resources, pending


def _check_resource(raw: Any, where: str) -> None:
    if not isinstance(raw, Mapping):
        raise _malformed("is not an object", where)
    urn = raw.get("urn")
    if not isinstance(urn, str) or not urn.startswith("urn:pulumi:") or urn.count("::") < 3:
        raise _malformed(f"urn {shortened(urn)} is not urn:pulumi:<stack>::<project>::<type>::<name>", where)
    where = f"{where} ({urn})"
    forms: tuple[tuple[str, type, bool], ...] = (
        ("type", str, True),
        ("custom", bool, False),
        ("id", str, False),
        ("parent", str, False),
        ("provider", str, False),
        ("delete", bool, False),
        ("protect", bool, False),
        ("external", bool, False),
        ("inputs", Mapping, False),
        ("outputs", Mapping, False),
        ("propertyDependencies", Mapping, False),
    )
    for key, form, required in forms:
        if (required or raw.get(key) is not None) and not isinstance(raw.get(key), form):
            raise _malformed(f"{key} {shortened(raw.get(key))} is not of the type it must have", where)
    lists = [("dependencies", raw), *((p, raw["propertyDependencies"]) for p in raw.get("propertyDependencies") or ())]
    for key, holder in lists:
        if not all(isinstance(urn, str) for urn in _list(holder, key, where)):
            raise _malformed(f"{key} holds something that is not a URN", where)
    if not all(isinstance(path, str) for path in _list(raw, "ignoreChanges", where)):
        raise _malformed("ignoreChanges holds something that is not a property path", where)


def _list(holder: Mapping[str, Any], key: str, where: str) -> list[Any]:
    found = holder.get(key)
    if found is None:
        return []
    if not isinstance(found, list):
        raise _malformed(f"{key} is not a list", where)
    return found


def _live(resources: Iterable[Mapping[str, Any]]) -> dict[Urn, Mapping[str, Any]]:
    """By URN, without the old halves of replacements that have not been deleted yet."""
    live: dict[Urn, Mapping[str, Any]] = {}
    for raw in resources:
        if raw.get("delete"):
            continue
        if raw["urn"] in live:
            raise _malformed("two live resources have this URN", raw["urn"])
        live[Urn(raw["urn"])] = raw
    return live


def _scaled(resources: Mapping[Urn, DeclaredResource]) -> dict[Urn, DeclaredResource]:
    """The groups whose size a declared policy or schedule sets, marked as such."""
    scalers = [r for r in resources.values() if r.type in SCALERS and r.inputs.get("enabled") is not False]
    if not scalers:
        return {}
    names = {name for r in scalers if isinstance(name := r.inputs.get("autoscalingGroupName"), str)}
    needed = frozenset[Urn]().union(*(r.references for r in scalers))
    groups = (r for r in resources.values() if r.type == GROUP)
    return {r.urn: replace(r, scaled=True) for r in groups if r.urn in needed or r.id in names}


def _resource(raw: Mapping[str, Any], holders: Mapping[Urn, Mapping[str, Any]], places: Places) -> DeclaredResource:
    try:
        inputs = {key: value(item) for key, item in (raw.get("inputs") or {}).items() if key != DEFAULTS}
    except RecursionError as error:
        raise _malformed("inputs are nested too deeply", raw["urn"]) from error
    used = raw.get("propertyDependencies")
    references = {urn for urns in (used or {}).values() for urn in urns or ()}
    dependencies = references | {*(raw.get("dependencies") or ())}
    provider = places.provider(raw)
    place = places.of(raw, provider)
    return DeclaredResource(
        urn=Urn(raw["urn"]),
        type=raw["type"],
        name=raw["urn"].split("::", 3)[3],
        id=raw.get("id") or "",
        inputs=inputs,
        programmed=frozenset(used) if used is not None else _not_defaulted(raw),
        tenant=_tenant(raw, holders) or declared_tags(inputs).get(keys.TENANT) or None,
        parent=Urn(raw["parent"]) if raw.get("parent") else None,
        dependencies=frozenset(Urn(urn) for urn in dependencies),
        references=frozenset(Urn(urn) for urn in (dependencies if used is None else references)),
        protect=raw.get("protect") is True,
        external=raw.get("external") is True,
        created=moment(raw.get("created")),
        ignored=tuple(sorted(raw.get("ignoreChanges") or ())),
        ignored_tags=provider.ignored_tags,
        region=place.region,
        account=place.account,
    )


def _not_defaulted(raw: Mapping[str, Any]) -> frozenset[str]:
    """What the program can have set, where the state does not say it: provider v7 adds two inputs without a mark."""
    inputs = raw.get("inputs") or {}
    defaults = inputs.get(DEFAULTS)
    filled = {name for name in defaults if isinstance(name, str)} if isinstance(defaults, list) else set()
    return frozenset(inputs.keys() - filled - {DEFAULTS, "tagsAll", "region"})


def _tenant(raw: Mapping[str, Any], holders: Mapping[Urn, Mapping[str, Any]]) -> str | None:
    """The name of the tenant component above the resource. Only the program can set it, so it outranks the tag."""
    seen = {raw["urn"]}
    parent = raw.get("parent")
    while parent:
        holder = holders.get(Urn(parent))
        if holder is None or parent in seen:
            why = "is not in the state" if holder is None else "is below itself"
            raise _malformed(f"the parent {parent} {why}", raw["urn"])
        if holder["type"] == TENANT_TYPE:
            return str(holder["urn"]).split("::", 3)[3]
        seen.add(parent)
        parent = holder.get("parent")
    return None


def _malformed(what: str, where: str) -> StateError:
    return StateError(what, where=where, why="The state is damaged, or not one that Pulumi wrote.", todo=_TODO)

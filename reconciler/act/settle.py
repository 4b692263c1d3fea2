"""What a killed update left open in the state, made good on paper: pure, from one state document to another.

A create that was cut off may or may not have made something. If observation found it, the state adopts it, so that
nothing is created twice; if it is proven absent, the open operation is dropped; if nobody knows, it stays open. Other
open operations concern resources that the state knows already: a refresh tells the truth about those.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from reconciler.model import Urn

_ADOPTABLE = frozenset({"creating", "importing"})


def settle(document: Mapping[str, Any], located: Mapping[Urn, str | None]) -> dict[str, Any]:
    """The document with its pending operations settled as far as ``located`` allows.

    ``located`` holds the physical id of each resource whose create was cut off, None if it is proven absent; one that
    is not in it is unknown. Resources keep their order; none is ever lost. Settling twice changes nothing more.
    """
    settled: dict[str, Any] = copy.deepcopy(dict(document))
    deployment: dict[str, Any] = settled["deployment"]
    resources: list[dict[str, Any]] = deployment.setdefault("resources", [])
    left: list[dict[str, Any]] = []
    for operation in deployment.get("pending_operations") or ():
        urn = operation["resource"]["urn"]
        if operation["type"] not in _ADOPTABLE or (urn in located and located[urn] is None):
            continue
        physical = located.get(urn)
        if physical is None or not _adopt(operation["resource"], physical, resources):
            left.append(operation)
    if left:
        deployment["pending_operations"] = left
    else:
        deployment.pop("pending_operations", None)
    return settled


def unsettled(document: Mapping[str, Any]) -> frozenset[Urn]:
    """The resources whose create was cut off and is still open."""
    pending = document["deployment"].get("pending_operations") or ()
    return frozenset(Urn(p["resource"]["urn"]) for p in pending if p["type"] in _ADOPTABLE)


def _adopt(resource: Mapping[str, Any], physical: str, resources: list[dict[str, Any]]) -> bool:
    """Put the resource behind everything it needs. False if the state lacks its parent or its provider.

    If the state still holds the resource under another id, that one stays, and what was created in its place is left
    to be reported as unmanaged: two of the same name would make the state unreadable.
    """
    places = {r["urn"]: i for i, r in enumerate(resources)}
    urn = resource["urn"]
    if urn in places:
        return True
    provider = resource.get("provider", "").rsplit("::", 1)[0]
    needed = [n for n in (resource.get("parent"), provider) if n]
    if any(n not in places for n in needed):
        return False
    adopted = {**copy.deepcopy(dict(resource)), "id": physical, "custom": True}
    adopted["dependencies"] = [d for d in resource.get("dependencies") or () if d in places]
    adopted["propertyDependencies"] = {
        name: [d for d in urns or () if d in places]
        for name, urns in (resource.get("propertyDependencies") or {}).items()
    }
    if adopted.get("deletedWith") not in places:
        adopted.pop("deletedWith", None)
    # Some reads need more than the id (a route is found by table and destination), so the inputs stand in for the
    # outputs until the next refresh.
    adopted["outputs"] = {**_bare(resource.get("inputs") or {}), "id": physical}
    resources.insert(1 + max((places[n] for n in (*needed, *adopted["dependencies"])), default=-1), adopted)
    return True


def _bare(value: Any) -> Any:
    """Without the provider's book-keeping of defaults."""
    if isinstance(value, Mapping):
        return {k: _bare(v) for k, v in value.items() if k != "__defaults"}
    if isinstance(value, list):
        return [_bare(v) for v in value]
    return value

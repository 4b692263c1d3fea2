"""Which types can be seen: every module in ``aws/`` says so itself, so adding a type touches no other file."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping
from dataclasses import replace

from reconciler.model import ResourceKind
from reconciler.observe import aws, unmanaged
from reconciler.observe.aws import fleet
from reconciler.observe.reads import Observer


def _collect() -> dict[str, Observer]:
    found: dict[str, Observer] = {}
    for module in sorted(pkgutil.iter_modules(aws.__path__), key=lambda m: m.name):
        plugin = importlib.import_module(f"{aws.__name__}.{module.name}")
        for observer in getattr(plugin, "OBSERVERS", ()):
            if observer.kind.token in found:
                raise ValueError(f"two observers for {observer.kind.token}; one is in {plugin.__name__}")
            found[observer.kind.token] = replace(observer, kind=replace(observer.kind, observed=True))
    return found


OBSERVERS: Mapping[str, Observer] = _collect()
"""Observers by Pulumi type token."""

KINDS: Mapping[str, ResourceKind] = {token: observer.kind for token, observer in OBSERVERS.items()}

PERMISSIONS: tuple[str, ...] = tuple(
    sorted(
        {
            "sts:GetCallerIdentity",
            *fleet.PERMISSIONS,
            *unmanaged.PERMISSIONS,
            *(p for o in OBSERVERS.values() for p in o.permissions),
        }
    )
)
"""Every IAM action that looking needs."""

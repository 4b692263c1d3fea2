"""All faults by name. A new fault is a function and an entry in its area's file."""

from __future__ import annotations

from collections.abc import Mapping

from reconciler.errors import StackmendError
from sandbox.faults import fleet, identity, ingress, keys, network, observability, storage
from sandbox.faults.fault import Fault

_ALL = (
    *fleet.FAULTS,
    *network.FAULTS,
    *storage.FAULTS,
    *keys.FAULTS,
    *identity.FAULTS,
    *ingress.FAULTS,
    *observability.FAULTS,
)

FAULTS: Mapping[str, Fault] = {fault.name: fault for fault in _ALL}


def named(name: str) -> Fault:
    """The fault of that name. Raises StackmendError that lists those there are."""
    if name not in FAULTS:
        raise StackmendError(f"there is no fault called {name!r}", todo=f"use one of: {', '.join(sorted(FAULTS))}")
    return FAULTS[name]

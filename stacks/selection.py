"""What one run of the program registers: all of the cell, or for a targeted repair only the tenants concerned.

The time of an update grows with what the program registers, so the reconciler names the tenants of a repair in
``STACKMEND_TENANTS``, and targets the update at their resources. Never set it for an update without targets: the engine
would delete all other resources.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import pulumi

from stacks.config import CellConfig
from tenancy.errors import ConfigurationError, Problem
from tenancy.tenant import Tenant

VARIABLE = "STACKMEND_TENANTS"
"""Names joined by commas; unset means all. Set but empty is refused: nothing is not everything."""


def targeted() -> bool:
    """Whether this run is for some tenants only."""
    return VARIABLE in os.environ


def selected(config: CellConfig) -> tuple[Tenant, ...]:
    """The tenants to register. Raises ConfigurationError for a name that the cell does not have."""
    text = os.environ.get(VARIABLE)
    if text is None:
        return config.tenants
    names = {name.strip() for name in text.split(",")}
    known = {tenant.name for tenant in config.tenants}
    if not names <= known:
        unknown = min(names - known)
        allowed = f"names joined by commas, of {', '.join(sorted(known))}"
        raise ConfigurationError(
            [Problem("environment", None, VARIABLE, unknown, "is no tenant of this cell", allowed)]
        )
    return tuple(tenant for tenant in config.tenants if tenant.name in names)


def last_outputs() -> Mapping[str, Any]:
    """For a targeted run, what the last update said, since a stack's outputs are replaced whole; else nothing."""
    if not targeted():
        return {}
    stack = f"{pulumi.get_organization()}/{pulumi.get_project()}/{pulumi.get_stack()}"
    # Not a StackReference: that is a resource, and would stay in the state of the very stack it reads.
    answer = pulumi.runtime.invoke("pulumi:pulumi:readStackOutputs", {"name": stack})
    outputs: Mapping[str, Any] = (answer.value or {}).get("outputs", {})
    return outputs

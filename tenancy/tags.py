"""The ownership tags: how the program marks what belongs to a tenant, and how anybody else reads the marks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tenancy.tenant import Tenant

NAME = "Name"
CELL = "stackmend:cell"
TENANT = "stackmend:tenant"
TIER = "stackmend:tier"
REGIME = "stackmend:regime"
OWNER = "stackmend:owner"

COMPROMISED = "stackmend:compromised"
"""On a server, with the reason: somebody, or something that watches, says that it was broken into."""
QUARANTINED_FROM = "stackmend:quarantined-from"
"""On a server that was isolated: the group it was taken out of."""
KEEP_UNTIL = "stackmend:keep-until"
"""On it and on the snapshots of its volumes: the moment (ISO 8601) until which they are kept for an investigation."""
QUARANTINE_GROUP = "stackmend-quarantine"
"""The name of the security group without rules that cuts a server off; one in a network."""
FORENSIC = "stackmend:forensic"
"""On a snapshot: the server whose volume it shows."""

OWNERSHIP = (CELL, TENANT, TIER, REGIME, OWNER)
"""The keys that together say whose a resource is; every taggable resource of a tenant has all of them."""


@dataclass(frozen=True, slots=True)
class Ownership:
    """Whose a resource says it is. Tags are a claim, not a proof: the values are as found, not validated."""

    cell: str
    tenant: str
    tier: str
    regimes: frozenset[str]
    owner: str


def build(tenant: Tenant, *, cell: str, owner: str, name: str) -> dict[str, str]:
    """The tags of one resource whose logical name is ``name``."""
    return {
        NAME: name,
        CELL: cell,
        TENANT: tenant.name,
        TIER: tenant.tier.value,
        REGIME: " ".join(sorted(tenant.regimes)),
        OWNER: owner,
    }


def of_cell(*, cell: str, owner: str, name: str) -> dict[str, str]:
    """The tags of a resource that the cell's tenants share; it claims none of them as its owner."""
    return {NAME: name, CELL: cell, OWNER: owner}


def read(tags: Mapping[str, str]) -> Ownership | None:
    """The ownership that tags claim; None unless all the keys are there: half a claim is no claim."""
    if not all(key in tags for key in OWNERSHIP):
        return None
    return Ownership(
        cell=tags[CELL],
        tenant=tags[TENANT],
        tier=tags[TIER],
        regimes=frozenset(tags[REGIME].split()),
        owner=tags[OWNER],
    )

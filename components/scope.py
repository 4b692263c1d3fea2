"""Whose world is being built and where: what every component of a tenant needs to name and tag its resources."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi

from tenancy import arns, tags
from tenancy.tenant import Tenant


@dataclass(frozen=True, slots=True)
class Scope:
    """One tenant in one cell."""

    tenant: Tenant
    cell: str
    region: str
    owner: str
    account_id: pulumi.Input[str]
    protect_data: bool = True
    """Refuse to delete what holds data or keys, until somebody lifts the protection on purpose."""

    def name(self, suffix: str) -> str:
        """The logical name of the tenant's resource ``suffix``."""
        return f"{self.tenant.name}-{suffix}"

    def tags(self, suffix: str) -> dict[str, str]:
        """The tags of the tenant's resource ``suffix``."""
        return tags.build(self.tenant, cell=self.cell, owner=self.owner, name=self.name(suffix))

    @property
    def partition(self) -> str:
        """First part of every ARN in the region."""
        return arns.partition_of(self.region)

    @property
    def log_group_name(self) -> str:
        """The physical name of the API's log group: known beforehand, so that policies can name it."""
        return f"/stackmend/{self.cell}/{self.tenant.name}/api"

    @property
    def log_group_arn(self) -> pulumi.Output[str]:
        """The ARN of the API's log group, without the ``:*`` that stands for its streams."""
        prefix = f"arn:{self.partition}:logs:{self.region}:"
        return pulumi.Output.concat(prefix, self.account_id, f":log-group:{self.log_group_name}")

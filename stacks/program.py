"""The program of a cell: one Tenant component for each tenant, what they share, and the addresses as outputs."""

from __future__ import annotations

from typing import Any

import pulumi
import pulumi_aws as aws

from components.events import ChangeEvents, ChangeEventsArgs
from components.scope import Scope
from components.tenant import Tenant, TenantArgs
from stacks.config import from_engine
from stacks.selection import last_outputs, selected, targeted
from tenancy.errors import ConfigurationError


def run() -> None:
    """Declare the cell. Ends the program with a plain message, and nothing declared, if its configuration is bad."""
    try:
        config = from_engine()
        tenants = selected(config)
    except ConfigurationError as error:
        raise pulumi.RunError(str(error)) from None
    kept = last_outputs()
    others = {tenant.name for tenant in config.tenants} - {tenant.name for tenant in tenants}
    outputs = {name: value for name, value in kept.get("tenants", {}).items() if name in others}
    # Local zones hold neither load balancers of this kind nor every instance type.
    in_region = aws.GetAvailabilityZonesFilterArgs(name="opt-in-status", values=["opt-in-not-required"])
    zones = aws.get_availability_zones_output(state="available", filters=[in_region]).names
    account_id = aws.get_caller_identity_output().account_id
    latest: pulumi.Input[str] = "" if all(tenant.image_id for tenant in tenants) else latest_image()
    for tenant in tenants:
        world = Tenant(
            tenant.name,
            TenantArgs(
                Scope(
                    tenant=tenant,
                    cell=config.cell,
                    region=config.region,
                    owner=config.owner,
                    account_id=account_id,
                    protect_data=not config.for_development,
                ),
                zone_a=zones[0],
                zone_b=zones[1],
                image_id=tenant.image_id or latest,
                alarm_topic_arn=config.alarm_topic_arn,
            ),
        )
        outputs[tenant.name] = world.outputs
    pulumi.export("tenants", outputs)
    of_the_cell: dict[str, Any] = {}
    if targeted():
        of_the_cell = {name: kept[name] for name in ("events_queue_url", "events_queue_arn") if name in kept}
    elif config.events:
        events = ChangeEvents("events", ChangeEventsArgs(cell=config.cell, owner=config.owner))
        of_the_cell = {"events_queue_url": events.queue_url, "events_queue_arn": events.queue_arn}
    for name, value in of_the_cell.items():
        pulumi.export(name, value)


def latest_image() -> pulumi.Output[str]:
    """The newest Amazon Linux 2023 for x86_64. It moves: only for cells where that does no harm."""
    image_id: pulumi.Output[str] = aws.ec2.get_ami_output(
        owners=["amazon"],
        most_recent=True,
        filters=[
            aws.ec2.GetAmiFilterArgs(name="name", values=["al2023-ami-2023.*-x86_64"]),
            aws.ec2.GetAmiFilterArgs(name="architecture", values=["x86_64"]),
        ],
    ).id
    return image_id

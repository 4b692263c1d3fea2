"""Which narrower reads stand for a whole listing when only a few resources are looked at.

A look at one tenant should cost one tenant's calls. Where AWS lets a listing be narrowed to certain ids, names or
tags without failing for those that do not exist, it is; where there are few, each is asked for itself. What such reads
do not show is not absent: ``observe`` then reads the listing whole, so this table can be wrong only in what it costs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TypeAlias

from reconciler.model import GROUP, DeclaredResource
from reconciler.observe.aws import (
    autoscaling,
    cloudwatch,
    ec2,
    ec2_launch,
    elbv2_common,
    elbv2_load_balancer,
    elbv2_target_group,
    eventbridge,
    kms,
    logs,
    s3,
    sqs,
)
from reconciler.observe.aws._common import call, text
from reconciler.observe.reads import Read
from tenancy.tags import CELL, QUARANTINED_FROM, TENANT

_PER_FILTER = 200
"""Values that EC2 takes in one filter."""
_TENANTS = 20
"""Values that the tag index takes for one key."""
_PARTS = 10
"""Narrow reads beyond which the whole listing is read: one page of it holds a hundred rows and more."""

_TYPES = {
    ec2.VPCS: ("vpc-id", "aws:ec2/vpc:Vpc"),
    ec2.SUBNETS: ("subnet-id", "aws:ec2/subnet:Subnet"),
    ec2.GATEWAYS: ("internet-gateway-id", "aws:ec2/internetGateway:InternetGateway"),
    ec2.SECURITY_GROUPS: ("group-id", "aws:ec2/securityGroup:SecurityGroup"),
}
_GROUP_TAG = "aws:autoscaling:groupName"
_TABLE = "aws:ec2/routeTable:RouteTable"
_IN_TABLES = ("aws:ec2/route:Route", "aws:ec2/routeTableAssociation:RouteTableAssociation")
_TEMPLATE = "aws:ec2/launchTemplate:LaunchTemplate"
_INDEXED = {
    cloudwatch.TAG_INDEX: ("aws:cloudwatch/metricAlarm:MetricAlarm",),
    elbv2_common.TAG_INDEX: (
        "aws:lb/loadBalancer:LoadBalancer",
        "aws:lb/targetGroup:TargetGroup",
        "aws:lb/listener:Listener",
    ),
    eventbridge.TAG_INDEX: ("aws:cloudwatch/eventRule:EventRule",),
    kms.TAG_INDEX: ("aws:kms/key:Key",),
    logs.TAG_INDEX: ("aws:cloudwatch/logGroup:LogGroup",),
    s3.TAG_INDEX: ("aws:s3/bucket:Bucket",),
    sqs.TAG_INDEX: ("aws:sqs/queue:Queue",),
}

_Few: TypeAlias = Mapping[str, Sequence[DeclaredResource]]
"""What is looked at, by type."""


def scope(wanted: Iterable[DeclaredResource]) -> dict[Read, tuple[Read, ...]]:
    """The narrow reads that together stand for a listing, by listing; what is not in it is read whole."""
    few: dict[str, list[DeclaredResource]] = {}
    for resource in wanted:
        # Half a character cannot be sent, so it would cost all that are asked for together with it.
        if resource.id and resource.id.isprintable():
            few.setdefault(resource.type, []).append(resource)
    found = {listing: narrow(few) for listing, narrow in _NARROW.items()}
    return {listing: tuple(parts) for listing, parts in found.items() if parts and len(parts) <= _PARTS}


def _ids(few: _Few, *types: str) -> list[str]:
    return sorted({resource.id for type_ in types for resource in few.get(type_, ())})


def _filtered(listing: ec2.Listing, name: str, values: Sequence[str]) -> list[Read]:
    """A filter leaves out what does not exist, where asking by id would fail for all."""
    read = listing.read
    return [
        call(
            read.service,
            read.operation,
            read.result,
            target=f"{len(some)} of {name}",
            Filters=((("Name", name), ("Values", tuple(some))),),
        )
        for some in _batches(values, _PER_FILTER)
    ]


def _batches(values: Sequence[str], size: int) -> list[Sequence[str]]:
    return [values[start : start + size] for start in range(0, len(values), size)]


def _tables(few: _Few) -> list[Read]:
    inside = {table for type_ in _IN_TABLES for r in few.get(type_, ()) if (table := text(r, "routeTableId"))}
    return _filtered(ec2.ROUTE_TABLES, "route-table-id", sorted({*_ids(few, _TABLE), *inside}))


def _templates(few: _Few) -> list[str]:
    blocks = (group.inputs.get("launchTemplate") for group in few.get(GROUP, ()))
    named = {block.get("id") for block in blocks if isinstance(block, Mapping)}
    return sorted({*_ids(few, _TEMPLATE), *(id_ for id_ in named if isinstance(id_, str))})


def _versions(few: _Few) -> list[Read]:
    whole = ec2_launch.VERSIONS
    return [
        call(
            whole.service,
            whole.operation,
            whole.result,
            absent=ec2.TEMPLATES.absent,
            target=id_,
            LaunchTemplateId=id_,
            **{name: list(value) for name, value in whole.params},
        )
        for id_ in _templates(few)
    ]


def _instances(few: _Few) -> list[Read]:
    """The servers of the groups, and those that a quarantine took out of them."""
    groups = _ids(few, GROUP)
    tags = (f"tag:{_GROUP_TAG}", f"tag:{QUARANTINED_FROM}")
    return [read for tag in tags for read in _filtered(ec2.INSTANCES, tag, groups)]


def _groups(few: _Few) -> list[Read]:
    read = autoscaling.GROUPS.read
    return [
        call(
            read.service,
            read.operation,
            read.result,
            target=f"{len(some)} by name",
            **{autoscaling.GROUPS.ids: [*some]},
        )
        for some in _batches(_ids(few, GROUP), 50)
    ]


def _alarms(few: _Few) -> list[Read]:
    read = cloudwatch.LISTING
    return [
        call(read.service, read.operation, read.result, target=f"{len(some)} by name", AlarmNames=[*some])
        for some in _batches(_ids(few, "aws:cloudwatch/metricAlarm:MetricAlarm"), 100)
    ]


def _aliases(few: _Few) -> list[Read] | None:
    keys = {text(alias, "targetKeyId") for alias in few.get("aws:kms/alias:Alias", ())}
    if None in keys:
        return None
    read = kms.ALIASES
    reads = [
        call(read.service, read.operation, read.result, target=str(key), KeyId=str(key))
        for key in sorted(map(str, keys))
    ]
    return [replace(read, absent=frozenset({"NotFoundException"})) for read in reads]


def _index(read: Read, types: Sequence[str]) -> Callable[[_Few], list[Read] | None]:
    """The rows of one cell's tenants, or of all of the cell where one is no tenant's.

    A resource that lost its tags is not there, and is then asked for its tags.
    """

    def narrow(few: _Few) -> list[Read] | None:
        owners = {_owner(resource) for type_ in types for resource in few.get(type_, ())}
        cells, tenants = {cell for cell, _ in owners}, {tenant for _, tenant in owners}
        if None in cells or len(cells) != 1 or len(tenants) > _TENANTS:
            return None
        wanted = {CELL: cells} if None in tenants else {CELL: cells, TENANT: tenants}
        filters = tuple((("Key", key), ("Values", tuple(sorted(map(str, of))))) for key, of in wanted.items())
        params = {name: list(value) for name, value in read.params}
        return [call(read.service, read.operation, read.result, target="tenants", TagFilters=filters, **params)]

    return narrow


def _owner(resource: DeclaredResource) -> tuple[str | None, str | None]:
    tags = resource.inputs.get("tags")
    cell, tenant = (tags.get(CELL), tags.get(TENANT)) if isinstance(tags, Mapping) else (None, None)
    return cell if isinstance(cell, str) else None, tenant if isinstance(tenant, str) else None


_NARROW: Mapping[Read, Callable[[_Few], list[Read] | None]] = {
    **{
        listing.read: (lambda few, listing=listing, name=name, type_=type_: _filtered(listing, name, _ids(few, type_)))  # type: ignore[misc]
        for listing, (name, type_) in _TYPES.items()
    },
    ec2.ROUTE_TABLES.read: _tables,
    ec2.TEMPLATES.read: lambda few: [ec2.TEMPLATES.direct(id_) for id_ in _templates(few)],
    ec2_launch.VERSIONS: _versions,
    ec2.INSTANCES.read: _instances,
    autoscaling.GROUPS.read: _groups,
    elbv2_load_balancer.LISTING: lambda few: [
        elbv2_load_balancer.direct(arn, LoadBalancerArns=[arn]) for arn in _ids(few, "aws:lb/loadBalancer:LoadBalancer")
    ],
    elbv2_target_group.LISTING: lambda few: [
        elbv2_target_group.direct(arn, TargetGroupArns=[arn]) for arn in _ids(few, "aws:lb/targetGroup:TargetGroup")
    ],
    kms.ALIASES: _aliases,
    cloudwatch.LISTING: _alarms,
    logs.LISTING: lambda few: [logs.by_prefix(name) for name in _ids(few, "aws:cloudwatch/logGroup:LogGroup")],
    **{read: _index(read, types) for read, types in _INDEXED.items()},
}

"""Which types a removal may delete, how each is looked at again first, and what would show that it is in use.

The table is short on purpose. What holds data or keys is not in it, nor what carries traffic by being there (listeners,
load balancers, routes), nor servers, whose disks may hold something.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

Row: TypeAlias = Mapping[str, Any]
Read: TypeAlias = Callable[..., list[Row]]
"""Service, operation, the list in its answer, parameters: all rows of all pages."""


@dataclass(frozen=True, slots=True)
class Removal:
    """How resources of one type are removed."""

    type: str
    id: re.Pattern[str]
    service: str
    delete: str
    """boto3's name of the call; ``parameter`` is the one that names the resource, and the only one."""
    parameter: str
    look: tuple[str, str, str]
    """Operation, the list in its answer, and the parameter that takes a list of ids."""
    gone: frozenset[str]
    """The codes by which AWS says that there is no such thing."""
    uses: Callable[[str, Row, Read], Iterator[str]]
    """What uses it, in words; nothing if nothing does."""


def _ids(prefix: str) -> re.Pattern[str]:
    return re.compile(rf"{prefix}-([0-9a-f]{{8}}|[0-9a-f]{{17}})")


def _by(name: str, value: str) -> list[dict[str, Any]]:
    return [{"Name": name, "Values": [value]}]


def _named_in(rows: list[Row], id_: str) -> bool:
    """Whether rows name it anywhere: what AWS adds to its answers tomorrow counts as well."""
    return f'"{id_}"' in json.dumps(rows, default=str) or any(id_ in str(row.get("VPCZoneIdentifier")) for row in rows)


def _security_group(id_: str, _: Row, read: Read) -> Iterator[str]:
    if read("ec2", "describe_network_interfaces", "NetworkInterfaces", Filters=_by("group-id", id_)):
        yield "a network interface is in it"
    if read("ec2", "describe_instances", "Reservations", Filters=_by("instance.group-id", id_)):
        yield "a server is in it"
    others = [g for g in read("ec2", "describe_security_groups", "SecurityGroups") if g["GroupId"] != id_]
    if _named_in(others, id_):
        yield "another security group refers to it"
    versions = read(
        "ec2", "describe_launch_template_versions", "LaunchTemplateVersions", Versions=["$Latest", "$Default"]
    )
    if _named_in(versions, id_):
        yield "a launch template refers to it"
    if _named_in(read("elbv2", "describe_load_balancers", "LoadBalancers"), id_):
        yield "a load balancer is in it"


def _target_group(id_: str, row: Row, read: Read) -> Iterator[str]:
    if row.get("LoadBalancerArns"):
        yield "a load balancer sends requests to it"
    if read("elbv2", "describe_target_health", "TargetHealthDescriptions", TargetGroupArn=id_):
        yield "it has targets"
    if _named_in(read("autoscaling", "describe_auto_scaling_groups", "AutoScalingGroups"), id_):
        yield "a group registers its servers with it"


def _launch_template(id_: str, _: Row, read: Read) -> Iterator[str]:
    if _named_in(read("autoscaling", "describe_auto_scaling_groups", "AutoScalingGroups"), id_):
        yield "a group launches servers from it"
    if read("ec2", "describe_instances", "Reservations", Filters=_by("tag:aws:ec2launchtemplate:id", id_)):
        yield "a server was launched from it"


def _route_table(_: str, row: Row, __: Read) -> Iterator[str]:
    if row.get("Associations") or row.get("PropagatingVgws"):
        yield "something is routed by it"


def _subnet(id_: str, _: Row, read: Read) -> Iterator[str]:
    if read("ec2", "describe_network_interfaces", "NetworkInterfaces", Filters=_by("subnet-id", id_)):
        yield "a network interface is in it"
    if read("ec2", "describe_instances", "Reservations", Filters=_by("subnet-id", id_)):
        yield "a server is in it"
    if _named_in(read("autoscaling", "describe_auto_scaling_groups", "AutoScalingGroups"), id_):
        yield "a group launches servers in it"
    if _named_in(read("elbv2", "describe_load_balancers", "LoadBalancers"), id_):
        yield "a load balancer is in it"


REMOVALS: tuple[Removal, ...] = (
    Removal(
        "aws:ec2/securityGroup:SecurityGroup",
        _ids("sg"),
        "ec2",
        "delete_security_group",
        "GroupId",
        ("describe_security_groups", "SecurityGroups", "GroupIds"),
        frozenset({"InvalidGroup.NotFound", "InvalidGroupId.NotFound"}),
        _security_group,
    ),
    Removal(
        "aws:lb/targetGroup:TargetGroup",
        re.compile(r"arn:[\w-]+:elasticloadbalancing:[\w-]+:\d{12}:targetgroup/\S+"),
        "elbv2",
        "delete_target_group",
        "TargetGroupArn",
        ("describe_target_groups", "TargetGroups", "TargetGroupArns"),
        frozenset({"TargetGroupNotFound"}),
        _target_group,
    ),
    Removal(
        "aws:ec2/launchTemplate:LaunchTemplate",
        _ids("lt"),
        "ec2",
        "delete_launch_template",
        "LaunchTemplateId",
        ("describe_launch_templates", "LaunchTemplates", "LaunchTemplateIds"),
        frozenset({"InvalidLaunchTemplateId.NotFound", "InvalidLaunchTemplateId.NotFoundException"}),
        _launch_template,
    ),
    Removal(
        "aws:ec2/routeTable:RouteTable",
        _ids("rtb"),
        "ec2",
        "delete_route_table",
        "RouteTableId",
        ("describe_route_tables", "RouteTables", "RouteTableIds"),
        frozenset({"InvalidRouteTableID.NotFound", "InvalidRouteTableId.NotFound"}),
        _route_table,
    ),
    Removal(
        "aws:ec2/subnet:Subnet",
        _ids("subnet"),
        "ec2",
        "delete_subnet",
        "SubnetId",
        ("describe_subnets", "Subnets", "SubnetIds"),
        frozenset({"InvalidSubnetID.NotFound"}),
        _subnet,
    ),
)

TYPES = frozenset(removal.type for removal in REMOVALS)


def removal_of(id_: str) -> Removal | None:
    """The one entry whose ids are of this form."""
    return next((removal for removal in REMOVALS if removal.id.fullmatch(id_)), None)

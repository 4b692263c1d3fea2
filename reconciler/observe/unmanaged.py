"""What is inside a tenant's network although no program declares it: made by hand, by another tool, or by an intruder.

Tags cannot tell: whoever makes something in there need not tag it. The network itself tells, since AWS says of each of
these resources which network it is in. The listings are those that observation makes anyway.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass

from reconciler.model import GROUP, Declared, Stray
from reconciler.observe.aws.ec2 import INSTANCES, ROUTE_TABLES, SECURITY_GROUPS, SUBNETS
from reconciler.observe.aws.elbv2_load_balancer import LISTING as LOAD_BALANCERS
from reconciler.observe.reads import Answers, Read, Row, Rows
from reconciler.observe.tags import plain
from tenancy.tags import NAME, QUARANTINED_FROM

VPC = "aws:ec2/vpc:Vpc"
_GROUP_TAG = "aws:autoscaling:groupName"
"""Set by Auto Scaling alone: AWS lets nobody else use its prefix."""
_GONE = frozenset({"terminated", "shutting-down"})


@dataclass(frozen=True, slots=True)
class _Sort:
    """One sort of resource that is inside a network. ``natural`` tells those that AWS makes along with others."""

    type: str
    listing: Read
    key: str
    natural: Callable[[Row], bool] = lambda _: False


def _is_default(group: Row) -> bool:
    """AWS's own, or the one of a quarantine: it has no rules, so it lets nothing in or out."""
    isolates = any(tag["Key"] == QUARANTINED_FROM for tag in group.get("Tags", ()))
    empty = not group.get("IpPermissions") and not group.get("IpPermissionsEgress")
    return bool(group.get("GroupName") == "default" or (isolates and empty))


def _is_main(table: Row) -> bool:
    return any(association.get("Main") for association in table.get("Associations", ()))


def _is_gone(server: Row) -> bool:
    return server.get("State", {}).get("Name") in _GONE


_SORTS = (
    _Sort("aws:ec2/subnet:Subnet", SUBNETS.read, "SubnetId"),
    _Sort("aws:ec2/securityGroup:SecurityGroup", SECURITY_GROUPS.read, "GroupId", _is_default),
    _Sort("aws:ec2/routeTable:RouteTable", ROUTE_TABLES.read, "RouteTableId", _is_main),
    _Sort("aws:ec2/instance:Instance", INSTANCES.read, "InstanceId", _is_gone),
    _Sort("aws:lb/loadBalancer:LoadBalancer", LOAD_BALANCERS, "LoadBalancerArn"),
)
PERMISSIONS = (
    "ec2:DescribeInstances",
    "ec2:DescribeRouteTables",
    "ec2:DescribeSecurityGroups",
    "ec2:DescribeSubnets",
    "elasticloadbalancing:DescribeLoadBalancers",
)


def unmanaged(declared: Declared, answers: Answers, members: Collection[str]) -> Iterator[Stray]:
    """Live resources in the networks that the cell declares, without those declared and without ``members`` of fleets.

    A listing that failed shows none, and is among the failed reads.
    """
    networks = {r.id: r for r in declared.resources.values() if r.type == VPC and r.id and not r.external}
    groups = {r.id for r in declared.resources.values() if r.type == GROUP}
    if not networks:
        return
    for sort in _SORTS:
        answer = answers.get(sort.listing)
        for row in answer.rows if isinstance(answer, Rows) else ():
            network, id_ = networks.get(str(row.get("VpcId"))), str(row.get(sort.key, ""))
            known = id_ in answers.claimed or id_ in members or _grown(row, groups)
            if network is not None and id_ and not known and not sort.natural(row):
                tags = plain(row.get("Tags", ()))
                name = tags.get(NAME) or row.get("LoadBalancerName") or row.get("GroupName") or ""
                yield Stray(sort.type, id_, network.tenant, name, tags, inside=network.urn)


def _grown(row: Row, groups: Collection[str]) -> bool:
    """Whether a declared group launched it, or a quarantine took it out of one: it shows with the fleet."""
    tags: Mapping[str, str] = {tag["Key"]: tag.get("Value", "") for tag in row.get("Tags", ())}
    return tags.get(_GROUP_TAG) in groups or tags.get(QUARANTINED_FROM) in groups

"""What is inside a tenant's network although no program declares it: made by hand, by another tool, or by an intruder.

Tags cannot tell: whoever makes something in there need not tag it. The network itself tells, since AWS says of each of
these resources which network it is in. The listings are those that observation makes anyway.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass

from reconciler.model import GROUP, Declared, DeclaredResource, Stray
from reconciler.observe.aws._common import text
from reconciler.observe.aws.ec2 import INSTANCES, ROUTE_TABLES, SECURITY_GROUPS, SUBNETS
from reconciler.observe.aws.ec2_routing import comes_with, declares, described, shows_in_table
from reconciler.observe.aws.ec2_security import live_permissions
from reconciler.observe.aws.elbv2_load_balancer import LISTING as LOAD_BALANCERS
from reconciler.observe.aws.isolation import Reach, reach
from reconciler.observe.reads import Answers, Read, Row, Rows
from reconciler.observe.tags import plain
from tenancy.tags import NAME, QUARANTINED_FROM

VPC = "aws:ec2/vpc:Vpc"
ROUTE = "aws:ec2/route:Route"
_TABLES = frozenset({"aws:ec2/routeTable:RouteTable", "aws:ec2/defaultRouteTable:DefaultRouteTable"})
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


def _is_harmless(group: Row) -> bool:
    """AWS's own with no rules but those that AWS gives it, or a quarantine's without any: it lets nothing in or out."""
    ingress, egress = (_rules(group, side) for side in ("IpPermissions", "IpPermissionsEgress"))
    if any(tag["Key"] == QUARANTINED_FROM for tag in group.get("Tags", ())):
        return not ingress and not egress
    return group.get("GroupName") == "default" and ingress <= _ITSELF and egress <= _EVERYWHERE


_ITSELF = frozenset({("-1", "self", "")})
_EVERYWHERE = frozenset({("-1", "cidrBlocks", "0.0.0.0/0"), ("-1", "ipv6CidrBlocks", "::/0")})


def _rules(group: Row, side: str) -> frozenset[tuple[str, str, str]]:
    live = live_permissions(group.get(side, ()), str(group.get("GroupId")), str(group.get("OwnerId", "")))
    return frozenset((rule.protocol, rule.place, rule.source) for rule in live)


def _is_main(table: Row) -> bool:
    return any(association.get("Main") for association in table.get("Associations", ()))


def _is_gone(server: Row) -> bool:
    return server.get("State", {}).get("Name") in _GONE


_SORTS = (
    _Sort("aws:ec2/subnet:Subnet", SUBNETS.read, "SubnetId"),
    _Sort("aws:ec2/securityGroup:SecurityGroup", SECURITY_GROUPS.read, "GroupId", _is_harmless),
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
    groups = {r.id for r in declared.resources.values() if r.type == GROUP and r.id}
    ruled = {text(r, "securityGroupId") for r in declared.resources.values()}
    if not networks:
        return
    for sort in _SORTS:
        answer = answers.get(sort.listing)
        for row in answer.rows if isinstance(answer, Rows) else ():
            network, id_ = networks.get(str(row.get("VpcId"))), str(row.get(sort.key, ""))
            if network is None or not id_ or id_ in answers.claimed or id_ in members or sort.natural(row):
                continue
            if row.get("GroupName") == "default" and id_ in ruled:
                continue  # its rules are resources of their own
            if sort.listing is not INSTANCES.read or not _grown(row, groups, answers):
                tags = plain(row.get("Tags", ()))
                name = tags.get(NAME) or row.get("LoadBalancerName") or row.get("GroupName") or ""
                yield Stray(sort.type, id_, network.tenant, name, tags, inside=network.urn)
    yield from _routes(declared, answers, networks)


def _grown(server: Row, groups: Collection[str], answers: Answers) -> bool:
    """Whether a declared group launched it, or a quarantine took it out of one: it shows with the fleet.

    The quarantine's tag is a claim, so it hides no server that another security group lets something through to.
    """
    tags: Mapping[str, str] = {tag["Key"]: tag.get("Value", "") for tag in server.get("Tags", ())}
    if tags.get(_GROUP_TAG) in groups:
        return True
    return tags.get(QUARANTINED_FROM) in groups and reach(server, answers) is not Reach.BESIDE


def _routes(declared: Declared, answers: Answers, networks: Mapping[str, DeclaredResource]) -> Iterator[Stray]:
    """Routes that nobody declared, in tables that are declared or AWS's own; any other table shows as a whole.

    What a table that declares its routes inline has beside them is a drift of that table.
    """
    tables = {r.id: r for r in declared.resources.values() if r.type in _TABLES and not r.external}
    routes: dict[str, list[DeclaredResource]] = {}
    for one in declared.resources.values():
        if one.type == ROUTE and (table := text(one, "routeTableId")) is not None:
            routes.setdefault(table, []).append(one)
    answer = answers.get(ROUTE_TABLES.read)
    for row in answer.rows if isinstance(answer, Rows) else ():
        network, table = networks.get(str(row.get("VpcId"))), str(row.get("RouteTableId", ""))
        holder = tables.get(table)
        if network is None or (holder is None and (table in answers.claimed or not _is_main(row))):
            continue
        for route in row.get("Routes", ()):
            id_, words = described(table, route)
            known = id_ in answers.claimed or any(declares(one, route) for one in routes.get(table, ()))
            if not known and not comes_with(route, answers.claimed) and not shows_in_table(route, holder):
                yield Stray(ROUTE, id_, network.tenant, words, {}, inside=network.urn)

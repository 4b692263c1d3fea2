"""What is inside a tenant's network and declared by nobody: found by where it is, not by what it says of itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from reconciler.detect.orphans import RULES, orphans
from reconciler.model import DeclaredResource, Stray, Verdict
from reconciler.observe.observe import observe
from reconciler.observe.reads import Answer
from tests.unit.observe_worlds import ACCOUNT, Table, declared, failed, resource, rows

VPC = resource("aws:ec2/vpc:Vpc", "acme-vpc", "vpc-1", {})
GROUP = resource("aws:autoscaling/group:Group", "acme-servers", "acme-servers-1", {})
SUBNET = resource("aws:ec2/subnet:Subnet", "acme-a", "subnet-1", {})

SECURITY_GROUP = "aws:ec2/securityGroup:SecurityGroup"
ITSELF = {"IpProtocol": "-1", "UserIdGroupPairs": [{"GroupId": "x-1", "UserId": ACCOUNT}]}
EVERYWHERE = {"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}
WORLD = {"CidrIpv6": "::/0"}
AWS_OWN: dict[str, Any] = {
    "GroupName": "default",
    "OwnerId": ACCOUNT,
    "IpPermissions": [ITSELF],
    "IpPermissionsEgress": [EVERYWHERE],
}
SSH = {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}
TAKEN = {"Key": "stackmend:quarantined-from", "Value": GROUP.id}

TABLE = resource("aws:ec2/routeTable:RouteTable", "acme-private", "rtb-1", {"vpcId": "vpc-1"})
INLINE = replace(TABLE, inputs={"vpcId": "vpc-1", "routes": [{"ipv6CidrBlock": "::/0", "gatewayId": "igw-1"}]})
ENDPOINT = resource("aws:ec2/vpcEndpoint:VpcEndpoint", "acme-s3", "vpce-1", {})
LOCAL = {"DestinationCidrBlock": "10.0.0.0/16", "GatewayId": "local", "Origin": "CreateRouteTable"}
PEERING = {"DestinationCidrBlock": "10.9.0.0/16", "VpcPeeringConnectionId": "pcx-1", "Origin": "CreateRoute"}
INTERNET = {"DestinationIpv6CidrBlock": "::/0", "GatewayId": "igw-1", "Origin": "CreateRoute"}
BUCKETS = {"DestinationPrefixListId": "pl-1", "GatewayId": "vpce-1", "Origin": "CreateRoute"}

LISTINGS = {
    "aws:ec2/subnet:Subnet": ("describe_subnets", "SubnetId"),
    "aws:ec2/securityGroup:SecurityGroup": ("describe_security_groups", "GroupId"),
    "aws:ec2/routeTable:RouteTable": ("describe_route_tables", "RouteTableId"),
    "aws:ec2/instance:Instance": ("describe_instances", "InstanceId"),
    "aws:lb/loadBalancer:LoadBalancer": ("describe_load_balancers", "LoadBalancerArn"),
}


def found(answers: Mapping[str, Answer], *resources: DeclaredResource) -> tuple[Stray, ...]:
    """What is found beside the network and these resources."""
    attributes: dict[str, Answer] = {
        "describe_vpcs": rows({"VpcId": "vpc-1"}),
        "describe_vpc_attribute vpc-1": failed(),
    }
    return observe(declared(VPC, *resources), Table({**attributes, **answers})).strays


def one(type_: str, id_: str = "x-1", **row: Any) -> dict[str, Answer]:
    operation, key = LISTINGS[type_]
    return {operation: rows({key: id_, "VpcId": "vpc-1", **row})}


@pytest.mark.parametrize("type_", LISTINGS)
def test_each_sort_is_found_and_reported(type_: str) -> None:
    """T03: without a single tag it is found, attributed to the network's tenant, and shown as unmanaged."""
    (stray,) = found(one(type_))
    assert (stray.type, stray.id, stray.tenant, stray.inside) == (type_, "x-1", "acme", VPC.urn)
    observed = replace(observe(declared(VPC), Table({})), strays=(stray,))
    (finding,) = orphans(observed)
    assert (finding.rule, finding.verdict, finding.tenant) == ("orphan.unmanaged", Verdict.FAIL, "acme")
    assert "acme-vpc" in finding.message
    assert finding.rule in RULES


@pytest.mark.parametrize("type_", LISTINGS)
def test_other_networks_are_nobodys_business(type_: str) -> None:
    """T09: what is in a network that this cell does not declare is not looked at, however alike its id is."""
    assert found(one(type_, VpcId="vpc-10")) == ()
    operation, key = LISTINGS[type_]
    assert found({operation: rows({key: "x-1"})}) == ()


@pytest.mark.parametrize("type_", LISTINGS)
def test_a_listing_that_failed_shows_nothing(type_: str) -> None:
    """I06: nothing is said without an answer."""
    assert found({LISTINGS[type_][0]: failed()}) == ()


def test_what_is_declared_is_not_found() -> None:
    """By its id, whatever its tags have become."""
    assert found(one(SUBNET.type, "subnet-1"), SUBNET) == ()
    assert [s.id for s in found(one(SUBNET.type, "subnet-10"), SUBNET)] == ["subnet-10"]


@pytest.mark.parametrize(
    "answers",
    [
        one(SECURITY_GROUP, GroupName="default"),
        one(SECURITY_GROUP, **AWS_OWN),
        one(SECURITY_GROUP, GroupName="default", IpPermissionsEgress=[{**EVERYWHERE, "Ipv6Ranges": [WORLD]}]),
        one(SECURITY_GROUP, GroupName="stackmend-quarantine", Tags=[TAKEN]),
        one("aws:ec2/routeTable:RouteTable", Associations=[{"Main": True}], Routes=[LOCAL]),
        one("aws:ec2/instance:Instance", State={"Name": "terminated"}),
        one("aws:ec2/instance:Instance", State={"Name": "shutting-down"}),
    ],
)
def test_what_aws_makes_or_has_ended_is_not_found(answers: Mapping[str, Answer]) -> None:
    """Every network has a default security group and a main route table; ended servers stay listed for an hour."""
    assert found(answers) == ()


def test_servers_of_declared_groups_are_not_found() -> None:
    """Auto Scaling's own tag tells; the tag of a group that nobody declares, or one that resembles it, does not."""

    def server(tag: str, group: str) -> dict[str, Answer]:
        return one("aws:ec2/instance:Instance", Tags=[{"Key": tag, "Value": group}])

    assert found(server("aws:autoscaling:groupName", GROUP.id), GROUP) == ()
    assert len(found(server("aws:autoscaling:groupName", "another"), GROUP)) == 1
    assert len(found(server("autoscaling:groupName", GROUP.id), GROUP)) == 1
    assert len(found(server("stackmend:quarantined-from", ""), replace(GROUP, id=""))) == 1


@pytest.mark.parametrize(
    "rules",
    [
        {"IpPermissions": [SSH]},
        {"IpPermissions": [EVERYWHERE]},
        {"IpPermissions": [{**ITSELF, "UserIdGroupPairs": [{"GroupId": "sg-2", "UserId": ACCOUNT}]}]},
        {"IpPermissionsEgress": [EVERYWHERE, SSH]},
    ],
)
def test_the_default_group_with_other_rules_is_found(rules: dict[str, Any]) -> None:
    """T03: AWS makes a network's default group, but not what somebody lets in there; declared rules of it are known."""
    answers = one(SECURITY_GROUP, GroupName="default", OwnerId=ACCOUNT, **rules)
    assert [s.id for s in found(answers)] == ["x-1"]
    rule = resource("aws:ec2/securityGroupRule:SecurityGroupRule", "ssh", "sgrule-1", {"securityGroupId": "x-1"})
    assert found(answers, rule) == ()


def test_a_tag_hides_nothing_that_is_no_server() -> None:
    """T01: a quarantine takes servers out of groups, and nothing else."""
    for type_ in LISTINGS.keys() - {"aws:ec2/instance:Instance", SECURITY_GROUP}:
        assert len(found(one(type_, Tags=[TAKEN]), GROUP)) == 1
    assert len(found(one(SECURITY_GROUP, Tags=[TAKEN], IpPermissions=[SSH]), GROUP)) == 1


@pytest.mark.parametrize(
    ("beside", "shown"),
    [
        (rows({"GroupId": "sg-2", "GroupName": "open", "IpPermissions": [SSH]}), True),
        (rows({"GroupId": "sg-2", "GroupName": "marker"}), False),
        (failed(), False),
    ],
    ids=["open", "without rules", "unreadable"],
)
def test_a_server_is_isolated_by_its_groups_not_by_its_tag(beside: Answer, shown: bool) -> None:
    """T01 T03: one that says a quarantine took it out is shown if a group beside the quarantine's has rules (I06)."""
    held = [{"GroupId": "sg-1"}, {"GroupId": "sg-2"}]
    server = one("aws:ec2/instance:Instance", State={"Name": "running"}, Tags=[TAKEN], SecurityGroups=held)
    quarantine = {"describe_security_groups sg-1": rows({"GroupId": "sg-1", "GroupName": "stackmend-quarantine"})}
    seen = found({**server, **quarantine, "describe_security_groups sg-2": beside}, GROUP)
    assert [s.id for s in seen] == ["x-1"] * shown


def routed(*routes: Mapping[str, Any], main: bool = False) -> dict[str, Answer]:
    return {
        "describe_route_tables": rows(
            {"RouteTableId": "rtb-1", "VpcId": "vpc-1", "Associations": [{"Main": main}], "Routes": routes}
        )
    }


@pytest.mark.parametrize(
    ("route", "target"),
    [
        (PEERING, "10.9.0.0/16 by pcx-1"),
        (BUCKETS, "pl-1 by vpce-1"),
        ({**LOCAL, "GatewayId": None, "NetworkInterfaceId": "eni-1"}, "10.0.0.0/16 by eni-1"),
    ],
)
@pytest.mark.parametrize("main", [True, False])
def test_a_route_that_nobody_declared_is_found(route: dict[str, Any], target: str, main: bool) -> None:
    """T03: a way into another network is reported for the tenant, in a declared table as in AWS's own."""
    (stray,) = found(routed(LOCAL, route, main=main), *([] if main else [TABLE]))
    assert (stray.type, stray.tenant, stray.inside) == ("aws:ec2/route:Route", "acme", VPC.urn)
    assert stray.name == f"the route of rtb-1 to {target}"
    (finding,) = orphans(replace(observe(declared(VPC), Table({})), strays=(stray,)))
    assert (finding.rule, finding.verdict, finding.tenant) == ("orphan.unmanaged", Verdict.FAIL, "acme")


@pytest.mark.parametrize(
    ("route", "beside"),
    [
        (LOCAL, []),
        ({"DestinationPrefixListId": "pl-2", "GatewayId": "VpcLattice", "Origin": "CreateRoute"}, []),
        ({**PEERING, "GatewayId": "vgw-1", "Origin": "EnableVgwRoutePropagation"}, []),
        ({**PEERING, "NetworkInterfaceId": "eni-1", "Origin": "Advertisement"}, []),
        (BUCKETS, [ENDPOINT]),
        (INTERNET, [("::/0", "r-rtb-12")]),
        (INTERNET, [("0::0/0", "")]),
    ],
)
def test_a_route_that_is_declared_or_comes_with_something_is_not_found(
    route: dict[str, Any], beside: list[Any]
) -> None:
    """What the network, a gateway that propagates or a declared endpoint brings along, and declared routes: however
    they are spelled, whatever they lead to now, and while they are being made."""
    others = [
        resource("aws:ec2/route:Route", "r", one[1], {"routeTableId": "rtb-1", "destinationIpv6CidrBlock": one[0]})
        if isinstance(one, tuple)
        else one
        for one in beside
    ]
    assert found(routed(route), TABLE, *others) == ()
    assert found(routed(route, main=True), *others) == ()


def test_a_table_that_declares_its_routes_shows_others_as_its_drift() -> None:
    """A route is told once: beside inline routes it is the table's drift, unless the table's drift leaves it out."""
    assert found(routed(INTERNET, PEERING), INLINE) == ()
    assert [s.name for s in found(routed(INTERNET, BUCKETS), INLINE)] == ["the route of rtb-1 to pl-1 by vpce-1"]


def test_the_routes_of_a_table_that_shows_as_a_whole_are_not_told() -> None:
    """A table that nobody declared is one finding; one that the program only reads is managed elsewhere."""
    assert [s.id for s in found(routed(PEERING))] == ["rtb-1"]
    assert found(routed(PEERING), replace(TABLE, external=True)) == ()


def test_what_carries_the_cells_tag_is_a_stray_once() -> None:
    """T01: reported as what it says it is and not twice; no tag, spoofed or of another cell, hides anything."""
    tags = [{"Key": "stackmend:cell", "Value": "dev"}]
    (stray,) = found(one(SUBNET.type, Tags=tags))
    assert stray.inside is None
    (stray,) = found(one(SUBNET.type, Tags=[{"Key": "stackmend:cell", "Value": "prod"}]))
    assert stray.inside == VPC.urn
    (server,) = found(one("aws:ec2/instance:Instance", Tags=tags))
    assert server.inside == VPC.urn


def test_a_look_at_some_resources_does_not_look_for_them() -> None:
    """They belong to no resource, so only a look at the whole cell shows them."""
    assert observe(declared(VPC), Table(one(SUBNET.type)), only={VPC.urn}).strays == ()


def test_names_are_made_harmless() -> None:
    """B44 T11: whoever made it chose its name."""
    (stray,) = found(one(SUBNET.type, Tags=[{"Key": "Name", "Value": "\x1b[31m\nfake"}]))
    (finding,) = orphans(replace(observe(declared(VPC), Table({})), strays=(stray,)))
    assert finding.message.isprintable()

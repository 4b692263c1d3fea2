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
from tests.unit.observe_worlds import Table, declared, failed, resource, rows

VPC = resource("aws:ec2/vpc:Vpc", "acme-vpc", "vpc-1", {})
GROUP = resource("aws:autoscaling/group:Group", "acme-servers", "acme-servers-1", {})
SUBNET = resource("aws:ec2/subnet:Subnet", "acme-a", "subnet-1", {})

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
        one("aws:ec2/securityGroup:SecurityGroup", GroupName="default"),
        one("aws:ec2/routeTable:RouteTable", Associations=[{"Main": True}]),
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

"""Everything together against a server that speaks AWS's protocols: real clients, real pages, real answers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import boto3
import pytest

from reconciler.detect.diff import differences
from reconciler.errors import WrongAccount
from reconciler.model import Fleet, Observed, PendingOperation, Presence
from reconciler.observe.clients import Clients
from reconciler.observe.observe import locate_pending, observe
from reconciler.observe.registry import KINDS
from tests.moto_server import serving
from tests.unit.observe_server import ENVIRONMENT, World, build
from tests.unit.observe_worlds import ACCOUNT, REGION, declared, tags, urn

Look = Callable[[], Observed]


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    with serving() as address, pytest.MonkeyPatch.context() as patch:
        for name, value in ENVIRONMENT.items():
            patch.setenv(name, value)
        patch.setenv("AWS_ENDPOINT_URL", address)
        patch.delenv("AWS_PROFILE", raising=False)
        yield address


@pytest.fixture(scope="module")
def world(endpoint: str) -> World:
    return build(endpoint)


@pytest.fixture(scope="module")
def clients(endpoint: str) -> Clients:
    return Clients(REGION, ACCOUNT)


@pytest.fixture
def look(world: World, clients: Clients) -> Look:
    return lambda: observe(world.declared, clients)


@pytest.fixture(scope="module")
def ec2(endpoint: str) -> Any:
    return boto3.client("ec2", region_name=REGION)


def drift(world: World, seen: Observed) -> dict[str, list[str]]:
    """Differing properties by logical name."""
    found = {}
    for resource in world.declared.resources.values():
        differing = differences(KINDS[resource.type], resource, seen.resources[resource.urn])
        if seen.resources[resource.urn].presence is Presence.PRESENT and differing:
            found[resource.name] = [d.property for d in differing]
    return found


def test_what_was_just_made_is_as_declared(world: World, look: Look) -> None:
    """I09: a fresh world shows nothing missing, nothing unknown, no drift, no stray and no failed read."""
    seen = look()
    assert {o.presence for o in seen.resources.values()} == {Presence.PRESENT}
    assert drift(world, seen) == {}
    assert (seen.strays, seen.failed) == ((), ())
    assert seen.calls > 0


def test_the_fleet(look: Look) -> None:
    """Two servers, in service, running, healthy, and from the current template."""
    found = look().fleets[urn("aws:autoscaling/group:Group", "acme-servers")]
    assert isinstance(found, Fleet)
    assert len(found.healthy) == 2
    assert {member.outdated for member in found.members} == {False}


def test_servers_are_outdated_by_content(world: World, look: Look, ec2: Any) -> None:
    """A new version with another image outdates the servers; one more with the old content makes them current again."""

    def release(data: Any) -> set[Any]:
        id_ = world.ids["template"]
        made = ec2.create_launch_template_version(LaunchTemplateId=id_, LaunchTemplateData=data)
        number = made["LaunchTemplateVersion"]["VersionNumber"]
        ec2.modify_launch_template(LaunchTemplateId=id_, DefaultVersion=str(number))
        found = look().fleets[urn("aws:autoscaling/group:Group", "acme-servers")]
        assert isinstance(found, Fleet)
        return {member.outdated for member in found.members}

    assert release({**world.template, "ImageId": "ami-03cf127a"}) == {True}
    assert release(world.template) == {False}


def test_changes_made_by_hand_are_seen(world: World, look: Look, ec2: Any) -> None:
    """One attribute, one tag and one firewall rule changed behind the declaration's back, each found where it is."""
    open_ssh = {
        "GroupId": world.ids["group"],
        "IpPermissions": [{"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}],
    }
    ec2.modify_vpc_attribute(VpcId=world.ids["vpc"], EnableDnsHostnames={"Value": False})
    ec2.delete_tags(Resources=[world.ids["subnet-a"]], Tags=[{"Key": "stackmend:tenant"}])
    ec2.authorize_security_group_ingress(**open_ssh)
    try:
        assert drift(world, look()) == {
            "acme-vpc": ["enableDnsHostnames"],
            "acme-private-a": ["tags"],
            "acme-sg": ["ingress"],
        }
    finally:
        ec2.modify_vpc_attribute(VpcId=world.ids["vpc"], EnableDnsHostnames={"Value": True})
        ec2.create_tags(Resources=[world.ids["subnet-a"]], Tags=[{"Key": "stackmend:tenant", "Value": "acme"}])
        ec2.revoke_security_group_ingress(**open_ssh)


def test_what_was_deleted_is_absent_with_proof(world: World, look: Look, ec2: Any) -> None:
    """A deleted route and association are absent, and a resource that never was is absent by AWS's own word."""
    table, association = world.ids["table"], world.ids["association"]
    ec2.delete_route(RouteTableId=table, DestinationCidrBlock="0.0.0.0/0")
    ec2.disassociate_route_table(AssociationId=association)
    try:
        seen = look().resources
        absent = {seen_urn.split("::")[-1] for seen_urn, o in seen.items() if o.presence is Presence.ABSENT}
        assert absent == {"acme-public-default", "acme-public-a"}
    finally:
        ec2.create_route(RouteTableId=table, DestinationCidrBlock="0.0.0.0/0", GatewayId=world.ids["igw"])
        ec2.associate_route_table(RouteTableId=table, SubnetId=world.ids["subnet-a"])


@pytest.mark.parametrize(
    "type_",
    [
        "aws:ec2/vpc:Vpc",
        "aws:ec2/subnet:Subnet",
        "aws:ec2/internetGateway:InternetGateway",
        "aws:ec2/routeTable:RouteTable",
        "aws:ec2/securityGroup:SecurityGroup",
        "aws:autoscaling/group:Group",
    ],
)
def test_an_id_that_does_not_exist_is_absent(world: World, clients: Clients, type_: str) -> None:
    """Each type knows the code by which AWS says that an id does not exist."""
    one = next(r for r in world.declared.resources.values() if r.type == type_)
    prefix = one.id.rpartition("-")[0]
    other = replace(one, id=f"{prefix}-0123456789abcdef0")
    seen = observe(declared(other), clients, only={other.urn}).resources[other.urn]
    assert seen.presence is Presence.ABSENT, seen.reason


def test_an_id_that_gets_no_answer_is_unknown(world: World, clients: Clients) -> None:
    """F15 I06: EC2 has an error for an id it does not know; this server answers an empty list instead, no proof."""
    one = next(r for r in world.declared.resources.values() if r.type == "aws:ec2/launchTemplate:LaunchTemplate")
    other = replace(one, id="lt-0123456789abcdef0")
    seen = observe(declared(other), clients, only={other.urn}).resources[other.urn]
    assert (seen.presence, "answered nothing" in seen.reason) == (Presence.UNKNOWN, True)


def test_an_orphan_is_a_stray(look: Look, ec2: Any) -> None:
    """F42: what a killed update left behind carries the cell's tag and stands in no state."""
    marks = [{"Key": "Name", "Value": "acme-vpc"}, {"Key": "stackmend:cell", "Value": "dev"}]
    made = ec2.create_vpc(CidrBlock="10.9.0.0/16", TagSpecifications=[{"ResourceType": "vpc", "Tags": marks}])
    try:
        (stray,) = look().strays
        assert (stray.type, stray.id, stray.name) == ("aws:ec2/vpc:Vpc", made["Vpc"]["VpcId"], "acme-vpc")
    finally:
        ec2.delete_vpc(VpcId=made["Vpc"]["VpcId"])


def test_cut_off_creates_are_found(world: World, clients: Clients) -> None:
    """F42 C06: every type is found again without its id, and what was never made is known not to be there."""
    lost = [replace(r, id="") for r in world.declared.resources.values()]
    pending = tuple(PendingOperation("creating", one) for one in lost)
    found = locate_pending(declared(pending=pending), clients)
    assert found == {r.urn: r.id for r in world.declared.resources.values()} | _association_now(world, clients)
    never = replace(lost[0], inputs={**lost[0].inputs, "tags": tags("acme-never")})
    assert locate_pending(declared(pending=(PendingOperation("creating", never),)), clients) == {}


def _association_now(world: World, clients: Clients) -> dict[Any, str]:
    """The association may have been made again by another test, which gives it another id."""
    tables = clients.client("ec2").describe_route_tables(RouteTableIds=[world.ids["table"]])["RouteTables"]
    (association,) = tables[0]["Associations"]
    return {
        urn("aws:ec2/routeTableAssociation:RouteTableAssociation", "acme-public-a"): association[
            "RouteTableAssociationId"
        ]
    }


def test_credentials_of_another_account_read_nothing(world: World, endpoint: str) -> None:
    """I10 B36: STS names another account than the stack's, so the one call to STS is the only one."""
    wrong = replace(world.declared, account="210987654321")
    clients = Clients(REGION, "210987654321")
    with pytest.raises(WrongAccount, match=ACCOUNT):
        observe(wrong, clients)
    assert clients.calls == 1

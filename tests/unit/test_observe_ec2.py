"""What EC2's answers mean in Pulumi's words: networks, routing, firewalls, launch templates."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.detect.diff import differences
from reconciler.model import DeclaredResource, ObservedResource, PendingOperation, Presence, Unreadable, Value
from reconciler.observe.aws.ec2_security import declared_permissions, grouped_like, live_permissions
from reconciler.observe.observe import locate_pending, observe
from reconciler.observe.reads import Answer, Missing
from reconciler.observe.registry import OBSERVERS
from tests.unit.observe_aws_answers import named_in, sdk_properties
from tests.unit.observe_worlds import Table, declared, failed, resource, rows, tags

VPC = "aws:ec2/vpc:Vpc"
SUBNET = "aws:ec2/subnet:Subnet"
GATEWAY = "aws:ec2/internetGateway:InternetGateway"
TABLE = "aws:ec2/routeTable:RouteTable"
ROUTE = "aws:ec2/route:Route"
ASSOCIATION = "aws:ec2/routeTableAssociation:RouteTableAssociation"
GROUP = "aws:ec2/securityGroup:SecurityGroup"
TEMPLATE = "aws:ec2/launchTemplate:LaunchTemplate"
SCALING = "aws:autoscaling/group:Group"
MINE = (VPC, SUBNET, GATEWAY, TABLE, ROUTE, ASSOCIATION, GROUP, TEMPLATE, SCALING)


def look(one: DeclaredResource, answers: Mapping[str, Answer]) -> ObservedResource:
    return observe(declared(one), Table(answers), only={one.urn}).resources[one.urn]


def drift(one: DeclaredResource, answers: Mapping[str, Answer]) -> dict[str, Value]:
    """The declared properties that differ, with what was observed."""
    seen = look(one, answers)
    assert seen.presence is Presence.PRESENT, seen.reason
    return {d.property: d.observed for d in differences(OBSERVERS[one.type].kind, one, seen)}


@pytest.mark.parametrize("token", MINE)
def test_property_names_are_the_sdks(token: str) -> None:
    """What a kind says of a property is said of one that the SDK has."""
    assert named_in(OBSERVERS[token]) <= sdk_properties(token)


# --- networks ----------------------------------------------------------------------------------------------


def test_a_stripped_tag_does_not_hide_a_resource() -> None:
    """A subnet without any tag is still listed, and shows its tags as drift; AWS's own tags do not count."""
    one = resource(SUBNET, "a", "subnet-1", {"vpcId": "vpc-1", "tags": tags("a")})
    row = {"SubnetId": "subnet-1", "VpcId": "vpc-1", "Tags": [{"Key": "aws:x", "Value": "y"}]}
    assert drift(one, {"describe_subnets": rows(row)}) == {"tags": {}}


def test_a_public_subnet_is_drift() -> None:
    """One flag flipped shows as that one property."""
    one = resource(SUBNET, "a", "subnet-1", {"mapPublicIpOnLaunch": False, "cidrBlock": "10.0.0.0/24"})
    row = {"SubnetId": "subnet-1", "CidrBlock": "10.0.0.0/24", "MapPublicIpOnLaunch": True}
    assert drift(one, {"describe_subnets": rows(row)}) == {"mapPublicIpOnLaunch": True}


@pytest.mark.parametrize(
    ("attachments", "vpc"),
    [([{"VpcId": "vpc-1", "State": "available"}], "vpc-1"), ([{"VpcId": "vpc-1", "State": "detached"}], ""), ([], "")],
)
def test_a_detached_gateway_is_drift(attachments: list[dict[str, str]], vpc: str) -> None:
    """A gateway that is attached nowhere has no VPC, which is not the declared one."""
    one = resource(GATEWAY, "g", "igw-1", {"vpcId": "vpc-1"})
    row = {"InternetGatewayId": "igw-1", "Attachments": attachments}
    assert drift(one, {"describe_internet_gateways": rows(row)}) == ({} if vpc else {"vpcId": ""})


def test_an_attribute_missing_from_its_answer_is_unknown() -> None:
    """F16: an answer without the attribute asked for does not mean false."""
    one = resource(VPC, "v", "vpc-1", {"enableDnsSupport": True})
    seen = look(one, {"describe_vpcs": rows({"VpcId": "vpc-1"}), "describe_vpc_attribute vpc-1": rows({})})
    assert isinstance(seen.properties["enableDnsSupport"], Unreadable)


# --- routing -----------------------------------------------------------------------------------------------

LOCAL = {"DestinationCidrBlock": "10.0.0.0/16", "GatewayId": "local", "State": "active"}
DEFAULT = {"DestinationCidrBlock": "0.0.0.0/0", "GatewayId": "igw-1", "State": "active", "Origin": "CreateRoute"}
THE_ROUTE = resource(
    ROUTE,
    "r",
    "r-rtb-11080289494",
    {"routeTableId": "rtb-1", "destinationCidrBlock": "0.0.0.0/0", "gatewayId": "igw-1"},
)


def table(*routes: Mapping[str, Any], associations: tuple[Mapping[str, Any], ...] = (), id_: str = "rtb-1") -> Any:
    return {"RouteTableId": id_, "VpcId": "vpc-1", "Routes": list(routes), "Associations": list(associations)}


def test_a_route_as_declared() -> None:
    """A route is found inside its table by its destination."""
    assert drift(THE_ROUTE, {"describe_route_tables": rows(table(LOCAL, DEFAULT))}) == {}


def test_a_redirected_route_is_drift() -> None:
    """A route that leads elsewhere shows the declared target as gone."""
    elsewhere = {**DEFAULT, "GatewayId": None, "NatGatewayId": "nat-1"}
    assert drift(THE_ROUTE, {"describe_route_tables": rows(table(elsewhere))}) == {"gatewayId": None}


def test_a_blackhole_shows() -> None:
    """A route whose target is gone keeps naming it; its state tells."""
    seen = look(THE_ROUTE, {"describe_route_tables": rows(table({**DEFAULT, "State": "blackhole"}))})
    assert (seen.properties["gatewayId"], seen.properties["state"]) == ("igw-1", "blackhole")


@pytest.mark.parametrize(
    ("direct", "presence"),
    [
        (rows(table(LOCAL)), Presence.ABSENT),
        (rows(table(LOCAL, DEFAULT)), Presence.PRESENT),
        (failed(), Presence.UNKNOWN),
        (rows(), Presence.UNKNOWN),
        (Missing("InvalidRouteTableID.NotFound"), Presence.ABSENT),
    ],
)
def test_a_route_missing_from_the_listing_is_asked_for(direct: Answer, presence: Presence) -> None:
    """I06: a route that the listing's table lacks is absent only if the table itself says so too."""
    answers = {"describe_route_tables": rows(table(LOCAL)), "describe_route_tables rtb-1": direct}
    assert look(THE_ROUTE, answers).presence is presence


def test_destinations_are_compared_as_networks() -> None:
    """AWS spells an IPv6 network its own way."""
    one = resource(ROUTE, "r", "r-1", {"routeTableId": "rtb-1", "destinationIpv6CidrBlock": "2001:DB8::/32"})
    route = {"DestinationIpv6CidrBlock": "2001:db8:0::/32", "EgressOnlyInternetGatewayId": "eigw-1"}
    assert drift(one, {"describe_route_tables": rows(table(route))}) == {}


def test_inline_routes_nobody_declared_are_no_drift() -> None:
    """A table declared without inline routes is as declared, whatever routes other resources put into it."""
    one = resource(TABLE, "t", "rtb-1", {"vpcId": "vpc-1"})
    answers = {"describe_route_tables": rows(table(LOCAL, DEFAULT))}
    assert drift(one, answers) == {}
    routes = look(one, answers).properties["routes"]
    assert isinstance(routes, list)
    assert [(r["cidrBlock"], r["gatewayId"]) for r in routes] == [("0.0.0.0/0", "igw-1")]


ENDPOINT = {"DestinationPrefixListId": "pl-1", "GatewayId": "vpce-1", "State": "active", "Origin": "CreateRoute"}
LATTICE = {"DestinationPrefixListId": "pl-2", "GatewayId": "VpcLattice", "State": "active"}
INLINE = {"cidrBlock": "0.0.0.0/0", "gatewayId": "igw-1"}
INSIDE = {"cidrBlock": "10.0.0.0/16", "gatewayId": "local"}


@pytest.mark.parametrize(
    ("declared_routes", "live", "as_declared"),
    [
        ([INLINE], (LOCAL, DEFAULT, ENDPOINT, LATTICE), True),
        ([INLINE, INSIDE], (LOCAL, DEFAULT), True),
        ([INLINE, {"destinationPrefixListId": "pl-1", "vpcEndpointId": "vpce-1"}], (LOCAL, DEFAULT, ENDPOINT), True),
        ([INLINE, INSIDE], ({**LOCAL, "GatewayId": None, "NetworkInterfaceId": "eni-1"}, DEFAULT), False),
        ([INLINE], ({**LOCAL, "GatewayId": None, "NetworkInterfaceId": "eni-1"}, DEFAULT), False),
        ([INLINE], (LOCAL, DEFAULT, {"DestinationCidrBlock": "10.9.0.0/16", "GatewayId": "vpce-1"}), False),
        ([INLINE], (LOCAL, DEFAULT, {"DestinationPrefixListId": "pl-1", "GatewayId": "igw-1"}), False),
        ([INLINE, {"destinationPrefixListId": "pl-1", "vpcEndpointId": "vpce-1"}], (LOCAL, DEFAULT), False),
    ],
    ids=["made elsewhere", "local", "endpoint", "local leads away", "so does one nobody declared", "addresses to an "
    "endpoint", "prefixes to the internet", "endpoint gone"],
)  # fmt: skip
def test_inline_routes_leave_out_what_is_made_elsewhere(
    declared_routes: list[dict[str, str]], live: tuple[dict[str, Any], ...], as_declared: bool
) -> None:
    """Routes of the network, a gateway endpoint or a service network count where declared; any other always does."""
    one = resource(TABLE, "t", "rtb-1", {"vpcId": "vpc-1", "routes": declared_routes})
    assert (drift(one, {"describe_route_tables": rows(table(*live))}) == {}) is as_declared


JOINED = {"RouteTableAssociationId": "rtbassoc-1", "RouteTableId": "rtb-1", "SubnetId": "subnet-1"}
THE_ASSOCIATION = resource(ASSOCIATION, "a", "rtbassoc-1", {"routeTableId": "rtb-1", "subnetId": "subnet-1"})


@pytest.mark.parametrize(
    ("association", "expected"),
    [
        (JOINED, {}),
        ({**JOINED, "RouteTableAssociationId": "rtbassoc-2"}, {}),
        ({**JOINED, "RouteTableAssociationId": "rtbassoc-2", "RouteTableId": "rtb-2"}, {"routeTableId": "rtb-2"}),
    ],
    ids=["as declared", "made again", "led elsewhere"],
)
def test_associations_are_what_they_connect(association: Mapping[str, Any], expected: Mapping[str, Value]) -> None:
    """Replacing an association gives it another id: the subnet and its table count, not the id."""
    found = table(associations=(association,), id_=association["RouteTableId"])
    assert drift(THE_ASSOCIATION, {"describe_route_tables": rows(found)}) == expected


@pytest.mark.parametrize(
    ("direct", "presence"),
    [
        (rows(), Presence.ABSENT),
        (rows(table(associations=(JOINED,))), Presence.PRESENT),
        (rows(table(associations=({**JOINED, "AssociationState": {"State": "disassociated"}},))), Presence.ABSENT),
        (failed(), Presence.UNKNOWN),
    ],
)
def test_a_missing_association_is_asked_for(direct: Answer, presence: Presence) -> None:
    """F15 I06: the subnet is asked for directly before it counts as associated with nothing."""
    answers = {"describe_route_tables": rows(table()), "describe_route_tables rtbassoc-1": direct}
    assert look(THE_ASSOCIATION, {**answers, "describe_route_tables rtb-1": rows(table())}).presence is presence


@pytest.mark.parametrize(
    ("its_table", "presence"),
    [(rows(), Presence.UNKNOWN), (failed(), Presence.UNKNOWN), (Missing("gone"), Presence.ABSENT)],
)
def test_a_missing_association_takes_its_table_as_a_witness(its_table: Answer, presence: Presence) -> None:
    """F15 I06: while the declared table does not answer, a search that finds no association proves nothing."""
    answers = {"describe_route_tables": rows(), "describe_route_tables rtb-1": its_table}
    assert look(THE_ASSOCIATION, answers).presence is presence


def test_routing_cut_off_while_it_was_made_is_found_by_what_it_connects() -> None:
    """F42: routes and associations carry no tags; their natural keys name them, with the provider's own ids."""
    pending = tuple(PendingOperation("creating", replace(r, id="")) for r in (THE_ROUTE, THE_ASSOCIATION))
    world = Table({"describe_route_tables": rows(table(DEFAULT, associations=(JOINED,)))})
    found = locate_pending(declared(pending=pending), world)
    assert found == {THE_ROUTE.urn: "r-rtb-11080289494", THE_ASSOCIATION.urn: "rtbassoc-1"}


# --- security groups ---------------------------------------------------------------------------------------

PORTS = st.sampled_from([(80, 80), (443, 443), (0, 65535)])
RULE = st.builds(
    lambda ports, blocks, groups, own, about: {
        "protocol": "tcp",
        "fromPort": ports[0],
        "toPort": ports[1],
        "cidrBlocks": blocks,
        "securityGroups": groups,
        "self": own,
        "description": about,
    },
    PORTS,
    st.lists(st.sampled_from(["10.0.0.0/8", "192.168.0.0/16"]), unique=True),
    st.lists(st.sampled_from(["sg-2", "sg-3"]), unique=True),
    st.booleans(),
    st.sampled_from(["", "x"]),
).filter(lambda rule: rule["cidrBlocks"] or rule["securityGroups"] or rule["self"])
RULES = st.lists(RULE, max_size=4)


def aws_permissions(rules: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The same rules as AWS answers them: one entry for each protocol and port range, sources merged."""
    merged: dict[tuple[int, int], dict[str, Any]] = {}
    for rule in rules:
        ports = rule["fromPort"], rule["toPort"]
        entry = merged.setdefault(
            ports,
            {"IpProtocol": "tcp", "FromPort": ports[0], "ToPort": ports[1], "IpRanges": [], "UserIdGroupPairs": []},
        )
        about = {"Description": rule["description"]} if rule["description"] else {}
        entry["IpRanges"] += [{"CidrIp": block, **about} for block in rule["cidrBlocks"]]
        groups = [*rule["securityGroups"], *(["sg-1"] if rule["self"] else [])]
        entry["UserIdGroupPairs"] += [{"GroupId": group, "UserId": "1", **about} for group in groups]
    return list(merged.values())


def group(ingress: list[dict[str, Any]], live: list[dict[str, Any]]) -> tuple[DeclaredResource, dict[str, Answer]]:
    one = resource(GROUP, "g", "sg-1", {"ingress": ingress})
    row = {"GroupId": "sg-1", "OwnerId": "1", "IpPermissions": aws_permissions(live)}
    return one, {"describe_security_groups": rows(row)}


def allowed(rules: Any) -> frozenset[Any]:
    return frozenset().union(*(declared_permissions(rule, "sg-1") or frozenset() for rule in rules))


@given(RULES)
def test_rules_as_declared_are_no_drift_however_aws_groups_them(ingress: list[dict[str, Any]]) -> None:
    """AWS merges rules of the same ports and knows no ``self``; that alone is never drift."""
    assert drift(*group(ingress, ingress)) == {}


@given(RULES, RULES)
def test_rules_that_allow_something_else_are_drift(ingress: list[dict[str, Any]], live: list[dict[str, Any]]) -> None:
    """Whatever is allowed and not declared, or declared and not allowed, shows."""
    assert (drift(*group(ingress, live)) == {}) == (allowed(ingress) == allowed(live))


@given(RULES, RULES)
def test_grouping_keeps_every_permission(ingress: list[dict[str, Any]], live: list[dict[str, Any]]) -> None:
    """Grouping live permissions like the declaration keeps exactly what AWS allows."""
    found = live_permissions(aws_permissions(live), "sg-1", "1")
    assert allowed(grouped_like(ingress, found, "sg-1")) == found == allowed(live)


@pytest.mark.parametrize(
    ("rule", "permission"),
    [
        (
            {"protocol": "-1", "fromPort": 0, "toPort": 0, "cidrBlocks": ["0.0.0.0/0"]},
            {"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]},
        ),
        (
            {"protocol": "all", "fromPort": 0, "toPort": 0, "ipv6CidrBlocks": ["::0/0"]},
            {"IpProtocol": "-1", "Ipv6Ranges": [{"CidrIpv6": "::/0"}]},
        ),
        (
            {"protocol": "6", "fromPort": "22", "toPort": 22, "cidrBlocks": ["10.1.2.3/8"]},
            {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "IpRanges": [{"CidrIp": "10.0.0.0/8"}]},
        ),
        (
            {"protocol": "icmp", "fromPort": -1, "toPort": -1, "securityGroups": ["2/sg-9"]},
            {
                "IpProtocol": "icmp",
                "FromPort": -1,
                "ToPort": -1,
                "UserIdGroupPairs": [{"GroupId": "sg-9", "UserId": "2"}],
            },
        ),
        (
            {"protocol": "tcp", "fromPort": 443, "toPort": 443, "prefixListIds": ["pl-1"]},
            {"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443, "PrefixListIds": [{"PrefixListId": "pl-1"}]},
        ),
    ],
)
def test_spellings_of_one_rule(rule: dict[str, Any], permission: dict[str, Any]) -> None:
    """All traffic, protocol numbers, host bits and groups of other accounts are spelled in more than one way."""
    one = resource(GROUP, "g", "sg-1", {"egress": [rule]})
    row = {"GroupId": "sg-1", "OwnerId": "1", "IpPermissionsEgress": [permission]}
    assert drift(one, {"describe_security_groups": rows(row)}) == {}


@pytest.mark.parametrize("port", [0, -1])
@pytest.mark.parametrize("protocol", ["50", "51", "47", "-1", "all"])
def test_ports_of_a_protocol_without_ports_are_not_compared(protocol: str, port: int) -> None:
    """ESP, AH, GRE and all traffic are answered without ports, however the program had to fill them in."""
    rule: dict[str, Any] = {"protocol": protocol, "fromPort": port, "toPort": port, "cidrBlocks": ["10.0.0.0/8"]}
    one = resource(GROUP, "g", "sg-1", {"ingress": [rule]})
    answered = {"IpProtocol": "-1" if protocol == "all" else protocol, "IpRanges": [{"CidrIp": "10.0.0.0/8"}]}
    row = {"GroupId": "sg-1", "OwnerId": "1", "IpPermissions": [answered]}
    assert drift(one, {"describe_security_groups": rows(row)}) == {}


@pytest.mark.parametrize(("number", "name"), [("6", "tcp"), ("17", "udp"), ("1", "icmp"), ("58", "icmpv6")])
def test_ports_of_a_protocol_with_ports_are_compared_whatever_its_spelling(number: str, name: str) -> None:
    """Port 8 declared by the protocol's number is port 8 of its name, and not port 0."""
    rule: dict[str, Any] = {"protocol": number, "fromPort": 8, "toPort": 8, "cidrBlocks": ["10.0.0.0/8"]}
    one = resource(GROUP, "g", "sg-1", {"ingress": [rule]})
    for port, differs in ((8, False), (0, True)):
        answered = {"IpProtocol": name, "FromPort": port, "ToPort": port, "IpRanges": [{"CidrIp": "10.0.0.0/8"}]}
        row = {"GroupId": "sg-1", "OwnerId": "1", "IpPermissions": [answered]}
        assert bool(drift(one, {"describe_security_groups": rows(row)})) is differs


def test_an_opened_port_shows_beside_the_declared_rules() -> None:
    """Someone opens SSH: the declared rule stays as declared, and the new one stands next to it."""
    https: dict[str, Value] = {"protocol": "tcp", "fromPort": 443, "toPort": 443, "cidrBlocks": ["10.0.0.0/8"]}
    live = [
        {"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443, "IpRanges": [{"CidrIp": "10.0.0.0/8"}]},
        {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]},
    ]
    seen = grouped_like([https], live_permissions(live, "sg-1", "1"), "sg-1")
    ssh = {
        "protocol": "tcp",
        "fromPort": 22,
        "toPort": 22,
        "description": "",
        "self": False,
        "cidrBlocks": ["0.0.0.0/0"],
    }
    assert seen == [https, ssh]


# --- launch templates --------------------------------------------------------------------------------------

TEMPLATE_ROW = {"LaunchTemplateId": "lt-1", "DefaultVersionNumber": 2, "LatestVersionNumber": 2}
DATA = {
    "ImageId": "ami-1",
    "MetadataOptions": {"State": "applied", "HttpTokens": "required"},
    "BlockDeviceMappings": [{"DeviceName": "/dev/xvda", "Ebs": {"Encrypted": True, "VolumeSize": 20}}],
    "NetworkInterfaces": [{"Groups": ["sg-1"], "AssociatePublicIpAddress": False, "DeviceIndex": 0}],
    "TagSpecifications": [{"ResourceType": "instance", "Tags": [{"Key": "a", "Value": "b"}]}],
}
THE_TEMPLATE = resource(
    TEMPLATE,
    "t",
    "lt-1",
    {
        "imageId": "ami-1",
        "metadataOptions": {"httpTokens": "required"},
        "blockDeviceMappings": [{"deviceName": "/dev/xvda", "ebs": {"encrypted": "true", "volumeSize": 20}}],
        "networkInterfaces": [{"securityGroups": ["sg-1"], "associatePublicIpAddress": "false", "deviceIndex": 0}],
        "tagSpecifications": [{"resourceType": "instance", "tags": {"a": "b"}}],
        "updateDefaultVersion": True,
    },
)


def versions(**by_number: Mapping[str, Any]) -> Answer:
    return rows(
        *(
            {"LaunchTemplateId": "lt-1", "VersionNumber": int(n[1:]), "LaunchTemplateData": data}
            for n, data in by_number.items()
        )
    )


def templates(row: Mapping[str, Any], found: Answer, **more: Answer) -> dict[str, Answer]:
    return {"describe_launch_templates": rows(row), "describe_launch_template_versions": found, **more}


def test_a_launch_template_as_declared() -> None:
    """Content in AWS's words equals content in Pulumi's."""
    assert drift(THE_TEMPLATE, templates(TEMPLATE_ROW, versions(v2=DATA))) == {}


def test_a_new_version_by_hand_is_drift() -> None:
    """The newest version is what counts, and one that is not the default breaks ``updateDefaultVersion``."""
    answers = templates({**TEMPLATE_ROW, "LatestVersionNumber": 3}, versions(v2=DATA, v3={**DATA, "ImageId": "ami-6"}))
    assert drift(THE_TEMPLATE, answers) == {"imageId": "ami-6", "updateDefaultVersion": False}


def test_the_default_version_is_told_where_it_is_not_the_newest() -> None:
    """What groups launch is answered beside what an update declares, from the one read of both versions, or is
    unreadable (F10)."""
    row = {**TEMPLATE_ROW, "LatestVersionNumber": 3}
    names = ("defaultMetadataOptions", "defaultBlockDeviceMappings")
    table = Table(templates(row, versions(v2={"ImageId": "ami-1"}, v3=DATA)))
    seen = observe(declared(THE_TEMPLATE), table, only={THE_TEMPLATE.urn}).resources[THE_TEMPLATE.urn].properties
    assert [seen[name] for name in names] == [{}, []]
    assert seen["metadataOptions"] == {"httpTokens": "required"}
    assert [read.operation for read in table.asked if "version" in read.operation] == [
        "describe_launch_template_versions"
    ]
    same = look(THE_TEMPLATE, templates(TEMPLATE_ROW, versions(v2=DATA))).properties
    assert [same[name] for name in names] == [None, None]
    denied = {"describe_launch_template_versions lt-1 version 2": failed("denied")}
    blind = look(THE_TEMPLATE, templates(row, versions(v3=DATA), **denied)).properties
    assert [blind[name] for name in names] == [Unreadable("denied")] * 2
    assert blind["imageId"] == "ami-1"


def test_unset_content_is_drift() -> None:
    """What a version does not hold at all is answered as not set, not left out as unseen."""
    answers = templates(TEMPLATE_ROW, versions(v2={"ImageId": "ami-1"}))
    assert set(drift(THE_TEMPLATE, answers)) == {
        "metadataOptions",
        "blockDeviceMappings",
        "networkInterfaces",
        "tagSpecifications",
    }


def test_sets_and_moments_in_a_template_have_one_meaning() -> None:
    """Requirements and addresses have no order, a moment is spelled as the provider does; another value is drift."""
    until = datetime(2027, 1, 1, 1, tzinfo=timezone(timedelta(hours=1)))
    data = {
        "InstanceMarketOptions": {"SpotOptions": {"ValidUntil": until}},
        "InstanceRequirements": {"AllowedInstanceTypes": ["c5.*", "m5.*"], "CpuManufacturers": ["amd", "intel"]},
        "NetworkInterfaces": [{"PrivateIpAddresses": [{"PrivateIpAddress": f"10.0.0.{n}"} for n in (5, 4)]}],
    }
    inputs: dict[str, Any] = {
        "instanceMarketOptions": {"spotOptions": {"validUntil": "2027-01-01T00:00:00Z"}},
        "instanceRequirements": {"allowedInstanceTypes": ["m5.*", "c5.*"], "cpuManufacturers": ["intel", "amd"]},
        "networkInterfaces": [{"ipv4Addresses": ["10.0.0.4", "10.0.0.5"]}],
    }
    answers = templates(TEMPLATE_ROW, versions(v2=data))
    assert drift(resource(TEMPLATE, "t", "lt-1", inputs), answers) == {}
    changed: dict[str, Any] = {
        "instanceMarketOptions": {"spotOptions": {"validUntil": "2027-01-01T00:00:01Z"}},
        "instanceRequirements": {"allowedInstanceTypes": ["m5.*", "t3.*"]},
        "networkInterfaces": [{"ipv4Addresses": ["10.0.0.4", "10.0.0.6"]}],
    }
    assert drift(resource(TEMPLATE, "t", "lt-1", changed), answers).keys() == changed.keys()


def test_unreadable_versions_leave_the_template_judged() -> None:
    """F10: without its versions a template's content is unknown, but it is there and its own facts are known."""
    answers = templates(
        TEMPLATE_ROW, failed(), **{"describe_launch_template_versions lt-1 version 2": failed("denied")}
    )
    seen = look(THE_TEMPLATE, answers)
    assert seen.properties["imageId"] == Unreadable("denied")
    assert seen.properties["updateDefaultVersion"] is True


# --- auto scaling groups -----------------------------------------------------------------------------------


def test_a_group_as_declared_and_changed() -> None:
    """Sizes, zones and tags of a group are compared; AWS's own tags and the zones' order are not."""
    one = resource(
        SCALING,
        "g",
        "g-1",
        {
            "minSize": 2,
            "vpcZoneIdentifiers": ["subnet-2", "subnet-1"],
            "launchTemplate": {"id": "lt-1", "version": "$Default"},
            "metricsGranularity": "1Minute",
            "forceDelete": False,
            "suspendedProcesses": [],
            "tags": [{"key": "a", "value": "b", "propagateAtLaunch": True}],
        },
    )
    row = {
        "AutoScalingGroupName": "g-1",
        "MinSize": 2,
        "VPCZoneIdentifier": "subnet-1,subnet-2",
        "LaunchTemplate": {"LaunchTemplateId": "lt-1", "LaunchTemplateName": "t", "Version": "$Default"},
        "Tags": [
            {"Key": "a", "Value": "b", "PropagateAtLaunch": True},
            {"Key": "aws:cloudformation:x", "Value": "y", "PropagateAtLaunch": True},
        ],
    }
    assert drift(one, {"describe_auto_scaling_groups": rows(row)}) == {}
    changed = {**row, "MinSize": 0, "SuspendedProcesses": [{"ProcessName": "Launch"}], "Tags": []}
    seen = drift(one, {"describe_auto_scaling_groups": rows(changed)})
    assert seen == {"minSize": 0, "suspendedProcesses": ["Launch"], "tags": []}


@pytest.mark.parametrize(
    ("live", "as_declared"),
    [
        ({"MinSize": 0, "PoolState": "Stopped"}, True),
        ({"MinSize": 0, "PoolState": "Stopped", "MaxGroupPreparedCapacity": 5}, False),
        ({"MinSize": 1, "PoolState": "Stopped"}, False),
        (None, False),
    ],
)
def test_a_warm_pool_without_a_limit(live: dict[str, Any] | None, as_declared: bool) -> None:
    """No limit is -1 in the provider's words; a limit that somebody set, or no pool at all, is drift."""
    pool: dict[str, Any] = {"maxGroupPreparedCapacity": -1, "minSize": 0, "poolState": "Stopped"}
    row = {"AutoScalingGroupName": "g-1", "WarmPoolConfiguration": live}
    one = resource(SCALING, "g", "g-1", {"warmPool": pool})
    assert (drift(one, {"describe_auto_scaling_groups": rows(row)}) == {}) is as_declared


@pytest.mark.parametrize(("makers", "as_declared"), [(["intel", "amd"], True), (["intel"], False)])
def test_requirements_of_a_group_have_no_order(makers: list[str], as_declared: bool) -> None:
    """The lists inside an override are sets, the overrides themselves are ranked."""
    row = {
        "AutoScalingGroupName": "g-1",
        "MixedInstancesPolicy": {
            "LaunchTemplate": {"Overrides": [{"InstanceRequirements": {"CpuManufacturers": ["amd", "intel"]}}]}
        },
    }
    policy: dict[str, Any] = {"launchTemplate": {"overrides": [{"instanceRequirements": {"cpuManufacturers": makers}}]}}
    one = resource(SCALING, "g", "g-1", {"mixedInstancesPolicy": policy})
    assert (drift(one, {"describe_auto_scaling_groups": rows(row)}) == {}) is as_declared

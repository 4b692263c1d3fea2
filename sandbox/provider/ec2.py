"""Networks: VPCs, subnets, gateways, route tables and their routes."""

from __future__ import annotations

import zlib
from typing import Any

from sandbox.provider.aws import first, found, tag_list, tag_map
from sandbox.provider.errors import ProviderError
from sandbox.provider.table import Call, Kind, deleter, tagger
from sandbox.provider.values import Properties

TARGETS = {
    "gatewayId": "GatewayId",
    "natGatewayId": "NatGatewayId",
    "networkInterfaceId": "NetworkInterfaceId",
    "transitGatewayId": "TransitGatewayId",
    "vpcEndpointId": "VpcEndpointId",
    "vpcPeeringConnectionId": "VpcPeeringConnectionId",
    "egressOnlyGatewayId": "EgressOnlyInternetGatewayId",
}
"""Where a route may lead: Pulumi's property to EC2's."""

tags = tagger(
    lambda call, put: call.aws("ec2").create_tags(Resources=[call.id], Tags=tag_list(put)),
    lambda call, gone: call.aws("ec2").delete_tags(Resources=[call.id], Tags=[{"Key": key} for key in gone]),
)


def tagged(resource: str, call: Call) -> list[dict[str, Any]]:
    """The TagSpecifications of a create call."""
    wanted = tag_list(call.new.get("tagsAll"))
    return [{"ResourceType": resource, "Tags": wanted}] if wanted else []


def arn(call: Call, owner: str, resource: str, identifier: str) -> str:
    return f"arn:aws:ec2:{call.aws.region}:{owner}:{resource}/{identifier}"


def create_vpc(call: Call) -> str:
    params = {"CidrBlock": call.new["cidrBlock"], "InstanceTenancy": call.new.get("instanceTenancy", "default")}
    answer = call.aws("ec2").create_vpc(**params, TagSpecifications=tagged("vpc", call))
    return str(answer["Vpc"]["VpcId"])


def set_dns(call: Call) -> None:
    for name in ("enableDnsSupport", "enableDnsHostnames"):  # in this order: host names need support
        attribute = {name[0].upper() + name[1:]: {"Value": bool(call.new.get(name))}}
        call.aws("ec2").modify_vpc_attribute(VpcId=call.id, **attribute)


def read_vpc(call: Call) -> Properties | None:
    ec2 = call.aws("ec2")
    vpc = first({"InvalidVpcID.NotFound"}, ec2.describe_vpcs, "Vpcs", VpcIds=[call.id])
    if vpc is None:
        return None
    here = {"Name": "vpc-id", "Values": [call.id]}
    tables = ec2.describe_route_tables(Filters=[here, {"Name": "association.main", "Values": ["true"]}])
    groups = ec2.describe_security_groups(Filters=[here, {"Name": "group-name", "Values": ["default"]}])
    main = next((table["RouteTableId"] for table in tables["RouteTables"]), "")
    return {
        "arn": arn(call, vpc["OwnerId"], "vpc", call.id),
        "cidrBlock": vpc["CidrBlock"],
        "instanceTenancy": vpc.get("InstanceTenancy", "default"),
        "dhcpOptionsId": vpc["DhcpOptionsId"],
        "ownerId": vpc["OwnerId"],
        "mainRouteTableId": main,
        "defaultRouteTableId": main,
        "defaultSecurityGroupId": next((group["GroupId"] for group in groups["SecurityGroups"]), ""),
        "tags": tag_map(vpc.get("Tags")),
        **{
            name: ec2.describe_vpc_attribute(VpcId=call.id, Attribute=name)[name[0].upper() + name[1:]]["Value"]
            for name in ("enableDnsSupport", "enableDnsHostnames")
        },
    }


def create_subnet(call: Call) -> str:
    params = {"VpcId": call.new["vpcId"], "CidrBlock": call.new["cidrBlock"]}
    if "availabilityZone" in call.new:
        params["AvailabilityZone"] = call.new["availabilityZone"]
    answer = call.aws("ec2").create_subnet(**params, TagSpecifications=tagged("subnet", call))
    return str(answer["Subnet"]["SubnetId"])


def set_public_ip(call: Call) -> None:
    wanted = {"Value": bool(call.new.get("mapPublicIpOnLaunch"))}
    call.aws("ec2").modify_subnet_attribute(SubnetId=call.id, MapPublicIpOnLaunch=wanted)


def read_subnet(call: Call) -> Properties | None:
    describe = call.aws("ec2").describe_subnets
    subnet = first({"InvalidSubnetID.NotFound"}, describe, "Subnets", SubnetIds=[call.id])
    if subnet is None:
        return None
    return {
        "arn": subnet["SubnetArn"],
        "vpcId": subnet["VpcId"],
        "cidrBlock": subnet["CidrBlock"],
        "availabilityZone": subnet["AvailabilityZone"],
        "availabilityZoneId": subnet.get("AvailabilityZoneId", ""),
        "mapPublicIpOnLaunch": subnet["MapPublicIpOnLaunch"],
        "assignIpv6AddressOnCreation": subnet.get("AssignIpv6AddressOnCreation", False),
        "ownerId": subnet["OwnerId"],
        "tags": tag_map(subnet.get("Tags")),
    }


def create_gateway(call: Call) -> str:
    answer = call.aws("ec2").create_internet_gateway(TagSpecifications=tagged("internet-gateway", call))
    return str(answer["InternetGateway"]["InternetGatewayId"])


def attach_gateway(call: Call) -> None:
    ec2 = call.aws("ec2")
    detach_gateway(call)
    if call.new.get("vpcId"):
        ec2.attach_internet_gateway(InternetGatewayId=call.id, VpcId=call.new["vpcId"])


def detach_gateway(call: Call) -> None:
    if vpc := (read_gateway(call) or {}).get("vpcId"):
        call.aws("ec2").detach_internet_gateway(InternetGatewayId=call.id, VpcId=vpc)


def read_gateway(call: Call) -> Properties | None:
    describe = call.aws("ec2").describe_internet_gateways
    gateway = first({"InvalidInternetGatewayID.NotFound"}, describe, "InternetGateways", InternetGatewayIds=[call.id])
    if gateway is None:
        return None
    attached = [a["VpcId"] for a in gateway.get("Attachments", []) if a.get("State") not in ("detached", "detaching")]
    owner = gateway.get("OwnerId", "")
    return {
        "arn": arn(call, owner, "internet-gateway", call.id),
        "ownerId": owner,
        "vpcId": attached[0] if attached else "",
        "tags": tag_map(gateway.get("Tags")),
    }


def delete_gateway(call: Call) -> None:
    detach_gateway(call)
    delete = call.aws("ec2").delete_internet_gateway
    found({"InvalidInternetGatewayID.NotFound"}, delete, InternetGatewayId=call.id)


def route_table(call: Call, table: str) -> dict[str, Any] | None:
    describe = call.aws("ec2").describe_route_tables
    return first({"InvalidRouteTableID.NotFound"}, describe, "RouteTables", RouteTableIds=[table])


def create_route_table(call: Call) -> str:
    answer = call.aws("ec2").create_route_table(VpcId=call.new["vpcId"], TagSpecifications=tagged("route-table", call))
    return str(answer["RouteTable"]["RouteTableId"])


def read_route_table(call: Call) -> Properties | None:
    table = route_table(call, call.id)
    if table is None:
        return None
    owner = table.get("OwnerId", "")
    tags = tag_map(table.get("Tags"))
    return {"arn": arn(call, owner, "route-table", call.id), "ownerId": owner, "vpcId": table["VpcId"], "tags": tags}


def route_target(call: Call) -> dict[str, str]:
    return {theirs: call.new[ours] for ours, theirs in TARGETS.items() if call.new.get(ours)}


def create_route(call: Call) -> str:
    table, destination = call.new["routeTableId"], call.new["destinationCidrBlock"]
    call.aws("ec2").create_route(RouteTableId=table, DestinationCidrBlock=destination, **route_target(call))
    return f"r-{table}{zlib.crc32(destination.encode())}"


def replace_route(call: Call) -> None:
    table, destination = call.new["routeTableId"], call.new["destinationCidrBlock"]
    call.aws("ec2").replace_route(RouteTableId=table, DestinationCidrBlock=destination, **route_target(call))


def read_route(call: Call) -> Properties | None:
    known = call.new or call.old
    if "routeTableId" not in known:
        raise ProviderError("a route that is not in the state cannot be read: its id does not name its destination")
    table = route_table(call, known["routeTableId"])
    for route in table["Routes"] if table else []:
        if route.get("DestinationCidrBlock") == known["destinationCidrBlock"]:
            return {
                "routeTableId": known["routeTableId"],
                "destinationCidrBlock": known["destinationCidrBlock"],
                "origin": route.get("Origin", "CreateRoute"),
                "state": route.get("State", "active"),
                **{ours: route.get(theirs, "") for ours, theirs in TARGETS.items()},
            }
    return None


def delete_route(call: Call) -> None:
    params = {"RouteTableId": call.old["routeTableId"], "DestinationCidrBlock": call.old["destinationCidrBlock"]}
    found({"InvalidRoute.NotFound", "InvalidRouteTableID.NotFound"}, call.aws("ec2").delete_route, **params)


def create_association(call: Call) -> str:
    params = {"RouteTableId": call.new["routeTableId"], "SubnetId": call.new["subnetId"]}
    return str(call.aws("ec2").associate_route_table(**params)["AssociationId"])


def read_association(call: Call) -> Properties | None:
    here = {"Name": "association.route-table-association-id", "Values": [call.id]}
    for table in call.aws("ec2").describe_route_tables(Filters=[here])["RouteTables"]:
        for association in table["Associations"]:
            if association["RouteTableAssociationId"] == call.id:
                return {
                    "routeTableId": table["RouteTableId"],
                    "subnetId": association.get("SubnetId", ""),
                    "gatewayId": association.get("GatewayId", ""),
                }
    return None


KINDS = (
    Kind(
        type="aws:ec2/vpc:Vpc",
        create=create_vpc,
        settle=(set_dns,),
        read=read_vpc,
        delete=deleter("ec2", "delete_vpc", "VpcId", "InvalidVpcID.NotFound"),
        update={"enableDnsSupport": set_dns, "enableDnsHostnames": set_dns},
        fixed=frozenset({"cidrBlock", "instanceTenancy"}),
        defaults={"enableDnsSupport": True},
        tags=tags,
        outputs=("arn", "ownerId", "mainRouteTableId", "defaultRouteTableId", "defaultSecurityGroupId"),
    ),
    Kind(
        type="aws:ec2/subnet:Subnet",
        create=create_subnet,
        settle=(set_public_ip,),
        read=read_subnet,
        delete=deleter("ec2", "delete_subnet", "SubnetId", "InvalidSubnetID.NotFound"),
        update={"mapPublicIpOnLaunch": set_public_ip},
        fixed=frozenset({"vpcId", "cidrBlock", "availabilityZone"}),
        tags=tags,
        outputs=("arn", "ownerId", "availabilityZoneId"),
        emptied=frozenset({"mapPublicIpOnLaunch"}),
        delete_first=True,
    ),
    Kind(
        type="aws:ec2/internetGateway:InternetGateway",
        create=create_gateway,
        settle=(attach_gateway,),
        read=read_gateway,
        delete=delete_gateway,
        update={"vpcId": attach_gateway},
        tags=tags,
        outputs=("arn", "ownerId"),
    ),
    Kind(
        type="aws:ec2/routeTable:RouteTable",
        create=create_route_table,
        read=read_route_table,
        delete=deleter("ec2", "delete_route_table", "RouteTableId", "InvalidRouteTableID.NotFound"),
        fixed=frozenset({"vpcId"}),
        tags=tags,
        outputs=("arn", "ownerId"),
    ),
    Kind(
        type="aws:ec2/route:Route",
        create=create_route,
        read=read_route,
        delete=delete_route,
        update=dict.fromkeys(TARGETS, replace_route),
        fixed=frozenset({"routeTableId", "destinationCidrBlock"}),
        emptied=frozenset(TARGETS),
        outputs=("origin", "state"),
        delete_first=True,
    ),
    Kind(
        type="aws:ec2/routeTableAssociation:RouteTableAssociation",
        create=create_association,
        read=read_association,
        delete=deleter("ec2", "disassociate_route_table", "AssociationId", "InvalidAssociationID.NotFound"),
        # AWS changes the table in place but under a new id, which the engine could not learn from an update.
        fixed=frozenset({"routeTableId", "subnetId"}),
        outputs=(),
        delete_first=True,
    ),
)

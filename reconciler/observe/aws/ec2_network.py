"""How networks are seen: VPCs, subnets, internet gateways. Routing is in ``ec2_routing``."""

from __future__ import annotations

from reconciler.model import DeclaredResource, ResourceKind, Unreadable, Value
from reconciler.observe.aws._common import call, together
from reconciler.observe.aws.ec2 import GATEWAYS, SUBNETS, VPCS, chosen, listed
from reconciler.observe.reads import Answers, Failed, Missing, More, Read, Row, Rows, Sight

_VPC_FIELDS = {"CidrBlock": "cidrBlock", "InstanceTenancy": "instanceTenancy"}

_VPC_ATTRIBUTES = {
    "enableDnsSupport": "EnableDnsSupport",
    "enableDnsHostnames": "EnableDnsHostnames",
    "enableNetworkAddressUsageMetrics": "EnableNetworkAddressUsageMetrics",
}
"""Property, also the name to ask by, to the member of the answer. EC2 offers them one at a time, for one VPC."""


def _attributes(declared: DeclaredResource) -> dict[str, Read]:
    return {
        name: call(
            "ec2",
            "describe_vpc_attribute",
            absent=("InvalidVpcID.NotFound",),
            target=declared.id,
            Attribute=name,
            VpcId=declared.id,
        )
        for name in _VPC_ATTRIBUTES
        if name in declared.inputs or name != "enableNetworkAddressUsageMetrics"
    }


def _vpc(declared: DeclaredResource, row: Row, answers: Answers) -> Sight:
    seen: dict[str, Value] = chosen(row, _VPC_FIELDS)
    ipv6 = _ipv6(row)
    seen["ipv6CidrBlock"] = ipv6.get("Ipv6CidrBlock")
    seen["ipv6CidrBlockNetworkBorderGroup"] = ipv6.get("NetworkBorderGroup")
    seen["assignGeneratedIpv6CidrBlock"] = ipv6.get("Ipv6Pool") == "Amazon"

    found = {name: answers.get(read) for name, read in _attributes(declared).items()}
    if (more := together(*found.values())).reads:
        return more
    for name, answer in found.items():
        if isinstance(answer, Missing):
            # The listing has the VPC, this read says it is gone: only the direct read can settle it.
            again = answers.one(VPCS.direct(declared.id))
            if isinstance(again, Missing | Failed | More):
                return again
            seen[name] = Unreadable(f"AWS contradicts itself: {answer.how}")
        elif isinstance(answer, Failed):
            seen[name] = Unreadable(answer.reason)
        elif isinstance(answer, Rows):
            value = answer.rows[0].get(_VPC_ATTRIBUTES[name], {}).get("Value")
            seen[name] = Unreadable("the answer lacks the attribute") if value is None else value
    return seen


def _ipv6(row: Row) -> Row:
    """The IPv6 block in use; blocks that left stay in the answer for a while."""
    for association in row.get("Ipv6CidrBlockAssociationSet", ()):
        if association.get("Ipv6CidrBlockState", {}).get("State") in ("associated", "associating"):
            found: Row = association
            return found
    return {}


_SUBNET_FIELDS = {
    "AssignIpv6AddressOnCreation": "assignIpv6AddressOnCreation",
    "AvailabilityZone": "availabilityZone",
    "AvailabilityZoneId": "availabilityZoneId",
    "CidrBlock": "cidrBlock",
    "CustomerOwnedIpv4Pool": "customerOwnedIpv4Pool",
    "EnableDns64": "enableDns64",
    "EnableLniAtDeviceIndex": "enableLniAtDeviceIndex",
    "Ipv6Native": "ipv6Native",
    "MapCustomerOwnedIpOnLaunch": "mapCustomerOwnedIpOnLaunch",
    "MapPublicIpOnLaunch": "mapPublicIpOnLaunch",
    "OutpostArn": "outpostArn",
    "VpcId": "vpcId",
}
_HOSTNAME_FIELDS = {
    "HostnameType": "privateDnsHostnameTypeOnLaunch",
    "EnableResourceNameDnsARecord": "enableResourceNameDnsARecordOnLaunch",
    "EnableResourceNameDnsAAAARecord": "enableResourceNameDnsAaaaRecordOnLaunch",
}


def _subnet(_declared: DeclaredResource, row: Row, _: Answers) -> Sight:
    return {
        **chosen(row, _SUBNET_FIELDS),
        **chosen(row.get("PrivateDnsNameOptionsOnLaunch") or {}, _HOSTNAME_FIELDS),
        "ipv6CidrBlock": _ipv6(row).get("Ipv6CidrBlock"),
    }


def _gateway(_declared: DeclaredResource, row: Row, _: Answers) -> Sight:
    attached = [a["VpcId"] for a in row.get("Attachments", ()) if a.get("State") in ("available", "attached")]
    return {"vpcId": attached[0] if attached else ""}


_IPAM = frozenset({"ipv4IpamPoolId", "ipv4NetmaskLength", "ipv6IpamPoolId", "ipv6NetmaskLength"})

OBSERVERS = (
    listed(
        ResourceKind("aws:ec2/vpc:Vpc", write_only=_IPAM),
        VPCS,
        _vpc,
        "ec2:DescribeVpcs",
        "ec2:DescribeVpcAttribute",
        extra=lambda declared: tuple(_attributes(declared).values()),
    ),
    listed(ResourceKind("aws:ec2/subnet:Subnet", write_only=_IPAM), SUBNETS, _subnet, "ec2:DescribeSubnets"),
    listed(ResourceKind("aws:ec2/internetGateway:InternetGateway"), GATEWAYS, _gateway, "ec2:DescribeInternetGateways"),
)

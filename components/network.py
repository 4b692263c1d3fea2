"""The tenant's own network: nothing of another tenant is in it, and nothing leads into another tenant's."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Network

import pulumi
from pulumi_aws import ec2

from components.scope import Scope


@dataclass(frozen=True, slots=True)
class NetworkArgs:
    """What a Network is made of."""

    scope: Scope
    zone_a: pulumi.Input[str]
    """Availability zone of the subnets ``a``; only read when a subnet is made, see the subnets below."""
    zone_b: pulumi.Input[str]


class Network(pulumi.ComponentResource):
    """A VPC with two public subnets for the load balancer and two private ones for the servers.

    The private subnets have no way out of the VPC.
    """

    vpc_id: pulumi.Output[str]
    public_subnet_ids: list[pulumi.Output[str]]
    private_subnet_ids: list[pulumi.Output[str]]
    internet_route: pulumi.Resource
    """An internet-facing load balancer can only be made once this is there."""

    def __init__(self, name: str, args: NetworkArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("stackmend:index:Network", name, None, opts)
        self._scope = args.scope
        self._child = pulumi.ResourceOptions(parent=self)
        scope = args.scope
        vpc = ec2.Vpc(
            scope.name("vpc"),
            cidr_block=str(scope.tenant.cidr),
            enable_dns_hostnames=True,
            enable_dns_support=True,
            tags=scope.tags("vpc"),
            opts=self._child,
        )
        gateway = ec2.InternetGateway(scope.name("igw"), vpc_id=vpc.id, tags=scope.tags("igw"), opts=self._child)
        public, private = (
            ec2.RouteTable(scope.name(kind), vpc_id=vpc.id, tags=scope.tags(kind), opts=self._child)
            for kind in ("public", "private")
        )
        self.internet_route = ec2.Route(
            scope.name("public-default"),
            route_table_id=public.id,
            destination_cidr_block="0.0.0.0/0",
            gateway_id=gateway.id,
            opts=self._child,
        )
        public_a, public_b, private_a, private_b = scope.tenant.subnets()
        self.vpc_id = vpc.id
        self.public_subnet_ids = [
            self._subnet("public-a", vpc, public, public_a, args.zone_a),
            self._subnet("public-b", vpc, public, public_b, args.zone_b),
        ]
        self.private_subnet_ids = [
            self._subnet("private-a", vpc, private, private_a, args.zone_a),
            self._subnet("private-b", vpc, private, private_b, args.zone_b),
        ]
        self.register_outputs({"vpcId": self.vpc_id})

    def _subnet(
        self, suffix: str, vpc: ec2.Vpc, routes: ec2.RouteTable, cidr: IPv4Network, zone: pulumi.Input[str]
    ) -> pulumi.Output[str]:
        name = self._scope.name(suffix)
        subnet = ec2.Subnet(
            name,
            vpc_id=vpc.id,
            cidr_block=str(cidr),
            availability_zone=zone,
            map_public_ip_on_launch=False,
            tags=self._scope.tags(suffix),
            # The list of zones may change, above all while one of them is down. A subnet must not move because of it.
            opts=pulumi.ResourceOptions(parent=self, ignore_changes=["availabilityZone"]),
        )
        ec2.RouteTableAssociation(name, route_table_id=routes.id, subnet_id=subnet.id, opts=self._child)
        subnet_id: pulumi.Output[str] = subnet.id
        return subnet_id

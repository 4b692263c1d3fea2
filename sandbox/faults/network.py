"""Faults of the network: what reaches what."""

from __future__ import annotations

from sandbox.faults.fault import Actor, Fault
from sandbox.faults.victim import Victim
from tenancy import tags


def open_ssh(victim: Victim) -> str:
    group = victim.id("ec2:security-group", "server-sg")
    victim.ec2.authorize_security_group_ingress(
        GroupId=group,
        IpPermissions=[
            {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]},
        ],
    )
    return group


def delete_default_route(victim: Victim) -> str:
    table = victim.id("ec2:route-table", "public")
    victim.ec2.delete_route(RouteTableId=table, DestinationCidrBlock="0.0.0.0/0")
    return table


def detach_subnet(victim: Victim) -> str:
    subnet = victim.id("ec2:subnet", "public-a")
    tables = victim.ec2.describe_route_tables(Filters=[{"Name": "association.subnet-id", "Values": [subnet]}])
    for table in tables["RouteTables"]:
        for association in table["Associations"]:
            if association.get("SubnetId") == subnet:
                victim.ec2.disassociate_route_table(AssociationId=association["RouteTableAssociationId"])
                return association["RouteTableAssociationId"]
    raise victim.missing(f"association of {subnet}", "ec2:route-table")


def disable_dns_hostnames(victim: Victim) -> str:
    vpc = victim.id("ec2:vpc", "vpc")
    victim.ec2.modify_vpc_attribute(VpcId=vpc, EnableDnsHostnames={"Value": False})
    return vpc


def expose_subnet(victim: Victim) -> str:
    subnet = victim.id("ec2:subnet", "private-a")
    victim.ec2.modify_subnet_attribute(SubnetId=subnet, MapPublicIpOnLaunch={"Value": True})
    return subnet


def strip_tag(victim: Victim) -> str:
    vpc = victim.id("ec2:vpc", "vpc")
    victim.ec2.delete_tags(Resources=[vpc], Tags=[{"Key": tags.OWNER}])
    return vpc


def leave_orphan(victim: Victim) -> str:
    """As an update that was killed after its call: tagged, named by the engine, in the network, in no state."""
    twin = victim.id("ec2:security-group", "server-sg")
    row = victim.ec2.describe_security_groups(GroupIds=[twin])["SecurityGroups"][0]
    made = victim.ec2.create_security_group(
        GroupName=f"{victim.tenant}-server-sg-0badc0d",
        Description=row["Description"],
        VpcId=row["VpcId"],
        TagSpecifications=[{"ResourceType": "security-group", "Tags": row["Tags"]}],
    )
    return made["GroupId"]


FAULTS = (
    Fault(
        "open-ssh",
        "the servers' security group admits SSH from anywhere",
        Actor.INTRUDER,
        "network",
        ("aws:ec2/securityGroup:SecurityGroup",),
        open_ssh,
    ),
    Fault(
        "delete-default-route",
        "the public subnets lose their way to the internet",
        Actor.OPERATOR,
        "network",
        ("aws:ec2/route:Route",),
        delete_default_route,
    ),
    Fault(
        "detach-subnet",
        "a public subnet falls back to the VPC's main route table",
        Actor.OPERATOR,
        "network",
        ("aws:ec2/routeTableAssociation:RouteTableAssociation",),
        detach_subnet,
    ),
    Fault(
        "disable-dns-hostnames",
        "servers get no DNS names any more",
        Actor.OPERATOR,
        "network",
        ("aws:ec2/vpc:Vpc",),
        disable_dns_hostnames,
    ),
    Fault(
        "expose-subnet",
        "servers launched in a private subnet get public addresses",
        Actor.INTRUDER,
        "network",
        ("aws:ec2/subnet:Subnet",),
        expose_subnet,
    ),
    Fault(
        "strip-tag",
        "the network no longer says who owns it",
        Actor.OPERATOR,
        "network",
        ("aws:ec2/vpc:Vpc",),
        strip_tag,
    ),
    Fault(
        "leave-orphan",
        "an update was killed and left a second security group of the servers behind, which no state knows",
        Actor.OUTAGE,
        "network",
        (),
        leave_orphan,
    ),
)

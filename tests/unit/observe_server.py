"""A small world on a real moto server: made with plain boto3, and declared by hand as Pulumi would declare it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import boto3

from reconciler.model import Declared
from tests.unit.observe_worlds import REGION, declared, resource, tags

ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_DEFAULT_REGION": REGION,
}


def _pairs(name: str) -> list[dict[str, str]]:
    return [{"Key": key, "Value": str(value)} for key, value in tags(name).items()]


def _specification(type_: str, name: str) -> list[dict[str, Any]]:
    return [{"ResourceType": type_, "Tags": _pairs(name)}]


@dataclass(frozen=True, slots=True)
class World:
    """What ``build`` made."""

    declared: Declared
    ids: Mapping[str, str]
    template: Mapping[str, Any]
    """The content of the launch template's default version, in AWS's words."""


def build(endpoint: str) -> World:
    """One tenant's network and compute, two servers behind one target group."""
    session = boto3.Session(aws_access_key_id="testing", aws_secret_access_key="testing", region_name=REGION)
    ec2 = session.client("ec2", endpoint_url=endpoint)
    asg = session.client("autoscaling", endpoint_url=endpoint)
    elb = session.client("elbv2", endpoint_url=endpoint)

    vpc = ec2.create_vpc(CidrBlock="10.7.0.0/16", TagSpecifications=_specification("vpc", "acme-vpc"))["Vpc"]["VpcId"]  # type: ignore[arg-type]
    ec2.modify_vpc_attribute(VpcId=vpc, EnableDnsHostnames={"Value": True})
    subnets = [
        ec2.create_subnet(
            VpcId=vpc,
            CidrBlock=f"10.7.{i}.0/24",
            AvailabilityZone=f"{REGION}{zone}",
            TagSpecifications=_specification("subnet", f"acme-private-{zone}"),  # type: ignore[arg-type]
        )["Subnet"]["SubnetId"]
        for i, zone in enumerate("ab")
    ]
    igw = ec2.create_internet_gateway(TagSpecifications=_specification("internet-gateway", "acme-igw"))  # type: ignore[arg-type]
    gateway = igw["InternetGateway"]["InternetGatewayId"]
    ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=vpc)
    made = ec2.create_route_table(VpcId=vpc, TagSpecifications=_specification("route-table", "acme-public"))  # type: ignore[arg-type]
    table = made["RouteTable"]["RouteTableId"]
    ec2.create_route(RouteTableId=table, DestinationCidrBlock="0.0.0.0/0", GatewayId=gateway)
    association = ec2.associate_route_table(RouteTableId=table, SubnetId=subnets[0])["AssociationId"]

    group = ec2.create_security_group(
        GroupName="acme-sg-1234567",
        Description="servers",
        VpcId=vpc,
        TagSpecifications=_specification("security-group", "acme-sg"),  # type: ignore[arg-type]
    )["GroupId"]
    https: Any = {
        "IpProtocol": "tcp",
        "FromPort": 443,
        "ToPort": 443,
        "IpRanges": [{"CidrIp": "10.0.0.0/8"}, {"CidrIp": "192.168.0.0/16"}],
    }
    ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[https])

    data: dict[str, Any] = {
        "ImageId": "ami-12c6146b",
        "InstanceType": "t3.micro",
        "SecurityGroupIds": [group],
        "Monitoring": {"Enabled": True},
        "MetadataOptions": {"HttpEndpoint": "enabled", "HttpTokens": "required", "HttpPutResponseHopLimit": 1},
        "BlockDeviceMappings": [
            {
                "DeviceName": "/dev/xvda",
                "Ebs": {"Encrypted": True, "VolumeSize": 20, "VolumeType": "gp3", "DeleteOnTermination": True},
            }
        ],
        "TagSpecifications": _specification("instance", "acme-server"),
    }
    template = ec2.create_launch_template(
        LaunchTemplateName="acme-server-1234567",
        LaunchTemplateData={"ImageId": "ami-12c6146b"},
        TagSpecifications=_specification("launch-template", "acme-server"),  # type: ignore[arg-type]
    )
    template_id = template["LaunchTemplate"]["LaunchTemplateId"]
    # As the provider does on an update; moto also mixes the template's own tags into its first version.
    ec2.create_launch_template_version(LaunchTemplateId=template_id, LaunchTemplateData=data)  # type: ignore[arg-type]
    ec2.modify_launch_template(LaunchTemplateId=template_id, DefaultVersion="2")

    arn = elb.create_target_group(Name="acme-api", Protocol="HTTP", Port=8080, VpcId=vpc, TargetType="instance")
    target_group = arn["TargetGroups"][0]["TargetGroupArn"]
    asg.create_auto_scaling_group(
        AutoScalingGroupName="acme-servers-1234567",
        MinSize=2,
        MaxSize=4,
        DesiredCapacity=2,
        VPCZoneIdentifier=",".join(subnets),
        TargetGroupARNs=[target_group],
        HealthCheckType="ELB",
        HealthCheckGracePeriod=120,
        LaunchTemplate={"LaunchTemplateId": template_id, "Version": "$Default"},
        Tags=[{**pair, "PropagateAtLaunch": True} for pair in _pairs("acme-servers")],  # type: ignore[typeddict-item]
    )

    found = declared(
        resource(
            "aws:ec2/vpc:Vpc",
            "acme-vpc",
            vpc,
            {
                "cidrBlock": "10.7.0.0/16",
                "enableDnsHostnames": True,
                "enableDnsSupport": True,
                "tags": tags("acme-vpc"),
                "tagsAll": tags("acme-vpc"),
                "region": REGION,
            },
        ),
        *(
            resource(
                "aws:ec2/subnet:Subnet",
                f"acme-private-{zone}",
                subnets[i],
                {
                    "vpcId": vpc,
                    "cidrBlock": f"10.7.{i}.0/24",
                    "availabilityZone": f"{REGION}{zone}",
                    "mapPublicIpOnLaunch": False,
                    "tags": tags(f"acme-private-{zone}"),
                },
            )
            for i, zone in enumerate("ab")
        ),
        resource(
            "aws:ec2/internetGateway:InternetGateway", "acme-igw", gateway, {"vpcId": vpc, "tags": tags("acme-igw")}
        ),
        resource("aws:ec2/routeTable:RouteTable", "acme-public", table, {"vpcId": vpc, "tags": tags("acme-public")}),
        resource(
            "aws:ec2/route:Route",
            "acme-public-default",
            f"r-{table}1080289494",
            {"routeTableId": table, "destinationCidrBlock": "0.0.0.0/0", "gatewayId": gateway},
        ),
        resource(
            "aws:ec2/routeTableAssociation:RouteTableAssociation",
            "acme-public-a",
            association,
            {"routeTableId": table, "subnetId": subnets[0]},
        ),
        resource(
            "aws:ec2/securityGroup:SecurityGroup",
            "acme-sg",
            group,
            {
                "name": "acme-sg-1234567",
                "description": "servers",
                "vpcId": vpc,
                "ingress": [
                    {"protocol": "tcp", "fromPort": 443, "toPort": 443, "cidrBlocks": [block]}
                    for block in ("192.168.0.0/16", "10.0.0.0/8")
                ],
                "egress": [{"protocol": "-1", "fromPort": 0, "toPort": 0, "cidrBlocks": ["0.0.0.0/0"]}],
                "tags": tags("acme-sg"),
            },
        ),
        resource(
            "aws:ec2/launchTemplate:LaunchTemplate",
            "acme-server",
            template_id,
            {
                "name": "acme-server-1234567",
                "imageId": "ami-12c6146b",
                "instanceType": "t3.micro",
                "vpcSecurityGroupIds": [group],
                "monitoring": {"enabled": True},
                "metadataOptions": {"httpEndpoint": "enabled", "httpTokens": "required", "httpPutResponseHopLimit": 1},
                "blockDeviceMappings": [
                    {
                        "deviceName": "/dev/xvda",
                        "ebs": {
                            "encrypted": "true",
                            "volumeSize": 20,
                            "volumeType": "gp3",
                            "deleteOnTermination": "true",
                        },
                    }
                ],
                "tagSpecifications": [{"resourceType": "instance", "tags": tags("acme-server")}],
                "updateDefaultVersion": True,
                "tags": tags("acme-server"),
            },
        ),
        resource(
            "aws:autoscaling/group:Group",
            "acme-servers",
            "acme-servers-1234567",
            {
                "name": "acme-servers-1234567",
                "minSize": 2,
                "maxSize": 4,
                "desiredCapacity": 2,
                "vpcZoneIdentifiers": list(reversed(subnets)),
                "healthCheckType": "ELB",
                "healthCheckGracePeriod": 120,
                "targetGroupArns": [target_group],
                "launchTemplate": {"id": template_id, "version": "$Default"},
                "forceDelete": False,
                "tags": [
                    {"key": key, "value": value, "propagateAtLaunch": True}
                    for key, value in tags("acme-servers").items()
                ],
            },
        ),
    )
    ids = {"vpc": vpc, "igw": gateway, "table": table, "group": group, "template": template_id, "tg": target_group}
    return World(found, {**ids, "subnet-a": subnets[0], "subnet-b": subnets[1], "association": association}, data)

"""A running sandbox server and a hand-made tenant in it, for tests that need AWS but not the engine."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

from sandbox import cells
from sandbox.faults.victim import Victim
from sandbox.lifecycle import Sandbox
from tenancy import tags
from tests.moto_server import empty

CELL = "dev"

_STATEMENT = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::bucket/*"}
_POLICY = json.dumps({"Version": "2012-10-17", "Statement": [_STATEMENT]})


@contextmanager
def running(home: Path) -> Iterator[Sandbox]:
    """A sandbox whose server runs, with nothing deployed."""
    sandbox = Sandbox(CELL, home=home)
    sandbox.start()
    try:
        yield sandbox
    finally:
        sandbox.down()


def emptied(sandbox: Sandbox) -> Sandbox:
    """The same sandbox without what earlier tests made: moto's answers take longer the more there is."""
    empty(sandbox.url)
    return sandbox


def client(sandbox: Sandbox, service: str, **config: Any) -> Any:
    """A boto3 client without retries, so that one call is one request."""
    settings = Config(retries={"total_max_attempts": 1}, **config)
    return _session().client(service, endpoint_url=sandbox.url, config=settings)  # type: ignore[call-overload]


@cache
def _session() -> boto3.Session:
    """One for all: each reads the service models anew."""
    return Sandbox(CELL).session()


class World:
    """One tenant by plain boto3 calls, as the program would declare it; only what the faults touch."""

    def __init__(self, sandbox: Sandbox, tenant: str) -> None:
        self.sandbox, self.tenant = sandbox, tenant
        self.victim = Victim(_session(), tenant, CELL, endpoint_url=sandbox.url)
        self._network()
        self._key_and_bucket()
        self._servers()
        self._observability()

    def tags(self, part: str) -> list[dict[str, str]]:
        values = {tags.NAME: f"{self.tenant}-{part}", tags.CELL: CELL, tags.TENANT: self.tenant, tags.OWNER: "platform"}
        return [{"Key": key, "Value": value} for key, value in values.items()]

    def spec(self, kind: str, part: str) -> list[Any]:
        return [{"ResourceType": kind, "Tags": self.tags(part)}]

    def _network(self) -> None:
        ec2, zones = self.victim.ec2, ("us-east-1a", "us-east-1b")
        vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16", TagSpecifications=self.spec("vpc", "vpc"))["Vpc"]
        self.vpc = vpc["VpcId"]
        ec2.modify_vpc_attribute(VpcId=self.vpc, EnableDnsHostnames={"Value": True})
        self.subnets = {}
        for index, part in enumerate(("public-a", "public-b", "private-a", "private-b")):
            self.subnets[part] = ec2.create_subnet(
                VpcId=self.vpc,
                CidrBlock=f"10.0.{index}.0/24",
                AvailabilityZone=zones[index % 2],
                TagSpecifications=self.spec("subnet", part),
            )["Subnet"]["SubnetId"]
        gateway = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
        ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=self.vpc)
        table = ec2.create_route_table(VpcId=self.vpc, TagSpecifications=self.spec("route-table", "public"))
        self.route_table = table["RouteTable"]["RouteTableId"]
        ec2.create_route(RouteTableId=self.route_table, DestinationCidrBlock="0.0.0.0/0", GatewayId=gateway)
        ec2.associate_route_table(RouteTableId=self.route_table, SubnetId=self.subnets["public-a"])
        self.security_group = ec2.create_security_group(
            GroupName=f"{self.tenant}-server-sg",
            Description="Servers",
            VpcId=self.vpc,
            TagSpecifications=self.spec("security-group", "server-sg"),
        )["GroupId"]

    def _key_and_bucket(self) -> None:
        kms, s3 = self.victim.kms, self.victim.s3
        kms_tags: Any = [{"TagKey": t["Key"], "TagValue": t["Value"]} for t in self.tags("key")]
        self.key = kms.create_key(Tags=kms_tags)["KeyMetadata"]["KeyId"]
        kms.enable_key_rotation(KeyId=self.key)
        kms.create_alias(AliasName=f"alias/stackmend/{CELL}/{self.tenant}", TargetKeyId=self.key)
        self.bucket = f"{self.tenant}-data-0a1b2c3"
        s3.create_bucket(Bucket=self.bucket)
        bucket_tags: Any = self.tags("data")
        s3.put_bucket_tagging(Bucket=self.bucket, Tagging={"TagSet": bucket_tags})
        s3.put_bucket_versioning(Bucket=self.bucket, VersioningConfiguration={"Status": "Enabled"})
        s3.put_bucket_encryption(
            Bucket=self.bucket,
            ServerSideEncryptionConfiguration={
                "Rules": [
                    {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": self.key}}
                ]
            },
        )
        s3.put_public_access_block(Bucket=self.bucket, PublicAccessBlockConfiguration={"BlockPublicAcls": True})
        s3.put_bucket_policy(Bucket=self.bucket, Policy=json.dumps({"Version": "2012-10-17", "Statement": []}))

    def _servers(self) -> None:
        victim = self.victim
        role_tags: Any = self.tags("server")
        self.role = f"{self.tenant}-server-0a1b2c3"
        victim.iam.create_role(RoleName=self.role, AssumeRolePolicyDocument="{}", Tags=role_tags)
        victim.iam.put_role_policy(RoleName=self.role, PolicyName=f"{self.tenant}-server", PolicyDocument=_POLICY)
        self.image = victim.ec2.register_image(Name=f"{self.tenant}-server")["ImageId"]
        self.template = victim.ec2.create_launch_template(
            LaunchTemplateName=f"{self.tenant}-server",
            LaunchTemplateData={
                "ImageId": self.image,
                "InstanceType": "t3.small",
                "MetadataOptions": {"HttpTokens": "required"},
                "Monitoring": {"Enabled": True},
            },
            TagSpecifications=self.spec("launch-template", "server"),
        )["LaunchTemplate"]["LaunchTemplateId"]
        elb_tags: Any = self.tags("api")
        self.target_group = victim.elbv2.create_target_group(
            Name=f"{self.tenant}-api", Protocol="HTTP", Port=8080, VpcId=self.vpc, Tags=elb_tags
        )["TargetGroups"][0]["TargetGroupArn"]
        elb_tags = self.tags("alb")
        public = [self.subnets["public-a"], self.subnets["public-b"]]
        balancer = victim.elbv2.create_load_balancer(Name=f"{self.tenant}-alb", Subnets=public, Tags=elb_tags)
        self.balancer = balancer["LoadBalancers"][0]["LoadBalancerArn"]
        forward: Any = [{"Type": "forward", "TargetGroupArn": self.target_group}]
        redirect: Any = [
            {"Type": "redirect", "RedirectConfig": {"Port": "443", "Protocol": "HTTPS", "StatusCode": "HTTP_301"}}
        ]
        victim.elbv2.create_listener(
            LoadBalancerArn=self.balancer,
            Port=443,
            Protocol="HTTPS",
            SslPolicy="ELBSecurityPolicy-TLS13-1-2-2021-06",
            Certificates=[{"CertificateArn": self._certificate()}],
            DefaultActions=forward,
        )
        victim.elbv2.create_listener(LoadBalancerArn=self.balancer, Port=80, Protocol="HTTP", DefaultActions=redirect)
        self.group = f"{self.tenant}-servers-0a1b2c3"
        group_tags: Any = [{**t, "PropagateAtLaunch": True} for t in self.tags("servers")]
        victim.autoscaling.create_auto_scaling_group(
            AutoScalingGroupName=self.group,
            LaunchTemplate={"LaunchTemplateId": self.template, "Version": "$Default"},
            MinSize=2,
            MaxSize=6,
            DesiredCapacity=3,
            VPCZoneIdentifier=",".join([self.subnets["private-a"], self.subnets["private-b"]]),
            TargetGroupARNs=[self.target_group],
            HealthCheckType="ELB",
            HealthCheckGracePeriod=60,
            Tags=group_tags,
        )

    def _certificate(self) -> str:
        certificate, key = cells.self_signed(f"api.{self.tenant}.example")
        return str(
            client(self.sandbox, "acm").import_certificate(Certificate=certificate, PrivateKey=key)["CertificateArn"]
        )

    def _observability(self) -> None:
        for part in ("unhealthy-hosts", "5xx"):
            alarm_tags: Any = self.tags(part)
            self.victim.cloudwatch.put_metric_alarm(
                AlarmName=f"{self.tenant}-{part}-0a1b2c3",
                Namespace="AWS/ApplicationELB",
                MetricName=part,
                Statistic="Sum",
                Period=60,
                EvaluationPeriods=2,
                Threshold=5,
                ComparisonOperator="GreaterThanThreshold",
                AlarmActions=["arn:aws:sns:us-east-1:123456789012:alarms"],
                Tags=alarm_tags,
            )
        log_tags = {t["Key"]: t["Value"] for t in self.tags("api")}
        self.log_group = f"/stackmend/{CELL}/{self.tenant}/api"
        self.victim.logs.create_log_group(logGroupName=self.log_group, tags=log_tags)
        self.victim.logs.put_retention_policy(logGroupName=self.log_group, retentionInDays=400)

    # --- looks -------------------------------------------------------------------------------------------

    def scaling_group(self) -> Any:
        """The auto scaling group as it is now."""
        answer = self.victim.autoscaling.describe_auto_scaling_groups(AutoScalingGroupNames=[self.group])
        return answer["AutoScalingGroups"][0]

    def members(self) -> list[str]:
        """Instance ids of the group's members, whatever their state."""
        return [i["InstanceId"] for i in self.scaling_group()["Instances"]]

    def states(self, *ids: str) -> dict[str, str]:
        """EC2 states by instance id."""
        rows = self.victim.ec2.describe_instances(InstanceIds=list(ids))["Reservations"]
        return {i["InstanceId"]: i["State"]["Name"] for r in rows for i in r["Instances"]}

    def targets(self) -> dict[str, str]:
        """Target states by instance id, of everything registered."""
        rows = self.victim.elbv2.describe_target_health(TargetGroupArn=self.target_group)["TargetHealthDescriptions"]
        return {row["Target"]["Id"]: row["TargetHealth"]["State"] for row in rows}

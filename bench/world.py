"""The world that is looked at: tenants made in moto by plain API calls, and declared as Pulumi's state would hold them.

Every tenth tenant has five faults, so that verdicts differ and a look that sees nothing is noticed.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import boto3
from botocore.config import Config

from bench.names import ACCOUNT, CELL, REGION, name_of
from tenancy import tags as keys

FAULTY_EVERY = 10
FAULTS_EACH = 5
TRUST = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}],
    }
)
SERVICES = ("autoscaling", "cloudwatch", "ec2", "elbv2", "iam", "kms", "logs", "s3")

Json = dict[str, Any]


def build(tenants: int) -> Json:
    """Make the tenants and return the state that declares them, as ``pulumi stack export`` would print it."""
    session = boto3.Session(region_name=REGION)
    by_path = Config(s3={"addressing_style": "path"})  # moto is told to ignore host names
    aws = {service: session.client(service, config=by_path) for service in SERVICES}  # type: ignore[call-overload]
    stack = _urn("pulumi:pulumi:Stack", f"stackmend-{CELL}")
    resources: list[Json] = [
        {"urn": stack, "type": "pulumi:pulumi:Stack", "custom": False},
        {
            "urn": _urn("pulumi:providers:aws", "default"),
            "type": "pulumi:providers:aws",
            "custom": True,
            "id": "0a000000-0000-4000-8000-000000000000",
            "inputs": {"region": REGION},
        },
    ]
    for number in range(tenants):
        above = _urn("stackmend:index:Tenant", name_of(number))
        resources.append({"urn": above, "type": "stackmend:index:Tenant", "custom": False, "parent": stack})
        resources += ({**one, "parent": above} for one in _Tenant(number, aws).resources())
    return {"version": 3, "deployment": {"manifest": {}, "resources": resources}}


def _urn(type_: str, name: str) -> str:
    return f"urn:pulumi:{CELL}::stackmend::{type_}::{name}"


def _declared(type_: str, logical: str, id_: str, /, arn: str = "", **inputs: Any) -> Json:
    outputs = {"arn": arn} if arn else {}
    return {
        "urn": _urn(type_, logical),
        "type": type_,
        "custom": True,
        "id": id_,
        "inputs": inputs,
        "outputs": outputs,
        "provider": _urn("pulumi:providers:aws", "default") + "::0a000000-0000-4000-8000-000000000000",
        "propertyDependencies": {key: [] for key in inputs},
    }


class _Tenant:
    """One tenant: made call by call, each resource declared right after it exists."""

    def __init__(self, number: int, aws: Mapping[str, Any]) -> None:
        self.number, self.aws, self.name = number, aws, name_of(number)
        self.faulty = number % FAULTY_EVERY == FAULTY_EVERY - 1
        self.block = f"10.{number % 250}"

    def tags(self, name: str) -> dict[str, str]:
        return {
            keys.NAME: name,
            keys.CELL: CELL,
            keys.TENANT: self.name,
            keys.TIER: "gold",
            keys.REGIME: "pci-dss",
            keys.OWNER: "platform",
        }

    def pairs(self, name: str) -> list[dict[str, str]]:
        return [{"Key": key, "Value": value} for key, value in self.tags(name).items()]

    def marks(self, kind: str, name: str) -> list[Json]:
        return [{"ResourceType": kind, "Tags": self.pairs(name)}]

    def resources(self) -> Iterator[Json]:
        yield from self._network()
        yield from self._balancing()
        yield from self._servers()
        yield from self._storage()
        yield from self._watching()

    def _network(self) -> Iterator[Json]:
        ec2, name = self.aws["ec2"], self.name
        vpc = ec2.create_vpc(CidrBlock=f"{self.block}.0.0/16", TagSpecifications=self.marks("vpc", f"{name}-vpc"))
        self.vpc = vpc["Vpc"]["VpcId"]
        yield _declared(
            "aws:ec2/vpc:Vpc",
            f"{name}-vpc",
            self.vpc,
            arn=f"arn:aws:ec2:{REGION}:{ACCOUNT}:vpc/{self.vpc}",
            cidrBlock=f"{self.block}.0.0/16",
            enableDnsSupport=True,
            tags=self.tags(f"{name}-vpc"),
        )
        self.subnets = []
        for index in range(4):
            logical, block = f"{name}-subnet-{index}", f"{self.block}.{index}.0/24"
            zone = f"{REGION}{'ab'[index % 2]}"
            made = ec2.create_subnet(
                VpcId=self.vpc, CidrBlock=block, AvailabilityZone=zone, TagSpecifications=self.marks("subnet", logical)
            )
            self.subnets.append(made["Subnet"]["SubnetId"])
            yield _declared(
                "aws:ec2/subnet:Subnet",
                logical,
                self.subnets[-1],
                vpcId=self.vpc,
                cidrBlock=block,
                availabilityZone=zone,
                mapPublicIpOnLaunch=False,
                tags=self.tags(logical),
            )
        marks = self.marks("internet-gateway", f"{name}-igw")
        gateway = ec2.create_internet_gateway(TagSpecifications=marks)["InternetGateway"]["InternetGatewayId"]
        ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=self.vpc)
        type_ = "aws:ec2/internetGateway:InternetGateway"
        yield _declared(type_, f"{name}-igw", gateway, vpcId=self.vpc, tags=self.tags(f"{name}-igw"))
        for side, subnets in (("public", self.subnets[:2]), ("private", self.subnets[2:])):
            yield from self._table(side, subnets, gateway)
        self.groups: dict[str, str] = {}
        for role in ("alb", "app", "data"):
            yield self._security_group(role)

    def _table(self, side: str, subnets: list[str], gateway: str) -> Iterator[Json]:
        ec2, logical = self.aws["ec2"], f"{self.name}-{side}"
        made = ec2.create_route_table(VpcId=self.vpc, TagSpecifications=self.marks("route-table", logical))
        table = made["RouteTable"]["RouteTableId"]
        yield _declared("aws:ec2/routeTable:RouteTable", logical, table, vpcId=self.vpc, tags=self.tags(logical))
        if side == "public":
            ec2.create_route(RouteTableId=table, DestinationCidrBlock="0.0.0.0/0", GatewayId=gateway)
            yield _declared(
                "aws:ec2/route:Route",
                f"{logical}-default",
                f"r-{table}1080289494",
                routeTableId=table,
                destinationCidrBlock="0.0.0.0/0",
                gatewayId=gateway,
            )
        for index, subnet in enumerate(subnets):
            id_ = ec2.associate_route_table(RouteTableId=table, SubnetId=subnet)["AssociationId"]
            type_ = "aws:ec2/routeTableAssociation:RouteTableAssociation"
            yield _declared(type_, f"{logical}-{index}", id_, routeTableId=table, subnetId=subnet)

    def _security_group(self, role: str) -> Json:
        ec2, logical = self.aws["ec2"], f"{self.name}-{role}"
        made = ec2.create_security_group(
            GroupName=logical,
            Description=role,
            VpcId=self.vpc,
            TagSpecifications=self.marks("security-group", logical),
        )
        group = self.groups[role] = made["GroupId"]
        source = "0.0.0.0/0" if role == "alb" else f"{self.block}.0.0/16"
        ports = [443, 22] if self.faulty and role == "app" else [443]
        for port in ports:
            ec2.authorize_security_group_ingress(
                GroupId=group,
                IpPermissions=[
                    {
                        "IpProtocol": "tcp",
                        "FromPort": port,
                        "ToPort": port,
                        "IpRanges": [{"CidrIp": source if port == 443 else "0.0.0.0/0"}],
                    }
                ],
            )
        return _declared(
            "aws:ec2/securityGroup:SecurityGroup",
            logical,
            group,
            name=logical,
            description=role,
            vpcId=self.vpc,
            ingress=[{"protocol": "tcp", "fromPort": 443, "toPort": 443, "cidrBlocks": [source]}],
            egress=[{"protocol": "-1", "fromPort": 0, "toPort": 0, "cidrBlocks": ["0.0.0.0/0"]}],
            tags=self.tags(logical),
        )

    def _balancing(self) -> Iterator[Json]:
        elb, name = self.aws["elbv2"], self.name
        made = elb.create_load_balancer(
            Name=name, Subnets=self.subnets[:2], SecurityGroups=[self.groups["alb"]], Tags=self.pairs(name)
        )
        balancer = made["LoadBalancers"][0]["LoadBalancerArn"]
        yield _declared(
            "aws:lb/loadBalancer:LoadBalancer",
            name,
            balancer,
            name=name,
            internal=False,
            loadBalancerType="application",
            securityGroups=[self.groups["alb"]],
            subnets=self.subnets[:2],
            tags=self.tags(name),
        )
        made = elb.create_target_group(
            Name=name, Protocol="HTTP", Port=8080, VpcId=self.vpc, HealthCheckPath="/healthz", Tags=self.pairs(name)
        )
        self.target_group = made["TargetGroups"][0]["TargetGroupArn"]
        yield _declared(
            "aws:lb/targetGroup:TargetGroup",
            name,
            self.target_group,
            name=name,
            port=8080,
            protocol="HTTP",
            vpcId=self.vpc,
            healthCheck={"path": "/healthz"},
            tags=self.tags(name),
        )
        action = {"Type": "forward", "TargetGroupArn": self.target_group}
        made = elb.create_listener(
            LoadBalancerArn=balancer, Protocol="HTTP", Port=80, DefaultActions=[action], Tags=self.pairs(name)
        )
        yield _declared(
            "aws:lb/listener:Listener",
            name,
            made["Listeners"][0]["ListenerArn"],
            loadBalancerArn=balancer,
            port=80,
            protocol="HTTP",
            defaultActions=[{"type": "forward", "targetGroupArn": self.target_group}],
            tags=self.tags(name),
        )

    def _servers(self) -> Iterator[Json]:
        name = self.name
        content = {
            "ImageId": "ami-12c6146b",
            "InstanceType": "t3.micro",
            "SecurityGroupIds": [self.groups["app"]],
            "MetadataOptions": {"HttpTokens": "required"},
            "BlockDeviceMappings": [
                {"DeviceName": "/dev/xvda", "Ebs": {"VolumeSize": 8, "Encrypted": not self.faulty}}
            ],
        }
        made = self.aws["ec2"].create_launch_template(
            LaunchTemplateName=name, LaunchTemplateData=content, TagSpecifications=self.marks("launch-template", name)
        )
        template = made["LaunchTemplate"]["LaunchTemplateId"]
        yield _declared(
            "aws:ec2/launchTemplate:LaunchTemplate",
            name,
            template,
            name=name,
            imageId="ami-12c6146b",
            instanceType="t3.micro",
            vpcSecurityGroupIds=[self.groups["app"]],
            metadataOptions={"httpTokens": "required"},
            blockDeviceMappings=[{"deviceName": "/dev/xvda", "ebs": {"volumeSize": 8, "encrypted": "true"}}],
            tags=self.tags(name),
        )
        check = "EC2" if self.faulty else "ELB"
        self.aws["autoscaling"].create_auto_scaling_group(
            AutoScalingGroupName=name,
            LaunchTemplate={"LaunchTemplateId": template, "Version": "$Latest"},
            MinSize=3,
            MaxSize=6,
            DesiredCapacity=3,
            VPCZoneIdentifier=",".join(self.subnets[2:]),
            TargetGroupARNs=[self.target_group],
            HealthCheckType=check,
            HealthCheckGracePeriod=60,
            Tags=[{**pair, "PropagateAtLaunch": True} for pair in self.pairs(name)],
        )
        yield _declared(
            "aws:autoscaling/group:Group",
            name,
            name,
            name=name,
            minSize=3,
            maxSize=6,
            desiredCapacity=3,
            vpcZoneIdentifiers=self.subnets[2:],
            targetGroupArns=[self.target_group],
            healthCheckType="ELB",
            healthCheckGracePeriod=60,
            launchTemplate={"id": template, "version": "$Latest"},
            tags=[{"key": k, "value": v, "propagateAtLaunch": True} for k, v in self.tags(name).items()],
        )
        self.aws["iam"].create_role(
            RoleName=f"{name}-app", AssumeRolePolicyDocument=TRUST, Tags=self.pairs(f"{name}-app")
        )
        yield _declared(
            "aws:iam/role:Role",
            f"{name}-app",
            f"{name}-app",
            name=f"{name}-app",
            assumeRolePolicy=TRUST,
            tags=self.tags(f"{name}-app"),
        )

    def _storage(self) -> Iterator[Json]:
        kms, s3, name = self.aws["kms"], self.aws["s3"], self.name
        tags = [{"TagKey": key, "TagValue": value} for key, value in self.tags(name).items()]
        made = kms.create_key(Tags=tags, Description=name, KeyUsage="ENCRYPT_DECRYPT")["KeyMetadata"]
        key = made["KeyId"]
        kms.create_alias(AliasName=f"alias/{name}", TargetKeyId=key)
        if not self.faulty:
            kms.enable_key_rotation(KeyId=key)
        yield _declared(
            "aws:kms/key:Key",
            name,
            key,
            arn=made["Arn"],
            description=name,
            enableKeyRotation=True,
            tags=self.tags(name),
        )
        yield _declared("aws:kms/alias:Alias", name, f"alias/{name}", name=f"alias/{name}", targetKeyId=key)
        for use in ("data", "logs"):
            bucket = f"{name}-{use}-bench"
            s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION})
            s3.put_bucket_tagging(Bucket=bucket, Tagging={"TagSet": self.pairs(bucket)})
            s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
            encryption: Json = {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key}
            rules = {"Rules": [{"ApplyServerSideEncryptionByDefault": encryption, "BucketKeyEnabled": True}]}
            s3.put_bucket_encryption(Bucket=bucket, ServerSideEncryptionConfiguration=rules)
            names = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")
            s3.put_public_access_block(Bucket=bucket, PublicAccessBlockConfiguration=dict.fromkeys(names, True))
            kind = "aws:s3/bucket"
            arn = f"arn:aws:s3:::{bucket}"
            yield _declared(f"{kind}:Bucket", bucket, bucket, arn=arn, bucket=bucket, tags=self.tags(bucket))
            yield _declared(
                f"{kind}Versioning:BucketVersioning",
                bucket,
                bucket,
                bucket=bucket,
                versioningConfiguration={"status": "Enabled"},
            )
            yield _declared(
                f"{kind}ServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration",
                bucket,
                bucket,
                bucket=bucket,
                rules=[
                    {
                        "applyServerSideEncryptionByDefault": {"sseAlgorithm": "aws:kms", "kmsMasterKeyId": key},
                        "bucketKeyEnabled": True,
                    }
                ],
            )
            switches = ("blockPublicAcls", "ignorePublicAcls", "blockPublicPolicy", "restrictPublicBuckets")
            inputs: Json = dict.fromkeys(switches, True)
            yield _declared(f"{kind}PublicAccessBlock:BucketPublicAccessBlock", bucket, bucket, bucket=bucket, **inputs)

    def _watching(self) -> Iterator[Json]:
        logs, watch, name = self.aws["logs"], self.aws["cloudwatch"], self.name
        topic = f"arn:aws:sns:{REGION}:{ACCOUNT}:ops"
        for sign in ("5xx", "latency", "unhealthy", "cpu"):
            alarm = f"{name}-{sign}"
            watch.put_metric_alarm(
                AlarmName=alarm,
                Namespace="AWS/ApplicationELB",
                MetricName=sign,
                Statistic="Sum",
                Period=60,
                EvaluationPeriods=2,
                Threshold=5,
                ComparisonOperator="GreaterThanThreshold",
                AlarmActions=[topic],
                Tags=self.pairs(alarm),
            )
            yield _declared(
                "aws:cloudwatch/metricAlarm:MetricAlarm",
                alarm,
                alarm,
                name=alarm,
                namespace="AWS/ApplicationELB",
                metricName=sign,
                statistic="Sum",
                period=60,
                evaluationPeriods=2,
                threshold=5,
                comparisonOperator="GreaterThanThreshold",
                alarmActions=[topic],
                tags=self.tags(alarm),
            )
        for use in ("app", "flow"):
            group = f"/{name}/{use}"
            logs.create_log_group(logGroupName=group, tags=self.tags(group))
            if not (self.faulty and use == "app"):
                logs.put_retention_policy(logGroupName=group, retentionInDays=365)
            type_ = "aws:cloudwatch/logGroup:LogGroup"
            yield _declared(type_, group.strip("/"), group, name=group, retentionInDays=365, tags=self.tags(group))

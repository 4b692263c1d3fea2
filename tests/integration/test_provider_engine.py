"""The stand-in for the AWS provider, driven by the real engine against moto: every type, drift, refusals, the end."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest

from tests.moto_server import serving

ROOT = Path(__file__).parents[2]
REGION = "eu-central-1"
PROGRAM = """
import json, os
import pulumi, pulumi_aws as aws

variant = json.loads(os.environ["VARIANT"])
tags = {"Name": "t", "stackmend:tenant": "t"}
zones = aws.get_availability_zones_output(state="available").names
account = aws.get_caller_identity_output().account_id
opts = pulumi.ResourceOptions
allow = lambda action, resource: pulumi.Output.json_dumps({"Version": "2012-10-17", "Statement": [
    {"Effect": "Allow", "Action": [action], "Resource": resource}]})
trust = {"Version": "2012-10-17", "Statement": [
    {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": "ec2.amazonaws.com"}}]}

vpc = aws.ec2.Vpc("t-vpc", cidr_block="10.7.0.0/16", enable_dns_hostnames=True, enable_dns_support=True, tags=tags)
subnets = [aws.ec2.Subnet(f"t-{i}", vpc_id=vpc.id, cidr_block=f"10.7.{i}.0/24", availability_zone=zones[i], tags=tags)
           for i in range(2)]
gateway = aws.ec2.InternetGateway("t-igw", vpc_id=vpc.id, tags=tags)
table = aws.ec2.RouteTable("t-public", vpc_id=vpc.id, tags=tags)
aws.ec2.Route("t-out", route_table_id=table.id, destination_cidr_block="0.0.0.0/0", gateway_id=gateway.id)
for i, subnet in enumerate(subnets):
    aws.ec2.RouteTableAssociation(f"t-{i}", route_table_id=table.id, subnet_id=subnet.id)
front = aws.ec2.SecurityGroup("t-front", vpc_id=vpc.id, description="front", tags=tags,
    ingress=[{"protocol": "tcp", "from_port": p, "to_port": p, "cidr_blocks": ["0.0.0.0/0"]} for p in (443, 80)],
    egress=[{"protocol": "tcp", "from_port": 8080, "to_port": 8080, "cidr_blocks": [vpc.cidr_block]}])
back = aws.ec2.SecurityGroup("t-back", vpc_id=vpc.id, tags=tags, egress=[],
    ingress=[{"protocol": "tcp", "from_port": 8080, "to_port": 8080, "security_groups": [front.id], "self": True}])

key = aws.kms.Key("t-key", description="data", enable_key_rotation=True, deletion_window_in_days=30, tags=tags,
    policy=pulumi.Output.json_dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "kms:*",
        "Resource": "*", "Principal": {"AWS": pulumi.Output.concat("arn:aws:iam::", account, ":root")}}]}))
aws.kms.Alias("t-key", name="alias/t", target_key_id=key.key_id)
bucket = aws.s3.Bucket("t-Data", tags=tags)
aws.s3.BucketVersioning("t-data", bucket=bucket.id, versioning_configuration={"status": "Enabled"})
aws.s3.BucketServerSideEncryptionConfiguration("t-data", bucket=bucket.id, rules=[{"bucket_key_enabled": True,
    "apply_server_side_encryption_by_default": {"sse_algorithm": "aws:kms", "kms_master_key_id": key.arn}}])
aws.s3.BucketPublicAccessBlock("t-data", bucket=bucket.id, block_public_acls=True, block_public_policy=True,
    ignore_public_acls=True, restrict_public_buckets=True)
aws.s3.BucketPolicy("t-data", bucket=bucket.id, policy=pulumi.Output.json_dumps({"Version": "2012-10-17",
    "Statement": [{"Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": [bucket.arn],
                   "Condition": {"Bool": {"aws:SecureTransport": "false"}}}]}))

role = aws.iam.Role("t-server", assume_role_policy=json.dumps(trust), tags=tags)
aws.iam.RolePolicy("t-server", role=role.name, policy=allow("s3:GetObject", bucket.arn))
profile = aws.iam.InstanceProfile("t-server", role=role.name, tags=tags)
template = aws.ec2.LaunchTemplate("t-server", image_id=os.environ["IMAGE"], instance_type="t3.small",
    iam_instance_profile={"arn": profile.arn}, vpc_security_group_ids=[back.id],
    metadata_options={"http_endpoint": "enabled", "http_tokens": "required", "http_put_response_hop_limit": 1},
    block_device_mappings=[{"device_name": "/dev/xvda", "ebs": {"encrypted": "true", "volume_size": 20,
        "volume_type": "gp3", "delete_on_termination": "true"}}],
    monitoring={"enabled": True}, update_default_version=True, tags=tags,
    tag_specifications=[{"resource_type": kind, "tags": tags} for kind in ("instance", "volume")])

balancer = aws.lb.LoadBalancer("t-alb", internal=False, load_balancer_type="application", security_groups=[front.id],
    subnets=[subnet.id for subnet in subnets], drop_invalid_header_fields=True, tags=tags,
    opts=opts(depends_on=[gateway]))
targets = aws.lb.TargetGroup("t-api", port=8080, protocol="HTTP", vpc_id=vpc.id, target_type="instance",
    deregistration_delay=variant.get("drain", 30), tags=tags,
    health_check={"path": "/healthz", "port": "traffic-port", "protocol": "HTTP", "interval": 10, "timeout": 5,
                  "healthy_threshold": 2, "unhealthy_threshold": 3, "matcher": "200"})
aws.lb.Listener("t-https", load_balancer_arn=balancer.arn, port=443, protocol="HTTPS", tags=tags,
    ssl_policy="ELBSecurityPolicy-TLS13-1-2-2021-06", certificate_arn=os.environ["CERTIFICATE"],
    default_actions=[{"type": "forward", "target_group_arn": targets.arn}])
aws.lb.Listener("t-http", load_balancer_arn=balancer.arn, port=80, protocol="HTTP", tags=tags,
    default_actions=[{"type": "redirect", "redirect": {"port": "443", "protocol": "HTTPS",
                                                       "status_code": "HTTP_301"}}])
aws.autoscaling.Group("t-servers", min_size=1, max_size=3, desired_capacity=2, health_check_type="ELB",
    health_check_grace_period=60, vpc_zone_identifiers=[subnet.id for subnet in subnets],
    target_group_arns=[targets.arn], launch_template={"id": template.id, "version": "$Default"},
    tags=[{"key": k, "value": v, "propagate_at_launch": True} for k, v in tags.items()])
logs = aws.cloudwatch.LogGroup("t-api", name="/stackmend/t", kms_key_id=key.arn,
    retention_in_days=variant.get("retention", 30), tags={**tags, **variant.get("log_tags", {})})
aws.cloudwatch.MetricAlarm("t-5xx", namespace="AWS/ApplicationELB", metric_name="HTTPCode_Target_5XX_Count",
    dimensions={"LoadBalancer": balancer.arn_suffix, "TargetGroup": targets.arn_suffix}, statistic="Sum", period=60,
    evaluation_periods=5, datapoints_to_alarm=3, threshold=10, comparison_operator="GreaterThanThreshold",
    treat_missing_data="notBreaching", alarm_actions=["arn:aws:sns:eu-central-1:123456789012:alarms"],
    alarm_description="errors", tags=tags)
if "unknown input" in variant:
    aws.ec2.Vpc("t-more", cidr_block="10.8.0.0/16", ipv6_netmask_length=56)
if "unknown type" in variant:
    aws.sns.Topic("t-topic")
if "refused by AWS" in variant:
    aws.ec2.Subnet("t-bad", vpc_id=vpc.id, cidr_block="192.168.0.0/24")
pulumi.export("vpc", vpc.id)
"""


class World:
    """One stack of a project in a temporary directory, on a moto server of its own."""

    def __init__(self, directory: Path, cli: str, endpoint: str) -> None:
        self.directory = directory
        self._cli = cli
        path = [Path(sys.executable).parent, ROOT / "sandbox" / "bin", Path(cli).parent]
        inherited = {key: value for key, value in os.environ.items() if not key.startswith(("AWS_", "PULUMI_"))}
        self.environment = inherited | {
            "PATH": os.pathsep.join([*map(str, path), os.environ["PATH"]]),
            "HOME": str(directory),
            "AWS_ENDPOINT_URL": endpoint,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "PULUMI_BACKEND_URL": f"file://{directory}",
            "PULUMI_CONFIG_PASSPHRASE": "test",
            "PULUMI_SKIP_UPDATE_CHECK": "1",
            "VARIANT": "{}",
        }
        session = boto3.Session("test", "test", region_name=REGION)
        self.clients = {
            name: session.client(name, endpoint_url=endpoint)
            for name in ("acm", "autoscaling", "cloudwatch", "ec2", "elbv2", "iam", "kms", "logs", "s3")
        }
        certificate = self.aws("acm").request_certificate(DomainName="api.example.com")
        self.environment["CERTIFICATE"] = certificate["CertificateArn"]
        self.environment["IMAGE"] = self.aws("ec2").describe_images()["Images"][0]["ImageId"]
        (directory / "Pulumi.yaml").write_text("name: tiny\nruntime: python\n")
        (directory / "__main__.py").write_text(PROGRAM)
        self.pulumi("stack", "init", "dev")
        self.pulumi("config", "set", "aws:region", REGION)

    def aws(self, service: str) -> Any:
        return self.clients[service]

    def run(self, *arguments: str, **variant: Any) -> subprocess.CompletedProcess[str]:
        environment = {**self.environment, "VARIANT": json.dumps(variant)}
        command = [self._cli, *arguments, "--non-interactive"]
        return subprocess.run(command, cwd=self.directory, env=environment, capture_output=True, text=True, timeout=300)

    def pulumi(self, *arguments: str, **variant: Any) -> str:
        done = self.run(*arguments, **variant)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def up(self, *arguments: str, **variant: Any) -> str:
        return self.pulumi("up", "--yes", "--skip-preview", *arguments, **variant)

    def preview(self, *arguments: str, **variant: Any) -> dict[str, str]:
        """What would change: by ``type::name`` the operation and the properties."""
        steps = json.loads(self.pulumi("preview", "--json", *arguments, **variant))["steps"]
        return {
            _short(step["urn"]): " ".join([step["op"], *sorted(step.get("detailedDiff") or {})])
            for step in steps
            if step["op"] not in ("same", "read", "refresh")
        }

    def state(self) -> dict[str, dict[str, Any]]:
        resources = json.loads(self.pulumi("stack", "export"))["deployment"]["resources"]
        return {_short(resource["urn"]): resource for resource in resources}


def _short(urn: str) -> str:
    *_, kind, name = urn.split("::")
    return f"{kind.rpartition(':')[2]}::{name}"


def _cli() -> str:
    own = os.environ.get("STACKMEND_PULUMI_BIN") or str(ROOT / ".toolchain" / "bin")
    found = shutil.which("pulumi", path=own) or shutil.which("pulumi")
    if found is None:
        pytest.skip(f"no Pulumi CLI: not in {own} (STACKMEND_PULUMI_BIN), not on the PATH; run tools/setup.sh")
    return found


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A deployed world, shared by the tests of this file in their order; its last test destroys it."""
    cli = _cli()
    with serving() as endpoint:
        world = World(tmp_path_factory.mktemp("stack"), cli, endpoint)
        world.up()
        yield world


pytestmark = pytest.mark.engine


def test_nothing_changes_after_an_update(world: World) -> None:
    """A preview of what was just deployed changes nothing, with and without a refresh before it."""
    assert world.preview() == {}
    assert world.preview("--refresh") == {}


def test_state_is_written_as_the_official_provider_writes_it(world: World) -> None:
    """Ids, automatic names, defaults and what v7 fills in unlisted are in the exported state as documented."""
    state = world.state()
    table = state["RouteTable::t-public"]["id"]
    assert state["Route::t-out"]["id"] == f"r-{table}1080289494"
    role, policy = state["Role::t-server"], state["RolePolicy::t-server"]
    assert policy["id"] == f"{role['id']}:{policy['inputs']['name']}"
    assert "region" not in role["inputs"]
    assert role["inputs"]["__defaults"] == ["maxSessionDuration", "name", "path"]
    bucket = state["Bucket::t-Data"]
    assert bucket["id"].startswith("t-data-")
    assert len(bucket["id"]) == len("t-data-") + 7
    assert bucket["inputs"] == {
        "__defaults": ["bucket"],
        "bucket": bucket["id"],
        "region": REGION,
        "tags": {"Name": "t", "stackmend:tenant": "t"},
        "tagsAll": {"Name": "t", "stackmend:tenant": "t"},
    }
    redirect = state["Listener::t-http"]["inputs"]["defaultActions"][0]["redirect"]
    assert redirect["__defaults"] == ["host", "path", "query"]
    assert state["Listener::t-http"]["id"] == state["Listener::t-http"]["outputs"]["arn"]
    assert state["Key::t-key"]["outputs"]["deletionWindowInDays"] == 30


def test_drift_is_seen_and_repaired(world: World) -> None:
    """What is deleted or changed behind the engine's back is found by a refresh and put right by an update."""
    state = {name: resource["id"] for name, resource in world.state().items() if "id" in resource}
    ec2, elb, asg = world.aws("ec2"), world.aws("elbv2"), world.aws("autoscaling")
    front, bucket, key = state["SecurityGroup::t-front"], state["Bucket::t-Data"], state["Key::t-key"]
    open_ssh = {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}
    widened = {"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443, "IpRanges": [{"CidrIp": "10.0.0.0/8"}]}
    ec2.authorize_security_group_ingress(GroupId=front, IpPermissions=[open_ssh, widened])
    ec2.delete_route(RouteTableId=state["RouteTable::t-public"], DestinationCidrBlock="0.0.0.0/0")
    ec2.create_tags(Resources=[state["Vpc::t-vpc"]], Tags=[{"Key": "Name", "Value": "x"}, {"Key": "new", "Value": "y"}])
    ec2.modify_subnet_attribute(SubnetId=state["Subnet::t-0"], MapPublicIpOnLaunch={"Value": True})
    template = state["LaunchTemplate::t-server"]
    weak = {"ImageId": world.environment["IMAGE"], "MetadataOptions": {"HttpTokens": "optional"}}
    ec2.create_launch_template_version(LaunchTemplateId=template, LaunchTemplateData=weak)
    elb.delete_listener(ListenerArn=state["Listener::t-https"])
    attribute = {"Key": "routing.http.drop_invalid_header_fields.enabled", "Value": "false"}
    elb.modify_load_balancer_attributes(LoadBalancerArn=state["LoadBalancer::t-alb"], Attributes=[attribute])
    elb.modify_target_group(TargetGroupArn=state["TargetGroup::t-api"], HealthCheckPath="/")
    group = state["Group::t-servers"]
    asg.suspend_processes(AutoScalingGroupName=group, ScalingProcesses=["ReplaceUnhealthy"])
    asg.update_auto_scaling_group(AutoScalingGroupName=group, MaxSize=9)
    asg.delete_tags(Tags=[{"Key": "Name", "ResourceId": group, "ResourceType": "auto-scaling-group"}])
    world.aws("cloudwatch").delete_alarms(AlarmNames=[state["MetricAlarm::t-5xx"]])
    world.aws("logs").delete_retention_policy(logGroupName="/stackmend/t")
    world.aws("s3").put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Suspended"})
    world.aws("s3").delete_public_access_block(Bucket=bucket)
    world.aws("s3").delete_bucket_policy(Bucket=bucket)
    world.aws("s3").put_bucket_tagging(Bucket=bucket, Tagging={"TagSet": [{"Key": "only", "Value": "this"}]})
    world.aws("kms").disable_key_rotation(KeyId=key)
    world.aws("iam").untag_role(RoleName=state["Role::t-server"], TagKeys=["stackmend:tenant"])
    world.aws("iam").delete_role_policy(
        RoleName=state["Role::t-server"], PolicyName=state["RolePolicy::t-server"].partition(":")[2]
    )

    steps = json.loads(world.pulumi("refresh", "--preview-only", "--json"))["steps"]
    seen = {_short(step["urn"]): step["op"] for step in steps if step["op"] not in ("same", "refresh")}
    deleted = {"BucketPolicy::t-data", "BucketPublicAccessBlock::t-data", "Listener::t-https"}
    deleted |= {"MetricAlarm::t-5xx", "RolePolicy::t-server", "Route::t-out"}
    changed = {"Bucket::t-Data", "BucketVersioning::t-data", "Group::t-servers", "Key::t-key", "LoadBalancer::t-alb"}
    changed |= {"LaunchTemplate::t-server", "LogGroup::t-api", "Role::t-server", "SecurityGroup::t-front"}
    changed |= {"Subnet::t-0", "TargetGroup::t-api", "Vpc::t-vpc"}
    assert seen == {**dict.fromkeys(deleted, "delete"), **dict.fromkeys(changed, "update")}

    world.up("--refresh")
    assert world.preview("--refresh") == {}
    rules = ec2.describe_security_groups(GroupIds=[front])["SecurityGroups"][0]["IpPermissions"]
    assert sorted((r["FromPort"], *(i["CidrIp"] for i in r["IpRanges"])) for r in rules) == [
        (80, "0.0.0.0/0"),
        (443, "0.0.0.0/0"),
    ]
    tags = ec2.describe_vpcs(VpcIds=[state["Vpc::t-vpc"]])["Vpcs"][0]["Tags"]
    assert sorted((tag["Key"], tag["Value"]) for tag in tags) == [("Name", "t"), ("stackmend:tenant", "t")]
    assert world.aws("kms").get_key_rotation_status(KeyId=key)["KeyRotationEnabled"] is True
    versions = ec2.describe_launch_template_versions(LaunchTemplateId=template, Versions=["$Default"])
    version = versions["LaunchTemplateVersions"][0]
    assert version["VersionNumber"] == 3
    assert version["LaunchTemplateData"]["MetadataOptions"]["HttpTokens"] == "required"
    live = asg.describe_auto_scaling_groups(AutoScalingGroupNames=[group])["AutoScalingGroups"][0]
    assert (live["MaxSize"], live["SuspendedProcesses"]) == (3, [])
    assert {tag["Key"] for tag in live["Tags"]} == {"Name", "stackmend:tenant"}


def test_changes_of_the_program_are_made_in_place(world: World) -> None:
    """Changed inputs become calls on the same resources, and removed ones are taken back."""
    before = world.state()
    variant = {"retention": 90, "drain": 120, "log_tags": {"extra": "1"}}
    assert world.preview(**variant) == {
        "LogGroup::t-api": "update retentionInDays tags.extra tagsAll.extra",
        "TargetGroup::t-api": "update deregistrationDelay",
    }
    world.up(**variant)
    groups = world.aws("logs").describe_log_groups(logGroupNamePrefix="/stackmend/t")["logGroups"]
    assert [group["retentionInDays"] for group in groups] == [90]
    world.up()
    after = world.state()
    assert {name: r.get("id") for name, r in after.items()} == {name: r.get("id") for name, r in before.items()}
    assert after["LogGroup::t-api"]["outputs"]["tags"] == {"Name": "t", "stackmend:tenant": "t"}


@pytest.mark.parametrize(
    ("variant", "words"),
    [
        (
            "unknown input",
            "knows no input ipv6NetmaskLength of aws:ec2/vpc:Vpc; it knows cidrBlock",
        ),
        ("unknown type", "the stand-in provider does not know the resource type aws:sns/topic:Topic"),
        ("refused by AWS", "An error occurred (InvalidSubnet.Range) when calling the CreateSubnet operation"),
    ],
)
def test_refusals_are_loud(world: World, variant: str, words: str) -> None:
    """What the stand-in does not know is never dropped silently, and what AWS refuses is told in AWS's own words."""
    done = world.run("up", "--yes", "--skip-preview", **{variant: True})
    assert done.returncode != 0
    assert words in done.stdout + done.stderr
    assert "Unexpected <class" not in done.stdout + done.stderr


def test_everything_is_destroyed(world: World) -> None:
    """Destroying the stack leaves nothing of it in AWS but the key, which waits for its deletion."""
    key = world.state()["Key::t-key"]["id"]
    world.pulumi("destroy", "--yes", "--skip-preview")
    assert world.aws("s3").list_buckets()["Buckets"] == []
    assert world.aws("elbv2").describe_load_balancers()["LoadBalancers"] == []
    assert [vpc["IsDefault"] for vpc in world.aws("ec2").describe_vpcs()["Vpcs"]] == [True]
    assert world.aws("autoscaling").describe_auto_scaling_groups()["AutoScalingGroups"] == []
    assert world.aws("kms").describe_key(KeyId=key)["KeyMetadata"]["KeyState"] == "PendingDeletion"

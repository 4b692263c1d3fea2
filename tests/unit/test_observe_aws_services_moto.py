"""The observers of load balancing, S3, KMS, IAM, logs, alarms, queues and events against a server that speaks AWS's
protocols."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from threading import Thread
from typing import Any

import boto3
import botocore.session
import pytest

from reconciler.detect.diff import differences
from reconciler.detect.rule import items, mapping
from reconciler.model import DeclaredResource, ObservedResource, Presence, Value
from reconciler.observe.aws import cloudwatch, elbv2, eventbridge, iam, kms, logs, s3, sqs
from reconciler.observe.clients import Clients
from reconciler.observe.executor import run
from reconciler.observe.reads import Answer, Answers, Failed, Missing, More, Observer, Read, Sight
from tests.moto_server import empty
from tests.unit.observe_aws_answers import ACCOUNT, REGION, TAGS, pairs, resource

OBSERVERS: Mapping[str, Observer] = {
    observer.kind.token: observer
    for module in (elbv2, s3, kms, iam, logs, cloudwatch, sqs, eventbridge)
    for observer in module.OBSERVERS
}
POLICY = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": ["s3:ListBucket"], "Resource": "*"}]}
TRUST = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}],
}
GROUP = "/stackmend/dev/acme/api"
ALIAS = "alias/stackmend/dev/acme"


@dataclass
class Cloud:
    """One tenant's resources on the server: what was declared of each, and how to look at them."""

    client: Callable[[str], Any]
    clients: Clients
    declared: dict[str, DeclaredResource] = field(default_factory=dict)

    def add(self, type_: str, id_: str, **inputs: Value) -> None:
        self.declared[type_] = resource(type_, id_, inputs, programmed=inputs)

    def _settle(self, known: dict[Read, Answer], ask: Callable[[Answers], Any], claimed: Collection[str] = ()) -> Any:
        while isinstance(found := ask(Answers(known, claimed=claimed)), More):
            known |= run(found.reads, self.clients)
        return found

    def see(self, type_: str, declared: DeclaredResource | None = None) -> Sight:
        observer, one = OBSERVERS[type_], declared or self.declared[type_]
        sight: Sight = self._settle(
            dict(run(observer.reads(one), self.clients)), lambda answers: observer.see(one, answers)
        )
        return sight

    def drift(self, type_: str) -> list[str]:
        declared, sight = self.declared[type_], self.see(type_)
        assert isinstance(sight, Mapping), sight
        seen = ObservedResource(declared.urn, Presence.PRESENT, sight)
        return [difference.property for difference in differences(OBSERVERS[type_].kind, declared, seen)]

    def locate(self, type_: str) -> str | Missing | Failed:
        locate, one = OBSERVERS[type_].locate, self.declared[type_]
        assert locate is not None
        pending = resource(type_, "", one.inputs)
        found: str | Missing | Failed = self._settle({}, lambda answers: locate(pending, answers))
        return found

    def owned(self, type_: str) -> dict[str, Mapping[str, str]]:
        owned = OBSERVERS[type_].owned
        assert owned is not None
        known = dict(run(OBSERVERS[type_].reads(self.declared[type_]), self.clients))
        while True:
            answers = Answers(known)
            found = {one.id: one.tags for one in owned(answers)}
            if not answers.unanswered:
                return found
            known |= run(answers.unanswered, self.clients)


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    """A server process of its own, on a port the system chose."""
    command = [sys.executable, "-W", "ignore", "-m", "moto.server", "-p", "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True) as server:
        assert server.stderr is not None
        try:
            where = next(line.split()[-1] for line in server.stderr if "Running on http" in line)
            # Its log is read on, or the full pipe would stop the server.
            Thread(target=server.stderr.read, daemon=True).start()
            yield where
        finally:
            server.terminate()


@pytest.fixture(scope="module")
def connection(endpoint: str) -> Iterator[tuple[Callable[[str], Any], Clients]]:
    """Clients to prepare the world with, which may write, and those under test, which may not."""
    settings = {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_CONFIG_FILE": "/dev/null",
        "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    with pytest.MonkeyPatch.context() as environment:
        for name, value in settings.items():
            environment.setenv(name, value)
        writing = cache(boto3.Session(region_name=REGION).client)
        yield writing, Clients(REGION, ACCOUNT, session=botocore.session.Session())


@pytest.fixture
def cloud(endpoint: str, connection: tuple[Callable[[str], Any], Clients]) -> Cloud:
    """A fresh tenant as the program declares it, in an account that holds other things as well."""
    empty(endpoint)
    here = Cloud(*connection)
    _storage(here)
    _compute(here)
    _ingress(here)
    _messages(here)
    return here


def _storage(cloud: Cloud) -> None:
    keys, store = cloud.client("kms"), cloud.client("s3")
    tags = [{"TagKey": key, "TagValue": value} for key, value in TAGS.items()]
    key = keys.create_key(Description="acme", KeyUsage="ENCRYPT_DECRYPT", Policy=json.dumps(POLICY), Tags=tags)[
        "KeyMetadata"
    ]
    keys.create_key(Description="somebody else's")
    keys.enable_key_rotation(KeyId=key["KeyId"])
    keys.create_alias(AliasName=ALIAS, TargetKeyId=key["KeyId"])
    cloud.add(
        "aws:kms/key:Key",
        key["KeyId"],
        description="acme",
        enableKeyRotation=True,
        deletionWindowInDays=30,
        policy=json.dumps(POLICY, indent=1),
        isEnabled=True,
        keyUsage="ENCRYPT_DECRYPT",
        customerMasterKeySpec="SYMMETRIC_DEFAULT",
        tags=TAGS,
    )
    cloud.add("aws:kms/alias:Alias", ALIAS, name=ALIAS, targetKeyId=key["Arn"])

    name = "acme-data-1234567"
    store.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": REGION})
    store.put_bucket_tagging(Bucket=name, Tagging={"TagSet": pairs(TAGS)})
    store.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    default = {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key["Arn"]}
    store.put_bucket_encryption(
        Bucket=name,
        ServerSideEncryptionConfiguration={
            "Rules": [{"ApplyServerSideEncryptionByDefault": default, "BucketKeyEnabled": True}]
        },
    )
    settings = ("BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets")
    store.put_public_access_block(Bucket=name, PublicAccessBlockConfiguration=dict.fromkeys(settings, True))
    store.put_bucket_policy(Bucket=name, Policy=json.dumps(POLICY))
    cloud.add("aws:s3/bucket:Bucket", name, bucket=name, tags=TAGS)
    cloud.add(
        "aws:s3/bucketVersioning:BucketVersioning",
        name,
        bucket=name,
        versioningConfiguration={"status": "Enabled"},
    )
    cloud.add(
        "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration",
        name,
        bucket=name,
        rules=[
            {
                "applyServerSideEncryptionByDefault": {"sseAlgorithm": "aws:kms", "kmsMasterKeyId": key["Arn"]},
                "bucketKeyEnabled": True,
            }
        ],
    )
    cloud.add(
        "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock",
        name,
        bucket=name,
        **{setting[0].lower() + setting[1:]: True for setting in settings},
    )
    cloud.add("aws:s3/bucketPolicy:BucketPolicy", name, bucket=name, policy=json.dumps(POLICY, indent=1))


def _compute(cloud: Cloud) -> None:
    roles, groups = cloud.client("iam"), cloud.client("logs")
    name = "acme-server-1234567"
    roles.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(TRUST), Tags=pairs(TAGS))
    roles.put_role_policy(RoleName=name, PolicyName=name, PolicyDocument=json.dumps(POLICY))
    roles.create_instance_profile(InstanceProfileName=name, Tags=pairs(TAGS))
    roles.add_role_to_instance_profile(InstanceProfileName=name, RoleName=name)
    cloud.add(
        "aws:iam/role:Role",
        name,
        name=name,
        path="/",
        assumeRolePolicy=json.dumps(TRUST, indent=1),
        maxSessionDuration=3600,
        tags=TAGS,
    )
    cloud.add(
        "aws:iam/rolePolicy:RolePolicy", f"{name}:{name}", role=name, name=name, policy=json.dumps(POLICY, indent=1)
    )
    cloud.add("aws:iam/instanceProfile:InstanceProfile", name, role=name, name=name, path="/", tags=TAGS)

    groups.create_log_group(logGroupName=GROUP, tags=TAGS)
    groups.put_retention_policy(logGroupName=GROUP, retentionInDays=365)
    cloud.add("aws:cloudwatch/logGroup:LogGroup", GROUP, name=GROUP, retentionInDays=365, tags=TAGS)


def _ingress(cloud: Cloud) -> None:
    network, balancing, watch = cloud.client("ec2"), cloud.client("elbv2"), cloud.client("cloudwatch")
    vpc = network.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    subnets = [
        network.create_subnet(VpcId=vpc, CidrBlock=f"10.0.{n}.0/24", AvailabilityZone=f"{REGION}{zone}")["Subnet"][
            "SubnetId"
        ]
        for n, zone in enumerate("ab")
    ]
    firewall = network.create_security_group(GroupName="acme-alb", Description="x", VpcId=vpc)["GroupId"]
    balancer = balancing.create_load_balancer(
        Name="acme-alb-1234567", Subnets=subnets, SecurityGroups=[firewall], Tags=pairs(TAGS)
    )["LoadBalancers"][0]["LoadBalancerArn"]
    balancing.modify_load_balancer_attributes(
        LoadBalancerArn=balancer,
        Attributes=[{"Key": "routing.http.drop_invalid_header_fields.enabled", "Value": "true"}],
    )
    cloud.add(
        "aws:lb/loadBalancer:LoadBalancer",
        balancer,
        name="acme-alb-1234567",
        internal=False,
        loadBalancerType="application",
        securityGroups=[firewall],
        subnets=subnets[::-1],
        dropInvalidHeaderFields=True,
        tags=TAGS,
    )
    group = balancing.create_target_group(
        Name="acme-api-1234567",
        Protocol="HTTP",
        Port=8080,
        VpcId=vpc,
        TargetType="instance",
        HealthCheckPath="/health",
        HealthCheckIntervalSeconds=10,
        HealthCheckTimeoutSeconds=5,
        HealthyThresholdCount=2,
        UnhealthyThresholdCount=3,
        Matcher={"HttpCode": "200"},
        Tags=pairs(TAGS),
    )["TargetGroups"][0]["TargetGroupArn"]
    balancing.modify_target_group_attributes(
        TargetGroupArn=group, Attributes=[{"Key": "deregistration_delay.timeout_seconds", "Value": "30"}]
    )
    cloud.add(
        "aws:lb/targetGroup:TargetGroup",
        group,
        name="acme-api-1234567",
        port=8080,
        protocol="HTTP",
        vpcId=vpc,
        targetType="instance",
        deregistrationDelay=30,
        healthCheck={
            "path": "/health",
            "port": "traffic-port",
            "protocol": "HTTP",
            "interval": 10,
            "timeout": 5,
            "healthyThreshold": 2,
            "unhealthyThreshold": 3,
            "matcher": "200",
        },
        tags=TAGS,
    )
    listener = balancing.create_listener(
        LoadBalancerArn=balancer,
        Port=80,
        Protocol="HTTP",
        DefaultActions=[{"Type": "forward", "TargetGroupArn": group}],
        Tags=pairs(TAGS),
    )["Listeners"][0]["ListenerArn"]
    cloud.add(
        "aws:lb/listener:Listener",
        listener,
        loadBalancerArn=balancer,
        port=80,
        protocol="HTTP",
        defaultActions=[{"type": "forward", "targetGroupArn": group}],
        tags=TAGS,
    )
    watch.put_metric_alarm(
        AlarmName="acme-5xx-1234567",
        AlarmDescription="errors",
        AlarmActions=[f"arn:aws:sns:{REGION}:{ACCOUNT}:oncall"],
        Namespace="AWS/ApplicationELB",
        MetricName="HTTPCode_Target_5XX_Count",
        Dimensions=[{"Name": "LoadBalancer", "Value": "app/acme"}],
        Statistic="Sum",
        Period=60,
        EvaluationPeriods=5,
        DatapointsToAlarm=3,
        Threshold=10,
        ComparisonOperator="GreaterThanThreshold",
        TreatMissingData="notBreaching",
        Tags=pairs(TAGS),
    )
    cloud.add(
        "aws:cloudwatch/metricAlarm:MetricAlarm",
        "acme-5xx-1234567",
        name="acme-5xx-1234567",
        alarmDescription="errors",
        actionsEnabled=True,
        alarmActions=[f"arn:aws:sns:{REGION}:{ACCOUNT}:oncall"],
        namespace="AWS/ApplicationELB",
        metricName="HTTPCode_Target_5XX_Count",
        dimensions={"LoadBalancer": "app/acme"},
        statistic="Sum",
        period=60,
        evaluationPeriods=5,
        datapointsToAlarm=3,
        threshold=10,
        comparisonOperator="GreaterThanThreshold",
        treatMissingData="notBreaching",
        tags=TAGS,
    )


def _messages(cloud: Cloud) -> None:
    queues, events, name = cloud.client("sqs"), cloud.client("events"), "stackmend-events-dev"
    queues.create_queue(QueueName=f"{name}-2")
    attributes = {"VisibilityTimeout": "900", "SqsManagedSseEnabled": "true", "Policy": json.dumps(POLICY)}
    url = queues.create_queue(QueueName=name, Attributes=attributes, tags=TAGS)["QueueUrl"]
    cloud.add(
        "aws:sqs/queue:Queue",
        url,
        name=name,
        messageRetentionSeconds=345_600,
        visibilityTimeoutSeconds=900,
        sqsManagedSseEnabled=True,
        tags=TAGS,
    )
    cloud.add("aws:sqs/queuePolicy:QueuePolicy", url, queueUrl=url, policy=json.dumps(POLICY, indent=1))
    events.put_rule(Name=f"{name}-2", EventPattern='{"source": ["aws.s3"]}')
    events.put_rule(Name=name, EventPattern='{"source": ["aws.ec2"]}', State="ENABLED", Tags=pairs(TAGS))
    arn = f"arn:aws:sqs:{REGION}:{ACCOUNT}:{name}"
    events.put_targets(Rule=name, Targets=[{"Id": "queue", "Arn": arn}])
    cloud.add(
        "aws:cloudwatch/eventRule:EventRule",
        name,
        name=name,
        eventBusName="default",
        eventPattern='{"source":["aws.ec2"]}',
        state="ENABLED",
        tags=TAGS,
    )
    cloud.add(
        "aws:cloudwatch/eventTarget:EventTarget",
        f"{name}-queue",
        rule=name,
        targetId="queue",
        arn=arn,
        eventBusName="default",
    )


def test_a_tenant_as_declared_is_found_and_has_not_drifted(cloud: Cloud) -> None:
    """Every type shows no drift, is found again by its inputs, and tells its tags where it has any."""
    assert {type_: cloud.drift(type_) for type_ in OBSERVERS} == {type_: [] for type_ in OBSERVERS}
    assert {type_: cloud.locate(type_) for type_ in OBSERVERS} == {t: d.id for t, d in cloud.declared.items()}
    for type_, observer in OBSERVERS.items():
        if observer.owned is not None:
            assert cloud.owned(type_) == {cloud.declared[type_].id: TAGS}, type_


def test_what_somebody_changed_is_drift(cloud: Cloud) -> None:
    """Settings and tags changed behind the declaration's back show under their own names."""
    id_of = {type_: declared.id for type_, declared in cloud.declared.items()}
    balancer, group = id_of["aws:lb/loadBalancer:LoadBalancer"], id_of["aws:lb/targetGroup:TargetGroup"]
    bucket, role = id_of["aws:s3/bucket:Bucket"], id_of["aws:iam/role:Role"]
    balancing, store, watch = cloud.client("elbv2"), cloud.client("s3"), cloud.client("cloudwatch")
    balancing.modify_load_balancer_attributes(
        LoadBalancerArn=balancer,
        Attributes=[{"Key": "routing.http.drop_invalid_header_fields.enabled", "Value": "false"}],
    )
    balancing.remove_tags(ResourceArns=[balancer], TagKeys=["Name"])
    balancing.modify_target_group(TargetGroupArn=group, HealthCheckPath="/")
    answer = {"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "503", "ContentType": "text/plain"}}
    balancing.modify_listener(ListenerArn=id_of["aws:lb/listener:Listener"], DefaultActions=[answer])
    path: Any = {"Field": "path-pattern", "Values": ["/*"]}
    balancing.create_rule(
        ListenerArn=id_of["aws:lb/listener:Listener"], Priority=1, Conditions=[path], Actions=[answer]
    )
    store.delete_bucket_tagging(Bucket=bucket)
    store.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Suspended"})
    stranger = "arn:aws:iam::444455556666:role/backup"
    cloud.client("kms").create_grant(KeyId=id_of["aws:kms/key:Key"], GranteePrincipal=stranger, Operations=["Decrypt"])
    cloud.client("kms").schedule_key_deletion(KeyId=id_of["aws:kms/key:Key"], PendingWindowInDays=7)
    cloud.client("iam").tag_role(RoleName=role, Tags=[{"Key": "stackmend:tenant", "Value": "other"}])
    cloud.client("iam").remove_role_from_instance_profile(InstanceProfileName=role, RoleName=role)
    cloud.client("logs").delete_retention_policy(logGroupName=GROUP)
    queues, events = cloud.client("sqs"), cloud.client("events")
    url, rule = id_of["aws:sqs/queue:Queue"], id_of["aws:cloudwatch/eventRule:EventRule"]
    opened = {**POLICY, "Statement": [{"Effect": "Allow", "Principal": "*", "Action": "sqs:*", "Resource": "*"}]}
    queues.set_queue_attributes(QueueUrl=url, Attributes={"VisibilityTimeout": "1", "Policy": json.dumps(opened)})
    queues.untag_queue(QueueUrl=url, TagKeys=list(TAGS))
    events.disable_rule(Name=rule)
    events.put_targets(Rule=rule, Targets=[{"Id": "queue", "Arn": f"arn:aws:sqs:{REGION}:999999999999:x"}])
    watch.disable_alarm_actions(AlarmNames=[id_of["aws:cloudwatch/metricAlarm:MetricAlarm"]])
    watch.set_alarm_state(
        AlarmName=id_of["aws:cloudwatch/metricAlarm:MetricAlarm"], StateValue="ALARM", StateReason="test"
    )

    drift = {type_: cloud.drift(type_) for type_ in OBSERVERS}
    assert {type_: names for type_, names in drift.items() if names and "key:Key" not in type_} == {
        "aws:lb/loadBalancer:LoadBalancer": ["dropInvalidHeaderFields", "tags"],
        "aws:lb/targetGroup:TargetGroup": ["healthCheck"],
        "aws:lb/listener:Listener": ["defaultActions"],
        "aws:s3/bucket:Bucket": ["tags"],
        "aws:s3/bucketVersioning:BucketVersioning": ["versioningConfiguration"],
        "aws:iam/role:Role": ["tags"],
        "aws:iam/instanceProfile:InstanceProfile": ["role"],
        "aws:cloudwatch/logGroup:LogGroup": ["retentionInDays"],
        "aws:cloudwatch/metricAlarm:MetricAlarm": ["actionsEnabled"],
        "aws:sqs/queue:Queue": ["visibilityTimeoutSeconds", "tags"],
        "aws:sqs/queuePolicy:QueuePolicy": ["policy"],
        "aws:cloudwatch/eventRule:EventRule": ["state"],
        "aws:cloudwatch/eventTarget:EventTarget": ["arn"],
    }
    assert "isEnabled" in drift["aws:kms/key:Key"]
    key = cloud.see("aws:kms/key:Key")
    assert isinstance(key, Mapping)
    assert key["keyState"] == "PendingDeletion"
    (grant,) = items(key["grants"])
    assert {"granteePrincipal": stranger, "operations": ["Decrypt"]}.items() <= mapping(grant).items()
    alarm = cloud.see("aws:cloudwatch/metricAlarm:MetricAlarm")
    assert isinstance(alarm, Mapping)
    assert alarm["stateValue"] == "ALARM"
    listener = cloud.see("aws:lb/listener:Listener")
    assert isinstance(listener, Mapping)
    assert [mapping(action)["type"] for action in items(listener["ruleActions"])] == ["fixed-response"]


def test_what_somebody_deleted_is_missing(cloud: Cloud) -> None:
    """Each type that was deleted is proven missing, and not by one read alone where AWS offers two."""
    id_of = {type_: declared.id for type_, declared in cloud.declared.items()}
    balancing, store, roles = cloud.client("elbv2"), cloud.client("s3"), cloud.client("iam")
    bucket, role = id_of["aws:s3/bucket:Bucket"], id_of["aws:iam/role:Role"]
    balancing.delete_listener(ListenerArn=id_of["aws:lb/listener:Listener"])
    balancing.delete_load_balancer(LoadBalancerArn=id_of["aws:lb/loadBalancer:LoadBalancer"])
    balancing.delete_target_group(TargetGroupArn=id_of["aws:lb/targetGroup:TargetGroup"])
    store.delete_bucket_policy(Bucket=bucket)
    store.delete_public_access_block(Bucket=bucket)
    store.delete_bucket_encryption(Bucket=bucket)
    sidecars = (
        "aws:s3/bucketPolicy:BucketPolicy",
        "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock",
        "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration",
    )
    assert all(isinstance(cloud.see(type_), Missing) for type_ in sidecars)
    assert cloud.drift("aws:s3/bucket:Bucket") == []
    store.delete_bucket(Bucket=bucket)
    roles.delete_role_policy(RoleName=role, PolicyName=role)
    assert isinstance(cloud.see("aws:iam/rolePolicy:RolePolicy"), Missing)
    roles.remove_role_from_instance_profile(InstanceProfileName=role, RoleName=role)
    roles.delete_instance_profile(InstanceProfileName=role)
    roles.delete_role(RoleName=role)
    cloud.client("kms").delete_alias(AliasName=ALIAS)
    cloud.client("logs").delete_log_group(logGroupName=GROUP)
    queues, events = cloud.client("sqs"), cloud.client("events")
    url, rule = id_of["aws:sqs/queue:Queue"], id_of["aws:cloudwatch/eventRule:EventRule"]
    queues.set_queue_attributes(QueueUrl=url, Attributes={"Policy": ""})
    events.remove_targets(Rule=rule, Ids=["queue"])
    alone = ("aws:sqs/queuePolicy:QueuePolicy", "aws:cloudwatch/eventTarget:EventTarget")
    assert all(isinstance(cloud.see(type_), Missing) for type_ in alone)
    assert cloud.drift("aws:sqs/queue:Queue") == cloud.drift("aws:cloudwatch/eventRule:EventRule") == []
    queues.delete_queue(QueueUrl=url)
    events.delete_rule(Name=rule)
    cloud.client("cloudwatch").delete_alarms(AlarmNames=[id_of["aws:cloudwatch/metricAlarm:MetricAlarm"]])

    missing = {type_ for type_ in OBSERVERS if isinstance(cloud.see(type_), Missing)}
    assert missing == OBSERVERS.keys() - {"aws:kms/key:Key"}
    unknown = resource("aws:kms/key:Key", "11111111-2222-3333-4444-555555555555", {})
    assert isinstance(cloud.see("aws:kms/key:Key", unknown), Missing)
    key = "aws:kms/key:Key"
    assert {type_ for type_ in OBSERVERS if isinstance(cloud.locate(type_), Missing)} == OBSERVERS.keys() - {key}

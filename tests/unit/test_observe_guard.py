"""The guard: what may be sent without a permit, and what a permit allows."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from functools import partial
from typing import Any

import botocore.session
import pytest
from botocore.model import OperationModel

from reconciler.errors import WriteRefused
from reconciler.observe import guard
from reconciler.observe.clients import Clients
from reconciler.observe.registry import OBSERVERS
from tests.unit.observe_worlds import ACCOUNT, REGION

SERVICES = (
    "acm",
    "autoscaling",
    "cloudwatch",
    "ec2",
    "elbv2",
    "events",
    "iam",
    "kms",
    "logs",
    "resourcegroupstaggingapi",
    "s3",
    "secretsmanager",
    "sns",
    "sqs",
    "ssm",
    "sts",
)
LOOKING = ("BatchGet", "Describe", "Get", "Head", "List", "Lookup", "Search")

CORE = botocore.session.Session()

permit = partial(guard.permit, objection=lambda _: "")
"""Nobody objects: what the declaration knows is the business of `test_ownership`."""


def model(name: str) -> OperationModel:
    service, operation = name.split(":")
    return CORE.get_service_model(service).operation_model(operation)


def operations() -> Iterator[OperationModel]:
    for service in SERVICES:
        found = CORE.get_service_model(service)
        for name in found.operation_names:
            yield found.operation_model(name)


@pytest.fixture
def clients(monkeypatch: pytest.MonkeyPatch) -> Clients:
    """Clients whose requests, if any got so far, fail the test instead of leaving the machine."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    core = botocore.session.Session()

    def sent(**_: Any) -> None:
        raise AssertionError("a request was sent")

    core.register("before-send", sent)
    return Clients(REGION, ACCOUNT, session=core)


def test_every_operation_that_is_no_read_is_refused() -> None:
    """I15: without a permit, no operation that does not begin like a read is let through, in any service used."""
    writes = [o for o in operations() if not o.name.startswith(LOOKING) and o.name != "AssumeRole"]
    writes = [o for o in writes if not o.name.startswith("AssumeRoleWith")]
    assert len(writes) > 900
    for operation in writes:
        with pytest.raises(WriteRefused):
            guard.check({}, operation)


@pytest.mark.parametrize(
    "name",
    [
        "s3:GetObject",
        "s3:ListObjectsV2",
        "secretsmanager:GetSecretValue",
        "secretsmanager:BatchGetSecretValue",
        "ec2:GetPasswordData",
        "sts:GetSessionToken",
        "sts:GetFederationToken",
        "logs:GetLogEvents",
        "ssm:GetAccessToken",
        "dynamodb:GetItem",
        "cognito-identity:GetId",
        "lambda:GetFunction",
        "ecr:GetAuthorizationToken",
        "redshift:GetClusterCredentialsWithIAM",
    ],
)
def test_reads_of_secrets_and_of_tenants_data_are_refused(name: str) -> None:
    """I13: what begins like a read but answers secrets, credentials or content is refused as well."""
    with pytest.raises(WriteRefused):
        guard.check({}, model(name))


def test_decrypted_parameters_are_refused() -> None:
    """I13: a parameter may be read, but not in clear."""
    guard.check({"Name": "x"}, model("ssm:GetParameter"))
    with pytest.raises(WriteRefused):
        guard.check({"Name": "x", "WithDecryption": True}, model("ssm:GetParameter"))


@pytest.mark.parametrize("name", ["sts:AssumeRole", "sts:GetCallerIdentity", "sso:GetRoleCredentials"])
def test_signing_in_is_let_through(name: str) -> None:
    """What botocore's credential providers call is no write, though it does not look like a read."""
    guard.check({}, model(name))


def test_every_client_refuses_before_sending(clients: Clients) -> None:
    """I15: real clients refuse a write without sending anything, through methods, presigning and paginators alike."""
    with pytest.raises(WriteRefused, match="nothing was sent"):
        clients.client("ec2").terminate_instances(InstanceIds=["i-0123456789abcdef0"])
    with pytest.raises(WriteRefused):
        clients.client("s3").generate_presigned_url("put_object", Params={"Bucket": "b", "Key": "k"})
    with pytest.raises(WriteRefused):
        clients.client("sqs").receive_message(QueueUrl="https://q")
    with pytest.raises(AssertionError, match="a request was sent"):
        clients.client("ec2").describe_vpcs()


def test_a_permit_allows_exactly_what_it_names(clients: Clients) -> None:
    """I10: the permitted call goes out; another operation, another resource or none at all does not."""
    asg = clients.client("autoscaling")
    with permit("r-1", operations=["autoscaling:SetInstanceHealth"], resources=["i-0123456789abcdef0"]):
        with pytest.raises(AssertionError, match="a request was sent"):
            asg.set_instance_health(InstanceId="i-0123456789abcdef0", HealthStatus="Unhealthy")
        with pytest.raises(WriteRefused, match="does not own"):
            asg.set_instance_health(InstanceId="i-0123456789abcdef1", HealthStatus="Unhealthy")
        with pytest.raises(WriteRefused, match="may not do that"):
            asg.detach_instances(
                InstanceIds=["i-0123456789abcdef0"], AutoScalingGroupName="g", ShouldDecrementDesiredCapacity=False
            )
    with pytest.raises(WriteRefused, match="no repair"):
        asg.set_instance_health(InstanceId="i-0123456789abcdef0", HealthStatus="Unhealthy")


def test_one_foreign_resource_refuses_the_whole_call() -> None:
    """I10: naming an owned resource does not carry another one along, wherever the other stands in the call."""
    arn = "arn:aws:elasticloadbalancing:eu-central-1:123456789012:targetgroup/acme/1"
    operation = model("elbv2:DeregisterTargets")
    with permit("r-1", operations=["elbv2:DeregisterTargets"], resources=[arn, "i-1"]):
        guard.check({"TargetGroupArn": arn, "Targets": [{"Id": "i-1", "Port": 80}]}, operation)
        with pytest.raises(WriteRefused, match=r"Targets\[\].Id is i-2"):
            guard.check({"TargetGroupArn": arn, "Targets": [{"Id": "i-1"}, {"Id": "i-2"}]}, operation)


def test_a_call_that_names_nothing_is_refused() -> None:
    """An empty set of resources means none, never all."""
    with (
        permit("r-1", operations=["ec2:EnableEbsEncryptionByDefault"], resources=["vpc-1"]),
        pytest.raises(WriteRefused, match="names no resource"),
    ):
        guard.check({}, model("ec2:EnableEbsEncryptionByDefault"))


@pytest.mark.parametrize(
    ("name", "params", "named"),
    [
        ("ec2:CreateTags", {"Resources": ["vpc-0a1b2c3d"], "Tags": [{"Key": "Name", "Value": "x"}]}, {"vpc-0a1b2c3d"}),
        ("logs:PutRetentionPolicy", {"logGroupName": "/a", "retentionInDays": 1}, {"/a"}),
        ("kms:EnableKey", {"KeyId": "8d6c"}, {"8d6c"}),
        ("s3:PutBucketVersioning", {"Bucket": "b", "VersioningConfiguration": {"Status": "Enabled"}}, {"b"}),
        ("cloudwatch:SetAlarmState", {"AlarmName": "a", "StateValue": "OK", "StateReason": "r"}, {"a"}),
        ("ec2:RunInstances", {"ClientToken": "i-0a1b2c3d", "MinCount": 1, "MaxCount": 1}, set()),
    ],
)
def test_what_a_call_names(name: str, params: dict[str, Any], named: set[str]) -> None:
    """Identifiers are found by their form anywhere, and by the parameter's name whatever their form."""
    assert set(guard.identifiers(model(name), params)) == named


def test_a_permit_does_not_leak_into_other_threads() -> None:
    """A permit is its own repair's: a thread beside it still cannot write."""
    refused: list[bool] = []

    def beside() -> None:
        try:
            guard.check({"KeyId": "k"}, model("kms:EnableKey"))
        except WriteRefused:
            refused.append(True)

    with permit("r-1", operations=["kms:EnableKey"], resources=["k"]):
        thread = threading.Thread(target=beside)
        thread.start()
        thread.join()
    assert refused == [True]


def test_permits_do_not_nest() -> None:
    """A repair cannot widen its permit by taking another one inside it."""
    with (
        permit("r-1", operations=[], resources=[]),
        pytest.raises(WriteRefused, match="r-1 holds one"),
        permit("r-2", operations=[], resources=[]),
    ):
        pass


def test_the_observers_permissions_are_all_reads() -> None:
    """I15: no observer claims an IAM action that could change anything."""
    actions = [action.split(":")[1] for observer in OBSERVERS.values() for action in observer.permissions]
    assert [action for action in actions if not action.startswith(LOOKING)] == []

"""The sandbox server: calls are counted and named, and break in the ways AWS breaks."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from botocore.exceptions import (
    ClientError,
    ConnectionClosedError,
    PaginationError,
    ReadTimeoutError,
)
from botocore.parsers import ResponseParserError

from sandbox.control import Control
from sandbox.lifecycle import Sandbox
from sandbox.wire import ERRORS
from tests.unit.sandbox_worlds import client, running

READS: dict[str, tuple[str, str, dict[str, str], str]] = {
    "ec2": ("ec2", "describe_vpcs", {}, "ec2:DescribeVpcs"),
    "query": ("elbv2", "describe_target_groups", {}, "elbv2:DescribeTargetGroups"),
    "json": ("cloudwatch", "describe_alarms", {}, "cloudwatch:DescribeAlarms"),
    "rest-xml": ("s3", "list_buckets", {}, "s3:ListBuckets"),
}
"""One read in each protocol."""


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    with running(tmp_path_factory.mktemp("server") / "home") as sandbox:
        yield sandbox


@pytest.fixture
def control(sandbox: Sandbox) -> Iterator[Control]:
    control = sandbox.control
    control.reset()
    yield control
    control.clear()


def read(sandbox: Sandbox, protocol: str) -> Any:
    service, operation, params, _ = READS[protocol]
    return getattr(client(sandbox, service), operation)(**params)


@pytest.mark.parametrize("protocol", READS)
def test_a_read_is_counted_under_its_name_and_not_as_a_write(sandbox: Sandbox, control: Control, protocol: str) -> None:
    """A call is counted once by boto3's service and operation name, whatever its protocol."""
    read(sandbox, protocol)
    assert control.calls().reads == {READS[protocol][3]: 1}
    assert control.writes() == ()


def test_writes_are_logged_in_order_with_what_they_name(sandbox: Sandbox, control: Control) -> None:
    """The log of writes says which resource each call named, in all protocols, so that tests can prove I10."""
    ec2, s3, logs = client(sandbox, "ec2"), client(sandbox, "s3"), client(sandbox, "logs")
    vpc = ec2.create_vpc(CidrBlock="10.1.0.0/16")["Vpc"]["VpcId"]
    ec2.create_tags(Resources=[vpc], Tags=[{"Key": "a", "Value": "b"}])
    s3.create_bucket(Bucket="named-bucket")
    logs.create_log_group(logGroupName="/named/group")
    writes = control.writes()
    assert [w.call for w in writes] == ["ec2:CreateVpc", "ec2:CreateTags", "s3:CreateBucket", "logs:CreateLogGroup"]
    assert [w.sequence for w in writes] == [1, 2, 3, 4]
    assert [w.status for w in writes] == [200, 200, 200, 200]
    assert writes[1].names(vpc)
    assert writes[2].names("named-bucket")
    assert writes[3].names("/named/group")


def test_s3_calls_are_named_by_path_query_and_headers(sandbox: Sandbox, control: Control) -> None:
    """REST requests carry no action; the one that fits best in the service model is found, sub-resources included."""
    s3 = client(sandbox, "s3")
    s3.create_bucket(Bucket="rest-bucket")
    s3.put_bucket_versioning(Bucket="rest-bucket", VersioningConfiguration={"Status": "Enabled"})
    s3.put_public_access_block(Bucket="rest-bucket", PublicAccessBlockConfiguration={"BlockPublicAcls": True})
    s3.put_object(Bucket="rest-bucket", Key="a/b c", Body=b"x")
    s3.copy_object(Bucket="rest-bucket", Key="d", CopySource="rest-bucket/a/b c")
    s3.get_bucket_versioning(Bucket="rest-bucket")
    s3.head_bucket(Bucket="rest-bucket")
    s3.list_objects_v2(Bucket="rest-bucket")
    s3.delete_public_access_block(Bucket="rest-bucket")
    calls = control.calls()
    assert set(calls.reads) == {"s3:GetBucketVersioning", "s3:HeadBucket", "s3:ListObjectsV2"}
    assert set(calls.writes) == {
        "s3:CreateBucket",
        "s3:PutBucketVersioning",
        "s3:PutPublicAccessBlock",
        "s3:PutObject",
        "s3:CopyObject",
        "s3:DeletePublicAccessBlock",
    }


def test_callers_are_told_apart(sandbox: Sandbox, control: Control) -> None:
    """The engine's provider and the reconciler put a mark into their User-Agent; everybody else is other."""
    client(sandbox, "ec2", user_agent_extra="stackmend-provider/1").describe_vpcs()
    client(sandbox, "ec2", user_agent_extra="stackmend").describe_vpcs()
    client(sandbox, "ec2").describe_vpcs()
    counts = [control.calls(actor).total for actor in ("engine", "reconciler", "other")]
    assert counts == [1, 1, 1]
    assert control.calls().total == 3


def test_concurrent_calls_are_all_counted_and_all_take_effect(sandbox: Sandbox, control: Control) -> None:
    """Many callers at once get an answer each, and no count and no resource is lost."""
    ec2 = client(sandbox, "ec2", max_pool_connections=16)
    with ThreadPoolExecutor(16) as threads:
        made = list(threads.map(lambda _: ec2.create_vpc(CidrBlock="10.2.0.0/16")["Vpc"]["VpcId"], range(48)))
    assert len(set(made)) == 48
    assert control.calls().writes["ec2:CreateVpc"] == 48
    assert len(control.writes()) == 48


@pytest.mark.parametrize("effect", ERRORS)
@pytest.mark.parametrize("protocol", READS)
def test_errors_come_in_the_words_of_each_protocol(
    sandbox: Sandbox, control: Control, protocol: str, effect: str
) -> None:
    """F01, F02, F03, F10, F11: boto3 reads an injected error as it reads AWS's own, in every protocol."""
    control.inject(effect)
    with pytest.raises(ClientError) as caught:
        read(sandbox, protocol)
    status, code = ERRORS[effect][protocol]
    assert caught.value.response["Error"]["Code"] == code
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == status


def test_an_error_of_ones_own_hits_only_what_it_names(sandbox: Sandbox, control: Control) -> None:
    """F14: a rule may name the code, the operation and a resource; every other call goes through."""
    ec2 = client(sandbox, "ec2")
    one, other = (ec2.create_vpc(CidrBlock="10.3.0.0/16")["Vpc"]["VpcId"] for _ in range(2))
    control.inject("error", "ec2", "Delete*", match=one, status=400, code="DependencyViolation", message="in use")
    ec2.delete_vpc(VpcId=other)
    with pytest.raises(ClientError, match="in use") as caught:
        ec2.delete_vpc(VpcId=one)
    assert caught.value.response["Error"]["Code"] == "DependencyViolation"
    assert control.writes()[-1].status == 400


def test_a_rule_can_let_calls_pass_first_and_run_out(sandbox: Sandbox, control: Control) -> None:
    """``skip`` and ``times`` place a fault in the middle of a sequence of equal calls."""
    control.inject("unavailable", "ec2", "DescribeVpcs", skip=1, times=1)
    outcomes = []
    for _ in range(3):
        try:
            read(sandbox, "ec2")
            outcomes.append("answered")
        except ClientError:
            outcomes.append("refused")
    assert outcomes == ["answered", "refused", "answered"]
    assert control.faults()[0]["hits"] == 1


def test_a_rule_can_be_for_one_caller_only(sandbox: Sandbox, control: Control) -> None:
    """A fault of the reconciler's reads leaves the engine's alone."""
    control.inject("access-denied", actor="reconciler")
    read(sandbox, "ec2")
    with pytest.raises(ClientError):
        client(sandbox, "ec2", user_agent_extra="stackmend").describe_vpcs()


def test_a_connection_is_reset_before_the_call_takes_effect(sandbox: Sandbox, control: Control) -> None:
    """F18: the caller sees a closed connection, and nothing happened."""
    control.inject("reset", "s3", "CreateBucket", times=1)
    with pytest.raises(ConnectionClosedError):
        client(sandbox, "s3").create_bucket(Bucket="never-made")
    assert "never-made" not in [b["Name"] for b in client(sandbox, "s3").list_buckets()["Buckets"]]
    assert control.writes()[0].status == 0


def test_an_answer_can_be_lost_after_the_call_took_effect(sandbox: Sandbox, control: Control) -> None:
    """F04: the caller sees a failure although AWS did it."""
    control.inject("reset", "s3", "CreateBucket", times=1, performed=True)
    with pytest.raises(ConnectionClosedError):
        client(sandbox, "s3").create_bucket(Bucket="made-after-all")
    assert "made-after-all" in [b["Name"] for b in client(sandbox, "s3").list_buckets()["Buckets"]]


def test_a_held_call_times_out_at_the_caller(sandbox: Sandbox, control: Control) -> None:
    """F05, F19: a call can be held until the caller gives up."""
    control.inject("timeout", "ec2", "DescribeVpcs", seconds=60)
    with pytest.raises(ReadTimeoutError):
        client(sandbox, "ec2", read_timeout=0.2).describe_vpcs()


def test_clearing_the_rules_lets_a_delayed_call_go_on(sandbox: Sandbox, control: Control) -> None:
    """F17: a delayed call is answered properly once the delay ends, here by clearing the rule."""
    control.inject("delay", "ec2", "DescribeVpcs", seconds=60)
    with ThreadPoolExecutor(1) as threads:
        answer = threads.submit(read, sandbox, "ec2")
        while not control.faults()[0]["hits"]:
            pass
        assert not answer.done()
        control.clear()
        assert answer.result()["Vpcs"]


def rows(sandbox: Sandbox) -> dict[str, Any]:
    """Three or more rows in each protocol, with what lists them and where."""
    ec2, elbv2, logs, s3 = (client(sandbox, s) for s in ("ec2", "elbv2", "logs", "s3"))
    have = {b["Name"] for b in s3.list_buckets()["Buckets"]}
    if "rows-0" not in have:
        vpc = ec2.create_vpc(CidrBlock="10.4.0.0/16")["Vpc"]["VpcId"]
        for i in range(4):
            ec2.create_security_group(GroupName=f"rows-{i}", Description="rows", VpcId=vpc)
            elbv2.create_target_group(Name=f"rows-{i}", Protocol="HTTP", Port=80, VpcId=vpc)
            logs.create_log_group(logGroupName=f"/rows/{i}")
            s3.create_bucket(Bucket=f"rows-{i}")
            s3.put_object(Bucket="rows-0", Key=f"{i}", Body=b"")
    return {
        "ec2": lambda: ec2.describe_security_groups()["SecurityGroups"],
        "query": lambda: elbv2.describe_target_groups()["TargetGroups"],
        "json": lambda: logs.describe_log_groups()["logGroups"],
        "rest-xml": lambda: s3.list_buckets()["Buckets"],
        "rest-xml flat": lambda: s3.list_objects_v2(Bucket="rows-0").get("Contents", []),
    }


@pytest.mark.parametrize("protocol", ["ec2", "query", "json", "rest-xml", "rest-xml flat"])
def test_a_page_can_lack_rows_or_all_of_them(sandbox: Sandbox, control: Control, protocol: str) -> None:
    """F06, F15: a listing answers 200 with half of its rows and no token, or with none."""
    ask = rows(sandbox)[protocol]
    whole = ask()
    control.inject("truncate")
    half = ask()
    control.clear()
    control.inject("empty")
    assert half == whole[: len(whole) // 2]
    assert len(half) >= 2
    assert ask() == []


@pytest.mark.parametrize(
    ("service", "operation", "params"),
    [
        ("ec2", "describe_security_groups", {}),
        ("elbv2", "describe_target_groups", {}),
        ("logs", "describe_log_groups", {}),
        ("s3", "list_objects_v2", {"Bucket": "rows-0"}),
        ("iam", "list_roles", {}),
    ],
)
def test_a_page_token_can_repeat_for_ever(
    sandbox: Sandbox, control: Control, service: str, operation: str, params: dict[str, str]
) -> None:
    """F07: the same page comes again with the same token, until the caller notices."""
    rows(sandbox)
    control.inject("repeat-token")
    with pytest.raises(PaginationError, match="same next token"):
        for _ in client(sandbox, service).get_paginator(operation).paginate(**params):
            pass


@pytest.mark.parametrize("protocol", ["ec2", "query", "rest-xml"])
def test_an_xml_body_can_be_malformed(sandbox: Sandbox, control: Control, protocol: str) -> None:
    """F16: an answer of 200 that breaks off in the middle; boto3 cannot read it, or takes it for a status of 500."""
    control.inject("malformed")
    with pytest.raises((ResponseParserError, ClientError)):
        read(sandbox, protocol)


def test_a_malformed_json_body_looks_empty_to_boto3(sandbox: Sandbox, control: Control) -> None:
    """F16: boto3 raises nothing for broken JSON and answers without the list, which whoever reads must notice."""
    control.inject("malformed")
    assert "MetricAlarms" not in read(sandbox, "json")


def test_an_unknown_effect_is_refused_with_the_known_ones(control: Control) -> None:
    """A misspelt effect must not silently break nothing."""
    with pytest.raises(ValueError, match=r"unknown effect 'explode'; known: .*throttle"):
        control.inject("explode")


def test_launch_templates_are_listed_completely(sandbox: Sandbox, control: Control) -> None:
    """More than the fifteen templates and versions at which moto silently stops."""
    ec2 = client(sandbox, "ec2")
    for i in range(17):
        template = ec2.create_launch_template(LaunchTemplateName=f"t-{i}", LaunchTemplateData={"ImageId": "ami-1"})
    one = template["LaunchTemplate"]["LaunchTemplateId"]
    for _ in range(16):
        ec2.create_launch_template_version(LaunchTemplateId=one, LaunchTemplateData={"ImageId": "ami-2"})
    assert len(ec2.describe_launch_templates()["LaunchTemplates"]) == 17
    versions = ec2.describe_launch_template_versions(LaunchTemplateId=one)["LaunchTemplateVersions"]
    assert len(versions) == 17


def test_what_a_call_does_not_name_of_a_queue_stays(sandbox: Sandbox, control: Control) -> None:
    """A queue's policy outlives a change of another setting, and ends with an empty one."""
    sqs = client(sandbox, "sqs")
    policy = {"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Principal": "*", "Action": "sqs:*"}]}
    url = sqs.create_queue(QueueName="kept", Attributes={"Policy": json.dumps(policy)})["QueueUrl"]
    for attributes, kept in (({"VisibilityTimeout": "7"}, policy), ({"Policy": ""}, None)):
        sqs.set_queue_attributes(QueueUrl=url, Attributes=attributes)
        found = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
        assert found["VisibilityTimeout"] == "7"
        assert (json.loads(found["Policy"]) if found.get("Policy") else None) == kept

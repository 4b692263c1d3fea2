"""The sandbox's CloudTrail and EventBridge: what is written is on record, can be looked up, and is sent."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from reconciler.events.message import Change, parse
from sandbox import cells
from sandbox.lifecycle import Sandbox
from tests.unit.sandbox_worlds import client, running


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    with running(tmp_path_factory.mktemp("trail") / "home") as sandbox:
        yield sandbox


def test_a_write_is_on_record_and_sent_and_a_read_is_not(sandbox: Sandbox) -> None:
    """A successful write can be looked up by the resource's name and arrives as an event that the product reads."""
    sqs, ec2 = client(sandbox, "sqs"), client(sandbox, "ec2", user_agent_extra="sandbox-actor/intruder")
    url = sqs.create_queue(QueueName=sandbox.queue)["QueueUrl"]
    vpc = ec2.create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]
    ec2.modify_vpc_attribute(VpcId=vpc, EnableDnsHostnames={"Value": True})
    ec2.describe_vpcs(VpcIds=[vpc])
    asked = [{"AttributeKey": "ResourceName", "AttributeValue": vpc}]
    (found,) = client(sandbox, "cloudtrail").lookup_events(LookupAttributes=asked)["Events"]
    assert (found["EventName"], found["Username"]) == ("ModifyVpcAttribute", "intruder")
    bodies = [m["Body"] for m in sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10)["Messages"]]
    messages = [parse(body) for body in bodies]
    assert all(isinstance(m, Change) for m in messages)
    assert {json.loads(body)["detail"]["eventName"] for body in bodies} == {"CreateVpc", "ModifyVpcAttribute"}


def test_a_long_poll_holds_up_nobody(sandbox: Sandbox) -> None:
    """While somebody waits for a message others are answered, and the message that they cause ends the wait."""
    sqs, ec2 = client(sandbox, "sqs"), client(sandbox, "ec2")
    url = sqs.create_queue(QueueName=f"{sandbox.queue}-poll")["QueueUrl"]
    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(sqs.receive_message, QueueUrl=url, WaitTimeSeconds=20)
        ec2.create_vpc(CidrBlock="10.8.0.0/16")
        assert len(waiting.result(timeout=60)["Messages"]) == 1


def test_a_change_of_a_role_is_on_record_in_its_own_region_only(sandbox: Sandbox) -> None:
    """IAM has no regions: as on AWS, the record is answered in us-east-1, and nowhere else."""
    client(sandbox, "iam").create_role(RoleName="trailed", AssumeRolePolicyDocument="{}")
    asked = [{"AttributeKey": "ResourceName", "AttributeValue": "trailed"}]
    found = {
        region: [e["EventName"] for e in trail.lookup_events(LookupAttributes=asked)["Events"]]
        for region in (cells.REGION, "us-east-1")
        for trail in [client(sandbox, "cloudtrail", region_name=region)]
    }
    assert found == {cells.REGION: [], "us-east-1": ["CreateRole"]}

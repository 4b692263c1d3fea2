"""From a change to the declared resources that it may concern."""

from __future__ import annotations

from typing import Any

import pytest

from reconciler.events.resolve import Resolver
from reconciler.model import Coverage, Fleet, Member, Observed, Scan, Urn
from tests.unit.events_worlds import (
    ACCOUNT,
    REGION,
    TARGETS,
    api_call,
    cell,
    change,
    envelope,
    resolver,
    resource,
)

MEMBER = "i-0123456789abcdef0"
KEY = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/1234abcd-12ab-34cd-56ef-1234567890ab"


@pytest.mark.parametrize(
    ("event", "look_at", "about"),
    [
        (api_call(parameters={"groupId": "sg-1"}), {"firewall"}, {"firewall"}),
        (api_call(name="DeleteRoute", parameters={"routeTableId": "rtb-1"}), {"table", "route"}, {"table", "route"}),
        (
            api_call("s3", "PutBucketPolicy", {"bucketName": "acme-data"}),
            {"bucket", "policy"},
            {"bucket", "policy"},
        ),
        (
            api_call("iam", "PutRolePolicy", {"roleName": "acme-server", "policyName": "read"}),
            {"role", "role-policy"},
            {"role", "role-policy"},
        ),
        (api_call("kms", "DisableKeyRotation", {}, resources=[{"ARN": KEY}]), {"key"}, {"key"}),
        (
            api_call("elasticloadbalancing", "DeregisterTargets", {"targetGroupArn": TARGETS}),
            {"targets", "listener", "servers", "alarm"},
            {"targets"},
        ),
        (
            api_call(name="StopInstances", parameters={"instancesSet": {"items": [{"instanceId": MEMBER}]}}),
            {"servers"},
            {"servers"},
        ),
        (
            envelope("aws.cloudwatch", "CloudWatch Alarm State Change", {"alarmName": "acme-unhealthy"}),
            {"alarm", "targets"},
            {"alarm"},
        ),
    ],
)  # fmt: skip
def test_a_change_leads_to_what_it_names_and_what_uses_that(event: Any, look_at: set[str], about: set[str]) -> None:
    """Ids, names, ARNs, members and parents in a record lead to the resources; who did it is said of fewer."""
    found = resolver().concerned(change(event))
    assert set(found.look_at) == look_at
    assert set(found.about) == about


@pytest.mark.parametrize(
    ("event", "about"),
    [
        (api_call("sqs", "SetQueueAttributes", {"queueUrl": "https://sqs/q"}), {"queue", "queue-policy"}),
        (api_call("events", "DisableRule", {"name": "changes"}), {"rule", "target"}),
        (api_call("events", "RemoveTargets", {"rule": "changes", "ids": ["queue"]}), {"rule", "target"}),
    ],
)
def test_a_change_of_the_queue_of_changes_itself(event: Any, about: set[str]) -> None:
    """Whoever has such events sent to the queue gets a look at it, and is told who it was."""
    declared = cell(
        resource("aws:sqs/queue:Queue", "queue", "https://sqs/q"),
        resource("aws:cloudwatch/eventRule:EventRule", "rule", "changes"),
        resource("aws:sqs/queuePolicy:QueuePolicy", "queue-policy", "https://sqs/q", "queue", "rule"),
        resource("aws:cloudwatch/eventTarget:EventTarget", "target", "changes-queue", "queue", "rule"),
    )
    found = Resolver(declared, {}).concerned(change(event))
    assert set(found.about) == about
    assert found.look_at >= found.about


def test_no_other_tenant_is_looked_at() -> None:
    """An event of one tenant's resource leads to that tenant's resources only (I10)."""
    found = resolver().concerned(change(api_call(parameters={"groupId": "sg-1", "vpcId": "vpc-1"})))
    assert {cell().resources[u].tenant for u in found.look_at} == {"acme"}


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"account": "210987654321"}, "another account"),
        ({"region": "us-east-1"}, "another region"),
        ({"detail": {"eventName": "RunInstances", "requestParameters": {"imageId": "ami-1"}}}, "nothing declared"),
    ],
)
def test_what_concerns_nothing_says_why(changes: Any, why: str) -> None:
    """Events of another account or region, and of things that are not declared, are ignored (B36, T13)."""
    assert resolver().concerned(change({**api_call(), **changes})).why_none == why


def test_a_change_concerns_what_is_where_it_was_made() -> None:
    """One name stands for one thing in each region and account: only what is where the event is from is looked at."""
    alarm = "aws:cloudwatch/metricAlarm:MetricAlarm"
    here, there = resource(alarm, "here", "high"), resource(alarm, "there", "high", region="us-east-1")
    theirs = resource(alarm, "theirs", "high", account="210987654321")
    known = Resolver(cell(here, there, theirs), {})
    event = envelope("aws.cloudwatch", "CloudWatch Alarm State Change", {"alarmName": "high"})
    assert known.concerned(change(event)).look_at == {Urn("here")}
    assert known.concerned(change({**event, "region": "us-east-1"})).look_at == {Urn("there")}
    assert known.concerned(change({**event, "account": "210987654321"})).look_at == {Urn("theirs")}
    elsewhere = {**event, "account": "210987654321", "region": "us-east-1"}
    assert known.concerned(change(elsewhere)).why_none == "nothing declared"


def test_a_service_without_regions_speaks_from_anywhere() -> None:
    """IAM's events come from one region of the partition and concern every cell."""
    event = {**api_call("iam", "DeleteRolePolicy", {"roleName": "acme-server"}), "region": "us-east-1"}
    assert Urn("role") in resolver().concerned(change(event)).look_at


def test_auto_scaling_tells_whose_a_new_server_is() -> None:
    """A server launched since the last look is known by Auto Scaling's notice, before EC2 says that it stopped."""
    known = resolver()
    notice = {"AutoScalingGroupName": "acme-servers", "EC2InstanceId": "i-new"}
    stopped = change(envelope("aws.ec2", "EC2 Instance State-change Notification", {"instance-id": "i-new"}))
    assert known.concerned(stopped).look_at == frozenset()
    known.concerned(change(envelope("aws.autoscaling", "EC2 Instance Launch Successful", notice)))
    assert known.concerned(stopped).look_at == {Urn("servers")}


def test_a_look_at_a_part_keeps_what_is_known_of_the_rest() -> None:
    """A scan that saw one fleet replaces its servers and leaves those of the others."""
    before = Resolver(cell(), {"i-old": Urn("servers"), "i-elsewhere": Urn("firewall")})
    member = Member("i-new", "a", "InService", "running", "healthy")
    fleet = Fleet(Urn("servers"), "acme-servers", 1, 1, 1, (member,))
    scan = Scan("run", "dev", cell(), Observed({}, {Urn("servers"): fleet}), (), Coverage(0, 0, 0))
    assert Resolver.of(scan, before).members == {"i-new": Urn("servers"), "i-elsewhere": Urn("firewall")}

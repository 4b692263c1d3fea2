"""Auto Scaling and target health in the sandbox behave as AWS documents them, where moto alone does not."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from typing import Any

import pytest
from botocore.exceptions import ClientError

from sandbox import application
from sandbox.lifecycle import Sandbox
from tests.unit.sandbox_worlds import World, emptied, running

numbers = count(1)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    with running(tmp_path_factory.mktemp("autoscaling") / "home") as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(server: Sandbox) -> Sandbox:
    return emptied(server)


@pytest.fixture
def world(sandbox: Sandbox) -> World:
    """A tenant that no other test has touched."""
    return World(sandbox, f"shop-{next(numbers)}")


def mark(world: World, resource: str, value: str) -> None:
    world.victim.ec2.create_tags(Resources=[resource], Tags=[{"Key": application.TAG, "Value": value}])


def test_members_are_spread_over_the_zones(world: World) -> None:
    """Three servers in two zones: two and one, never all in the first subnet."""
    zones = sorted(i["AvailabilityZone"] for i in world.scaling_group()["Instances"])
    assert zones in (["us-east-1a", "us-east-1a", "us-east-1b"], ["us-east-1a", "us-east-1b", "us-east-1b"])


def test_members_carry_the_settings_of_their_template(world: World) -> None:
    """What controls look at on an instance comes from the template: IMDSv2, monitoring, type."""
    rows = world.victim.ec2.describe_instances(InstanceIds=world.members())["Reservations"]
    for instance in (i for r in rows for i in r["Instances"]):
        assert instance["MetadataOptions"]["HttpTokens"] == "required"
        assert instance["Monitoring"]["State"] == "enabled"
        assert instance["InstanceType"] == "t3.small"


def test_a_member_keeps_the_template_version_it_was_launched_from(world: World) -> None:
    """A new default version shows on servers launched after it, and not on those before."""
    data: Any = {"ImageId": world.image, "InstanceType": "t3.small"}
    world.victim.ec2.create_launch_template_version(LaunchTemplateId=world.template, LaunchTemplateData=data)
    world.victim.ec2.modify_launch_template(LaunchTemplateId=world.template, DefaultVersion="2")
    world.victim.autoscaling.set_desired_capacity(AutoScalingGroupName=world.group, DesiredCapacity=4)
    versions = [i["LaunchTemplate"]["Version"] for i in world.scaling_group()["Instances"]]
    assert versions == ["1", "1", "1", "2"]


def test_a_terminated_member_stays_until_the_health_check(world: World) -> None:
    """EC2's termination shows at once in EC2 and the load balancer, in the group only after its health check."""
    first, *others = world.members()
    world.victim.ec2.terminate_instances(InstanceIds=[first])
    assert world.members() == [first, *others]
    assert world.states(first) == {first: "terminated"}
    assert set(world.targets()) == set(others)
    assert world.sandbox.control.run_health_checks() == (first,)
    after = world.members()
    assert first not in after
    assert len(after) == 3
    assert world.targets() == dict.fromkeys(after, "healthy")


def test_a_stopped_member_blocks_nothing(world: World) -> None:
    """A stopped member is an unused target, and the group still scales out and in around it."""
    first = world.members()[0]
    world.victim.ec2.stop_instances(InstanceIds=[first])
    world.victim.autoscaling.set_desired_capacity(AutoScalingGroupName=world.group, DesiredCapacity=4)
    assert sorted(world.targets().values()) == ["healthy", "healthy", "healthy", "unused"]
    world.victim.autoscaling.terminate_instance_in_auto_scaling_group(
        InstanceId=first, ShouldDecrementDesiredCapacity=True
    )
    assert first not in world.members()
    assert world.targets() == dict.fromkeys(world.members(), "healthy")
    assert world.scaling_group()["DesiredCapacity"] == 3


def test_terminating_without_decrement_launches_a_registered_replacement(world: World) -> None:
    """TerminateInstanceInAutoScalingGroup replaces the member, and the dead one is no target any more."""
    first = world.members()[0]
    world.victim.autoscaling.terminate_instance_in_auto_scaling_group(
        InstanceId=first, ShouldDecrementDesiredCapacity=False
    )
    after = world.members()
    assert first not in after
    assert len(after) == 3
    assert world.targets() == dict.fromkeys(after, "healthy")


def test_the_minimum_is_kept(world: World) -> None:
    """AWS refuses to terminate with decrement below the minimum, and an instance of no group."""
    autoscaling = world.victim.autoscaling
    autoscaling.set_desired_capacity(AutoScalingGroupName=world.group, DesiredCapacity=2)
    for instance, words in ((world.members()[0], "min size"), ("i-0123456789abcdef0", "No managed instance")):
        with pytest.raises(ClientError, match=words):
            autoscaling.terminate_instance_in_auto_scaling_group(
                InstanceId=instance, ShouldDecrementDesiredCapacity=True
            )
    assert len(world.members()) == 2


def test_a_member_marked_unhealthy_is_replaced(world: World) -> None:
    """SetInstanceHealth makes the group replace the member."""
    first = world.members()[0]
    world.victim.autoscaling.set_instance_health(InstanceId=first, HealthStatus="Unhealthy")
    assert first not in world.members()
    assert world.states(first) == {first: "terminated"}
    assert world.targets() == dict.fromkeys(world.members(), "healthy")


def test_members_on_standby_or_detached_get_no_requests(world: World) -> None:
    """Both leave the load balancer; ending the standby brings the member back into it."""
    autoscaling, (first, second, third) = world.victim.autoscaling, world.members()
    autoscaling.enter_standby(
        AutoScalingGroupName=world.group, InstanceIds=[first], ShouldDecrementDesiredCapacity=True
    )
    assert set(world.targets()) == {second, third}
    autoscaling.exit_standby(AutoScalingGroupName=world.group, InstanceIds=[first])
    assert set(world.targets()) == {first, second, third}
    autoscaling.detach_instances(
        AutoScalingGroupName=world.group, InstanceIds=[second], ShouldDecrementDesiredCapacity=True
    )
    assert set(world.targets()) == {first, third}


@pytest.mark.parametrize("process", ["ReplaceUnhealthy", "HealthCheck"])
def test_suspended_healing_replaces_nothing(world: World, process: str) -> None:
    """With its healing suspended the group watches a stopped member without replacing it."""
    world.victim.autoscaling.suspend_processes(AutoScalingGroupName=world.group, ScalingProcesses=[process])
    first = world.members()[0]
    world.victim.ec2.stop_instances(InstanceIds=[first])
    assert first not in world.sandbox.control.run_health_checks()
    assert first in world.members()


def test_no_capacity_until_launching_is_resumed(world: World) -> None:
    """F13: with Launch suspended a lost member is not replaced; resuming launches what is missing."""
    autoscaling = world.victim.autoscaling
    autoscaling.suspend_processes(AutoScalingGroupName=world.group, ScalingProcesses=["Launch"])
    world.victim.ec2.terminate_instances(InstanceIds=world.members()[:1])
    world.sandbox.control.run_health_checks()
    assert len(world.members()) == 2
    autoscaling.resume_processes(AutoScalingGroupName=world.group, ScalingProcesses=["Launch"])
    assert len(world.members()) == 3


@pytest.mark.parametrize("value", application.STATES)
def test_an_application_can_be_anything_but_healthy(world: World, value: str) -> None:
    """A tag on the instance says what the load balancer finds there; the other members stay healthy."""
    first, *others = world.members()
    mark(world, first, value)
    assert world.targets() == {first: application.STATES[value][0], **dict.fromkeys(others, "healthy")}


def test_a_bad_image_makes_replacements_fail_the_same_way(world: World) -> None:
    """F48: a tag on the image counts for every server launched from it that has no tag of its own."""
    for member in world.members():
        mark(world, member, "up")
    mark(world, world.image, "failing")
    first, *others = world.members()
    world.victim.autoscaling.set_instance_health(InstanceId=first, HealthStatus="Unhealthy")
    (replacement,) = set(world.members()) - set(others)
    assert world.targets() == {replacement: "unhealthy", **dict.fromkeys(others, "healthy")}


def test_the_health_check_asks_the_load_balancer_only_if_told_to(world: World) -> None:
    """A group with health checks of type EC2 keeps a server whose application is dead."""
    first = world.members()[0]
    mark(world, first, "down")
    update = world.victim.autoscaling.update_auto_scaling_group
    update(AutoScalingGroupName=world.group, HealthCheckType="EC2")
    assert first not in world.sandbox.control.run_health_checks()
    update(AutoScalingGroupName=world.group, HealthCheckType="ELB")
    assert first in world.sandbox.control.run_health_checks()


def test_who_was_taken_out_of_a_target_group_stays_out(world: World) -> None:
    """A group registers a member once: one that somebody deregistered is not registered again when the group grows."""
    first = min(world.members())
    elb = world.victim.elbv2
    elb.deregister_targets(TargetGroupArn=world.target_group, Targets=[{"Id": first}])
    size = world.scaling_group()["DesiredCapacity"]
    world.victim.autoscaling.set_desired_capacity(AutoScalingGroupName=world.group, DesiredCapacity=size + 1)
    assert set(world.members()) - world.targets().keys() == {first}

"""Faults of the servers and of the group and template that make them."""

from __future__ import annotations

from typing import Any

from sandbox import application
from sandbox.faults.fault import Actor, Fault
from sandbox.faults.victim import Victim
from tenancy import tags

GROUP = "aws:autoscaling/group:Group"


def terminate_instance(victim: Victim) -> str:
    server = victim.members()[0]
    victim.ec2.terminate_instances(InstanceIds=[server])
    return server


def stop_instance(victim: Victim) -> str:
    server = victim.members()[0]
    victim.ec2.stop_instances(InstanceIds=[server])
    return server


def crash_application(victim: Victim) -> str:
    server = victim.members()[0]
    victim.ec2.create_tags(Resources=[server], Tags=[{"Key": application.TAG, "Value": "down"}])
    return server


def deregister_target(victim: Victim) -> str:
    server = victim.members()[0]
    target_group = victim.arn("elasticloadbalancing:targetgroup", "api")
    victim.elbv2.deregister_targets(TargetGroupArn=target_group, Targets=[{"Id": server}])
    return server


def break_image(victim: Victim) -> str:
    """Servers that run keep running; those launched from now on never become healthy."""
    template = victim.launch_template()
    data = _template_data(victim, template)
    image = str(data["ImageId"])
    victim.ec2.create_tags(Resources=victim.members(), Tags=[{"Key": application.TAG, "Value": "up"}])
    victim.ec2.create_tags(Resources=[image], Tags=[{"Key": application.TAG, "Value": "failing"}])
    return image


def compromise_server(victim: Victim) -> str:
    server = victim.members()[0]
    victim.ec2.create_tags(Resources=[server], Tags=[{"Key": tags.COMPROMISED, "Value": "GuardDuty finding"}])
    return server


def exhaust_zone(victim: Victim) -> str:
    """No server can be launched in the first of the group's zones; those that run there go on."""
    group = victim.autoscaling.describe_auto_scaling_groups(AutoScalingGroupNames=[victim.group()])
    zone = sorted(i["AvailabilityZone"] for i in group["AutoScalingGroups"][0]["Instances"])[0]
    image = str(_template_data(victim, victim.launch_template())["ImageId"])
    victim.ec2.create_tags(Resources=[image], Tags=[{"Key": application.CAPACITY, "Value": zone}])
    return zone


def suspend_healing(victim: Victim) -> str:
    group = victim.group()
    victim.autoscaling.suspend_processes(AutoScalingGroupName=group, ScalingProcesses=["ReplaceUnhealthy"])
    return group


def weaken_health_check(victim: Victim) -> str:
    group = victim.group()
    victim.autoscaling.update_auto_scaling_group(AutoScalingGroupName=group, HealthCheckType="EC2")
    return group


def shrink_group(victim: Victim) -> str:
    group = victim.group()
    victim.autoscaling.update_auto_scaling_group(AutoScalingGroupName=group, MinSize=1, DesiredCapacity=1)
    return group


def allow_imdsv1(victim: Victim) -> str:
    template = victim.launch_template()
    data = _template_data(victim, template)
    data["MetadataOptions"] = {**data.get("MetadataOptions", {}), "HttpTokens": "optional"}
    data["MetadataOptions"].pop("State", None)
    version = victim.ec2.create_launch_template_version(LaunchTemplateId=template, LaunchTemplateData=data)
    number = version["LaunchTemplateVersion"]["VersionNumber"]
    victim.ec2.modify_launch_template(LaunchTemplateId=template, DefaultVersion=str(number))
    return template


def _template_data(victim: Victim, template: str) -> Any:
    found = victim.ec2.describe_launch_template_versions(LaunchTemplateId=template, Versions=["$Default"])
    return found["LaunchTemplateVersions"][0]["LaunchTemplateData"]


FAULTS = (
    Fault(
        "terminate-instance",
        "a server is terminated behind the group's back",
        Actor.OUTAGE,
        "fleet",
        (GROUP,),
        terminate_instance,
    ),
    Fault("stop-instance", "a server is stopped", Actor.OPERATOR, "fleet", (GROUP,), stop_instance),
    Fault(
        "crash-application",
        "a server runs, but its application no longer answers the health check",
        Actor.OUTAGE,
        "fleet",
        (GROUP,),
        crash_application,
    ),
    Fault(
        "deregister-target",
        "a healthy server is taken out of the load balancer",
        Actor.OPERATOR,
        "fleet",
        (GROUP,),
        deregister_target,
    ),
    Fault(
        "break-image",
        "every server launched from now on fails its health check",
        Actor.OUTAGE,
        "fleet",
        (),
        break_image,
    ),
    Fault(
        "compromise-server",
        "a detector says of a server that it was broken into",
        Actor.INTRUDER,
        "fleet",
        (GROUP,),
        compromise_server,
    ),
    Fault(
        "exhaust-zone",
        "the cloud has no more servers in one of the group's zones",
        Actor.OUTAGE,
        "fleet",
        (),
        exhaust_zone,
    ),
    Fault(
        "suspend-healing",
        "the group no longer replaces unhealthy servers",
        Actor.OPERATOR,
        "fleet",
        (GROUP,),
        suspend_healing,
    ),
    Fault(
        "weaken-health-check",
        "the group no longer asks the load balancer which servers are healthy",
        Actor.OPERATOR,
        "fleet",
        (GROUP,),
        weaken_health_check,
    ),
    Fault("shrink-group", "the group is scaled down to one server", Actor.OPERATOR, "fleet", (GROUP,), shrink_group),
    Fault(
        "allow-imdsv1",
        "a new default version of the launch template lets servers give out credentials without a token",
        Actor.INTRUDER,
        "fleet",
        ("aws:ec2/launchTemplate:LaunchTemplate",),
        allow_imdsv1,
    ),
)

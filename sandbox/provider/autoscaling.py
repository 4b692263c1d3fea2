"""Auto scaling groups."""

from __future__ import annotations

import time
from typing import Any

from sandbox.provider.aws import pascal, refuse_others
from sandbox.provider.diff import unordered
from sandbox.provider.errors import ProviderError
from sandbox.provider.table import Call, Kind, Name
from sandbox.provider.values import Properties

FIELDS = {
    "capacityRebalance": "CapacityRebalance",
    "defaultCooldown": "DefaultCooldown",
    "defaultInstanceWarmup": "DefaultInstanceWarmup",
    "desiredCapacity": "DesiredCapacity",
    "healthCheckGracePeriod": "HealthCheckGracePeriod",
    "healthCheckType": "HealthCheckType",
    "maxInstanceLifetime": "MaxInstanceLifetime",
    "maxSize": "MaxSize",
    "minSize": "MinSize",
    "protectFromScaleIn": "NewInstancesProtectedFromScaleIn",
    "terminationPolicies": "TerminationPolicies",
}
TEMPLATE = {"id": "LaunchTemplateId", "name": "LaunchTemplateName", "version": "Version"}
DRAIN_SECONDS = 300


def describe(call: Call) -> dict[str, Any] | None:
    """The API answers a name that does not exist with an empty list, not with an error."""
    answer = call.aws("autoscaling").describe_auto_scaling_groups(AutoScalingGroupNames=[call.id])
    return dict(answer["AutoScalingGroups"][0]) if answer["AutoScalingGroups"] else None


def group(call: Call) -> dict[str, Any]:
    params = {theirs: call.new[ours] for ours, theirs in FIELDS.items() if ours in call.new}
    if template := call.new.get("launchTemplate"):
        refuse_others(template, TEMPLATE, "a group's launchTemplate")
        params["LaunchTemplate"] = {TEMPLATE[key]: value for key, value in template.items() if key != "__defaults"}
    if "vpcZoneIdentifiers" in call.new:
        params["VPCZoneIdentifier"] = ",".join(call.new["vpcZoneIdentifiers"])
    return params


def tag_params(name: str, tags: list[Properties]) -> list[dict[str, Any]]:
    return [{**pascal(tag), "ResourceId": name, "ResourceType": "auto-scaling-group"} for tag in tags]


def create(call: Call) -> str:
    name, tags = call.new["name"], tag_params(call.new["name"], call.new.get("tags", []))
    targets = call.new.get("targetGroupArns", [])
    asg = call.aws("autoscaling")
    asg.create_auto_scaling_group(AutoScalingGroupName=name, TargetGroupARNs=targets, Tags=tags, **group(call))
    return str(name)


def update_group(call: Call) -> None:
    call.aws("autoscaling").update_auto_scaling_group(AutoScalingGroupName=call.id, **group(call))


def set_targets(call: Call) -> None:
    asg = call.aws("autoscaling")
    live, wanted = set((describe(call) or {}).get("TargetGroupARNs", [])), set(call.new.get("targetGroupArns", []))
    if wanted - live:
        attach = asg.attach_load_balancer_target_groups
        attach(AutoScalingGroupName=call.id, TargetGroupARNs=sorted(wanted - live))
    if live - wanted:
        detach = asg.detach_load_balancer_target_groups
        detach(AutoScalingGroupName=call.id, TargetGroupARNs=sorted(live - wanted))


def set_processes(call: Call) -> None:
    asg = call.aws("autoscaling")
    live = {one["ProcessName"] for one in (describe(call) or {}).get("SuspendedProcesses", [])}
    wanted = set(call.new.get("suspendedProcesses", []))
    if wanted - live:
        asg.suspend_processes(AutoScalingGroupName=call.id, ScalingProcesses=sorted(wanted - live))
    if live - wanted:
        asg.resume_processes(AutoScalingGroupName=call.id, ScalingProcesses=sorted(live - wanted))


def set_tags(call: Call) -> None:
    asg = call.aws("autoscaling")
    wanted = call.new.get("tags", [])
    kept = {tag["key"] for tag in wanted}
    if gone := [tag for tag in read_tags(describe(call) or {}) if tag["key"] not in kept]:
        asg.delete_tags(Tags=tag_params(call.id, gone))
    if wanted:
        asg.create_or_update_tags(Tags=tag_params(call.id, wanted))


def read_tags(live: dict[str, Any]) -> list[Properties]:
    return [
        {"key": tag["Key"], "value": tag.get("Value", ""), "propagateAtLaunch": tag.get("PropagateAtLaunch", False)}
        for tag in sorted(live.get("Tags", []), key=lambda tag: str(tag["Key"]))
        if not tag["Key"].startswith("aws:")
    ]


def read(call: Call) -> Properties | None:
    live = describe(call)
    if live is None:
        return None
    template = live.get("LaunchTemplate") or {}
    return {
        "arn": live["AutoScalingGroupARN"],
        "name": call.id,
        "namePrefix": "",
        **{ours: live[theirs] for ours, theirs in FIELDS.items() if theirs in live},
        "vpcZoneIdentifiers": [one for one in live.get("VPCZoneIdentifier", "").split(",") if one],
        "availabilityZones": live.get("AvailabilityZones", []),
        "targetGroupArns": live.get("TargetGroupARNs", []),
        "suspendedProcesses": sorted(one["ProcessName"] for one in live.get("SuspendedProcesses", [])),
        "launchTemplate": {ours: template[theirs] for ours, theirs in TEMPLATE.items() if theirs in template},
        "tags": read_tags(live),
    }


def delete(call: Call) -> None:
    """Drains the group first, unless the program asked to force it."""
    live = describe(call)
    if live is None:
        return
    asg = call.aws("autoscaling")
    force = bool(call.old.get("forceDelete"))
    if not force:
        asg.update_auto_scaling_group(AutoScalingGroupName=call.id, MinSize=0, MaxSize=0, DesiredCapacity=0)
        deadline = time.monotonic() + DRAIN_SECONDS
        while (describe(call) or {}).get("Instances"):
            if time.monotonic() > deadline:
                raise ProviderError(f"group {call.id} still has instances after {DRAIN_SECONDS} s", where=KINDS[0].type)
            time.sleep(0.5)
    asg.delete_auto_scaling_group(AutoScalingGroupName=call.id, ForceDelete=force)


KINDS = (
    Kind(
        type="aws:autoscaling/group:Group",
        create=create,
        settle=(set_processes,),
        read=read,
        delete=delete,
        update={
            **dict.fromkeys([*FIELDS, "launchTemplate", "vpcZoneIdentifiers"], update_group),
            "targetGroupArns": set_targets,
            "suspendedProcesses": set_processes,
            "tags": set_tags,
        },
        fixed=frozenset({"name"}),
        echoed=frozenset(
            {
                "forceDelete",
                "forceDeleteWarmPool",
                "ignoreFailedScalingActivities",
                "metricsGranularity",
                "waitForCapacityTimeout",
            }
        ),
        defaults={"healthCheckGracePeriod": 300, "metricsGranularity": "1Minute", "waitForCapacityTimeout": "10m"},
        name=Name(longest=255),
        emptied=frozenset({"suspendedProcesses", "tags", "protectFromScaleIn"}),
        canonical={
            "vpcZoneIdentifiers": unordered,
            "targetGroupArns": unordered,
            "suspendedProcesses": unordered,
            "tags": unordered,
        },
        filled=frozenset({"launchTemplate.name", "launchTemplate.id", "launchTemplate.version"}),
    ),
)

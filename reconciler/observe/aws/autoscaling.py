"""How auto scaling groups are seen, as declared resources. What runs in them is in ``fleet``."""

from __future__ import annotations

from reconciler.model import DeclaredResource, ResourceKind, Value
from reconciler.observe.aws._common import call, text
from reconciler.observe.aws.ec2 import REQUIREMENT_SETS, Listing, chosen
from reconciler.observe.reads import Answers, Failed, Missing, More, Observer, Row, Rows, Sight
from reconciler.observe.tags import locate_where, owned_in

GROUPS = Listing(
    call("autoscaling", "describe_auto_scaling_groups", "AutoScalingGroups"),
    "AutoScalingGroupName",
    "AutoScalingGroupNames",
    (),
)

_FIELDS = {
    "AutoScalingGroupName": "name",
    "AvailabilityZoneDistribution": "availabilityZoneDistribution",
    "AvailabilityZones": "availabilityZones",
    "CapacityRebalance": "capacityRebalance",
    "CapacityReservationSpecification": "capacityReservationSpecification",
    "Context": "context",
    "DefaultCooldown": "defaultCooldown",
    "DefaultInstanceWarmup": "defaultInstanceWarmup",
    "DesiredCapacity": "desiredCapacity",
    "DesiredCapacityType": "desiredCapacityType",
    "HealthCheckGracePeriod": "healthCheckGracePeriod",
    "HealthCheckType": "healthCheckType",
    "InstanceLifecyclePolicy": "instanceLifecyclePolicy",
    "InstanceMaintenancePolicy": "instanceMaintenancePolicy",
    "LaunchConfigurationName": "launchConfiguration",
    "LoadBalancerNames": "loadBalancers",
    "MaxInstanceLifetime": "maxInstanceLifetime",
    "MaxSize": "maxSize",
    "MinSize": "minSize",
    "MixedInstancesPolicy": "mixedInstancesPolicy",
    "NewInstancesProtectedFromScaleIn": "protectFromScaleIn",
    "PlacementGroup": "placementGroup",
    "ServiceLinkedRoleARN": "serviceLinkedRoleArn",
    "TargetGroupARNs": "targetGroupArns",
    "TerminationPolicies": "terminationPolicies",
    "TrafficSources": "trafficSources",
}
_TEMPLATE = {"LaunchTemplateId": "id", "LaunchTemplateName": "name", "Version": "version"}
_WARM_POOL = {
    "InstanceReusePolicy": "instanceReusePolicy",
    "MaxGroupPreparedCapacity": "maxGroupPreparedCapacity",
    "MinSize": "minSize",
    "PoolState": "poolState",
}


def group(name: str, answers: Answers) -> Row | Missing | Failed | More:
    """The group of this name. AWS answers nothing at all for one that is gone, so its tags must be gone as well."""
    row = GROUPS.row(name, answers)
    if not isinstance(row, Missing):
        return row
    filters = ((("Name", "auto-scaling-group"), ("Values", (name,))),)
    tags = answers.get(call("autoscaling", "describe_tags", "Tags", target=name, Filters=filters))
    if isinstance(tags, Rows):
        return Failed(f"group {name} still has tags, but no listing has it") if tags.rows else row
    return tags


def _see(declared: DeclaredResource, answers: Answers) -> Sight:
    row = group(declared.id, answers)
    if isinstance(row, Missing | Failed | More):
        return row
    metrics = row.get("EnabledMetrics", ())
    seen: dict[str, Value] = {
        **chosen(row, _FIELDS),
        "vpcZoneIdentifiers": [zone for zone in row.get("VPCZoneIdentifier", "").split(",") if zone],
        "enabledMetrics": [metric["Metric"] for metric in metrics],
        # The only granularity there is; AWS answers it only for metrics that are on.
        "metricsGranularity": metrics[0].get("Granularity", "1Minute") if metrics else "1Minute",
        "suspendedProcesses": [process["ProcessName"] for process in row.get("SuspendedProcesses", ())],
        "tags": [
            {"key": tag["Key"], "value": tag.get("Value", ""), "propagateAtLaunch": bool(tag.get("PropagateAtLaunch"))}
            for tag in row.get("Tags", ())
            if not tag["Key"].startswith("aws:")
        ],
    }
    seen["launchTemplate"] = chosen(row.get("LaunchTemplate") or {}, _TEMPLATE)
    pool = row.get("WarmPoolConfiguration")
    # -1 is how the API and the provider say that the pool has no limit of its own.
    seen["warmPool"] = chosen({"MaxGroupPreparedCapacity": -1, **pool} if pool else {}, _WARM_POOL)
    return seen


def _locate(declared: DeclaredResource, answers: Answers) -> str | Missing | Failed | More:
    name = text(declared, "name")
    if name is None:
        return Failed("the pending declaration holds no name")
    return locate_where(answers, GROUPS.read, GROUPS.key, lambda row: row.get(GROUPS.key) == name)


OBSERVERS = (
    Observer(
        ResourceKind(
            "aws:autoscaling/group:Group",
            unordered=frozenset(
                {
                    "availabilityZones",
                    "enabledMetrics",
                    "loadBalancers",
                    *(f"mixedInstancesPolicy.launchTemplate.overrides[].{path}" for path in REQUIREMENT_SETS),
                    "suspendedProcesses",
                    "tags",
                    "targetGroupArns",
                    "trafficSources",
                    "vpcZoneIdentifiers",
                }
            ),
            write_only=frozenset(
                {
                    "forceDelete",
                    "forceDeleteWarmPool",
                    "ignoreFailedScalingActivities",
                    "initialLifecycleHooks",
                    "instanceRefresh",
                    "minElbCapacity",
                    "namePrefix",
                    "waitForCapacityTimeout",
                    "waitForElbCapacity",
                }
            ),
        ),
        reads=lambda _: (GROUPS.read,),
        see=_see,
        permissions=("autoscaling:DescribeAutoScalingGroups", "autoscaling:DescribeTags"),
        locate=_locate,
        owned=lambda answers: owned_in(answers, GROUPS.read, GROUPS.key),
    ),
)

"""The servers behind an auto scaling group, as three services see them: the group, EC2, and the load balancer.

They disagree for a while whenever something happens, and the disagreements are what matters: in service but not
registered, registered but no longer in the group, in the group but gone from EC2.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from reconciler.model import SERVERS, UNITS, DeclaredResource, Fleet, Member, Quarantined, Unreadable
from reconciler.observe.aws._common import call, together
from reconciler.observe.aws.autoscaling import GROUPS
from reconciler.observe.aws.autoscaling import group as group_of
from reconciler.observe.aws.ec2 import INSTANCES, TEMPLATES
from reconciler.observe.aws.ec2_launch import VERSIONS
from reconciler.observe.aws.fleet_targets import Targets, judged, listing, targets_of
from reconciler.observe.aws.fleet_versions import current_versions, outdated
from reconciler.observe.aws.isolation import Reach, reach
from reconciler.observe.reads import Answers, Failed, Missing, More, Read, Row, Rows
from reconciler.observe.tags import plain
from tenancy.tags import COMPROMISED, KEEP_UNTIL, QUARANTINED_FROM

PERMISSIONS = (
    "autoscaling:DescribeAutoScalingGroups",
    "autoscaling:DescribeAutoScalingInstances",
    "autoscaling:DescribeTags",
    "ec2:DescribeInstanceStatus",
    "ec2:DescribeInstances",
    "ec2:DescribeLaunchTemplateVersions",
    "ec2:DescribeLaunchTemplates",
    "ec2:DescribeSecurityGroups",
    "elasticloadbalancing:DescribeTargetHealth",
)


def reads(declared: DeclaredResource) -> tuple[Read, ...]:
    health = (listing(arn) for arn in _target_groups(declared))
    return (GROUPS.read, INSTANCES.read, TEMPLATES.read, *_versions(declared), *health)


def _versions(declared: DeclaredResource) -> tuple[Read, ...]:
    """Asked with the rest where a small look narrows it to the group's own template: a round less when it matters."""
    block = declared.inputs.get("launchTemplate")
    return (VERSIONS,) if isinstance(block, Mapping) and isinstance(block.get("id"), str) else ()


def see(declared: DeclaredResource, answers: Answers) -> Fleet | Missing | Failed | More:
    """The fleet of one declared group; Missing if the group does not exist, Failed if it could not be read."""
    group = group_of(declared.id, answers)
    if isinstance(group, Missing | Failed | More):
        return group
    arns = _target_groups(declared)
    health = {arn: answers.get(listing(arn)) for arn in arns}
    if (more := together(*health.values())).reads:
        return more
    targets = {arn: targets_of(answer) for arn, answer in health.items()}
    current = current_versions(group, answers)
    every = _inside_and_left(group, targets, answers)
    kept = _quarantined(group["AutoScalingGroupName"], answers)
    if isinstance(current, More) or isinstance(every, More) or isinstance(kept, More):
        return together(current, every, kept)

    members: list[Member] = []
    asked: list[More] = []
    for inside in every:
        instance = INSTANCES.row(inside["InstanceId"], answers)
        is_outdated = outdated(inside, instance, current, answers)
        found = judged(inside, targets, answers)
        if isinstance(instance, More) or isinstance(is_outdated, More) or isinstance(found, More):
            asked += [one for one in (instance, is_outdated, found) if isinstance(one, More)]
            continue
        state = _state(instance)
        if inside["LifecycleState"] == "Detached" and state == "terminated":
            continue
        target, reason = found
        checks = _checks(inside, state, target, answers)
        if isinstance(checks, More):
            asked.append(checks)
            continue
        members.append(
            Member(
                instance_id=inside["InstanceId"],
                zone=inside.get("AvailabilityZone") or _zone(instance),
                lifecycle=inside["LifecycleState"],
                state=state,
                target=target,
                target_reason=reason,
                launched=_launched(instance),
                outdated=is_outdated,
                compromised=_tags(instance).get(COMPROMISED, ""),
                weight=_weight(inside),
                checks=checks,
            )
        )
    if (more := together(*asked)).reads:
        return more
    return Fleet(
        group=declared.urn,
        name=group["AutoScalingGroupName"],
        desired=group["DesiredCapacity"],
        minimum=group["MinSize"],
        maximum=group["MaxSize"],
        members=tuple(sorted(members, key=lambda member: member.instance_id)),
        grace_seconds=group.get("HealthCheckGracePeriod", 0),
        target_groups=arns,
        launches=":".join(map(str, current[0])) if isinstance(current, tuple) and len(current) == 1 else "",
        unit=_unit(group),
        suspended=frozenset(one["ProcessName"] for one in group.get("SuspendedProcesses", ())),
        quarantined=kept,
    )


def _weight(row: Row) -> int:
    weight = str(row.get("WeightedCapacity") or 1)
    return int(weight) if weight.isdecimal() else 1


def _unit(group: Row) -> str:
    """What the group's sizes count; weights are given to instance types and answered of each server."""
    if (measure := group.get("DesiredCapacityType") or UNITS) != UNITS:
        return str(measure)
    types = group.get("MixedInstancesPolicy", {}).get("LaunchTemplate", {}).get("Overrides", ())
    weighted = any(_weight(one) != 1 for one in (*types, *group.get("Instances", ())))
    return UNITS if weighted else SERVERS


def _tags(instance: Row | Missing | Failed) -> dict[str, str]:
    return plain(instance.get("Tags", ())) if isinstance(instance, Mapping) else {}


def _quarantined(group: str, answers: Answers) -> tuple[Quarantined, ...] | More:
    """What a quarantine took out of the group and still exists, in the order of their ids.

    Nothing if the listing failed: it stays. Nor what its security groups could not be read of, or what somebody gave
    another group beside the quarantine's: that is neither isolated, nor to be cut off once more.
    """
    known = answers.derived(INSTANCES.read, _all_quarantined)
    rows = known.get(group, {}) if isinstance(known, Mapping) else {}
    reached = {id_: reach(row, answers) for id_, row in rows.items()}
    if (more := together(*reached.values())).reads:
        return more
    return tuple(
        Quarantined(id_, _moment(_tags(rows[id_]).get(KEEP_UNTIL, "")), cut_off=found is Reach.NOTHING)
        for id_, found in sorted(reached.items())
        if found in (Reach.NOTHING, Reach.ANYTHING)
    )


def _all_quarantined(instances: tuple[Row, ...]) -> Mapping[str, Mapping[str, Row]]:
    """By the group each was taken out of, and by their ids."""
    found: dict[str, dict[str, Row]] = {}
    for row in instances:
        tags = plain(row.get("Tags", ()))
        if QUARANTINED_FROM in tags and row["State"]["Name"] not in ("terminated", "shutting-down"):
            found.setdefault(tags[QUARANTINED_FROM], {})[row["InstanceId"]] = row
    return found


def _moment(text: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.tzinfo else None


def _target_groups(declared: DeclaredResource) -> tuple[str, ...]:
    arns = declared.inputs.get("targetGroupArns")
    if not isinstance(arns, Sequence) or isinstance(arns, str):
        return ()
    return tuple(sorted(arn for arn in arns if isinstance(arn, str)))


def _inside_and_left(group: Row, targets: Mapping[str, Targets], answers: Answers) -> list[Row] | More:
    """The group's instances, then the instances still registered for it that no group has: ``Detached``.

    A listing that lacks the group of an instance is no proof that it has none, so that is asked for.
    """
    inside = list(group.get("Instances", ()))
    known = {one["InstanceId"] for one in inside}
    elsewhere = answers.derived(GROUPS.read, _members)
    if isinstance(elsewhere, frozenset):
        known |= elsewhere
    left: dict[str, Row] = {}
    asked: list[More] = []
    for found in targets.values():
        for id_, row in found.items() if isinstance(found, Mapping) else ():
            if not id_.startswith("i-") or id_ in known:
                continue
            member = answers.get(_membership(id_))
            if isinstance(member, More):
                asked.append(member)
            elif not (isinstance(member, Rows) and member.rows):
                zone = row["Target"].get("AvailabilityZone", "")
                left[id_] = {"InstanceId": id_, "LifecycleState": "Detached", "AvailabilityZone": zone}
    return together(*asked) if asked else inside + list(left.values())


def _members(groups: tuple[Row, ...]) -> frozenset[str]:
    return frozenset(one["InstanceId"] for row in groups for one in row.get("Instances", ()))


def _membership(instance: str) -> Read:
    return call(
        "autoscaling",
        "describe_auto_scaling_instances",
        "AutoScalingInstances",
        target=instance,
        InstanceIds=[instance],
    )


def _state(instance: Row | Missing | Failed) -> str | Unreadable:
    if isinstance(instance, Failed):
        return Unreadable(instance.reason)
    if isinstance(instance, Missing):
        return "terminated"
    state: str = instance["State"]["Name"]
    return state


def _checks(
    inside: Row, state: str | Unreadable, target: str | Unreadable, answers: Answers
) -> str | Unreadable | More:
    """EC2's status checks of a server that runs and does not serve. Nobody else's matter, so nobody else's are read."""
    if inside["LifecycleState"] != "InService" or state != "running" or target in ("healthy", "initial"):
        return ""
    if isinstance(target, Unreadable):
        return ""
    answer = answers.one(_status_of(inside["InstanceId"]))
    if isinstance(answer, More):
        return answer
    if not isinstance(answer, Mapping):
        return Unreadable(answer.how if isinstance(answer, Missing) else answer.reason)
    both = {str(answer.get(name, {}).get("Status", "")) for name in ("InstanceStatus", "SystemStatus")}
    return "impaired" if "impaired" in both else "ok" if both == {"ok"} else "undecided"


def _status_of(instance: str) -> Read:
    return call(
        "ec2",
        "describe_instance_status",
        "InstanceStatuses",
        absent=("InvalidInstanceID.NotFound",),
        target=instance,
        InstanceIds=[instance],
    )


def _zone(instance: Row | Missing | Failed) -> str:
    return str(instance.get("Placement", {}).get("AvailabilityZone", "")) if isinstance(instance, Mapping) else ""


def _launched(instance: Row | Missing | Failed) -> datetime | None:
    moment = instance.get("LaunchTime") if isinstance(instance, Mapping) else None
    return moment.astimezone(UTC) if isinstance(moment, datetime) else None

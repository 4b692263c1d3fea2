"""Auto Scaling as AWS documents it.

moto's never notices a dead server, refuses to scale a group with a stopped member, and launches everything in one
zone. One difference stays: the health check does not run by itself but when asked to (``run_health_checks``), so that
what stackmend does can be told from what AWS would have done a minute later.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from moto.autoscaling.exceptions import ValidationError
from moto.autoscaling.models import AutoScalingBackend, FakeAutoScalingGroup, InstanceState, autoscaling_backends
from moto.ec2.models.instances import MetadataOptions

from sandbox import application

_REGISTERED = "stackmend_registered"
"""What a member's state keeps: the target groups that it was registered with."""
_launch = FakeAutoScalingGroup.replace_autoscaling_group_instances
_template: Any = InstanceState.launch_template
_set_health = AutoScalingBackend.set_instance_health
_resume = AutoScalingBackend.resume_processes
_terminate = AutoScalingBackend.terminate_instance
_detach = AutoScalingBackend.detach_instances
_enter_standby = AutoScalingBackend.enter_standby_instances


def run_health_checks(account: str, region: str) -> tuple[str, ...]:
    """Let every group look at its members once, as AWS does about once a minute. Returns the instances replaced."""
    backend = autoscaling_backends[account][region]
    return tuple(i for group in backend.autoscaling_groups.values() for i in _check_health(backend, group))


def _check_health(backend: Any, group: Any) -> list[str]:
    if "HealthCheck" not in _suspended(group):
        for state in group.instance_states:
            if state.instance.state != "running" or _failing(backend, group, state):
                state.health_status = "Unhealthy"
    return _replace_unhealthy(backend, group)


def _replace_unhealthy(backend: Any, group: Any) -> list[str]:
    if _suspended(group) & {"ReplaceUnhealthy", "Terminate"}:
        return []
    unhealthy = [s for s in group.instance_states if s.health_status == "Unhealthy"]
    ids = [s.instance.id for s in unhealthy]
    if ids:
        backend.ec2_backend.terminate_instances(ids)
        group.instance_states = [s for s in group.instance_states if s not in unhealthy]
    group.set_desired_capacity(group.desired_capacity)
    return ids


def _failing(backend: Any, group: Any, state: Any) -> bool:
    """Whether the load balancer calls a member unhealthy, for groups that ask it; no grace period is kept."""
    if group.health_check_type != "ELB":
        return False
    groups = [backend.elbv2_backend.target_groups[arn] for arn in group.target_group_arns]
    return any(
        g.health_for({"Id": state.instance.id, "Port": g.port}, backend.ec2_backend).status == "unhealthy"
        for g in groups
    )


def healthy_servers() -> dict[str, int]:
    """How many members of each group run, are in service and answer every load balancer they are behind."""
    found: dict[str, int] = {}
    for regions in autoscaling_backends.values():
        for backend in regions.values():
            for name, group in backend.autoscaling_groups.items():
                found[name] = sum(_serves(backend, group, s) for s in group.instance_states)
    return found


def _serves(backend: Any, group: Any, state: Any) -> bool:
    if state.lifecycle_state != "InService" or state.instance.state != "running":
        return False
    targets = [backend.elbv2_backend.target_groups.get(arn) for arn in group.target_group_arns]
    return all(
        t is not None
        and state.instance.id in t.targets
        and t.health_for({"Id": state.instance.id, "Port": t.port}, backend.ec2_backend).status == "healthy"
        for t in targets
    )


def _with_room(group: Any, subnets: list[str]) -> list[str]:
    """The subnets whose zone has room left; a tag on the image that is launched names a zone that has none."""
    backend, template = group.autoscaling_backend.ec2_backend, group.ec2_launch_template
    image = template.default_version().data.get("ImageId", "") if template else ""
    full = backend.tags.get(image, {}).get(application.CAPACITY)
    return [s for s in subnets if full is None or backend.get_subnet(s).availability_zone != full]


def _suspended(group: Any) -> set[str]:
    return {process["ProcessName"] for process in group.suspended_processes}


def launch(self: Any, count_needed: int, propagated_tags: dict[str, str]) -> None:
    """Launch members one by one, each in the subnet that has the fewest, unless launching is suspended."""
    if "Launch" in _suspended(self):
        return
    subnets = self.vpc_zone_identifier
    for _ in range(count_needed):
        if subnets:
            used = Counter(s.instance.subnet_id for s in self.instance_states)
            open_ = _with_room(self, subnets.split(","))
            if not open_:
                return
            self.vpc_zone_identifier = min(open_, key=lambda subnet: used[subnet])
        try:
            _launch(self, 1, propagated_tags)
        finally:
            self.vpc_zone_identifier = subnets
        _follow_template(self.instance_states[-1])


def _follow_template(state: Any) -> None:
    """moto takes only a few things of a template over to the instance; the ones that controls look at follow here."""
    template = state.auto_scaling_group.ec2_launch_template
    if template is None:
        return
    data, instance = template.default_version().data, state.instance
    state.launched_version = str(template.default_version_number)
    instance.metadata_options = MetadataOptions(data.get("MetadataOptions") or {})
    instance.monitoring_state = (
        "enabled" if (data.get("Monitoring") or {}).get("Enabled") in (True, "true") else "disabled"
    )
    if not instance.instance_type and data.get("InstanceType"):
        instance.instance_type = state.instance_type = data["InstanceType"]


def template_launched_from(self: Any) -> dict[str, Any] | None:
    """The template and the version this member was launched from; moto names the version the group would use now."""
    template: dict[str, Any] | None = _template.fget(self)
    launched = getattr(self, "launched_version", None)
    return template if template is None or launched is None else {**template, "Version": launched}


def register_running_members(self: Any, group_name: str) -> None:
    """Register the members in service that run, each once with a target group: who takes one out again means it.

    moto registers all of them whenever a group changes its size, and fails the call if one of them is stopped.
    """
    group = self.autoscaling_groups[group_name]
    if "AddToLoadBalancer" in _suspended(group):
        return
    running = [s for s in group.active_instances() if s.instance.state == "running"]
    for arn in group.target_group_arns:
        new = [s for s in running if arn not in s.__dict__.setdefault(_REGISTERED, set())]
        port = self.elbv2_backend.target_groups[arn].port
        self.elbv2_backend.register_targets(arn, [{"Id": s.instance.id, "Port": port} for s in new])
        for state in new:
            state.__dict__[_REGISTERED].add(arn)


def keep_until_health_check(self: Any, instance_ids: list[str]) -> None:
    """A terminated member stays in its group until the health check; moto replaces it within the same call."""


def set_instance_health(self: Any, instance_id: str, health_status: str) -> None:
    """Mark a member; an unhealthy one is replaced, which moto leaves out."""
    _set_health(self, instance_id, health_status)
    if health_status == "Unhealthy":
        _replace_unhealthy(self, self.ec2_backend.get_instance(instance_id).autoscaling_group)


def resume_processes(self: Any, group_name: str, scaling_processes: list[str]) -> None:
    """Resume, and launch what is missing; moto leaves the group short until its capacity is next set."""
    _resume(self, group_name, scaling_processes)
    group = self.autoscaling_groups[group_name]
    group.set_desired_capacity(group.desired_capacity)


def terminate_instance(self: Any, instance_id: str, should_decrement: bool) -> Any:
    """Terminate a member; refuse as AWS does an instance of no group, and to go below the minimum."""
    groups = self.autoscaling_groups.values()
    group = next((g for g in groups if any(s.instance.id == instance_id for s in g.instance_states)), None)
    if group is None:
        raise ValidationError(f"Instance Id not found - No managed instance found for instance ID: {instance_id}")
    if should_decrement and group.desired_capacity - 1 < group.min_size:
        raise ValidationError(
            "Currently, desiredSize equals minSize. Terminating instance without replacement will violate "
            f"group's min size constraint. Either set shouldDecrementDesiredCapacity flag to false or lower "
            f"group's min size ({group.min_size})."
        )
    return _terminate(self, instance_id, should_decrement)


def detach_instances(self: Any, group_name: str, instance_ids: list[str], should_decrement: bool) -> Any:
    """Detach members, from the load balancer too, where moto leaves them."""
    activities = _detach(self, group_name, instance_ids, should_decrement)
    _deregister(self, group_name, instance_ids)
    return activities


def enter_standby_instances(self: Any, group_name: str, instance_ids: list[str], should_decrement: bool) -> Any:
    """Put members on standby, out of the load balancer, where moto leaves them; leaving it registers them again."""
    activities = _enter_standby(self, group_name, instance_ids, should_decrement)
    for state in self.autoscaling_groups[group_name].instance_states:
        if state.instance.id in instance_ids:
            state.__dict__.pop(_REGISTERED, None)
    _deregister(self, group_name, instance_ids)
    return activities


def _deregister(backend: Any, group_name: str, instance_ids: list[str]) -> None:
    for arn in backend.autoscaling_groups[group_name].target_group_arns:
        targets = backend.elbv2_backend.target_groups[arn]
        targets.deregister([{"Id": i} for i in instance_ids if i in targets.targets])


CORRECTIONS: tuple[tuple[type, str, Any], ...] = (
    (FakeAutoScalingGroup, "replace_autoscaling_group_instances", launch),
    (InstanceState, "launch_template", property(template_launched_from)),
    (AutoScalingBackend, "update_attached_target_groups", register_running_members),
    (AutoScalingBackend, "notify_terminate_instances", keep_until_health_check),
    (AutoScalingBackend, "set_instance_health", set_instance_health),
    (AutoScalingBackend, "resume_processes", resume_processes),
    (AutoScalingBackend, "terminate_instance", terminate_instance),
    (AutoScalingBackend, "detach_instances", detach_instances),
    (AutoScalingBackend, "enter_standby_instances", enter_standby_instances),
)
"""What ``apply`` puts into moto's classes: the class, the attribute, what it becomes."""

"""Where moto answers otherwise than AWS in ways that decide whether healing works, made to answer as AWS does.

moto's Auto Scaling never notices a dead server, leaves terminated ones healthy in the load balancer, refuses to scale
a group with a stopped member, and launches everything in one zone. Auto Scaling here behaves as AWS documents it, with
one difference: its health check does not run by itself but when asked to (``run_health_checks``), so that what
stackmend does can be told from what AWS would have done a minute later.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from moto.autoscaling.exceptions import ValidationError
from moto.autoscaling.models import AutoScalingBackend, FakeAutoScalingGroup, InstanceState, autoscaling_backends
from moto.core.resource_tagging import TaggedResource
from moto.ec2.exceptions import InvalidLaunchTemplateIdNotFound
from moto.ec2.models import EC2Backend
from moto.ec2.models.core import TaggedEC2Resource
from moto.ec2.models.instances import MetadataOptions
from moto.ec2.models.launch_templates import LaunchTemplate, LaunchTemplateBackend
from moto.ec2.responses.launch_templates import LaunchTemplates
from moto.elbv2.models import (
    ELBv2Backend,
    FakeHealthStatus,
    FakeListener,
    FakeLoadBalancer,
    FakeTargetGroup,
    elbv2_backends,
)
from moto.events.models import EventsBackend
from moto.sqs.models import Queue

from sandbox import application

_launch = FakeAutoScalingGroup.replace_autoscaling_group_instances
_template: Any = InstanceState.launch_template
_register = AutoScalingBackend.update_attached_target_groups
_set_health = AutoScalingBackend.set_instance_health
_resume = AutoScalingBackend.resume_processes
_terminate = AutoScalingBackend.terminate_instance
_detach = AutoScalingBackend.detach_instances
_enter_standby = AutoScalingBackend.enter_standby_instances
_target_health = ELBv2Backend.describe_target_health
_health_of = FakeTargetGroup.health_for
_int_param = LaunchTemplates._get_int_param
_new_template: Any = LaunchTemplate.__init__
_templates: Any = LaunchTemplateBackend.describe_launch_templates
_new_groups: Any = EC2Backend.modify_instance_security_groups
_set_attributes: Any = Queue._set_attributes
_tagged_buses: Any = EventsBackend.iter_tagged_resources


def apply() -> None:
    """Put the corrections into moto's classes, for the life of this process."""
    corrections: tuple[tuple[type, str, Any], ...] = (
        (FakeAutoScalingGroup, "replace_autoscaling_group_instances", launch),
        (InstanceState, "launch_template", property(template_launched_from)),
        (AutoScalingBackend, "update_attached_target_groups", register_running_members),
        (AutoScalingBackend, "notify_terminate_instances", keep_until_health_check),
        (AutoScalingBackend, "set_instance_health", set_instance_health),
        (AutoScalingBackend, "resume_processes", resume_processes),
        (AutoScalingBackend, "terminate_instance", terminate_instance),
        (AutoScalingBackend, "detach_instances", detach_instances),
        (AutoScalingBackend, "enter_standby_instances", enter_standby_instances),
        (ELBv2Backend, "describe_target_health", describe_target_health),
        (FakeTargetGroup, "health_for", health_of_target),
        (FakeLoadBalancer, "load_balancer_state", property(state_of_balancer)),
        (FakeListener, "ssl_policy", property(policy_of_listener, set_policy_of_listener)),
        (LaunchTemplates, "_get_int_param", unlimited_page),
        (LaunchTemplateBackend, "describe_launch_templates", described_templates),
        (LaunchTemplate, "__init__", without_own_tags),
        (LaunchTemplate, "tags", property(tags_of, lambda _self, _tags: None)),
        (TaggedEC2Resource, "get_tags", tags_of),
        (EC2Backend, "modify_instance_security_groups", modify_instance_security_groups),
        (Queue, "_set_attributes", set_queue_attributes),
        (EventsBackend, "iter_tagged_resources", tagged_events),
    )
    for owner, name, correction in corrections:
        setattr(owner, name, correction)


# --- Auto Scaling ------------------------------------------------------------------------------------------


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
    """Register the members in service that run; moto registers all, and fails the call if one of them is stopped."""
    group = self.autoscaling_groups[group_name]
    if "AddToLoadBalancer" in _suspended(group):
        return
    everyone = group.instance_states
    group.instance_states = [s for s in group.active_instances() if s.instance.state == "running"]
    try:
        _register(self, group_name)
    finally:
        group.instance_states = everyone


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
    _deregister(self, group_name, instance_ids)
    return activities


def _deregister(backend: Any, group_name: str, instance_ids: list[str]) -> None:
    for arn in backend.autoscaling_groups[group_name].target_group_arns:
        targets = backend.elbv2_backend.target_groups[arn]
        targets.deregister([{"Id": i} for i in instance_ids if i in targets.targets])


# --- load balancing ----------------------------------------------------------------------------------------


def describe_target_health(self: Any, target_group_arn: str, targets: list[dict[str, Any]]) -> Any:
    """Target health without terminated servers, which moto goes on calling healthy."""
    group = self.target_groups.get(target_group_arn)
    if group is not None:
        instances = {i: group.ec2_backend.get_instance_by_id(i) for i in group.targets}
        group.deregister_terminated_instances([i for i, x in instances.items() if x and x.state == "terminated"])
    return _target_health(self, target_group_arn, targets)


def health_of_target(self: Any, target: dict[str, Any], ec2_backend: Any) -> FakeHealthStatus:
    """A target's health; that of a running server is what its application's tag says."""
    health = _health_of(self, target, ec2_backend)
    if health.status != "healthy":
        return health
    instance = ec2_backend.get_instance_by_id(target["Id"])
    if instance is None:
        return health
    said = _tag(ec2_backend, instance.id) or _tag(ec2_backend, instance.image_id) or "up"
    if said not in application.STATES:
        return health
    return FakeHealthStatus(health.instance_id, health.port, health.health_check_port, *application.STATES[said])


def state_of_balancer(self: Any) -> dict[str, str]:
    """The load balancer's state; a tag says that it failed."""
    account, region = self.arn.split(":")[4], self.arn.split(":")[3]
    tags = elbv2_backends[account][region].tagging_service.get_tag_dict_for_resource(self.arn)
    if tags.get(application.BALANCER) == "failed":
        return {"Code": "failed", "Reason": "it could not be set up"}
    return {"Code": self.state}


def policy_of_listener(self: Any) -> str | None:
    """The TLS policy, which only listeners with TLS have; moto shows a default for all."""
    policy: str | None = vars(self)["ssl_policy"]
    return policy if self.protocol in ("HTTPS", "TLS") else None


def set_policy_of_listener(self: Any, policy: str | None) -> None:
    """Keep the policy even while the protocol has no use for it."""
    vars(self)["ssl_policy"] = policy


def _tag(ec2_backend: Any, resource_id: str) -> str | None:
    value: str | None = ec2_backend.tags.get(resource_id, {}).get(application.TAG)
    return value


# --- EC2 ---------------------------------------------------------------------------------------------------


def without_own_tags(
    self: Any, backend: Any, name: str, template_data: dict[str, Any], *rest: Any, **named: Any
) -> None:
    """A template's own tags are not among those that its instances get; moto puts both into the first version."""
    specifications = template_data.get("TagSpecifications", [])
    template_data["TagSpecifications"] = [s for s in specifications if s["ResourceType"] != "launch-template"]
    _new_template(self, backend, name, template_data, *rest, **named)


def described_templates(
    self: Any, template_names: list[str] | None = None, template_ids: list[str] | None = None, filters: Any = None
) -> Any:
    """An id that no template has is an error on AWS; moto passes over it."""
    if unknown := [i for i in template_ids or () if i not in self.launch_templates]:
        raise InvalidLaunchTemplateIdNotFound(unknown[0])
    return _templates(self, template_names, template_ids, filters)


def unlimited_page(self: Any, name: str, default: int | None = None) -> int | None:
    """moto answers 15 launch templates or versions and no token for the others; nothing on AWS does that."""
    value: int | None = _int_param(self, name, 1_000_000 if name == "MaxResults" else default)
    return value


def modify_instance_security_groups(self: Any, instance_id: str, new_group_id_list: list[str]) -> Any:
    """An instance's security groups are those of its interface, where moto leaves the former ones, too."""
    instance = _new_groups(self, instance_id, new_group_id_list)
    for interface in instance.nics.values():
        interface._group_set = list(instance.security_groups)
    return instance


def set_queue_attributes(self: Any, attributes: dict[str, Any], now: float | None = None) -> None:
    """What a call does not name stays as it is; moto then drops the queue's policy."""
    kept = {"Policy": self.policy} if hasattr(self, "_policy_json") and "Policy" not in attributes else {}
    _set_attributes(self, {**attributes, **kept}, now)


def tagged_events(self: Any) -> Iterator[TaggedResource]:
    """The index of tags knows the rules of a bus too; moto's has only the buses."""
    yield from _tagged_buses(self)
    for bus in self.event_buses.values():
        for rule in bus.rules.values():
            tags = self.tagger.get_tag_dict_for_resource(rule.arn)
            yield TaggedResource(arn=rule.arn, tags=tags, resource_type="events:rule")


def tags_of(self: Any) -> list[dict[str, Any]]:
    """A resource's tags as they are now, looked up.

    moto searches all tags of the account for each resource of a listing, and shows those a launch template began with.
    """
    if not self.id:
        return []
    found: list[dict[str, Any]] = self.ec2_backend.tags.get(self.id, {}).items()
    return [{"resource_id": self.id, "key": k, "resource_type": "", "value": v} for k, v in found]

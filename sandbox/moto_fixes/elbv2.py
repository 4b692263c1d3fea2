"""Load balancing as AWS answers it: servers that are gone are not healthy, and an application can fail."""

from __future__ import annotations

from typing import Any

from moto.elbv2.models import (
    ELBv2Backend,
    FakeHealthStatus,
    FakeListener,
    FakeLoadBalancer,
    FakeTargetGroup,
    elbv2_backends,
)

from sandbox import application

_target_health = ELBv2Backend.describe_target_health
_health_of = FakeTargetGroup.health_for


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


CORRECTIONS: tuple[tuple[type, str, Any], ...] = (
    (ELBv2Backend, "describe_target_health", describe_target_health),
    (FakeTargetGroup, "health_for", health_of_target),
    (FakeLoadBalancer, "load_balancer_state", property(state_of_balancer)),
    (FakeListener, "ssl_policy", property(policy_of_listener, set_policy_of_listener)),
)
"""What ``apply`` puts into moto's classes: the class, the attribute, what it becomes."""

"""One tenant's whole world: its parts, joined."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi

from components.compute import Compute, ComputeArgs
from components.ingress import Ingress, IngressArgs
from components.network import Network, NetworkArgs
from components.observability import Observability, ObservabilityArgs
from components.scope import Scope
from components.storage import Storage, StorageArgs


@dataclass(frozen=True, slots=True)
class TenantArgs:
    """What a Tenant is made of."""

    scope: Scope
    zone_a: pulumi.Input[str]
    zone_b: pulumi.Input[str]
    image_id: pulumi.Input[str]
    alarm_topic_arn: pulumi.Input[str]


class Tenant(pulumi.ComponentResource):
    """Everything of one tenant, with what its people need to know in ``outputs``."""

    outputs: dict[str, pulumi.Output[str]]
    """``url``, ``bucket``, ``log_group``, ``vpc_id``, ``servers`` (the name of the auto scaling group)."""

    def __init__(self, name: str, args: TenantArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("stackmend:index:Tenant", name, None, opts)
        scope = args.scope
        child = pulumi.ResourceOptions(parent=self)
        network = Network(scope.name("network"), NetworkArgs(scope, zone_a=args.zone_a, zone_b=args.zone_b), child)
        storage = Storage(scope.name("storage"), StorageArgs(scope), child)
        ingress = Ingress(
            scope.name("ingress"),
            IngressArgs(
                scope,
                vpc_id=network.vpc_id,
                public_subnet_ids=network.public_subnet_ids,
                internet_route=network.internet_route,
            ),
            child,
        )
        observability = Observability(
            scope.name("observability"),
            ObservabilityArgs(
                scope,
                key_arn=storage.key_arn,
                load_balancer_suffix=ingress.load_balancer_suffix,
                target_group_suffix=ingress.target_group_suffix,
                alarm_topic_arn=args.alarm_topic_arn,
            ),
            child,
        )
        compute = Compute(
            scope.name("compute"),
            ComputeArgs(
                scope,
                vpc_id=network.vpc_id,
                private_subnet_ids=network.private_subnet_ids,
                load_balancer_security_group_id=ingress.security_group_id,
                target_group_arn=ingress.target_group_arn,
                listener=ingress.listener,
                bucket_arn=storage.bucket_arn,
                key_arn=storage.key_arn,
                image_id=args.image_id,
            ),
            child,
        )
        self.outputs = {
            "url": pulumi.Output.concat("https://", ingress.dns_name),
            "bucket": storage.bucket_name,
            "log_group": observability.log_group_name,
            "vpc_id": network.vpc_id,
            "servers": compute.group_name,
        }
        self.register_outputs(self.outputs)

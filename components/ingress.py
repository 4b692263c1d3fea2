"""The way in: the load balancer, which is all of a tenant that the internet can reach."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
from pulumi_aws import ec2, lb

from components.scope import Scope
from tenancy.tiers import TIERS


@dataclass(frozen=True, slots=True)
class IngressArgs:
    """What an Ingress is made of."""

    scope: Scope
    vpc_id: pulumi.Input[str]
    public_subnet_ids: Sequence[pulumi.Input[str]]
    """In two availability zones at least."""
    internet_route: pulumi.Resource
    app_port: int = 8080
    """The TCP port on which the servers speak HTTP."""
    health_path: str = "/healthz"
    """Answers 200 when the server can serve."""


class Ingress(pulumi.ComponentResource):
    """An internet-facing load balancer that ends TLS, sends HTTP to HTTPS, and forwards to healthy servers."""

    security_group_id: pulumi.Output[str]
    dns_name: pulumi.Output[str]
    load_balancer_suffix: pulumi.Output[str]
    """The part of the ARN that CloudWatch dimensions use."""
    target_group_arn: pulumi.Output[str]
    target_group_suffix: pulumi.Output[str]
    listener: pulumi.Resource
    """Servers behind the target group count as checked only once this forwards to it."""

    def __init__(self, name: str, args: IngressArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("stackmend:index:Ingress", name, None, opts)
        scope = args.scope
        child = pulumi.ResourceOptions(parent=self)
        group = self._security_group(args)
        balancer = lb.LoadBalancer(
            scope.name("alb"),
            internal=False,
            load_balancer_type="application",
            security_groups=[group.id],
            subnets=args.public_subnet_ids,
            drop_invalid_header_fields=True,
            tags=scope.tags("alb"),
            # AWS refuses an internet-facing load balancer in a VPC without an internet gateway.
            opts=pulumi.ResourceOptions(parent=self, depends_on=[args.internet_route]),
        )
        targets = lb.TargetGroup(
            scope.name("api"),
            port=args.app_port,
            protocol="HTTP",
            vpc_id=args.vpc_id,
            target_type="instance",
            deregistration_delay=TIERS[scope.tenant.tier].drain_seconds,
            health_check=lb.TargetGroupHealthCheckArgs(
                path=args.health_path,
                port="traffic-port",
                protocol="HTTP",
                interval=10,
                timeout=5,
                healthy_threshold=2,
                unhealthy_threshold=3,
                matcher="200",
            ),
            tags=scope.tags("api"),
            opts=child,
        )
        self.listener = lb.Listener(
            scope.name("https"),
            load_balancer_arn=balancer.arn,
            port=443,
            protocol="HTTPS",
            ssl_policy="ELBSecurityPolicy-TLS13-1-2-2021-06",
            certificate_arn=scope.tenant.certificate_arn,
            default_actions=[lb.ListenerDefaultActionArgs(type="forward", target_group_arn=targets.arn)],
            tags=scope.tags("https"),
            opts=child,
        )
        to_https = lb.ListenerDefaultActionRedirectArgs(port="443", protocol="HTTPS", status_code="HTTP_301")
        lb.Listener(
            scope.name("http"),
            load_balancer_arn=balancer.arn,
            port=80,
            protocol="HTTP",
            default_actions=[lb.ListenerDefaultActionArgs(type="redirect", redirect=to_https)],
            tags=scope.tags("http"),
            opts=child,
        )
        self.security_group_id, self.dns_name = group.id, balancer.dns_name
        self.load_balancer_suffix, self.target_group_suffix = balancer.arn_suffix, targets.arn_suffix
        self.target_group_arn = targets.arn
        self.register_outputs({"dnsName": self.dns_name, "targetGroupArn": self.target_group_arn})

    def _security_group(self, args: IngressArgs) -> ec2.SecurityGroup:
        """From the internet to the two listeners, and on to the servers' port.

        The way on is by address, not by the servers' security group: that one names this one, and two groups that
        name each other in inline rules can be neither made nor deleted in any order.
        """
        scope = args.scope
        return ec2.SecurityGroup(
            scope.name("alb-sg"),
            vpc_id=args.vpc_id,
            description=f"Load balancer of {scope.tenant.name}",
            ingress=[
                ec2.SecurityGroupIngressArgs(
                    description=description, protocol="tcp", from_port=port, to_port=port, cidr_blocks=["0.0.0.0/0"]
                )
                for port, description in ((443, "HTTPS from the internet"), (80, "HTTP, sent on to HTTPS"))
            ],
            egress=[
                ec2.SecurityGroupEgressArgs(
                    description="The servers",
                    protocol="tcp",
                    from_port=args.app_port,
                    to_port=args.app_port,
                    cidr_blocks=[str(scope.tenant.cidr)],
                )
            ],
            tags=scope.tags("alb-sg"),
            opts=pulumi.ResourceOptions(parent=self),
        )

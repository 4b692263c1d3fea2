"""The servers: a group of equal, replaceable machines without any state of their own."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
from pulumi_aws import autoscaling, ec2, iam

from components.scope import Scope
from tenancy.tiers import TIERS


@dataclass(frozen=True, slots=True)
class ComputeArgs:
    """What a Compute is made of."""

    scope: Scope
    vpc_id: pulumi.Input[str]
    private_subnet_ids: Sequence[pulumi.Input[str]]
    load_balancer_security_group_id: pulumi.Input[str]
    target_group_arn: pulumi.Input[str]
    listener: pulumi.Resource
    bucket_arn: pulumi.Input[str]
    key_arn: pulumi.Input[str]
    image_id: pulumi.Input[str]
    """Holds the whole server: it serves HTTP on ``app_port`` at boot and needs nothing from outside."""
    app_port: int = 8080
    volume_gib: int = 20


class Compute(pulumi.ComponentResource):
    """An auto scaling group in the private subnets, behind the load balancer, with a role of its own."""

    group_name: pulumi.Output[str]

    def __init__(self, name: str, args: ComputeArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("stackmend:index:Compute", name, None, opts)
        self._args = args
        self._child = pulumi.ResourceOptions(parent=self)
        scope, size = args.scope, args.scope.tenant.size
        rights, profile = self._identity()
        template = self._template(profile)
        group = autoscaling.Group(
            scope.name("servers"),
            min_size=size.min,
            max_size=size.max,
            desired_capacity=size.desired,
            vpc_zone_identifiers=args.private_subnet_ids,
            health_check_type="ELB",
            health_check_grace_period=TIERS[scope.tenant.tier].health_check_grace_seconds,
            # Said so that it is a drift if somebody suspends one: the group would no longer replace lost servers.
            suspended_processes=[],
            target_group_arns=[args.target_group_arn],
            launch_template=autoscaling.GroupLaunchTemplateArgs(id=template.id, version="$Default"),
            tags=[
                autoscaling.GroupTagArgs(key=key, value=value, propagate_at_launch=True)
                for key, value in scope.tags("servers").items()
            ],
            # A server that starts before it has its rights, or before anything forwards to it, starts in vain.
            opts=pulumi.ResourceOptions(parent=self, depends_on=[rights, args.listener]),
        )
        self.group_name = group.name
        self.register_outputs({"groupName": self.group_name})

    def _identity(self) -> tuple[iam.RolePolicy, iam.InstanceProfile]:
        scope = self._args.scope
        role = iam.Role(
            scope.name("server"), assume_role_policy=_ASSUMED_BY_EC2, tags=scope.tags("server"), opts=self._child
        )
        rights = iam.RolePolicy(scope.name("server"), role=role.name, policy=role_policy(self._args), opts=self._child)
        profile = iam.InstanceProfile(scope.name("server"), role=role.name, tags=scope.tags("server"), opts=self._child)
        return rights, profile

    def _template(self, profile: iam.InstanceProfile) -> ec2.LaunchTemplate:
        args, scope = self._args, self._args.scope
        group = ec2.SecurityGroup(
            scope.name("server-sg"),
            vpc_id=args.vpc_id,
            description=f"Servers of {scope.tenant.name}",
            ingress=[
                ec2.SecurityGroupIngressArgs(
                    description="The load balancer",
                    protocol="tcp",
                    from_port=args.app_port,
                    to_port=args.app_port,
                    security_groups=[args.load_balancer_security_group_id],
                )
            ],
            egress=[
                ec2.SecurityGroupEgressArgs(
                    description="HTTPS", protocol="tcp", from_port=443, to_port=443, cidr_blocks=["0.0.0.0/0"]
                )
            ],
            tags=scope.tags("server-sg"),
            opts=self._child,
        )
        tags = scope.tags("server")
        # Encrypted with the account's default key: Auto Scaling has no grant on the tenant's key.
        volume = ec2.LaunchTemplateBlockDeviceMappingEbsArgs(
            encrypted="true", volume_size=args.volume_gib, volume_type="gp3", delete_on_termination="true"
        )
        return ec2.LaunchTemplate(
            scope.name("server"),
            image_id=args.image_id,
            instance_type=scope.tenant.instance_type,
            iam_instance_profile=ec2.LaunchTemplateIamInstanceProfileArgs(arn=profile.arn),
            vpc_security_group_ids=[group.id],
            # IMDSv2 only, and not from inside a container: a request that a server was tricked into brings no keys.
            metadata_options=ec2.LaunchTemplateMetadataOptionsArgs(
                http_endpoint="enabled", http_tokens="required", http_put_response_hop_limit=1
            ),
            block_device_mappings=[ec2.LaunchTemplateBlockDeviceMappingArgs(device_name="/dev/xvda", ebs=volume)],
            monitoring=ec2.LaunchTemplateMonitoringArgs(enabled=True),
            tag_specifications=[
                ec2.LaunchTemplateTagSpecificationArgs(resource_type=kind, tags=tags) for kind in ("instance", "volume")
            ],
            update_default_version=True,
            tags=tags,
            opts=self._child,
        )


_ASSUMED_BY_EC2 = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}],
    }
)


def role_policy(args: ComputeArgs) -> pulumi.Output[str]:
    """The servers' rights: objects of the own bucket, the own key through S3 only, streams of the own log group."""
    scope = args.scope
    return pulumi.Output.json_dumps(
        {
            "Version": "2012-10-17",
            "Statement": [
                {"Sid": "ListBucket", "Effect": "Allow", "Action": "s3:ListBucket", "Resource": args.bucket_arn},
                {
                    "Sid": "UseObjects",
                    "Effect": "Allow",
                    "Action": ["s3:GetObject", "s3:PutObject", "s3:DeleteObject"],
                    "Resource": pulumi.Output.concat(args.bucket_arn, "/*"),
                },
                {
                    "Sid": "UseKeyThroughS3",
                    "Effect": "Allow",
                    "Action": ["kms:Decrypt", "kms:GenerateDataKey"],
                    "Resource": args.key_arn,
                    "Condition": {"StringEquals": {"kms:ViaService": f"s3.{scope.region}.amazonaws.com"}},
                },
                {
                    "Sid": "WriteLogs",
                    "Effect": "Allow",
                    "Action": ["logs:CreateLogStream", "logs:PutLogEvents"],
                    "Resource": pulumi.Output.concat(scope.log_group_arn, ":*"),
                },
            ],
        }
    )

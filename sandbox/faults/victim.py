"""Finds what a fault strikes: one tenant's live resources, by tags and names, as anybody with AWS access could."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config

from reconciler.errors import StackmendError
from tenancy import tags

if TYPE_CHECKING:
    from mypy_boto3_autoscaling import AutoScalingClient
    from mypy_boto3_cloudwatch import CloudWatchClient
    from mypy_boto3_ec2 import EC2Client
    from mypy_boto3_elbv2 import ElasticLoadBalancingv2Client
    from mypy_boto3_iam import IAMClient
    from mypy_boto3_kms import KMSClient
    from mypy_boto3_logs import CloudWatchLogsClient
    from mypy_boto3_resourcegroupstaggingapi import ResourceGroupsTaggingAPIClient
    from mypy_boto3_s3 import S3Client


class VictimNotFound(StackmendError):
    """The tenant has no such resource now: never deployed, or broken already."""


class Victim:
    """One tenant of one cell, as AWS shows it. Nothing is remembered but the clients, so every answer is of now."""

    def __init__(
        self, session: boto3.Session, tenant: str, cell: str, *, endpoint_url: str | None = None, actor: str = ""
    ) -> None:
        self.tenant, self.cell = tenant, cell
        self._session, self._endpoint_url = session, endpoint_url
        self._config = Config(user_agent_extra=f"sandbox-actor/{actor}") if actor else None

    @cached_property
    def ec2(self) -> EC2Client:
        return self._session.client("ec2", endpoint_url=self._endpoint_url, config=self._config)

    @cached_property
    def s3(self) -> S3Client:
        return self._session.client("s3", endpoint_url=self._endpoint_url, config=self._config)

    @cached_property
    def kms(self) -> KMSClient:
        return self._session.client("kms", endpoint_url=self._endpoint_url, config=self._config)

    @cached_property
    def iam(self) -> IAMClient:
        return self._session.client("iam", endpoint_url=self._endpoint_url, config=self._config)

    @cached_property
    def autoscaling(self) -> AutoScalingClient:
        return self._session.client("autoscaling", endpoint_url=self._endpoint_url, config=self._config)

    @cached_property
    def elbv2(self) -> ElasticLoadBalancingv2Client:
        return self._session.client("elbv2", endpoint_url=self._endpoint_url, config=self._config)

    @cached_property
    def cloudwatch(self) -> CloudWatchClient:
        return self._session.client("cloudwatch", endpoint_url=self._endpoint_url, config=self._config)

    @cached_property
    def logs(self) -> CloudWatchLogsClient:
        return self._session.client("logs", endpoint_url=self._endpoint_url, config=self._config)

    @cached_property
    def _tagging(self) -> ResourceGroupsTaggingAPIClient:
        return self._session.client("resourcegroupstaggingapi", endpoint_url=self._endpoint_url, config=self._config)

    def arn(self, resource_type: str, part: str) -> str:
        """The ARN of the tenant's resource named ``<tenant>-<part>``; ``resource_type`` is as in ``ec2:vpc``.

        Raises VictimNotFound.
        """
        filters: Any = [{"Key": key, "Values": [value]} for key, value in self._owned(part).items()]
        pages = self._tagging.get_paginator("get_resources").paginate(
            TagFilters=filters, ResourceTypeFilters=[resource_type]
        )
        for page in pages:
            for row in page["ResourceTagMappingList"]:
                return row["ResourceARN"]
        raise self.missing(f"{self.tenant}-{part}", resource_type)

    def id(self, resource_type: str, part: str) -> str:
        """The last part of that ARN: the id of an EC2 resource, the name of a bucket or of a group."""
        return self.arn(resource_type, part).rpartition("/")[2].rpartition(":")[2]

    def members(self) -> list[str]:
        """Instance ids of the fleet's members that run, oldest first. Raises VictimNotFound if none does."""
        groups = self.autoscaling.describe_auto_scaling_groups(AutoScalingGroupNames=[self.group()])
        ids = [i["InstanceId"] for g in groups["AutoScalingGroups"] for i in g["Instances"]]
        rows = self.ec2.describe_instances(InstanceIds=ids)["Reservations"] if ids else []
        running = {i["InstanceId"] for r in rows for i in r["Instances"] if i["State"]["Name"] == "running"}
        if not running:
            raise self.missing("running servers", "ec2:instance")
        return [i for i in ids if i in running]

    def group(self) -> str:
        """The name of the auto scaling group. The tagging service knows neither groups nor launch templates."""
        groups = self.autoscaling.describe_auto_scaling_groups(Filters=self._named("servers"))["AutoScalingGroups"]
        if not groups:
            raise self.missing(f"{self.tenant}-servers", "autoscaling:autoScalingGroup")
        return groups[0]["AutoScalingGroupName"]

    def launch_template(self) -> str:
        """The id of the servers' launch template."""
        templates = self.ec2.describe_launch_templates(Filters=self._named("server"))["LaunchTemplates"]
        if not templates:
            raise self.missing(f"{self.tenant}-server", "ec2:launch-template")
        return templates[0]["LaunchTemplateId"]

    def _named(self, part: str) -> Any:
        return [{"Name": f"tag:{key}", "Values": [value]} for key, value in self._owned(part).items()]

    def _owned(self, part: str) -> dict[str, str]:
        return {tags.TENANT: self.tenant, tags.CELL: self.cell, tags.NAME: f"{self.tenant}-{part}"}

    def listener(self, port: int) -> str:
        """The ARN of the load balancer's listener on ``port``."""
        balancer = self.arn("elasticloadbalancing:loadbalancer", "alb")
        for row in self.elbv2.describe_listeners(LoadBalancerArn=balancer)["Listeners"]:
            if row["Port"] == port:
                return row["ListenerArn"]
        raise self.missing(f"port {port}", "elasticloadbalancing:listener")

    def key(self) -> str:
        """The id of the tenant's key."""
        return self.id("kms:key", "key")

    def role(self) -> str:
        """The name of the servers' role."""
        for page in self.iam.get_paginator("list_roles").paginate():
            for role in page["Roles"]:
                found = {t["Key"]: t["Value"] for t in self.iam.list_role_tags(RoleName=role["RoleName"])["Tags"]}
                if found.get(tags.TENANT) == self.tenant and found.get(tags.CELL) == self.cell:
                    return role["RoleName"]
        raise self.missing(f"{self.tenant}-server", "iam:role")

    def missing(self, what: str, resource_type: str) -> VictimNotFound:
        return VictimNotFound(
            f"found no {what} ({resource_type}) to break",
            where=f"tenant {self.tenant} of cell {self.cell}",
            todo="python -m sandbox status shows what runs; an earlier fault may have removed it",
        )

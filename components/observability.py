"""What a tenant's operators see: the API's log group, and the alarms on what its users would notice."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
from pulumi_aws import cloudwatch

from components.scope import Scope
from tenancy.regimes import log_retention_days
from tenancy.tiers import TIERS


@dataclass(frozen=True, slots=True)
class ObservabilityArgs:
    """What an Observability is made of."""

    scope: Scope
    key_arn: pulumi.Input[str]
    load_balancer_suffix: pulumi.Input[str]
    target_group_suffix: pulumi.Input[str]
    alarm_topic_arn: pulumi.Input[str]


class Observability(pulumi.ComponentResource):
    """An encrypted log group that is kept as long as the tenant's regimes demand, and three alarms."""

    log_group_name: pulumi.Output[str]

    def __init__(self, name: str, args: ObservabilityArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("stackmend:index:Observability", name, None, opts)
        scope = args.scope
        self._args = args
        logs = cloudwatch.LogGroup(
            scope.name("api"),
            name=scope.log_group_name,
            kms_key_id=args.key_arn,
            retention_in_days=log_retention_days(scope.tenant.regimes),
            tags=scope.tags("api"),
            opts=pulumi.ResourceOptions(parent=self, protect=scope.protect_data),
        )
        tier = TIERS[scope.tenant.tier]
        # Without a single target AWS sends no data for this metric, and then nobody serves: missing data is an alarm.
        # For the other two, missing data means that there was no request, or no error.
        self._alarm(
            "unhealthy-hosts",
            "A server fails its health check, or there is none",
            metric="UnHealthyHostCount",
            threshold=0,
            statistic={"statistic": "Maximum"},
            missing_data="breaching",
        )
        self._alarm(
            "5xx",
            f"The servers answer more than {tier.server_errors_per_minute} errors a minute",
            metric="HTTPCode_Target_5XX_Count",
            threshold=tier.server_errors_per_minute,
            statistic={"statistic": "Sum"},
            missing_data="notBreaching",
        )
        self._alarm(
            "latency",
            f"One response in a hundred takes more than {tier.p99_latency_seconds:g} s",
            metric="TargetResponseTime",
            threshold=tier.p99_latency_seconds,
            statistic={"extended_statistic": "p99"},
            missing_data="notBreaching",
        )
        self.log_group_name = logs.name
        self.register_outputs({"logGroup": self.log_group_name})

    def _alarm(
        self,
        suffix: str,
        description: str,
        *,
        metric: str,
        threshold: float,
        statistic: Mapping[str, str],
        missing_data: str,
    ) -> None:
        """An alarm when the metric is over the threshold in three of the last five minutes."""
        args, scope = self._args, self._args.scope
        cloudwatch.MetricAlarm(
            scope.name(suffix),
            namespace="AWS/ApplicationELB",
            metric_name=metric,
            dimensions={"LoadBalancer": args.load_balancer_suffix, "TargetGroup": args.target_group_suffix},
            period=60,
            evaluation_periods=5,
            datapoints_to_alarm=3,
            threshold=threshold,
            comparison_operator="GreaterThanThreshold",
            treat_missing_data=missing_data,
            alarm_actions=[args.alarm_topic_arn],
            alarm_description=f"{scope.tenant.name} in {scope.cell}: {description}",
            tags=scope.tags(suffix),
            opts=pulumi.ResourceOptions(parent=self),
            **statistic,
        )

"""The floor: bare boto3 on 64 threads making only the calls that answer the same properties. No verdicts, no safety.

``python -m bench.floor TENANTS`` reads the world of that many tenants and prints how many rows it got.
"""

from __future__ import annotations

import json
import sys
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import boto3
from botocore.config import Config

from bench.names import REGION

THREADS = 64
SERVICES = ("autoscaling", "cloudwatch", "ec2", "elbv2", "iam", "kms", "logs", "s3", "resourcegroupstaggingapi", "sts")
LISTINGS: tuple[tuple[str, str, str, dict[str, Any]], ...] = (
    ("ec2", "describe_vpcs", "Vpcs", {"PaginationConfig": {"PageSize": 1000}}),
    ("ec2", "describe_subnets", "Subnets", {"PaginationConfig": {"PageSize": 1000}}),
    ("ec2", "describe_internet_gateways", "InternetGateways", {"PaginationConfig": {"PageSize": 1000}}),
    ("ec2", "describe_route_tables", "RouteTables", {"PaginationConfig": {"PageSize": 100}}),
    ("ec2", "describe_security_groups", "SecurityGroups", {"PaginationConfig": {"PageSize": 1000}}),
    ("ec2", "describe_launch_templates", "LaunchTemplates", {"PaginationConfig": {"PageSize": 200}}),
    (
        "ec2",
        "describe_launch_template_versions",
        "LaunchTemplateVersions",
        {"Versions": ["$Latest", "$Default"], "PaginationConfig": {"PageSize": 200}},
    ),
    ("ec2", "describe_instances", "Reservations", {"PaginationConfig": {"PageSize": 1000}}),
    ("autoscaling", "describe_auto_scaling_groups", "AutoScalingGroups", {"PaginationConfig": {"PageSize": 100}}),
    ("elbv2", "describe_load_balancers", "LoadBalancers", {"PaginationConfig": {"PageSize": 400}}),
    ("elbv2", "describe_target_groups", "TargetGroups", {"PaginationConfig": {"PageSize": 400}}),
    ("s3", "list_buckets", "Buckets", {}),
    ("kms", "list_keys", "Keys", {"PaginationConfig": {"PageSize": 1000}}),
    ("kms", "list_aliases", "Aliases", {"PaginationConfig": {"PageSize": 100}}),
    ("cloudwatch", "describe_alarms", "MetricAlarms", {"PaginationConfig": {"PageSize": 100}}),
    ("logs", "describe_log_groups", "logGroups", {"PaginationConfig": {"PageSize": 50}}),
    (
        "iam",
        "get_account_authorization_details",
        "RoleDetailList",
        {"Filter": ["Role"], "PaginationConfig": {"PageSize": 1000}},
    ),
    *(
        (
            "resourcegroupstaggingapi",
            "get_resources",
            "ResourceTagMappingList",
            {"ResourceTypeFilters": [service], "PaginationConfig": {"PageSize": 100}},
        )
        for service in ("s3", "kms", "elasticloadbalancing", "cloudwatch", "logs")
    ),
)


def main(tenants: int) -> None:
    session = boto3.Session(region_name=REGION)
    config = Config(max_pool_connections=THREADS, retries={"mode": "standard", "max_attempts": 10})
    clients: dict[str, Any] = {name: session.client(name, config=config) for name in SERVICES}  # type: ignore[call-overload]
    with ThreadPoolExecutor(THREADS) as pool:

        def pages(service: str, operation: str, rows: str, options: dict[str, Any]) -> list[Any]:
            paginator = clients[service].get_paginator(operation)
            return [row for page in paginator.paginate(**options) for row in page[rows]]

        listings = [pool.submit(pages, *one) for one in LISTINGS]
        by_name = {f"{one[0]}:{one[1]}": future for one, future in zip(LISTINGS, listings, strict=True)}
        each: list[Future[Any]] = [pool.submit(clients["sts"].get_caller_identity)]

        def ask(service: str, operation: str, **params: Any) -> None:
            each.append(pool.submit(getattr(clients[service], operation), **params))

        for bucket in by_name["s3:list_buckets"].result():
            for operation in ("get_bucket_versioning", "get_bucket_encryption", "get_public_access_block"):
                ask("s3", operation, Bucket=bucket["Name"])
        for vpc in by_name["ec2:describe_vpcs"].result():
            if not vpc.get("IsDefault"):
                for attribute in ("enableDnsSupport", "enableDnsHostnames"):
                    ask("ec2", "describe_vpc_attribute", VpcId=vpc["VpcId"], Attribute=attribute)
        listeners: list[Future[Any]] = []
        for balancer in by_name["elbv2:describe_load_balancers"].result():
            ask("elbv2", "describe_load_balancer_attributes", LoadBalancerArn=balancer["LoadBalancerArn"])
            listeners.append(
                pool.submit(clients["elbv2"].describe_listeners, LoadBalancerArn=balancer["LoadBalancerArn"])
            )
        each += listeners
        for group in by_name["elbv2:describe_target_groups"].result():
            ask("elbv2", "describe_target_group_attributes", TargetGroupArn=group["TargetGroupArn"])
            ask("elbv2", "describe_target_health", TargetGroupArn=group["TargetGroupArn"])
        for key in by_name["kms:list_keys"].result():
            ask("kms", "describe_key", KeyId=key["KeyId"])
            ask("kms", "get_key_rotation_status", KeyId=key["KeyId"])
            ask("kms", "get_key_policy", KeyId=key["KeyId"], PolicyName="default")
            ask("kms", "list_grants", KeyId=key["KeyId"], Limit=100)
        for found in listeners:
            for listener in found.result()["Listeners"]:
                if listener["Protocol"] == "HTTP":
                    ask("elbv2", "describe_rules", ListenerArn=listener["ListenerArn"])
        rows = sum(len(listing.result()) for listing in listings)
        answers = sum(1 for one in each if one.result())
    print(json.dumps({"tenants": tenants, "rows": rows, "answers": answers}))


if __name__ == "__main__":
    main(int(sys.argv[1]))

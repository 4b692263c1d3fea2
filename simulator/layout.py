"""What is deployed in a simulated cell: a few tenants, each with a network, a fleet, and things that hold data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from reconciler.model import Urn
from tenancy import tags

CELL, PROJECT, ACCOUNT, REGION = "sim", "stackmend", "123456789012", "eu-central-1"

VPC = "aws:ec2/vpc:Vpc"
SUBNET = "aws:ec2/subnet:Subnet"
FIREWALL = "aws:ec2/securityGroup:SecurityGroup"
TABLE = "aws:ec2/routeTable:RouteTable"
BUCKET = "aws:s3/bucket:Bucket"
KEY = "aws:kms/key:Key"
TARGETS = "aws:lb/targetGroup:TargetGroup"
TEMPLATE = "aws:ec2/launchTemplate:LaunchTemplate"
GROUP = "aws:autoscaling/group:Group"
ALARM = "aws:cloudwatch/metricAlarm:MetricAlarm"

STATEFUL = frozenset({BUCKET, KEY})
DELETABLE = frozenset({SUBNET, FIREWALL, TABLE, ALARM})
"""What histories delete, besides what holds data."""
FREE = {
    VPC: "enableDnsSupport",
    SUBNET: "mapPublicIpOnLaunch",
    FIREWALL: "description",
    TABLE: "propagatingVgws",
    BUCKET: "requestPayer",
    KEY: "isEnabled",
    TARGETS: "deregistrationDelay",
    ALARM: "threshold",
    GROUP: "healthCheckGracePeriod",
}
"""The property of each type that somebody else changes in a history."""


@dataclass(frozen=True, slots=True)
class Ref:
    """The physical id of another resource, wherever it is by now."""

    urn: Urn


@dataclass(frozen=True)
class Blueprint:
    """One resource of the program."""

    urn: Urn
    type: str
    name: str
    tenant: str
    inputs: Mapping[str, Any] = field(default_factory=dict)

    @cached_property
    def references(self) -> frozenset[Urn]:
        return frozenset(_references(self.inputs))


def _references(value: Any) -> list[Urn]:
    if isinstance(value, Ref):
        return [value.urn]
    inner = value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else ()
    return [urn for one in inner for urn in _references(one)]


def urn(tenant: str, type_: str, name: str) -> Urn:
    return Urn(f"urn:pulumi:{CELL}::{PROJECT}::{type_}::{tenant}-{name}")


TIERS = ("gold", "silver", "bronze")
NAMES = ("acme", "blue", "corner")


def program(tenants: int, servers: int) -> dict[Urn, Blueprint]:
    """The program of a cell, in the order of its dependencies. ``servers`` is the size of each fleet."""
    found: dict[Urn, Blueprint] = {}
    for tenant, tier in list(zip(NAMES, TIERS, strict=True))[:tenants]:
        marks = {
            tags.CELL: CELL,
            tags.TENANT: tenant,
            tags.TIER: tier,
            tags.REGIME: "",
            tags.OWNER: "platform",
        }

        def add(type_: str, title: str, tenant: str = tenant, marks: Mapping[str, str] = marks, **inputs: Any) -> Ref:
            own = {**marks, tags.NAME: f"{tenant}-{title}"}
            listed = [{"key": k, "value": v, "propagateAtLaunch": False} for k, v in own.items()]
            here = urn(tenant, type_, title)
            inputs["tags"] = listed if type_ == GROUP else own
            found[here] = Blueprint(here, type_, f"{tenant}-{title}", tenant, inputs)
            return Ref(here)

        vpc = add(VPC, "vpc", cidrBlock="10.0.0.0/16", enableDnsSupport=True)
        subnets = [
            add(SUBNET, f"subnet-{zone}", vpcId=vpc, availabilityZone=REGION + zone, mapPublicIpOnLaunch=False)
            for zone in "ab"
        ]
        firewall = add(FIREWALL, "firewall", vpcId=vpc, description="api")
        add(TABLE, "table", vpcId=vpc, propagatingVgws=["vgw-1"])
        add(BUCKET, "bucket", requestPayer="BucketOwner")
        add(KEY, "key", isEnabled=True, description=f"{tenant} data")
        targets = add(TARGETS, "targets", vpcId=vpc, port=443, deregistrationDelay=30)
        template = add(TEMPLATE, "template", imageId="ami-1", vpcSecurityGroupIds=[firewall])
        group = add(
            GROUP,
            "servers",
            name=f"{tenant}-servers",
            desiredCapacity=servers,
            minSize=1,
            maxSize=servers + 2,
            healthCheckType="ELB",
            healthCheckGracePeriod=60,
            targetGroupArns=[targets],
            vpcZoneIdentifiers=subnets,
            launchTemplate={"id": template, "version": "1"},
        )
        add(ALARM, "alarm", dimensions={"group": group}, threshold=5)
    return found

"""Change events as EventBridge and CloudTrail word them, and a small declared cell that they are about."""

from __future__ import annotations

import json
import uuid
from datetime import UTC, datetime
from typing import Any

from reconciler.events.message import Change, parse
from reconciler.events.resolve import Resolver
from reconciler.model import Declared, DeclaredResource, TenantFacts, Urn

ACCOUNT, REGION = "123456789012", "eu-central-1"
NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
INTRUDER = f"arn:aws:iam::{ACCOUNT}:user/intruder"


def api_call(
    service: str = "ec2",
    name: str = "AuthorizeSecurityGroupIngress",
    parameters: Any = None,
    *,
    at: datetime = NOW,
    event_id: str = "",
    principal: Any = None,
    **record: Any,
) -> dict[str, Any]:
    """An event with the record of one API call; ``record`` replaces fields of the record."""
    detail: dict[str, Any] = {
        "eventVersion": "1.11",
        "userIdentity": principal or {"type": "IAMUser", "arn": INTRUDER, "accountId": ACCOUNT},
        "eventTime": f"{at:%Y-%m-%dT%H:%M:%SZ}",
        "eventSource": f"{service}.amazonaws.com",
        "eventName": name,
        "awsRegion": REGION,
        "sourceIPAddress": "203.0.113.7",
        "requestParameters": {"groupId": "sg-1"} if parameters is None else parameters,
        "responseElements": {"_return": True},
        "eventID": str(uuid.uuid4()),
        "readOnly": False,
    }
    event = envelope(f"aws.{service}", "AWS API Call via CloudTrail", {**detail, **record}, at=at)
    return {**event, "id": event_id or event["id"]}


def envelope(source: str, kind: str, detail: Any, *, at: datetime = NOW, resources: Any = ()) -> dict[str, Any]:
    return {
        "version": "0",
        "id": str(uuid.uuid4()),
        "detail-type": kind,
        "source": source,
        "account": ACCOUNT,
        "time": f"{at:%Y-%m-%dT%H:%M:%SZ}",
        "region": REGION,
        "resources": list(resources),
        "detail": detail,
    }


def change(event: dict[str, Any]) -> Change:
    message = parse(json.dumps(event))
    assert isinstance(message, Change), message
    return message


def resource(type_: str, name: str, id_: str, *uses: str, tenant: str = "acme", **more: Any) -> DeclaredResource:
    used = frozenset(Urn(u) for u in uses)
    return DeclaredResource(Urn(name), type_, name, id_, {}, tenant=tenant, dependencies=used, references=used, **more)


BALANCER = f"arn:aws:elasticloadbalancing:{REGION}:{ACCOUNT}:loadbalancer/app/acme/50dc6c495c0c9188"
TARGETS = f"arn:aws:elasticloadbalancing:{REGION}:{ACCOUNT}:targetgroup/acme/73e2d6bc24d8a067"

RESOURCES = (
    resource("aws:ec2/vpc:Vpc", "vpc", "vpc-1"),
    resource("aws:ec2/subnet:Subnet", "subnet", "subnet-1", "vpc"),
    resource("aws:ec2/routeTable:RouteTable", "table", "rtb-1", "vpc"),
    resource("aws:ec2/route:Route", "route", "r-rtb-11080289494", "table"),
    resource("aws:ec2/securityGroup:SecurityGroup", "firewall", "sg-1", "vpc"),
    resource("aws:s3/bucket:Bucket", "bucket", "acme-data"),
    resource("aws:s3/bucketPolicy:BucketPolicy", "policy", "acme-data", "bucket"),
    resource("aws:iam/role:Role", "role", "acme-server"),
    resource("aws:iam/rolePolicy:RolePolicy", "role-policy", "acme-server:read", "role"),
    resource("aws:kms/key:Key", "key", "1234abcd-12ab-34cd-56ef-1234567890ab"),
    resource("aws:cloudwatch/logGroup:LogGroup", "logs", "/acme/api"),
    resource("aws:lb/loadBalancer:LoadBalancer", "balancer", BALANCER, "subnet"),
    resource("aws:lb/targetGroup:TargetGroup", "targets", TARGETS, "vpc"),
    resource("aws:lb/listener:Listener", "listener", f"{BALANCER}/listener", "balancer", "targets"),
    resource("aws:autoscaling/group:Group", "servers", "acme-servers", "targets", "subnet"),
    resource("aws:cloudwatch/metricAlarm:MetricAlarm", "alarm", "acme-unhealthy", "targets"),
    resource("aws:ec2/vpc:Vpc", "other-vpc", "vpc-2", tenant="other"),
    resource("aws:ec2/securityGroup:SecurityGroup", "other-firewall", "sg-2", "other-vpc", tenant="other"),
)


def cell(*resources: DeclaredResource) -> Declared:
    chosen = resources or RESOURCES
    facts = {t: TenantFacts(t, "gold", frozenset()) for t in ("acme", "other")}
    return Declared("dev", "p", ACCOUNT, REGION, {r.urn: r for r in chosen}, facts)


def resolver() -> Resolver:
    return Resolver(cell(), {"i-0123456789abcdef0": Urn("servers")})

"""How a target group is seen: one listing for all of them, and the attributes of each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from reconciler.model import DeclaredResource, ResourceKind, Value
from reconciler.observe.aws._common import call, tagged, text, together
from reconciler.observe.aws.elbv2_common import (
    TAG_INDEX,
    TAG_PERMISSIONS,
    Attribute,
    attribute_properties,
    elb_tags,
    flag,
    number,
)
from reconciler.observe.reads import Answers, Failed, Missing, More, Observer, Owned, Read, Row, Sight

LISTING = call("elbv2", "describe_target_groups", "TargetGroups")

ATTRIBUTES = (
    Attribute("deregistration_delay.timeout_seconds", "deregistrationDelay", number),
    Attribute("deregistration_delay.connection_termination.enabled", "connectionTermination", flag),
    Attribute("lambda.multi_value_headers.enabled", "lambdaMultiValueHeadersEnabled", flag),
    Attribute("load_balancing.algorithm.anomaly_mitigation", "loadBalancingAnomalyMitigation"),
    Attribute("load_balancing.algorithm.type", "loadBalancingAlgorithmType"),
    Attribute("load_balancing.cross_zone.enabled", "loadBalancingCrossZoneEnabled"),
    Attribute("preserve_client_ip.enabled", "preserveClientIp"),
    Attribute("proxy_protocol_v2.enabled", "proxyProtocolV2", flag),
    Attribute("slow_start.duration_seconds", "slowStart", number),
    Attribute("stickiness.enabled", "stickiness.enabled", flag),
    Attribute("stickiness.type", "stickiness.type"),
    Attribute("stickiness.app_cookie.cookie_name", "stickiness.cookieName"),
    # Read apart and put together below: which of the two counts depends on the type.
    Attribute("stickiness.app_cookie.duration_seconds", "stickiness.app_cookie", number),
    Attribute("stickiness.lb_cookie.duration_seconds", "stickiness.lb_cookie", number),
    Attribute(
        "target_group_health.dns_failover.minimum_healthy_targets.count",
        "targetGroupHealth.dnsFailover.minimumHealthyTargetsCount",
    ),
    Attribute(
        "target_group_health.dns_failover.minimum_healthy_targets.percentage",
        "targetGroupHealth.dnsFailover.minimumHealthyTargetsPercentage",
    ),
    Attribute(
        "target_group_health.unhealthy_state_routing.minimum_healthy_targets.count",
        "targetGroupHealth.unhealthyStateRouting.minimumHealthyTargetsCount",
        number,
    ),
    Attribute(
        "target_group_health.unhealthy_state_routing.minimum_healthy_targets.percentage",
        "targetGroupHealth.unhealthyStateRouting.minimumHealthyTargetsPercentage",
    ),
    Attribute("target_failover.on_deregistration", "targetFailovers.onDeregistration"),
    Attribute("target_failover.on_unhealthy", "targetFailovers.onUnhealthy"),
    Attribute(
        "target_health_state.unhealthy.connection_termination.enabled",
        "targetHealthStates.enableUnhealthyConnectionTermination",
        flag,
    ),
    Attribute(
        "target_health_state.unhealthy.draining_interval_seconds",
        "targetHealthStates.unhealthyDrainingInterval",
        number,
    ),
)
"""Keys: Elastic Load Balancing API reference, TargetGroupAttribute."""


def _attributes_of(arn: str) -> Read:
    return call(
        "elbv2",
        "describe_target_group_attributes",
        "Attributes",
        absent=("TargetGroupNotFound",),
        target=arn,
        TargetGroupArn=arn,
    )


def direct(target: str, **by: list[str]) -> Read:
    return call("elbv2", "describe_target_groups", "TargetGroups", absent=("TargetGroupNotFound",), target=target, **by)


def _reads(declared: DeclaredResource) -> tuple[Read, ...]:
    return (LISTING, TAG_INDEX, _attributes_of(declared.id)) if declared.id else (LISTING,)


def _see(declared: DeclaredResource, answers: Answers) -> Sight:
    arn = declared.id
    asked = direct(arn, TargetGroupArns=[arn])
    row = answers.find(LISTING, "TargetGroupArn", arn, direct=asked)
    if not isinstance(row, Mapping):
        return row
    attributes = attribute_properties(declared, answers, _attributes_of(arn), ATTRIBUTES)
    tags = elb_tags(declared, answers, arn)
    if isinstance(attributes, More) or isinstance(tags, More):
        return together(attributes, tags)
    return {**_described(row), **_blocks(attributes, declared, str(row.get("Protocol"))), **tags}


def _described(row: Row) -> dict[str, Value]:
    matcher = row.get("Matcher", {})
    return {
        "name": row.get("TargetGroupName"),
        "port": row.get("Port"),
        "protocol": row.get("Protocol"),
        "protocolVersion": row.get("ProtocolVersion"),
        "vpcId": row.get("VpcId"),
        "targetType": row.get("TargetType"),
        "targetControlPort": row.get("TargetControlPort"),
        "ipAddressType": row.get("IpAddressType"),
        "healthCheck": {
            "enabled": row.get("HealthCheckEnabled"),
            "healthyThreshold": row.get("HealthyThresholdCount"),
            "interval": row.get("HealthCheckIntervalSeconds"),
            "matcher": matcher.get("HttpCode", matcher.get("GrpcCode")),
            "path": row.get("HealthCheckPath"),
            "port": row.get("HealthCheckPort"),
            "protocol": row.get("HealthCheckProtocol"),
            "timeout": row.get("HealthCheckTimeoutSeconds"),
            "unhealthyThreshold": row.get("UnhealthyThresholdCount"),
        },
    }


_WITHOUT_COOKIES = frozenset({"TCP", "UDP", "TCP_UDP", "TLS", "GENEVE"})
"""Protocols of which the provider ignores the duration of cookies, and fills in a default all the same."""


def _blocks(found: dict[str, Value], declared: DeclaredResource, protocol: str) -> dict[str, Value]:
    """The attributes that form blocks, in the shape the provider gives them."""
    stickiness = found.get("stickiness")
    if isinstance(stickiness, Mapping):
        durations = {kind: stickiness[kind] for kind in ("app_cookie", "lb_cookie") if kind in stickiness}
        block = {key: value for key, value in stickiness.items() if key not in durations}
        kind = block.get("type")
        if isinstance(kind, str) and kind in durations:
            block["cookieDuration"] = durations[kind]
        wanted = declared.inputs.get("stickiness")
        if protocol in _WITHOUT_COOKIES and isinstance(wanted, Mapping) and "cookieDuration" in wanted:
            block["cookieDuration"] = wanted["cookieDuration"]
        found["stickiness"] = block
    for name in ("targetFailovers", "targetHealthStates"):
        if isinstance(found.get(name), Mapping):
            found[name] = [found[name]]
    health = found.get("targetGroupHealth")
    if isinstance(health, Mapping):
        found["targetGroupHealth"] = _unfolded(health)
    return found


def _unfolded(flat: Mapping[str, Value]) -> dict[str, Value]:
    tree: dict[str, dict[str, Value]] = {}
    for path, value in flat.items():
        block, _, leaf = path.partition(".")
        tree.setdefault(block, {})[leaf] = value
    return dict(tree)


def _locate(declared: DeclaredResource, answers: Answers) -> str | Missing | Failed | More:
    name = text(declared, "name")
    if name is None:
        return Failed("the target group's name is not known")
    asked = direct(name, Names=[name])
    row = answers.find(LISTING, "TargetGroupName", name, direct=asked)
    return str(row["TargetGroupArn"]) if isinstance(row, Mapping) else row


def _owned(answers: Answers) -> Iterable[Owned]:
    found = tagged(answers, TAG_INDEX, LISTING, lambda row: str(row["TargetGroupArn"]))
    return (
        replace(owned, network=str(row.get("VpcId", "")), physical_name=str(row.get("TargetGroupName", "")))
        for row, owned in found
    )


TARGET_GROUP = Observer(
    kind=ResourceKind("aws:lb/targetGroup:TargetGroup", write_only=frozenset({"namePrefix"})),
    reads=_reads,
    see=_see,
    permissions=(
        "elasticloadbalancing:DescribeTargetGroups",
        "elasticloadbalancing:DescribeTargetGroupAttributes",
        *TAG_PERMISSIONS,
    ),
    locate=_locate,
    owned=_owned,
)

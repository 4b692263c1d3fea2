"""Load balancers, target groups and listeners, seen through hand-made answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.model import DeclaredResource
from reconciler.observe.aws import elbv2_listener, elbv2_load_balancer, elbv2_target_group
from reconciler.observe.aws.elbv2 import OBSERVERS
from reconciler.observe.aws.elbv2_listener import LISTENER
from reconciler.observe.aws.elbv2_load_balancer import LOAD_BALANCER
from reconciler.observe.aws.elbv2_target_group import TARGET_GROUP
from reconciler.observe.reads import Answer, Failed, Missing, Observer
from tests.unit.observe_aws_answers import (
    ACCOUNT,
    DENIED,
    GENERIC,
    REGION,
    TAGS,
    THROTTLED,
    World,
    marks,
    named_in,
    pairs,
    resource,
    rows,
    sdk_properties,
    unreadable,
)

ELB = f"arn:aws:elasticloadbalancing:{REGION}:{ACCOUNT}"
LB = f"{ELB}:loadbalancer/app/acme-alb-1234567/aaaaaaaaaaaaaaaa"
TG = f"{ELB}:targetgroup/acme-api-1234567/bbbbbbbbbbbbbbbb"
TG2 = f"{ELB}:targetgroup/other/cccccccccccccccc"
HTTPS = f"{ELB}:listener/app/acme-alb-1234567/aaaaaaaaaaaaaaaa/dddddddddddddddd"
CERTIFICATE = f"arn:aws:acm:{REGION}:{ACCOUNT}:certificate/1"

LB_ROW = {
    "LoadBalancerArn": LB,
    "LoadBalancerName": "acme-alb-1234567",
    "Scheme": "internet-facing",
    "Type": "application",
    "IpAddressType": "ipv4",
    "VpcId": "vpc-1",
    "SecurityGroups": ["sg-1"],
    "AvailabilityZones": [{"ZoneName": "b", "SubnetId": "subnet-b"}, {"ZoneName": "a", "SubnetId": "subnet-a"}],
}
LB_ATTRIBUTES = {
    "access_logs.s3.enabled": "false",
    "access_logs.s3.bucket": "",
    "access_logs.s3.prefix": "",
    "client_keep_alive.seconds": "3600",
    "deletion_protection.enabled": "false",
    "idle_timeout.timeout_seconds": "60",
    "load_balancing.cross_zone.enabled": "true",
    "routing.http.desync_mitigation_mode": "defensive",
    "routing.http.drop_invalid_header_fields.enabled": "true",
    "routing.http.preserve_host_header.enabled": "false",
    "routing.http.x_amzn_tls_version_and_cipher_suite.enabled": "false",
    "routing.http.xff_client_port.enabled": "false",
    "routing.http.xff_header_processing.mode": "append",
    "routing.http2.enabled": "true",
    "waf.fail_open.enabled": "false",
    "zonal_shift.config.enabled": "false",
}
LB_SET = {
    "internal": False,
    "loadBalancerType": "application",
    "securityGroups": ["sg-1"],
    "subnets": ["subnet-a", "subnet-b"],
    "dropInvalidHeaderFields": True,
    "tags": TAGS,
}
LB_FILLED_IN = {
    "name": "acme-alb-1234567",
    "clientKeepAlive": 3600,
    "desyncMitigationMode": "defensive",
    "dnsRecordClientRoutingPolicy": "any_availability_zone",
    "enableHttp2": True,
    "idleTimeout": 60,
    "xffHeaderProcessingMode": "append",
    "region": REGION,
    "tagsAll": TAGS,
}
LB_DECLARED = resource("aws:lb/loadBalancer:LoadBalancer", LB, {**LB_SET, **LB_FILLED_IN}, programmed=LB_SET)
LB_WORLD = World(
    {
        "describe_load_balancers *": rows(LB_ROW),
        "describe_load_balancer_attributes": rows(*pairs(LB_ATTRIBUTES)),
        "get_resources": marks((LB, TAGS)),
    }
)

TG_ROW = {
    "TargetGroupArn": TG,
    "TargetGroupName": "acme-api-1234567",
    "Protocol": "HTTP",
    "ProtocolVersion": "HTTP1",
    "Port": 8080,
    "VpcId": "vpc-1",
    "TargetType": "instance",
    "IpAddressType": "ipv4",
    "HealthCheckEnabled": True,
    "HealthCheckProtocol": "HTTP",
    "HealthCheckPort": "traffic-port",
    "HealthCheckPath": "/health",
    "HealthCheckIntervalSeconds": 10,
    "HealthCheckTimeoutSeconds": 5,
    "HealthyThresholdCount": 2,
    "UnhealthyThresholdCount": 3,
    "Matcher": {"HttpCode": "200"},
}
TG_ATTRIBUTES = {
    "deregistration_delay.timeout_seconds": "30",
    "slow_start.duration_seconds": "0",
    "load_balancing.algorithm.type": "round_robin",
    "load_balancing.algorithm.anomaly_mitigation": "off",
    "load_balancing.cross_zone.enabled": "use_load_balancer_configuration",
    "stickiness.enabled": "false",
    "stickiness.type": "lb_cookie",
    "stickiness.lb_cookie.duration_seconds": "86400",
    "stickiness.app_cookie.duration_seconds": "7",
    "stickiness.app_cookie.cookie_name": "",
    "target_group_health.dns_failover.minimum_healthy_targets.count": "1",
    "target_group_health.dns_failover.minimum_healthy_targets.percentage": "off",
    "target_group_health.unhealthy_state_routing.minimum_healthy_targets.count": "1",
    "target_group_health.unhealthy_state_routing.minimum_healthy_targets.percentage": "off",
}
TG_DECLARED = resource(
    "aws:lb/targetGroup:TargetGroup",
    TG,
    {
        "name": "acme-api-1234567",
        "port": 8080,
        "protocol": "HTTP",
        "vpcId": "vpc-1",
        "targetType": "instance",
        "deregistrationDelay": 30,
        "healthCheck": {
            "enabled": True,
            "path": "/health",
            "port": "traffic-port",
            "protocol": "HTTP",
            "interval": 10,
            "timeout": 5,
            "healthyThreshold": 2,
            "unhealthyThreshold": 3,
            "matcher": "200",
        },
        "tags": TAGS,
    },
    programmed={"port", "protocol", "vpcId", "targetType", "deregistrationDelay", "healthCheck", "tags"},
)
TG_WORLD = World(
    {
        "describe_target_groups *": rows(TG_ROW),
        "describe_target_group_attributes": rows(*pairs(TG_ATTRIBUTES)),
        "get_resources": marks((TG, TAGS)),
    }
)

FORWARD = {
    "Type": "forward",
    "TargetGroupArn": TG,
    "Order": 1,
    "ForwardConfig": {
        "TargetGroups": [{"TargetGroupArn": TG, "Weight": 1}],
        "TargetGroupStickinessConfig": {"Enabled": False},
    },
}
LISTENER_ROW = {
    "ListenerArn": HTTPS,
    "LoadBalancerArn": LB,
    "Port": 443,
    "Protocol": "HTTPS",
    "SslPolicy": "ELBSecurityPolicy-TLS13-1-2-2021-06",
    "Certificates": [{"CertificateArn": CERTIFICATE}],
    "DefaultActions": [FORWARD],
    "MutualAuthentication": {"Mode": "off"},
}
LISTENER_DECLARED = resource(
    "aws:lb/listener:Listener",
    HTTPS,
    {
        "loadBalancerArn": LB,
        "port": 443,
        "protocol": "HTTPS",
        "sslPolicy": "ELBSecurityPolicy-TLS13-1-2-2021-06",
        "certificateArn": CERTIFICATE,
        "defaultActions": [{"type": "forward", "targetGroupArn": TG}],
        "tags": TAGS,
    },
)
LISTENER_WORLD = World({f"describe_listeners {LB}": rows(LISTENER_ROW), "get_resources": marks((HTTPS, TAGS))})

CASES = [
    pytest.param(LOAD_BALANCER, LB_DECLARED, LB_WORLD, "describe_load_balancers", "*", LB_ROW, id="load balancer"),
    pytest.param(TARGET_GROUP, TG_DECLARED, TG_WORLD, "describe_target_groups", "*", TG_ROW, id="target group"),
    pytest.param(LISTENER, LISTENER_DECLARED, LISTENER_WORLD, "describe_listeners", LB, LISTENER_ROW, id="listener"),
]
table = pytest.mark.parametrize(("observer", "declared", "world", "operation", "target", "row"), CASES)


@table
def test_as_declared_shows_no_drift(
    observer: Observer, declared: DeclaredResource, world: World, operation: str, target: str, row: Mapping[str, object]
) -> None:
    """What AWS answers for an untouched resource equals its declared inputs, provider defaults included."""
    assert world.drift(observer, declared) == []


@table
@pytest.mark.parametrize("failure", [DENIED, THROTTLED])
def test_failed_listing_is_a_failure(
    observer: Observer,
    declared: DeclaredResource,
    world: World,
    operation: str,
    target: str,
    row: Mapping[str, object],
    failure: Answer,
) -> None:
    """I06 F01 F10: without the listing nothing is said, even if the direct read would deny the resource."""
    told = world.told({f"{operation} {target}": failure, f"{operation} {declared.id}": Missing("gone")})
    assert told.see(observer, declared) == failure


@table
def test_empty_listing_is_confirmed(
    observer: Observer, declared: DeclaredResource, world: World, operation: str, target: str, row: Mapping[str, object]
) -> None:
    """F15: an empty listing counts as absence only with the direct read's not-found."""
    gone = Missing("not found")
    told = world.told({f"{operation} {target}": rows(), f"{operation} {declared.id}": gone})
    assert told.see(observer, declared) == gone


@table
def test_empty_listing_is_contradicted(
    observer: Observer, declared: DeclaredResource, world: World, operation: str, target: str, row: Mapping[str, object]
) -> None:
    """F15 F08: a resource that the listing lacks but the direct read answers is there, and as declared."""
    told = world.told({f"{operation} {target}": rows(), f"{operation} {declared.id}": rows(row)})
    assert told.drift(observer, declared) == []


@table
def test_empty_listing_and_failed_direct_read(
    observer: Observer, declared: DeclaredResource, world: World, operation: str, target: str, row: Mapping[str, object]
) -> None:
    """I06 F15: an empty listing whose confirmation fails proves nothing."""
    told = world.told({f"{operation} {target}": rows(), f"{operation} {declared.id}": DENIED})
    assert told.see(observer, declared) == DENIED


@table
def test_not_found_codes_are_exact(
    observer: Observer, declared: DeclaredResource, world: World, operation: str, target: str, row: Mapping[str, object]
) -> None:
    """F10: no read takes a code for absence that could be said of something else or of permissions."""
    world.told({f"{operation} {target}": rows(), f"{operation} {declared.id}": Missing("")}).see(observer, declared)
    world.see(observer, declared)
    exact = {"LoadBalancerNotFound", "TargetGroupNotFound", "ListenerNotFound"}
    for read in world.asked:
        assert read.absent <= exact
        assert not read.absent & GENERIC


@table
@pytest.mark.parametrize("index", [DENIED, marks(), None])
def test_tags_are_believed_only_when_read_directly(
    observer: Observer,
    declared: DeclaredResource,
    world: World,
    operation: str,
    target: str,
    row: Mapping[str, object],
    index: Answer | None,
) -> None:
    """F15 F08: an index that fails, lacks the resource or differs (None) is no proof; the resource itself is asked."""
    told = world.told(
        {
            "get_resources": index or marks((declared.id, {"Name": "old"})),
            "describe_tags": rows({"ResourceArn": declared.id, "Tags": pairs(TAGS)}),
        }
    )
    assert told.drift(observer, declared) == []
    stripped = told.told({"describe_tags": rows({"ResourceArn": declared.id, "Tags": []})})
    assert stripped.drift(observer, declared) == ["tags"]


@table
@pytest.mark.parametrize("direct", [DENIED, rows(), rows({"ResourceArn": "arn:other", "Tags": []})])
def test_unread_tags_are_unreadable(
    observer: Observer,
    declared: DeclaredResource,
    world: World,
    operation: str,
    target: str,
    row: Mapping[str, object],
    direct: Any,
) -> None:
    """I06 F10 F15: tags whose direct read fails or speaks of something else are unknown, the rest stays judged."""
    told = world.told({"get_resources": marks(), "describe_tags": direct})
    assert unreadable(told.properties(observer, declared)) == {"tags"}


@pytest.mark.parametrize("failure", [DENIED, THROTTLED, rows(), Missing("LoadBalancerNotFound")])
def test_unread_attributes_are_unreadable(failure: Answer) -> None:
    """I06 F09 F10 F15: attributes that were not answered, or answered empty, are unknown; the listing's part stays."""
    properties = LB_WORLD.but(describe_load_balancer_attributes=failure).properties(LOAD_BALANCER, LB_DECLARED)
    unknown = unreadable(properties)
    assert {"dropInvalidHeaderFields", "idleTimeout", "accessLogs", "enableDeletionProtection"} <= unknown
    assert unknown.isdisjoint({"subnets", "securityGroups", "internal", "tags"})


def test_a_changed_attribute_is_drift() -> None:
    """A provider-filled default that somebody changed in AWS shows, like one the program set."""
    changed = {**LB_ATTRIBUTES, "idle_timeout.timeout_seconds": "4000", "deletion_protection.enabled": "true"}
    changed["routing.http.drop_invalid_header_fields.enabled"] = "false"
    world = LB_WORLD.but(describe_load_balancer_attributes=rows(*pairs(changed)))
    assert world.drift(LOAD_BALANCER, LB_DECLARED) == ["dropInvalidHeaderFields", "idleTimeout"]


@pytest.mark.parametrize(
    ("enabled", "live", "drift"),
    [
        (False, {"enabled": "false", "bucket": ""}, []),
        (False, {"enabled": "true", "bucket": "my-logs"}, ["accessLogs"]),
        (True, {"enabled": "true", "bucket": "my-logs"}, []),
        (True, {"enabled": "true", "bucket": "theirs"}, ["accessLogs"]),
        (True, {"enabled": "false", "bucket": ""}, ["accessLogs"]),
    ],
)
def test_where_logs_go_counts_while_they_are_on(enabled: bool, live: dict[str, str], drift: list[str]) -> None:
    """AWS forgets the bucket of logs that are off; logs that are switched, or go elsewhere, are drift."""
    inputs = {**LB_DECLARED.inputs, "accessLogs": {"bucket": "my-logs", "prefix": "", "enabled": enabled}}
    declared = resource(LB_DECLARED.type, LB, inputs, programmed={*LB_SET, "accessLogs"})
    answered = {**LB_ATTRIBUTES, **{f"access_logs.s3.{key}": value for key, value in live.items()}}
    world = LB_WORLD.but(describe_load_balancer_attributes=rows(*pairs(answered)))
    assert world.drift(LOAD_BALANCER, declared) == drift


def test_an_attribute_the_type_lacks() -> None:
    """A default for an attribute AWS does not have for this type is no drift; a programmed one is unknown (I06)."""
    fewer = {
        k: v for k, v in LB_ATTRIBUTES.items() if k not in ("routing.http2.enabled", "idle_timeout.timeout_seconds")
    }
    world = LB_WORLD.but(describe_load_balancer_attributes=rows(*pairs(fewer)))
    assert world.drift(LOAD_BALANCER, LB_DECLARED) == []
    set_by_program = resource(LB_DECLARED.type, LB, LB_DECLARED.inputs, programmed={*LB_SET, "enableHttp2"})
    assert unreadable(world.properties(LOAD_BALANCER, set_by_program)) == {"enableHttp2"}


def test_an_attribute_that_makes_no_sense_is_unreadable() -> None:
    """F16: a number that is none makes its property unknown, not the run fail."""
    odd = {**LB_ATTRIBUTES, "idle_timeout.timeout_seconds": "soon"}
    world = LB_WORLD.but(describe_load_balancer_attributes=rows(*pairs(odd)))
    assert unreadable(world.properties(LOAD_BALANCER, LB_DECLARED)) == {"idleTimeout"}


def test_target_group_blocks_have_the_recorded_shape() -> None:
    """Stickiness and group health come out as the official provider recorded them, strings and numbers alike."""
    properties = TG_WORLD.properties(TARGET_GROUP, TG_DECLARED)
    assert properties["stickiness"] == {
        "cookieDuration": 86400,
        "cookieName": "",
        "enabled": False,
        "type": "lb_cookie",
    }
    assert properties["targetGroupHealth"] == {
        "dnsFailover": {"minimumHealthyTargetsCount": "1", "minimumHealthyTargetsPercentage": "off"},
        "unhealthyStateRouting": {"minimumHealthyTargetsCount": 1, "minimumHealthyTargetsPercentage": "off"},
    }
    assert properties["deregistrationDelay"] == 30
    assert properties["loadBalancingCrossZoneEnabled"] == "use_load_balancer_configuration"


@pytest.mark.parametrize(
    ("protocol", "live", "drift"),
    [
        ("TCP", {"stickiness.enabled": "false", "stickiness.type": "source_ip"}, []),
        ("TCP", {"stickiness.enabled": "true", "stickiness.type": "source_ip"}, ["stickiness"]),
        ("HTTP", {"stickiness.type": "source_ip"}, ["stickiness"]),
    ],
)
def test_a_protocol_without_cookies_has_no_duration_of_them(
    protocol: str, live: dict[str, str], drift: list[str]
) -> None:
    """The provider's default duration is no drift where it means nothing; that stickiness was switched on is."""
    block = {"type": "source_ip", "enabled": False, "cookieDuration": 86400}
    declared = resource(TG_DECLARED.type, TG, {"stickiness": block, "tags": TAGS}, programmed={"stickiness"})
    others = {key: value for key, value in TG_ATTRIBUTES.items() if not key.startswith("stickiness")}
    answered = {**others, "stickiness.enabled": "false", **live}
    world = TG_WORLD.told(
        {
            "describe_target_groups *": rows({**TG_ROW, "Protocol": protocol}),
            "describe_target_group_attributes": rows(*pairs(answered)),
        }
    )
    assert world.drift(TARGET_GROUP, declared) == drift


def test_a_changed_health_check_is_drift() -> None:
    """One changed field of the health check shows as the block."""
    world = TG_WORLD.told({"describe_target_groups *": rows({**TG_ROW, "HealthCheckPath": "/"})})
    assert world.drift(TARGET_GROUP, TG_DECLARED) == ["healthCheck"]


@pytest.mark.parametrize(
    "action",
    [
        {**FORWARD, "TargetGroupArn": TG2, "ForwardConfig": {"TargetGroups": [{"TargetGroupArn": TG2, "Weight": 1}]}},
        {
            "Type": "forward",
            "ForwardConfig": {"TargetGroups": [{"TargetGroupArn": TG}, {"TargetGroupArn": TG2, "Weight": 1}]},
        },
        {**FORWARD, "ForwardConfig": {"TargetGroups": [{"TargetGroupArn": TG, "Weight": 0}]}},
        {
            **FORWARD,
            "ForwardConfig": {
                "TargetGroups": [{"TargetGroupArn": TG, "Weight": 1}],
                "TargetGroupStickinessConfig": {"Enabled": True, "DurationSeconds": 60},
            },
        },
        {"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "503"}},
    ],
    ids=["other group", "second group", "weight zero", "sticky", "fixed response"],
)
def test_a_forward_that_is_not_the_declared_one(action: dict[str, object]) -> None:
    """Whatever else the default action does than forward plainly to the declared group is drift."""
    world = LISTENER_WORLD.told({f"describe_listeners {LB}": rows({**LISTENER_ROW, "DefaultActions": [action]})})
    assert world.drift(LISTENER, LISTENER_DECLARED) == ["defaultActions"]


def test_a_forward_declared_as_a_block() -> None:
    """The same answer is equal to the block form where the program declared the block form."""
    block = {"type": "forward", "forward": {"targetGroups": [{"arn": TG, "weight": 1}]}}
    declared = resource(LISTENER_DECLARED.type, HTTPS, {**LISTENER_DECLARED.inputs, "defaultActions": [block]})
    assert LISTENER_WORLD.drift(LISTENER, declared) == []


@pytest.mark.parametrize(
    ("weight", "config", "drift"),
    [
        ({"weight": 1}, {}, []),
        ({"weight": 1}, {"TargetGroups": [{"TargetGroupArn": TG2, "Weight": 1}]}, ["defaultActions"]),
        ({"weight": 1}, {"TargetGroups": [{"TargetGroupArn": TG, "Weight": 0}]}, ["defaultActions"]),
        (
            {"weight": 1},
            {"TargetGroups": [{"TargetGroupArn": TG, "Weight": 1}, {"TargetGroupArn": TG2}]},
            ["defaultActions"],
        ),
        ({}, {"TargetGroups": [{"TargetGroupArn": TG, "Weight": 0}]}, ["defaultActions"]),
    ],
)
def test_a_forward_declared_in_both_ways(weight: dict[str, int], config: dict[str, object], drift: list[str]) -> None:
    """A group named twice, alone and in a block, is as declared; another group, a second one or no weight is drift."""
    groups = cast("dict[str, object]", FORWARD["ForwardConfig"])
    both = {"type": "forward", "targetGroupArn": TG, "forward": {"targetGroups": [{"arn": TG, **weight}]}}
    action = {"Type": "forward", "Order": 1, "ForwardConfig": {**groups, **config}}
    declared = resource(LISTENER_DECLARED.type, HTTPS, {**LISTENER_DECLARED.inputs, "defaultActions": [both]})
    world = LISTENER_WORLD.told({f"describe_listeners {LB}": rows({**LISTENER_ROW, "DefaultActions": [action]})})
    assert world.drift(LISTENER, declared) == drift


@pytest.mark.parametrize(
    ("live", "drift"),
    [
        ({"Enabled": False}, []),
        ({"Enabled": True, "DurationSeconds": 60}, ["defaultActions"]),
    ],
)
def test_stickiness_that_is_off_has_no_duration(live: dict[str, object], drift: list[str]) -> None:
    """A declared duration of it is no drift; that it was switched on is."""
    block = {"targetGroups": [{"arn": TG, "weight": 1}], "stickiness": {"enabled": False, "duration": 3600}}
    action = {"type": "forward", "forward": block}
    declared = resource(LISTENER_DECLARED.type, HTTPS, {**LISTENER_DECLARED.inputs, "defaultActions": [action]})
    config = {"TargetGroups": [{"TargetGroupArn": TG, "Weight": 1}], "TargetGroupStickinessConfig": live}
    row = {**LISTENER_ROW, "DefaultActions": [{**FORWARD, "ForwardConfig": config}]}
    assert LISTENER_WORLD.told({f"describe_listeners {LB}": rows(row)}).drift(LISTENER, declared) == drift


def test_a_second_group_is_told() -> None:
    """A person reading the drift sees every group the listener forwards to, with its weight."""
    config = {"TargetGroups": [{"TargetGroupArn": TG, "Weight": 9}, {"TargetGroupArn": TG2, "Weight": 1}]}
    row = {**LISTENER_ROW, "DefaultActions": [{"Type": "forward", "ForwardConfig": config}]}
    (action,) = cast(
        "list[dict[str, object]]",
        LISTENER_WORLD.told({f"describe_listeners {LB}": rows(row)}).properties(LISTENER, LISTENER_DECLARED)[
            "defaultActions"
        ],
    )
    assert action["forward"] == {"targetGroups": [{"arn": TG, "weight": 9}, {"arn": TG2, "weight": 1}]}


def test_a_redirect_keeps_what_it_does_not_name() -> None:
    """A redirect's unset parts equal the provider's placeholders, and a changed status code is drift."""
    redirect = {"port": "443", "protocol": "HTTPS", "statusCode": "HTTP_301", "host": "#{host}", "path": "/#{path}"}
    inputs = {"loadBalancerArn": LB, "port": 80, "protocol": "HTTP", "tags": TAGS}
    declared = resource(
        LISTENER_DECLARED.type, HTTPS, {**inputs, "defaultActions": [{"type": "redirect", "redirect": redirect}]}
    )
    config = {"Port": "443", "Protocol": "HTTPS", "StatusCode": "HTTP_301"}
    action = {"Type": "redirect", "RedirectConfig": config}
    row = {"ListenerArn": HTTPS, "LoadBalancerArn": LB, "Port": 80, "Protocol": "HTTP", "DefaultActions": [action]}
    world = LISTENER_WORLD.told({f"describe_listeners {LB}": rows(row), "describe_rules": rows()})
    assert world.drift(LISTENER, declared) == []
    config["StatusCode"] = "HTTP_302"
    assert world.drift(LISTENER, declared) == ["defaultActions"]


def test_rules_are_read_of_listeners_in_clear() -> None:
    """What an HTTP listener's rules do is told beside its default actions and is no drift; a read that fails leaves it
    unreadable (F10), and no other listener pays for the call."""
    assert not any(read.operation == "describe_rules" for read in LISTENER.reads(LISTENER_DECLARED))
    assert LISTENER_WORLD.properties(LISTENER, LISTENER_DECLARED)["ruleActions"] is None
    redirect = {"Type": "redirect", "RedirectConfig": {"Protocol": "HTTPS", "StatusCode": "HTTP_301"}}
    clear = {**LISTENER_ROW, "Port": 80, "Protocol": "HTTP"}
    inputs = {**LISTENER_DECLARED.inputs, "port": 80, "protocol": "HTTP"}
    declared = resource(LISTENER_DECLARED.type, HTTPS, inputs)
    told = rows(
        {"RuleArn": "r/2", "IsDefault": False, "Actions": [FORWARD]},
        {"RuleArn": "r/1", "IsDefault": False, "Actions": [redirect]},
        {"RuleArn": "r/0", "IsDefault": True, "Actions": [FORWARD]},
    )
    world = LISTENER_WORLD.told({f"describe_listeners {LB}": rows(clear), f"describe_rules {HTTPS}": told})
    actions = cast("list[dict[str, object]]", world.properties(LISTENER, declared)["ruleActions"])
    assert [action["type"] for action in actions] == ["redirect", "forward"]
    assert world.drift(LISTENER, declared) == []
    assert world.properties(LISTENER, LISTENER_DECLARED)["ruleActions"] == actions
    for gone in (DENIED, Missing("ListenerNotFound")):
        blind = world.told({f"describe_rules {HTTPS}": gone})
        assert unreadable(blind.properties(LISTENER, declared)) == {"ruleActions"}


def test_listener_attributes_are_read_where_declared() -> None:
    """A declared response header is read from the listener's attributes; nobody else pays for that call."""
    assert not any("attributes" in read.operation for read in LISTENER.reads(LISTENER_DECLARED))
    name = "routingHttpResponseStrictTransportSecurityHeaderValue"
    declared = resource(
        LISTENER_DECLARED.type, HTTPS, {**LISTENER_DECLARED.inputs, name: "max-age=1"}, programmed={name}
    )
    key = "routing.http.response.strict_transport_security.header_value"
    world = LISTENER_WORLD.told({"describe_listener_attributes": rows({"Key": key, "Value": "max-age=0"})})
    assert world.drift(LISTENER, declared) == [name]
    assert unreadable(world.but(describe_listener_attributes=DENIED).properties(LISTENER, declared)) >= {name}


def test_a_listener_whose_load_balancer_is_gone() -> None:
    """A missing load balancer takes its listeners along, but each is still asked for itself (I06)."""
    gone = LISTENER_WORLD.told({f"describe_listeners {LB}": Missing("LoadBalancerNotFound")})
    assert isinstance(
        gone.told({f"describe_listeners {HTTPS}": Missing("no")}).see(LISTENER, LISTENER_DECLARED), Missing
    )
    assert gone.told({f"describe_listeners {HTTPS}": DENIED}).see(LISTENER, LISTENER_DECLARED) == DENIED


@pytest.mark.parametrize(
    ("observer", "inputs", "world", "id_"),
    [
        (LOAD_BALANCER, {"name": "acme-alb-1234567"}, LB_WORLD, LB),
        (TARGET_GROUP, {"name": "acme-api-1234567"}, TG_WORLD, TG),
        (LISTENER, {"loadBalancerArn": LB, "port": 443}, LISTENER_WORLD, HTTPS),
    ],
)
def test_locating_a_cut_off_create(observer: Observer, inputs: dict[str, object], world: World, id_: str) -> None:
    """F42: the id is found by name, or by load balancer and port; another is missing; nothing known is a failure."""
    pending = resource(observer.kind.token, "", inputs)
    assert world.locate(observer, pending) == id_
    other = {**inputs, "port": 81} if "port" in inputs else {"name": "other"}
    absent = world.told({"describe_load_balancers other": Missing("no"), "describe_target_groups other": Missing("no")})
    assert isinstance(absent.locate(observer, resource(observer.kind.token, "", other)), Missing)
    assert isinstance(world.locate(observer, resource(observer.kind.token, "", {})), Failed)


def test_strays_are_live_and_tagged() -> None:
    """What the tag index still names but the listing lacks is no stray; AWS's own tags are nobody's claim."""
    of_aws = {"aws:cloudformation:stack-name": "x"}
    world = LB_WORLD.but(get_resources=marks((LB, {**TAGS, **of_aws}), (LB + "-deleted", TAGS)))
    assert world.owned(LOAD_BALANCER, LB_DECLARED) == {LB: TAGS}


tag_maps = st.dictionaries(st.sampled_from(["Name", "a", "b"]), st.sampled_from(["", "x", "y"]), max_size=3)


@given(wanted=tag_maps, indexed=st.none() | tag_maps, live=st.none() | tag_maps)
def test_tags_never_come_from_a_stale_index(
    wanted: dict[str, str], indexed: dict[str, str] | None, live: dict[str, str] | None
) -> None:
    """F08 F15: the observed tags are the declared ones, those read directly, or unreadable; never a differing index."""
    declared = resource(TG_DECLARED.type, TG, {**TG_DECLARED.inputs, "tags": wanted})
    direct = DENIED if live is None else rows({"ResourceArn": TG, "Tags": pairs(live)})
    index = marks() if indexed is None else marks((TG, indexed))
    world = TG_WORLD.but(get_resources=index, describe_tags=direct)
    properties = world.properties(TARGET_GROUP, declared)
    if indexed == wanted:
        assert properties["tags"] == wanted
    elif live is None:
        assert unreadable(properties) == {"tags"}
    else:
        assert properties["tags"] == live


@pytest.mark.parametrize("observer", OBSERVERS, ids=lambda o: o.kind.token)
def test_property_names_are_the_sdks(observer: Observer) -> None:
    """Every property an observer answers or describes, except what a listener's rules do, is one the SDK has."""
    declared, world = {
        LOAD_BALANCER.kind.token: (LB_DECLARED, LB_WORLD),
        TARGET_GROUP.kind.token: (TG_DECLARED, TG_WORLD),
        LISTENER.kind.token: (LISTENER_DECLARED, LISTENER_WORLD),
    }[observer.kind.token]
    modules = {LOAD_BALANCER: elbv2_load_balancer, TARGET_GROUP: elbv2_target_group, LISTENER: elbv2_listener}
    answered = {*world.properties(observer, declared), *(a.top for a in modules[observer].ATTRIBUTES)}
    assert (answered - {"ruleActions"}) | named_in(observer) <= sdk_properties(observer.kind.token)

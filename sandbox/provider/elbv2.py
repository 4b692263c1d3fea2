"""Load balancers and target groups."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sandbox.provider.aws import first, refuse_others, tag_list, tag_map
from sandbox.provider.diff import unordered
from sandbox.provider.table import Call, Kind, Name, deleter, tagger
from sandbox.provider.values import Properties

BALANCER_ATTRIBUTES = {
    "clientKeepAlive": "client_keep_alive.seconds",
    "desyncMitigationMode": "routing.http.desync_mitigation_mode",
    "dropInvalidHeaderFields": "routing.http.drop_invalid_header_fields.enabled",
    "enableDeletionProtection": "deletion_protection.enabled",
    "enableHttp2": "routing.http2.enabled",
    "enableTlsVersionAndCipherSuiteHeaders": "routing.http.x_amzn_tls_version_and_cipher_suite.enabled",
    "enableWafFailOpen": "waf.fail_open.enabled",
    "enableXffClientPort": "routing.http.xff_client_port.enabled",
    "idleTimeout": "idle_timeout.timeout_seconds",
    "preserveHostHeader": "routing.http.preserve_host_header.enabled",
    "xffHeaderProcessingMode": "routing.http.xff_header_processing.mode",
}
LOG_ATTRIBUTES = {
    "bucket": "access_logs.s3.bucket",
    "enabled": "access_logs.s3.enabled",
    "prefix": "access_logs.s3.prefix",
}
GROUP_ATTRIBUTES = {
    "deregistrationDelay": "deregistration_delay.timeout_seconds",
    "loadBalancingAlgorithmType": "load_balancing.algorithm.type",
    "slowStart": "slow_start.duration_seconds",
}
HEALTH_CHECK = {
    "enabled": "HealthCheckEnabled",
    "healthyThreshold": "HealthyThresholdCount",
    "interval": "HealthCheckIntervalSeconds",
    "path": "HealthCheckPath",
    "port": "HealthCheckPort",
    "protocol": "HealthCheckProtocol",
    "timeout": "HealthCheckTimeoutSeconds",
    "unhealthyThreshold": "UnhealthyThresholdCount",
}

tags = tagger(
    lambda call, put: call.aws("elbv2").add_tags(ResourceArns=[call.id], Tags=tag_list(put)),
    lambda call, gone: call.aws("elbv2").remove_tags(ResourceArns=[call.id], TagKeys=gone),
)


def with_tags(call: Call) -> dict[str, Any]:
    wanted = tag_list(call.new["tagsAll"])
    return {"Tags": wanted} if wanted else {}


def read_tags(call: Call) -> dict[str, str]:
    return tag_map(call.aws("elbv2").describe_tags(ResourceArns=[call.id])["TagDescriptions"][0]["Tags"])


def to_attributes(names: Mapping[str, str], values: Properties) -> list[dict[str, str]]:
    """AWS wants every attribute as text."""
    given = {key: values[name] for name, key in names.items() if values.get(name) is not None}
    return [{"Key": k, "Value": str(v).lower() if isinstance(v, bool) else str(v)} for k, v in given.items()]


def from_attributes(names: Mapping[str, str], attributes: list[dict[str, str]]) -> Properties:
    live = {one["Key"]: one["Value"] for one in attributes}
    return {name: _typed(live[key]) for name, key in names.items() if key in live}


def _typed(value: str) -> Any:
    return {"true": True, "false": False}.get(value, int(value) if value.isdigit() else value)


def create_balancer(call: Call) -> str:
    params = {"Name": call.new["name"], "Type": call.new["loadBalancerType"], "Subnets": call.new["subnets"]}
    if call.new.get("securityGroups"):
        params["SecurityGroups"] = call.new["securityGroups"]
    if call.new.get("ipAddressType"):
        params["IpAddressType"] = call.new["ipAddressType"]
    scheme = "internal" if call.new.get("internal") else "internet-facing"
    answer = call.aws("elbv2").create_load_balancer(**params, Scheme=scheme, **with_tags(call))
    return str(answer["LoadBalancers"][0]["LoadBalancerArn"])


def set_balancer_attributes(call: Call) -> None:
    wanted = to_attributes(BALANCER_ATTRIBUTES, call.new)
    access_logs = call.new.get("accessLogs") or {"enabled": False}
    refuse_others(access_logs, LOG_ATTRIBUTES, "a load balancer's accessLogs")
    wanted += to_attributes(LOG_ATTRIBUTES, access_logs)
    call.aws("elbv2").modify_load_balancer_attributes(LoadBalancerArn=call.id, Attributes=wanted)


def set_security_groups(call: Call) -> None:
    call.aws("elbv2").set_security_groups(LoadBalancerArn=call.id, SecurityGroups=call.new.get("securityGroups", []))


def set_subnets(call: Call) -> None:
    call.aws("elbv2").set_subnets(LoadBalancerArn=call.id, Subnets=call.new["subnets"])


def set_address_type(call: Call) -> None:
    call.aws("elbv2").set_ip_address_type(LoadBalancerArn=call.id, IpAddressType=call.new["ipAddressType"])


def read_balancer(call: Call) -> Properties | None:
    elb = call.aws("elbv2")
    describe = elb.describe_load_balancers
    balancer = first({"LoadBalancerNotFound"}, describe, "LoadBalancers", LoadBalancerArns=[call.id])
    if balancer is None:
        return None
    attributes = elb.describe_load_balancer_attributes(LoadBalancerArn=call.id)["Attributes"]
    return {
        "arn": call.id,
        "arnSuffix": call.id.partition(":loadbalancer/")[2],
        "name": balancer["LoadBalancerName"],
        "namePrefix": "",
        "internal": balancer.get("Scheme") == "internal",
        "loadBalancerType": balancer["Type"],
        "ipAddressType": balancer.get("IpAddressType", "ipv4"),
        "securityGroups": balancer.get("SecurityGroups", []),
        "subnets": [zone["SubnetId"] for zone in balancer["AvailabilityZones"]],
        "vpcId": balancer["VpcId"],
        "dnsName": balancer["DNSName"],
        "zoneId": balancer["CanonicalHostedZoneId"],
        **from_attributes(BALANCER_ATTRIBUTES, attributes),
        "accessLogs": from_attributes(LOG_ATTRIBUTES, attributes),
        "dnsRecordClientRoutingPolicy": None,
        "tags": read_tags(call),
    }


def health_check(call: Call) -> dict[str, Any]:
    check = {key: value for key, value in (call.new.get("healthCheck") or {}).items() if key != "__defaults"}
    matcher = check.pop("matcher", None)
    refuse_others(check, HEALTH_CHECK, "a target group's healthCheck")
    params = {HEALTH_CHECK[name]: value for name, value in check.items()}
    return {**params, **({"Matcher": {"HttpCode": str(matcher)}} if matcher else {})}


def create_group(call: Call) -> str:
    names = {"port": "Port", "protocol": "Protocol", "vpcId": "VpcId", "protocolVersion": "ProtocolVersion"}
    params = {theirs: call.new[ours] for ours, theirs in names.items() if ours in call.new}
    answer = call.aws("elbv2").create_target_group(
        Name=call.new["name"], TargetType=call.new["targetType"], **params, **health_check(call), **with_tags(call)
    )
    return str(answer["TargetGroups"][0]["TargetGroupArn"])


def set_health_check(call: Call) -> None:
    call.aws("elbv2").modify_target_group(TargetGroupArn=call.id, **health_check(call))


def set_group_attributes(call: Call) -> None:
    if wanted := to_attributes(GROUP_ATTRIBUTES, call.new):
        call.aws("elbv2").modify_target_group_attributes(TargetGroupArn=call.id, Attributes=wanted)


def read_group(call: Call) -> Properties | None:
    elb = call.aws("elbv2")
    group = first({"TargetGroupNotFound"}, elb.describe_target_groups, "TargetGroups", TargetGroupArns=[call.id])
    if group is None:
        return None
    check = {name: group[key] for name, key in HEALTH_CHECK.items() if key in group}
    attributes = elb.describe_target_group_attributes(TargetGroupArn=call.id)["Attributes"]
    return {
        "arn": call.id,
        "arnSuffix": call.id.rpartition(":")[2],
        "name": group["TargetGroupName"],
        "namePrefix": "",
        "port": group.get("Port"),
        "protocol": group.get("Protocol", ""),
        "protocolVersion": group.get("ProtocolVersion", "HTTP1"),
        "targetType": group["TargetType"],
        "vpcId": group.get("VpcId", ""),
        "healthCheck": {**check, "matcher": group.get("Matcher", {}).get("HttpCode", "")},
        **from_attributes(GROUP_ATTRIBUTES, attributes),
        "tags": read_tags(call),
    }


KINDS = (
    Kind(
        type="aws:lb/loadBalancer:LoadBalancer",
        create=create_balancer,
        settle=(set_balancer_attributes,),
        read=read_balancer,
        delete=deleter("elbv2", "delete_load_balancer", "LoadBalancerArn", "LoadBalancerNotFound"),
        update={
            **dict.fromkeys([*BALANCER_ATTRIBUTES, "accessLogs"], set_balancer_attributes),
            "securityGroups": set_security_groups,
            "subnets": set_subnets,
            "ipAddressType": set_address_type,
        },
        fixed=frozenset({"name", "internal", "loadBalancerType"}),
        echoed=frozenset({"dnsRecordClientRoutingPolicy"}),
        defaults={
            "clientKeepAlive": 3600,
            "desyncMitigationMode": "defensive",
            "dnsRecordClientRoutingPolicy": "any_availability_zone",
            "enableHttp2": True,
            "idleTimeout": 60,
            "loadBalancerType": "application",
            "xffHeaderProcessingMode": "append",
        },
        name=Name(longest=32),
        tags=tags,
        outputs=("arn", "arnSuffix", "dnsName", "zoneId", "vpcId"),
        emptied=frozenset({"enableDeletionProtection", "dropInvalidHeaderFields", "accessLogs"}),
        canonical={"subnets": unordered, "securityGroups": unordered},
        contradicted=frozenset({"dnsRecordClientRoutingPolicy"}),
    ),
    Kind(
        type="aws:lb/targetGroup:TargetGroup",
        create=create_group,
        settle=(set_group_attributes,),
        read=read_group,
        delete=deleter("elbv2", "delete_target_group", "TargetGroupArn", "TargetGroupNotFound"),
        update={"healthCheck": set_health_check, **dict.fromkeys(GROUP_ATTRIBUTES, set_group_attributes)},
        fixed=frozenset({"name", "port", "protocol", "protocolVersion", "targetType", "vpcId"}),
        defaults={
            "targetType": "instance",
            "healthCheck.enabled": True,
            "healthCheck.healthyThreshold": 3,
            "healthCheck.interval": 30,
            "healthCheck.port": "traffic-port",
            "healthCheck.protocol": "HTTP",
            "healthCheck.unhealthyThreshold": 3,
        },
        name=Name(longest=32),
        tags=tags,
        outputs=("arn", "arnSuffix"),
        filled=frozenset({"healthCheck.path", "healthCheck.timeout", "healthCheck.matcher"}),
    ),
)

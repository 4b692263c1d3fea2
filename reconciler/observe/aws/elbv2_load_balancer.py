"""How a load balancer is seen: one listing for all of them, and the attributes of each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

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
from reconciler.observe.reads import FAILED, Answers, Failed, Missing, More, Observer, Owned, Read, Row, Sight

LISTING = call("elbv2", "describe_load_balancers", "LoadBalancers")

ATTRIBUTES = (
    Attribute("access_logs.s3.enabled", "accessLogs.enabled", flag),
    Attribute("access_logs.s3.bucket", "accessLogs.bucket"),
    Attribute("access_logs.s3.prefix", "accessLogs.prefix"),
    Attribute("connection_logs.s3.enabled", "connectionLogs.enabled", flag),
    Attribute("connection_logs.s3.bucket", "connectionLogs.bucket"),
    Attribute("connection_logs.s3.prefix", "connectionLogs.prefix"),
    Attribute("health_check_logs.s3.enabled", "healthCheckLogs.enabled", flag),
    Attribute("health_check_logs.s3.bucket", "healthCheckLogs.bucket"),
    Attribute("health_check_logs.s3.prefix", "healthCheckLogs.prefix"),
    Attribute("client_keep_alive.seconds", "clientKeepAlive", number),
    Attribute("deletion_protection.enabled", "enableDeletionProtection", flag),
    Attribute("dns_record.client_routing_policy", "dnsRecordClientRoutingPolicy"),
    Attribute("idle_timeout.timeout_seconds", "idleTimeout", number),
    Attribute("load_balancing.cross_zone.enabled", "enableCrossZoneLoadBalancing", flag),
    Attribute("routing.http.desync_mitigation_mode", "desyncMitigationMode"),
    Attribute("routing.http.drop_invalid_header_fields.enabled", "dropInvalidHeaderFields", flag),
    Attribute("routing.http.preserve_host_header.enabled", "preserveHostHeader", flag),
    Attribute(
        "routing.http.x_amzn_tls_version_and_cipher_suite.enabled", "enableTlsVersionAndCipherSuiteHeaders", flag
    ),
    Attribute("routing.http.xff_client_port.enabled", "enableXffClientPort", flag),
    Attribute("routing.http.xff_header_processing.mode", "xffHeaderProcessingMode"),
    Attribute("routing.http2.enabled", "enableHttp2", flag),
    Attribute("secondary_ips.auto_assigned.per_subnet", "secondaryIpsAutoAssignedPerSubnet", number),
    Attribute("waf.fail_open.enabled", "enableWafFailOpen", flag),
    Attribute("zonal_shift.config.enabled", "enableZonalShift", flag),
)
"""Keys: Elastic Load Balancing API reference, LoadBalancerAttribute."""


def _attributes_of(arn: str) -> Read:
    return call(
        "elbv2",
        "describe_load_balancer_attributes",
        "Attributes",
        absent=("LoadBalancerNotFound",),
        target=arn,
        LoadBalancerArn=arn,
    )


def direct(target: str, **by: list[str]) -> Read:
    return call(
        "elbv2", "describe_load_balancers", "LoadBalancers", absent=("LoadBalancerNotFound",), target=target, **by
    )


def _reads(declared: DeclaredResource) -> tuple[Read, ...]:
    return (LISTING, TAG_INDEX, _attributes_of(declared.id)) if declared.id else (LISTING,)


def _see(declared: DeclaredResource, answers: Answers) -> Sight:
    arn = declared.id
    asked = direct(arn, LoadBalancerArns=[arn])
    row = answers.find(LISTING, "LoadBalancerArn", arn, direct=asked)
    if not isinstance(row, Mapping):
        return row
    attributes = attribute_properties(declared, answers, _attributes_of(arn), ATTRIBUTES)
    tags = elb_tags(declared, answers, arn)
    if isinstance(attributes, More) or isinstance(tags, More):
        return together(attributes, tags)
    return {**_described(declared, row), **attributes, **_logs_that_are_off(declared, attributes), **tags}


_LOGS = ("accessLogs", "connectionLogs", "healthCheckLogs")


def _logs_that_are_off(declared: DeclaredResource, live: Mapping[str, Value]) -> dict[str, Value]:
    """Where logs would go that are off is as declared: AWS forgets it, and the provider ignores it."""
    found: dict[str, Value] = {}
    for name in _LOGS:
        wanted, block = declared.inputs.get(name), live.get(name)
        if isinstance(wanted, Mapping) and isinstance(block, Mapping) and block.get("enabled") is False:
            found[name] = {**block, **{key: wanted[key] for key in ("bucket", "prefix") if key in wanted}}
    return found


def _described(declared: DeclaredResource, row: Row) -> dict[str, Value]:
    zones = row.get("AvailabilityZones", ())
    found: dict[str, Value] = {
        "name": row.get("LoadBalancerName"),
        "dnsName": row.get("DNSName"),
        "internal": row.get("Scheme") == "internal",
        "loadBalancerType": row.get("Type"),
        "ipAddressType": row.get("IpAddressType"),
        "securityGroups": list(row.get("SecurityGroups", ())),
        "subnets": [zone["SubnetId"] for zone in zones if "SubnetId" in zone],
        "customerOwnedIpv4Pool": row.get("CustomerOwnedIpv4Pool"),
        "enablePrefixForIpv6SourceNat": row.get("EnablePrefixForIpv6SourceNat"),
        "enforceSecurityGroupInboundRulesOnPrivateLinkTraffic": row.get(
            "EnforceSecurityGroupInboundRulesOnPrivateLinkTraffic"
        ),
    }
    state: Row = row.get("State", {})
    if state.get("Code") == "failed":
        # It could not be set up, and never will be: it has to be made anew.
        found[FAILED] = state.get("Reason") or "its state is failed"
    if "subnetMappings" in declared.inputs:
        found["subnetMappings"] = [_mapping(zone) for zone in zones]
    return found


def _mapping(zone: Row) -> dict[str, Value]:
    address: Row = next(iter(zone.get("LoadBalancerAddresses", ())), {})
    return {
        "subnetId": zone.get("SubnetId"),
        "allocationId": address.get("AllocationId"),
        "privateIpv4Address": address.get("PrivateIPv4Address"),
        "ipv6Address": address.get("IPv6Address"),
        "outpostId": zone.get("OutpostId"),
    }


def _locate(declared: DeclaredResource, answers: Answers) -> str | Missing | Failed | More:
    name = text(declared, "name")
    if name is None:
        return Failed("the load balancer's name is not known")
    asked = direct(name, Names=[name])
    row = answers.find(LISTING, "LoadBalancerName", name, direct=asked)
    return str(row["LoadBalancerArn"]) if isinstance(row, Mapping) else row


def _owned(answers: Answers) -> Iterable[Owned]:
    return (owned for _, owned in tagged(answers, TAG_INDEX, LISTING, lambda row: str(row["LoadBalancerArn"])))


LOAD_BALANCER = Observer(
    kind=ResourceKind(
        "aws:lb/loadBalancer:LoadBalancer",
        unordered=frozenset({"securityGroups", "subnets", "subnetMappings"}),
        write_only=frozenset({"namePrefix"}),
        # An application load balancer always balances across zones and has no DNS routing policy, whatever the
        # provider's defaults say.
        contradicted=frozenset({"enableCrossZoneLoadBalancing", "dnsRecordClientRoutingPolicy"}),
    ),
    reads=_reads,
    see=_see,
    permissions=(
        "elasticloadbalancing:DescribeLoadBalancers",
        "elasticloadbalancing:DescribeLoadBalancerAttributes",
        *TAG_PERMISSIONS,
    ),
    locate=_locate,
    owned=_owned,
)

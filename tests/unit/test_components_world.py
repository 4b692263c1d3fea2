"""The resources of a tenant, as the program asks the engine for them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from tenancy import tags
from tenancy.tenant import Tenant
from tests.unit.components_recorder import Recorder, record

ACCOUNT = "123456789012"
TENANT = Tenant.model_validate(
    {
        "name": "acme",
        "cidr": "10.10.0.0/20",
        "tier": "gold",
        "regimes": ["soc2", "pci-dss"],
        "size": {"min": 2, "desired": 2, "max": 4},
        "certificate_arn": f"arn:aws:acm:eu-west-1:{ACCOUNT}:certificate/0a1b2c3d-0001-4000-8000-000000000001",
    }
)

TABLE: Mapping[str, set[str]] = {
    "aws:ec2/vpc:Vpc": {"vpc"},
    "aws:ec2/subnet:Subnet": {"public-a", "public-b", "private-a", "private-b"},
    "aws:ec2/internetGateway:InternetGateway": {"igw"},
    "aws:ec2/routeTable:RouteTable": {"public", "private"},
    "aws:ec2/route:Route": {"public-default"},
    "aws:ec2/routeTableAssociation:RouteTableAssociation": {"public-a", "public-b", "private-a", "private-b"},
    "aws:ec2/securityGroup:SecurityGroup": {"alb-sg", "server-sg"},
    "aws:kms/key:Key": {"key"},
    "aws:kms/alias:Alias": {"key"},
    "aws:s3/bucket:Bucket": {"data"},
    "aws:s3/bucketVersioning:BucketVersioning": {"data-versioning"},
    "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration": {"data-encryption"},
    "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock": {"data-public-access"},
    "aws:s3/bucketPolicy:BucketPolicy": {"data-policy"},
    "aws:iam/role:Role": {"server"},
    "aws:iam/rolePolicy:RolePolicy": {"server"},
    "aws:iam/instanceProfile:InstanceProfile": {"server"},
    "aws:ec2/launchTemplate:LaunchTemplate": {"server"},
    "aws:autoscaling/group:Group": {"servers"},
    "aws:lb/loadBalancer:LoadBalancer": {"alb"},
    "aws:lb/targetGroup:TargetGroup": {"api"},
    "aws:lb/listener:Listener": {"https", "http"},
    "aws:cloudwatch/logGroup:LogGroup": {"api"},
    "aws:cloudwatch/metricAlarm:MetricAlarm": {"unhealthy-hosts", "5xx", "latency"},
    "stackmend:index:Network": {"network"},
    "stackmend:index:Storage": {"storage"},
    "stackmend:index:Ingress": {"ingress"},
    "stackmend:index:Observability": {"observability"},
    "stackmend:index:Compute": {"compute"},
}
"""Logical names after ``acme-``, by type. They are a contract: a changed name is a replaced resource."""

UNTAGGABLE = {
    "aws:ec2/route:Route",
    "aws:ec2/routeTableAssociation:RouteTableAssociation",
    "aws:kms/alias:Alias",
    "aws:iam/rolePolicy:RolePolicy",
    *(kind for kind in TABLE if kind.startswith("aws:s3/bucket") and kind != "aws:s3/bucket:Bucket"),
}


def build(*, protect_data: bool) -> Recorder:
    """Register one tenant's world against a recorder."""

    def program() -> None:
        from components.scope import Scope
        from components.tenant import Tenant as World
        from components.tenant import TenantArgs

        scope = Scope(
            tenant=TENANT,
            cell="prod-eu-1",
            region="eu-west-1",
            owner="platform",
            account_id=ACCOUNT,
            protect_data=protect_data,
        )
        World(
            "acme",
            TenantArgs(
                scope,
                zone_a="eu-west-1a",
                zone_b="eu-west-1b",
                image_id="ami-12345678",
                alarm_topic_arn=f"arn:aws:sns:eu-west-1:{ACCOUNT}:alarms",
            ),
        )

    return record(program, stack="prod-eu-1")


@pytest.fixture(scope="module")
def world() -> Recorder:
    return build(protect_data=True)


def test_every_resource_of_the_contract_is_registered_and_nothing_else(world: Recorder) -> None:
    """The types and logical names are exactly those of the table."""
    expected = {(kind, f"acme-{suffix}") for kind, suffixes in TABLE.items() for suffix in suffixes}
    assert set(world.resources) == expected | {("stackmend:index:Tenant", "acme")}


def test_everything_that_takes_tags_says_whose_it_is(world: Recorder) -> None:
    """Every taggable resource declares its logical name as Name, and the five ownership tags."""
    for (kind, name), resource in world.resources.items():
        if kind.startswith("stackmend:") or kind in UNTAGGABLE:
            assert "tags" not in resource.inputs
            continue
        declared = resource.inputs["tags"]
        if kind == "aws:autoscaling/group:Group":
            assert all(tag["propagateAtLaunch"] is True for tag in declared)
            declared = {tag["key"]: tag["value"] for tag in declared}
        assert declared == {
            "Name": name,
            "stackmend:cell": "prod-eu-1",
            "stackmend:tenant": "acme",
            "stackmend:tier": "gold",
            "stackmend:regime": "pci-dss soc2",
            "stackmend:owner": "platform",
        }


def test_servers_and_their_volumes_are_tagged_at_launch(world: Recorder) -> None:
    """The launch template tags instances and volumes, so that neither is ever without an owner."""
    specifications = world.one("ec2/launchTemplate:LaunchTemplate", "acme-server")["tagSpecifications"]
    assert {one["resourceType"] for one in specifications} == {"instance", "volume"}
    assert all(tags.read(one["tags"]) is not None for one in specifications)


def test_every_resource_has_a_component_as_its_parent(world: Recorder) -> None:
    """Parts hang from the tenant and resources from a part, so that the tenant is known from the parent chain."""
    parts = {resource.name for (kind, _), resource in world.resources.items() if kind.startswith("stackmend:index:")}
    for (kind, name), resource in world.resources.items():
        if kind == "stackmend:index:Tenant":
            assert resource.parent == ""
        elif kind.startswith("stackmend:"):
            assert resource.parent == "acme"
        else:
            assert resource.parent in parts - {"acme"}, name


def test_what_holds_data_is_protected_where_it_matters() -> None:
    """Bucket, key and log group are protected from deletion; in a cell for development nothing is."""
    stateful = {"aws:s3/bucket:Bucket", "aws:kms/key:Key", "aws:cloudwatch/logGroup:LogGroup"}
    protected = {kind for (kind, _), resource in build(protect_data=True).resources.items() if resource.protect}
    assert protected == stateful
    assert not any(resource.protect for resource in build(protect_data=False).resources.values())


@pytest.mark.parametrize(
    ("later", "earlier"),
    [
        ("aws:lb/loadBalancer:LoadBalancer acme-alb", "aws:ec2/route:Route acme-public-default"),
        ("aws:autoscaling/group:Group acme-servers", "aws:iam/rolePolicy:RolePolicy acme-server"),
        ("aws:autoscaling/group:Group acme-servers", "aws:lb/listener:Listener acme-https"),
        (
            "aws:s3/bucketPolicy:BucketPolicy acme-data-policy",
            "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock acme-data-public-access",
        ),
    ],
)
def test_what_aws_needs_first_comes_first(world: Recorder, later: str, earlier: str) -> None:
    """Orders that no value expresses are declared: AWS refuses, or servers start in vain, the other way round."""
    kind, name = later.split()
    assert tuple(earlier.split()) in world.resources[kind, name].depends_on


def statements(world: Recorder) -> list[tuple[str, dict[str, Any]]]:
    """(type of the resource, statement) of all policies."""
    documents = [
        (kind, json.loads(resource.inputs[key]))
        for (kind, _), resource in world.resources.items()
        for key in ("policy", "assumeRolePolicy")
        if key in resource.inputs
    ]
    return [(kind, statement) for kind, document in documents for statement in document["Statement"]]


def test_no_policy_lets_everybody_in_or_everything_out(world: Recorder) -> None:
    """No Allow has a wildcard principal; only a key's own policy, where it means the key, has the resource ``*``."""
    found = statements(world)
    assert len(found) == 8
    for kind, statement in found:
        if statement["Effect"] == "Allow":
            assert "*" not in json.dumps(statement.get("Principal", {}))
            assert statement.get("Resource") != "*" or kind == "aws:kms/key:Key"
            assert kind == "aws:kms/key:Key" or "*" not in json.dumps(statement["Action"])


def test_logs_may_use_the_key_for_this_log_group_only(world: Recorder) -> None:
    """CloudWatch Logs of the region may use the tenant's key, bound to the exact name of the tenant's log group."""
    policy = json.loads(world.one("kms/key:Key", "acme-key")["policy"])
    root, logs = policy["Statement"]
    assert root["Principal"] == {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}
    assert logs["Principal"] == {"Service": "logs.eu-west-1.amazonaws.com"}
    group = world.one("cloudwatch/logGroup:LogGroup", "acme-api")["name"]
    assert group == "/stackmend/prod-eu-1/acme/api"
    context = {"kms:EncryptionContext:aws:logs:arn": f"arn:aws:logs:eu-west-1:{ACCOUNT}:log-group:{group}"}
    assert logs["Condition"] == {"ArnEquals": context}


def test_the_internet_reaches_the_load_balancer_and_nothing_behind_it(world: Recorder) -> None:
    """Only ports 443 and 80 of the load balancer are open; servers take only its traffic, at the application's port."""
    front = world.one("ec2/securityGroup:SecurityGroup", "acme-alb-sg")
    back = world.one("ec2/securityGroup:SecurityGroup", "acme-server-sg")
    assert {(rule["fromPort"], rule["toPort"]) for rule in front["ingress"]} == {(443, 443), (80, 80)}
    assert [rule["cidrBlocks"] for rule in front["egress"]] == [["10.10.0.0/20"]]
    assert [rule.get("cidrBlocks") for rule in back["ingress"]] == [None]
    assert [rule["securityGroups"] for rule in back["ingress"]] == [["acme-alb-sg-id"]]
    port = world.one("lb/targetGroup:TargetGroup", "acme-api")["port"]
    assert front["egress"][0]["fromPort"] == back["ingress"][0]["fromPort"] == port
    assert not any(
        resource.inputs["mapPublicIpOnLaunch"]
        for (kind, _), resource in world.resources.items()
        if kind == "aws:ec2/subnet:Subnet"
    )


def test_servers_give_credentials_to_nobody_who_asks_the_old_way(world: Recorder) -> None:
    """Instance metadata wants a session token and answers one hop away only (T12)."""
    options = world.one("ec2/launchTemplate:LaunchTemplate", "acme-server")["metadataOptions"]
    assert options == {"httpEndpoint": "enabled", "httpTokens": "required", "httpPutResponseHopLimit": 1}


def test_a_subnet_does_not_move_when_the_list_of_zones_changes(world: Recorder) -> None:
    """The zone counts when a subnet is made and never again, so a zone that goes down moves nothing (F49)."""
    subnets = [resource for (kind, _), resource in world.resources.items() if kind == "aws:ec2/subnet:Subnet"]
    assert all(resource.ignored == ("availabilityZone",) for resource in subnets)
    assert {resource.inputs["availabilityZone"] for resource in subnets} == {"eu-west-1a", "eu-west-1b"}


def test_logs_stay_as_long_as_the_strictest_regime_says(world: Recorder) -> None:
    """The log group is kept for PCI DSS's and SOC 2's year, encrypted with the tenant's key."""
    group = world.one("cloudwatch/logGroup:LogGroup", "acme-api")
    assert group["retentionInDays"] == 400
    assert group["kmsKeyId"] == "arn:of:acme-key"


def test_names_of_load_balancers_fit_for_the_longest_tenant() -> None:
    """Load balancers and target groups take 32 characters; the engine adds a dash and 7 digits to the logical name."""
    longest = "x" * 20
    assert Tenant.model_validate({**TENANT.model_dump(), "name": longest}).name == longest
    for kind in ("aws:lb/loadBalancer:LoadBalancer", "aws:lb/targetGroup:TargetGroup"):
        for suffix in TABLE[kind]:
            assert len(f"{longest}-{suffix}-1234567") <= 32


def test_no_two_tenants_can_ever_claim_one_logical_name() -> None:
    """No suffix ends in another of its type, so tenant ``a-b`` never makes what tenant ``a`` made (B34, T09)."""
    for suffixes in TABLE.values():
        for one in suffixes:
            assert not any(one.endswith(f"-{other}") for other in suffixes)

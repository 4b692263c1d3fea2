"""Every fault breaks what it says, of the tenant it is told to, and nothing of anybody else."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count
from typing import Any

import pytest
from botocore.exceptions import ClientError

from reconciler.errors import StackmendError
from sandbox.faults.fault import Actor
from sandbox.faults.keys import STRANGER
from sandbox.faults.registry import FAULTS, named
from sandbox.faults.victim import Victim, VictimNotFound
from sandbox.lifecycle import Sandbox
from tenancy import tags
from tests.unit.sandbox_worlds import CELL, World, emptied, running

numbers = count(1)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    with running(tmp_path_factory.mktemp("faults") / "home") as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(server: Sandbox) -> Sandbox:
    return emptied(server)


@pytest.fixture
def world(sandbox: Sandbox) -> World:
    """A tenant that no other test has touched. Names are such that one begins like another: shop-1, shop-10."""
    return World(sandbox, f"shop-{next(numbers)}")


def gone(call: Callable[..., Any], **params: Any) -> str:
    """The error code by which AWS says that something is not there, or empty if it is."""
    try:
        call(**params)
    except ClientError as error:
        return error.response["Error"]["Code"]
    return ""


def instance_state(w: World) -> Any:
    return sorted(w.states(*w.members()).values())


def listeners(w: World) -> Any:
    rows = w.victim.elbv2.describe_listeners(LoadBalancerArn=w.balancer)["Listeners"]
    return {row["Port"]: (row.get("SslPolicy"), row["DefaultActions"][0]["Type"]) for row in rows}


def ssh_sources(w: World) -> Any:
    group = w.victim.ec2.describe_security_groups(GroupIds=[w.security_group])["SecurityGroups"][0]
    return [(p["FromPort"], p["IpRanges"][0]["CidrIp"]) for p in group["IpPermissions"]]


def server_groups(w: World) -> Any:
    filters: Any = [{"Name": "tag:Name", "Values": [f"{w.tenant}-server-sg"]}]
    groups = w.victim.ec2.describe_security_groups(Filters=filters)["SecurityGroups"]
    assert {g["VpcId"] for g in groups} == {w.vpc}
    return len(groups)


def vpc_tags(w: World) -> Any:
    return {t["Key"] for t in w.victim.ec2.describe_vpcs(VpcIds=[w.vpc])["Vpcs"][0]["Tags"]}


def default_route(w: World) -> Any:
    table = w.victim.ec2.describe_route_tables(RouteTableIds=[w.route_table])["RouteTables"][0]
    return "0.0.0.0/0" in [r.get("DestinationCidrBlock") for r in table["Routes"]]


def associated(w: World) -> Any:
    table = w.victim.ec2.describe_route_tables(RouteTableIds=[w.route_table])["RouteTables"][0]
    return [a["SubnetId"] for a in table["Associations"] if "SubnetId" in a] == [w.subnets["public-a"]]


def dns_hostnames(w: World) -> Any:
    attribute = w.victim.ec2.describe_vpc_attribute(VpcId=w.vpc, Attribute="enableDnsHostnames")
    return attribute["EnableDnsHostnames"]["Value"]


def public_addresses(w: World) -> Any:
    return w.victim.ec2.describe_subnets(SubnetIds=[w.subnets["private-a"]])["Subnets"][0]["MapPublicIpOnLaunch"]


def encryption(w: World) -> Any:
    rules = w.victim.s3.get_bucket_encryption(Bucket=w.bucket)["ServerSideEncryptionConfiguration"]["Rules"]
    return rules[0]["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"]


def template_tokens(w: World) -> Any:
    found = w.victim.ec2.describe_launch_template_versions(LaunchTemplateId=w.template, Versions=["$Default"])
    data = found["LaunchTemplateVersions"][0]["LaunchTemplateData"]
    return data["MetadataOptions"]["HttpTokens"], data["InstanceType"]


def capacity(w: World) -> Any:
    group = w.scaling_group()
    return group["MinSize"], group["DesiredCapacity"], group["MaxSize"], len(group["Instances"])


def suspended(w: World) -> Any:
    return [p["ProcessName"] for p in w.scaling_group()["SuspendedProcesses"]]


def alarms(w: World) -> Any:
    rows = w.victim.cloudwatch.describe_alarms(AlarmNamePrefix=f"{w.tenant}-")["MetricAlarms"]
    return {row["AlarmName"].split("-0a1b2c3")[0].removeprefix(f"{w.tenant}-"): row["AlarmActions"] for row in rows}


def retention(w: World) -> Any:
    return w.victim.logs.describe_log_groups(logGroupNamePrefix=w.log_group)["logGroups"][0].get("retentionInDays")


def replacement(w: World) -> Any:
    """The target state of a server launched now."""
    before = set(w.members())
    w.victim.autoscaling.set_desired_capacity(AutoScalingGroupName=w.group, DesiredCapacity=4)
    targets = w.targets()
    return sorted(targets[i] for i in before), [targets[i] for i in set(w.members()) - before]


def zones_of_newcomers(w: World) -> Any:
    """The zones in which three more servers are launched."""
    before = set(w.members())
    w.victim.autoscaling.set_desired_capacity(AutoScalingGroupName=w.group, DesiredCapacity=6)
    return {i["AvailabilityZone"] for i in w.scaling_group()["Instances"] if i["InstanceId"] not in before}


def compromised(w: World) -> Any:
    """How many members carry the tag."""
    rows = w.victim.ec2.describe_instances(InstanceIds=w.members())["Reservations"]
    return sum(t["Key"] == tags.COMPROMISED for r in rows for i in r["Instances"] for t in i["Tags"])


def role_document(w: World) -> Any:
    answer: Any = w.victim.iam.get_role_policy(RoleName=w.role, PolicyName=f"{w.tenant}-server")
    return answer["PolicyDocument"].get("Statement")


TOPIC = ["arn:aws:sns:us-east-1:123456789012:alarms"]
OWNED = {tags.NAME, tags.CELL, tags.TENANT, tags.OWNER}
LISTENERS = {443: ("ELBSecurityPolicy-TLS13-1-2-2021-06", "forward"), 80: (None, "redirect")}
HEALTHY = ["healthy"] * 3

EFFECTS: dict[str, tuple[Callable[[World], Any], Any, Any]] = {
    "terminate-instance": (instance_state, ["running"] * 3, ["running", "running", "terminated"]),
    "stop-instance": (instance_state, ["running"] * 3, ["running", "running", "stopped"]),
    "crash-application": (
        lambda w: sorted(w.targets().values()),
        HEALTHY,
        ["healthy", "healthy", "unhealthy"],
    ),
    "deregister-target": (lambda w: sorted(w.targets().values()), HEALTHY, ["healthy", "healthy"]),
    "break-image": (replacement, None, (HEALTHY, ["unhealthy"])),
    "compromise-server": (compromised, 0, 1),
    "exhaust-zone": (zones_of_newcomers, None, {"us-east-1b"}),
    "fail-load-balancer": (
        lambda w: w.victim.elbv2.describe_load_balancers(LoadBalancerArns=[w.balancer])["LoadBalancers"][0]["State"],
        {"Code": "active"},
        {"Code": "failed", "Reason": "it could not be set up"},
    ),
    "suspend-healing": (suspended, [], ["ReplaceUnhealthy"]),
    "weaken-health-check": (lambda w: w.scaling_group()["HealthCheckType"], "ELB", "EC2"),
    "shrink-group": (capacity, (2, 3, 6, 3), (1, 1, 6, 1)),
    "allow-imdsv1": (template_tokens, ("required", "t3.small"), ("optional", "t3.small")),
    "open-ssh": (ssh_sources, [], [(22, "0.0.0.0/0")]),
    "delete-default-route": (default_route, True, False),
    "detach-subnet": (associated, True, False),
    "disable-dns-hostnames": (dns_hostnames, True, False),
    "expose-subnet": (public_addresses, False, True),
    "leave-orphan": (server_groups, 1, 2),
    "strip-tag": (vpc_tags, OWNED, OWNED - {tags.OWNER}),
    "unblock-bucket": (
        lambda w: gone(w.victim.s3.get_public_access_block, Bucket=w.bucket),
        "",
        "NoSuchPublicAccessBlockConfiguration",
    ),
    "change-encryption": (encryption, "aws:kms", "AES256"),
    "suspend-versioning": (
        lambda w: w.victim.s3.get_bucket_versioning(Bucket=w.bucket)["Status"],
        "Enabled",
        "Suspended",
    ),
    "drop-tls-policy": (lambda w: gone(w.victim.s3.get_bucket_policy, Bucket=w.bucket), "", "NoSuchBucketPolicy"),
    "disable-key-rotation": (
        lambda w: w.victim.kms.get_key_rotation_status(KeyId=w.key)["KeyRotationEnabled"],
        True,
        False,
    ),
    "schedule-key-deletion": (
        lambda w: w.victim.kms.describe_key(KeyId=w.key)["KeyMetadata"]["KeyState"],
        "Enabled",
        "PendingDeletion",
    ),
    "grant-key": (
        lambda w: [grant["GranteePrincipal"] for grant in w.victim.kms.list_grants(KeyId=w.key)["Grants"]],
        [],
        [STRANGER],
    ),
    "delete-alias": (lambda w: len(w.victim.kms.list_aliases(KeyId=w.key)["Aliases"]), 1, 0),
    "widen-role-policy": (
        role_document,
        None,
        [{"Effect": "Allow", "Action": "*", "Resource": "*"}],
    ),
    "delete-listener": (listeners, LISTENERS, {80: (None, "redirect")}),
    "downgrade-tls": (listeners, LISTENERS, {**LISTENERS, 443: ("ELBSecurityPolicy-2016-08", "forward")}),
    "drop-redirect": (listeners, LISTENERS, {**LISTENERS, 80: (None, "forward")}),
    "delete-alarm": (alarms, {"unhealthy-hosts": TOPIC, "5xx": TOPIC}, {"5xx": TOPIC}),
    "mute-alarm": (alarms, {"unhealthy-hosts": TOPIC, "5xx": TOPIC}, {"unhealthy-hosts": TOPIC, "5xx": []}),
    "shorten-log-retention": (retention, 400, 1),
}
"""How to see each fault, what is seen before it and what after it; None for not looked at before."""


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_breaks_what_it_says(world: World, name: str) -> None:
    """Before the fault the tenant is whole, after it exactly the described thing is broken."""
    look, before, after = EFFECTS[name]
    if before is not None:
        assert look(world) == before
    struck = FAULTS[name].strike(world.victim)
    assert struck
    assert look(world) == after


def test_a_fault_writes_only_to_its_tenant(sandbox: Sandbox) -> None:
    """All faults on one tenant of two: no write call names anything of the other (B34: shop-1 against shop-10)."""
    number = next(numbers)
    mine, other = World(sandbox, f"bank-{number}"), World(sandbox, f"bank-{number}0")
    sandbox.control.reset()
    for name in sorted(FAULTS, key="delete-listener".__eq__):  # last, since another fault changes that listener
        FAULTS[name].strike(mine.victim)
    theirs = [other.tenant, other.vpc, *other.subnets.values(), other.route_table, other.security_group, other.key]
    theirs += [other.template, other.image, *other.members()]
    writes = sandbox.control.writes()
    assert len(writes) >= len(FAULTS)
    assert [w for w in writes if any(w.names(thing) for thing in theirs)] == []


def test_nothing_left_to_break_is_said_in_words(world: World) -> None:
    """A fault whose victim is gone says so, with what to do, instead of failing with AWS's error."""
    FAULTS["delete-listener"].strike(world.victim)
    with pytest.raises(VictimNotFound, match="found no port 443"):
        FAULTS["delete-listener"].strike(world.victim)


def test_a_tenant_of_another_cell_is_not_found(sandbox: Sandbox, world: World) -> None:
    """The same tenant name in another cell is somebody else."""
    stranger = Victim(sandbox.session(), world.tenant, "prod", endpoint_url=sandbox.url)
    for name in FAULTS:
        if name != "shorten-log-retention":  # found by its name, which has the cell in it
            with pytest.raises(VictimNotFound):
                FAULTS[name].strike(stranger)
    assert CELL != "prod"


def test_the_registry_describes_every_fault() -> None:
    """Names are unique and kebab-case, types are Pulumi tokens, and each fault says who does such a thing."""
    assert set(EFFECTS) == set(FAULTS)
    for name, fault in FAULTS.items():
        assert name == fault.name == name.lower().replace(" ", "-")
        assert fault.description
        assert fault.actor in Actor
        assert all(token.startswith("aws:") and token.count(":") == 2 for token in fault.types)
        assert all(fault.explains({"type": token}) for token in fault.types)
        assert not fault.explains({"type": "aws:sns/topic:Topic"})


def test_an_unknown_fault_is_refused_with_the_known_ones() -> None:
    """A misspelt name lists the faults there are."""
    with pytest.raises(StackmendError, match="no fault called 'open-ssl'") as caught:
        named("open-ssl")
    assert "open-ssh" in str(caught.value)

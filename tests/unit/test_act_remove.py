"""Removing an orphan, on moto and behind the real guard: looked at once more, then gone by the one call it takes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import count
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from reconciler.act import recovery
from reconciler.act.act import act
from reconciler.act.removal import REMOVALS, TYPES, removal_of
from reconciler.act.strategies import STRATEGIES
from reconciler.errors import WriteRefused
from reconciler.model import Outcome, Repair, Status
from reconciler.observe.clients import Clients
from reconciler.observe.registry import KINDS
from reconciler.ports import OpenIntent
from reconciler.wiring import GuardedWriter
from tests.unit.act_world import World, declared, plan, resource
from tests.unit.sandbox_stage import Intent

ACCOUNT, REGION = "123456789012", "us-east-1"
TAGS = {"Name": "acme-sg", "stackmend:cell": "dev", "stackmend:tenant": "acme"}


@dataclass(frozen=True)
class Account:
    """One account for all tests, since making clients is what takes time. Every test has networks of its own."""

    ec2: Any
    elbv2: Any
    autoscaling: Any
    clients: Clients
    image: str
    numbers: Iterator[int]


@pytest.fixture(scope="module")
def account() -> Iterator[Account]:
    with pytest.MonkeyPatch.context() as patch, mock_aws():
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            patch.setenv(name, "test")
        patch.delenv("AWS_ENDPOINT_URL", raising=False)
        session = boto3.Session(region_name=REGION)
        ec2, elbv2, autoscaling = session.client("ec2"), session.client("elbv2"), session.client("autoscaling")
        image = str(ec2.describe_images(Owners=["amazon"])["Images"][0]["ImageId"])
        yield Account(ec2, elbv2, autoscaling, Clients(REGION, ACCOUNT), image, count(1))


class Aws:
    """A tenant's network with one orphan of each type, and another tenant's network."""

    def __init__(self, account: Account) -> None:
        self.ec2, self.elbv2, self.autoscaling = account.ec2, account.elbv2, account.autoscaling
        self.clients, self.image, self.number = account.clients, account.image, next(account.numbers)
        vpcs = (self.ec2.create_vpc(CidrBlock=c)["Vpc"]["VpcId"] for c in ("10.0.0.0/16", "10.1.0.0/16"))
        self.network, self.theirs = vpcs
        group = self.ec2.create_security_group(GroupName="acme-sg-1a2b3c4", Description="d", VpcId=self.network)
        table = self.ec2.create_route_table(VpcId=self.network)["RouteTable"]
        targets = self.elbv2.create_target_group(
            Name=f"acme-api-{self.number:07x}", Protocol="HTTP", Port=80, VpcId=self.network
        )
        self.orphans = {
            "sg": group["GroupId"],
            "rtb": table["RouteTableId"],
            "subnet": self.subnet("10.0.1.0/24"),
            "tg": targets["TargetGroups"][0]["TargetGroupArn"],
            "lt": "",
        }
        for kind in self.orphans:
            self.tag(kind)

    def subnet(self, cidr: str = "10.0.9.0/24") -> str:
        zone = "us-east-1b" if cidr == "10.0.9.0/24" else "us-east-1a"
        made = self.ec2.create_subnet(VpcId=self.network, CidrBlock=cidr, AvailabilityZone=zone)
        return str(made["Subnet"]["SubnetId"])

    def tag(self, kind: str, **changes: str) -> None:
        """Tag one orphan, or whatever has this id. moto tags a launch template only when it is made."""
        tags = [{"Key": k, "Value": v} for k, v in {**TAGS, **changes}.items()]
        id_ = self.orphans.get(kind, kind)
        if kind == "lt":
            made = self.ec2.create_launch_template(
                LaunchTemplateName=f"acme-lt-{id_}{self.number}",
                LaunchTemplateData={"InstanceType": "t3.small", "ImageId": self.image},
                TagSpecifications=[{"ResourceType": "launch-template", "Tags": tags}],
            )
            self.orphans["lt"] = made["LaunchTemplate"]["LaunchTemplateId"]
        elif kind == "tg":
            self.elbv2.add_tags(ResourceArns=[id_], Tags=tags)
        else:
            self.ec2.create_tags(Resources=[id_], Tags=tags)

    def there(self, id_: str) -> bool:
        removal = removal_of(id_)
        assert removal is not None
        operation, result, parameter = removal.look
        client = self.elbv2 if removal.service == "elbv2" else self.ec2
        try:
            return bool(getattr(client, operation)(**{parameter: [id_]})[result])
        except ClientError as error:
            if error.response["Error"]["Code"] not in removal.gone:
                raise
            return False

    def server(self, **parameters: Any) -> str:
        made = self.ec2.run_instances(ImageId=self.image, MinCount=1, MaxCount=1, **parameters)
        return str(made["Instances"][0]["InstanceId"])


@pytest.fixture
def aws(account: Account) -> Iterator[Aws]:
    yield Aws(account)
    # moto lists no more than 15 of them.
    for template in account.ec2.describe_launch_templates()["LaunchTemplates"]:
        account.ec2.delete_launch_template(LaunchTemplateId=template["LaunchTemplateId"])


ALL = ("sg", "rtb", "subnet", "lt", "tg")


def world_of(aws: Aws, **inputs: Any) -> World:
    network = replace(resource("acme-vpc"), id=aws.network)
    other = replace(resource("globex-vpc"), id=aws.theirs)
    user = resource("acme-user", inputs=inputs)
    world = World(declared(network, other, user))
    world.change(aws=GuardedWriter(aws.clients, world.tools.declared, {}), verify=lambda _: {})
    return world


def remove(aws: Aws, id_: str, *, tenant: str | None = "acme", **inputs: Any) -> tuple[Outcome, list[str]]:
    world = world_of(aws, **inputs)
    repair = Repair("remove", tenant, (), ("f-1",), "an orphan", members=(id_,))
    (outcome,) = act(plan(repair), world.tools)
    return outcome, world.log


def assert_kept(aws: Aws, id_: str, words: str, **options: Any) -> None:
    outcome, _ = remove(aws, id_, **options)
    assert (outcome.status, aws.there(id_)) == (Status.REFUSED, True)
    assert words in outcome.reason


@pytest.mark.parametrize("kind", ALL)
def test_an_orphan_is_removed_and_nothing_else(aws: Aws, kind: str) -> None:
    """I04: the intent first, then the one call that names it; afterwards it is gone and everything else is there."""
    id_ = aws.orphans[kind]
    outcome, log = remove(aws, id_)
    assert (outcome.status, outcome.reason) == (Status.HEALED, "")
    assert log == ["intend remove", "held", "conclude healed"]
    assert [k for k in ALL if not aws.there(aws.orphans[k])] == [kind]


def test_the_table_is_small_and_holds_no_data() -> None:
    """I08: no type that holds state is in the table, and each one's ids are told from all others'."""
    assert len(REMOVALS) == len(TYPES) == len(ALL)
    assert all(not KINDS[t].stateful for t in TYPES)
    for id_ in ("i-0123456789abcdef0", "vpc-12345678", "vol-12345678", "acme-data", "arn:aws:s3:::b", "", "sg-x"):
        assert removal_of(id_) is None


@pytest.mark.parametrize("kind", ALL)
@pytest.mark.parametrize("key", ["stackmend:cell", "stackmend:tenant"])
def test_what_says_that_it_is_anothers_stays(aws: Aws, kind: str, key: str) -> None:
    """T01 T02: the tags are read again right before the call, and another cell's or tenant's are a refusal."""
    aws.tag(kind, **{key: "globex"})
    assert_kept(aws, aws.orphans[kind], "does not say any more")


def test_a_tag_in_another_tenants_network_removes_nothing(aws: Aws) -> None:
    """T01: whoever tags another's group as the tenant's own has it looked for in the tenant's network, in vain."""
    theirs = aws.ec2.create_security_group(GroupName="acme-sg-9999999", Description="d", VpcId=aws.theirs)["GroupId"]
    aws.tag(theirs)
    assert_kept(aws, theirs, "not the tenant's")


@pytest.mark.parametrize("kind", ALL)
def test_what_is_declared_with_it_keeps_it(aws: Aws, kind: str) -> None:
    """Something declared names it, deep in its inputs."""
    assert_kept(aws, aws.orphans[kind], "acme-user is declared with it", rules=[{"of": aws.orphans[kind]}])


def test_a_repair_of_nobody_removes_nothing(aws: Aws) -> None:
    """I10: without a tenant there is nobody whose it could be."""
    assert_kept(aws, aws.orphans["sg"], "does not say", tenant=None)


def interface_in(aws: Aws) -> None:
    aws.ec2.create_network_interface(SubnetId=aws.subnet(), Groups=[aws.orphans["sg"]])


def server_in(aws: Aws) -> None:
    aws.server(SubnetId=aws.orphans["subnet"], SecurityGroupIds=[aws.orphans["sg"]])


def referred_to(aws: Aws) -> None:
    other = aws.ec2.create_security_group(GroupName="other", Description="d", VpcId=aws.network)["GroupId"]
    pairs = [{"GroupId": aws.orphans["sg"]}]
    aws.ec2.authorize_security_group_ingress(
        GroupId=other,
        IpPermissions=[{"IpProtocol": "tcp", "FromPort": 1, "ToPort": 1, "UserIdGroupPairs": pairs}],
    )


def launched_with(aws: Aws) -> None:
    data = {"SecurityGroupIds": [aws.orphans["sg"]]}
    aws.ec2.create_launch_template(LaunchTemplateName=f"other-{aws.number}", LaunchTemplateData=data)


def grouped(aws: Aws) -> None:
    aws.autoscaling.create_auto_scaling_group(
        AutoScalingGroupName=f"g-{aws.number}",
        MinSize=0,
        MaxSize=0,
        LaunchTemplate={"LaunchTemplateId": aws.orphans["lt"], "Version": "$Latest"},
        VPCZoneIdentifier=aws.orphans["subnet"],
        TargetGroupARNs=[aws.orphans["tg"]],
    )


def routed(aws: Aws) -> None:
    aws.ec2.associate_route_table(RouteTableId=aws.orphans["rtb"], SubnetId=aws.subnet())


def served(aws: Aws) -> None:
    subnets = [aws.subnet(), aws.orphans["subnet"]]
    groups = [aws.orphans["sg"]]
    balancer = aws.elbv2.create_load_balancer(Name=f"b-{aws.number}", Subnets=subnets, SecurityGroups=groups)[
        "LoadBalancers"
    ][0]
    action = {"Type": "forward", "TargetGroupArn": aws.orphans["tg"]}
    arn = balancer["LoadBalancerArn"]
    aws.elbv2.create_listener(LoadBalancerArn=arn, Protocol="HTTP", Port=80, DefaultActions=[action])


def targeted(aws: Aws) -> None:
    server = aws.server(SubnetId=aws.subnet())
    aws.elbv2.register_targets(TargetGroupArn=aws.orphans["tg"], Targets=[{"Id": server}])


@pytest.mark.parametrize(
    ("use", "kinds"),
    [
        (interface_in, ("sg",)),
        (server_in, ("sg", "subnet")),
        (referred_to, ("sg",)),
        (launched_with, ("sg",)),
        (grouped, ("lt", "subnet", "tg")),
        (routed, ("rtb",)),
        (served, ("sg", "subnet", "tg")),
        (targeted, ("tg",)),
    ],
)
def test_what_is_in_use_stays(aws: Aws, use: Any, kinds: tuple[str, ...]) -> None:
    """Attached, referred to, launched from, routed by, or receiving requests: each use alone keeps it."""
    use(aws)
    for kind in kinds:
        assert_kept(aws, aws.orphans[kind], "it is in use")


def test_one_that_is_gone_already_needs_no_call(aws: Aws) -> None:
    """I09: somebody else removed it: nothing is written."""
    id_ = aws.orphans["rtb"]
    aws.ec2.delete_route_table(RouteTableId=id_)
    outcome, log = remove(aws, id_)
    assert (outcome.status, log) == (Status.HEALED, ["intend remove", "conclude healed"])


def test_what_cannot_be_read_is_not_unused(aws: Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    """F10 I06: a read of its uses that fails leaves it where it is."""
    clients = Clients(REGION, ACCOUNT)

    def denied(**_: Any) -> None:
        raise ClientError({"Error": {"Code": "UnauthorizedOperation", "Message": "no"}}, "DescribeNetworkInterfaces")

    clients.client("ec2").meta.events.register("before-parameter-build.ec2.DescribeNetworkInterfaces", denied)
    world = world_of(aws)
    world.change(aws=GuardedWriter(clients, world.tools.declared, {}))
    (outcome,) = act(plan(Repair("remove", "acme", (), ("f-1",), "r", members=(aws.orphans["sg"],))), world.tools)
    assert (outcome.status, aws.there(aws.orphans["sg"])) == (Status.NOT_HEALED, True)
    assert "UnauthorizedOperation" in outcome.reason


def test_a_dry_run_only_says_so(aws: Aws) -> None:
    """I15: nothing is deleted, and the outcome says what would be."""
    world = world_of(aws)
    repair = Repair("remove", "acme", (), ("f-1",), "an orphan", members=(aws.orphans["sg"],))
    (outcome,) = act(plan(repair), world.tools, dry_run=True)
    assert (outcome.status, outcome.reason, world.log) == (Status.DRY_RUN, "an orphan", [])
    assert aws.there(aws.orphans["sg"])


def test_one_that_was_cut_off_says_what_is_not_known(aws: Aws) -> None:
    """Nobody declares an orphan, so that says nothing of whether it is still there; the outcome names it."""
    world = world_of(aws)
    repair = Repair("remove", "acme", (), ("f-1",), "an orphan", members=("sg-1",))
    intents: list[OpenIntent] = [Intent(world.journal.intend(repair), repair)]
    (outcome,) = recovery.conclude_open(intents, world.tools)
    assert outcome.status is Status.INTERRUPTED
    assert "nobody declares sg-1, and the next look shows whether it is still there" in outcome.reason
    assert "no longer declared" not in outcome.reason


def test_the_guard_lets_nothing_else_through(aws: Aws) -> None:
    """I10: outside of its permit the same client deletes nothing, and the strategy is not run on two at once."""
    with pytest.raises(WriteRefused):
        aws.clients.client("ec2").delete_security_group(GroupId=aws.orphans["sg"])
    assert STRATEGIES["remove"].operations == frozenset()
    both = Repair("remove", "acme", (), ("f-1",), "r", members=(aws.orphans["sg"], aws.orphans["rtb"]))
    (outcome,) = act(plan(both), world_of(aws).tools)
    assert outcome.status is Status.REFUSED

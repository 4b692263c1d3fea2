"""Whatever the code above the guard believes, a repair writes only what is its own."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from typing import Any

import botocore.session
import pytest
from botocore.exceptions import ClientError

from reconciler.act.aws_writes import FleetWrites, KeyWrites
from reconciler.act.isolation import Isolation
from reconciler.errors import WriteRefused
from reconciler.model import Declared, Fleet, Member, Quarantined, Repair
from reconciler.observe.clients import Clients
from reconciler.ownership import Ownership, sighted
from reconciler.wiring import GuardedWriter, ReadOnlyJournal
from tenancy.tags import QUARANTINE_GROUP
from tests.unit.act_world import GROUP, World, declared, resource

ACCOUNT, REGION = "123456789012", "eu-central-1"
MINE, THEIRS, STRAY, GONE = (f"i-{c * 17}" for c in "abcd")
DISK, CARD, NETWORK, CELL_OFF = "vol-" + "a" * 17, "eni-" + "a" * 17, "vpc-" + "a" * 17, "sg-" + "a" * 17
TARGETS = f"arn:aws:elasticloadbalancing:{REGION}:{ACCOUNT}:targetgroup/acme/1"
THEIR_TARGETS = f"arn:aws:elasticloadbalancing:{REGION}:{ACCOUNT}:targetgroup/globex/1"

ACME = replace(resource("acme-servers", GROUP), id="acme-asg")
GLOBEX = replace(resource("globex-servers", GROUP), id="globex-asg")
OTHERS = (
    replace(resource("globex-targets", "aws:lb/targetGroup:TargetGroup"), id=THEIR_TARGETS),
    replace(resource("globex-key", "aws:kms/key:Key"), id="1111-2222"),
    replace(resource("globex-data", "aws:s3/bucket:Bucket"), id="globex-data-1", inputs={"bucket": "globex-data"}),
    replace(resource("acme-net", "aws:ec2/vpc:Vpc"), id=NETWORK),
)
WORLD = declared(ACME, GLOBEX, *OTHERS)
LEFT = (Quarantined(GONE, None),)
FLEET = Fleet(ACME.urn, "acme-asg", 1, 1, 2, (Member(MINE, "a", "InService", "running", "healthy"),),
              target_groups=(TARGETS,), quarantined=LEFT)  # fmt: skip
SEEN = {ACME.urn: sighted(FLEET), GLOBEX.urn: frozenset({"globex-asg", THEIRS, THEIR_TARGETS})}
ROLLOUT = Repair("rollout", "acme", (ACME.urn,), ("f-1",), "broken", members=(MINE,))


class Held(ReadOnlyJournal):
    """A journal whose lease is held."""

    def ensure_held(self, tenants: Collection[str] = ()) -> None:
        """It is."""


@pytest.fixture
def sent() -> list[str]:
    return []


@pytest.fixture
def clients(sent: list[str], monkeypatch: pytest.MonkeyPatch) -> Clients:
    """The product's own clients; what would be sent is noted, and no answer comes."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "x")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
    core = botocore.session.Session()

    def note(**given: Any) -> None:
        sent.append(given["request"].url)
        raise ClientError({"Error": {"Code": "Sent", "Message": "sent"}}, "any")

    core.register("before-send", note)
    return Clients(REGION, ACCOUNT, session=core)


def fleet(clients: Clients, group: str, repair: Repair = ROLLOUT, world: Declared = WORLD) -> FleetWrites:
    return FleetWrites(GuardedWriter(clients, world, SEEN), Held(), repair, group)


@pytest.mark.parametrize(
    "write",
    [
        lambda c: fleet(c, "globex-asg").terminate(THEIRS, shrink=True),
        lambda c: fleet(c, "globex-asg").set_desired(0),
        lambda c: fleet(c, "acme-asg").terminate(THEIRS, shrink=True),
        lambda c: fleet(c, "acme-asg").terminate(STRAY, shrink=True),
        lambda c: fleet(c, "acme-asg").deregister(THEIR_TARGETS, MINE),
        lambda c: fleet(c, "acme-asg").deregister(TARGETS, THEIRS),
        lambda c: fleet(c, "globex-asg", replace(ROLLOUT, urns=(GLOBEX.urn,))).set_desired(0),
        lambda c: fleet(c, "acme-asg", replace(ROLLOUT, members=(THEIRS,))).terminate(THEIRS, shrink=True),
        lambda c: KeyWrites(GuardedWriter(c, WORLD, SEEN), Held(), ROLLOUT, "1111-2222").enable(),
    ],
    ids=["all of it theirs", "their group", "their server", "a stray server", "their targets", "their target",
         "a repair that names their group", "a repair that names their server", "their key"],
)  # fmt: skip
def test_nothing_of_another_tenant_s_is_written(
    clients: Clients, sent: list[str], write: Callable[[Clients], None]
) -> None:
    """A repair of one tenant whose code passes another's group, server, target group or key: refused with a typed
    error, and nothing is sent (I10)."""
    with pytest.raises(WriteRefused, match="nothing was sent"):
        write(clients)
    assert sent == []


@pytest.mark.parametrize(
    "write",
    [
        lambda f: f.set_desired(2),
        lambda f: f.terminate(MINE, shrink=True),
        lambda f: f.report_unhealthy(MINE),
        lambda f: f.deregister(TARGETS, MINE),
    ],
)
def test_what_is_the_repair_s_own_is_written(
    clients: Clients, sent: list[str], write: Callable[[FleetWrites], None]
) -> None:
    """Its group, the servers that a look at that group has shown, and the target groups they serve in."""
    with pytest.raises(Exception, match="Sent"):
        write(fleet(clients, "acme-asg"))
    assert len(sent) == 1


def test_a_tag_may_speak_of_another_resource(clients: Clients, sent: list[str]) -> None:
    """A reason that is an ARN is content of the server's tag: what is written is the server. The same ARN as what is
    written is refused."""
    finding = f"arn:aws:guardduty:{REGION}:{ACCOUNT}:detector/1/finding/2"
    writer = GuardedWriter(clients, WORLD, SEEN)
    tools = replace(World(WORLD).tools, aws=writer, journal=Held())
    with pytest.raises(Exception, match="Sent"):
        Isolation(tools, ROLLOUT, "acme-asg", MINE).mark(reason=finding)
    assert len(sent) == 1
    with pytest.raises(WriteRefused), writer.permit(ROLLOUT, operations={"ec2:CreateTags"}, resources={THEIRS}):
        writer.client("ec2").create_tags(Resources=[THEIRS], Tags=[{"Key": "a", "Value": THEIRS}])
    assert len(sent) == 1


class Ec2:
    """AWS's answers about the one server of acme."""

    def describe_instances(self, InstanceIds: list[str]) -> Mapping[str, Any]:  # noqa: N803
        assert InstanceIds == [MINE]
        disks, cards = [{"Ebs": {"VolumeId": DISK}}], [{"NetworkInterfaceId": CARD}]
        row = {"VpcId": NETWORK, "BlockDeviceMappings": disks, "NetworkInterfaces": cards}
        return {"Reservations": [{"Instances": [row]}]}

    def describe_security_groups(self, Filters: list[Any]) -> Mapping[str, Any]:  # noqa: N803
        assert [f["Values"] for f in Filters] == [[NETWORK], [QUARANTINE_GROUP]]
        return {"SecurityGroups": [{"GroupId": CELL_OFF}]}


OWNED = Ownership(WORLD, SEEN, Ec2)


@pytest.mark.parametrize(
    ("name", "why"),
    [
        (DISK, ""),
        (CARD, ""),
        (NETWORK, ""),
        (CELL_OFF, ""),
        (GONE, ""),
        ("vol-" + "b" * 17, "the plan does not name it"),
        ("sg-" + "b" * 17, "the plan does not name it"),
        ("globex-data", "it belongs to tenant globex"),
        ("arn:aws:s3:::globex-data-1", "it belongs to tenant globex"),
        (f"arn:aws:kms:{REGION}:{ACCOUNT}:key/1111-2222", "it belongs to tenant globex"),
    ],
)
def test_what_a_server_has(name: str, why: str) -> None:
    """The disks, interfaces and network of a server that the plan names are the repair's own, as is the quarantine's
    security group there; ids, ARNs and names of another tenant's are not (I10)."""
    assert OWNED.objection(ROLLOUT, name) == why


def test_an_orphan_is_named_by_its_removal_alone() -> None:
    """A removal concerns no declared resource: it may write the one that it names, if nobody else declares that."""
    removal = Repair("remove", "acme", (), ("f-1",), "left behind", members=(CELL_OFF,))
    assert OWNED.objection(removal, CELL_OFF) == ""
    assert OWNED.objection(removal, DISK)
    assert OWNED.objection(replace(removal, members=("globex-asg",)), "globex-asg") == "it belongs to tenant globex"


def test_a_name_that_collides_does_not_open_the_other_s(clients: Clients) -> None:
    """T09: a tenant whose group bears the other's name has its own group, and no right to the other's other things."""
    twin = replace(ACME, id="globex-data")
    owned = Ownership(declared(twin, *OTHERS), SEEN, Ec2)
    assert owned.objection(ROLLOUT, "globex-data") == ""
    assert owned.objection(ROLLOUT, "globex-data-1")
    assert owned.objection(ROLLOUT, "arn:aws:s3:::globex-data")


def test_what_cannot_be_read_is_not_owned(clients: Clients, sent: list[str]) -> None:
    """I06: whether a disk is the server's could not be read, so it is refused, with the reason."""
    owned = Ownership(WORLD, SEEN, lambda: clients.client("ec2"))
    assert "could not be read" in owned.objection(ROLLOUT, DISK)
    assert len(sent) == 1

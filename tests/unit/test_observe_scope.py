"""Looking at a few resources: narrow reads, the same sights, and no absence but by the whole listing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import botocore.session
import pytest
import stamina

from reconciler.model import Presence
from reconciler.observe.clients import Clients
from reconciler.observe.dialogue import Dialogue
from reconciler.observe.observe import observe
from reconciler.observe.reads import Answer, Failed, Missing, More, Read, Rows
from reconciler.observe.registry import OBSERVERS
from reconciler.observe.scope import scope
from tests.moto_server import serving
from tests.unit.observe_server import ENVIRONMENT, World, build
from tests.unit.observe_worlds import ACCOUNT, REGION, Table, declared, resource
from tests.unit.test_observe_executor import Wire, identity, refusal

WHOLE = Read("x", "list", "Rows")
PARTS = (Read("x", "one", "Rows", target="a"), Read("x", "one", "Rows", target="b"))
SUBNET = resource("aws:ec2/subnet:Subnet", "acme-a", "subnet-1", {"vpcId": "vpc-1"})
GONE = refusal(400, "InvalidSubnetID.NotFound")


def subnets(*ids: str) -> tuple[int, str]:
    items = "".join(f"<item><subnetId>{id_}</subnetId><vpcId>vpc-1</vpcId></item>" for id_ in ids)
    return 200, f"<R><subnetSet>{items}</subnetSet></R>"


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        ({"one a": Rows(({"id": 1},)), "one b": Rows(({"id": 2},))}, Rows(({"id": 1}, {"id": 2}))),
        ({"one a": Missing("gone"), "one b": Rows(({"id": 2},))}, Rows(({"id": 2},))),
        ({"one a": Failed("no"), "one b": Rows(())}, Failed("no")),
    ],
)
def test_a_listing_is_put_together(answers: Mapping[str, Answer], expected: Answer) -> None:
    """I06: the parts' rows are the listing's; a part that failed fails it, and the whole listing is not read."""
    table = Table(answers)
    talk = Dialogue(table, scope={WHOLE: PARTS})
    found = talk.resolve({"q": lambda known: known.get(WHOLE)})
    assert (found["q"], table.asked) == (expected, list(PARTS))
    assert [answer for _, answer in talk.failed()] == [a for a in answers.values() if isinstance(a, Failed)]


def test_a_part_may_be_known_already() -> None:
    """What was asked for itself is not asked again as a part of a listing."""
    table = Table({"one a": Rows(({"id": 1},)), "one b": Rows(())})
    talk = Dialogue(table, scope={WHOLE: PARTS})
    talk.fetch(PARTS)
    talk.fetch([WHOLE, *PARTS])
    assert talk.known[WHOLE] == Rows(({"id": 1},))
    assert table.asked == list(PARTS)


def test_follow_ups_do_not_wait_for_others() -> None:
    """A question whose answer is there leads on at once, while another is still waiting for its own."""
    slow, quick, next_ = (Read("x", name, "Rows") for name in ("slow", "quick", "next"))

    class Source:
        """Answers the newest first, and ``slow`` only when nothing else is left."""

        def __init__(self) -> None:
            self.open: list[Read] = []
            self.answered: list[Read] = []

        def submit(self, reads: Any) -> None:
            self.open += reads

        def take(self) -> list[tuple[Read, Answer]]:
            read = next((r for r in self.open if r != slow), slow)
            self.open.remove(read)
            self.answered.append(read)
            return [(read, Rows(()))]

    source = Source()
    questions: dict[str, Any] = {
        "slow": lambda known: known.get(slow),
        "quick": lambda known: got if isinstance(got := known.get(quick), More) else known.get(next_),
    }
    Dialogue(source).resolve(questions)
    assert source.answered == [quick, next_, slow]


@pytest.fixture
def wire() -> Iterator[tuple[Clients, Wire]]:
    core, wire = botocore.session.Session(), Wire()
    core.set_credentials("testing", "testing")
    core.register("before-send", wire)  # type: ignore[arg-type]
    wire.script["GetCallerIdentity"] = [identity(ACCOUNT)]
    with stamina.set_testing(True, attempts=2):
        yield Clients(REGION, ACCOUNT, session=core), wire


@pytest.mark.parametrize(
    ("replies", "presence", "calls"),
    [
        ([subnets("subnet-1")], Presence.PRESENT, 1),
        ([subnets(), subnets("subnet-1")], Presence.PRESENT, 2),
        ([subnets(), GONE, subnets(), GONE], Presence.ABSENT, 4),
        ([subnets(), GONE, subnets("subnet-1")], Presence.PRESENT, 3),
        ([subnets(), GONE, refusal(403, "AccessDenied")], Presence.UNKNOWN, 3),
        ([refusal(403, "AccessDenied")], Presence.UNKNOWN, 1),
        ([subnets(), refusal(403, "AccessDenied")], Presence.UNKNOWN, 2),
        ([subnets(), subnets()], Presence.UNKNOWN, 2),
    ],
)
def test_absence_takes_the_whole_listing(
    wire: tuple[Clients, Wire], replies: list[Any], presence: Presence, calls: int
) -> None:
    """I06 F10 F15: what a narrow listing lacks and a direct read denies is absent only if the whole one lacks it."""
    clients, line = wire
    line.script["DescribeSubnets"] = list(replies)
    seen = observe(declared(SUBNET), clients, only={SUBNET.urn}).resources[SUBNET.urn]
    sent = [fields for fields in line.sent if fields["Action"] == "DescribeSubnets"]
    assert (seen.presence, len(sent)) == (presence, calls)
    assert sent[0]["Filter.1.Value.1"] == "subnet-1"


@pytest.fixture(scope="module")
def served() -> Iterator[tuple[World, Clients, list[tuple[str, Mapping[str, Any]]]]]:
    """A world on a server, clients of it, and the calls they make with their parameters."""
    with serving() as address, pytest.MonkeyPatch.context() as patch:
        for name, value in {**ENVIRONMENT, "AWS_ENDPOINT_URL": address}.items():
            patch.setenv(name, value)
        patch.delenv("AWS_PROFILE", raising=False)
        made = build(address)
        core, calls = botocore.session.Session(), list[tuple[str, Mapping[str, Any]]]()

        def note(params: Mapping[str, Any], model: Any, **_: Any) -> None:
            calls.append((model.name, dict(params)))

        core.register("before-parameter-build", note)  # type: ignore[arg-type]
        yield made, Clients(REGION, ACCOUNT, session=core), calls


def test_a_narrow_look_sees_the_same(served: tuple[World, Clients, list[tuple[str, Mapping[str, Any]]]]) -> None:
    """Resources and fleets look the same through narrow reads, and no listing that can be narrowed is read whole."""
    world, clients, calls = served
    whole = observe(world.declared, clients)
    calls.clear()
    narrow = observe(world.declared, clients, only=world.declared.resources.keys())
    assert narrow.resources == whole.resources
    assert narrow.fleets == whole.fleets
    assert narrow.failed == ()
    paging = {"MaxResults", "MaxRecords", "PageSize", "ResourceTypeFilters", "Versions"}
    unfiltered = {name for name, params in calls if not params.keys() - paging}
    assert unfiltered <= {"GetCallerIdentity"}


def test_an_id_that_cannot_be_sent_is_in_no_narrow_read() -> None:
    """I06: half a character in one id leaves the others that are asked for together with it their answer."""
    half = resource("aws:ec2/subnet:Subnet", "acme-b", "subnet-\ud800", {"vpcId": "vpc-1"})
    assert scope([SUBNET, half]) == scope([SUBNET])


def test_many_are_read_whole() -> None:
    """Where narrow reads would be more than the listing's pages, there are none."""
    type_ = "aws:lb/targetGroup:TargetGroup"
    few, many = ([resource(type_, f"t{i}", f"arn:{i}", {}) for i in range(n)] for n in (3, 30))
    assert OBSERVERS[type_].reads(few[0])[0] in scope(few)
    assert OBSERVERS[type_].reads(few[0])[0] not in scope(many)


@pytest.mark.parametrize("tags", [None, {"stackmend:tenant": "acme"}])
def test_who_has_no_owner_is_looked_for_everywhere(tags: Any) -> None:
    """The tag index is narrowed only if every resource looked at declares its cell."""
    alarm = resource("aws:cloudwatch/metricAlarm:MetricAlarm", "a", "a", {"tags": tags} if tags else {})
    index = OBSERVERS[alarm.type].reads(alarm)[1]
    assert index not in scope([alarm])
    owner = {"stackmend:cell": "dev", "stackmend:tenant": "acme"}
    assert index in scope([resource(alarm.type, "a", "a", {"tags": owner})])


def test_what_is_no_tenants_is_looked_for_in_the_cell() -> None:
    """The tag index is narrowed to the cell, for its tenants' too, where one of those looked at is the cell's own."""
    own = resource("aws:sqs/queue:Queue", "q", "https://q", {"tags": {"stackmend:cell": "dev"}})
    theirs = resource(own.type, "t", "https://t", {"tags": {"stackmend:cell": "dev", "stackmend:tenant": "acme"}})
    index = OBSERVERS[own.type].reads(own)[1]
    for looked_at, keys in (([own, theirs], ["stackmend:cell"]), ([theirs], ["stackmend:cell", "stackmend:tenant"])):
        (read,) = scope(looked_at)[index]
        assert [dict(one)["Key"] for one in dict(read.params)["TagFilters"]] == keys

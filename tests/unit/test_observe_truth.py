"""What is said of a resource: PRESENT, ABSENT or UNKNOWN, and when each of them is earned."""

from __future__ import annotations

import ast
import pathlib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler import observe as package
from reconciler.errors import WrongAccount
from reconciler.model import (
    ChangedDeclaration,
    DeclaredResource,
    ObservedResource,
    Path,
    PendingOperation,
    Presence,
    Refreshed,
    ResourceKind,
    Stray,
    Unreadable,
    Urn,
)
from reconciler.observe.clients import Clients
from reconciler.observe.dialogue import ROUNDS, Dialogue
from reconciler.observe.observe import ALARM, locate_pending, observe
from reconciler.observe.reads import Answer, Answers, Failed, Missing, More, Observer, Owned, Read, Rows, Sight
from reconciler.observe.registry import KINDS, OBSERVERS, PERMISSIONS
from tests.unit.observe_worlds import ACCOUNT, CELL, REGION, Table, declared, failed, resource, rows, tags

VPC = resource("aws:ec2/vpc:Vpc", "acme-vpc", "vpc-1", {"cidrBlock": "10.0.0.0/16", "enableDnsSupport": True})
SUBNET = resource("aws:ec2/subnet:Subnet", "acme-a", "subnet-1", {"vpcId": "vpc-1"})
VPC_ROW = {"VpcId": "vpc-1", "CidrBlock": "10.0.0.0/16", "Tags": []}
DNS = rows({"EnableDnsSupport": {"Value": True}, "EnableDnsHostnames": {"Value": False}})
GONE = Missing("ec2:DescribeVpcs for vpc-1: InvalidVpcID.NotFound: no such")
FINE: dict[str, Answer] = {"describe_vpcs": rows(VPC_ROW), "describe_vpc_attribute vpc-1": DNS}


def look(answers: Mapping[str, Answer], *resources: DeclaredResource) -> ObservedResource:
    """What is said of the VPC."""
    return observe(declared(VPC, *resources), Table(answers)).resources[VPC.urn]


def test_a_row_in_the_listing_is_present() -> None:
    """The ordinary case: listed, and its properties in Pulumi's words."""
    seen = look(FINE)
    assert seen.presence is Presence.PRESENT
    assert (seen.properties["cidrBlock"], seen.properties["enableDnsSupport"]) == ("10.0.0.0/16", True)


def test_a_failed_listing_is_unknown() -> None:
    """I06 F10: a listing that could not be read proves nothing, though a direct read says the thing is gone."""
    seen = look({**FINE, "describe_vpcs": failed("denied"), "describe_vpcs vpc-1": GONE})
    assert (seen.presence, seen.reason) == (Presence.UNKNOWN, "denied")


def test_an_empty_listing_that_a_direct_read_contradicts_is_present() -> None:
    """F15 F08: an empty list is suspicious, and the resource itself is asked."""
    seen = look({**FINE, "describe_vpcs": rows(), "describe_vpcs vpc-1": rows(VPC_ROW)})
    assert seen.presence is Presence.PRESENT


def test_an_empty_listing_that_a_direct_read_confirms_is_absent() -> None:
    """A complete listing without it and a direct read that knows of none: that is absence, with its proof."""
    seen = look({**FINE, "describe_vpcs": rows(), "describe_vpcs vpc-1": GONE})
    assert (seen.presence, seen.reason) == (Presence.ABSENT, GONE.how)


def test_an_empty_listing_that_nothing_confirms_is_unknown() -> None:
    """I06 F15: if the direct read fails, the empty listing stays unproven."""
    seen = look({**FINE, "describe_vpcs": rows(), "describe_vpcs vpc-1": failed("throttled")})
    assert (seen.presence, seen.reason) == (Presence.UNKNOWN, "throttled")


def test_a_denied_attribute_costs_only_itself() -> None:
    """F10: one unreadable property leaves the rest of the resource judged, and is listed among the failed reads."""
    seen = observe(declared(VPC), Table({**FINE, "describe_vpc_attribute vpc-1": failed("denied")}))
    properties = seen.resources[VPC.urn].properties
    assert properties["cidrBlock"] == "10.0.0.0/16"
    assert properties["enableDnsSupport"] == Unreadable("denied")
    assert {(f.operation, f.target, f.reason) for f in seen.failed} == {("describe_vpc_attribute", "vpc-1", "denied")}


@pytest.mark.parametrize(
    ("direct", "presence"),
    [(GONE, Presence.ABSENT), (rows(VPC_ROW), Presence.PRESENT), (failed(), Presence.UNKNOWN)],
)
def test_what_vanishes_between_list_and_get_is_asked_again(direct: Answer, presence: Presence) -> None:
    """F09: listed, but gone for the attribute read: only a direct read of the resource settles it."""
    seen = look({**FINE, "describe_vpc_attribute vpc-1": Missing("gone"), "describe_vpcs vpc-1": direct})
    assert seen.presence is presence
    if presence is Presence.PRESENT:
        assert isinstance(seen.properties["enableDnsSupport"], Unreadable)


def test_a_failed_read_concerns_no_one_else() -> None:
    """I06: one service in trouble makes its own resources unknown, and those of other listings stay judged."""
    seen = observe(declared(VPC, SUBNET), Table({**FINE, "describe_subnets": failed()})).resources
    assert (seen[VPC.urn].presence, seen[SUBNET.urn].presence) == (Presence.PRESENT, Presence.UNKNOWN)


LISTINGS = [failed(), rows(), rows(VPC_ROW)]


@given(st.sampled_from(LISTINGS), st.sampled_from([*LISTINGS, GONE]))
def test_absence_takes_two_answers(listing: Answer, direct: Answer) -> None:
    """I06 F15: only a complete listing without it and AWS's own word that it is gone mean ABSENT; silence does not."""
    seen = look({**FINE, "describe_vpcs": listing, "describe_vpcs vpc-1": direct})
    assert (seen.presence is Presence.ABSENT) == (listing == rows() and direct == GONE)


def test_a_type_without_an_observer_is_unknown() -> None:
    """What cannot be seen is said to be unknown, never skipped."""
    topic = resource("aws:sns/topic:Topic", "t", "arn:q", {})
    seen = observe(declared(topic), Table({})).resources[topic.urn]
    assert (seen.presence, seen.reason) == (Presence.UNKNOWN, "no observer for type aws:sns/topic:Topic")


# --- observers that misbehave ------------------------------------------------------------------------------


def plugin(see: Any, **more: Any) -> dict[str, Observer]:
    return {"x:y:Z": Observer(ResourceKind("x:y:Z"), lambda _: (), see, (), **more)}


THING = resource("x:y:Z", "thing", "z-1", {})


def test_a_crashing_observer_costs_its_own_resource() -> None:
    """A plugin's bug is UNKNOWN with its words, never a verdict and never the end of the run."""

    def see(_: DeclaredResource, __: Answers) -> Sight:
        raise KeyError("surprise")

    seen = observe(declared(THING), Table({}), observers=plugin(see)).resources[THING.urn]
    assert (seen.presence, seen.reason) == (Presence.UNKNOWN, "the observer crashed: KeyError: 'surprise'")


def test_an_observer_that_never_stops_asking_is_unknown() -> None:
    """Four rounds of questions are enough for anybody."""
    table = Table({})

    def see(_: DeclaredResource, __: Answers) -> Sight:
        return More((Read("ec2", "describe_vpcs", target=str(len(table.asked))),))

    seen = observe(declared(THING), table, observers=plugin(see)).resources[THING.urn]
    assert seen.presence is Presence.UNKNOWN
    assert "kept asking" in seen.reason
    assert len(table.asked) == ROUNDS


def test_reads_are_shared() -> None:
    """Many resources of one type cost one listing."""
    table = Table({**FINE, "describe_subnets": rows({"SubnetId": "subnet-1", "VpcId": "vpc-1"})})
    others = [resource("aws:ec2/subnet:Subnet", f"acme-{i}", "subnet-1", {}) for i in range(20)]
    observe(declared(VPC, *others), table)
    assert [read.operation for read in table.asked].count("describe_subnets") == 1
    assert len(table.asked) == len(set(table.asked))


# --- alarms, strays, pending creates -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sight", "state"),
    [
        ({"stateValue": "ALARM"}, "ALARM"),
        (Failed("denied"), Unreadable("denied")),
        ({"stateValue": Unreadable("x")}, Unreadable("x")),
        (Missing("gone"), None),
    ],
)
def test_alarm_states(sight: Sight, state: object) -> None:
    """An alarm's state is what its observer says; unknown if it could not be read, none if there is no alarm."""
    alarm = resource(ALARM, "a", "a", {})
    observers = {ALARM: Observer(ResourceKind(ALARM), lambda _: (), lambda *_: sight, ())}
    assert observe(declared(alarm), Table({}), observers=observers).alarms.get(alarm.urn) == state


def _row(id_: str, cell: str, name: str = "acme-vpc", tenant: str = "acme") -> dict[str, Any]:
    found = {"Name": name, "stackmend:cell": cell, "stackmend:tenant": tenant, "aws:x": "y"}
    return {**VPC_ROW, "VpcId": id_, "Tags": [{"Key": k, "Value": v} for k, v in found.items()]}


def test_strays_are_this_cells_and_undeclared() -> None:
    """I10: only what carries this cell's tag and stands nowhere in its state; another cell's is none of ours."""
    listing = rows(_row("vpc-1", CELL), _row("vpc-2", CELL), _row("vpc-3", "dev-2"), {"VpcId": "vpc-4"})
    seen = observe(declared(VPC), Table({**FINE, "describe_vpcs": listing}))
    assert seen.strays == (Stray("aws:ec2/vpc:Vpc", "vpc-2", "acme", "acme-vpc", tags("acme-vpc"), network="vpc-2"),)  # type: ignore[arg-type]


def test_strays_of_types_no_longer_declared_are_found() -> None:
    """The listing of a type is read for strays although nothing of that type is declared any more."""
    seen = observe(declared(), Table({"describe_vpcs": rows(_row("vpc-2", CELL))}))
    assert [stray.id for stray in seen.strays] == ["vpc-2"]


def test_a_failed_listing_shows_no_strays_but_is_said() -> None:
    """I06: what could not be listed yields no stray, and stands among the failed reads."""
    seen = observe(declared(), Table({"describe_vpcs": failed()}))
    assert seen.strays == ()
    assert "describe_vpcs" in {f.operation for f in seen.failed}


def test_looking_at_some_resources_only() -> None:
    """A look at some resources speaks of those only, and not of strays, which would need every listing."""
    table = Table({**FINE, "describe_vpcs": rows(VPC_ROW, _row("vpc-2", CELL))})
    seen = observe(declared(VPC, SUBNET), table, only={VPC.urn})
    assert list(seen.resources) == [VPC.urn]
    assert seen.strays == ()
    assert {read.operation for read in table.asked} == {"describe_vpcs", "describe_vpc_attribute"}


AWAY = [{"region": "us-east-1"}, {"account": "210987654321"}]


@pytest.mark.parametrize("place", AWAY)
@pytest.mark.parametrize("only", [None, {VPC.urn}])
@pytest.mark.parametrize("listing", [rows(), rows(VPC_ROW)])
def test_what_is_somewhere_else_is_not_looked_for_here(place: Any, only: set[Urn] | None, listing: Answer) -> None:
    """I06: no listing of the cell's place shows or proves gone what is in another region or account."""
    table = Table({**FINE, "describe_vpcs": listing, "describe_vpcs vpc-1": GONE})
    seen = observe(declared(replace(VPC, **place)), table, only=only).resources[VPC.urn]
    assert seen.presence is Presence.UNKNOWN
    assert next(iter(place.values())) in seen.reason
    assert not [read for read in table.asked if read.target == "vpc-1"]


@pytest.mark.parametrize("place", AWAY)
def test_what_is_somewhere_else_is_seen_by_its_provider(place: Any) -> None:
    """The engine's provider reads where the resource is, and its word counts, absence included."""
    other = replace(VPC, **place)
    for exists, presence in ((True, Presence.PRESENT), (False, Presence.ABSENT)):
        answer = Refreshed("vpc-1", exists, frozenset(), before=VPC.inputs, inputs=VPC.inputs)

        def refresh(urns: Collection[Urn], answer: Refreshed = answer) -> Mapping[Urn, Refreshed]:
            return dict.fromkeys(urns, answer)

        seen = observe(declared(SUBNET, other), Table({"describe_subnets": failed()}), refresh=refresh).resources
        assert (seen[VPC.urn].presence, seen[VPC.urn].path) == (presence, Path.REFRESH)
        assert seen[SUBNET.urn].path is Path.BULK


@pytest.mark.parametrize("place", AWAY)
def test_a_cut_off_create_somewhere_else_cannot_be_told(place: Any) -> None:
    """F42 I06: that nothing of it is here does not prove that it was not made; creating it again may make a second."""
    table = Table({"describe_vpcs": rows()})
    found = locate_pending(declared(pending=(_pending(**place),)), table)
    assert isinstance(found[VPC.urn], Failed)
    assert table.asked == []


def _pending(**changes: Any) -> PendingOperation:
    return PendingOperation("creating", replace(VPC, id="", inputs={"tags": tags("acme-vpc")}, **changes))


@pytest.mark.parametrize(
    ("listing", "found"),
    [
        (rows(_row("vpc-9", CELL)), "vpc-9"),
        (rows(_row("vpc-1", CELL), _row("vpc-9", CELL)), "vpc-9"),
        (rows(_row("vpc-9", "dev-2")), None),
        (rows(_row("vpc-9", CELL, tenant="acme-2")), None),
        (rows(), None),
        (failed("denied"), Failed("denied")),
        (rows(_row("vpc-8", CELL), _row("vpc-9", CELL)), Failed("several resources may be it: vpc-8, vpc-9")),
    ],
    ids=["found", "not the one in the state", "other cell", "other tenant", "not made", "F10", "ambiguous"],
)
def test_a_cut_off_create_is_found(listing: Answer, found: object) -> None:
    """F42 C06 I06: found by its tags, or known not to exist, or not to be told; ids the state holds do not count."""
    world = declared(VPC, pending=(_pending(),))
    assert locate_pending(world, Table({"describe_vpcs": listing})).get(VPC.urn) == found


@pytest.mark.parametrize(
    ("by_tags", "found"), [(rows(_row("vpc-9", CELL)), "vpc-9"), (failed("denied"), Failed("denied")), (rows(), None)]
)
def test_a_listing_alone_does_not_prove_that_nothing_was_made(by_tags: Answer, found: object) -> None:
    """F08 F15: before a create may be repeated, AWS is asked by the very tags, and must answer that there is none."""
    table = Table({"describe_vpcs": rows(), "describe_vpcs tagged acme-vpc": by_tags})
    assert locate_pending(declared(VPC, pending=(_pending(),)), table).get(VPC.urn) == found


def test_what_is_created_again_under_its_natural_key_is_found() -> None:
    """C06: a route that left the state and whose new create was cut off has the id it had; it is found all the same."""
    inputs = {"routeTableId": "rtb-1", "destinationCidrBlock": "0.0.0.0/0", "gatewayId": "igw-1"}
    route = resource("aws:ec2/route:Route", "acme-default", "r-rtb-11080289494", inputs)
    lost = ChangedDeclaration(route.urn, "", route.id, None)
    world = declared(route, pending=(PendingOperation("creating", replace(route, id="")),), tampered=(lost,))
    row = {"RouteTableId": "rtb-1", "Routes": [{"DestinationCidrBlock": "0.0.0.0/0", "GatewayId": "igw-1"}]}
    assert locate_pending(world, Table({"describe_route_tables": rows(row)})) == {route.urn: route.id}


def test_only_creates_are_located() -> None:
    """A pending delete or update has an id already, and asks nothing."""
    table = Table({})
    world = declared(VPC, pending=(PendingOperation("deleting", VPC),))
    assert locate_pending(world, table) == {}
    assert table.asked == []


# --- the account -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("changes", [{"account": "999999999999"}, {"region": "us-east-1"}])
def test_clients_of_another_place_read_nothing(changes: Mapping[str, str]) -> None:
    """I10 B36: clients that are not for the declared account and region are refused before any call."""
    clients = Clients(REGION, ACCOUNT)
    with pytest.raises(WrongAccount):
        observe(declared(VPC, **changes), clients)
    assert clients.calls == 0


# --- the registry ------------------------------------------------------------------------------------------


def test_every_observer_is_complete() -> None:
    """Each type is registered under its own token, says which permissions it needs, and they are all collected."""
    assert len(OBSERVERS) >= 24
    for token, observer in OBSERVERS.items():
        assert observer.kind.token == token
        assert KINDS[token] is observer.kind
        assert observer.permissions
        assert set(observer.permissions) <= set(PERMISSIONS)


def test_only_clients_makes_clients() -> None:
    """I15: no other module imports boto3, so no client exists without the guard."""
    root = pathlib.Path(str(package.__file__)).parents[1]
    importers = {p.relative_to(root).as_posix() for p in root.rglob("*.py") if "boto3" in _imports(p)}
    assert importers == {"observe/clients.py"}


def _imports(path: pathlib.Path) -> Iterable[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module.split(".")[0]


def test_a_dialogue_never_repeats_a_read() -> None:
    """A read that was answered is not made again in the same look."""
    table = Table({})
    talk = Dialogue(table)
    read = Read("ec2", "describe_vpcs", "Vpcs")
    talk.fetch([read, read])
    talk.fetch([read])
    assert table.asked == [read]
    assert talk.answers.get(read) == Rows(())


def test_owners_may_ask(monkeypatch: pytest.MonkeyPatch) -> None:
    """What ``owned`` asks for in vain is read, so that strays are found in listings nothing else needed."""
    read = Read("x", "list_things", "Things")

    def owned(answers: Answers) -> Iterable[Owned]:
        answer = answers.get(read)
        return [Owned(row["id"], {"stackmend:cell": CELL}) for row in answer.rows] if isinstance(answer, Rows) else []

    observers = plugin(lambda *_: {}, owned=owned)
    seen = observe(declared(THING), Table({"list_things": rows({"id": "z-1"}, {"id": "z-2"})}), observers=observers)
    assert [stray.id for stray in seen.strays] == ["z-2"]

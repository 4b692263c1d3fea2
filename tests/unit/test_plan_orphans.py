"""An orphan is adopted or removed on two signs, of which tags are at most one; take either away and it stays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.act.removal import TYPES
from reconciler.detect.orphans import orphans as found_orphans
from reconciler.model import (
    Attempt,
    Coverage,
    DeclaredResource,
    Finding,
    Observed,
    ObservedResource,
    Plan,
    Presence,
    ResourceKind,
    Scan,
    Status,
    Stray,
    Urn,
)
from reconciler.plan.planner import plan
from reconciler.plan.policy import Policy
from tests.unit.plan_worlds import NOW, cell, downstream, finding, resource

SG, LT, VPC = "aws:ec2/securityGroup:SecurityGroup", "aws:ec2/launchTemplate:LaunchTemplate", "aws:ec2/vpc:Vpc"
KEY = "aws:kms/key:Key"
KINDS = {t: ResourceKind(t, stateful=t == KEY) for t in (SG, LT, VPC, KEY)}
NETWORK = replace(resource("acme-vpc", type_=VPC), id="vpc-1")
THEIRS = replace(resource("globex-vpc", "globex", VPC), id="vpc-2")
GROUP = replace(resource("acme-sg", type_=SG, uses=["acme-vpc"]), id="sg-declared")
TEMPLATE = replace(resource("acme-lt", type_=LT, uses=["acme-sg"]), id="lt-declared")
VAULT = replace(resource("acme-key", type_=KEY), id="key-declared")
WORLD = (NETWORK, THEIRS, GROUP, TEMPLATE, VAULT)
TAGS = {"Name": "acme-sg", "stackmend:cell": "dev", "stackmend:tenant": "acme"}
STRAY = Stray(SG, "sg-1", "acme", "acme-sg", TAGS, network="vpc-1", physical_name="acme-sg-1a2b3c4")
BOLD = Policy(removable=TYPES, remove_orphans=True, orphan_age=timedelta(hours=1))
OLD = NOW - timedelta(hours=2)


def decided(
    *strays: Stray,
    policy: Policy = BOLD,
    absent: tuple[DeclaredResource, ...] = (),
    others: tuple[Finding, ...] = (),
    since: datetime | None = OLD,
    cut: Mapping[Urn, datetime] | None = None,
    history: tuple[Attempt, ...] = (),
    world: tuple[DeclaredResource, ...] = WORLD,
) -> Plan:
    declared = cell(*world)
    seen = {
        r.urn: ObservedResource(r.urn, Presence.ABSENT if r in absent else Presence.PRESENT, r.inputs) for r in world
    }
    observed = Observed(seen, strays=strays)
    found = (*found_orphans(observed), *(finding(r, "drift.missing") for r in absent), *others)
    scan = Scan("run", "dev", declared, observed, found, Coverage(len(declared.resources), 0, 0))
    return plan(
        scan, policy, history, KINDS, now=NOW,
        dependents=lambda urns: downstream(declared, urns),
        users=lambda urns: downstream(declared, urns),
        first_seen={f.id: since for f in found if since is not None},
        cut_off=cut or {},
    )  # fmt: skip


def kept(result: Plan) -> bool:
    """Whether the stray is only reported."""
    return result.repairs == () and {d.code for d in result.deferrals} == {"orphan"}


def test_an_orphan_with_both_signs_is_removed() -> None:
    """The cell's tags, and a name that only the engine makes up in the tenant's own network."""
    (repair,) = decided(STRAY).repairs
    assert (repair.strategy, repair.members, repair.urns, repair.tenant) == ("remove", ("sg-1",), (), "acme")


def test_by_default_a_person_is_told() -> None:
    """Absence never makes it bolder: without the setting it says what could be removed."""
    (repair,) = decided(STRAY, policy=replace(BOLD, remove_orphans=False)).repairs
    assert (repair.strategy, repair.members) == ("escalate", ("sg-1",))
    assert "sg-1" in repair.reason
    assert "could be removed" in repair.reason
    assert kept(decided(STRAY, policy=Policy()))


@pytest.mark.parametrize(
    "changes",
    [
        {"tags": {**TAGS, "stackmend:cell": "prod"}},
        {"tags": {**TAGS, "stackmend:tenant": "globex"}},
        {"tags": {**TAGS, "stackmend:tenant": "nobody"}},
        {"tags": {**TAGS, "Name": "acme-other"}},
        {"tags": {}},
        {"tags": {**TAGS, "Name": "acme-lt"}},
    ],
)
def test_without_its_tags_it_stays(changes: dict[str, Any]) -> None:
    """T01 T09: another cell's, another tenant's, nobody's, or not what is declared under that name."""
    assert kept(decided(replace(STRAY, **changes)))


@pytest.mark.parametrize(
    "changes",
    [
        {"physical_name": "acme-sg"},
        {"physical_name": "acme-sg-by-hand"},
        {"physical_name": "acme-sg-1a2b3c4d"},
        {"physical_name": "my-acme-sg-1a2b3c4"},
        {"physical_name": ""},
        {"network": "vpc-2"},
        {"network": "vpc-of-another-cell"},
        {"network": ""},
    ],
)
def test_tags_alone_remove_nothing(changes: dict[str, Any]) -> None:
    """T01: whoever copies the tags, and even the name, has not put it where the engine would have."""
    assert kept(decided(replace(STRAY, **changes)))


def test_a_name_proves_nothing_outside_of_a_network() -> None:
    """T09: another cell's template has such a name as well; its tag changed by hand does not make it ours."""
    tags = {**TAGS, "Name": "acme-lt"}
    template = Stray(LT, "lt-1", "acme", "acme-lt", tags, physical_name="acme-lt-1a2b3c4")
    assert kept(decided(template))
    cut = {TEMPLATE.urn: OLD - timedelta(minutes=5)}
    assert [r.strategy for r in decided(template, cut=cut).repairs] == ["remove"]


@pytest.mark.parametrize("minutes", [-1, 24 * 60 + 1])
def test_a_cut_at_another_time_proves_nothing(minutes: int) -> None:
    """What was there before the update was cut off, or came long after it, is not what that update made."""
    bare = replace(STRAY, physical_name="")
    cut = {GROUP.urn: OLD - timedelta(minutes=minutes)}
    assert kept(decided(bare, cut=cut))
    assert decided(bare, cut={GROUP.urn: OLD - timedelta(minutes=5)}).repairs
    assert kept(decided(bare, cut={NETWORK.urn: OLD - timedelta(minutes=5)}))


@pytest.mark.parametrize("since", [None, NOW, NOW - timedelta(minutes=59), NOW + timedelta(hours=5)])
def test_a_young_orphan_waits(since: datetime | None) -> None:
    """F36 F37: an update may still be under way; a clock set back makes nothing older."""
    assert kept(decided(STRAY, since=since))


def test_what_is_declared_with_it_keeps_it() -> None:
    """Something that is declared names it: it is in use, whatever else speaks against it."""
    using = replace(TEMPLATE, inputs={"vpcSecurityGroupIds": ["sg-1"]})
    assert kept(decided(STRAY, world=(NETWORK, THEIRS, GROUP, using, VAULT)))


@pytest.mark.parametrize("presence", ["unknown", "no id"])
def test_it_is_kept_while_its_twin_is_not_known_to_be_there(presence: str) -> None:
    """I06: it may be all there is of what is declared."""
    twin = replace(GROUP, id="") if presence == "no id" else GROUP
    declared = cell(NETWORK, THEIRS, twin, TEMPLATE, VAULT)
    seen = {twin.urn: ObservedResource(twin.urn, Presence.UNKNOWN if presence == "unknown" else Presence.PRESENT)}
    observed = Observed(seen, strays=(STRAY,))
    found = tuple(found_orphans(observed))
    scan = Scan("run", "dev", declared, observed, found, Coverage(0, 0, 0))
    result = plan(
        scan, BOLD, (), KINDS, now=NOW, dependents=lambda _: frozenset(), users=lambda _: frozenset(),
        first_seen={found[0].id: OLD},
    )  # fmt: skip
    assert kept(result)


def test_what_holds_state_is_never_removed_nor_adopted() -> None:
    """I08: a second key of the same name is a person's matter, with all signs and with its twin gone."""
    tags = {**TAGS, "Name": "acme-key"}
    key = Stray(KEY, "key-1", "acme", "acme-key", tags, physical_name="acme-key-1a2b3c4")
    cut = {VAULT.urn: OLD - timedelta(minutes=5)}
    assert kept(decided(key, cut=cut))
    strategies = {r.strategy for r in decided(key, cut=cut, absent=(VAULT,)).repairs}
    assert strategies == {"escalate"}


def test_what_nobody_tagged_is_never_removed() -> None:
    """T03: what is found inside a network is somebody's, even under a name like the engine's."""
    assert kept(decided(replace(STRAY, inside=NETWORK.urn)))


def test_a_removal_that_fails_is_not_tried_for_ever() -> None:
    """I11: after so many failures a person looks at it."""
    (first,) = decided(STRAY).repairs
    attempt = Attempt(Urn(""), "remove", Status.REFUSED, NOW - timedelta(minutes=9), first.finding_ids)
    (repair,) = decided(STRAY, history=(attempt, attempt)).repairs
    assert repair.strategy == "escalate"
    assert "failed 2 times" in repair.reason


# --- adopting --------------------------------------------------------------------------------------------------


def test_what_was_made_for_a_missing_resource_is_adopted() -> None:
    """The declared one is gone and its twin is there: it is taken over, with what refers to it, and not made twice."""
    (repair,) = decided(STRAY, absent=(GROUP,)).repairs
    assert (repair.strategy, repair.members, repair.adopts) == ("adopt", ("sg-1",), GROUP.urn)
    assert repair.urns == (GROUP.urn, TEMPLATE.urn)
    assert len(repair.finding_ids) == 2


def test_of_two_a_person_says_which() -> None:
    """Neither of two candidates is adopted or removed while what they were made for is missing."""
    result = decided(STRAY, replace(STRAY, id="sg-2"), absent=(GROUP,))
    assert [r.strategy for r in result.repairs] == ["recreate"]
    assert {d.code for d in result.deferrals} == {"orphan"}


@pytest.mark.parametrize("changes", [{"physical_name": "acme-sg"}, {"network": "vpc-2"}, {"tags": {}}])
def test_a_look_alike_is_not_adopted(changes: dict[str, Any]) -> None:
    """T01: what an intruder tagged in place of a deleted group does not become the group."""
    result = decided(replace(STRAY, **changes), absent=(GROUP,))
    assert [r.strategy for r in result.repairs] == ["recreate"]


@given(
    tagged=st.booleans(), placed=st.booleans(), named=st.booleans(), cut=st.booleans(), old=st.booleans(),
    allowed=st.booleans(),
)  # fmt: skip
def test_every_removal_has_its_reasons(
    tagged: bool, placed: bool, named: bool, cut: bool, old: bool, allowed: bool
) -> None:
    """Whatever is true of a stray: removed means tags, its place, one proof of the engine's, its age, and leave."""
    stray = replace(
        STRAY,
        tags=TAGS if tagged else {**TAGS, "stackmend:cell": "prod"},
        network="vpc-1" if placed else "vpc-9",
        physical_name="acme-sg-1a2b3c4" if named else "acme-sg",
    )
    since = OLD if old else NOW
    result = decided(
        stray,
        policy=replace(BOLD, remove_orphans=allowed),
        since=since,
        cut={GROUP.urn: since - timedelta(minutes=1)} if cut else {},
    )
    removed = any(r.strategy == "remove" for r in result.repairs)
    assert removed is (tagged and placed and (named or cut) and old and allowed)

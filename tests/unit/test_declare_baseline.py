"""The baseline: a state that changed without an update does not change what was declared."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.declare.baseline import effective, from_json, to_json
from reconciler.declare.state import parse
from reconciler.errors import StateError
from reconciler.model import ChangedDeclaration, Declared, Secret
from tests.unit.declare_worlds import PROVIDER, SECRET, STACK, component, resource, state, tags, urn


def read(*resources: dict[str, Any], version: int = 1) -> Declared:
    return parse(state(resources), cell="dev", version=version)


def test_without_a_baseline_the_state_stands() -> None:
    """The first look at a stack has nothing to compare with."""
    declared = read(resource("a"))
    assert effective(declared, None) is declared


def test_a_refresh_does_not_change_the_declaration() -> None:
    """A live value that a refresh wrote over an input is reported, and the declared one stands."""
    was = read(resource("a", inputs={"cidrBlock": "10.0.0.0/16", "gone": 1}))
    now = read(resource("a", inputs={"cidrBlock": "0.0.0.0/0", "new": {"x": 1}}))
    stands = effective(now, was)
    assert stands.resources[urn("a")].inputs == {"cidrBlock": "10.0.0.0/16", "gone": 1}
    assert stands.resources[urn("a")].programmed == {"cidrBlock", "gone"}
    assert stands.tampered == (
        ChangedDeclaration(urn("a"), "cidrBlock", "10.0.0.0/16", "0.0.0.0/0"),
        ChangedDeclaration(urn("a"), "gone", 1, None),
        ChangedDeclaration(urn("a"), "new", None, {"x": 1}),
    )


def test_an_update_changes_the_declaration() -> None:
    """After a new successful update the state stands again as a whole, with nothing to report."""
    was = read(resource("a"), resource("b"))
    now = read(resource("a", inputs={"cidrBlock": "10.9.0.0/16"}), version=2)
    assert effective(now, was) is now


@pytest.mark.parametrize("change", [{"cell": "other"}, {"project": "other"}])
def test_another_stacks_baseline_does_not_count(change: dict[str, str]) -> None:
    """A baseline of another cell or project says nothing about this one."""
    now = read(resource("a"))
    assert effective(now, replace(read(resource("b")), **change)) is now  # type: ignore[arg-type]


def test_a_partial_update_declares_what_it_wrote() -> None:
    """After a targeted update its resources' inputs are new, while a refreshed neighbour's stay the old ones."""
    was = read(resource("a"), resource("b"))
    now = read(resource("a", inputs={"cidrBlock": "live"}), resource("b", inputs={"subnetId": "new-id"}))
    stands = effective(now, was, redeclared={urn("b")})
    assert stands.resources[urn("a")].inputs == {"cidrBlock": "10.0.0.0/16"}
    assert stands.resources[urn("b")].inputs == {"subnetId": "new-id"}
    assert {change.urn for change in stands.tampered} == {urn("a")}


def test_what_a_killed_repair_created_anew_is_recognised() -> None:
    """F24, F42: a new id is followed wherever the old one was declared, so a cut-off repair is not taken for drift."""
    alb = "arn:aws:elasticloadbalancing:eu-west-1:123456789012:loadbalancer/app/acme-alb"
    name = {"__defaults": ["name"], "name": "acme-1"}

    def world(vpc: str, sg: str, hash_: str, **refreshed: Any) -> Declared:
        return read(
            resource("vpc", id=vpc, inputs={"cidrBlock": "10.0.0.0/16"} | refreshed),
            resource(
                "sg", id=sg, inputs=name | {"name": f"acme-{hash_}", "vpcId": vpc}, propertyDependencies={"vpcId": []}
            ),
            resource("alb", id=f"{alb}/{hash_}", inputs={"subnets": [f"{vpc}/a", f"{vpc}0"], "groups": [sg]}),
            resource(
                "alarm", inputs={"dimensions": {"LoadBalancer": f"app/acme-alb/{hash_}"}, "policy": f'{{"a":"{sg}"}}'}
            ),
        )

    was = world("vpc-1", "sg-1", "50dc")
    now = world("vpc-2", "sg-2", "60ef", cidrBlock="0.0.0.0/0")
    stands = effective(now, was)
    assert {change.urn: (change.property, change.was, change.now) for change in stands.tampered} == {
        urn("vpc"): ("cidrBlock", "10.0.0.0/16", "0.0.0.0/0"),
        urn("alb"): ("subnets", ["vpc-2/a", "vpc-10"], ["vpc-2/a", "vpc-20"]),
    }
    assert stands.resources[urn("sg")].inputs == {"name": "acme-60ef", "vpcId": "vpc-2"}


def test_a_resource_that_left_the_state_is_still_declared() -> None:
    """A refresh takes a deleted resource out of the state; it stays declared, before what needs it, and is reported."""
    needing = resource("b", dependencies=[urn("a")])
    stands = effective(read(needing, resource("c")), read(resource("c"), resource("a"), needing))
    order = list(stands.resources)
    assert order.index(urn("a")) < order.index(urn("b"))
    assert stands.tampered == (ChangedDeclaration(urn("a"), "", "a-id", None),)
    assert set(stands.resources) == {urn("a"), urn("b"), urn("c")}


def test_a_resource_that_came_into_the_state_is_kept_and_reported() -> None:
    """An import or a failed update adds resources: they are the stack's, so they are not taken for strays."""
    stands = effective(read(resource("a"), resource("b")), read(resource("a")))
    assert set(stands.resources) == {urn("a"), urn("b")}
    assert stands.tampered == (ChangedDeclaration(urn("b"), "", None, "b-id"),)


def test_a_refreshed_tag_does_not_move_a_resource_to_another_tenant() -> None:
    """T01, T02: a tenant tag changed in AWS and refreshed into the state changes neither the owner nor the tier."""
    was = read(resource("a", parent=STACK, inputs={"tags": tags("acme", "gold")}))
    now = read(resource("a", parent=STACK, inputs={"tags": tags("globex", "bronze")}))
    stands = effective(now, was)
    assert stands.resources[urn("a")].tenant == "acme"
    assert set(stands.tenants) == {"acme"}
    assert stands.tenants["acme"].tier == "gold"


def test_secrets_are_equal_however_they_are_encrypted() -> None:
    """Two encryptions of one secret differ in the state and are no change; a secret made plain is one."""
    was = read(resource("a", inputs={"password": SECRET}))
    assert effective(read(resource("a", inputs={"password": SECRET | {"ciphertext": "v1:x:y"}})), was).tampered == ()
    stands = effective(read(resource("a", inputs={"password": "plain"})), was)
    assert stands.tampered == (ChangedDeclaration(urn("a"), "password", Secret(), "plain"),)


def test_an_edited_state_does_not_ignore_what_the_program_does_not() -> None:
    """Who can write the state cannot hide a drift by it: what was ignored at the update is, and the edit is told."""
    was = read(resource("a", ignoreChanges=["tags"]))
    stands = effective(read(resource("a", ignoreChanges=["*"])), was)
    assert stands.resources[urn("a")].ignored == ("tags",)
    assert stands.tampered == (ChangedDeclaration(urn("a"), "ignoreChanges", ("tags",), ("*",)),)


def test_a_baseline_of_an_earlier_version_does_not_say_what_is_ignored() -> None:
    """After an upgrade, what the program ignores is no change of the declaration, and counts at once."""
    now = read(resource("a", ignoreChanges=["tags"]))
    kept = to_json(read(resource("a", ignoreChanges=["tags"]), resource("gone")))
    for fields in kept["resources"]:
        for new in ("ignored", "ignored_tags", "scaled", "region", "account"):
            del fields[new]
    stands = effective(now, from_json(kept))
    assert stands.resources[urn("a")].ignored == ("tags",)
    assert stands.resources[urn("gone")].ignored == ()
    assert [(c.urn, c.property) for c in stands.tampered] == [(urn("gone"), "")]


def test_a_look_that_changes_nothing_reports_nothing() -> None:
    """I09: the same state against its own baseline is what it was, pending operations included."""
    now = parse(
        state([resource("a")], pending=[{"type": "creating", "resource": resource("z")}]), cell="dev", version=1
    )
    assert effective(now, now) == now


def test_a_baseline_survives_the_store() -> None:
    """All that stands comes back from JSON, secrets as secrets; what is of the moment does not."""
    other = component(PROVIDER.replace("default_7_51_1", "other")) | {"custom": True}
    full = read(
        resource("a", inputs={"tags": tags(), "x": SECRET, "n": 1.5}, protect=True),
        resource("b", dependencies=[urn("a")], external=True, ignoreChanges=["tags", "x"]),
        {**other, "inputs": {"region": "us-east-1", "ignoreTags": {"keys": ["a"], "keyPrefixes": ["b"]}}},
        resource("c", provider=f"{other['urn']}::2"),
    )
    document = json.loads(json.dumps(to_json(full)))
    assert from_json(document) == full
    assert "ciphertext" not in json.dumps(document)
    tampered = effective(read(resource("a")), full)
    assert from_json(to_json(tampered)) == replace(tampered, tampered=())


def test_a_baseline_of_the_future_is_refused() -> None:
    """B48: a baseline in a format that is not known is refused by number."""
    with pytest.raises(StateError, match="format 2"):
        from_json(to_json(read()) | {"format": 2})


INPUTS = st.dictionaries(st.sampled_from("abc"), st.integers(0, 2), max_size=3)
STATES = st.dictionaries(st.sampled_from("uvwx"), INPUTS, max_size=4)


@given(STATES, STATES, st.sets(st.sampled_from("uvwx")))
def test_every_difference_is_either_declared_or_reported(
    before: dict[str, dict[str, int]], after: dict[str, dict[str, int]], written: set[str]
) -> None:
    """For any two states and any partial update: what stands is the old or the new, and whatever is not new is told."""
    was = read(*(resource(name, inputs=inputs) for name, inputs in before.items()))
    now = read(*(resource(name, inputs=inputs) for name, inputs in after.items()))
    stands = effective(now, was, redeclared={urn(name) for name in written})
    reported = {(change.urn, change.property) for change in stands.tampered}
    assert {r.name for r in stands.resources.values()} == before.keys() | after.keys()
    for name in before.keys() | after.keys():
        kept = stands.resources[urn(name)].inputs
        if name in written and name in after:
            assert kept == after[name]
        elif name in before and name in after:
            assert kept == before[name]
            differing = {
                k for k in before[name].keys() | after[name].keys() if before[name].get(k) != after[name].get(k)
            }
            assert {prop for changed, prop in reported if changed == urn(name)} == differing
        else:
            assert (urn(name), "") in reported


def test_a_partial_update_does_not_hold_on_to_what_was_created_anew_since() -> None:
    """What a targeted update wrote names a resource by its old id; once that one has another, the new one is meant."""
    user = resource("b", inputs={"subnetId": "old-1"})
    was = read(resource("a", id="old-1"), user)
    now = read(resource("a", id="new-2"), user)
    stands = effective(now, was, redeclared={urn("b")})
    assert stands.resources[urn("b")].inputs == {"subnetId": "new-2"}
    assert ChangedDeclaration(urn("b"), "subnetId", "new-2", "old-1") in stands.tampered

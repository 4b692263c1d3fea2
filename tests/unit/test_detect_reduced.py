"""What is left to others is not compared, and nothing else is left out with it; default tags are the resource's own."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.detect.diff import differences
from reconciler.model import (
    GROUP,
    DeclaredResource,
    IgnoredTags,
    ObservedResource,
    Presence,
    Refreshed,
    ResourceKind,
    Secret,
    Unreadable,
    Urn,
)
from reconciler.observe.by_refresh import see_by_refresh

TYPE = "aws:x/y:Y"
URN = Urn(f"urn:pulumi:dev::p::{TYPE}::a")
KIND = ResourceKind(TYPE, observed=True, unordered=frozenset({"ingress"}))
GENERIC = ResourceKind(TYPE)


def resource(inputs: dict[str, Any], **more: Any) -> DeclaredResource:
    return DeclaredResource(URN, TYPE, "a", "id-1", inputs, frozenset(inputs), **more)


def differing(
    one: DeclaredResource, live: dict[str, Any], *, kind: ResourceKind = KIND, told: frozenset[str] = frozenset()
) -> dict[str, Any]:
    seen = ObservedResource(URN, Presence.PRESENT, live, differing=told)
    return {d.property: d.observed for d in differences(kind, one, seen)}


DECLARED: dict[str, Any] = {
    "size": 1,
    "tags": {"own": "1", "a.b": "2"},
    "block": {"kept": 1, "left": 2},
    "steps": [{"port": 1, "to": 1}, {"port": 2, "to": 2}],
    "ingress": [{"port": 1, "to": 1}, {"port": 2, "to": 2}],
}


@pytest.mark.parametrize(
    ("path", "live", "left"),
    [
        ("size", {"size": 9}, set()),
        ("*", {"size": 9, "tags": {}, "block": None}, set()),
        ("tags", {"size": 9, "tags": {}}, {"size"}),
        ('tags["a.b"]', {"tags": {"own": "1"}}, set()),
        ('tags["a.b"]', {"tags": {"own": "1", "a.b": "x", "more": "y"}}, {"tags"}),
        ("tags.new", {"tags": {"own": "1", "a.b": "2", "new": "x"}}, set()),
        ("tags[*]", {"tags": {"x": "y"}}, set()),
        ("block.left", {"block": {"kept": 1, "left": 9}}, set()),
        ("block.left", {"block": {"kept": 9, "left": 2}}, {"block"}),
        ("steps[0].port", {"steps": [{"port": 9, "to": 1}, {"port": 2, "to": 2}]}, set()),
        ("steps[0].port", {"steps": [{"port": 1, "to": 1}, {"port": 9, "to": 2}]}, {"steps"}),
        ("steps[0]", {"steps": [{"port": 9, "to": 9}, {"port": 2, "to": 2}]}, set()),
        ("steps[*].port", {"steps": [{"port": 8, "to": 1}, {"port": 9, "to": 2}]}, set()),
        ("steps[*].port", {"steps": [{"port": 1, "to": 1}]}, {"steps"}),
        # In a set there is no first element.
        ("ingress[0].port", {"ingress": [{"port": 2, "to": 2}, {"port": 9, "to": 1}]}, set()),
        ("ingress[0].port", {"ingress": [{"port": 2, "to": 2}, {"port": 1, "to": 9}]}, {"ingress"}),
        ("block[0]", {"block": {"kept": 9}}, {"block"}),
        ("[", {"size": 9}, {"size"}),
    ],
)
def test_ignored_paths_are_not_compared(path: str, live: dict[str, Any], left: set[str]) -> None:
    """A path leaves out exactly what it names, on both sides; what is beside it still drifts."""
    assert set(differing(resource(DECLARED, ignored=(path,)), {**DECLARED, **live})) == left


def test_what_is_left_to_others_may_be_unreadable() -> None:
    """A value that nobody compares makes nothing UNKNOWN; beside it, it does (I06)."""
    live = {**DECLARED, "tags": {**DECLARED["tags"], "a.b": Unreadable("denied")}}
    assert differing(resource(DECLARED, ignored=('tags["a.b"]',)), live) == {}
    assert differing(resource(DECLARED, ignored=("tags.own",)), live) == {"tags": Unreadable("denied")}


def test_what_the_provider_says_of_a_part_is_judged_by_the_rest() -> None:
    """A provider that calls a property different says not where: if all that counts of it is equal, it is."""
    one, told = resource(DECLARED, ignored=("block.left",)), frozenset({"block", "size"})
    assert differing(one, {**DECLARED, "block": {"kept": 1, "left": 9}}, told=told) == {"size": 1}
    assert set(differing(one, {**DECLARED, "block": {"kept": 9}}, told=told)) == {"block", "size"}


@given(
    st.dictionaries(st.sampled_from(["a", "b", "c"]), st.integers(0, 1)),
    st.dictionaries(st.sampled_from(["a", "b", "c"]), st.integers(0, 1)),
    st.sets(st.sampled_from(["a", "b", "c"])),
)
def test_a_reduced_comparison_is_one_of_the_reduced(want: Any, have: Any, left: set[str]) -> None:
    """Ignoring keys of tags, by the program or by the provider, is comparing the tags without them."""
    expected = {k: v for k, v in want.items() if k not in left} == {k: v for k, v in have.items() if k not in left}
    by_program = resource({"tags": want}, ignored=tuple(f'tags["{key}"]' for key in sorted(left)))
    by_provider = resource({"tags": want}, ignored_tags=IgnoredTags(frozenset(left)))
    for one in (by_program, by_provider):
        assert (differing(one, {"tags": have}) == {}) is expected


@pytest.mark.parametrize("live", [{"Name": "v", "k8s/x": "1", "team": "b"}, {"Name": "v", "team": "a"}])
def test_tags_that_the_provider_does_not_see_are_no_drift(live: dict[str, Any]) -> None:
    """Keys and prefixes of ``ignoreTags`` are left out of both sides, of maps and of lists; other tags are compared."""
    ignored = IgnoredTags(frozenset({"team"}), ("k8s/",))
    one = resource({"tags": {"Name": "v", "team": "a", "k8s/y": "2"}}, ignored_tags=ignored)
    assert differing(one, {"tags": live}) == {}
    assert differing(one, {"tags": {**live, "evil": "x"}}) == {"tags": {"Name": "v", "evil": "x"}}
    listed = resource({"tags": [{"key": "Name", "value": "v"}]}, ignored_tags=ignored)
    tags = [{"key": key, "value": value} for key, value in live.items()]
    assert differing(listed, {"tags": tags}) == {}


def test_a_scaling_policys_size_is_no_drift() -> None:
    """The desired capacity of a group that a declared policy scales is not compared; its limits are."""
    inputs = {"desiredCapacity": 2, "minSize": 1, "maxSize": 4}
    one, live = resource(inputs, scaled=True), {**inputs, "desiredCapacity": 4, "maxSize": 9}
    assert differing(one, live, kind=ResourceKind(GROUP, observed=True)) == {"maxSize": 9}
    assert set(differing(replace(one, scaled=False), live)) == {"desiredCapacity", "maxSize"}


OWN, EVERY = {"own": "1"}, {"own": "1", "cost": "7"}


@pytest.mark.parametrize(
    ("inputs", "live", "drift"),
    [
        ({"tags": OWN, "tagsAll": EVERY}, EVERY, False),
        ({"tags": OWN, "tagsAll": EVERY}, OWN, True),
        ({"tags": OWN, "tagsAll": EVERY}, {**EVERY, "evil": "x"}, True),
        ({"tagsAll": {"cost": "7"}}, {"cost": "7"}, False),
        ({"tagsAll": {"cost": "7"}}, {}, True),
        ({"tags": None, "tagsAll": {"cost": "7"}}, {"cost": "8"}, True),
        ({"tagsAll": {}}, {"any": "x"}, False),
        # What default tags there are is not known: any tag may be one.
        ({"tags": OWN, "tagsAll": Secret()}, EVERY, False),
        ({"tags": OWN, "tagsAll": Secret()}, {"cost": "7"}, True),
        ({"tagsAll": Secret()}, EVERY, False),
    ],
)
def test_default_tags_are_tags(inputs: dict[str, Any], live: dict[str, Any], drift: bool) -> None:
    """An observer answers all tags: a default tag that is gone is drift, also of a resource without tags of its own."""
    for kind in (KIND, GENERIC):
        assert (differing(resource(inputs), {"tags": live}, kind=kind) != {}) is drift


def test_default_tags_may_be_left_to_others() -> None:
    """Where a program ignores ``tagsAll`` its own tags are compared all the same; a key ignored there is ignored."""
    inputs = {"tags": OWN, "tagsAll": EVERY}
    assert differing(resource(inputs, ignored=("tagsAll",)), {"tags": {**OWN, "any": "x"}}) == {}
    assert set(differing(resource(inputs, ignored=("tagsAll",)), {"tags": {"any": "x"}})) == {"tags"}
    assert differing(resource(inputs, ignored=('tagsAll["cost"]',)), {"tags": OWN}) == {}


@pytest.mark.parametrize("apart", [False, True], ids=["v6", "v7"])
@pytest.mark.parametrize("own", [OWN, {}], ids=["own tags", "none"])
@pytest.mark.parametrize(
    ("every", "changed", "drift"),
    [
        ({"cost": "7"}, set(), False),
        ({}, {"tagsAll"}, True),
        ({"cost": "8"}, {"tagsAll"}, True),
        ({"cost": "7", "evil": "x"}, {"tags", "tagsAll"}, True),
        # The state was refreshed meanwhile: the provider calls equal what was not declared.
        ({"cost": "7", "evil": "x"}, None, True),
    ],
)
def test_default_tags_seen_through_the_engine(
    apart: bool, own: dict[str, str], every: dict[str, str], changed: set[str] | None, drift: bool
) -> None:
    """By the other path, for both forms of the provider's answer: the verdicts are an observer's."""
    inputs = {**({"tags": own} if own else {}), "tagsAll": {"cost": "7", **own}}
    one = resource(inputs)
    kept = {**own, **({"evil": "x"} if "evil" in every else {})}
    live: dict[str, Any] = {"tags": (kept or None) if apart else {**own, **every}, "tagsAll": {**own, **every}}
    before = inputs if changed is not None else live
    answer = Refreshed("id-1", True, frozenset(changed or ()), before=before, inputs=live, outputs=live)
    seen = see_by_refresh([one], lambda urns: dict.fromkeys(urns, answer))[URN]
    assert seen.properties["tags"] == {**own, **every}
    found = {d.property: d.observed for d in differences(GENERIC, one, seen)}
    assert found == ({"tags": {**own, **every}} if drift else {})


def test_a_secret_default_tag_is_judged_by_its_provider() -> None:
    """What a comparison here may not open its provider compares: it says that the tags differ, so they do (I13)."""
    one = resource({"tagsAll": {"cost": Secret()}})
    live: dict[str, Any] = {"tags": None, "tagsAll": {"cost": "9"}}
    answer = Refreshed("id-1", True, frozenset({"tagsAll"}), before=one.inputs, inputs=live, outputs=live)
    seen = see_by_refresh([one], lambda urns: dict.fromkeys(urns, answer))[URN]
    assert [(d.property, d.observed) for d in differences(GENERIC, one, seen)] == [("tags", {"cost": Secret()})]


def test_hidden_default_tags_seen_through_the_engine() -> None:
    """A map of tags that is a secret as a whole stays closed, and is no drift while the provider sees none (I13)."""
    inputs: dict[str, Any] = {"tags": OWN, "tagsAll": Secret()}
    live = dict(inputs)
    answer = Refreshed("id-1", True, frozenset(), before=inputs, inputs=live, outputs=live)
    seen = see_by_refresh([resource(inputs)], lambda urns: dict.fromkeys(urns, answer))[URN]
    assert differences(GENERIC, resource(inputs), seen) == ()

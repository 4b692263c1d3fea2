"""Comparison of declared with live values: what must be equal, what must differ, what must stay unknown."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.detect.diff import differences, parts, same
from reconciler.model import (
    DeclaredResource,
    ObservedResource,
    Presence,
    ResourceKind,
    Secret,
    Unreadable,
    Urn,
)

GENERIC = ResourceKind("aws:x/y:Y")
KIND = ResourceKind(
    "aws:x/y:Y",
    unordered=frozenset({"ingress", "ingress[].cidrBlocks", "subnets"}),
    documents=frozenset({"policy"}),
    write_only=frozenset({"forceDestroy", "action[].secret"}),
    contradicted=frozenset({"crossZone"}),
    references=frozenset({"kmsKeyId", "profile", "alarmActions"}),
)
URN = Urn("urn:pulumi:dev::p::aws:x/y:Y::a")
KEY = "arn:aws:kms:eu-west-1:123456789012:key/1b6b"


def resource(inputs: dict[str, Any], programmed: frozenset[str] = frozenset()) -> DeclaredResource:
    return DeclaredResource(URN, "aws:x/y:Y", "a", "id-1", inputs, programmed)


def present(**properties: Any) -> ObservedResource:
    return ObservedResource(URN, Presence.PRESENT, properties)


def differing(inputs: dict[str, Any], kind: ResourceKind = KIND, /, **properties: Any) -> dict[str, Any]:
    return {d.property: d.observed for d in differences(kind, resource(inputs), present(**properties))}


scalars = st.one_of(st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.text())
values = st.recursive(
    st.none() | scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
    max_leaves=12,
)
paths = st.sampled_from(["ingress", "subnets", "policy", "kmsKeyId", "tags", "other"])


@given(path=paths, value=values, kind=st.sampled_from([GENERIC, KIND]))
def test_every_value_equals_itself(path: str, value: Any, kind: ResourceKind) -> None:
    """No value of any shape, at any kind of path, differs from itself: no drift is ever made up."""
    assert same(kind, path, value, value) is True


@given(value=values)
def test_every_json_text_equals_its_other_spelling(value: Any) -> None:
    """A document with its keys sorted and spread over lines is the same document."""
    document = {"a": value, "b": [value]}
    assert same(KIND, "policy", json.dumps(document), json.dumps(document, indent=3, sort_keys=True)) is True


@given(data=st.data(), elements=st.lists(scalars | st.dictionaries(st.text(), scalars), max_size=6))
def test_order_of_a_set_means_nothing(data: st.DataObject, elements: list[Any]) -> None:
    """Any order of an unordered list is the same list, whatever its elements are."""
    assert same(KIND, "subnets", elements, data.draw(st.permutations(elements))) is True


@given(
    before=st.text(st.characters(categories=["L"]), min_size=1),
    after=st.text(st.characters(categories=["L"]), min_size=1),
    wrap=st.sampled_from([lambda v: v, lambda v: [v, "z"], lambda v: {"k": v}, lambda v: [{"k": v}]]),
    kind=st.sampled_from([GENERIC, KIND]),
)
def test_a_change_is_always_seen(before: str, after: str, wrap: Any, kind: ResourceKind) -> None:
    """Two different words differ, bare or inside lists and objects, in described and in unknown types."""
    if before != after and "false" not in (before, after):
        assert same(kind, "subnets", wrap(before), wrap(after)) is False


@given(path=paths, value=values, data=st.data())
def test_what_could_not_be_read_is_neither_equal_nor_different(path: str, value: Any, data: st.DataObject) -> None:
    """I06: an unreadable value in place of a declared one makes the comparison unknown, never a difference."""
    declared: dict[str, Any] = {"here": "declared", "there": value}
    assert same(KIND, path, declared, {"here": Unreadable("denied"), "there": data.draw(values)}) is None
    assert same(KIND, "subnets", ["a"], [Unreadable("denied")]) is None


def test_a_declared_value_not_known_yet_is_unknown() -> None:
    """F42: what a cut-off update had not computed cannot be compared, so it is UNKNOWN and not drift."""
    pending = Unreadable("not known until the update is done")
    assert differing({"a": pending, "b": [{"c": pending}]}, a="x", b=[{"c": "x"}]) == {"a": pending, "b": pending}


@pytest.mark.parametrize(
    ("path", "declared", "observed"),
    [
        ("port", "80", 80),
        ("port", 80.0, 80),
        ("encrypted", "true", True),
        ("encrypted", False, "false"),
        ("description", "", None),
        ("rules", [], None),
        ("rules", None, [{"a": 1}]),
        ("slowStart", 0, None),
        ("slowStart", 0, ""),
        ("filter", {"prefix": ""}, None),
        ("metadata", {"tokens": "required"}, {"tokens": "required", "hops": 2}),
        ("metadata", {"tokens": "required", "__defaults": ["x"]}, {"tokens": "required"}),
        ("subnets", ["a", "b"], ["b", "a"]),
        ("ingress", [{"fromPort": 80, "cidrBlocks": ["a", "b"]}], [{"fromPort": 80, "cidrBlocks": ["b", "a"]}]),
        ("ingress", [{"fromPort": 80}], [{"fromPort": 80, "self": False, "ipv6CidrBlocks": []}]),
        ("action", [{"type": "oidc", "secret": "s"}], [{"type": "oidc"}]),
        ("kmsKeyId", KEY, "1b6b"),
        ("kmsKeyId", "alias/stackmend/dev/acme", "arn:aws:kms:eu-west-1:123456789012:alias/stackmend/dev/acme"),
        ("profile", "server", "arn:aws:iam::123456789012:instance-profile/team/server"),
        ("alarmActions", [KEY], ["1b6b"]),
        ("tags", {"Name": "a"}, {"Name": "a", "aws:cloudformation:stack-id": "x"}),
        ("tags", [{"key": "a", "value": "b"}], [{"key": "aws:x", "value": ""}, {"key": "a", "value": "b"}]),
    ],
)
def test_other_spellings_of_the_same_thing(path: str, declared: Any, observed: Any) -> None:
    """AWS and the provider spell one thing in many ways, and none of them is drift."""
    assert same(KIND, path, declared, observed) is True


@pytest.mark.parametrize(
    ("path", "declared", "observed"),
    [
        ("port", "80", 81),
        ("flag", True, None),
        ("flag", True, 1),
        ("description", "", "changed"),
        ("ordered", ["a", "b"], ["b", "a"]),
        ("subnets", ["a", "a"], ["a", "b"]),
        ("subnets", [], ["a"]),
        ("ingress", [{"fromPort": 80}], [{"fromPort": 80}, {"fromPort": 22}]),
        ("ingress", [{"fromPort": 80, "cidrBlocks": ["a"]}], [{"fromPort": 80, "cidrBlocks": ["a", "0.0.0.0/0"]}]),
        ("ingress", [{"fromPort": 80}], [{"fromPort": 80, "ipv6CidrBlocks": ["::/0"]}]),
        ("ingress", [{"fromPort": 80}], [{"fromPort": 80, "self": True}]),
        ("kmsKeyId", KEY, KEY.replace("1b6b", "2c7c")),
        ("kmsKeyId", KEY, KEY.replace("123456789012", "210987654321")),
        ("kmsKeyId", "tenant-1", "arn:aws:kms:eu-west-1:123456789012:key/tenant-10"),
        ("tags", {"a": "1"}, {"a": "2"}),
        ("tags", {"a": "1"}, {"a": "1", "extra": "x"}),
        ("tags", {"a": "false"}, {}),
        ("tags", [{"key": "a", "value": "b"}], [{"key": "a", "value": "b"}, {"key": "c", "value": "d"}]),
        ("metadata", {"tokens": "required"}, None),
    ],
)
def test_different_things(path: str, declared: Any, observed: Any) -> None:
    """What really changed differs, however alike it looks (B34: tenant-1 is not tenant-10; B36: another account)."""
    assert same(KIND, path, declared, observed) is False


def test_elements_are_matched_as_a_whole_not_greedily() -> None:
    """An element that declares less fits several live ones; it must not take the only one another needs."""
    declared: list[Any] = [{"port": 80}, {"port": 80, "name": "a"}]
    observed: list[Any] = [{"port": 80, "name": "a"}, {"port": 80}]
    assert same(GENERIC, "rules", declared, observed) is True
    assert same(GENERIC, "rules", declared, [{"port": 80, "name": "b"}, {"port": 80, "name": "c"}]) is False


ALLOW = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Sid": "a",
            "Effect": "Allow",
            "Principal": {"AWS": "arn:aws:iam::123456789012:root"},
            "Action": ["s3:GetObject", "s3:PutObject"],
            "Resource": "arn:aws:s3:::b/*",
            "Condition": {"Bool": {"aws:SecureTransport": True}},
        },
        {"Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": "*"},
    ],
}
RESPELLED = {
    "Statement": [
        {"Resource": ["*"], "Effect": "Deny", "Action": ["S3:*"], "Principal": {"AWS": ["*"]}},
        {
            "Condition": {"Bool": {"aws:securetransport": ["true"]}},
            "Resource": ["arn:aws:s3:::b/*"],
            "Action": ["s3:PutObject", "s3:GetObject"],
            "Principal": {"AWS": ["123456789012"]},
            "Effect": "Allow",
            "Sid": "a",
        },
    ],
    "Version": "2012-10-17",
}


def test_policies_compare_by_meaning() -> None:
    """A policy that AWS gives back with other order, case, lists and principals is the same policy."""
    assert same(KIND, "policy", json.dumps(ALLOW), json.dumps(RESPELLED)) is True
    assert same(KIND, "policy", json.dumps({"Statement": []}), '{"Version":"2008-10-17","Statement":[]}') is True


@pytest.mark.parametrize(
    "change",
    [
        {"Effect": "Deny"},
        {"Action": "s3:GetObject"},
        {"Resource": "arn:aws:s3:::B/*"},
        {"Principal": {"AWS": "arn:aws:iam::210987654321:root"}},
        {"Principal": {"Service": "123456789012"}},
        {"Condition": {}},
        {"Condition": {"Bool": {"aws:SecureTransport": False}}},
    ],
)
def test_a_changed_policy_is_drift(change: dict[str, Any]) -> None:
    """Every part of a statement counts."""
    changed = {**ALLOW, "Statement": [{**ALLOW["Statement"][0], **change}, ALLOW["Statement"][1]]}  # type: ignore[dict-item]
    assert same(KIND, "policy", json.dumps(ALLOW), json.dumps(changed)) is False


@given(text=st.text() | st.just("[" * 100_000) | st.just('{"Statement": [7, null]}') | st.just('{"Statement": 3}'))
def test_no_text_breaks_the_comparison_of_documents(text: str) -> None:
    """F16: a live document that is no document, or a hostile one, is compared and not crashed on."""
    assert same(KIND, "policy", json.dumps(ALLOW), text) is False


def test_only_declared_properties_are_compared() -> None:
    """What nobody declared is not drift, and what the provider adds for itself is not either."""
    assert differing({"a": "1", "region": "eu", "tagsAll": {}, "__defaults": []}, a="1", b="changed") == {}


def test_properties_that_cannot_be_compared_are_left_out() -> None:
    """Write-only inputs and secrets are skipped; a contradicted default counts only when the program set it."""
    inputs = {"forceDestroy": True, "password": Secret(), "crossZone": False}
    live = present(password="in clear", crossZone=True)
    assert differences(KIND, resource(inputs), live) == ()
    found = differences(KIND, resource(inputs, frozenset({"crossZone"})), live)
    assert [d.property for d in found] == ["crossZone"]


def test_a_property_that_the_observer_does_not_return_is_unknown() -> None:
    """I06: silence about a declared property is not its absence; about an empty one it is no difference."""
    found = differing({"set": "x", "empty": "", "zero": 0, "nothing": None})
    assert list(found) == ["set"]
    assert isinstance(found["set"], Unreadable)


def test_default_tags_of_the_provider_are_declared_too() -> None:
    """Tags from the provider's defaultTags are in ``tagsAll`` only, and are no extra tags."""
    inputs = {"tags": {"Name": "a"}, "tagsAll": {"Name": "a", "team": "x"}}
    assert differing(inputs, tags={"Name": "a", "team": "x"}) == {}
    assert list(differing(inputs, tags={"Name": "a"})) == ["tags"]


def test_secrets_never_come_out() -> None:
    """I13: where a secret was declared inside a property, the live clear text is masked in the difference."""
    found = differing({"env": {"PASS": Secret(), "MODE": "a"}}, env={"PASS": "hunter2", "MODE": "b"})
    assert found == {"env": {"PASS": Secret(), "MODE": "b"}}
    found = differing({"env": [{"v": Secret()}, {"v": "a"}]}, env=[{"v": "hunter2"}, {"v": "b"}, {"v": "c"}])
    assert found == {"env": Secret()}


def test_parts_name_the_smallest_thing_that_differs() -> None:
    """People are told the tag that changed, not the whole map."""
    found = list(parts(KIND, "tags", {"a": "1", "b": "2"}, {"a": "9", "b": "2", "aws:x": "y", "new": "3"}))
    assert found == [("tags.a", "1", "9"), ("tags.new", None, "3")]

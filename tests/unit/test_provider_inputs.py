"""What the stand-in provider makes of declared inputs: names, defaults, and the spelling of the official provider."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pulumi.provider.experimental.property_value import PropertyValue
from pulumi.runtime.rpc import UNKNOWN

from sandbox.provider.check import complete, imported, unknown_inputs
from sandbox.provider.errors import ProviderError
from sandbox.provider.naming import automatic
from sandbox.provider.plugin import KINDS
from sandbox.provider.table import Name
from sandbox.provider.values import has_unknown, plain, wrap

REGION = "eu-central-1"
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


def completed(
    token: str, declared: dict[str, Any], old: dict[str, Any] | None = None, name: str = "t"
) -> dict[str, Any]:
    return complete(KINDS[token], declared, old or {}, logical=name, region=REGION, seed=b"seed")


def test_non_zero_defaults_are_written_and_listed() -> None:
    """Provider v7 writes only defaults that are not zero, lists them, and fills in region and tagsAll unlisted."""
    assert completed("aws:ec2/vpc:Vpc", {"cidrBlock": "10.0.0.0/16"}) == {
        "__defaults": ["enableDnsSupport"],
        "cidrBlock": "10.0.0.0/16",
        "enableDnsSupport": True,
        "region": REGION,
        "tagsAll": {},
    }


def test_declared_values_are_no_defaults() -> None:
    """What the program says is not listed as a default, even where it says the same."""
    inputs = completed("aws:ec2/vpc:Vpc", {"cidrBlock": "10.0.0.0/16", "enableDnsSupport": True, "region": "eu-west-1"})
    assert inputs["__defaults"] == []
    assert inputs["region"] == "eu-west-1"


def test_nested_objects_list_their_own_defaults() -> None:
    """Every object and list element has its own list of defaults; maps such as tags have none."""
    redirect = {"port": "443", "protocol": "HTTPS", "statusCode": "HTTP_301"}
    declared = {"defaultActions": [{"type": "redirect", "redirect": redirect}], "tags": {"Name": "t"}}
    inputs = completed("aws:lb/listener:Listener", declared)
    assert inputs["tags"] == inputs["tagsAll"] == {"Name": "t"}
    (action,) = inputs["defaultActions"]
    assert action["__defaults"] == []
    assert action["redirect"] == {
        **redirect,
        "__defaults": ["host", "path", "query"],
        "host": "#{host}",
        "path": "/#{path}",
        "query": "#{query}",
    }


def test_defaults_of_undeclared_objects_are_not_invented() -> None:
    """A default inside an object applies only where the program declares the object."""
    assert "healthCheck" not in completed("aws:lb/targetGroup:TargetGroup", {"port": 80})


def test_an_automatic_name_is_kept() -> None:
    """A name chosen automatically survives later updates; one that the program chose before does not come back."""
    first = completed("aws:s3/bucket:Bucket", {}, name="T-Data")
    assert first["bucket"].startswith("t-data-")
    assert first["__defaults"] == ["bucket"]
    assert (
        completed("aws:s3/bucket:Bucket", {}, {"bucket": "t-data-old", "__defaults": ["bucket"]})["bucket"]
        == "t-data-old"
    )
    assert completed("aws:s3/bucket:Bucket", {}, {"bucket": "chosen", "__defaults": []})["bucket"] != "chosen"


@given(logical=st.from_regex(r"[A-Za-z][A-Za-z0-9-]{0,20}", fullmatch=True), seed=st.binary(max_size=8))
def test_automatic_names_have_seven_hex_digits(logical: str, seed: bytes) -> None:
    """A name is the logical name, a dash and seven hex digits that the engine's seed decides."""
    name = automatic(Name(), logical, {}, seed)
    prefix, _, digits = name.rpartition("-")
    assert prefix == logical
    assert len(digits) == 7
    assert int(digits, 16) >= 0
    assert not seed or automatic(Name(), logical, {}, seed) == name


def test_a_name_that_gets_too_long_is_refused() -> None:
    """B32: a load balancer's name has 32 characters at most, and the error says how long the logical name may be."""
    with pytest.raises(ProviderError, match=r"42 characters long, 32 are allowed(.|\n)*to 24 characters"):
        completed("aws:lb/loadBalancer:LoadBalancer", {}, name="x" * 34)


def test_inputs_nobody_handles_are_found() -> None:
    """An input that the table does not name is reported, not dropped; the engine's own keys are none."""
    declared = ["cidrBlock", "ipv6NetmaskLength", "__defaults", "tags", "tagsAll", "region"]
    assert unknown_inputs(KINDS["aws:ec2/vpc:Vpc"], declared) == ["ipv6NetmaskLength"]


def test_imported_inputs_are_what_is_set() -> None:
    """Inputs of a resource read without any are the live ones: no outputs, nothing empty, no default instead."""
    tags = {"tags": {"a": "b"}, "tagsAll": {"a": "b"}}
    live = {"arn": "a", "cidrBlock": "10.0.0.0/16", "enableDnsHostnames": False, "enableDnsSupport": False}
    live |= tags
    assert imported(KINDS["aws:ec2/vpc:Vpc"], live) == {
        "__defaults": [],
        "cidrBlock": "10.0.0.0/16",
        "enableDnsSupport": False,
        **tags,
    }


@given(JSON)
def test_values_survive_the_wire(value: Any) -> None:
    """Wrapping JSON for the engine, over the wire and back, keeps its meaning; whole numbers come back as ints."""
    assert plain(PropertyValue.unmarshal(wrap(value).marshal())) == value


def test_unknown_values_are_found_at_any_depth() -> None:
    """What exists only after the update is recognised inside lists and objects."""
    assert has_unknown({"a": [{"b": UNKNOWN}]})
    assert not has_unknown({"a": [{"b": "known"}]})

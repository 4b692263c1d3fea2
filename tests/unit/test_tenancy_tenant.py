"""What a tenant may be called, which network it may have, and how many servers."""

from __future__ import annotations

from ipaddress import IPv4Network
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from tenancy import arns
from tenancy.errors import shown
from tenancy.tenant import PRIVATE_RANGES, RESERVED_NAMES, Tenant

GOOD: dict[str, Any] = {
    "name": "acme",
    "cidr": "10.0.0.0/20",
    "tier": "gold",
    "regimes": ["gdpr"],
    "size": {"min": 1, "desired": 2, "max": 3},
    "certificate_arn": "arn:aws:acm:eu-west-1:123456789012:certificate/0a1b2c3d-0001-4000-8000-000000000001",
}


def tenant(**changes: Any) -> Tenant:
    return Tenant.model_validate({**GOOD, **changes})


@pytest.mark.parametrize(
    "name",
    [
        "",
        "a",
        "Acme",
        "ACME",
        "1acme",
        "-acme",
        "acme-",
        "ac--me",
        "ac_me",
        "ac me",
        "acme\n",
        "../etc",
        "acme/..",
        "$(reboot)",
        "acme;ls",
        "а\u0441me",
        "ac\u202eme",
        "acme\x1b[31m",
        "x" * 21,
        "x" * 256,
        "*",
        "sg",
        "sg-bank",
        "internal",
        "internal-bank",
        "sthree",
        *sorted(RESERVED_NAMES),
    ],
)
def test_names_that_would_mean_something_else_somewhere_are_refused(name: str) -> None:
    """Paths, shell text, look-alikes, capitals, long and reserved names are no tenants (B21, B29-B33, B35, B44)."""
    with pytest.raises(ValidationError):
        tenant(name=name)


@pytest.mark.parametrize("name", ["ab", "acme", "a1", "tenant-1", "tenant-10", "x" * 20, "sgx", "internally"])
def test_plain_names_are_taken(name: str) -> None:
    """Names that only look like a refused one, or start like another tenant's, are fine (B34)."""
    assert tenant(name=name).name == name


@pytest.mark.parametrize(
    "cidr",
    [
        "10.0.0.0/33",
        "10.0.0.0/-1",
        "0.0.0.0/0",
        "10.0.0.0/8",
        "10.0.0.0/15",
        "10.0.0.0/25",
        "10.0.0.1/20",
        "10.0.0.0",
        "10.0.0.0/255.255.0.0",
        "256.0.0.0/16",
        "010.0.0.0/16",
        "fd00::/16",
        "::ffff:10.0.0.0/20",
        "8.8.0.0/16",
        "127.0.0.0/16",
        "169.254.0.0/16",
        "10.0.0.0/20\n",
        "",
        167772160,
        None,
        ["10.0.0.0/20"],
    ],
)
def test_only_private_ipv4_networks_of_a_fitting_size_are_taken(cidr: object) -> None:
    """/33, IPv6, 0.0.0.0/0, host bits, netmasks, integers and public networks are refused (B11, B40-B42)."""
    with pytest.raises(ValidationError):
        tenant(cidr=cidr)


@pytest.mark.parametrize(
    "size",
    [
        {"min": 0, "desired": 1, "max": 2},
        {"min": -1, "desired": 1, "max": 2},
        {"min": 3, "desired": 2, "max": 4},
        {"min": 2, "desired": 2, "max": 2},
        {"min": 2, "desired": 3, "max": 2},
        {"min": 1, "desired": 2, "max": 1001},
        {"min": 1, "desired": 2, "max": 10**30},
        {"min": 1, "desired": 2, "max": 1e308},
        {"min": 1, "desired": 2, "max": float("nan")},
        {"min": 1, "desired": 2, "max": 3.0},
        {"min": 1, "desired": "2", "max": 3},
        {"min": True, "desired": 2, "max": 3},
        {"min": 1, "desired": 2},
        {"min": 1, "desired": 2, "max": 3, "spare": 1},
        3,
    ],
)
def test_sizes_without_room_for_a_replacement_are_refused(size: object) -> None:
    """Order, limits and types of min, desired and max (B10, B11, B13-B15, B17, B18); max leaves a spare place."""
    with pytest.raises(ValidationError):
        tenant(size=size)


def test_servers_must_fit_into_the_private_subnets() -> None:
    """Half of a /24, less five addresses a subnet, holds 118 servers and not one more."""
    assert tenant(cidr="10.0.0.0/24", size={"min": 1, "desired": 2, "max": 118}).size.max == 118
    with pytest.raises(ValidationError, match="118"):
        tenant(cidr="10.0.0.0/24", size={"min": 1, "desired": 2, "max": 119})


@pytest.mark.parametrize(
    "changes",
    [
        {"tier": "platinum"},
        {"tier": 1},
        {"regimes": []},
        {"regimes": ["gdpr", "sox"]},
        {"regimes": "gdpr"},
        {"regimes": "*"},
        {"certificate_arn": "arn:aws:acm:eu-west-1:123456789012:certificate/*"},
        {"certificate_arn": "arn:aws:iam::123456789012:server-certificate/x"},
        {"certificate_arn": "certificate"},
        {"instance_type": "t3 small"},
        {"instance_type": "t3"},
        {"instance_type": "t3.small\n"},
        {"image_id": "ami-xyz"},
        {"image_id": "ami-12345678\n"},
        {"unknown": 1},
        {"name": 7},
    ],
)
def test_other_fields_are_as_strict(changes: dict[str, object]) -> None:
    """Unknown keys, wrong types, unknown tiers and regimes, malformed ARNs and ids (B10, B11, B20, B21, B38)."""
    with pytest.raises(ValidationError):
        tenant(**changes)


@pytest.mark.parametrize("key", sorted(GOOD))
def test_nothing_that_is_required_has_a_silent_default(key: str) -> None:
    """Leaving out a required field is an error, not a guess."""
    with pytest.raises(ValidationError):
        Tenant.model_validate({k: v for k, v in GOOD.items() if k != key})


@st.composite
def networks(draw: st.DrawFn) -> IPv4Network:
    prefix = draw(st.integers(16, 24))
    around = draw(st.sampled_from(PRIVATE_RANGES))
    index = draw(st.integers(0, 2 ** max(prefix - around.prefixlen, 0) - 1))
    return IPv4Network((int(around.network_address) + index * 2 ** (32 - prefix), prefix))


@given(networks())
def test_subnets_cut_a_network_into_four_without_rest(network: IPv4Network) -> None:
    """The four subnets are equal, apart from each other, and together the whole network."""
    subnets = tenant(cidr=str(network)).subnets()
    assert len({subnet.prefixlen for subnet in subnets}) == 1
    assert sum(subnet.num_addresses for subnet in subnets) == network.num_addresses
    assert all(subnet.subnet_of(network) for subnet in subnets)
    assert len(set(subnets)) == 4


@given(st.text(max_size=25))
def test_no_text_at_all_becomes_an_unsafe_name(text: str) -> None:
    """Whatever is accepted as a name is lower-case ASCII letters, digits and dashes, 2 to 20 long (B29-B32)."""
    try:
        name = tenant(name=text).name
    except ValidationError:
        return
    assert 2 <= len(name) <= 20
    assert set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")


@given(st.text(alphabet="abs-1", min_size=2, max_size=20))
def test_names_are_exactly_those_of_the_rule(text: str) -> None:
    """Near the edge of the rule, taken and refused are told apart exactly."""
    good = text[0].isalpha() and text[-1] != "-" and "--" not in text
    try:
        tenant(name=text)
    except ValidationError:
        assert not good
    else:
        assert good


def test_a_partition_belongs_to_its_region() -> None:
    """GovCloud is a partition of its own."""
    assert arns.partition_of("us-gov-west-1") == "aws-us-gov"
    assert arns.partition_of("us-west-1") == "aws"


@given(st.text())
def test_a_value_is_shown_in_short_printable_ascii(text: str) -> None:
    """No value can write to a terminal, forge a line or fill a log (B31, B44, T11)."""
    printed = shown(text)
    assert printed.replace("…", "").isascii()
    assert printed.isprintable()
    assert len(printed) < 100

"""How security groups are seen.

AWS keeps single permissions: one protocol, one port range, one source. Pulumi declares rules that hold several of
them, grouped as the program liked. So live permissions are grouped like the declaration wherever they agree with it;
what is left over forms rules of its own, one for each protocol, port range and description.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

from reconciler.model import DeclaredResource, ResourceKind, Value
from reconciler.observe.aws.ec2 import SECURITY_GROUPS, listed
from reconciler.observe.reads import Answers, Row, Sight

_SOURCES = ("cidrBlocks", "ipv6CidrBlocks", "prefixListIds", "securityGroups")
_PROTOCOLS = {"all": "-1", "1": "icmp", "6": "tcp", "17": "udp", "58": "icmpv6"}
_WITH_PORTS = frozenset({"tcp", "udp", "icmp", "icmpv6"})
"""EC2 ignores the ports of every other protocol, and answers none; a program has to declare some."""


class Permission(NamedTuple):
    """The smallest rule: traffic of one sort, from or to one place."""

    protocol: str
    from_port: int
    to_port: int
    place: str
    """The Pulumi list it stands in, or ``self``."""
    source: str
    description: str


def _permission(
    group: str, protocol: object, from_port: object, to_port: object, place: str, source: str, about: object
) -> Permission:
    name = str(protocol).lower()
    name = _PROTOCOLS.get(name, name)
    ports = (_port(from_port), _port(to_port)) if name in _WITH_PORTS else (0, 0)
    if place == "securityGroups" and source == group:
        place, source = "self", ""
    elif place in ("cidrBlocks", "ipv6CidrBlocks"):
        source = _network(source)
    return Permission(name, *ports, place, source, str(about or ""))


def _port(value: object) -> int:
    return int(value) if isinstance(value, int | float | str) and value != "" else -1


@lru_cache(maxsize=4096)
def _network(text: str) -> str:
    try:
        return str(ipaddress.ip_network(text, strict=False))
    except ValueError:
        return text


def declared_permissions(rule: Mapping[str, Value], group: str) -> frozenset[Permission] | None:
    """What one declared rule allows; None if it cannot be told (it holds a secret, or is no rule)."""
    found: set[Permission] = set()
    traffic = (rule.get("protocol"), rule.get("fromPort"), rule.get("toPort"))
    about = rule.get("description")
    try:
        for place in _SOURCES:
            sources = rule.get(place) or ()
            if isinstance(sources, str) or not isinstance(sources, Sequence):
                return None
            for source in sources:
                if not isinstance(source, str):
                    return None
                found.add(_permission(group, *traffic, place, source, about))
        if rule.get("self"):
            found.add(_permission(group, *traffic, "self", "", about))
    except ValueError:
        return None
    return frozenset(found)


def live_permissions(rows: Iterable[Row], group: str, owner: str) -> frozenset[Permission]:
    """What AWS's IpPermissions allow. A group of another account is named ``account/sg-…``, as in Pulumi."""
    found: set[Permission] = set()
    for row in rows:
        traffic = (row.get("IpProtocol"), row.get("FromPort"), row.get("ToPort"))
        for member, key, place in (
            ("IpRanges", "CidrIp", "cidrBlocks"),
            ("Ipv6Ranges", "CidrIpv6", "ipv6CidrBlocks"),
            ("PrefixListIds", "PrefixListId", "prefixListIds"),
        ):
            for source in row.get(member, ()):
                found.add(_permission(group, *traffic, place, source[key], source.get("Description")))
        for pair in row.get("UserIdGroupPairs", ()):
            account = pair.get("UserId") or owner
            source = pair["GroupId"] if account == owner else f"{account}/{pair['GroupId']}"
            found.add(_permission(group, *traffic, "securityGroups", source, pair.get("Description")))
    return frozenset(found)


def grouped_like(declared: Value, live: frozenset[Permission], group: str) -> list[Mapping[str, Value]]:
    """Live permissions as Pulumi rules: the declared rules that hold entirely, as declared, then all the rest."""
    rules: list[Mapping[str, Value]] = []
    rest = live
    for rule in declared if isinstance(declared, Sequence) and not isinstance(declared, str) else ():
        if isinstance(rule, Mapping):
            wanted = declared_permissions(rule, group)
            if wanted and wanted <= live:
                rules.append(rule)
                rest -= wanted
    return rules + _grouped(rest)


def _grouped(permissions: Iterable[Permission]) -> list[Mapping[str, Value]]:
    rules: dict[tuple[str, int, int, str], dict[str, list[str]]] = {}
    for one in sorted(permissions):
        places = rules.setdefault((one.protocol, one.from_port, one.to_port, one.description), {})
        places.setdefault(one.place, []).append(one.source)
    return [
        {
            "protocol": protocol,
            "fromPort": from_port,
            "toPort": to_port,
            "description": description,
            "self": "self" in places,
            **{place: places[place] for place in _SOURCES if place in places},
        }
        for (protocol, from_port, to_port, description), places in rules.items()
    ]


def _see(declared: DeclaredResource, row: Row, _: Answers) -> Sight:
    owner = row.get("OwnerId", "")
    sides = {"ingress": row.get("IpPermissions", ()), "egress": row.get("IpPermissionsEgress", ())}
    return {
        "name": row.get("GroupName", ""),
        "description": row.get("Description", ""),
        "vpcId": row.get("VpcId", ""),
        **{
            side: grouped_like(declared.inputs.get(side), live_permissions(rows, declared.id, owner), declared.id)
            for side, rows in sides.items()
        },
    }


OBSERVERS = (
    listed(
        ResourceKind(
            "aws:ec2/securityGroup:SecurityGroup",
            unordered=frozenset(
                {"ingress", "egress", *(f"{side}[].{place}" for side in ("ingress", "egress") for place in _SOURCES)}
            ),
            write_only=frozenset({"revokeRulesOnDelete", "namePrefix"}),
        ),
        SECURITY_GROUPS,
        _see,
        "ec2:DescribeSecurityGroups",
    ),
)

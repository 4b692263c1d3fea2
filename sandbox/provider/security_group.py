"""Security groups, whose inline rules are exclusive: what the program does not list is revoked.

EC2 answers rules merged by port, Pulumi lists them as the program groups them; both are compared, and changed, as
single grants: one protocol, port range, peer and description.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from sandbox.provider.aws import first, refuse_others, tag_map
from sandbox.provider.ec2 import arn, tagged, tags
from sandbox.provider.table import Call, Kind, Name, deleter
from sandbox.provider.values import Properties

PEERS = {
    "cidrBlocks": ("IpRanges", "CidrIp"),
    "ipv6CidrBlocks": ("Ipv6Ranges", "CidrIpv6"),
    "prefixListIds": ("PrefixListIds", "PrefixListId"),
    "securityGroups": ("UserIdGroupPairs", "GroupId"),
}
"""Who may talk: Pulumi's property to EC2's list and its key."""

SELF = "self"


class Grant(NamedTuple):
    protocol: str
    first: int
    last: int
    peers: str
    peer: str
    description: str


def grants(rules: Iterable[Mapping[str, Any]]) -> set[Grant]:
    """Single grants of Pulumi's rules; the group itself is the peer ``self``."""
    result = set()
    for rule in rules:
        refuse_others(
            rule, ("protocol", "fromPort", "toPort", "description", "self", *PEERS), "a security group's rule"
        )
        protocol = {"all": "-1", "6": "tcp", "17": "udp", "1": "icmp"}.get(str(rule["protocol"]), str(rule["protocol"]))
        ports = (0, 0) if protocol == "-1" else (int(rule.get("fromPort") or 0), int(rule.get("toPort") or 0))
        peers = [(name, peer) for name in PEERS for peer in rule.get(name) or ()]
        if rule.get("self"):
            peers.append(("securityGroups", SELF))
        result |= {Grant(protocol, *ports, name, peer, rule.get("description") or "") for name, peer in peers}
    return result


def to_rules(permissions: Iterable[Mapping[str, Any]], group: str) -> list[Properties]:
    """EC2's permissions as Pulumi's rules: one for each protocol, port range and description."""
    rules: dict[tuple[str, int, int, str], Properties] = {}
    for permission in permissions:
        ports = (permission.get("FromPort") or 0, permission.get("ToPort") or 0)
        for name, (listing, key) in PEERS.items():
            for peer in permission.get(listing, ()):
                label = (permission["IpProtocol"], *ports, peer.get("Description", ""))
                rule = rules.setdefault(label, _rule(*label))
                if peer[key] == group:
                    rule["self"] = True
                else:
                    rule[name].append(peer[key])
    return [rules[label] for label in sorted(rules)]


def _rule(protocol: str, first: int, last: int, description: str) -> Properties:
    empty: Properties = {name: [] for name in PEERS}
    return {"protocol": protocol, "fromPort": first, "toPort": last, "description": description, "self": False, **empty}


def to_permissions(wanted: Iterable[Grant], group: str) -> list[dict[str, Any]]:
    result = []
    for grant in sorted(wanted):
        listing, key = PEERS[grant.peers]
        peer = {key: group if grant.peer == SELF else grant.peer}
        if grant.description:
            peer["Description"] = grant.description
        ports = {} if grant.protocol == "-1" else {"FromPort": grant.first, "ToPort": grant.last}
        result.append({"IpProtocol": grant.protocol, **ports, listing: [peer]})
    return result


def describe(call: Call) -> Mapping[str, Any] | None:
    operation = call.aws("ec2").describe_security_groups
    return first({"InvalidGroup.NotFound"}, operation, "SecurityGroups", GroupIds=[call.id])


def create(call: Call) -> str:
    answer = call.aws("ec2").create_security_group(
        GroupName=call.new["name"],
        Description=call.new["description"],
        VpcId=call.new["vpcId"],
        TagSpecifications=tagged("security-group", call),
    )
    return str(answer["GroupId"])


def set_ingress(call: Call) -> None:
    ec2 = call.aws("ec2")
    _set(call, "ingress", "IpPermissions", ec2.revoke_security_group_ingress, ec2.authorize_security_group_ingress)


def set_egress(call: Call) -> None:
    """Also takes away the rule that lets everything out, which AWS gives each new group."""
    ec2 = call.aws("ec2")
    _set(call, "egress", "IpPermissionsEgress", ec2.revoke_security_group_egress, ec2.authorize_security_group_egress)


def _set(call: Call, name: str, listing: str, revoke: Any, authorize: Any) -> None:
    group = describe(call) or {}
    wanted = grants(call.new.get(name) or ())
    live = grants(to_rules(group.get(listing, ()), call.id))
    if live - wanted:
        revoke(GroupId=call.id, IpPermissions=to_permissions(live - wanted, call.id))
    if wanted - live:
        authorize(GroupId=call.id, IpPermissions=to_permissions(wanted - live, call.id))


def read(call: Call) -> Properties | None:
    group = describe(call)
    if group is None:
        return None
    return {
        "arn": arn(call, group["OwnerId"], "security-group", call.id),
        "name": group["GroupName"],
        "description": group["Description"],
        "vpcId": group.get("VpcId", ""),
        "ownerId": group["OwnerId"],
        "ingress": to_rules(group["IpPermissions"], call.id),
        "egress": to_rules(group["IpPermissionsEgress"], call.id),
        "revokeRulesOnDelete": False,
        "tags": tag_map(group.get("Tags")),
    }


def by_grants(rules: Any) -> Any:
    """Canonical form of a list of rules."""
    return sorted(grants(rules))


KINDS = (
    Kind(
        type="aws:ec2/securityGroup:SecurityGroup",
        create=create,
        settle=(set_ingress, set_egress),
        read=read,
        delete=deleter("ec2", "delete_security_group", "GroupId", "InvalidGroup.NotFound"),
        update={"ingress": set_ingress, "egress": set_egress},
        fixed=frozenset({"name", "description", "vpcId"}),
        defaults={"description": "Managed by Pulumi"},
        name=Name(longest=255),
        tags=tags,
        outputs=("arn", "ownerId"),
        canonical={"ingress": by_grants, "egress": by_grants},
    ),
)

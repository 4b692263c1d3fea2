"""Administration from anywhere is how most break-ins begin."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping

from reconciler.detect.rule import OK, Context, Example, Judgement, Properties, Rule, items, mapping
from reconciler.model import Severity, Value

_TYPE = "aws:ec2/securityGroup:SecurityGroup"
ADMIN_PORTS = (22, 23, 135, 445, 3389, 5900, 5985, 5986)
"""SSH, Telnet, RPC, SMB, RDP, VNC, WinRM over HTTP and HTTPS."""


_GLOBAL = ipaddress.IPv6Network("2000::/3")
"""All of IPv6 that is routed on the internet (RFC 4291)."""


def check(seen: Properties, _: Context) -> Judgement:
    reaching: dict[int, list[Mapping[str, Value]]] = {port: [] for port in ADMIN_PORTS}
    for rule in map(mapping, items(seen["ingress"])):
        for port in _admin_ports(rule):
            reaching[port].append(rule)
    open_ = {port: world for port, rules in reaching.items() if (world := _world(rules))}
    if open_:
        world = next(iter(open_.values()))
        ports = [port for port, sources in open_.items() if sources == world]
        text = "all ports" if len(ports) == len(ADMIN_PORTS) else f"port {', '.join(map(str, ports))}"
        return Judgement(f"{text} open to {' and '.join(world)}", [dict(rule) for rule in reaching[ports[0]]])
    for port, rules in reaching.items():
        if lists := [str(name) for rule in rules for name in items(rule.get("prefixListIds"))]:
            return Judgement(
                unknown=f"port {port} is open to {', '.join(lists)}, and what a prefix list holds is not read"
            )
    return OK


def _world(rules: Iterable[Mapping[str, Value]]) -> list[str]:
    """Which of the two internets these rules together let in, however they cut it up and spell it."""
    blocks = [str(b) for rule in rules for key in ("cidrBlocks", "ipv6CidrBlocks") for b in items(rule.get(key))]
    networks = [network for block in blocks if (network := _network(block)) is not None]
    four = ipaddress.collapse_addresses(n for n in networks if isinstance(n, ipaddress.IPv4Network))
    six = ipaddress.collapse_addresses(n for n in networks if isinstance(n, ipaddress.IPv6Network))
    all_four = ["0.0.0.0/0" for network in four if network.prefixlen == 0]
    return all_four + [str(network) for network in six if _GLOBAL.subnet_of(network)]


def _network(block: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    try:
        return ipaddress.ip_network(block, strict=False)
    except ValueError:
        return None


def _admin_ports(rule: Mapping[str, Value]) -> list[int]:
    protocol = str(rule.get("protocol")).lower()
    if protocol in ("-1", "all"):
        return list(ADMIN_PORTS)
    if protocol not in ("tcp", "6", "udp", "17"):
        return []
    first, last = (int(float(str(rule.get(key) or 0))) for key in ("fromPort", "toPort"))
    # EC2 writes "every port" also as -1.
    return [port for port in ADMIN_PORTS if first <= port <= last or first == -1]


def _example(**rule: Value) -> Example:
    return Example(_TYPE, {"ingress": [{"protocol": "tcp", **rule}]})


RULE = Rule(
    id="sg-admin-ports",
    title="No administration port is open to the world",
    description="No security group lets 0.0.0.0/0, ::/0 or 2000::/3 reach SSH, Telnet, RPC, SMB, RDP, VNC or WinRM, in "
    "one rule or in several; UNKNOWN where a prefix list may, since what it holds is not read.",
    severity=Severity.CRITICAL,
    source="https://docs.aws.amazon.com/securityhub/latest/userguide/ec2-controls.html",
    controls={
        "pci-dss": ("1.3.1", "1.4.2"),
        "hipaa": ("164.312(a)(1)", "164.312(e)(1)"),
        "gdpr": ("Art. 32(1)(b)",),
        "soc2": ("CC6.6",),
    },
    reads={_TYPE: ("ingress",)},
    check=check,
    heeds=frozenset({"protocol", "fromPort", "toPort", "cidrBlocks", "ipv6CidrBlocks", "prefixListIds"}),
    passing=_example(fromPort=443, toPort=443, cidrBlocks=["0.0.0.0/0"], ipv6CidrBlocks=["::/0"]),
    failing=_example(fromPort=20, toPort=30, ipv6CidrBlocks=["::/0"]),
)

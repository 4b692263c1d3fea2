"""Administration from anywhere is how most break-ins begin."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping

from reconciler.detect.rule import OK, Context, Example, Judgement, Properties, Rule, items, mapping
from reconciler.model import Severity, Value

_TYPE = "aws:ec2/securityGroup:SecurityGroup"
ADMIN_PORTS = (22, 23, 135, 445, 3389, 5900, 5985, 5986)
"""SSH, Telnet, RPC, SMB, RDP, VNC, WinRM over HTTP and HTTPS."""


def check(seen: Properties, _: Context) -> Judgement:
    for rule in (mapping(r) for r in items(seen["ingress"])):
        blocks = [str(s) for key in ("cidrBlocks", "ipv6CidrBlocks") for s in items(rule.get(key))]
        sources = {block for block in blocks if _anywhere(block)}
        if sources and (ports := _admin_ports(rule)):
            text = "all ports" if len(ports) == len(ADMIN_PORTS) else f"port {', '.join(map(str, ports))}"
            return Judgement(f"{text} open to {' and '.join(sorted(sources))}", dict(rule))
    return OK


def _anywhere(block: str) -> bool:
    """Whether it is every address, however a program spells it: ``::0/0`` is ``::/0``."""
    try:
        return ipaddress.ip_network(block, strict=False).prefixlen == 0
    except ValueError:
        return False


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
    description="No security group lets 0.0.0.0/0 or ::/0 reach SSH, Telnet, RPC, SMB, RDP, VNC or WinRM.",
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
    heeds=frozenset({"protocol", "fromPort", "toPort", "cidrBlocks", "ipv6CidrBlocks"}),
    passing=_example(fromPort=443, toPort=443, cidrBlocks=["0.0.0.0/0"], ipv6CidrBlocks=["::/0"]),
    failing=_example(fromPort=20, toPort=30, ipv6CidrBlocks=["::/0"]),
)

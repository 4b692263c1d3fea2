"""What tenants' customers send crosses the internet up to the load balancer."""

from __future__ import annotations

import re

from reconciler.detect.rule import OK, Context, Example, Judgement, Properties, Rule, items, mapping
from reconciler.model import Severity

_TYPE = "aws:lb/listener:Listener"
# The families of TLS 1.2 and newer whose ciphers all have forward secrecy. TLS-1-2-2017-01, TLS-1-2-Ext and most "Ext"
# ones of TLS13-1-2 speak nothing older either, but still negotiate RSA key exchange.
_MODERN = re.compile(
    r"ELBSecurityPolicy-(TLS13-1-[23](-Res|-Ext0(?=-FIPS))?(-FIPS)?(-PQ)?|FS-1-2(-Res)?)-20[0-9]{2}-[0-9]{2}"
)


def check(seen: Properties, _: Context) -> Judgement | None:
    if seen["protocol"] in ("HTTPS", "TLS"):
        policy = str(seen["sslPolicy"])
        if _MODERN.fullmatch(policy):
            return OK
        return Judgement(f"TLS policy {policy} is not TLS 1.2 or newer with forward secrecy only", policy)
    if seen["protocol"] != "HTTP":
        return None
    actions = [mapping(action) for action in items(seen["defaultActions"])]
    if actions and all(map(to_https, actions)):
        return OK
    return Judgement("plain HTTP is served, not redirected to HTTPS", seen["defaultActions"])


def to_https(action: Properties) -> bool:
    """Whether an action of a listener does nothing but send the caller to HTTPS."""
    return action.get("type") == "redirect" and mapping(action.get("redirect")).get("protocol") == "HTTPS"


RULE = Rule(
    id="elb-tls-policy",
    title="Listeners speak modern TLS",
    description="HTTPS listeners accept only TLS 1.2 and 1.3, with forward secrecy; what HTTP listeners do by "
    "default is to redirect to HTTPS.",
    severity=Severity.HIGH,
    source="https://docs.aws.amazon.com/elasticloadbalancing/latest/application/describe-ssl-policies.html",
    controls={
        "pci-dss": ("4.2.1",),
        "hipaa": ("164.312(e)(1)", "164.312(e)(2)(ii)"),
        "gdpr": ("Art. 32(1)(a)",),
        "soc2": ("CC6.7",),
    },
    reads={_TYPE: ("protocol", "sslPolicy", "defaultActions")},
    check=check,
    heeds=frozenset({"type", "redirect", "protocol"}),
    passing=Example(
        _TYPE,
        {
            "protocol": "HTTPS",
            "sslPolicy": "ELBSecurityPolicy-TLS13-1-2-2021-06",
            "defaultActions": [{"type": "forward"}],
        },
    ),
    failing=Example(
        _TYPE,
        {
            "protocol": "HTTP",
            "sslPolicy": None,
            "defaultActions": [{"type": "forward"}],
        },
    ),
)

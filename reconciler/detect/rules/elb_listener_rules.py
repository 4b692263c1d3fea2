"""A rule of a listener comes before its default action, and anybody with access to the load balancer may add one."""

from __future__ import annotations

from reconciler.detect.rule import OK, Context, Example, Judgement, Properties, Rule, items, mapping
from reconciler.detect.rules.elb_tls_policy import to_https
from reconciler.model import Severity

_TYPE = "aws:lb/listener:Listener"


def check(seen: Properties, _: Context) -> Judgement | None:
    if seen["ruleActions"] is None:
        return None
    if all(to_https(mapping(action)) for action in items(seen["ruleActions"])):
        return OK
    return Judgement("a rule of an HTTP listener serves in clear", seen["ruleActions"])


RULE = Rule(
    id="elb-listener-rules",
    title="Rules of HTTP listeners redirect to HTTPS",
    description="The rules of an HTTP listener, which come before its default action, do nothing but redirect to "
    "HTTPS.",
    severity=Severity.HIGH,
    source="https://docs.aws.amazon.com/elasticloadbalancing/latest/application/listener-rules.html",
    controls={
        "pci-dss": ("4.2.1",),
        "hipaa": ("164.312(e)(1)", "164.312(e)(2)(ii)"),
        "gdpr": ("Art. 32(1)(a)",),
        "soc2": ("CC6.7",),
    },
    reads={_TYPE: ("ruleActions",)},
    check=check,
    heeds=frozenset({"type", "redirect", "protocol"}),
    passing=Example(_TYPE, {"ruleActions": [{"type": "redirect", "redirect": {"protocol": "HTTPS"}}]}),
    failing=Example(_TYPE, {"ruleActions": [{"type": "forward"}]}),
)

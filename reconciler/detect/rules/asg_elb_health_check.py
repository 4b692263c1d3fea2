"""A group that only asks EC2 keeps servers that run and answer nothing."""

from __future__ import annotations

from reconciler.detect.rule import OK, Context, Example, Judgement, Properties, Rule, items
from reconciler.model import Severity

_TYPE = "aws:autoscaling/group:Group"


def check(seen: Properties, _: Context) -> Judgement | None:
    if not items(seen["targetGroupArns"]):
        return None
    kinds = str(seen["healthCheckType"]).split(",")
    return OK if "ELB" in kinds else Judgement(f"health is only checked by {','.join(kinds)}", seen["healthCheckType"])


RULE = Rule(
    id="asg-elb-health-check",
    title="Groups behind a load balancer use its health checks",
    description="An auto scaling group that registers with target groups replaces servers that fail their checks.",
    severity=Severity.MEDIUM,
    source="https://docs.aws.amazon.com/autoscaling/ec2/userguide/ec2-auto-scaling-health-checks.html",
    controls={"hipaa": ("164.308(a)(7)(i)",), "gdpr": ("Art. 32(1)(b)",), "soc2": ("A1.2",)},
    always=True,
    reads={_TYPE: ("targetGroupArns", "healthCheckType")},
    check=check,
    passing=Example(_TYPE, {"targetGroupArns": ["arn:aws:elasticloadbalancing:x"], "healthCheckType": "ELB"}),
    failing=Example(_TYPE, {"targetGroupArns": ["arn:aws:elasticloadbalancing:x"], "healthCheckType": "EC2"}),
)

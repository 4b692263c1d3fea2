"""One zone fails as a whole; servers in one subnet fail with it."""

from __future__ import annotations

from reconciler.detect.rule import OK, Context, Example, Judgement, Properties, Rule, items
from reconciler.model import Severity

_TYPE = "aws:autoscaling/group:Group"


def check(seen: Properties, _: Context) -> Judgement:
    subnets, zones = items(seen["vpcZoneIdentifiers"]), items(seen["availabilityZones"])
    if len(set(subnets)) < 2:
        return Judgement("all servers are in one subnet, so in one zone", list(subnets))
    if len(set(zones)) == 1:
        return Judgement("all servers are in one zone, though in more than one subnet", list(zones))
    return OK


RULE = Rule(
    id="asg-zones",
    title="Servers are spread over zones",
    description="An auto scaling group places its servers in at least two subnets, which are not all in one zone.",
    severity=Severity.MEDIUM,
    source="https://docs.aws.amazon.com/autoscaling/ec2/userguide/as-add-availability-zone.html",
    controls={"hipaa": ("164.308(a)(7)(i)",), "gdpr": ("Art. 32(1)(b)",), "soc2": ("A1.2",)},
    reads={_TYPE: ("vpcZoneIdentifiers", "availabilityZones")},
    check=check,
    passing=Example(_TYPE, {"vpcZoneIdentifiers": ["subnet-0a", "subnet-0b"], "availabilityZones": ["a", "b"]}),
    failing=Example(_TYPE, {"vpcZoneIdentifiers": ["subnet-0a", "subnet-1a"], "availabilityZones": ["a"]}),
)

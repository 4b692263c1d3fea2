"""IMDSv1 hands the server's credentials to anything that can make it fetch a URL."""

from __future__ import annotations

from reconciler.detect.rule import OK, Context, Example, Judgement, Properties, Rule, mapping
from reconciler.model import Severity

_TYPE = "aws:ec2/launchTemplate:LaunchTemplate"


def check(seen: Properties, _: Context) -> Judgement:
    options = mapping(seen["metadataOptions"])
    if options.get("httpEndpoint") == "disabled" or options.get("httpTokens") == "required":
        return OK
    return Judgement("servers answer metadata requests without a token (IMDSv1)", dict(options))


RULE = Rule(
    id="ec2-imdsv2",
    title="Servers require IMDSv2",
    description="Launch templates require session tokens for the instance metadata service, or switch it off.",
    severity=Severity.HIGH,
    source="https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/configuring-instance-metadata-service.html",
    controls={
        "pci-dss": ("2.2.6",),
        "hipaa": ("164.312(a)(1)",),
        "gdpr": ("Art. 32(1)(b)",),
        "soc2": ("CC6.1",),
    },
    reads={_TYPE: ("metadataOptions",)},
    check=check,
    heeds=frozenset({"httpEndpoint", "httpTokens"}),
    passing=Example(_TYPE, {"metadataOptions": {"httpEndpoint": "enabled", "httpTokens": "required"}}),
    failing=Example(_TYPE, {"metadataOptions": {"httpEndpoint": "enabled", "httpTokens": "optional"}}),
)

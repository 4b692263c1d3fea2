"""IMDSv1 hands the server's credentials to anything that can make it fetch a URL."""

from __future__ import annotations

from reconciler.detect.rule import OK, Context, Example, Judgement, Properties, Rule, mapping
from reconciler.model import Severity, Value

_TYPE = "aws:ec2/launchTemplate:LaunchTemplate"
_NEWEST, _DEFAULT = "metadataOptions", "defaultMetadataOptions"


def check(seen: Properties, _: Context) -> Judgement:
    if _answers_anybody(seen[_NEWEST]):
        return Judgement("servers answer metadata requests without a token (IMDSv1)", seen[_NEWEST])
    # It is not set while the default version is the newest one.
    if seen[_DEFAULT] is not None and _answers_anybody(seen[_DEFAULT]):
        message = "in the default version, servers answer metadata requests without a token (IMDSv1)"
        return Judgement(message, seen[_DEFAULT])
    return OK


def _answers_anybody(set_: Value) -> bool:
    options = mapping(set_)
    return options.get("httpEndpoint") != "disabled" and options.get("httpTokens") != "required"


def _example(**options: Value) -> Example:
    return Example(_TYPE, {_NEWEST: options, _DEFAULT: None})


RULE = Rule(
    id="ec2-imdsv2",
    title="Servers require IMDSv2",
    description="Launch templates require session tokens for the instance metadata service, or switch it off, "
    "in the newest version and in the default one.",
    severity=Severity.HIGH,
    source="https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/configuring-instance-metadata-service.html",
    controls={
        "pci-dss": ("2.2.6",),
        "hipaa": ("164.312(a)(1)",),
        "gdpr": ("Art. 32(1)(b)",),
        "soc2": ("CC6.1",),
    },
    reads={_TYPE: (_NEWEST, _DEFAULT)},
    check=check,
    heeds=frozenset({"httpEndpoint", "httpTokens"}),
    passing=_example(httpEndpoint="enabled", httpTokens="required"),
    failing=_example(httpEndpoint="enabled", httpTokens="optional"),
)

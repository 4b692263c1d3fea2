"""Whether a tenant's endpoint answers, by what was asked from here and what AWS says about the way to it.

A probe sees what its users see, but from one place: what does not answer here may be this machine's network. So a probe
alone is suspicion (UNKNOWN); it fails only together with a sign from another source, and repairs nothing even then.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from reconciler.detect.findings import about, plain
from reconciler.model import (
    Declared,
    DeclaredResource,
    Finding,
    Fleet,
    Kind,
    Observed,
    Probe,
    Severity,
    Unreadable,
    Value,
    Verdict,
)

ENDPOINT = "health.endpoint"
RULES: Mapping[str, str] = {
    ENDPOINT: "A tenant's endpoint does not answer as expected when it is asked from outside, and another sign agrees."
}

LISTENER = "aws:lb/listener:Listener"
_ON_THE_WAY = frozenset(
    {
        "aws:ec2/internetGateway:InternetGateway",
        "aws:ec2/route:Route",
        "aws:ec2/routeTable:RouteTable",
        "aws:ec2/routeTableAssociation:RouteTableAssociation",
        "aws:ec2/securityGroup:SecurityGroup",
        "aws:lb/targetGroup:TargetGroup",
    }
)
"""What of the same tenant a request passes, besides the load balancer and its listeners."""
_HARMLESS = frozenset({"tags", "tagsAll"})


def endpoints(declared: Declared, observed: Observed, found: Sequence[Finding]) -> Iterator[Finding]:
    """One finding for each endpoint that was probed, on the load balancer in front of it.

    ``found`` are the findings of the same look: drift on the way to the servers is a second sign.
    """
    for urn, probe in observed.probes.items():
        balancer = declared.resources.get(urn)
        if balancer is not None:
            verdict, words, signs = _judge(probe, balancer, declared, observed, found)
            # A property of its own, so that not knowing this does not count as not knowing the load balancer.
            told = about(balancer, ENDPOINT, Kind.HEALTH, verdict, Severity.HIGH, words, property="endpoint")
            yield replace(told, observed=list(signs[1:]) or None, signs=signs)


def _judge(
    probe: Probe | Unreadable,
    balancer: DeclaredResource,
    declared: Declared,
    observed: Observed,
    found: Sequence[Finding],
) -> tuple[Verdict, str, tuple[str, ...]]:
    """The verdict, its reason, and the signs that the endpoint does not answer: the probe's own comes first."""
    if isinstance(probe, Unreadable):
        return Verdict.UNKNOWN, f"the endpoint could not be probed: {plain(probe.reason)}", ()
    told = f"{plain(probe.url)} answered {probe.answered} of {probe.samples} times"
    why = f" ({'; '.join(map(plain, probe.failures))})" if probe.failures else ""
    if probe.answered * 2 >= probe.samples and probe.answered:
        return Verdict.PASS, told + why, ()
    signs = (*_short(balancer, declared, observed), *_drifted(balancer, declared, found))
    if not signs:
        return Verdict.UNKNOWN, f"{told}{why}: suspect, but no other sign agrees; it may be the way from here", (told,)
    return Verdict.FAIL, f"{told}{why}, and {'; '.join(signs)}", (told, *signs)


def _listeners(balancer: DeclaredResource, declared: Declared) -> list[DeclaredResource]:
    return [
        r
        for r in declared.resources.values()
        if r.type == LISTENER and balancer.id and r.inputs.get("loadBalancerArn") == balancer.id
    ]


def _short(balancer: DeclaredResource, declared: Declared, observed: Observed) -> Iterator[str]:
    """Fleets behind the load balancer of which fewer servers are healthy than there should be."""
    served = {text for listener in _listeners(balancer, declared) for text in _texts(listener.inputs)}
    for group, fleet in observed.fleets.items():
        if not isinstance(fleet, Fleet) or served.isdisjoint(fleet.target_groups):
            continue
        resource = declared.resources.get(group)
        healthy = sum(member.weight for member in fleet.healthy)
        if resource is not None and resource.tenant == balancer.tenant and fleet.measured and healthy < fleet.desired:
            yield f"{healthy} of {fleet.desired} {fleet.unit} of {plain(fleet.name)} are healthy"


def _drifted(balancer: DeclaredResource, declared: Declared, found: Sequence[Finding]) -> Iterator[str]:
    mine = {balancer.urn, *(listener.urn for listener in _listeners(balancer, declared))}
    for finding in found:
        if finding.kind is not Kind.DRIFT or finding.verdict is not Verdict.FAIL or finding.property in _HARMLESS:
            continue
        near = finding.tenant == balancer.tenant and finding.type in _ON_THE_WAY
        if near or finding.urn in mine:
            yield finding.message


def _texts(value: Value) -> Iterator[str]:
    """All texts in a value: a listener names its target groups in several places."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for part in value.values():
            yield from _texts(part)
    elif isinstance(value, Sequence):
        for part in value:
            yield from _texts(part)

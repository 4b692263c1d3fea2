"""A probe is one sign: alone it is suspicion, and with a second one from another source it is a fault."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.detect import health
from reconciler.detect.detect import detect
from reconciler.detect.endpoint import ENDPOINT, LISTENER
from reconciler.model import (
    UNITS,
    DeclaredResource,
    Finding,
    Fleet,
    Kind,
    Member,
    Observed,
    ObservedResource,
    Presence,
    Probe,
    ResourceKind,
    TenantFacts,
    Unreadable,
    Urn,
    Value,
    Verdict,
)
from reconciler.observe.probes import LOAD_BALANCER
from tests.unit.observe_worlds import declared, resource

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
TARGETS = "arn:tg"
BALANCER = resource(LOAD_BALANCER, "acme-alb", "arn:alb", {"internal": False})
HTTPS = resource(
    LISTENER,
    "acme-https",
    "arn:https",
    {"loadBalancerArn": "arn:alb", "port": 443, "defaultActions": [{"type": "forward", "targetGroupArn": TARGETS}]},
)
OTHERS = resource(LISTENER, "acme-other", "arn:other", {"loadBalancerArn": "arn:other-alb", "port": 443})
ROUTE = resource("aws:ec2/route:Route", "acme-route", "r-1", {"gatewayId": "igw-1"})
BUCKET = resource("aws:s3/bucket:Bucket", "acme-data", "b-1", {"bucket": "b-1"})
GROUP = resource("aws:autoscaling/group:Group", "acme-servers", "g-1", {"targetGroupArns": [TARGETS]})
WORLD = (BALANCER, HTTPS, OTHERS, ROUTE, BUCKET, GROUP)
DOWN = Probe("https://api.acme.example:443/", 3, 0, ("no answer within 5 s",))


def fleet(healthy: int, desired: int = 3, targets: str = TARGETS, weight: int = 1) -> Fleet:
    members = tuple(Member(f"i-{n}", "a", "InService", "running", "healthy", weight=weight) for n in range(healthy))
    return Fleet(GROUP.urn, "g-1", desired, 1, 9, members, target_groups=(targets,))


def judged(
    probe: Probe | Unreadable | None,
    *,
    servers: Fleet | Unreadable | None = None,
    changed: DeclaredResource | None = None,
    values: dict[str, Value] | None = None,
    presence: Presence = Presence.PRESENT,
) -> list[Finding]:
    """The findings of the endpoint in a world in which at most one resource is not as declared."""
    seen = {r.urn: ObservedResource(r.urn, Presence.PRESENT, r.inputs) for r in WORLD}
    if changed is not None:
        seen[changed.urn] = ObservedResource(changed.urn, presence, {**changed.inputs, **(values or {})})
    observed = Observed(seen, {GROUP.urn: servers or fleet(3)}, probes={} if probe is None else {BALANCER.urn: probe})
    kinds = {r.type: ResourceKind(r.type) for r in WORLD}
    world = declared(*WORLD, tenants={"acme": TenantFacts("acme", "gold", frozenset())})
    return [f for f in detect(world, observed, kinds, now=NOW, rules=()) if f.rule == ENDPOINT]


def verdict(*args: Any, **kwargs: Any) -> Verdict:
    (found,) = judged(*args, **kwargs)
    assert (found.kind, found.urn, found.tenant) == (Kind.HEALTH, BALANCER.urn, "acme")
    return found.verdict


def test_an_endpoint_that_is_not_probed_has_no_finding() -> None:
    """Off by default means that nothing is said."""
    assert judged(None) == []
    assert ENDPOINT in health.RULES


@pytest.mark.parametrize(("answered", "expected"), [(3, Verdict.PASS), (2, Verdict.PASS), (1, Verdict.UNKNOWN)])
def test_most_samples_decide(answered: int, expected: Verdict) -> None:
    """One lost sample of three is noise; two of three are a suspicion."""
    assert verdict(Probe("u", 3, answered, ("why",) if answered < 3 else ())) is expected


def test_a_probe_alone_is_suspicion() -> None:
    """F23: nothing answers here, and AWS says that all is well: it may be the way from here, so it is not known."""
    (found,) = judged(DOWN)
    assert found.verdict is Verdict.UNKNOWN
    assert "suspect" in found.message
    assert found.property == "endpoint"


def test_fewer_healthy_servers_are_a_second_sign() -> None:
    """The load balancer's own view of the servers behind it agrees: a fault, which says both."""
    (found,) = judged(DOWN, servers=fleet(2))
    assert found.verdict is Verdict.FAIL
    assert "2 of 3 servers of g-1 are healthy" in found.message
    assert "no answer within 5 s" in found.message


@pytest.mark.parametrize(
    ("unit", "desired", "expected"),
    [(UNITS, 8, Verdict.UNKNOWN), (UNITS, 9, Verdict.FAIL), ("vcpu", 9, Verdict.UNKNOWN)],
)
def test_a_weighted_fleet_is_counted_by_weight(unit: str, desired: int, expected: Verdict) -> None:
    """Two servers of four units are all of eight; of a size in processors nobody can tell, so it is no second sign."""
    assert verdict(DOWN, servers=replace(fleet(2, desired, weight=4), unit=unit)) is expected


@pytest.mark.parametrize(
    ("changed", "values", "presence"),
    [
        (HTTPS, {"port": 8443}, Presence.PRESENT),
        (HTTPS, {}, Presence.ABSENT),
        (ROUTE, {}, Presence.ABSENT),
        (BALANCER, {"internal": True}, Presence.PRESENT),
    ],
)
def test_drift_on_the_way_is_a_second_sign(changed: DeclaredResource, values: Any, presence: Presence) -> None:
    """What a request has to pass is not as declared."""
    assert verdict(DOWN, changed=changed, values=values, presence=presence) is Verdict.FAIL


@pytest.mark.parametrize(
    ("changed", "values", "presence"),
    [
        (HTTPS, {"tags": {"a": "b"}}, Presence.PRESENT),
        (OTHERS, {}, Presence.ABSENT),
        (BUCKET, {}, Presence.ABSENT),
        (ROUTE, {}, Presence.UNKNOWN),
    ],
)
def test_what_is_not_on_the_way_is_no_sign(changed: DeclaredResource, values: Any, presence: Presence) -> None:
    """I06: tags, another load balancer's listener, a bucket, and what is not known agree with nothing."""
    assert verdict(DOWN, changed=changed, values=values, presence=presence) is Verdict.UNKNOWN


def test_servers_that_are_not_seen_or_not_behind_it_are_no_sign() -> None:
    """I06: an unreadable fleet proves nothing, nor does one that another load balancer sends requests to."""
    assert verdict(DOWN, servers=Unreadable("denied")) is Verdict.UNKNOWN
    assert verdict(DOWN, servers=fleet(0, targets="arn:other-tg")) is Verdict.UNKNOWN


def test_what_could_not_be_asked_is_unknown() -> None:
    """F20: with the reason, and whatever else is wrong."""
    (found,) = judged(Unreadable("api.acme.example cannot be resolved\x1b[2J"), servers=fleet(0))
    assert found.verdict is Verdict.UNKNOWN
    assert "cannot be resolved" in found.message
    assert "\x1b" not in found.message


@given(samples=st.integers(1, 20), data=st.data())
def test_never_a_fault_without_a_second_sign(samples: int, data: st.DataObject) -> None:
    """Whatever the samples say: without another sign it is no fault, and with one it takes most of the samples."""
    answered = data.draw(st.integers(0, samples))
    probe = Probe("u", samples, answered)
    assert verdict(probe) is not Verdict.FAIL
    failed = answered * 2 < samples
    assert (verdict(probe, servers=fleet(1)) is Verdict.FAIL) is failed


def test_the_finding_is_the_load_balancers_and_hides_nothing_of_it() -> None:
    """Its id is stable from look to look and unlike that of any other finding of the load balancer."""
    ids = {judged(DOWN)[0].id, judged(DOWN, servers=fleet(1))[0].id}
    assert len(ids) == 1
    assert Urn(BALANCER.urn) == judged(DOWN)[0].urn

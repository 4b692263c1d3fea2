"""How the stand-in provider compares a live resource with its inputs: by meaning."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pulumi.runtime.rpc import UNKNOWN

from sandbox.provider.diff import changes, same
from sandbox.provider.plugin import KINDS
from sandbox.provider.security_group import SELF, Grant, grants, to_permissions, to_rules

VPC = KINDS["aws:ec2/vpc:Vpc"]
BALANCER = KINDS["aws:lb/loadBalancer:LoadBalancer"]
GROUP = KINDS["aws:ec2/securityGroup:SecurityGroup"]
POLICY = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": ["s3:GetObject"], "Resource": "*"}]}

GRANTS = st.sets(
    st.builds(
        Grant,
        st.sampled_from(["tcp", "udp", "icmp"]),
        st.sampled_from([22, 443]),
        st.sampled_from([443, 8080]),
        st.just("cidrBlocks"),
        st.sampled_from(["10.0.0.0/8", "0.0.0.0/0"]),
        st.sampled_from(["", "why"]),
    )
    | st.builds(
        Grant,
        st.just("-1"),
        st.just(0),
        st.just(0),
        st.just("securityGroups"),
        st.sampled_from([SELF, "sg-2"]),
        st.just(""),
    )
)


@pytest.mark.parametrize(
    ("token", "path", "declared", "live"),
    [
        ("aws:lb/targetGroup:TargetGroup", "deregistrationDelay", 30, "30"),
        ("aws:ec2/vpc:Vpc", "enableDnsHostnames", False, None),
        ("aws:lb/loadBalancer:LoadBalancer", "subnets", ["a", "b"], ["b", "a"]),
        ("aws:iam/rolePolicy:RolePolicy", "policy", json.dumps(POLICY, indent=2), json.dumps(POLICY, sort_keys=True)),
        ("aws:kms/alias:Alias", "targetKeyId", "arn:aws:kms:eu-central-1:123456789012:key/abc", "abc"),
        ("aws:lb/listener:Listener", "defaultActions", [{"type": "forward"}], [{"type": "forward", "order": 1}]),
        ("aws:autoscaling/group:Group", "launchTemplate", {"id": "lt-1"}, {"id": "lt-1", "name": "n", "version": "1"}),
        ("aws:cloudwatch/metricAlarm:MetricAlarm", "threshold", 5, 5.0),
    ],
)
def test_the_same_in_other_words(token: str, path: str, declared: Any, live: Any) -> None:
    """Text of numbers, order of sets, spelling of documents, ARN against id, what AWS fills in: no differences."""
    assert same(KINDS[token], path, declared, live)


@pytest.mark.parametrize(
    ("token", "path", "declared", "live"),
    [
        ("aws:ec2/vpc:Vpc", "enableDnsSupport", True, False),
        ("aws:lb/loadBalancer:LoadBalancer", "subnets", ["a", "b"], ["a"]),
        ("aws:iam/rolePolicy:RolePolicy", "policy", json.dumps(POLICY), json.dumps({**POLICY, "Statement": []})),
        ("aws:lb/listener:Listener", "defaultActions", [{"type": "forward"}], [{"type": "redirect"}]),
        ("aws:autoscaling/group:Group", "launchTemplate", {"id": "lt-1"}, {"id": "lt-2"}),
        ("aws:lb/targetGroup:TargetGroup", "healthCheck", {"path": "/a"}, {"path": "/a", "enabled": True}),
    ],
)
def test_real_differences(token: str, path: str, declared: Any, live: Any) -> None:
    """Another value is a difference, and so is a nested one that AWS does not fill in by itself."""
    assert not same(KINDS[token], path, declared, live)


def test_tags_differ_key_by_key() -> None:
    """Each tag is a change of its own, with a path that the engine can read."""
    state = {"tags": {"Name": "t", "stackmend:cell": "x"}, "tagsAll": {}}
    found = changes(VPC, state, {"tags": {"Name": "u", "more": "1"}, "tagsAll": {}})
    assert [(change.path, change.how) for change in found] == [
        ("tags.Name", "update"),
        ("tags.more", "add"),
        ('tags["stackmend:cell"]', "delete"),
    ]


def test_silence_means_nothing_unless_absence_is_declared() -> None:
    """An input that the program leaves out is no change, but deletion protection set by hand is."""
    assert changes(BALANCER, {"idleTimeout": 99}, {}) == ()
    (found,) = changes(BALANCER, {"enableDeletionProtection": True}, {})
    assert (found.path, found.how) == ("enableDeletionProtection", "delete")


def test_a_contradicted_default_is_no_change_but_a_declared_value_is() -> None:
    """A default that AWS answers otherwise is ignored as long as the program did not choose it."""
    state = {"dnsRecordClientRoutingPolicy": None}
    value = {"dnsRecordClientRoutingPolicy": "any_availability_zone"}
    assert changes(BALANCER, state, {**value, "__defaults": ["dnsRecordClientRoutingPolicy"]}) == ()
    assert len(changes(BALANCER, state, {**value, "__defaults": []})) == 1


def test_what_is_not_known_yet_may_change() -> None:
    """A value that exists only after the update counts as a change."""
    assert [change.path for change in changes(VPC, {"cidrBlock": "10.0.0.0/16"}, {"cidrBlock": UNKNOWN})] == [
        "cidrBlock"
    ]


@given(GRANTS)
def test_rules_come_back_from_aws_with_the_same_meaning(wanted: set[Grant]) -> None:
    """What is authorized and read back, merged as EC2 merges it, grants exactly what was declared."""
    assert grants(to_rules(to_permissions(wanted, "sg-1"), "sg-1")) == wanted


@given(GRANTS, GRANTS)
def test_security_groups_differ_when_their_grants_do(one: set[Grant], other: set[Grant]) -> None:
    """However rules are grouped, two lists are the same if and only if they grant the same."""
    declared = [rule for grant in sorted(one) for rule in to_rules(to_permissions({grant}, "sg-1"), "sg-1")]
    live = to_rules(to_permissions(other, "sg-1"), "sg-1")
    assert same(GROUP, "ingress", declared, live) == (one == other)

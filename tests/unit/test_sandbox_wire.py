"""Requests are named, and rules applied, without a server."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.injection import Rule, Rules
from sandbox.pages import listing
from sandbox.wire import Call, read_actor, read_call

NAMES = st.sampled_from(["ec2", "s3", "elbv2"])
CALLS = st.builds(
    Call, NAMES, st.sampled_from(["DescribeVpcs", "DeleteVpc"]), st.just("ec2"), st.text(), st.just("other")
)
SIGNED = "AWS4-HMAC-SHA256 Credential=key/20260101/us-east-1/{}/aws4_request, SignedHeaders=host, Signature=0"


@given(
    st.sampled_from(["ec2", "s3", "kms", "no-such-service"]), st.binary(), st.text(), st.sampled_from(["GET", "PUT"])
)
def test_any_request_gets_a_name(service: str, body: bytes, path: str, method: str) -> None:
    """Whatever bytes arrive, there is a call to count; what nobody can name counts as a write."""
    environ = {
        "HTTP_AUTHORIZATION": SIGNED.format(service),
        "CONTENT_TYPE": "application/x-www-form-urlencoded; charset=utf-8",
        "PATH_INFO": path,
        "REQUEST_METHOD": method,
    }
    for request in (environ, {**environ, "CONTENT_TYPE": ""}, {**environ, "HTTP_X_AMZ_TARGET": "A.B"}):
        call = read_call(request, body)
        assert call.service == service
        assert call.action
        assert call.action != "?" or call.writes


@pytest.mark.parametrize(
    ("action", "writes"),
    [
        ("DescribeVpcs", False),
        ("GetBucketPolicy", False),
        ("ListAliases", False),
        ("HeadBucket", False),
        ("AssumeRole", False),
        ("CreateVpc", True),
        ("PutBucketPolicy", True),
        ("TerminateInstances", True),
        ("DetachInstances", True),
        ("SomethingNew", True),
    ],
)
def test_reads_are_told_from_writes(action: str, writes: bool) -> None:
    """Only what is known to change nothing counts as a read."""
    assert Call("ec2", action, "ec2", "", "other").writes is writes


@pytest.mark.parametrize(
    ("user_agent", "actor"),
    [
        ("Boto3/1.44 md/Botocore stackmend-provider/0.1", "engine"),
        ("APN/1.0 Pulumi/1.0 (+https://www.pulumi.com)", "engine"),
        ("Boto3/1.44 md/Botocore stackmend", "reconciler"),
        ("aws-cli/2.15", "other"),
        ("", "other"),
    ],
)
def test_callers_are_known_by_their_user_agent(user_agent: str, actor: str) -> None:
    """The stand-in, the official provider and the reconciler are told apart."""
    assert read_actor(user_agent) == actor


@given(CALLS, st.integers(0, 3), st.integers(0, 3), st.integers(0, 8))
def test_a_rule_hits_exactly_as_often_as_it_says(call: Call, skip: int, times: int, calls: int) -> None:
    """After ``skip`` calls the next ``times`` are hit, and none after them."""
    rules = Rules()
    rules.add(Rule("throttle", call.service, skip=skip, times=times))
    hit = [rules.take(call) is not None for _ in range(calls)]
    assert hit == ([False] * skip + [True] * times + [False] * calls)[:calls]


@given(CALLS, CALLS)
def test_a_rule_for_one_service_leaves_the_others_alone(one: Call, other: Call) -> None:
    """A call of another service never meets the rule, and a used-up rule lets the next one have its turn."""
    rules = Rules()
    first = rules.add(Rule("throttle", one.service, times=1))
    second = rules.add(Rule("reset", one.service))
    met = [rules.take(other), rules.take(other)]
    assert [r.id for r in met if r is not None] == ([first, second] if other.service == one.service else [])


def test_clearing_drops_only_the_named_rules() -> None:
    """What is cleared hits nothing more and lets go of what it holds; the rest stays."""
    rules, call = Rules(), Call("ec2", "DescribeVpcs", "ec2", "", "other")
    kept, dropped = Rule("throttle", skip=1), Rule("delay")
    rules.add(kept)
    number = rules.add(dropped)
    rules.clear([number])
    assert dropped.cleared.is_set()
    assert not kept.cleared.is_set()
    assert rules.take(call) is None
    assert rules.take(call) is kept


@pytest.mark.parametrize(
    ("service", "action", "rows", "tokens"),
    [
        ("ec2", "DescribeInstances", ("Reservations",), ("NextToken",)),
        ("elbv2", "DescribeListeners", ("Listeners",), ("NextMarker",)),
        ("iam", "ListRoles", ("Roles",), ("Marker",)),
        ("logs", "DescribeLogGroups", ("logGroups",), ("nextToken",)),
        ("s3", "ListObjectsV2", ("Contents", "CommonPrefixes"), ("NextContinuationToken",)),
        ("elbv2", "DescribeTags", ("TagDescriptions",), ()),
    ],
)
def test_where_rows_and_tokens_stand(service: str, action: str, rows: tuple[str], tokens: tuple[str]) -> None:
    """The service's own models say it, for operations with and without pages."""
    found = listing(service, action)
    assert found is not None
    assert (found.rows, found.tokens) == (rows, tokens)


def test_an_operation_without_a_list_has_no_page() -> None:
    """There is nothing to cut in a single answer, nor in that of an unknown operation."""
    assert listing("ec2", "NoSuchOperation") is None
    assert listing("no-such-service", "List") is None

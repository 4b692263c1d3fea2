"""One role a tenant: what is asked of STS, whose credentials a write carries, and what the guard still refuses.

moto gives credentials for any role and enforces no policy, so these tests look at what is sent.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import botocore.session
import pytest
from botocore.exceptions import ClientError

from reconciler.errors import WriteRefused
from reconciler.model import Declared, Repair
from reconciler.observe.clients import Clients
from reconciler.observe.sessions import SessionRefused, Sessions, call_policy, engine_policy
from reconciler.wiring import GuardedWriter
from tests.moto_server import serving
from tests.unit.observe_server import ENVIRONMENT
from tests.unit.observe_worlds import ACCOUNT, REGION

WORLD = Declared("dev", "p", ACCOUNT, REGION, {})
PATTERN = f"arn:aws:iam::{ACCOUNT}:role/stackmend-{{tenant}}"


def of(tenant: str | None) -> Repair:
    return Repair("dispose", tenant, (), ("f-1",), "over", members=("i-0123456789abcdef0",))


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    with serving() as address:
        yield address


class Asked:
    """Clients whose calls of STS are noted."""

    def __init__(self) -> None:
        self.calls: list[dict[str, Any]] = []
        self.deny = False
        core = botocore.session.Session()
        core.register("provide-client-params.sts.AssumeRole", self._note)
        self.clients = Clients(REGION, ACCOUNT, session=core)
        self.sessions = Sessions(
            self.clients, cell="dev", pattern=PATTERN, external_id="stackmend/{cell}/{tenant}", seconds=900
        )

    def _note(self, **given: Any) -> None:
        if self.deny:
            raise ClientError({"Error": {"Code": "AccessDenied", "Message": "not trusted"}}, "AssumeRole")
        self.calls.append(given["params"])


@pytest.fixture
def asked(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> Asked:
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    return Asked()


def test_a_role_is_assumed_with_an_external_id_and_a_narrow_policy(asked: Asked) -> None:
    """The role is the tenant's, the external id names cell and tenant, and the policy names the calls and resources of
    this repair only (T06, T07)."""
    asked.sessions.clients("acme", operations={"autoscaling:SetDesiredCapacity"}, resources=["acme-servers"])
    (call,) = asked.calls
    assert call["RoleArn"] == f"arn:aws:iam::{ACCOUNT}:role/stackmend-acme"
    assert call["ExternalId"] == "stackmend/dev/acme"
    (statement,) = json.loads(call["Policy"])["Statement"]
    assert (statement["Effect"], statement["Action"]) == ("Allow", ["autoscaling:SetDesiredCapacity"])
    assert statement["Resource"]
    assert all(arn.endswith("/acme-servers") and f":{ACCOUNT}:" in arn for arn in statement["Resource"])


def test_one_session_for_equal_needs(asked: Asked) -> None:
    """The same need is met by the same session; another tenant's never is, though it needs the same (T06)."""
    needs: dict[str, Any] = {"operations": {"ec2:CreateTags"}, "resources": ["i-0123456789abcdef0"]}
    first = asked.sessions.clients("acme", **needs)
    assert asked.sessions.clients("acme", **needs) is first
    assert asked.sessions.clients("beta", **needs) is not first
    assert [c["RoleArn"].rpartition("-")[2] for c in asked.calls] == ["acme", "beta"]


def test_a_write_carries_the_tenants_credentials(asked: Asked) -> None:
    """While a permit for a tenant is open, clients are those of its session, and guarded as all others; after it, and
    for what no tenant owns, they are the cell's own."""
    writer = GuardedWriter(asked.clients, WORLD, {}, asked.sessions)
    own = writer.client("ec2")
    with writer.permit(of("acme"), operations={"ec2:CreateTags"}, resources=["i-0123456789abcdef0"]):
        acting = writer.client("ec2")
        assert acting is not own
        with pytest.raises(WriteRefused):
            acting.create_tags(Resources=["i-0fedcba9876543210"], Tags=[{"Key": "a", "Value": "b"}])
    with pytest.raises(WriteRefused):
        acting.create_tags(Resources=["i-0123456789abcdef0"], Tags=[{"Key": "a", "Value": "b"}])
    with writer.permit(of(None), operations={"ec2:CreateTags"}, resources=["i-0123456789abcdef0"]):
        assert writer.client("ec2") is own
    assert writer.client("ec2") is own


def test_no_role_no_write(asked: Asked) -> None:
    """A role that cannot be assumed refuses the repair: the cell's own rights are never used in its place (T06)."""
    asked.deny = True
    writer = GuardedWriter(asked.clients, WORLD, {}, asked.sessions)
    with pytest.raises(SessionRefused), writer.permit(of("acme"), operations={"a:B"}, resources=["x"]):
        raise AssertionError("a permit was given")


def test_the_engine_gets_the_tenants_credentials(asked: Asked) -> None:
    """The engine's variables are those of a session that is denied whatever another tenant's tag is on (T01)."""
    found = asked.sessions.environment("acme")
    assert set(found) == {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"}
    assert found["AWS_ACCESS_KEY_ID"] != ENVIRONMENT["AWS_ACCESS_KEY_ID"]
    _, deny = engine_policy("acme")["Statement"]
    assert deny["Effect"] == "Deny"
    assert deny["Condition"]["StringNotEquals"] == {"aws:ResourceTag/stackmend:tenant": "acme"}


def test_what_is_made_is_allowed_where_it_is_made(asked: Asked) -> None:
    """A snapshot has no id before it is made, so its kind is allowed, and tags on it while it is made."""
    policy = call_policy({"ec2:CreateSnapshot"}, ["vol-0123456789abcdef0"], asked.clients)
    make, tag = policy["Statement"]
    assert make["Resource"] == [
        f"arn:aws:ec2:{REGION}:{ACCOUNT}:volume/vol-0123456789abcdef0",
        f"arn:aws:ec2:{REGION}::snapshot/*",
    ]
    assert tag["Condition"] == {"StringEquals": {"ec2:CreateAction": ["CreateSnapshot", "CreateSecurityGroup"]}}

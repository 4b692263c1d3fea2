"""Types nobody described: how the provider respells what was declared, and what stays a change all the same."""

from __future__ import annotations

import json
import re
from collections.abc import Collection
from typing import Any

import pytest

from reconciler.detect.diff import differences
from reconciler.detect.scalars import SPELLED
from reconciler.model import DeclaredResource, ObservedResource, Presence, ResourceKind, Secret, Unreadable, Urn
from reconciler.observe.registry import KINDS
from tests.unit.observe_aws_answers import sdk_properties

BUCKET = "aws:s3/bucket:Bucket"
LAMBDA = "arn:aws:lambda:eu-north-1:111122223333:function:thumbnails-4be01a9"
PARAMETER = "aws:ssm/parameter:Parameter"
ROLE = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": "glue.amazonaws.com"}}

DECLARED_TASK = '[{"name": "web", "image": "caddy",\n "ports": [{"inner": 8443, "protocol": "tcp"}]}]'
LIVE_TASK = json.dumps(
    [
        {
            "cpu": 0,
            "essential": True,
            "image": "caddy",
            "mounts": [],
            "name": "web",
            "ports": [{"inner": 8443, "outer": 8443, "protocol": "tcp"}],
        }
    ]
)


def changed(
    kind: ResourceKind,
    declared: dict[str, Any],
    observed: dict[str, Any],
    *,
    programmed: Collection[str] | None = None,
    differing: Collection[str] = (),
) -> dict[str, Any]:
    """The observed value of every property that differs or is unknown; ``programmed`` is all unless said otherwise."""
    urn = Urn(f"urn:pulumi:dev::p::{kind.token}::a")
    names = frozenset(declared if programmed is None else programmed)
    resource = DeclaredResource(urn, kind.token, "a", "id-7", declared, names)
    seen = ObservedResource(urn, Presence.PRESENT, observed, differing=frozenset(differing))
    return {d.property: d.observed for d in differences(kind, resource, seen)}


def test_the_kinds_of_observers_are_strict() -> None:
    """A type with an observer is never read tolerantly, even where its observer had no fact to tell."""
    route = KINDS["aws:ec2/route:Route"]
    assert changed(route, {"coreNetworkArn": LAMBDA}, {"coreNetworkArn": "thumbnails-4be01a9"})
    assert changed(route, {"gatewayId": "igw-7"}, {"gatewayId": None}, programmed=())
    assert all(kind.observed for kind in KINDS.values())


@pytest.mark.parametrize(
    ("declared", "observed"),
    [
        pytest.param(["sub-b", "sub-a"], ["sub-a", "sub-b"], id="other order"),
        pytest.param({"net": {"ids": ["sub-b", "sub-a"]}}, {"net": {"ids": ["sub-a", "sub-b"], "own": 1}}, id="deep"),
        pytest.param(["b.example.net"], ["b.example.net", "example.net"], id="an element that the service adds"),
        pytest.param([{"zone": "sub-a"}], [{"zone": "sub-a", "ip": "192.0.2.9"}], id="a key that the service fills"),
        pytest.param('{\n "source": ["a"]\n}', '{"source":["a"]}', id="a document in another layout"),
        pytest.param('{"b": {"d": 1, "c": 2}}', '{"b":{"c":2,"d":1}}', id="a document with its keys sorted"),
        pytest.param(DECLARED_TASK, LIVE_TASK, id="a document that the service completes"),
        pytest.param([{"rules": '[{"If": "x"}]\n'}], [{"rules": '[{"If":"x"}]', "to": ""}], id="a document in a block"),
        pytest.param("thumbnails-4be01a9", LAMBDA, id="the name of what is answered with its ARN"),
        pytest.param([LAMBDA], ["thumbnails-4be01a9"], id="an ARN answered with the name"),
        pytest.param("https://login.example.net", "login.example.net", id="an address without its scheme"),
        pytest.param("example.net.", "example.net", id="a domain without the last dot"),
        pytest.param(512, "512", id="a number as text"),
        pytest.param("true", True, id="a boolean as text"),
        pytest.param({"filter": {"tags": {}}}, {"filter": {"prefix": "", "tags": None}}, id="nothing in another form"),
        pytest.param({"attribute": "dies", "enabled": False}, {"attribute": "", "enabled": False}, id="switched off"),
        pytest.param("in clear", Secret(), id="a text that the provider hides"),
        pytest.param({"user": "u", "pass": "in clear"}, {"user": "u", "pass": Secret()}, id="one hidden inside"),
    ],
)
def test_respelled_is_not_changed(declared: Any, observed: Any) -> None:
    """Each sort of spelling that providers answer with right after an update is no difference."""
    assert changed(ResourceKind("aws:x/y:Y"), {"p": declared}, {"p": observed}) == {}


@pytest.mark.parametrize(
    ("declared", "observed"),
    [
        pytest.param(["a", "b"], ["a"], id="an element is gone"),
        pytest.param(["a", "a"], ["a", "b"], id="one element cannot stand for two"),
        pytest.param([], ["a"], id="none was declared"),
        pytest.param(DECLARED_TASK, LIVE_TASK.replace("caddy", "miner"), id="a word in a completed document"),
        pytest.param(DECLARED_TASK, "[]", id="an empty document"),
        pytest.param('{"a": 1}', '{"b": 1}', id="another key"),
        pytest.param('{"a": 1}', "nothing of that kind", id="no document any more"),
        pytest.param(
            json.dumps({"Statement": [ROLE]}),
            json.dumps({"Statement": [ROLE, {**ROLE, "Principal": "*"}]}),
            id="a statement added to a policy",
        ),
        pytest.param({"tags": ["a"]}, {"tags": ["a", "b"]}, id="a tag added to a list of them"),
        pytest.param("thumbnails", LAMBDA, id="a name that is only the beginning"),
        pytest.param(LAMBDA, LAMBDA.replace("111122223333", "444455556666"), id="an ARN of another account"),
        pytest.param("https://login.example.net", "https://login.example.org", id="another address"),
        pytest.param("https://login.example.net", "http://login.example.net", id="an address without its encryption"),
        pytest.param("a.", "a..", id="two dots"),
        pytest.param(".", "https://", id="nothing but decoration"),
        pytest.param({"attribute": "dies", "enabled": True}, {"attribute": "", "enabled": True}, id="switched on"),
        pytest.param({"attribute": "dies", "enabled": False}, {"attribute": "dies", "enabled": True}, id="switched"),
        pytest.param({"attribute": "dies", "enabled": True}, {"attribute": "dies", "enabled": False}, id="and back"),
        pytest.param({"user": "u", "pass": "p"}, {"user": "other", "pass": Secret()}, id="beside what is hidden"),
    ],
)
def test_a_change_is_a_change_however_tolerant(declared: Any, observed: Any) -> None:
    """What respelling cannot explain differs, in a type nobody described as well."""
    assert list(changed(ResourceKind("aws:x/y:Y"), {"p": declared}, {"p": observed})) == ["p"]


def test_a_described_type_stays_strict() -> None:
    """One fact about a type is enough to end the tolerance: what it does not name is compared literally."""
    declared = {
        "list": ["a"],
        "text": "thumbnails-4be01a9",
        "url": "https://login.example.net",
        "document": '{"p": 1}',
        "block": {"attribute": "dies", "enabled": False},
    }
    live = {"list": ["a", "b"], "text": LAMBDA, "url": "login.example.net", "document": '{"p":1,"q":2}'}
    kind = ResourceKind("aws:x/y:Y", documents=frozenset({"document"}))
    found = changed(kind, declared, {**live, "block": {"attribute": "", "enabled": False}})
    assert found.keys() == declared.keys()


def test_a_default_that_the_provider_does_not_read_back() -> None:
    """A default that it filled in itself and answers with nothing is skipped; what the program set is not."""
    kind = ResourceKind("aws:x/y:Y")
    assert changed(kind, {"mode": "merge"}, {"mode": None}, programmed=()) == {}
    assert changed(kind, {"mode": "merge"}, {}, programmed=()) == {}
    assert changed(kind, {"mode": "merge"}, {"mode": None}) == {"mode": None}
    assert isinstance(changed(kind, {"mode": "merge"}, {})["mode"], Unreadable)
    assert changed(kind, {"mode": "merge"}, {"mode": "replace"}, programmed=()) == {"mode": "replace"}
    assert changed(kind, {"mode": "merge"}, {"mode": ""}, programmed=()) == {"mode": ""}
    assert changed(ResourceKind("aws:x/y:Y", observed=True), {"mode": "merge"}, {"mode": None}, programmed=())


@pytest.mark.parametrize(("tier", "differs"), [("Standard", False), ("Advanced", False), ("Other", True)])
def test_what_a_declared_word_stands_for(tier: str, differs: bool) -> None:
    """A parameter declared with Intelligent-Tiering is answered with the tier that this chose."""
    found = changed(ResourceKind(PARAMETER), {"tier": "Intelligent-Tiering"}, {"tier": tier})
    assert bool(found) is differs
    assert changed(ResourceKind(PARAMETER), {"tier": "Standard"}, {"tier": "Advanced"}) == {"tier": "Advanced"}
    assert changed(ResourceKind("aws:x/y:Y"), {"tier": "Intelligent-Tiering"}, {"tier": "Standard"})


def test_the_provider_outranks_all_of_it() -> None:
    """What the provider itself calls different is, whatever respelling would explain; hidden texts stay hidden."""
    declared = {"names": ["a"], "mode": "merge", "tier": "Intelligent-Tiering", "password": "in clear"}
    observed = {"names": ["a", "b"], "mode": None, "tier": "Standard", "password": Secret()}
    assert changed(ResourceKind(PARAMETER), declared, observed, programmed=("names", "tier", "password")) == {}
    found = changed(ResourceKind(PARAMETER), declared, observed, programmed=(), differing=declared)
    assert found == observed


def test_a_text_that_the_provider_hides_is_not_shown() -> None:
    """I13: a password declared as plain text is a secret as soon as the provider answers it as one."""
    urn = Urn("urn:pulumi:dev::p::aws:x/y:Y::a")
    declared: dict[str, Any] = {"password": "in clear", "user": {"name": "u", "pass": "in clear"}, "keys": ["in clear"]}
    live: dict[str, Any] = {"password": Secret(), "user": {"name": "v", "pass": Secret()}, "keys": [Secret(), "k"]}
    resource = DeclaredResource(urn, "aws:x/y:Y", "a", "id-7", declared)
    seen = ObservedResource(urn, Presence.PRESENT, live, differing=frozenset(declared))
    found = differences(ResourceKind("aws:x/y:Y"), resource, seen)
    assert len(found) == 3
    assert "in clear" not in str(found)


def test_a_website_rule_of_a_bucket_is_a_document() -> None:
    """The described bucket compares its policy and routing rules by meaning too."""
    declared = {"website": {"routingRules": '[{"Redirect": {"To": "a"}}]\n'}, "policy": '{"Statement": []}'}
    observed = {"website": {"routingRules": '[{"Redirect":{"To":"a"}}]'}, "policy": '{"Statement":[]}\n'}
    assert changed(KINDS[BUCKET], declared, observed) == {}
    observed["website"] = {"routingRules": '[{"Redirect":{"To":"b"}}]'}
    assert list(changed(KINDS[BUCKET], declared, observed)) == ["website"]


RDS, RECORD, ZONE = "aws:rds/instance:Instance", "aws:route53/record:Record", "aws:route53/zone:Zone"
CERTIFICATE, CACHE = "aws:acm/certificate:Certificate", "aws:elasticache/replicationGroup:ReplicationGroup"
BALANCER = "my-lb-1.eu-central-1.elb.amazonaws.com"


@pytest.mark.parametrize(
    ("token", "name", "declared", "same", "other"),
    [
        (ZONE, "name", "Example.com.", "example.com", "example.org"),
        (RECORD, "name", "WWW.Example.com.", "www.example.com", "ww.example.com"),
        (RECORD, "aliases", [{"name": f"dualstack.{BALANCER.title()}"}], [{"name": BALANCER}], [{"name": "x"}]),
        (RECORD, "aliases", [{"name": BALANCER}], [{"name": f"dualstack.{BALANCER}."}], [{"name": "x"}]),
        (RECORD, "records", ["v=Spf1"], ["v=Spf1"], ["v=spf1"]),
        (CERTIFICATE, "domainName", "*.Example.com", "*.example.com", "example.com"),
        (CERTIFICATE, "subjectAlternativeNames", ["B.example.com"], ["b.example.com"], ["a.example.com"]),
        (RDS, "identifier", "MyDB", "mydb", "mydb2"),
        (RDS, "dbSubnetGroupName", "MySubnets", "mysubnets", "others"),
        (RDS, "maintenanceWindow", "Sun:04:00-Sun:05:00", "sun:04:00-sun:05:00", "sun:04:00-sun:06:00"),
        (RDS, "engineVersion", "16", "16.4", "15.4"),
        (RDS, "engineVersion", "1", "1.2", "16.4"),
        (RDS, "engineVersion", "16.4", "16.4", "16"),
        (RDS, "kmsKeyId", "alias/Mine", "alias/Mine", "alias/mine"),
        (CACHE, "replicationGroupId", "RG", "rg", "rg-2"),
    ],
)  # fmt: skip
def test_what_a_type_spells_its_own_way(token: str, name: str, declared: Any, same: Any, other: Any) -> None:
    """Names without case, versions left open and names of one load balancer are no change; another value is."""
    kind = ResourceKind(token)
    assert changed(kind, {name: declared}, {name: same}) == {}
    assert changed(kind, {name: declared}, {name: other}) == {name: other}
    assert changed(kind, {name: declared}, {name: same}, differing={name}) == {name: same}


def test_the_names_that_are_spelled_are_the_sdks() -> None:
    """What is said of a type's property is said of one that the SDK has."""
    known = {token: sdk_properties(token) for token in {token for token, _ in SPELLED}}
    assert {path for token, path in SPELLED if re.split(r"[.\[]", path)[0] not in known[token]} == set()

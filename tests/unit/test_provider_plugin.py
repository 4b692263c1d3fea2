"""The stand-in provider's answers to the engine, against moto in this process and against an AWS that fails."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterator
from typing import Any, TypeVar

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws
from pulumi.provider.experimental import provider as api
from pulumi.runtime.rpc import UNKNOWN

from sandbox.provider import aws
from sandbox.provider.errors import ProviderError
from sandbox.provider.invokes import INVOKES
from sandbox.provider.plugin import AwsStandIn, kind_of
from sandbox.provider.values import plain_map, wrap_map

REGION = "eu-central-1"
T = TypeVar("T")


def run(call: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(call)


def urn(token: str) -> str:
    return f"urn:pulumi:dev::p::stackmend:index:Tenant${token}::t"


@pytest.fixture
def plugin(monkeypatch: pytest.MonkeyPatch) -> Iterator[AwsStandIn]:
    """A configured plugin whose calls end in moto. The endpoint set is real, so that botocore's own URLs apply."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    with mock_aws():
        plugin = AwsStandIn()
        with monkeypatch.context() as endpoint:
            endpoint.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
            run(plugin.configure(api.ConfigureRequest({}, wrap_map({"region": REGION}), False, False)))
        yield plugin


def create(plugin: AwsStandIn, token: str, inputs: dict[str, Any], *, preview: bool = False) -> api.CreateResponse:
    checked = run(plugin.check(api.CheckRequest(urn(token), {}, wrap_map(inputs), b"seed")))
    assert checked.inputs is not None, [failure.reason for failure in checked.failures or []]
    return run(plugin.create(api.CreateRequest(urn(token), checked.inputs, 60, preview)))


def test_without_an_endpoint_nothing_is_touched(monkeypatch: pytest.MonkeyPatch) -> None:
    """The stand-in refuses to work where it would reach the real AWS."""
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    with pytest.raises(ProviderError, match="must not touch the real AWS"):
        run(AwsStandIn().configure(api.ConfigureRequest({}, wrap_map({"region": REGION}), False, False)))


def test_settings_it_would_ignore_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A provider setting without effect here, such as default tags, is an error and not dropped."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    settings = wrap_map({"region": REGION, "defaultTags": "{}"})
    with pytest.raises(ProviderError, match="aws:defaultTags"):
        run(AwsStandIn().configure(api.ConfigureRequest({}, settings, False, False)))


def test_types_of_children_are_found_and_unknown_ones_named() -> None:
    """The type is the last part of the URN's types; an unknown one is named in the error."""
    assert kind_of(urn("aws:ec2/vpc:Vpc")).type == "aws:ec2/vpc:Vpc"
    with pytest.raises(ProviderError, match="does not know the resource type aws:sns/topic:Topic"):
        kind_of(urn("aws:sns/topic:Topic"))


def test_check_names_the_type_and_the_unknown_input(plugin: AwsStandIn) -> None:
    """B10: an input without an entry in the table fails the check, with its name and what is known."""
    request = api.CheckRequest(urn("aws:ec2/vpc:Vpc"), {}, wrap_map({"ipv6NetmaskLength": 56}), b"")
    (failure,) = run(plugin.check(request)).failures or []
    assert failure.property == "ipv6NetmaskLength"
    assert "ipv6NetmaskLength of aws:ec2/vpc:Vpc; it knows cidrBlock" in failure.reason


def test_a_preview_calls_nothing_and_leaves_outputs_open(plugin: AwsStandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    """I15: creating and updating in a preview makes no client, and outputs are unknown."""

    def refuse(*_: object) -> None:
        raise AssertionError("a preview made a client")

    monkeypatch.setattr(aws.Clients, "__call__", refuse)
    state = plain_map(create(plugin, "aws:ec2/vpc:Vpc", {"cidrBlock": "10.0.0.0/16"}, preview=True).properties)
    assert (state["cidrBlock"], state["arn"]) == ("10.0.0.0/16", UNKNOWN)
    request = api.UpdateRequest(urn("aws:ec2/vpc:Vpc"), "vpc-1", {}, wrap_map({"tags": {"a": "b"}}), 60, [], True)
    assert plain_map(run(plugin.update(request)).properties) == {"tags": {"a": "b"}}


def test_what_does_not_exist_reads_as_absent(plugin: AwsStandIn) -> None:
    """F09: only AWS's own word that a resource is not there makes it absent."""
    request = api.ReadRequest(urn("aws:ec2/vpc:Vpc"), "vpc-00000000", {}, {})
    assert run(plugin.read(request)).resource_id == ""


@pytest.mark.parametrize("code", ["AccessDenied", "RequestLimitExceeded", "InternalError"])
def test_a_failed_read_is_no_absence(plugin: AwsStandIn, monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    """F01 F02 F10: an error other than not found is raised as AWS words it, so the engine never deletes on it."""

    class Failing:
        def describe_vpcs(self, **_: object) -> None:
            raise ClientError({"Error": {"Code": code, "Message": "no"}}, "DescribeVpcs")

    monkeypatch.setattr(aws.Clients, "__call__", lambda *_: Failing())
    with pytest.raises(ClientError, match=rf"\({code}\) when calling the DescribeVpcs operation: no"):
        run(plugin.read(api.ReadRequest(urn("aws:ec2/vpc:Vpc"), "vpc-1", {}, {})))


def test_a_creation_that_fails_half_way_leaves_nothing(plugin: AwsStandIn) -> None:
    """I04: if a later call of a creation fails, the new resource is deleted again and the first error is told."""
    inputs = {"vpcId": "vpc-00000000", "tags": {"Name": "t"}}
    with pytest.raises(ClientError, match=r"\(InvalidVpcID.NotFound\) when calling the AttachInternetGateway"):
        create(plugin, "aws:ec2/internetGateway:InternetGateway", inputs)
    gateways = boto3.client("ec2", region_name=REGION).describe_internet_gateways()["InternetGateways"]
    assert [g for g in gateways if g.get("Tags")] == []


def test_a_leftover_of_a_failed_creation_is_named(plugin: AwsStandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    """If what was created cannot be deleted again either, the error says which resource stays behind."""

    class Failing:
        def create_internet_gateway(self, **_: object) -> dict[str, Any]:
            return {"InternetGateway": {"InternetGatewayId": "igw-1"}}

        def describe_internet_gateways(self, **_: object) -> None:
            raise ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, "DescribeInternetGateways")

    monkeypatch.setattr(aws.Clients, "__call__", lambda *_: Failing())
    with pytest.raises(ClientError) as caught:
        create(plugin, "aws:ec2/internetGateway:InternetGateway", {"vpcId": "vpc-1"})
    assert "igw-1 was created and could not be deleted again" in caught.value.__notes__[0]


def test_a_refresh_keeps_the_spelling_of_what_did_not_change(plugin: AwsStandIn) -> None:
    """After a refresh inputs hold live values, but equal ones stay as declared, and undeclared ones stay out."""
    inputs = {"cidrBlock": "10.0.0.0/16", "enableDnsSupport": True, "tags": {"Name": "t"}}
    made = create(plugin, "aws:ec2/vpc:Vpc", inputs)
    ec2 = boto3.client("ec2", region_name=REGION)
    ec2.create_tags(Resources=[str(made.resource_id)], Tags=[{"Key": "new", "Value": "1"}])
    old = wrap_map({**inputs, "__defaults": [], "tagsAll": {"Name": "t"}, "region": REGION})
    read = run(plugin.read(api.ReadRequest(urn("aws:ec2/vpc:Vpc"), str(made.resource_id), made.properties, old)))
    assert plain_map(read.inputs) == {
        **inputs,
        "__defaults": [],
        "region": REGION,
        "tags": {"Name": "t", "new": "1"},
        "tagsAll": {"Name": "t", "new": "1"},
    }


def test_echoed_inputs_stay_in_the_state(plugin: AwsStandIn) -> None:
    """What AWS never answers, such as forceDestroy, is repeated from the state at every read."""
    made = create(plugin, "aws:s3/bucket:Bucket", {"forceDestroy": True})
    read = run(plugin.read(api.ReadRequest(urn("aws:s3/bucket:Bucket"), str(made.resource_id), made.properties, {})))
    assert plain_map(read.properties)["forceDestroy"] is True


def test_a_subnet_is_deleted_before_it_is_replaced(plugin: AwsStandIn) -> None:
    """Where AWS refuses a second one beside the first, a replacement deletes first; a changed tag replaces nothing."""
    old = wrap_map({"cidrBlock": "10.0.0.0/24", "tags": {"a": "1"}})
    token = urn("aws:ec2/subnet:Subnet")
    moved = run(plugin.diff(api.DiffRequest(token, "subnet-1", old, wrap_map({"cidrBlock": "10.0.1.0/24"}), ["tags"])))
    assert moved.replaces == ["cidrBlock"]
    assert moved.delete_before_replace
    tagged = run(plugin.diff(api.DiffRequest(token, "subnet-1", old, wrap_map({"tags": {"a": "2"}}), [])))
    assert tagged.changes
    assert tagged.replaces == []


def test_functions_answer_and_unknown_ones_are_refused(plugin: AwsStandIn) -> None:
    """The functions that programs use answer from AWS; others, and arguments without effect, are errors."""
    zones = "aws:index/getAvailabilityZones:getAvailabilityZones"
    answer = run(plugin.invoke(api.InvokeRequest(zones, wrap_map({"state": "available"})))).return_value or {}
    names = plain_map(answer)["names"]
    assert names == sorted(names)
    assert names[0] == f"{REGION}a"
    with pytest.raises(ProviderError, match="does not know the function aws:index/getArn:getArn"):
        run(plugin.invoke(api.InvokeRequest("aws:index/getArn:getArn", {})))
    with pytest.raises(ProviderError, match="'allAvailabilityZones'"):
        run(plugin.invoke(api.InvokeRequest(zones, wrap_map({"allAvailabilityZones": True}))))


@pytest.mark.parametrize(("most_recent", "words"), [(False, "more than one"), (True, "no results")])
def test_an_image_is_found_or_the_error_says_why(plugin: AwsStandIn, most_recent: bool, words: str) -> None:
    """Too many images and none at all are different errors; of several, the newest is taken when asked for."""
    token = "aws:ec2/getAmi:getAmi"
    clients = plugin._aws(REGION)
    newest = INVOKES[token](clients, {"owners": ["amazon"], "mostRecent": True})
    assert newest["imageId"].startswith("ami-")
    with pytest.raises(ProviderError, match=words):
        INVOKES[token](clients, {"mostRecent": most_recent, "nameRegex": "^no such image$" if most_recent else ""})

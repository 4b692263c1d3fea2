"""The stand-in provider's table against the SDK of the official provider: nothing in it may be invented."""

from __future__ import annotations

import sys
from typing import Any

import pulumi_aws
import pytest

from sandbox.provider.plugin import KINDS
from sandbox.provider.table import Kind

# The SDK warns of its own deprecated resources when it is imported.
pytestmark = pytest.mark.filterwarnings("ignore:.*has been deprecated in favor of:DeprecationWarning")
KIND_OF = pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS.keys())


def sdk(token: str) -> tuple[type[Any], type[Any]]:
    """The SDK's resource class of a type and its Args class, from the module that defines them."""
    _, path, name = token.split(":")
    # Through the package's own attributes: a submodule imported past its lazy package leaves that one half loaded.
    resource = getattr(getattr(pulumi_aws, path.partition("/")[0]), name)
    source = sys.modules[resource.__module__]
    # Where an object of that name exists too, the SDK calls the resource's arguments differently.
    return resource, getattr(source, f"{name}InitArgs", None) or getattr(source, f"{name}Args")


def names(cls: type[Any]) -> set[str]:
    """Pulumi's names of a class's properties."""
    getters = {name: value.fget for name, value in vars(cls).items() if isinstance(value, property)}
    return {getattr(getter, "_pulumi_name", name) for name, getter in getters.items()}


@KIND_OF
def test_inputs_exist_in_the_sdk(kind: Kind) -> None:
    """Every input that an entry names is an input of the official provider, at the top level."""
    _, arguments = sdk(kind.type)
    top = {path.split(".")[0].removesuffix("[]") for path in (*kind.defaults, *kind.canonical, *kind.filled)}
    named = {kind.name.property} if kind.name else set()
    assert kind.inputs | top | named | kind.emptied | kind.contradicted <= names(arguments)


@KIND_OF
def test_outputs_exist_in_the_sdk(kind: Kind) -> None:
    """Every output that a preview shows as unknown is an output of the official provider and no input."""
    resource, arguments = sdk(kind.type)
    assert set(kind.outputs) <= names(resource)
    assert not set(kind.outputs) & kind.inputs
    assert {"arn"} & names(resource) - names(arguments) <= set(kind.outputs)


@KIND_OF
def test_tags_and_region_are_taken_where_the_official_provider_takes_them(kind: Kind) -> None:
    """What v7 fills in unlisted, tagsAll and region, depends on the type as in the official provider."""
    resource, arguments = sdk(kind.type)
    assert kind.regional == ("region" in names(arguments))
    assert (kind.tags is not None) == ("tagsAll" in names(resource))


@KIND_OF
def test_every_input_has_one_way_to_change(kind: Kind) -> None:
    """An input is replaced, changed by a call or merely echoed, never two of these; automatic names are replaced."""
    assert not kind.fixed & kind.update.keys()
    assert not kind.fixed & kind.echoed
    assert not kind.echoed & kind.update.keys()
    assert kind.name is None or kind.name.property in kind.fixed
    assert kind.emptied <= kind.inputs


def test_the_types_of_a_cell_are_known() -> None:
    """Every resource type that a cell is made of has an entry, and no other."""
    assert set(KINDS) == {
        "aws:autoscaling/group:Group",
        "aws:cloudwatch/eventRule:EventRule",
        "aws:cloudwatch/eventTarget:EventTarget",
        "aws:cloudwatch/logGroup:LogGroup",
        "aws:cloudwatch/metricAlarm:MetricAlarm",
        "aws:ec2/internetGateway:InternetGateway",
        "aws:ec2/launchTemplate:LaunchTemplate",
        "aws:ec2/route:Route",
        "aws:ec2/routeTable:RouteTable",
        "aws:ec2/routeTableAssociation:RouteTableAssociation",
        "aws:ec2/securityGroup:SecurityGroup",
        "aws:ec2/subnet:Subnet",
        "aws:ec2/vpc:Vpc",
        "aws:iam/instanceProfile:InstanceProfile",
        "aws:iam/role:Role",
        "aws:iam/rolePolicy:RolePolicy",
        "aws:kms/alias:Alias",
        "aws:kms/key:Key",
        "aws:lb/listener:Listener",
        "aws:lb/loadBalancer:LoadBalancer",
        "aws:lb/targetGroup:TargetGroup",
        "aws:s3/bucket:Bucket",
        "aws:s3/bucketPolicy:BucketPolicy",
        "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock",
        "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration",
        "aws:s3/bucketVersioning:BucketVersioning",
        "aws:sqs/queue:Queue",
        "aws:sqs/queuePolicy:QueuePolicy",
    }

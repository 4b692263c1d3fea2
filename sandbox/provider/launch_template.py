"""Launch templates: what they launch is immutable, so a change is a new version."""

from __future__ import annotations

from typing import Any

from sandbox.provider.aws import camel, first, pascal, tag_list, tag_map
from sandbox.provider.diff import unordered
from sandbox.provider.ec2 import arn, tagged, tags
from sandbox.provider.table import Call, Kind, Name, deleter
from sandbox.provider.values import Properties

ABSENT = "InvalidLaunchTemplateId.NotFound"
DATA = frozenset(
    {
        "blockDeviceMappings",
        "ebsOptimized",
        "iamInstanceProfile",
        "imageId",
        "instanceType",
        "keyName",
        "metadataOptions",
        "monitoring",
        "tagSpecifications",
        "userData",
        "vpcSecurityGroupIds",
    }
)
"""Inputs that a version holds."""
STRINGS = frozenset({"encrypted", "deleteOnTermination", "ebsOptimized"})
"""Booleans that Pulumi spells as strings, to tell false from not set."""


def to_data(inputs: Properties) -> dict[str, Any]:
    """EC2's LaunchTemplateData of the inputs."""
    own = {"tagSpecifications", "vpcSecurityGroupIds", "blockDeviceMappings", "ebsOptimized"}
    data: dict[str, Any] = pascal({key: inputs[key] for key in sorted(DATA - own) if key in inputs})
    if "vpcSecurityGroupIds" in inputs:
        data["SecurityGroupIds"] = inputs["vpcSecurityGroupIds"]
    if "ebsOptimized" in inputs:
        data["EbsOptimized"] = inputs["ebsOptimized"] == "true"
    if "blockDeviceMappings" in inputs:
        data["BlockDeviceMappings"] = pascal([_booleans(device) for device in inputs["blockDeviceMappings"]])
    if "tagSpecifications" in inputs:
        data["TagSpecifications"] = [
            {"ResourceType": one["resourceType"], "Tags": tag_list(one.get("tags"))}
            for one in inputs["tagSpecifications"]
        ]
    return data


def _booleans(device: Properties) -> Properties:
    ebs = {key: value == "true" if key in STRINGS else value for key, value in (device.get("ebs") or {}).items()}
    return {**device, **({"ebs": ebs} if ebs else {})}


def from_data(data: dict[str, Any]) -> Properties:
    """The inputs that a version's LaunchTemplateData stands for."""
    read: Properties = {key: value for key, value in camel(data).items() if key in DATA}
    read["vpcSecurityGroupIds"] = data.get("SecurityGroupIds", [])
    # moto lists the template's own tags here too.
    specs = [one for one in data.get("TagSpecifications", ()) if one["ResourceType"] != "launch-template"]
    read["tagSpecifications"] = [{"resourceType": s["ResourceType"], "tags": tag_map(s.get("Tags"))} for s in specs]
    for device in read.get("blockDeviceMappings", ()):
        ebs = device.get("ebs", {})
        device["ebs"] = {key: _string(value) if key in STRINGS else value for key, value in ebs.items()}
    if "ebsOptimized" in read:
        read["ebsOptimized"] = _string(read["ebsOptimized"])
    return read


def _string(value: object) -> str:
    return str(value).lower()


def create(call: Call) -> str:
    answer = call.aws("ec2").create_launch_template(
        LaunchTemplateName=call.new["name"],
        VersionDescription=call.new.get("description", ""),
        LaunchTemplateData=to_data(call.new),
        TagSpecifications=tagged("launch-template", call),
    )
    return str(answer["LaunchTemplate"]["LaunchTemplateId"])


def add_version(call: Call) -> None:
    ec2 = call.aws("ec2")
    answer = ec2.create_launch_template_version(
        LaunchTemplateId=call.id,
        VersionDescription=call.new.get("description", ""),
        LaunchTemplateData=to_data(call.new),
    )
    if call.new.get("updateDefaultVersion"):
        latest = str(answer["LaunchTemplateVersion"]["VersionNumber"])
        ec2.modify_launch_template(LaunchTemplateId=call.id, DefaultVersion=latest)


def read(call: Call) -> Properties | None:
    ec2 = call.aws("ec2")
    template = first({ABSENT}, ec2.describe_launch_templates, "LaunchTemplates", LaunchTemplateIds=[call.id])
    if template is None:
        return None
    versions = ec2.describe_launch_template_versions(LaunchTemplateId=call.id, Versions=["$Latest"])
    version = versions["LaunchTemplateVersions"][0]
    # Of the template itself moto answers for ever the tags that it was created with.
    described = ec2.describe_tags(Filters=[{"Name": "resource-id", "Values": [call.id]}])
    return {
        "arn": arn(call, ec2_owner(template), "launch-template", call.id),
        "name": template["LaunchTemplateName"],
        "description": version.get("VersionDescription", ""),
        "defaultVersion": template["DefaultVersionNumber"],
        "latestVersion": template["LatestVersionNumber"],
        "tags": tag_map(described["Tags"]),
        **from_data(version["LaunchTemplateData"]),
    }


def ec2_owner(template: dict[str, Any]) -> str:
    """The account, from ``arn:aws:iam::<account>:user/…`` of who made the template: EC2 answers no ARN of it."""
    return str(template.get("CreatedBy", "::::")).split(":")[4]


KINDS = (
    Kind(
        type="aws:ec2/launchTemplate:LaunchTemplate",
        create=create,
        read=read,
        delete=deleter("ec2", "delete_launch_template", "LaunchTemplateId", ABSENT),
        update=dict.fromkeys(DATA | {"description"}, add_version),
        fixed=frozenset({"name"}),
        echoed=frozenset({"updateDefaultVersion"}),
        name=Name(longest=128),
        tags=tags,
        outputs=("arn", "defaultVersion", "latestVersion"),
        emptied=DATA | {"description"},
        canonical={"vpcSecurityGroupIds": unordered, "tagSpecifications": unordered, "blockDeviceMappings": unordered},
        filled=frozenset(
            f"metadataOptions.{name}"
            for name in (
                "state",
                "httpEndpoint",
                "httpTokens",
                "httpPutResponseHopLimit",
                "httpProtocolIpv6",
                "instanceMetadataTags",
            )
        ),
    ),
)

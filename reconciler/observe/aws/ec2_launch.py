"""How launch templates are seen: the templates and their newest versions, both in bulk for the whole account."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reconciler.model import DeclaredResource, ResourceKind, Value
from reconciler.observe.aws._common import call, together, unreadable, vanished
from reconciler.observe.aws.ec2 import REQUIREMENT_SETS, TEMPLATES, chosen, listed, pulumi_words
from reconciler.observe.reads import Answers, Failed, Missing, More, Read, Row, Sight
from reconciler.observe.tags import plain

VERSIONS = call("ec2", "describe_launch_template_versions", "LaunchTemplateVersions", Versions=["$Latest", "$Default"])
"""Without a template's id this answers for every template of the account (EC2 API reference)."""


def version_of(template: str, number: int) -> Read:
    """One version of one template, asked for directly."""
    return call(
        "ec2",
        "describe_launch_template_versions",
        "LaunchTemplateVersions",
        absent=(*TEMPLATES.absent, "InvalidLaunchTemplateId.VersionNotFound"),
        target=f"{template} version {number}",
        LaunchTemplateId=template,
        Versions=[str(number)],
    )


def version(answers: Answers, template: str, number: int) -> Row | Missing | Failed | More:
    """The row of one version, from the bulk answer where it is there."""
    bulk = answers.derived(VERSIONS, _by_number)
    if isinstance(bulk, More):
        return bulk
    if isinstance(bulk, dict) and (template, number) in bulk:
        return bulk[template, number]
    return answers.one(version_of(template, number))


def _by_number(rows: tuple[Row, ...]) -> dict[tuple[Any, Any], Row]:
    return {(row.get("LaunchTemplateId"), row.get("VersionNumber")): row for row in rows}


_SAME = (
    "CapacityReservationSpecification",
    "CpuOptions",
    "CreditSpecification",
    "DisableApiStop",
    "DisableApiTermination",
    "EnclaveOptions",
    "HibernationOptions",
    "IamInstanceProfile",
    "ImageId",
    "InstanceInitiatedShutdownBehavior",
    "InstanceMarketOptions",
    "InstanceRequirements",
    "InstanceType",
    "KernelId",
    "KeyName",
    "LicenseSpecifications",
    "MaintenanceOptions",
    "Monitoring",
    "NetworkPerformanceOptions",
    "Placement",
    "PrivateDnsNameOptions",
    "RamDiskId",
    "SecondaryInterfaces",
    "UserData",
)
_FIELDS = {name: name[:1].lower() + name[1:] for name in _SAME} | {
    "SecurityGroupIds": "vpcSecurityGroupIds",
    "SecurityGroups": "securityGroupNames",
}
_INTERFACE_NAMES = {
    "groups": "securityGroups",
    "privateIpAddresses": "ipv4Addresses",
    "secondaryPrivateIpAddressCount": "ipv4AddressCount",
}
_INTERFACE_LISTS = {
    "ipv4Addresses": "privateIpAddress",
    "ipv6Addresses": "ipv6Address",
    "ipv4Prefixes": "ipv4Prefix",
    "ipv6Prefixes": "ipv6Prefix",
}
_INTERFACE_FLAGS = ("associateCarrierIpAddress", "associatePublicIpAddress", "deleteOnTermination", "primaryIpv6")


def data_properties(data: Mapping[str, Any]) -> dict[str, Value]:
    """A version's content in Pulumi's words. Some flags are strings there: unset, "true" and "false" differ."""
    seen = chosen(data, _FIELDS)
    seen["ebsOptimized"] = _flag(data["EbsOptimized"]) if data.get("EbsOptimized") is not None else None
    options = pulumi_words(data.get("MetadataOptions", {}))
    seen["metadataOptions"] = {name: value for name, value in options.items() if name != "state"}
    seen["blockDeviceMappings"] = [_mapping(one) for one in data.get("BlockDeviceMappings", ())]
    seen["networkInterfaces"] = [_interface(one) for one in data.get("NetworkInterfaces", ())]
    seen["tagSpecifications"] = [
        {"resourceType": one.get("ResourceType", ""), "tags": plain(one.get("Tags", ()))}
        for one in data.get("TagSpecifications", ())
    ]
    return seen


def _flag(value: object) -> str:
    return str(value).lower()


def _mapping(one: Mapping[str, Any]) -> dict[str, Value]:
    seen: dict[str, Any] = pulumi_words(one)
    ebs = seen.get("ebs", {})
    for name in ("encrypted", "deleteOnTermination"):
        if name in ebs:
            ebs[name] = _flag(ebs[name])
    return seen


def _interface(one: Mapping[str, Any]) -> dict[str, Value]:
    seen = {_INTERFACE_NAMES.get(name, name): value for name, value in pulumi_words(one).items()}
    for name, member in _INTERFACE_LISTS.items():
        if name in seen:
            seen[name] = [address[member] for address in seen[name]]
    for name in _INTERFACE_FLAGS:
        if name in seen:
            seen[name] = _flag(seen[name])
    return seen


def _see(declared: DeclaredResource, row: Row, answers: Answers) -> Sight:
    """The newest version's content, which is what an update declares; and of the default one, which groups launch,
    what rules judge, where it is another: ``defaultMetadataOptions`` and ``defaultBlockDeviceMappings`` (no properties
    of Pulumi's)."""
    default, latest = row["DefaultVersionNumber"], row["LatestVersionNumber"]
    newest, launched = version(answers, declared.id, latest), version(answers, declared.id, default)
    if isinstance(newest, More) or isinstance(launched, More):
        return together(newest, launched)
    seen: dict[str, Value] = {
        "name": row.get("LaunchTemplateName", ""),
        "defaultVersion": default,
        "latestVersion": latest,
        # AWS keeps no such switch. Declared true, it holds while the newest version is the default one.
        "updateDefaultVersion": bool(declared.inputs.get("updateDefaultVersion")) and default == latest,
        **dict.fromkeys(_JUDGED.values()),
    }
    if default != latest:
        seen |= _launched(launched)
    if isinstance(newest, Failed | Missing):
        return {**seen, **unreadable(("description", *data_properties({})), vanished(newest))}
    description = newest.get("VersionDescription", "")
    return {**seen, "description": description, **data_properties(newest.get("LaunchTemplateData", {}))}


_JUDGED = {"metadataOptions": "defaultMetadataOptions", "blockDeviceMappings": "defaultBlockDeviceMappings"}


def _launched(default: Row | Missing | Failed) -> dict[str, Value]:
    if isinstance(default, Failed | Missing):
        return unreadable(_JUDGED.values(), vanished(default))
    data = data_properties(default.get("LaunchTemplateData", {}))
    return {name: data[of] for of, name in _JUDGED.items()}


OBSERVERS = (
    listed(
        ResourceKind(
            "aws:ec2/launchTemplate:LaunchTemplate",
            unordered=frozenset(
                {
                    *REQUIREMENT_SETS,
                    *(f"networkInterfaces[].{name}" for name in _INTERFACE_LISTS),
                    "blockDeviceMappings",
                    "licenseSpecifications",
                    "networkInterfaces[].securityGroups",
                    "securityGroupNames",
                    "tagSpecifications",
                    "vpcSecurityGroupIds",
                }
            ),
            write_only=frozenset({"namePrefix"}),
            references=frozenset({"blockDeviceMappings[].ebs.kmsKeyId"}),
        ),
        TEMPLATES,
        _see,
        "ec2:DescribeLaunchTemplates",
        "ec2:DescribeLaunchTemplateVersions",
        extra=lambda _: (VERSIONS,),
    ),
)

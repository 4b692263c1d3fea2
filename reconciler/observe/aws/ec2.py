"""What the EC2 observers share: complete listings with a direct read behind them, and AWS's names in Pulumi's words."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from reconciler.model import DeclaredResource, ResourceKind, Value
from reconciler.observe.aws._common import call
from reconciler.observe.reads import Answers, Failed, Missing, More, Observer, Read, Row, Sight
from reconciler.observe.tags import identity, locate_by_tags, owned_in, plain
from tenancy.tags import NAME


@dataclass(frozen=True, slots=True)
class Listing:
    """All resources of one sort in the account and region: never filtered by tag, since tags are what drifts."""

    read: Read
    key: str
    """The member of a row that is its physical id."""
    ids: str
    """The parameter that asks for certain ids only."""
    absent: tuple[str, ...]
    """The error codes by which AWS says that an id does not exist."""

    def direct(self, id_: str) -> Read:
        return call(
            self.read.service,
            self.read.operation,
            self.read.result,
            absent=self.absent,
            target=id_,
            **{self.ids: [id_]},
        )

    def tagged(self, tags: Mapping[str, str]) -> Read:
        filters = tuple((("Name", f"tag:{key}"), ("Values", (value,))) for key, value in sorted(tags.items()))
        target = f"tagged {tags.get(NAME, '')}"
        return call(self.read.service, self.read.operation, self.read.result, target=target, Filters=filters)

    def row(self, id_: str, answers: Answers) -> Row | Missing | Failed | More:
        return answers.find(self.read, self.key, id_, direct=self.direct(id_))


def listing(operation: str, result: str, key: str, ids: str, *absent: str) -> Listing:
    return Listing(call("ec2", operation, result), key, ids, absent)


VPCS = listing("describe_vpcs", "Vpcs", "VpcId", "VpcIds", "InvalidVpcID.NotFound")
SUBNETS = listing("describe_subnets", "Subnets", "SubnetId", "SubnetIds", "InvalidSubnetID.NotFound")
GATEWAYS = listing(
    "describe_internet_gateways",
    "InternetGateways",
    "InternetGatewayId",
    "InternetGatewayIds",
    "InvalidInternetGatewayID.NotFound",
)
ROUTE_TABLES = listing(
    "describe_route_tables", "RouteTables", "RouteTableId", "RouteTableIds", "InvalidRouteTableID.NotFound"
)
SECURITY_GROUPS = listing(
    "describe_security_groups",
    "SecurityGroups",
    "GroupId",
    "GroupIds",
    "InvalidGroup.NotFound",
    "InvalidGroupId.NotFound",
)
TEMPLATES = listing(
    "describe_launch_templates",
    "LaunchTemplates",
    "LaunchTemplateId",
    "LaunchTemplateIds",
    "InvalidLaunchTemplateId.NotFound",
    "InvalidLaunchTemplateId.NotFoundException",
)
INSTANCES = listing(
    "describe_instances", "Reservations[].Instances[]", "InstanceId", "InstanceIds", "InvalidInstanceID.NotFound"
)


def listed(
    kind: ResourceKind,
    source: Listing,
    describe: Callable[[DeclaredResource, Row, Answers], Sight],
    *permissions: str,
    extra: Callable[[DeclaredResource], tuple[Read, ...]] = lambda _: (),
) -> Observer:
    """The observer of a type that has a listing, whose rows carry tags.

    ``describe`` turns a row into properties; ``tags`` are added to them, the provider's default tags included.
    """

    def see(declared: DeclaredResource, answers: Answers) -> Sight:
        row = source.row(declared.id, answers)
        if isinstance(row, Missing | Failed | More):
            return row
        sight = describe(declared, row, answers)
        return sight if isinstance(sight, Missing | Failed | More) else {**sight, "tags": plain(row.get("Tags", ()))}

    def locate(declared: DeclaredResource, answers: Answers) -> str | Missing | Failed | More:
        found = locate_by_tags(declared, answers, source.read, source.key)
        wanted = identity(declared)
        if isinstance(found, Missing) and wanted is not None:
            # An empty listing is no proof: what it lacks is asked for by its tags before it may be made again.
            return locate_by_tags(declared, answers, source.tagged(wanted), source.key)
        return found

    return Observer(
        kind,
        reads=lambda declared: (source.read, *extra(declared)),
        see=see,
        permissions=permissions,
        locate=locate,
        owned=lambda answers: owned_in(answers, source.read, source.key),
    )


REQUIREMENT_SETS = tuple(
    f"instanceRequirements.{name}"
    for name in (
        "acceleratorManufacturers",
        "acceleratorNames",
        "acceleratorTypes",
        "allowedInstanceTypes",
        "cpuManufacturers",
        "excludedInstanceTypes",
        "instanceGenerations",
        "localStorageTypes",
    )
)
"""Lists of a template's or group's requirements that have no order (sets in the provider's schema)."""

_NAMES = {
    "VCpuCount": "vcpuCount",
    "MemoryMiB": "memoryMib",
    "MemoryGiBPerVCpu": "memoryGibPerVcpu",
    "AcceleratorTotalMemoryMiB": "acceleratorTotalMemoryMib",
    "TotalLocalStorageGB": "totalLocalStorageGb",
    "EnableResourceNameDnsAAAARecord": "enableResourceNameDnsAaaaRecord",
}


def pulumi_words(value: Any) -> Any:
    """An AWS structure with its member names spelled as Pulumi spells them, and without empty members."""
    if isinstance(value, Mapping):
        return {
            _NAMES.get(name, name[:1].lower() + name[1:]): pulumi_words(part)
            for name, part in value.items()
            if part is not None
        }
    if isinstance(value, list | tuple):
        return [pulumi_words(part) for part in value]
    # RFC 3339 in UTC, as the provider writes moments.
    return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if isinstance(value, datetime) else value


def chosen(row: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Value]:
    """The members of ``row`` that ``names`` (AWS to Pulumi) lists; None for what AWS leaves out, so has not set."""
    return {ours: pulumi_words(row.get(theirs)) for theirs, ours in names.items()}

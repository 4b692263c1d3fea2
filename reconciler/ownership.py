"""Whether what a write names belongs to its repair: asked by the guard, whatever the code above it believes.

The declaration says whose each resource is, and fleets as they were observed say which servers and target groups are a
group's. What a server has (disks, interfaces, its network, the quarantine's security group there) AWS is asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from reconciler.model import Declared, DeclaredResource, Fleet, Repair, Urn
from tenancy.tags import QUARANTINE_GROUP

_NAMES = ("name", "bucket")
"""Inputs that AWS knows a resource by, beside its id."""

_HAD = ("eni-", "sg-", "vol-", "vpc-")
"""How the ids of what a server has begin."""


def sighted(fleet: Fleet) -> frozenset[str]:
    """What a look at a fleet names: its servers, isolated ones too, and the target groups that they serve in."""
    servers = (*(m.instance_id for m in fleet.members), *(q.instance_id for q in fleet.quarantined))
    return frozenset((fleet.name, *fleet.target_groups, *servers))


class Ownership:
    """What the repairs of one cell may name. ``seen`` grows with every look at a fleet; ``ec2`` only ever reads."""

    def __init__(self, declared: Declared, seen: Mapping[Urn, Collection[str]], ec2: Callable[[], Any]) -> None:
        self._declared, self._seen, self._ec2 = declared, seen, ec2

    def objection(self, repair: Repair, name: str) -> str:
        """Why a write of ``repair`` must not name this; empty if it may."""
        mine = [r for u in repair.urns if (r := self._declared.resources.get(u)) and r.tenant == repair.tenant]
        if any(name == r.id for r in mine):
            return ""
        for other in self._declared.resources.values():
            if other.tenant not in (None, repair.tenant) and _is(other, name):
                return f"it belongs to tenant {other.tenant}"
        seen = {one for r in mine for one in self._seen.get(r.urn, ())}
        if name in seen or name == QUARANTINE_GROUP or (not repair.urns and name in repair.members):
            return ""
        servers = sorted(seen.intersection(repair.members)) if name.startswith(_HAD) else []
        try:
            return "" if servers and name in self._had_by(servers) else "the plan does not name it"
        except (BotoCoreError, ClientError) as error:
            return f"what belongs to {', '.join(servers)} could not be read: {error}"

    def _had_by(self, servers: list[str]) -> set[str]:
        """Ids of the disks, interfaces and networks of these servers, and of the quarantine's groups in there."""
        answer = self._ec2().describe_instances(InstanceIds=servers)
        rows = [row for reservation in answer["Reservations"] for row in reservation["Instances"]]
        networks = {row["VpcId"] for row in rows if row.get("VpcId")}
        found = {one["NetworkInterfaceId"] for row in rows for one in row.get("NetworkInterfaces", ())}
        found |= {one["Ebs"]["VolumeId"] for row in rows for one in row.get("BlockDeviceMappings", ()) if "Ebs" in one}
        filters = [{"Name": "vpc-id", "Values": sorted(networks)}, {"Name": "group-name", "Values": [QUARANTINE_GROUP]}]
        groups = self._ec2().describe_security_groups(Filters=filters)["SecurityGroups"] if networks else ()
        return found | networks | {group["GroupId"] for group in groups}


def _is(resource: DeclaredResource, name: str) -> bool:
    """Whether this is the resource's id, ARN or name."""
    names = {resource.id, *(value for key in _NAMES if isinstance(value := resource.inputs.get(key), str))} - {""}
    return name in names or (name.startswith("arn:") and any(name.endswith((f":{one}", f"/{one}")) for one in names))

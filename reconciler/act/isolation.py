"""The AWS calls that isolate one server, keep what it holds, and end it: each may be made again, none is made twice."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from reconciler.act.aws_writes import AwsCallFailed, Writes
from reconciler.act.tools import Tools
from reconciler.model import Repair
from tenancy.tags import CELL, FORENSIC, KEEP_UNTIL, NAME, QUARANTINE_GROUP, QUARANTINED_FROM, TENANT

Row = Mapping[str, Any]
_LET_GO = ("Detaching", "Detached")


class Isolation(Writes):
    """One server of one auto scaling group, ``group`` by name.

    Permissions: ``quarantine.STRATEGY.permissions`` and ``dispose.STRATEGY.permissions``.
    """

    def __init__(self, tools: Tools, repair: Repair, group: str, instance: str) -> None:
        super().__init__(tools.aws, tools.journal, repair)
        self._tools, self._group, self._instance = tools, group, instance

    # --- reads ---------------------------------------------------------------------------------------------

    def server(self) -> Row:
        """The server as EC2 describes it. Raises AwsCallFailed if there is none."""
        answer = self._call("ec2", "describe_instances", InstanceIds=[self._instance])
        rows = [row for reservation in answer["Reservations"] for row in reservation["Instances"]]
        if len(rows) != 1:
            raise AwsCallFailed("the server is not there", where=self._instance)
        found: Row = rows[0]
        return found

    def tags(self) -> dict[str, str]:
        return {tag["Key"]: tag.get("Value", "") for tag in self.server().get("Tags", ())}

    def in_a_group(self, *, or_leaving: bool) -> bool:
        """Whether any auto scaling group has it, or only still drains it after it was told to let go of it."""
        answer = self._call("autoscaling", "describe_auto_scaling_instances", InstanceIds=[self._instance])
        return any(or_leaving or row["LifecycleState"] not in _LET_GO for row in answer["AutoScalingInstances"])

    def isolated(self) -> bool:
        """Whether every interface of it has nothing but a security group without rules."""
        row = self.server()
        interfaces = row.get("NetworkInterfaces") or [{"Groups": row.get("SecurityGroups", ())}]
        ids = sorted({g["GroupId"] for one in (row, *interfaces) for g in _groups(one)})
        if not ids:
            return False
        answer = self._call("ec2", "describe_security_groups", GroupIds=ids)
        groups = answer["SecurityGroups"]
        return len(groups) == len(ids) and all(_without_rules(g) for g in groups)

    def volumes(self) -> list[Row]:
        """What is attached to it. Raises AwsCallFailed where the list lacks one of which the server itself says so."""
        attached = [{"Name": "attachment.instance-id", "Values": [self._instance]}]
        found: list[Row] = self._call("ec2", "describe_volumes", Filters=attached)["Volumes"]
        mapped = {d["Ebs"]["VolumeId"] for d in self.server().get("BlockDeviceMappings", ()) if "Ebs" in d}
        if unlisted := sorted(mapped.difference(v["VolumeId"] for v in found)):
            raise AwsCallFailed("its volumes are not all listed", where=self._instance, why=", ".join(unlisted))
        return found

    def snapshots(self) -> dict[str, Row]:
        """The forensic snapshots there are, by volume."""
        mine = [{"Name": f"tag:{FORENSIC}", "Values": [self._instance]}]
        answer = self._call("ec2", "describe_snapshots", Filters=mine, OwnerIds=["self"])
        return {row["VolumeId"]: row for row in answer["Snapshots"] if row.get("State") != "error"}

    # --- writes --------------------------------------------------------------------------------------------

    def mark(self, **tags: str) -> None:
        """Set tags on the server; keys are given with underscores for everything that is none."""
        rows = [{"Key": key, "Value": value} for key, value in tags.items()]
        names = (self._instance, self._group, *tags.values())
        self._write("ec2", "create_tags", names, Resources=[self._instance], Tags=rows)

    def keep_until(self, moment: datetime) -> None:
        """Say what it is, before anything else is done to it: what is cut off after this is found by it."""
        self.mark(**{QUARANTINED_FROM: self._group, KEEP_UNTIL: moment.isoformat(timespec="seconds")})

    def forget(self) -> None:
        """Take back ``keep_until``."""
        keys = sorted({QUARANTINED_FROM, KEEP_UNTIL} & self.tags().keys())
        if keys:
            names = (self._instance, self._group)
            tags = [{"Key": key} for key in keys]
            self._write("ec2", "delete_tags", names, Resources=[self._instance], Tags=tags)

    def detach(self, *, shrink: bool) -> None:
        """Take it out of its group, and so out of its target groups. ``shrink``: its replacement is there already."""
        parameters = {
            "InstanceIds": [self._instance],
            "AutoScalingGroupName": self._group,
            "ShouldDecrementDesiredCapacity": shrink,
        }
        self._write("autoscaling", "detach_instances", (self._group, self._instance), **parameters)

    def cut_off(self) -> str:
        """Leave it nothing but the security group without rules. Returns that group's id."""
        row = self.server()
        group = self._group_without_rules(row["VpcId"])
        interfaces = row.get("NetworkInterfaces", ())
        if len(interfaces) > 1:
            # A server with several interfaces has no security groups of its own.
            for one in interfaces:
                id_ = one["NetworkInterfaceId"]
                names = (id_, group)
                parameters = {"NetworkInterfaceId": id_, "Groups": [group]}
                self._write("ec2", "modify_network_interface_attribute", names, **parameters)
        else:
            parameters = {"InstanceId": self._instance, "Groups": [group]}
            self._write("ec2", "modify_instance_attribute", (self._instance, group), **parameters)
        return group

    def _group_without_rules(self, network: str) -> str:
        filters = [{"Name": "vpc-id", "Values": [network]}, {"Name": "group-name", "Values": [QUARANTINE_GROUP]}]
        found = self._call("ec2", "describe_security_groups", Filters=filters)["SecurityGroups"]
        if not found:
            # Without the cell's tag: it is not of the stack, and must not look like something the state has lost.
            tags = {NAME: QUARANTINE_GROUP, TENANT: self._repair.tenant or "", QUARANTINED_FROM: self._group}
            made = self._write(
                "ec2",
                "create_security_group",
                (QUARANTINE_GROUP, network, self._group),
                GroupName=QUARANTINE_GROUP,
                Description="Without rules: isolates servers that were compromised",
                VpcId=network,
                TagSpecifications=[_specification("security-group", tags)],
            )
            found = [self._once_shown(made["GroupId"])]
        if len(found) != 1:
            why = f"there are {len(found)} of that name"
            raise AwsCallFailed("the security group of the quarantine is not known", where=network, why=why)
        id_ = str(found[0]["GroupId"])
        for direction, operation in (("IpPermissions", "ingress"), ("IpPermissionsEgress", "egress")):
            if rules := found[0].get(direction):
                # AWS gives every new group a rule that lets everything out.
                pairs = [p for rule in rules for p in rule.get("UserIdGroupPairs", ())]
                named = [v for p in pairs for v in p.values()]
                parameters = {"GroupId": id_, "IpPermissions": rules}
                self._write("ec2", f"revoke_security_group_{operation}", (id_, *named), **parameters)
        return id_

    def _once_shown(self, group: str) -> Row:
        """A security group that was just made: for a while EC2 may answer as if it were not there yet."""
        only = [{"Name": "group-id", "Values": [group]}]
        clock, pace = self._tools.clock, self._tools.pace
        started = clock()
        while not (rows := self._call("ec2", "describe_security_groups", Filters=only)["SecurityGroups"]):
            if clock() - started > pace.patience:
                raise AwsCallFailed("the security group of the quarantine does not show yet", where=group)
            self._tools.wait(pace.poll)
        found: Row = rows[0]
        return found

    def snapshot(self, volume: str, until: str) -> None:
        tags = {
            NAME: f"{self._instance} {volume}",
            TENANT: self._repair.tenant or "",
            CELL: self._tools.declared.cell,
            FORENSIC: self._instance,
            KEEP_UNTIL: until,
        }
        self._write(
            "ec2",
            "create_snapshot",
            (volume, self._instance, *tags.values()),
            VolumeId=volume,
            Description=f"Forensic snapshot of {self._instance}",
            TagSpecifications=[_specification("snapshot", tags)],
        )

    def terminate(self) -> None:
        self._write("ec2", "terminate_instances", (self._instance,), InstanceIds=[self._instance])


def _specification(kind: str, tags: Mapping[str, str]) -> dict[str, Any]:
    return {"ResourceType": kind, "Tags": [{"Key": key, "Value": value} for key, value in tags.items()]}


def _groups(row: Row) -> list[Row]:
    found: list[Row] = row.get("Groups") or row.get("SecurityGroups") or []
    return found


def _without_rules(group: Row) -> bool:
    tags = {tag["Key"] for tag in group.get("Tags", ())}
    return QUARANTINED_FROM in tags and not group.get("IpPermissions") and not group.get("IpPermissionsEgress")

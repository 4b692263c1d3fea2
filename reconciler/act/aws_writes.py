"""The few AWS writes that are not the engine's, each of them checked, permitted and named.

Every write first makes sure that the lease is still held, then opens a permit for exactly the resources it names.
"""

from __future__ import annotations

from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from reconciler.act.removal import Removal, Row
from reconciler.errors import StackmendError
from reconciler.model import Repair
from reconciler.ports import AwsWriter, Journal


class AwsCallFailed(StackmendError):
    """AWS refused or did not answer a call that a repair needs; ``why`` holds its own words."""


def pascal(operation: str) -> str:
    """``set_desired_capacity`` as AWS writes it: ``SetDesiredCapacity``."""
    return "".join(word.capitalize() for word in operation.split("_"))


class Writes:
    """What all of them share: the lease is asked, the permit names exactly what the call names."""

    def __init__(self, aws: AwsWriter, journal: Journal, repair: Repair) -> None:
        self._aws, self._journal, self._repair = aws, journal, repair

    def _write(self, service: str, operation: str, names: tuple[str, ...], **parameters: Any) -> Any:
        self._journal.ensure_held([self._repair.tenant] if self._repair.tenant is not None else [])
        permitted = {f"{service}:{pascal(operation)}"}
        with self._aws.permit(self._repair, operations=permitted, resources=names):
            return self._call(service, operation, **parameters)

    def _call(self, service: str, operation: str, **parameters: Any) -> Any:
        try:
            return getattr(self._aws.client(service), operation)(**parameters)
        except (BotoCoreError, ClientError) as error:
            raise AwsCallFailed(f"{service} {operation} failed", where=self._repair.id, why=str(error)) from error


class KeyWrites(Writes):
    """Calls one KMS key back. Permissions: kms:DescribeKey, kms:CancelKeyDeletion, kms:EnableKey."""

    def __init__(self, aws: AwsWriter, journal: Journal, repair: Repair, key: str) -> None:
        super().__init__(aws, journal, repair)
        self._key = key

    def state(self) -> str:
        return str(self._call("kms", "describe_key", KeyId=self._key)["KeyMetadata"]["KeyState"])

    def cancel_deletion(self) -> None:
        self._write("kms", "cancel_key_deletion", (self._key,), KeyId=self._key)

    def enable(self) -> None:
        self._write("kms", "enable_key", (self._key,), KeyId=self._key)


class FleetWrites(Writes):
    """Changes one auto scaling group, server by server.

    Permissions: autoscaling:SetDesiredCapacity, autoscaling:SetInstanceHealth,
    autoscaling:TerminateInstanceInAutoScalingGroup, autoscaling:UpdateAutoScalingGroup,
    elasticloadbalancing:DeregisterTargets.
    """

    def __init__(self, aws: AwsWriter, journal: Journal, repair: Repair, group: str) -> None:
        super().__init__(aws, journal, repair)
        self._group = group

    def set_desired(self, count: int) -> None:
        names = (self._group,)
        parameters = {"AutoScalingGroupName": self._group, "DesiredCapacity": count, "HonorCooldown": False}
        self._write("autoscaling", "set_desired_capacity", names, **parameters)

    def set_minimum(self, count: int) -> None:
        parameters = {"AutoScalingGroupName": self._group, "MinSize": count}
        self._write("autoscaling", "update_auto_scaling_group", (self._group,), **parameters)

    def terminate(self, instance: str, *, shrink: bool) -> None:
        """End one server; the group drains and deregisters it. ``shrink``: the group gets no other one for it."""
        parameters = {"InstanceId": instance, "ShouldDecrementDesiredCapacity": shrink}
        operation = "terminate_instance_in_auto_scaling_group"
        self._write("autoscaling", operation, (self._group, instance), **parameters)

    def report_unhealthy(self, instance: str) -> None:
        """Tell the group that a server is lost, which makes the group replace it."""
        parameters = {"InstanceId": instance, "HealthStatus": "Unhealthy", "ShouldRespectGracePeriod": False}
        self._write("autoscaling", "set_instance_health", (self._group, instance), **parameters)

    def deregister(self, target_group: str, instance: str) -> None:
        parameters = {"TargetGroupArn": target_group, "Targets": [{"Id": instance}]}
        self._write("elbv2", "deregister_targets", (self._group, target_group, instance), **parameters)


class RemovalWrites(Writes):
    """Looks at one resource that nobody declares, and deletes it. Permissions: the calls of ``act/removal.py``."""

    def __init__(self, aws: AwsWriter, journal: Journal, repair: Repair, removal: Removal) -> None:
        super().__init__(aws, journal, repair)
        self._removal = removal

    def look(self, id_: str, *, deleted: bool = False) -> Row | None:
        """The resource as AWS describes it; None if AWS says that it does not exist. Raises AwsCallFailed.

        An empty answer says nothing, unless AWS has just taken the call that deletes it.
        """
        operation, result, parameter = self._removal.look
        try:
            rows = getattr(self._aws.client(self._removal.service), operation)(**{parameter: [id_]})[result]
        except ClientError as error:
            if error.response.get("Error", {}).get("Code") in self._removal.gone:
                return None
            raise AwsCallFailed(f"{operation} failed", where=self._repair.id, why=str(error)) from error
        except BotoCoreError as error:
            raise AwsCallFailed(f"{operation} failed", where=self._repair.id, why=str(error)) from error
        if deleted and not rows:
            return None
        if len(rows) != 1:
            raise AwsCallFailed(f"{operation} answered {len(rows)} rows for one id", where=id_)
        row: Row = rows[0]
        return row

    def tags(self, id_: str, row: Row) -> dict[str, str]:
        """Its tags: those of its row, or, for a service whose rows have none, asked for."""
        if self._removal.service == "elbv2":
            described = self._call("elbv2", "describe_tags", ResourceArns=[id_])["TagDescriptions"]
            row = next((one for one in described if one["ResourceArn"] == id_), {})
        return {tag["Key"]: tag["Value"] for tag in row.get("Tags", ())}

    def read(self, service: str, operation: str, result: str, **parameters: Any) -> list[Row]:
        """All rows of all pages. Raises AwsCallFailed: what cannot be read is not unused."""
        try:
            client = self._aws.client(service)
            if not client.can_paginate(operation):
                return list(getattr(client, operation)(**parameters)[result])
            pages = client.get_paginator(operation).paginate(**parameters)
            return [row for page in pages for row in page[result]]
        except (BotoCoreError, ClientError, KeyError) as error:
            raise AwsCallFailed(f"{service} {operation} failed", where=self._repair.id, why=str(error)) from error

    def delete(self, id_: str) -> None:
        self._write(self._removal.service, self._removal.delete, (id_,), **{self._removal.parameter: id_})

"""The simulated AWS as the strategies' own writes meet it, behind the product's real guard."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any

import botocore.session
from botocore.exceptions import ClientError, ReadTimeoutError
from botocore.model import OperationModel

from reconciler.act.aws_writes import pascal
from reconciler.model import Declared, Repair, Urn
from reconciler.observe import guard
from reconciler.ownership import Ownership
from simulator.layout import KEY
from simulator.world import World

if TYPE_CHECKING:
    from simulator.checks import Checks


@lru_cache
def _operation(service: str, operation: str) -> OperationModel:
    return botocore.session.get_session().get_service_model(service).operation_model(pascal(operation))


class SimWriter:
    """``ports.AwsWriter`` on the simulated world."""

    def __init__(self, world: World, checks: Checks, declared: Declared, seen: Mapping[Urn, Collection[str]]) -> None:
        self.world, self.checks = world, checks
        self._owned = Ownership(declared, seen, partial(self.client, "ec2"))

    def client(self, service: str) -> Any:
        return _Client(self, service)

    def permit(
        self,
        repair: Repair,
        *,
        operations: Collection[str],
        resources: Collection[str],
    ) -> AbstractContextManager[object]:
        owned = partial(self._owned.objection, repair)
        return guard.permit(repair.id, operations=operations, resources=resources, objection=owned)


@dataclass(frozen=True, slots=True)
class _Client:
    writer: SimWriter
    service: str

    def __getattr__(self, operation: str) -> Callable[..., dict[str, Any]]:
        def call(**parameters: Any) -> dict[str, Any]:
            guard.check(parameters, _operation(self.service, operation))
            return _Call(self.writer, operation, parameters).made()

        return call


@dataclass(frozen=True, slots=True)
class _Call:
    writer: SimWriter
    operation: str
    parameters: dict[str, Any]

    def made(self) -> dict[str, Any]:
        world = self.writer.world
        if self.operation == "describe_key":
            world.step("read")
            urn = self._owner(self.parameters["KeyId"])
            state = "Enabled" if world.live[urn].props["isEnabled"] else "Disabled"
            return {"KeyMetadata": {"KeyState": state}}
        world.step(self.operation, write=True)
        if world.take_fault("write refused", self.operation):
            raise ClientError(
                {"Error": {"Code": "RequestLimitExceeded", "Message": "injected"}}, pascal(self.operation)
            )
        healthy = {urn: fleet.healthy for urn, fleet in world.fleets.items()}
        urn = self._owner(self._named())
        self.writer.checks.aws_writes(urn, self.operation, self.parameters)
        self._effect(urn)
        self.writer.checks.fleets_kept(healthy, self.operation)
        world.after(self.operation)
        if world.take_fault("write lost", self.operation):
            raise ReadTimeoutError(endpoint_url="https://simulated")
        return {}

    def _named(self) -> str:
        for name in ("AutoScalingGroupName", "InstanceId", "KeyId"):
            if name in self.parameters:
                return str(self.parameters[name])
        return str(self.parameters["Targets"][0]["Id"])

    def _owner(self, id_: str) -> Urn:
        urn = self.writer.world.owner(id_)
        if urn is None:
            raise ClientError(
                {"Error": {"Code": "ValidationError", "Message": f"{id_} does not exist"}}, pascal(self.operation)
            )
        return urn

    def _effect(self, urn: Urn) -> None:
        world, parameters = self.writer.world, self.parameters
        if world.live[urn].type == KEY:
            world.live[urn].props["isEnabled"] = True
            if urn in world.fights:
                world.drift(urn)
            return
        fleet = world.fleets[urn]
        match self.operation:
            case "set_desired_capacity":
                fleet.set_desired(parameters["DesiredCapacity"], world.now)
            case "terminate_instance_in_auto_scaling_group":
                shrink = parameters["ShouldDecrementDesiredCapacity"]
                fleet.terminate(parameters["InstanceId"], world.now, shrink=shrink)
            case "set_instance_health":
                fleet.report_unhealthy(parameters["InstanceId"], world.now)
            case "deregister_targets":
                fleet.deregister(parameters["Targets"][0]["Id"], world.now)
            case _:
                raise NotImplementedError(self.operation)
        world.sync_fleets()

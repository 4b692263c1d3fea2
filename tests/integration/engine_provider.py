"""A provider plugin whose cloud is a directory: one JSON file a resource. For tests of the engine without any AWS.

Files in the same directory make trouble: ``fail-<operation>-<name>`` holds the error to raise; an operation with a
named pipe ``reached-<operation>-<name>`` says there that it is under way, and goes on once something is read from the
pipe ``go-<operation>-<name>``. A change of ``kind`` forces a replacement.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import uuid
from pathlib import Path
from typing import Any

from pulumi.provider.experimental import server
from pulumi.provider.experimental.property_value import PropertyValue
from pulumi.provider.experimental.provider import (
    CheckRequest,
    CheckResponse,
    ConfigureRequest,
    ConfigureResponse,
    CreateRequest,
    CreateResponse,
    DeleteRequest,
    DiffRequest,
    DiffResponse,
    Provider,
    ReadRequest,
    ReadResponse,
    UpdateRequest,
    UpdateResponse,
)

CLOUD = Path(os.environ.get("TEST_CLOUD", "."))


def _plain(properties: dict[str, PropertyValue]) -> dict[str, Any]:
    return {k: v.value for k, v in properties.items() if isinstance(v.value, str | bool | float)}


def _wrapped(values: dict[str, Any]) -> dict[str, PropertyValue]:
    return {k: PropertyValue(v) for k, v in values.items()}


async def _trouble(operation: str, name: str) -> None:
    reached, fail = CLOUD / f"reached-{operation}-{name}", CLOUD / f"fail-{operation}-{name}"
    if reached.exists():
        await asyncio.to_thread(reached.write_text, "here")
        await asyncio.to_thread((CLOUD / f"go-{operation}-{name}").read_text)
    if fail.exists():
        raise ValueError(fail.read_text())


class Directory(Provider):
    async def check_config(self, request: CheckRequest) -> CheckResponse:
        return CheckResponse(inputs=request.new_inputs)

    async def configure(self, _: ConfigureRequest) -> ConfigureResponse:
        return ConfigureResponse(
            accept_secrets=False, supports_preview=True, accept_outputs=False, accept_resources=False
        )

    async def check(self, request: CheckRequest) -> CheckResponse:
        return CheckResponse(inputs=request.new_inputs)

    async def diff(self, request: DiffRequest) -> DiffResponse:
        old, new = _plain(request.old_state), _plain(request.new_inputs)
        changed = sorted(k for k in new.keys() | old.keys() if new.get(k) != old.get(k))
        replaces = [k for k in changed if k == "kind"]
        return DiffResponse(changes=bool(changed), diffs=changed, replaces=replaces, delete_before_replace=True)

    async def create(self, request: CreateRequest) -> CreateResponse:
        properties = _plain(request.properties)
        if request.preview:
            return CreateResponse(resource_id="", properties=request.properties)
        name = str(properties["name"])
        await _trouble("create", name)
        physical = f"{name}-{uuid.uuid4().hex[:6]}"
        (CLOUD / f"{physical}.json").write_text(json.dumps(properties))
        await _trouble("created", name)
        return CreateResponse(resource_id=physical, properties=_wrapped(properties))

    async def read(self, request: ReadRequest) -> ReadResponse:
        file = CLOUD / f"{request.resource_id}.json"
        if not file.exists():
            return ReadResponse(resource_id="", properties={}, inputs={})
        properties = json.loads(file.read_text())
        await _trouble("read", properties["name"])
        return ReadResponse(
            resource_id=request.resource_id, properties=_wrapped(properties), inputs=_wrapped(properties)
        )

    async def update(self, request: UpdateRequest) -> UpdateResponse:
        properties = _plain(request.news)
        if not request.preview:
            await _trouble("update", str(properties["name"]))
            (CLOUD / f"{request.resource_id}.json").write_text(json.dumps(properties))
        return UpdateResponse(properties=_wrapped(properties))

    async def delete(self, request: DeleteRequest) -> None:
        (CLOUD / f"{request.resource_id}.json").unlink(missing_ok=True)


if __name__ == "__main__":
    server.main(sys.argv[1:], "1.0.0", Directory())

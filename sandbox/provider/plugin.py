"""The plugin as the engine sees it: its requests answered from the table."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TypeVar

from pulumi.provider.experimental import provider as api
from pulumi.runtime.rpc import UNKNOWN

from sandbox.provider import (
    autoscaling,
    cloudwatch,
    ec2,
    elbv2,
    eventbridge,
    iam,
    kms,
    launch_template,
    listener,
    logs,
    s3,
    security_group,
    sqs,
)
from sandbox.provider.aws import Clients
from sandbox.provider.check import complete, imported, unknown_inputs
from sandbox.provider.diff import changes, same
from sandbox.provider.errors import ProviderError
from sandbox.provider.invokes import INVOKES
from sandbox.provider.table import Call, Kind
from sandbox.provider.values import Properties, plain_map, wrap_map

_MODULES = (
    *(autoscaling, cloudwatch, ec2, elbv2, eventbridge, iam, kms, launch_template, listener, logs, s3),
    *(security_group, sqs),
)
KINDS: dict[str, Kind] = {kind.type: kind for module in _MODULES for kind in module.KINDS}
SETTINGS = frozenset({"region", "version", "skipCredentialsValidation", "skipRegionValidation", "allowedAccountIds"})
"""Provider settings that it takes. ``allowedAccountIds`` and the skips change nothing here: the endpoint is local."""
HOW = {
    ("add", False): api.PropertyDiffKind.ADD,
    ("add", True): api.PropertyDiffKind.ADD_REPLACE,
    ("delete", False): api.PropertyDiffKind.DELETE,
    ("delete", True): api.PropertyDiffKind.DELETE_REPLACE,
    ("update", False): api.PropertyDiffKind.UPDATE,
    ("update", True): api.PropertyDiffKind.UPDATE_REPLACE,
}

T = TypeVar("T")


def kind_of(urn: str) -> Kind:
    """The table's entry for a resource. The type part of a URN holds the types of its parents too."""
    token = urn.split("::")[2].rpartition("$")[2]
    if token not in KINDS:
        raise ProviderError(
            f"the stand-in provider does not know the resource type {token}",
            todo="Use the official AWS provider, or add the type to the table in sandbox/provider.",
        )
    return KINDS[token]


class AwsStandIn(api.Provider):
    """Calls block on AWS, so they run in threads; the engine asks about many resources at once."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(max_workers=24, thread_name_prefix="aws")
        self._lock = threading.Lock()
        self._clients: dict[str, Clients] = {}
        self._region = ""

    async def _run(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    def _aws(self, region: str) -> Clients:
        with self._lock:
            return self._clients.setdefault(region, Clients(region))

    def _call(self, identifier: str, new: Properties, old: Properties | None = None) -> Call:
        old = old or {}
        region = str(new.get("region") or old.get("region") or self._region)
        return Call(self._aws(region), identifier, new, old)

    async def configure(self, request: api.ConfigureRequest) -> api.ConfigureResponse:
        settings = plain_map(request.args)
        if strange := settings.keys() - SETTINGS:
            raise ProviderError(f"the stand-in provider does not take the setting aws:{min(strange)}")
        if not os.environ.get("AWS_ENDPOINT_URL"):
            raise ProviderError(
                "AWS_ENDPOINT_URL is not set, and the stand-in provider must not touch the real AWS",
                todo="Start the sandbox, or take pulumi-resource-aws of the sandbox off the PATH.",
            )
        self._region = (
            settings.get("region") or os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION", "")
        )
        if not self._region:
            raise ProviderError("no region is set", todo="Run `pulumi config set aws:region <region>`.")
        # The engine keeps secrets to itself and marks them again in what it gets back.
        return api.ConfigureResponse(supports_preview=True)

    async def check(self, request: api.CheckRequest) -> api.CheckResponse:
        kind = kind_of(request.urn)
        declared, old = plain_map(request.new_inputs), plain_map(request.old_inputs)
        if strange := unknown_inputs(kind, declared):
            known = f"{kind.type}; it knows {', '.join(sorted(kind.inputs))}"
            words = [(name, f"the stand-in provider knows no input {name} of {known}") for name in strange]
            return api.CheckResponse(failures=[api.CheckFailure(*one) for one in words])
        seed = request.random_seed
        inputs = complete(kind, declared, old, logical=request.name, region=self._region, seed=seed)
        return api.CheckResponse(inputs=wrap_map(inputs))

    async def diff(self, request: api.DiffRequest) -> api.DiffResponse:
        kind = kind_of(request.urn)
        inputs = plain_map(request.new_inputs)
        found = [
            change
            for change in changes(kind, plain_map(request.old_state), inputs)
            if change.input not in request.ignore_changes
        ]
        fixed = kind.fixed | {"region"}
        named = kind.name and kind.name.property not in inputs.get("__defaults", [])
        renamed = kind.name and any(change.input == kind.name.property for change in found)
        return api.DiffResponse(
            changes=bool(found),
            diffs=sorted({change.input for change in found}),
            replaces=sorted({change.path for change in found if change.input in fixed}),
            # A name that the program chose is taken until the old resource is gone.
            delete_before_replace=kind.delete_first or bool(named and not renamed),
            detailed_diff={
                change.path: api.PropertyDiff(HOW[change.how, change.input in fixed], input_diff=False)
                for change in found
            },
        )

    async def create(self, request: api.CreateRequest) -> api.CreateResponse:
        kind, inputs = kind_of(request.urn), plain_map(request.properties)
        if request.preview:
            expected = {**dict.fromkeys(kind.outputs, UNKNOWN), **_declared(inputs)}
            return api.CreateResponse(resource_id="", properties=wrap_map(expected))
        call = self._call("", inputs)
        identifier, state = await self._run(lambda: _create(kind, call))
        return api.CreateResponse(resource_id=identifier, properties=wrap_map(state))

    async def read(self, request: api.ReadRequest) -> api.ReadResponse:
        kind = kind_of(request.urn)
        inputs, old = plain_map(request.inputs), plain_map(request.properties)
        call = self._call(request.resource_id, inputs, old)
        state = await self._run(lambda: _state(kind, call))
        if state is None:
            return api.ReadResponse(resource_id="")
        inputs = _refreshed(kind, inputs, state) if inputs else imported(kind, state)
        return api.ReadResponse(request.resource_id, wrap_map(state), wrap_map(inputs))

    async def update(self, request: api.UpdateRequest) -> api.UpdateResponse:
        kind = kind_of(request.urn)
        new, old = plain_map(request.news), plain_map(request.olds)
        if request.preview:
            return api.UpdateResponse(wrap_map({**old, **_declared(new)}))
        call = self._call(request.resource_id, new, old)
        found = [change for change in changes(kind, old, new) if change.input not in request.ignore_changes]
        state = await self._run(lambda: _update(kind, call, list(dict.fromkeys(change.input for change in found))))
        return api.UpdateResponse(wrap_map(state))

    async def delete(self, request: api.DeleteRequest) -> None:
        kind = kind_of(request.urn)
        call = self._call(request.resource_id, {}, plain_map(request.properties))
        await self._run(lambda: kind.delete(call))

    async def invoke(self, request: api.InvokeRequest) -> api.InvokeResponse:
        if request.tok not in INVOKES:
            raise ProviderError(f"the stand-in provider does not know the function {request.tok}")
        args = plain_map(request.args)
        aws = self._aws(args.get("region") or self._region)
        answer = await self._run(lambda: INVOKES[request.tok](aws, args))
        return api.InvokeResponse(wrap_map(answer))


def _declared(inputs: Properties) -> Properties:
    return {key: value for key, value in inputs.items() if key != "__defaults"}


def _create(kind: Kind, call: Call) -> tuple[str, Properties]:
    """Creates the resource completely or not at all: what the engine is not told of would be an orphan."""
    identifier = kind.create(call)
    call = replace(call, id=identifier)
    try:
        for change in kind.settle:
            change(call)
        return identifier, _present(kind, call)
    except BaseException as error:
        try:
            kind.delete(replace(call, old=call.new))
        except Exception as second:  # noqa: BLE001 - reported with the first failure, which is the one that matters
            error.add_note(f"{identifier} was created and could not be deleted again: {second}")
        raise


def _update(kind: Kind, call: Call, names: list[str]) -> Properties:
    for change in dict.fromkeys(kind.change(name) for name in names):
        if change:
            change(call)
    return _present(kind, call)


def _present(kind: Kind, call: Call) -> Properties:
    state = _state(kind, call)
    if state is None:
        raise ProviderError(f"{call.id} does not exist, although AWS has just accepted it", where=kind.type)
    return state


def _state(kind: Kind, call: Call) -> Properties | None:
    """The outputs of the state, as provider v7 writes them: live values, and echoes where AWS answers nothing."""
    live = kind.read(call)
    if live is None:
        return None
    echoed = {name: call.new.get(name, call.old.get(name)) for name in sorted(kind.echoed)}
    state = {**{key: value for key, value in echoed.items() if value is not None}, **live, "id": call.id}
    if kind.tags:
        state |= {"tags": live["tags"] or None, "tagsAll": live["tags"]}
    if kind.regional:
        state["region"] = call.aws.region
    return state


def _refreshed(kind: Kind, inputs: Properties, state: Properties) -> Properties:
    """The inputs after a refresh: those that were there, at their live values; equal ones keep their spelling."""
    result: Properties = {}
    for name, value in inputs.items():
        live = state.get(name)
        if name == "__defaults" or name in kind.echoed or same(kind, name, value, live):
            result[name] = value
        elif live not in (None, "", [], {}):
            result[name] = live
    return result

"""An engine that only remembers: what a program registers, without AWS, plugins or processes."""

from __future__ import annotations

import asyncio
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pulumi
from pulumi.runtime.mocks import MockCallArgs, MockMonitor, MockResourceArgs, Mocks
from pulumi.runtime.stack import Stack

STACK = "pulumi:pulumi:Stack"


@dataclass(frozen=True, slots=True)
class Registered:
    """One resource as it reached the engine."""

    type: str
    name: str
    inputs: Mapping[str, Any]
    parent: str
    """Logical name of the parent; empty for a child of the stack."""
    protect: bool
    depends_on: frozenset[tuple[str, str]]
    """(type, name) of all that it waits for, whether through a value or said in so many words."""
    ignored: tuple[str, ...]


@dataclass
class Recorder(Mocks):
    """Answers every resource with its inputs, an id and what providers compute; ``answers`` are for invokes."""

    answers: Mapping[str, dict[str, Any]] = field(default_factory=dict)
    resources: dict[tuple[str, str], Registered] = field(default_factory=dict)
    outputs: dict[str, Any] = field(default_factory=dict)
    """The stack's outputs."""

    def new_resource(self, args: MockResourceArgs) -> tuple[str, dict[str, Any]]:
        computed = {
            "arn": f"arn:of:{args.name}",
            "arnSuffix": f"suffix/of/{args.name}",
            "dnsName": f"{args.name}.example",
        }
        return f"{args.name}-id", {"name": f"{args.name}-1234567", **computed, **args.inputs}

    def call(self, args: MockCallArgs) -> tuple[dict[str, Any], list[tuple[str, str]]]:
        return self.answers[args.token], []

    def one(self, kind: str, name: str) -> Mapping[str, Any]:
        """The inputs of the resource of type ``aws:<kind>``."""
        return self.resources[f"aws:{kind}", name].inputs


class _Monitor(MockMonitor):
    mocks: Recorder

    def RegisterResource(self, request: Any) -> Any:  # noqa: N802 - the name of the engine's operation
        with _event_loop():
            response = super().RegisterResource(request)  # type: ignore[no-untyped-call]
            inputs = pulumi.runtime.rpc.deserialize_properties(request.object)
        if request.type != STACK:
            assert (request.type, request.name) not in self.mocks.resources
            self.mocks.resources[request.type, request.name] = Registered(
                type=request.type,
                name=request.name,
                inputs=inputs,
                parent="" if f"::{STACK}::" in request.parent else request.parent.rsplit("::", 1)[1],
                protect=request.protect,
                depends_on=frozenset(_type_and_name(urn) for urn in request.dependencies),
                ignored=tuple(request.ignoreChanges),
            )
        return response

    def Invoke(self, request: Any) -> Any:  # noqa: N802 - the name of the engine's operation
        with _event_loop():
            return super().Invoke(request)  # type: ignore[no-untyped-call]


@contextmanager
def _event_loop() -> Iterator[asyncio.AbstractEventLoop]:
    """An event loop for this thread that is closed afterwards; the SDK makes its own in every thread, and leaves it."""
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    try:
        yield loop
    finally:
        asyncio.set_event_loop(None)
        loop.close()


def _type_and_name(urn: str) -> tuple[str, str]:
    _, _, kinds, name = urn.split("::")
    return kinds.rsplit("$", 1)[-1], name


def record(
    program: Callable[[], None],
    *,
    stack: str,
    config: Mapping[str, str] | None = None,
    answers: Mapping[str, Any] | None = None,
) -> Recorder:
    """Run a program to its end against a fresh Recorder."""
    recorder = Recorder(answers or {})

    @pulumi.runtime.test  # type: ignore[untyped-decorator]
    def run() -> pulumi.Output[None]:
        program()
        root = pulumi.runtime.get_root_resource()
        assert isinstance(root, Stack)
        return pulumi.Output.from_input(root.outputs).apply(recorder.outputs.update)

    with _event_loop(), warnings.catch_warnings():
        # pulumi_aws deprecates parts of itself when they are first imported, which is at their first use.
        warnings.filterwarnings("ignore", category=DeprecationWarning, module="pulumi_aws")
        pulumi.runtime.set_mocks(recorder, project="stackmend", stack=stack, monitor=_Monitor(recorder))
        pulumi.runtime.set_all_config(dict(config or {}))
        stack_resource = pulumi.runtime.get_root_resource()
        assert isinstance(stack_resource, Stack)
        stack_resource.outputs = {}  # It outlives a run, and would keep what the last one said.
        try:
            run()
        finally:
            pulumi.runtime.set_all_config({})
    return recorder

"""The plugin's process: serves the provider to the engine, and hands errors over in AWS's own words."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from importlib.metadata import version
from typing import Any

import grpc  # type: ignore[import-untyped]
from botocore.exceptions import BotoCoreError, ClientError
from pulumi.provider.experimental.server import ProviderServicer
from pulumi.runtime.proto import provider_pb2_grpc

from sandbox.provider.errors import ProviderError
from sandbox.provider.plugin import AwsStandIn

MESSAGE_BYTES = 400 * 1024 * 1024
"""As much as the engine itself takes in one message."""

Method = Callable[[Any, Any, Any], Awaitable[Any]]


def worded(method: Method) -> Method:
    """Without this, gRPC tells the user the class of the exception and prints its traceback."""

    async def answer(self: Any, request: Any, context: Any) -> Any:
        try:
            return await method(self, request, context)
        except (ProviderError, ClientError, BotoCoreError) as error:
            words = "\n".join([str(error), *getattr(error, "__notes__", ())])
        return await context.abort(grpc.StatusCode.UNKNOWN, words)

    return answer


class Servicer(ProviderServicer):
    """The SDK's servicer with readable errors."""


for _name in ("Configure", "Check", "Diff", "Create", "Read", "Update", "Delete", "Invoke"):
    setattr(Servicer, _name, worded(getattr(ProviderServicer, _name)))


async def serve(engine: str) -> None:
    sizes = [("grpc.max_receive_message_length", MESSAGE_BYTES), ("grpc.max_send_message_length", MESSAGE_BYTES)]
    server = grpc.aio.server(options=sizes)
    servicer = Servicer([], version("pulumi_aws"), AwsStandIn(), engine_address=engine)
    provider_pb2_grpc.add_ResourceProviderServicer_to_server(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    print(port, flush=True)  # how the engine learns where to connect
    try:
        await server.wait_for_termination()
    finally:
        await server.stop(None)


def main() -> None:
    arguments = [argument for argument in sys.argv[1:] if not argument.startswith("-")]
    if not arguments:
        sys.exit("pulumi-resource-aws is a plugin: the Pulumi engine starts it, with its address")
    try:
        asyncio.run(serve(arguments[0]))
    except KeyboardInterrupt:
        sys.exit(130)

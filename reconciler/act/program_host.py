"""A process that has imported the program's libraries before the engine needs them, and then runs the program.

Started as a file of its own by ``act/warm.py``, with ``-P``, in the environment of the engine:

    python -P program_host.py EXECUTOR MODULE…

It imports the modules and then waits. For each line on its standard input, a JSON object of environment variables, it
forks a child that serves the engine as a language runtime on a port, which it prints, for exactly one run. So no run
sees what another one left in memory, and the project's own modules are read from the disk by each run.

The child runs ``EXECUTOR``, the script with which the engine's own language host runs programs
(``pulumi-language-python-exec``), so that everything about a program is as always: its paths, its arguments and the
words of its failures. Until its run begins a child ends with its parent or with the next run, and the parent with the
reconciler. From then on it ends with the engine that asked for the run, as the language host does, also if the
reconciler dies meanwhile.

Imports nothing of this package: what the program finds in memory is its own.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import runpy
import signal
import sys
import tempfile
import threading
import traceback
from collections.abc import Awaitable, Callable, Coroutine
from concurrent import futures
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

import grpc  # type: ignore[import-untyped]
import pulumi
from pulumi.runtime.proto import LanguageRuntimeServicer, language_pb2, language_pb2_grpc, plugin_pb2

OVERRIDES = "STACKMEND_OVERRIDES"
"""A variable of the run: resources by type and name, with inputs that stand above the program's (JSON)."""
TOLD_ALREADY = 32
"""The executor's exit code for a program whose failure the engine has been told of in words."""
ENDING_SECONDS = 10.0
"""How long a program that is done may take to leave."""
SIZES = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]


class Runtime(LanguageRuntimeServicer):
    """The language runtime of one run. The program runs on the main thread, as it would by itself."""

    def __init__(self) -> None:
        self.begun, self.ended, self.answered = threading.Event(), threading.Event(), threading.Event()
        self.request: Any = None
        self.response: Any = None

    def About(self, request: Any, context: Any) -> Any:  # noqa: ARG002, N802 - gRPC's names
        return language_pb2.AboutResponse(executable=sys.executable, version=sys.version.split()[0])

    def GetPluginInfo(self, request: Any, context: Any) -> Any:  # noqa: ARG002, N802
        return plugin_pb2.PluginInfo()

    def GetRequiredPlugins(self, request: Any, context: Any) -> Any:  # noqa: ARG002, N802
        return language_pb2.GetRequiredPluginsResponse()

    def GetRequiredPackages(self, request: Any, context: Any) -> Any:  # noqa: ARG002, N802
        # The engine takes them from the state, and from the resources as they are registered.
        return language_pb2.GetRequiredPackagesResponse()

    def Run(self, request: Any, context: Any) -> Any:  # noqa: N802
        if self.begun.is_set():
            context.abort(grpc.StatusCode.FAILED_PRECONDITION, "this process runs a program once")
        self.request = request
        context.add_callback(self._gone)
        self.begun.set()
        self.ended.wait()
        return self.response

    def _gone(self) -> None:
        """The engine has its answer, or does not wait for it any more: then nobody needs this process."""
        if not self.ended.is_set():
            os._exit(1)
        self.answered.set()


def main(executor: str, modules: list[str]) -> None:
    for module in modules:
        # A module that cannot be imported is the program's business, if it wants it at all.
        with suppress(Exception):
            # Pulumi's SDKs load a module when something of it is asked for.
            getattr(importlib.import_module(module), "__all__", None)
    # What is imported stays: no run needs to search it for garbage, and by doing so copy its pages.
    gc.freeze()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    held: int | None = None
    for line in sys.stdin:
        if held is not None:
            os.close(held)
        # Nothing is ever written to it. It is closed when this process ends, however it does, and at the next run: a
        # child that its engine never called upon goes then.
        alive, held = os.pipe()
        if os.fork() == 0:
            os.close(held)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            os.environ.update(json.loads(line))
            serve(executor, alive)
            return
        os.close(alive)


def serve(executor: str, alive: int) -> None:
    runtime = Runtime()
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=4), options=SIZES)
    language_pb2_grpc.add_LanguageRuntimeServicer_to_server(runtime, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    os.write(1, f"{port}\n".encode())

    def unneeded() -> None:
        os.read(alive, 1)
        if not runtime.begun.is_set():
            os._exit(0)

    threading.Thread(target=unneeded, daemon=True).start()
    runtime.begun.wait()
    with tempfile.TemporaryFile("w+") as said:
        _redirect(said)
        code = run(executor, runtime.request)
        sys.stdout.flush()
        sys.stderr.flush()
        runtime.response = language_pb2.RunResponse(error=_failure(code, said), bail=code == TOLD_ALREADY)
    runtime.ended.set()
    runtime.answered.wait(ENDING_SECONDS)
    server.stop(1).wait()
    last = threading.Timer(ENDING_SECONDS, os._exit, [1])
    last.daemon = True
    last.start()


def run(executor: str, request: Any) -> int:
    """Run the program as the language host would; its exit code."""
    given = {
        "monitor": request.monitor_address,
        "engine": request.args[0] if request.args else "",
        "project": request.project,
        "stack": request.stack,
        "pwd": request.pwd,
        "dry_run": str(request.dryRun).lower(),
        "parallel": str(request.parallel),
        "organization": request.organization,
    }
    if "--root_directory" in Path(executor).read_text("utf-8"):
        given["root_directory"] = request.info.root_directory
    words = [word for name, value in given.items() if value for word in (f"--{name}", value)]
    os.environ["PULUMI_CONFIG"] = json.dumps(dict(request.config))
    os.environ["PULUMI_CONFIG_SECRET_KEYS"] = json.dumps(list(request.configSecretKeys))
    # The SDK has four such messages for each resource. Each is a call of the engine, which shows none of them.
    pulumi.log.debug = _dropped
    if overridden := json.loads(os.environ.pop(OVERRIDES, "[]")):
        _override(overridden)
    sys.argv = [executor, *words, request.program or "."]
    sys.path.insert(0, str(Path(executor).parent))
    try:
        runpy.run_path(executor, run_name="__main__")
    except SystemExit as end:
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:  # noqa: BLE001 - whatever it is, the engine is told
        traceback.print_exc()
        return 1
    return 0


def _dropped(*_: Any, **__: Any) -> None:
    """In place of ``pulumi.log.debug``."""


def _override(overridden: list[dict[str, Any]]) -> None:
    """Give some resources of the program other inputs, by their type and name, with Pulumi's own transforms."""
    run_in_stack = pulumi.runtime.run_in_stack
    props = {(one["type"], one["name"]): one["inputs"] for one in overridden}

    def transform(args: pulumi.ResourceTransformArgs) -> pulumi.ResourceTransformResult | None:
        more = props.get((args.type_, args.name))
        return None if more is None else pulumi.ResourceTransformResult({**args.props, **more}, args.opts)

    def begin(func: Callable[[], Awaitable[None] | None]) -> Coroutine[Any, Any, Any]:
        def begun() -> Awaitable[None] | None:
            pulumi.runtime.register_resource_transform(transform)
            return func()

        return run_in_stack(begun)

    pulumi.runtime.run_in_stack = begin


def _failure(code: int, said: IO[str]) -> str:
    if code in (0, TOLD_ALREADY):
        return ""
    said.seek(0)
    return f"program exited with non-zero exit code: {code}\n{said.read()[-2000:]}".strip()


def _redirect(said: IO[str]) -> None:
    """What the program prints is nobody's result; it is kept for the case that it fails."""
    with Path(os.devnull).open() as nothing:
        os.dup2(nothing.fileno(), 0)
    os.dup2(said.fileno(), 1)
    os.dup2(said.fileno(), 2)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])

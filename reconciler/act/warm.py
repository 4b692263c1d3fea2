"""A head start for the program: its libraries are imported while the cell is still being looked at.

Half of a run of the engine is the start of the program's Python and the import of its libraries. ``program_host.py``
does that beforehand, once for all runs of this process, and the engine is given its address. Whatever is not quite as
expected, the engine starts the program in its own way, as it would without any of this.
"""

from __future__ import annotations

import json
import os
import re
import selectors
import shutil
import subprocess
import sys
import sysconfig
import time
from collections.abc import Collection, Mapping
from contextlib import suppress
from pathlib import Path

import structlog
from pulumi.automation import ProjectRuntimeInfo, ProjectSettings

_HOST = Path(__file__).with_name("program_host.py")
_WORD = re.compile(r"[a-z][a-z0-9_]*")
_PATIENCE_SECONDS = 20.0
"""How long the host may take to answer; without it a run takes a few seconds more."""

log = structlog.get_logger(__name__)


class WarmPrograms:
    """Runs of the program that have begun already, for as many engine runs as want one."""

    def __init__(self) -> None:
        self._buffer = b""
        self._process: subprocess.Popen[bytes] | None = None
        self._what: tuple[object, ...] = ()

    def begin(self, executor: str, types: Collection[str], project_dir: Path, env: Mapping[str, str]) -> None:
        """Import what a program with resources of these types will want, unless that is done already.

        It is done anew after packages were installed or removed: what is in memory must be what is on the disk.
        """
        modules = libraries(types)
        what = (executor, modules, project_dir, dict(env), Path(sysconfig.get_path("purelib")).stat().st_mtime_ns)
        if self._process is not None and self._process.poll() is None and what == self._what:
            return
        self.close()
        self._what = what
        # A session of its own: neither the terminal's Ctrl-C nor the end of an engine concerns it.
        self._process = subprocess.Popen(
            [sys.executable, "-P", str(_HOST), executor, *modules],
            cwd=project_dir,
            env=dict(env),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def address(self, scope: Mapping[str, str]) -> str | None:
        """Where a fresh process waits for one run of the program, with these variables; None if there is none."""
        process = self._process
        if process is None or process.stdin is None or process.stdout is None:
            return None
        try:
            process.stdin.write(json.dumps(dict(scope)).encode() + b"\n")
            process.stdin.flush()
            return f"127.0.0.1:{self._port(process.stdout.fileno())}"
        except (OSError, ValueError, EOFError) as error:
            log.warning("the program is started by the engine itself", why=str(error))
            self.close()
            return None

    def close(self) -> None:
        """End whatever waits. A run that has begun is the engine's and goes on."""
        process, self._process, self._buffer = self._process, None, b""
        if process is None:
            return
        process.kill()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                with suppress(OSError):
                    pipe.close()
        process.wait()

    def _port(self, pipe: int) -> int:
        until = time.monotonic() + _PATIENCE_SECONDS
        with selectors.DefaultSelector() as selector:
            selector.register(pipe, selectors.EVENT_READ)
            while b"\n" not in self._buffer:
                if not selector.select(max(0.0, until - time.monotonic())):
                    raise TimeoutError("the program's host does not answer")
                more = os.read(pipe, 100)
                if not more:
                    raise EOFError("the program's host has ended")
                self._buffer += more
        line, _, self._buffer = self._buffer.partition(b"\n")
        return int(line)


def executor(project: ProjectSettings, project_dir: Path, env: Mapping[str, str]) -> str | None:
    """The script that the engine would run this project's program with, if it would do so in this very interpreter.

    None for another language, another virtual environment, an option that is not known here, or a system where a
    process cannot safely be forked.
    """
    runtime = project.runtime
    name = runtime.name if isinstance(runtime, ProjectRuntimeInfo) else runtime
    options = dict(runtime.options or {}) if isinstance(runtime, ProjectRuntimeInfo) else {}
    own = Path(sys.prefix)
    python = shutil.which(env.get("PULUMI_PYTHON_CMD") or "python3", path=env.get("PATH"))
    virtualenv = options.pop("virtualenv", None)
    if sys.platform != "linux" or name != "python" or options or python is None:
        return None
    chosen = project_dir / virtualenv if virtualenv else Path(python).parent.parent
    if not chosen.is_dir() or not chosen.samefile(own):
        return None
    return shutil.which("pulumi-language-python-exec", path=env.get("PATH"))


def libraries(types: Collection[str]) -> list[str]:
    """The SDK's modules of resource types: ``aws:ec2/vpc:Vpc`` is in ``pulumi_aws.ec2``."""
    modules: set[str] = set()
    for type_ in types:
        package, _, rest = type_.partition(":")
        module = rest.partition(":")[0].partition("/")[0]
        if _WORD.fullmatch(package) and _WORD.fullmatch(module):
            modules |= {f"pulumi_{package}", f"pulumi_{package}.{module}"}
    return ["pulumi", *sorted(modules)]

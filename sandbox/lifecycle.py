"""Brings a sandbox up and down: the server process, a cell's configuration, and the real engine's first deployment.

A sandbox lives in one home directory, so that several can run side by side. Everything that works in it, the engine,
the reconciler or a shell, gets the same ``environment()``.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import boto3
from pulumi import automation

from reconciler.errors import EngineError, StackmendError
from reconciler.pulumi_cli import PulumiCli
from sandbox import cells
from sandbox.control import Control
from sandbox.faults.registry import named
from sandbox.faults.victim import Victim
from stacks.config import PROJECT, CellConfig, load_file

REPOSITORY = Path(__file__).resolve().parents[1]
QUEUES = "stackmend-events"
"""What the names of queues of change events begin with; ``sandbox.trail`` fills them."""
ACCOUNT = "123456789012"
"""The account of every sandbox: moto's own."""
CREDENTIAL = "sandbox"
"""Every key and passphrase: nothing here checks them."""
DEFAULT_TENANTS = 3
MARK = ".stackmend-sandbox"
"""Name of the file that marks a folder as a sandbox's home."""
START_SECONDS = 60.0
"""How long the server may take to answer; it takes two unless the machine is busy."""


class SandboxError(StackmendError):
    """The sandbox could not do what was asked."""


@dataclass(frozen=True, slots=True)
class Deployed:
    """What ``up`` did."""

    config: CellConfig
    changes: dict[str, int]
    """Number of resources by what the engine did with them: ``create``, ``same``, ``update``, …"""
    seconds: float


class Sandbox:
    """One sandbox and one cell in it. ``home`` is STACKMEND_SANDBOX_HOME if not given, or else ``.sandbox/`` here."""

    def __init__(self, cell: str = "dev", *, home: Path | None = None) -> None:
        default = Path(os.environ.get("STACKMEND_SANDBOX_HOME") or REPOSITORY / ".sandbox")
        self.home = (home or default).absolute()
        self.cell = cell
        self._process: subprocess.Popen[bytes] | None = None

    # --- places ------------------------------------------------------------------------------------------

    @property
    def cell_directory(self) -> Path:
        return self.home / self.cell

    @property
    def config_file(self) -> Path:
        return self.cell_directory / f"Pulumi.{self.cell}.yaml"

    @property
    def log_file(self) -> Path:
        return self.home / "server" / "server.log"

    @property
    def queue(self) -> str:
        """The name of the cell's own queue of change events, which its program declares."""
        return f"{QUEUES}-{self.cell}"

    @property
    def url(self) -> str:
        """The endpoint of the running server. Raises SandboxError if none runs."""
        url = self._running()
        if url is None:
            raise SandboxError("no sandbox runs here", where=str(self.home), todo="start one: python -m sandbox up")
        return url

    @property
    def control(self) -> Control:
        return Control(self.url)

    def environment(self) -> dict[str, str]:
        """The variables for everything that is to work in this sandbox. Raises SandboxError if no server runs."""
        path = [REPOSITORY / "sandbox" / "bin", REPOSITORY / ".toolchain" / "bin", Path(sys.prefix) / "bin"]
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": CREDENTIAL,
            "AWS_SECRET_ACCESS_KEY": CREDENTIAL,
            "AWS_REGION": cells.REGION,
            "AWS_DEFAULT_REGION": cells.REGION,
            "AWS_EC2_METADATA_DISABLED": "true",
            "PULUMI_BACKEND_URL": f"file://{self.cell_directory / 'state'}",
            "PULUMI_CONFIG_PASSPHRASE": CREDENTIAL,
            "PULUMI_SKIP_UPDATE_CHECK": "1",
            "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
            "PULUMI_HOME": str(self.home / "pulumi"),
            "PATH": os.pathsep.join([*map(str, path), os.environ.get("PATH", os.defpath)]),
            "STACKMEND_CELL": self.cell,
            "STACKMEND_CONFIG_FILE": str(self.config_file),
            "STACKMEND_STORE_URL": f"sqlite:///{self.cell_directory / 'stackmend.db'}",
            "STACKMEND_ACCOUNT": ACCOUNT,
            # Servers here serve as soon as they run, so nobody has to wait as long as with real ones.
            "STACKMEND_ROLLOUT__BAKE_SECONDS": "2",
            "STACKMEND_VERIFY__POLL_SECONDS": "1",
            "STACKMEND_VERIFY__TIMEOUT_SECONDS": "120",
            "STACKMEND_HEALTH__HOLD_DOWN_SECONDS": "0",
            # What is made here is there at once, so what is broken right after it was made is seen broken.
            "STACKMEND_FRESH_SECONDS": "0",
            "STACKMEND_PROJECT_DIR": str(self.cell_directory),
            "STACKMEND_EVENTS__QUEUE_URL": f"{self.url}/{ACCOUNT}/{self.queue}",
        }

    def session(self) -> boto3.Session:
        """A boto3 session with the sandbox's credentials; clients still need ``endpoint_url=sandbox.url``."""
        return boto3.Session(aws_access_key_id=CREDENTIAL, aws_secret_access_key=CREDENTIAL, region_name=cells.REGION)

    # --- up and down -------------------------------------------------------------------------------------

    def up(self, tenants: int | None = None, *, progress: Callable[[str], None] | None = None) -> Deployed:
        """Start what does not run yet and deploy the cell; again on a running sandbox, deploy again.

        ``tenants`` is how many the cell has; not given, it stays as it is, and a new cell has three.
        Raises SandboxError if the server does not start, EngineError if the engine fails.
        """
        began = time.monotonic()
        self.start()
        config = self._configured(tenants)
        stack = self.stack()
        try:
            result = stack.up(on_output=progress, color="never")
        except automation.CommandError as error:
            raise _engine_error("the engine could not deploy the cell", error) from error
        return Deployed(config, _counts(result.summary.resource_changes), time.monotonic() - began)

    def preview(self, *, expect_no_changes: bool = False) -> dict[str, int]:
        """What the engine would do now, as numbers of resources by operation.

        Raises EngineError if it fails, or if it would change anything although nothing is expected to change.
        """
        try:
            result = self.stack().preview(expect_no_changes=expect_no_changes, color="never")
        except automation.CommandError as error:
            raise _engine_error("the preview failed", error) from error
        return _counts(result.change_summary)

    def start(self) -> str:
        """Start the server unless it runs; returns its endpoint.

        The server holds the whole world in memory: if it died, nothing that was deployed exists any more, and what is
        left of it here is thrown away too.
        """
        if (url := self._running()) is not None:
            return url
        self._clean()
        self.log_file.parent.mkdir(parents=True)
        (self.home / MARK).touch()
        command = [sys.executable, "-m", "sandbox.server", "--state-dir", str(self.log_file.parent)]
        with self.log_file.open("wb") as log:
            self._process = subprocess.Popen(
                command, cwd=REPOSITORY, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if (url := self._running()) is not None:
                return url
            if self._process.poll() is not None:
                break
            time.sleep(0.05)
        self._stop()
        raise SandboxError("the sandbox server did not start", where=str(self.log_file), why=self._log_tail())

    def down(self) -> None:
        """Stop the server and forget everything. Without a sandbox, do nothing."""
        self._stop()
        self._clean()

    def stack(self) -> automation.Stack:
        """The cell's stack, created if it does not exist. Raises EngineError."""
        environment = self.environment()
        workspace = automation.LocalWorkspace(
            work_dir=str(self.cell_directory), env_vars=environment, pulumi_command=PulumiCli(environment)
        )
        try:
            return automation.Stack.create_or_select(self.cell, workspace)
        except automation.CommandError as error:
            raise _engine_error("the engine could not open the stack", error) from error

    def break_(self, fault: str, tenant: str | None = None) -> str:
        """Let one fault happen to one tenant, the cell's first if not named; returns what it struck.

        Raises StackmendError if there is no such fault, tenant or resource.
        """
        chosen = named(fault)
        names = [t.name for t in load_file(self.config_file).tenants] if self.config_file.exists() else []
        if not names or (tenant is not None and tenant not in names):
            raise SandboxError(
                f"there is no tenant {tenant}" if names else "no tenants are deployed",
                where=f"cell {self.cell}",
                todo=f"use one of: {', '.join(names)}" if names else "deploy some: python -m sandbox up",
            )
        actor = chosen.actor.value
        return chosen.strike(Victim(self.session(), tenant or names[0], self.cell, endpoint_url=self.url, actor=actor))

    # --- inside ------------------------------------------------------------------------------------------

    def _configured(self, tenants: int | None) -> CellConfig:
        """The cell's configuration: the one there is, unless another number of tenants is asked for."""
        current = load_file(self.config_file) if self.config_file.exists() else None
        if current is not None and tenants in (None, len(current.tenants)):
            return current
        config = cells.generate(self.cell, tenants or DEFAULT_TENANTS, self.session(), self.url, keep=current)
        # The engine writes into the configuration file of its project (a salt, at the first command that may show a
        # secret), whatever other file it is given. A project folder of the cell's own keeps that out of the repository.
        (self.cell_directory / "state").mkdir(parents=True, exist_ok=True)
        (self.cell_directory / "Pulumi.yaml").write_text(
            f"name: {PROJECT}\nruntime: python\nmain: {REPOSITORY / 'stacks'}\n"
        )
        cells.write(config, self.config_file)
        return config

    def _running(self) -> str | None:
        """The endpoint of this home's server, if the process that answers there is the one that was started."""
        try:
            announced = json.loads((self.home / "server" / "server.json").read_text())
            url = f"http://127.0.0.1:{announced['port']}"
            return url if Control(url).health() == announced["pid"] else None
        except (OSError, ValueError, KeyError):
            return None

    def _stop(self) -> None:
        url = self._running()
        if url is not None:
            pid = Control(url).health()
            os.kill(pid, signal.SIGTERM)
            while self._process is None and _alive(pid):
                time.sleep(0.02)
        elif self._process is not None:
            self._process.kill()
        if self._process is not None:
            self._process.wait()
            self._process = None

    def _clean(self) -> None:
        """Remove the home, if a sandbox made it: a variable that points at somebody's documents must not empty them."""
        if not self.home.exists():
            return
        if any(self.home.iterdir()) and not (self.home / MARK).exists():
            raise SandboxError("this folder holds something else than a sandbox", where=str(self.home))
        shutil.rmtree(self.home)

    def _log_tail(self) -> str:
        lines = self.log_file.read_text(errors="replace").splitlines()
        return lines[-1] if lines else "it said nothing"


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def _counts(changes: Mapping[automation.OpType, int] | None) -> dict[str, int]:
    return {automation.OpType(operation).value: count for operation, count in (changes or {}).items()}


def _engine_error(what: str, error: automation.CommandError) -> EngineError:
    """The engine's own diagnostics, without the protocol of everything that went well."""
    text = str(error)
    _, found, diagnostics = text.partition("Diagnostics:")
    return EngineError(what, why=(diagnostics.partition("\nResources:")[0] if found else text).strip())

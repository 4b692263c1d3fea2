"""The Pulumi engine through its Automation API, as typed previews and updates of named resources only.

A preview saves the engine's own plan, and the update runs under it: what AWS changed in between cannot make the
update do more than was previewed. Secrets are never opened: the state is exported and imported with them sealed.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from pulumi.automation import LocalWorkspace, Stack, StackNotFoundError
from pulumi.automation.errors import CommandError, ConcurrentUpdateError

from reconciler.act.locks import lock_directory
from reconciler.act.process import EngineCommand
from reconciler.act.program_host import OVERRIDES
from reconciler.act.refreshed import RefreshAccount
from reconciler.act.stack import TargetStack
from reconciler.act.steps import Account, EnginePlan, EngineRun
from reconciler.act.warm import WarmPrograms, executor
from reconciler.errors import EngineError, EngineLocked, StateError
from reconciler.model import UNDO, Refreshed, Unreadable, Urn, Value
from reconciler.ports import EngineNotes

_T = TypeVar("_T")

_TENANTS = "STACKMEND_TENANTS"
"""The program's own variable for the tenants to register; only ever set for a targeted run."""


class Engine(AbstractContextManager["Engine"]):
    """One cell's stack. ``env`` is added to this process's environment (backend URL, passphrase, PATH, AWS).

    Raises EngineError everywhere, with the engine's diagnostics in ``why``; EngineLocked if another update holds the
    stack's lock; EngineStopped after ``stop``; EngineTimeout after ``timeout`` seconds. Use it as a context manager:
    leaving it removes the saved plans. ``programs`` outlive it if they are given.
    """

    def __init__(
        self,
        project_dir: Path,
        cell: str,
        config_file: Path | None,
        env: Mapping[str, str],
        *,
        timeout: float = 1800.0,
        grace: float = 120.0,
        programs: WarmPrograms | None = None,
    ) -> None:
        self.project_dir, self.cell = project_dir, cell
        self._config_file = str(config_file) if config_file else None
        self._env = dict(env)
        self._command = EngineCommand(env, timeout=timeout, grace=grace)
        self._stack: TargetStack | None = None
        self._own_programs, self._programs = programs is None, programs or WarmPrograms()
        self._known: frozenset[Urn] | None = None
        self.changes = 0
        """How often this engine has written, or may have written, to the stack's state."""
        self._plans = tempfile.TemporaryDirectory(prefix="stackmend-plans-")
        self._previews = 0
        self._identity: Callable[[str], Mapping[str, str]] | None = None
        self._notes: EngineNotes | None = None

    def __exit__(self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None) -> None:
        self._plans.cleanup()
        if self._own_programs:
            self._programs.close()

    def __enter__(self) -> Self:
        return self

    def warm_up(self, types: Collection[str]) -> None:
        """Start on what a run of the program with resources of these types will need, while there is nothing to run."""
        project = self._run(lambda stack: stack.workspace.project_settings())
        if script := executor(project, self.project_dir, self._command.environment):
            self._programs.begin(script, types, self.project_dir, self._command.environment)

    def preview(
        self,
        targets: Sequence[Urn],
        tenants: Collection[str] | None = None,
        *,
        replace: Sequence[Urn] = (),
        overriding: Mapping[Urn, Mapping[str, Value]] | None = None,
    ) -> EnginePlan:
        """What a targeted ``up --refresh`` of exactly these resources would do. Writes nothing, takes no lock.

        Those of ``replace`` are replaced whether or not they differ.

        The program registers only ``tenants``, or all of them: the time of a run grows with what it registers.

        The engine cannot refresh a target that its state does not hold (a create that failed after the refresh had
        found the resource gone). With such a target nothing is refreshed; better not mix them with others.
        """
        refresh = self.recorded(targets) == frozenset(targets)
        self._previews += 1
        saved = Path(self._plans.name) / f"{self._previews}.json"
        account = Account()
        self._run(
            lambda stack: stack.preview(
                target=_named(targets),
                replace=[str(urn) for urn in replace] or None,
                refresh=refresh,
                plan=str(saved),
                on_event=account.take,
                color="never",
                config_file=self._config_file,
            ),
            account,
            tenants,
            program=True,
            overriding=overriding,
        )
        return EnginePlan(account.steps(complete=True), saved, refresh, tuple(replace), overriding or {})

    def up(self, targets: Sequence[Urn], plan: EnginePlan, tenants: Collection[str] | None = None) -> EngineRun:
        """Refresh (as the preview did) and update exactly these resources, and nothing but what ``plan`` shows.

        A resource that fails does not stop the others: it is in ``failed``. Raises when no single resource is to blame.
        """
        account = Account()
        self._changes()
        try:
            self._run(
                lambda stack: stack.up(
                    target=_named(targets),
                    replace=[str(urn) for urn in plan.replaced] or None,
                    refresh=plan.refreshed,
                    plan=str(plan.saved) if plan.saved else None,
                    continue_on_error=True,
                    show_secrets=False,
                    suppress_outputs=True,
                    on_event=account.take,
                    color="never",
                    config_file=self._config_file,
                    message=UNDO if plan.overridden else "stackmend repair",
                ),
                account,
                tenants,
                program=True,
                locks=True,
                overriding=plan.overridden,
            )
        except EngineError as error:
            if type(error) is not EngineError or not account.failed:
                raise
        return EngineRun(account.steps(complete=False), account.failed)

    def refreshed(self, targets: Collection[Urn]) -> Mapping[Urn, Refreshed | Unreadable]:
        """What a preview of a refresh says of exactly these resources (``ports.Refresh``).

        Reads through the resources' providers only: takes no lock and writes no state. A resource that the engine did
        not get to, because another one failed, is left out. Raises EngineError if no single resource is to blame.
        """
        known = self.recorded(targets)
        found: dict[Urn, Refreshed | Unreadable] = {
            urn: Unreadable("it is not in the state, so the engine cannot look for it") for urn in set(targets) - known
        }
        if not known:
            return found
        account = RefreshAccount()
        try:
            self._run(
                lambda stack: stack.preview_refresh(
                    target=_named(sorted(known)),
                    show_secrets=False,
                    suppress_outputs=True,
                    on_event=account.take,
                    color="never",
                    config_file=self._config_file,
                ),
                account,
            )
        except EngineError as error:
            if type(error) is not EngineError or not account.failed:
                raise
        return found | {urn: one for urn, one in account.results.items() if urn in known}

    def recorded(self, targets: Collection[Urn]) -> frozenset[Urn]:
        """Those of the targets that the state holds."""
        if self._known is None:
            resources = self.export()["deployment"].get("resources") or ()
            self._known = frozenset(Urn(r["urn"]) for r in resources)
        return frozenset(targets) & self._known

    def known(self, urns: Collection[Urn]) -> None:
        """Tell what the state was just seen to hold, so that it need not be read again until this engine writes."""
        self._known = frozenset(urns)

    def _changes(self) -> None:
        self._known = None
        self.changes += 1

    def acts_as(self, identity: Callable[[str], Mapping[str, str]]) -> None:
        """From now on, a run for one tenant has the variables that ``identity`` gives for it."""
        self._identity = identity

    def noted_in(self, notes: EngineNotes) -> None:
        """From now on, each run that takes the stack's lock is noted there."""
        self._notes = notes

    def stop(self) -> None:
        """Ask a running update to end after the operations in flight; it then raises EngineStopped."""
        self._command.stop()

    def export(self) -> Mapping[str, Any]:
        """The stack's state document, ``{version, deployment}``, secrets sealed."""
        text = self._run(lambda stack: self._command.run(["stack", "export", "--stack", stack.name], **self._place()))
        document: Mapping[str, Any] = json.loads(text.stdout)
        if not isinstance(document.get("deployment"), dict):
            raise StateError("the exported state holds no deployment", where=self.cell)
        return document

    def import_(self, document: Mapping[str, Any]) -> None:
        """Replace the stack's state by this document. The engine checks its integrity and takes the lock."""
        self._changes()
        with tempfile.NamedTemporaryFile("w", suffix=".json", dir=self._plans.name) as file:
            json.dump(document, file)
            file.flush()
            args = ["stack", "import", "--file", file.name]
            self._run(lambda stack: self._command.run([*args, "--stack", stack.name], **self._place()), locks=True)

    def pending(self) -> Mapping[Urn, str]:
        """The operations a killed update left open in the state: ``creating``, ``updating``, … by resource."""
        pending = self.export()["deployment"].get("pending_operations") or ()
        return {Urn(p["resource"]["urn"]): p["type"] for p in pending}

    def lock_directory(self) -> Path | None:
        """Where the stack's lock files are; None if the backend is not made of files."""
        url = self._env.get("PULUMI_BACKEND_URL") or os.environ.get("PULUMI_BACKEND_URL")
        if not url:
            url = self._run(lambda stack: stack.workspace.who_am_i()).url or ""
        project = self._run(lambda stack: stack.workspace.project_settings()).name
        return lock_directory(url, project, self.cell)

    def _place(self) -> dict[str, Any]:
        return {"cwd": str(self.project_dir), "additional_env": self._env}

    def _run(
        self,
        call: Callable[[Stack], _T],
        account: Account | None = None,
        tenants: Collection[str] | None = None,
        *,
        program: bool = False,
        locks: bool = False,
        overriding: Mapping[Urn, Mapping[str, Value]] | None = None,
    ) -> _T:
        scope = {_TENANTS: ",".join(sorted(tenants))} if tenants else {}
        if tenants and self._identity is not None:
            (tenant,) = tenants
            scope |= self._identity(tenant)
        if overriding:
            scope[OVERRIDES] = json.dumps([{**_type_and_name(u), "inputs": v} for u, v in overriding.items()])
        client = self._programs.address(scope) if program else None
        self._command.scope(scope, client, self._notes if locks else None)
        try:
            if self._stack is None:
                workspace = LocalWorkspace(
                    work_dir=str(self.project_dir), env_vars=self._env, pulumi_command=self._command
                )
                self._stack = TargetStack(self.cell, workspace)
            return call(self._stack)
        except StackNotFoundError as error:
            todo = f"deploy it first: pulumi up -s {self.cell}"
            raise EngineError("there is no such stack", where=self.cell, todo=todo) from error
        except ConcurrentUpdateError as error:
            todo = "wait for the other update; if its process is gone for good: pulumi cancel"
            raise EngineLocked(
                "another update holds the stack's lock", where=self.cell, why=_tail(str(error)), todo=todo
            ) from error
        except CommandError as error:
            why = (account.errors if account else "") or _tail(str(error))
            raise EngineError("the engine failed", where=self.cell, why=why) from error


def _named(targets: Sequence[Urn]) -> list[str]:
    """An empty list of targets means the whole stack to the engine, so it is refused here."""
    if not targets:
        raise ValueError("no targets")
    return [str(t) for t in targets]


def _type_and_name(urn: Urn) -> dict[str, str]:
    _, _, types, name = urn.split("::", 3)
    return {"type": types.rpartition("$")[2], "name": name}


def _tail(text: str) -> str:
    """The end of a command's output, where it says what went wrong."""
    return text.strip()[-2000:]

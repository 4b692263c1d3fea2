"""The simulated engine: previews and targeted updates of the state, with its lock, open operations and crashes."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from reconciler.act.steps import EnginePlan, EngineRun, Step
from reconciler.errors import EngineError, EngineLocked
from reconciler.model import Refreshed, Unreadable, Urn, Value
from reconciler.ports import EngineNotes
from reconciler.record.process import Process
from simulator.layout import CELL
from simulator.world import Killed, World

if TYPE_CHECKING:
    from simulator.checks import Checks

NOBODY = 2**31 - 1
"""A process number that the kernel never gives out."""


class SimEngine:
    """``reconciler.outside.StackEngine`` on the simulated world. ``locks`` is where its lock files are."""

    def __init__(self, world: World, checks: Checks, locks: Path) -> None:
        self._world, self._checks, self._locks = world, checks, locks
        self._notes: EngineNotes | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None: ...

    def lock_directory(self) -> Path | None:
        return self._locks

    def noted_in(self, notes: EngineNotes) -> None:
        self._notes = notes

    # --- looking -------------------------------------------------------------------------------------------

    def recorded(self, targets: Collection[Urn]) -> frozenset[Urn]:
        self._start("export")
        return frozenset(targets) & self._world.state.keys()

    def refreshed(self, targets: Collection[Urn]) -> Mapping[Urn, Refreshed | Unreadable]:
        self._start("refresh")
        found: dict[Urn, Refreshed | Unreadable] = {}
        for urn in targets:
            recorded = self._world.state.get(urn)
            if recorded is None:
                found[urn] = Unreadable("it is not in the state, so the engine cannot look for it")
                continue
            there = urn in self._world.live
            changed = frozenset(self._world.differing(urn)) if there else frozenset[str]()
            found[urn] = Refreshed(recorded.id, there, changed, before=recorded.inputs, inputs=recorded.inputs)
        return found

    def warm_up(self, types: Collection[str]) -> None:
        """There is nothing to prepare."""

    @property
    def changes(self) -> int:
        return self._world.version

    def known(self, urns: Collection[Urn]) -> None:
        """It looks for itself."""

    def acts_as(self, identity: Callable[[str], Mapping[str, str]]) -> None:
        raise AssertionError(f"nothing here acts under a role: {identity}")

    def preview(
        self,
        targets: Sequence[Urn],
        tenants: Collection[str] | None = None,
        *,
        replace: Sequence[Urn] = (),
        overriding: Mapping[Urn, Mapping[str, Value]] | None = None,
    ) -> EnginePlan:
        if overriding:
            raise EngineError("the program here takes no inputs but its own")
        if replace:
            raise AssertionError("no event here makes a resource one that has to be replaced as a whole")
        self._start("preview")
        self._check_tenants(targets, tenants)
        steps = self._would(targets)
        if fault := self._world.take_fault("surprise", " ".join(self._world.program)):
            victim = next(u for u in self._world.program if u.endswith(fault.match))
            op = "replace" if victim in targets else "delete"
            steps.append(Step(victim, self._world.program[victim].type, op))
        return EnginePlan(tuple(steps), refreshed=self._world.state.keys() >= set(targets))

    def _would(self, targets: Sequence[Urn]) -> list[Step]:
        world, chosen, made = self._world, set(targets), set[Urn]()
        steps = []
        for urn, blueprint in world.program.items():
            if urn not in chosen:
                continue
            if urn not in world.live or urn not in world.state:
                made.add(urn)
                steps.append(Step(urn, blueprint.type, "create"))
            elif changed := tuple(world.differing(urn)):
                steps.append(Step(urn, blueprint.type, "update", changed))
            elif blueprint.references & made:
                steps.append(Step(urn, blueprint.type, "update", ("its references",)))
            else:
                steps.append(Step(urn, blueprint.type, "same"))
        return steps

    def _check_tenants(self, targets: Sequence[Urn], tenants: Collection[str] | None) -> None:
        if tenants is not None and (others := {self._world.program[t].tenant for t in targets} - set(tenants)):
            raise EngineError(f"the program does not register {', '.join(sorted(others))}")

    # --- updating ------------------------------------------------------------------------------------------

    def up(self, targets: Sequence[Urn], plan: EnginePlan, tenants: Collection[str] | None = None) -> EngineRun:
        world = self._world
        # Its own start is no step: what comes between the caller's last check and its lock nobody can exclude.
        self._check_tenants(targets, tenants)
        if world.locked_by is not None:
            raise EngineLocked("another update holds the stack's lock")
        world.locked_by = world.running
        if self._notes is not None:
            started = world.wall()
            with world.as_running(None):
                self._notes.began(NOBODY, started)
        more = self._unplanned(plan)
        for urn in targets:
            if urn in world.state and urn not in world.live:
                world.forget(urn)  # the refresh forgets what is gone
        done: list[Step] = []
        failed: dict[Urn, str] = {}
        left = list(plan.writes)
        try:
            while left:
                step = left.pop(0)
                if world.take_fault("engine crashes"):
                    self._leave_open(step, made=False)
                    raise EngineError("the engine failed", why="the provider plugin is gone")
                if step.op == "create" and step.urn in world.live and step.urn in world.state:
                    failed[step.urn] = "it violates the plan: somebody else's update has created it meanwhile"
                    continue
                if step.urn in more:
                    failed[step.urn] = f"it violates the plan: properties changed: {', '.join(more[step.urn])}"
                    continue
                if world.take_fault("engine refuses", step.op):
                    failed[step.urn] = "api error LimitExceeded: injected"
                    continue
                self._do(step)
                done.append(step)
            for urn in targets:
                if urn in world.live and world.behind(urn) and urn not in failed:
                    world.record(urn, world.live[urn].id)  # what is as the program says is written to the state as such
        except Killed:
            self._orphaned([step, *left])
            raise
        finally:
            world.locked_by = None
        return EngineRun(tuple(done), failed)

    def _unplanned(self, plan: EnginePlan) -> dict[Urn, list[str]]:
        """What an update would write of a resource beyond the plan, since it has changed after the preview."""
        updates = [s for s in plan.writes if s.op == "update" and s.urn in self._world.live]
        found = {s.urn: sorted({*self._world.differing(s.urn)} - {*s.changed}) for s in updates}
        return {urn: names for urn, names in found.items() if names}

    def _do(self, step: Step) -> None:
        world = self._world
        try:
            world.step(f"engine {step.op}", write=True)
        except Killed:
            self._leave_open(step, made=False)
            raise
        self._write(step)
        try:
            world.after(f"engine {step.op}")
        except Killed:
            self._leave_open(step, made=True)
            raise

    def _write(self, step: Step, *, checked: bool = True) -> None:
        world, urn = self._world, step.urn
        healthy = {u: fleet.healthy for u, fleet in world.fleets.items()}
        if checked:
            self._checks.engine_writes(step)
        if step.op in ("create", "replace"):
            if step.op == "replace" or urn not in world.live:
                world.create(urn, record=True)
            else:
                world.record(urn, world.live[urn].id)
        elif step.op == "delete":
            world.live.pop(urn, None)
            world.forget(urn)
        elif urn in world.live:
            world.update(urn)
        world.redeclared.add(urn)
        if checked:
            self._checks.fleets_kept(healthy, f"engine {step.op}")
        if urn in world.fights and urn in world.live:
            world.drift(urn)

    def _leave_open(self, step: Step, *, made: bool) -> None:
        """The operation in flight stays open in the state. If a create was ``made``, only AWS knows."""
        if step.op == "create":
            if made:
                self._world.forget(step.urn)
            self._world.pending.append((step.urn, "creating"))

    def _orphaned(self, left: Sequence[Step]) -> None:
        """The reconciler died. Its engine died with it and leaves its lock, or went on to its end without it."""
        world = self._world
        if world.take_fault("engine survives"):
            world.pending.clear()
            for step in left:
                self._write(step, checked=False)
            return
        self._locks.mkdir(parents=True, exist_ok=True)
        (self._locks / f"{CELL}.json").write_text(lock_file(NOBODY, world.wall()))

    def _start(self, what: str) -> None:
        self._world.step(f"engine {what}")
        if self._world.take_fault("engine does not start", what):
            raise EngineError("the engine failed", why="fork: resource temporarily unavailable")

    # --- the state -----------------------------------------------------------------------------------------

    def export(self) -> Mapping[str, Any]:
        self._start("export")
        world = self._world
        resources = [
            {"urn": urn, "id": one.id, "type": world.program[urn].type, "inputs": one.inputs}
            for urn, one in world.state.items()
        ]
        deployment: dict[str, Any] = {"resources": resources}
        if world.pending:
            deployment["pending_operations"] = [
                {"resource": {"urn": urn, "inputs": world.resolved(urn)}, "type": kind} for urn, kind in world.pending
            ]
        return {"version": 3, "deployment": deployment}

    def import_(self, document: Mapping[str, Any]) -> None:
        world = self._world
        world.step("engine import", write=True)
        self._checks.state_written()
        deployment = document["deployment"]
        for raw in deployment["resources"]:
            if raw["urn"] not in world.state:
                world.record(raw["urn"], raw["id"])
        world.pending = [(p["resource"]["urn"], p["type"]) for p in deployment.get("pending_operations", ())]
        world.after("engine import")


def engine_process(pid: int) -> Process:
    """Who the engine is."""
    return Process(socket.gethostname(), pid)


def lock_file(pid: int, taken: datetime) -> str:
    """What the engine writes as its lock."""
    return json.dumps({"pid": pid, "hostname": socket.gethostname(), "username": "sim", "timestamp": taken.isoformat()})

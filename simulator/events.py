"""What each event of a history does to the world."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING

from reconciler.model import Urn
from reconciler.record.engines import Engines
from simulator.engine import NOBODY, engine_process, lock_file
from simulator.fleet import SimFleet
from simulator.history import Event
from simulator.layout import CELL, REGION
from simulator.world import Fault, World

if TYPE_CHECKING:
    from simulator.runner import Runner

ALWAYS = 10_000
"""So many times that it lasts until somebody ends it."""


def happen(runner: Runner, event: Event) -> None:
    """Let one event happen."""
    _WHAT[event.kind](runner, event)


def _named(world: World, name: str) -> Urn:
    return next(u for u in world.program if u.endswith(f"::{name}"))


def _fleet(world: World, name: str) -> SimFleet:
    return world.fleets[_named(world, name)]


def _drift(runner: Runner, event: Event) -> None:
    runner.world.drift(_named(runner.world, event.arg))


def _delete(runner: Runner, event: Event) -> None:
    runner.world.live.pop(_named(runner.world, event.arg), None)


def _heal(runner: Runner, _: Event) -> None:
    """Somebody puts everything right by hand, ids included, just when the pass has seen it wrong."""
    world = runner.world
    for urn in world.live:
        world.live[urn].props.update({k: v for k, v in world.resolved(urn).items() if k != "desiredCapacity"})
    for fleet in world.fleets.values():
        fleet.grace = 60
        for server in fleet.servers.values():
            if server.lifecycle == "InService" and server.good and server.target in ("unhealthy", "unregistered"):
                server.state, server.target = "running", "healthy"


def _server(change: Callable[[World, SimFleet, str], None]) -> Callable[[Runner, Event], None]:
    def strike(runner: Runner, event: Event) -> None:
        name, _, number = event.arg.partition(" ")
        fleet = _fleet(runner.world, name)
        staying = sorted(s.id for s in fleet.staying if s.healthy)
        if staying:
            change(runner.world, fleet, staying[int(number) % len(staying)])

    return strike


def _sick(world: World, fleet: SimFleet, id_: str) -> None:
    fleet.servers[id_].target, fleet.servers[id_].sick_at = "unhealthy", world.now


def _stopped(world: World, fleet: SimFleet, id_: str) -> None:
    server = fleet.servers[id_]
    server.state, server.target, server.sick_at, server.good = "stopped", "unhealthy", world.now, False


def _terminated(world: World, fleet: SimFleet, id_: str) -> None:
    server = fleet.servers[id_]
    server.state, server.target, server.sick_at, server.good = "terminated", "unhealthy", world.now, False


def _zone_down(runner: Runner, event: Event) -> None:
    fleet = _fleet(runner.world, event.arg)
    fleet.zones_down = frozenset({f"{REGION}a"})
    for server in fleet.servers.values():
        if server.zone in fleet.zones_down:
            server.target, server.sick_at, server.good = "unhealthy", runner.world.now, False


def _bad_image(runner: Runner, event: Event) -> None:
    _fleet(runner.world, event.arg).bad_image = True


def _no_capacity(runner: Runner, event: Event) -> None:
    _fleet(runner.world, event.arg).no_capacity = True


def _resize(runner: Runner, event: Event) -> None:
    """Another actor, such as an autoscaler, makes the fleet larger, or takes that back."""
    fleet = _fleet(runner.world, event.arg)
    fleet.set_desired(fleet.desired + 1 if fleet.desired < fleet.maximum else fleet.desired - 1, runner.world.now)


def _fight(runner: Runner, event: Event) -> None:
    urn = _named(runner.world, event.arg)
    runner.world.fights[urn] = True
    runner.world.drift(urn)


def _many(runner: Runner, event: Event) -> None:
    mine = [u for u, b in runner.world.program.items() if b.tenant == event.arg]
    for urn in mine[: event.times]:
        runner.world.drift(urn)


def _fault(runner: Runner, event: Event) -> None:
    runner.world.faults.append(Fault(event.kind, event.arg, event.times))


def _blind(runner: Runner, _: Event) -> None:
    runner.world.faults += [Fault("read fails", "", 60), Fault("write refused", "", 60)]


def _locked(runner: Runner, _: Event) -> None:
    """Somebody else's update runs until the pass is over."""
    if runner.world.locked_by is None:
        runner.world.locked_by = "somebody"


def _stale_lock(runner: Runner, _: Event) -> None:
    """An engine that a reconciler started has died, and left its lock."""
    taken = runner.world.wall()
    with runner.world.as_running(None):
        Engines(runner.operator, CELL, engine_process).began(NOBODY, taken)
    _lock(runner, lock_file(NOBODY, taken))


def _garbage_lock(runner: Runner, _: Event) -> None:
    _lock(runner, '{"pid": 12', old=True)


def _lock(runner: Runner, text: str, *, old: bool = False) -> None:
    runner.locks.mkdir(parents=True, exist_ok=True)
    path = runner.locks / f"{CELL}.json"
    path.write_text(text)
    if old:
        os.utime(path, (0, 0))


def _pending_create(runner: Runner, event: Event) -> None:
    """An update was killed when it created this: it is there or it is not, and the state does not know.

    Only after the record holds what the last update declared: of what was lost before, nobody can know what it was.
    """
    world = runner.world
    with world.as_running(None):
        kept = runner.operator.baseline(CELL)
    if kept is None or kept["version"] != world.version:
        return
    urn = _named(world, event.arg)
    world.forget(urn)
    world.live.pop(urn, None)
    if len(event.arg) % 2:
        world.create(urn, record=False)
    world.pending.append((urn, "creating"))


def _new_image(runner: Runner, _: Event) -> None:
    runner.world.deploy(image="ami-2")


def _deploy(runner: Runner, _: Event) -> None:
    if runner.world.locked_by is None:
        runner.world.deploy()


def _crash(runner: Runner, _: Event) -> None:
    runner.die()


def _sleep(runner: Runner, event: Event) -> None:
    """The process is stopped for a while; another one may take over meanwhile."""
    seconds = float(event.arg)
    process = runner.world.running
    runner.world.pass_time(seconds)
    if process is not None:
        process.renewed = runner.world.now - seconds
    if seconds > 60:
        runner.start_rival()
        runner.turns.switch()


def _rival(runner: Runner, event: Event) -> None:
    runner.start_rival()
    if event.arg == "1":
        runner.turns.switch()


def _switch(runner: Runner, _: Event) -> None:
    runner.turns.switch()


def _clock(hours: int) -> Callable[[Runner, Event], None]:
    def jump(runner: Runner, _: Event) -> None:
        runner.skew += timedelta(hours=hours)
        runner.checks.clocks_jumped = True

    return jump


def _pause(runner: Runner, event: Event) -> None:
    with runner.world.as_running(None):
        runner.operator.pause(CELL, tenant=event.arg or None, reason="a person looks", who="kim")


def _resume(runner: Runner, _: Event) -> None:
    with runner.world.as_running(None):
        for pause in runner.operator.pauses(CELL):
            runner.operator.resume(CELL, tenant=pause.tenant, who="kim")


def _dry(runner: Runner, _: Event) -> None:
    runner.dry = True


def _only(runner: Runner, event: Event) -> None:
    runner.only = event.arg


_WHAT: Mapping[str, Callable[[Runner, Event], None]] = {
    "drift": _drift,
    "delete": _delete,
    "vanish": _delete,
    "lose data": _delete,
    "heal": _heal,
    "sick": _server(_sick),
    "deregister": _server(lambda world, fleet, id_: fleet.deregister(id_, world.now)),
    "stop": _server(_stopped),
    "terminate": _server(_terminated),
    "zone down": _zone_down,
    "bad image": _bad_image,
    "no capacity": _no_capacity,
    "resize": _resize,
    "fight": _fight,
    "many at once": _many,
    "new image": _new_image,
    "deploy": _deploy,
    "blind": _blind,
    "engine locked": _locked,
    "stale lock": _stale_lock,
    "garbage lock": _garbage_lock,
    "pending create": _pending_create,
    "crash": _crash,
    "sleep": _sleep,
    "rival": _rival,
    "switch": _switch,
    "clock ahead": _clock(1),
    "clock behind": _clock(-1),
    "pause": _pause,
    "pause tenant": _pause,
    "resume": _resume,
    "dry run": _dry,
    "one tenant": _only,
    **dict.fromkeys(
        (
            "read fails",
            "read empty",
            "direct empty",
            "read truncated",
            "stale",
            "write lost",
            "write refused",
            "engine refuses",
            "engine crashes",
            "engine does not start",
            "engine survives",
            "state corrupt",
            "surprise",
            "store fails",
        ),
        _fault,
    ),
}

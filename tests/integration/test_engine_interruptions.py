"""The real engine killed, stopped, locked out and timed out: what it leaves, and how it is put right."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from reconciler.act import recovery
from reconciler.act.engine import Engine
from reconciler.act.process import EngineStopped, session_members
from reconciler.act.steps import EngineRun
from reconciler.errors import EngineError, EngineLocked
from reconciler.model import Urn
from reconciler.record.engines import Engines
from reconciler.record.process import process_of
from reconciler.record.store import Store
from tests.integration.engine_world import World

pytestmark = pytest.mark.engine


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Deployed once; every test works on a copy."""
    return World(tmp_path_factory.mktemp("deployed"))


@pytest.fixture
def world(deployed: World, tmp_path: Path) -> World:
    return World(tmp_path, copy_of=deployed)


@contextmanager
def updating(engine: Engine, target: Urn) -> Iterator[list[EngineRun | BaseException]]:
    """An update on a thread of its own; what became of it is in the list once the block is left."""
    plan = engine.preview([target])
    ended: list[EngineRun | BaseException] = []

    def run() -> None:
        try:
            ended.append(engine.up([target], plan))
        except EngineError as error:
            ended.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield ended
    finally:
        thread.join(120)


def holder(directory: Path) -> int:
    (file,) = directory.glob("*.json")
    pid: int = json.loads(file.read_text())["pid"]
    return pid


@pytest.fixture
def engines(tmp_path: Path) -> Iterator[Engines]:
    """Where engines are noted."""
    with Store.open(f"sqlite:///{tmp_path / 'record.db'}") as store:
        yield Engines(store, "dev", process_of)


def unlock(directory: Path | None, engines: Engines) -> tuple[str, ...]:
    ticks = iter(range(1000))
    return recovery.unlock(
        directory,
        patience=10,
        poll=1,
        now=lambda: datetime.now(UTC),
        clock=lambda: float(next(ticks)),
        wait=lambda _: None,
        died=engines.died,
    )


def test_killed_in_a_create_and_adopted(world: World, engines: Engines) -> None:
    """Killed between AWS's create and the state's record: the lock is freed, what exists is adopted, nothing is made
    twice (F24, F40, F42, C06)."""
    world.remove("acme-user")
    held = world.hold("created", "acme-user")
    urn = world.urn("acme-user")
    with world.engine() as engine:
        engine.noted_in(engines)
        directory = engine.lock_directory()
        assert directory is not None
        with updating(engine, urn) as ended:
            held.await_it()
            leader = holder(directory)
            os.kill(leader, signal.SIGKILL)
        assert isinstance(ended[0], EngineError)
        assert session_members(leader) == []
        held.lift()

        assert engine.pending() == {urn: "creating"}
        elsewhere = [world.urn("globex-user")]
        world.change("globex-user", colour="red")
        with pytest.raises(EngineLocked):
            engine.up(elsewhere, engine.preview(elsewhere))
        assert len(unlock(directory, engines)) == 1

        (made,) = world.files("acme-user")
        done = recovery.adopt(engine, {urn: made.stem}, lambda: None)
        assert done == recovery.Adopted(changed=True, unsettled=frozenset())
        assert engine.pending() == {}
        world.change("acme-user", colour="red")
        engine.up([urn], engine.preview([urn]))
    assert world.files("acme-user") == [made]
    assert world.live()["acme-user"]["colour"] == "blue"


def test_killed_before_anything_was_created(world: World, engines: Engines) -> None:
    """Killed before AWS made anything: the open operation is dropped and the next repair creates it once (F42)."""
    world.remove("acme-user")
    held = world.hold("create", "acme-user")
    urn = world.urn("acme-user")
    with world.engine() as engine:
        engine.noted_in(engines)
        directory = engine.lock_directory()
        assert directory is not None
        with updating(engine, urn):
            held.await_it()
            os.kill(holder(directory), signal.SIGKILL)
        held.lift()
        unlock(directory, engines)
        unknown = recovery.adopt(engine, {}, lambda: None)
        assert unknown == recovery.Adopted(changed=False, unsettled=frozenset({urn}))
        assert recovery.adopt(engine, {urn: None}, lambda: None).unsettled == frozenset()
        assert engine.recorded([urn, world.urn("acme-base")]) == {world.urn("acme-base")}
        engine.up([urn], engine.preview([urn]))
    assert len(world.files("acme-user")) == 1


def test_told_to_stop(world: World, engines: Engines) -> None:
    """Told to stop, the engine ends after the create in flight and records it: nothing is pending, no lock (F25)."""
    world.remove("acme-user")
    held = world.hold("created", "acme-user")
    urn = world.urn("acme-user")
    with world.engine() as engine:
        with updating(engine, urn) as ended:
            held.await_it()
            engine.stop()
            held.release()
        assert isinstance(ended[0], EngineStopped)
        with pytest.raises(EngineStopped):
            engine.export()
        held.lift()
    with world.engine() as engine:
        assert engine.pending() == {}
        assert unlock(engine.lock_directory(), engines) == ()
        assert engine.preview([urn]).writes == ()


def test_lock_of_a_living_process(world: World, engines: Engines) -> None:
    """An engine that outlived its reconciler is waited for, and its lock never removed (F44, I01)."""
    world.remove("acme-user")
    held = world.hold("created", "acme-user")
    urn = world.urn("acme-user")
    with world.engine() as engine, world.engine() as other:
        directory = engine.lock_directory()
        with updating(engine, urn) as ended:
            held.await_it()
            with pytest.raises(EngineLocked, match=socket.gethostname()):
                unlock(directory, engines)
            with pytest.raises(EngineLocked):
                other.up([world.urn("globex-user")], other.preview([world.urn("globex-user")]))
            held.release()
        assert isinstance(ended[0], EngineRun)
        assert unlock(directory, engines) == ()


def test_terminated_reconciler_stops_its_engine(world: World, engines: Engines) -> None:
    """SIGTERM to the reconciler lets the engine finish what is in flight before the process ends (F25)."""
    world.remove("acme-user")
    held = world.hold("created", "acme-user")
    script = (
        "import sys; from pathlib import Path; from reconciler.act.engine import Engine\n"
        "project, urn = sys.argv[1:]\n"
        "with Engine(Path(project), 'dev', None, {}) as engine:\n"
        "    engine.up([urn], engine.preview([urn]))\n"
    )

    command = [sys.executable, "-c", script, str(world.project), world.urn("acme-user")]
    with subprocess.Popen(command, env={**os.environ, **world.env}, start_new_session=True) as process:
        held.await_it()
        process.terminate()
        held.release()
        assert process.wait(60) == 128 + signal.SIGTERM
    held.lift()
    with world.engine() as engine:
        assert engine.pending() == {}
        assert unlock(engine.lock_directory(), engines) == ()

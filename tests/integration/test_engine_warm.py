"""Runs of the program with a head start: the same as the engine's own in all that can be seen, and gone afterwards."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from reconciler.act.engine import Engine
from reconciler.act.process import session_members
from reconciler.act.warm import WarmPrograms
from reconciler.errors import EngineError
from tests.integration.engine_world import PROGRAM, World

pytestmark = pytest.mark.engine

TYPES = ("test:index:Thing",)


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Deployed once; every test works on a copy."""
    return World(tmp_path_factory.mktemp("deployed"))


@pytest.fixture
def world(deployed: World, tmp_path: Path) -> World:
    return World(tmp_path, copy_of=deployed)


@pytest.fixture
def commands(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """All command lines of the engine, as they are run."""
    seen: list[list[str]] = []
    popen = subprocess.Popen

    def noting(command: Any, *args: Any, **kwargs: Any) -> Any:
        if Path(command[0]).name == "pulumi":
            seen.append(list(command))
        return popen(command, *args, **kwargs)

    monkeypatch.setattr(subprocess, "Popen", noting)
    return seen


def warm(world: World) -> Engine:
    engine = world.engine()
    engine.warm_up(TYPES)
    return engine


def recorded(engine: Engine) -> dict[str, Any]:
    """The state by resource, but for when it was written and by which line of the program, and for what is sealed anew
    each time it is written."""
    kept = ("type", "id", "parent", "provider", "inputs", "outputs", "dependencies", "protect")
    resources = engine.export()["deployment"]["resources"]
    return {r["urn"]: {k: r.get(k) for k in kept} for r in resources if not r["urn"].endswith("::guarded")}


def host(engine: Engine) -> int:
    """The session in which programs wait and run."""
    assert engine._programs._process is not None
    return engine._programs._process.pid


def test_a_repair_is_the_same(world: World, commands: list[list[str]]) -> None:
    """Preview and update with a head start do what they do without, each in a process of its own that sees the program
    as it is then; the state is not otherwise changed; and no secret is opened (I13)."""
    program = world.project / "__main__.py"
    program.write_text("import sys\nassert 'helper' not in sys.modules\nimport helper\n" + PROGRAM)
    (world.project / "helper.py").write_text("")
    world.change("acme-base", colour="red")
    targets = [world.urn("acme-base")]
    with warm(world) as engine:
        before = recorded(engine)
        plan = engine.preview(targets)
        assert [(s.op, s.changed) for s in plan.writes] == [("update", ("colour",))]
        assert engine.up(targets, plan).failed == {}
        assert len(engine.preview(targets).steps) == len(plan.steps)
        program.write_text("raise SystemExit(7)")
        with pytest.raises(EngineError, match="exit code: 7"):
            engine.preview(targets)
        assert recorded(engine) == before
    assert world.live()["acme-base"]["colour"] == "blue"
    runs = [c for c in commands if "preview" in c or "up" in c]
    assert len(runs) == 4
    assert all(any(word.startswith("--client=") for word in run) for run in runs)
    assert "--show-secrets" not in str(commands)


@pytest.mark.parametrize(
    "program",
    [
        "import pulumi\nraise pulumi.RunError('the tenant has no name')",
        "def broken():\n    return 1 / 0\nbroken()",
        "import no_such_module",
        "this is no Python",
        "import sys\nprint('said before the end')\nsys.exit(3)",
    ],
    ids=["refused", "exception", "missing module", "syntax", "exit code"],
)
def test_a_program_that_fails_says_the_same(world: World, program: str) -> None:
    """Whatever is wrong with the program, its words reach the user as they do when the engine starts it itself."""
    (world.project / "__main__.py").write_text(program)
    words = []
    starts: tuple[Callable[[World], Engine], ...] = (World.engine, warm)
    for start in starts:
        with start(world) as engine, pytest.raises(EngineError) as failed:
            engine.preview([world.urn("acme-base")])
        words.append(failed.value.why.splitlines())
    ordinary, ours = words
    # Where the executor lies is told in two ways, for one of them looks through links.
    assert [line for line in ordinary if line not in ours and "pulumi-language-python-exec" not in line] == []
    assert len(ours) <= len(ordinary) + 2


def test_the_tenants_are_those_of_the_run(world: World) -> None:
    """Each run gets its own variables, and none of the one before."""
    told = world.directory / "told"
    program = (
        f"import os, json\nopen({str(told)!r}, 'a').write(json.dumps(os.environ.get('STACKMEND_TENANTS')) + chr(10))"
    )
    (world.project / "__main__.py").write_text(f"{program}\n{PROGRAM}")
    target = [world.urn("acme-base")]
    with warm(world) as engine:
        engine.preview(target, ["acme"])
        engine.preview(target)
    assert [json.loads(line) for line in told.read_text().splitlines()] == ["acme", None]


def test_messages_for_debugging_are_not_sent(world: World) -> None:
    """What a program says reaches the engine, but for what the engine would not show: each takes a call."""
    told = world.directory / "told"
    watching = f"""
import pulumi
engine = pulumi.runtime.settings.get_engine()
log = engine.Log

def noting(message):
    with open({str(told)!r}, "a") as file:
        print(message.severity, file=file)
    return log(message)

engine.Log = noting
pulumi.log.debug("nobody asked")
pulumi.log.info("a word")
pulumi.log.warn("a warning")
"""
    (world.project / "__main__.py").write_text(f"{watching}\n{PROGRAM}")
    with warm(world) as engine:
        engine.preview([world.urn("acme-base")])
    info, warning = 1, 2
    assert told.read_text().splitlines() == [str(info), str(warning)]


def test_other_inputs_stand_above_the_program_s_for_one_run(world: World) -> None:
    """The resources that are named get them, secrets stay closed, and the next run of the program has its own again.
    A program that the engine starts by itself gets none, which its preview shows (I13)."""
    targets = [world.urn("acme-base"), world.urn("guarded")]
    other = {urn: {"colour": "green"} for urn in targets}

    def colours() -> dict[str, Any]:
        return {name: one.get("colour") for name, one in world.live().items()}

    before = colours()
    with world.engine() as engine:
        assert engine.preview(targets, overriding=other).writes == ()
    with warm(world) as engine:
        for overriding, after in ((other, {**before, "acme-base": "green", "guarded": "green"}), (None, before)):
            plan = engine.preview(targets, overriding=overriding)
            assert {(s.urn, s.op, s.changed) for s in plan.writes} == {(urn, "update", ("colour",)) for urn in targets}
            assert engine.up(targets, plan).failed == {}
            assert colours() == after
            (guarded,) = (r for r in engine.export()["deployment"]["resources"] if r["urn"] == targets[1])
            assert "ciphertext" in guarded["inputs"]["secret"]


def test_one_host_for_all_engines(world: World) -> None:
    """What is imported serves the engines of all passes, until something else is wanted or it has died."""
    programs = WarmPrograms()
    sessions = []
    try:
        for types in (TYPES, TYPES, ("aws:ec2/vpc:Vpc",)):
            with world.engine(programs=programs) as engine:
                engine.warm_up(types)
                sessions.append(host(engine))
        os.kill(sessions[-1], signal.SIGKILL)
        until_gone(sessions[-1])
        with world.engine(programs=programs) as engine:
            engine.warm_up(types)
            assert programs.address({}) is not None
            sessions.append(host(engine))
    finally:
        programs.close()
    assert sessions[0] == sessions[1]
    assert len(set(sessions)) == 3
    for session in sessions:
        until_gone(session)


def test_what_is_not_called_upon_does_not_pile_up(world: World) -> None:
    """A run that the engine gave up before it began leaves its process behind only until the next one."""
    with warm(world) as engine:
        for _ in range(5):
            assert engine._programs.address({}) is not None
        while len(waiting := session_members(host(engine))) > 2:
            wait_for(next(pid for pid in sorted(waiting) if pid != host(engine)))


def test_nothing_is_left(world: World) -> None:
    """What waits ends with the engine; a host that died is done without."""
    with warm(world) as engine:
        session = host(engine)
        assert engine._programs.address({}) is not None
        assert len(session_members(session)) == 2
        os.kill(session, signal.SIGKILL)
        assert engine.preview([world.urn("acme-base")]).writes == ()
    until_gone(session)


def test_killed_while_it_waits(world: World) -> None:
    """A reconciler that is killed leaves no program waiting (F24)."""
    script = (
        "import sys, time; from pathlib import Path; from reconciler.act.engine import Engine\n"
        "engine = Engine(Path(sys.argv[1]), 'dev', None, {})\n"
        "engine.warm_up(['test:index:Thing'])\n"
        "engine._programs.address({})\n"
        "print(engine._programs._process.pid, flush=True)\n"
        "time.sleep(600)\n"
    )
    command = [sys.executable, "-c", script, str(world.project)]
    with subprocess.Popen(command, env={**os.environ, **world.env}, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        session = int(process.stdout.readline())
        assert len(session_members(session)) == 2
        process.kill()
    until_gone(session)


def test_another_interpreter_is_the_engines_own_business(world: World) -> None:
    """A project that asks for another virtual environment is run by the engine's own language host."""
    (world.project / "Pulumi.yaml").write_text(
        "name: tests\nruntime:\n  name: python\n  options:\n    virtualenv: elsewhere\n"
    )
    with warm(world) as engine:
        assert engine._programs.address({}) is None


def until_gone(session: int) -> None:
    """Every process of the session ends by itself; the test's own time limit is the end of patience."""
    while members := session_members(session):
        for pid in members:
            wait_for(pid)


def wait_for(pid: int) -> None:
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        select.select([descriptor], [], [])
    finally:
        os.close(descriptor)

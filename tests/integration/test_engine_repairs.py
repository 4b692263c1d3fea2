"""The real engine under repairs: what is done, what is refused, and what is left alone."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from reconciler.act.engine import Engine
from reconciler.act.safety import refuse_unless
from reconciler.errors import EngineError, RepairRefused
from reconciler.model import Repair
from tests.integration.engine_world import KINDS, World

pytestmark = pytest.mark.engine


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Deployed once; every test works on a copy."""
    return World(tmp_path_factory.mktemp("deployed"))


@pytest.fixture
def world(deployed: World, tmp_path: Path) -> World:
    return World(tmp_path, copy_of=deployed)


@pytest.fixture
def engine(world: World) -> Iterator[Engine]:
    with world.engine() as engine:
        yield engine


def repair(world: World, strategy: str, *names: str) -> Repair:
    tenant = names[0].split("-")[0] if "-" in names[0] else None
    return Repair(strategy, tenant, tuple(world.urn(n) for n in names), ("f-1",), "because")


def test_sets_back_and_creates_only_what_is_named(world: World, engine: Engine) -> None:
    """One update sets a drift back and creates what is gone; the same drift of another tenant stays (I10)."""
    world.change("acme-base", colour="red")
    world.remove("acme-user")
    world.change("globex-base", colour="red")
    targets = [world.urn("acme-base"), world.urn("acme-user")]
    plan = engine.preview(targets)
    assert [(s.op, s.changed) for s in plan.writes] == [("update", ("colour",)), ("create", ())]
    assert [s.urn for s in plan.steps if s.gone] == [world.urn("acme-user")]
    assert engine.up(targets, plan).failed == {}
    live = world.live()
    assert live["acme-base"]["colour"] == live["acme-user"]["colour"] == "blue"
    assert live["globex-base"]["colour"] == "red"
    assert engine.preview(targets).writes == ()


def test_a_new_id_reaches_the_dependents_that_are_named(world: World, engine: Engine) -> None:
    """What is created anew has another id: a recreate updates the named resources that refer to it."""
    old = world.id("acme-base")
    world.remove("acme-base")
    work = repair(world, "recreate", "acme-base", "acme-user")
    plan = engine.preview(work.urns)
    refuse_unless(plan, [work], world.declared(), KINDS)
    engine.up(work.urns, plan)
    new = world.id("acme-base")
    assert new != old
    assert world.live()["acme-user"]["needs"] == new
    assert world.live()["acme-bound"]["kind"] == old


@pytest.mark.parametrize(
    ("strategy", "names", "change", "words"),
    [
        ("reapply", ("acme-user",), {"kind": "y"}, "must not do that"),
        ("recreate", ("acme-user",), {"kind": "y"}, "must not do that"),
        ("restore", ("acme-store",), {"kind": "y"}, "holds state"),
        ("reapply", ("acme-base",), {"kind": "y"}, "acme-bound .*not part of the repair"),
    ],
)
def test_a_replacement_is_refused(
    world: World, engine: Engine, strategy: str, names: tuple[str, ...], change: dict[str, str], words: str
) -> None:
    """The engine would replace what somebody changed beyond repair in place: refused, whatever the strategy (I08)."""
    world.change(names[0], **change)
    work = repair(world, strategy, *names)
    with pytest.raises(RepairRefused, match=f"(?s){words}"):
        refuse_unless(engine.preview(work.urns), [work], world.declared(), KINDS)


def test_a_protected_resource_is_not_replaced(world: World, engine: Engine) -> None:
    """The engine itself refuses to preview the replacement of a protected resource, and says so."""
    world.change("guarded", kind="y")
    with pytest.raises(EngineError, match="marked for protection"):
        engine.preview([world.urn("guarded")])


def test_a_program_that_changed_is_not_deployed_by_a_repair(world: World, engine: Engine) -> None:
    """A new resource in the program that a target needs would be created along: the plan is refused."""
    program = world.project / "__main__.py"
    text = program.read_text().replace('Thing("guarded"', 'Thing("more-new", {})\nThing("guarded"')
    program.write_text(text.replace('"colour": "blue", "needs": base.id', '"colour": "green", "needs": base.id'))
    world.change("acme-user", colour="red")
    plan = engine.preview([world.urn("acme-user")])
    assert {s.urn for s in plan.writes} == {world.urn("acme-user")}
    assert "more-new" not in world.live()


@pytest.mark.parametrize("more", [{"kind": "y"}, {"size": "9"}], ids=["a replacement", "another property"])
def test_the_update_does_no_more_than_its_preview(world: World, engine: Engine, more: dict[str, str]) -> None:
    """What changes in AWS between preview and update cannot turn an update into a replacement, nor into one of more
    properties, such as the size of a group that was made larger meanwhile (F52)."""
    world.change("acme-base", colour="red")
    targets = [world.urn("acme-base")]
    plan = engine.preview(targets)
    world.change("acme-base", **more)
    before = world.files("acme-base")
    run = engine.up(targets, plan)
    assert "plan" in run.failed[targets[0]]
    assert world.files("acme-base") == before


def test_one_failure_does_not_stop_the_others(world: World, engine: Engine) -> None:
    """AWS refuses one of two updates: the other is done, and AWS's own words come back with the first (F10)."""
    world.change("acme-base", colour="red")
    world.change("globex-base", colour="red")
    world.fail("update", "acme-base", "AccessDenied: user is not authorized to perform: ec2:ModifyVpc")
    targets = [world.urn("acme-base"), world.urn("globex-base")]
    run = engine.up(targets, engine.preview(targets))
    assert set(run.failed) == {targets[0]}
    assert "not authorized to perform: ec2:ModifyVpc" in run.failed[targets[0]]
    assert world.live()["globex-base"]["colour"] == "blue"


def test_a_provider_that_fails_to_read_fails_the_preview(world: World, engine: Engine) -> None:
    """A preview that cannot see is an error with the provider's words, never an empty plan (I06)."""
    world.fail("read", "acme-base", "RequestLimitExceeded")
    with pytest.raises(EngineError, match="RequestLimitExceeded"):
        engine.preview([world.urn("acme-base")])


def test_no_targets_is_not_everything(engine: Engine) -> None:
    """An empty list of targets would mean the whole stack to the engine, so it is refused."""
    with pytest.raises(ValueError, match="no targets"):
        engine.preview([])


def test_secrets_stay_sealed(world: World, engine: Engine) -> None:
    """The state is exported and imported again without ever opening a secret (I13)."""
    document = engine.export()
    assert "hush" not in json.dumps(document)
    engine.import_(document)
    assert engine.preview([world.urn("guarded")]).writes == ()


def test_an_unknown_stack_is_named(world: World) -> None:
    """A cell without a stack is an error that says what to do."""
    with Engine(world.project, "nowhere", None, world.env) as engine, pytest.raises(EngineError, match="no such stack"):
        engine.export()

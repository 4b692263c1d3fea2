"""The real engine's look at single resources: what it says, what it does not get to, and that it writes nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from reconciler.act.process import EngineTimeout
from reconciler.errors import EngineError
from reconciler.model import Refreshed, Unreadable, Urn
from tests.integration.engine_world import World

pytestmark = pytest.mark.engine


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Deployed once; every test works on a copy."""
    return World(tmp_path_factory.mktemp("deployed"))


@pytest.fixture
def world(deployed: World, tmp_path: Path) -> Iterator[World]:
    """Nothing but the cloud may be different afterwards: no state was written, no lock left."""
    world = World(tmp_path, copy_of=deployed)
    before = written(world)
    yield world
    assert written(world) == before


def written(world: World) -> Mapping[str, bytes]:
    return {str(p): p.read_bytes() for p in (world.directory / "state").rglob("*") if p.is_file()}


def refreshed(world: World, *urns: Urn) -> Mapping[Urn, Refreshed | Unreadable]:
    with world.engine() as engine:
        return engine.refreshed(urns)


def test_same_changed_and_gone(world: World) -> None:
    """The three answers, for exactly the resources asked for, with the live values of what differs."""
    world.change("acme-user", colour="red")
    world.remove("globex-base")
    world.change("globex-user", colour="red")
    wanted = {name: world.urn(name) for name in ("acme-base", "acme-user", "globex-base")}
    found = refreshed(world, *wanted.values())
    assert found.keys() == set(wanted.values())
    same, changed, gone = (found[urn] for urn in wanted.values())
    assert isinstance(same, Refreshed)
    assert (same.exists, same.changed, same.inputs["colour"]) == (True, frozenset(), "blue")
    assert isinstance(changed, Refreshed)
    assert (changed.exists, changed.changed) == (True, frozenset({"colour"}))
    assert (changed.before["colour"], changed.outputs["colour"]) == ("blue", "red")
    assert isinstance(gone, Refreshed)
    assert not gone.exists


def test_a_failed_read_is_told_with_the_providers_words(world: World) -> None:
    """F10: the resource whose read fails is unreadable; what the engine did not get to is left out or answered."""
    world.fail("read", "acme-base", "AccessDenied: no")
    base, user = world.urn("acme-base"), world.urn("acme-user")
    found = refreshed(world, base, user)
    answer = found[base]
    assert isinstance(answer, Unreadable)
    assert "AccessDenied: no" in answer.reason
    assert not isinstance(found.get(user), Unreadable)


def test_what_the_state_does_not_hold_does_not_spoil_the_rest(world: World) -> None:
    """The engine refuses a run with such a target, so it is not asked for it."""
    stranger = Urn("urn:pulumi:dev::tests::test:index:Thing::stranger")
    found = refreshed(world, stranger, world.urn("acme-base"))
    assert isinstance(found[stranger], Unreadable)
    assert isinstance(found[world.urn("acme-base")], Refreshed)
    assert set(refreshed(world, stranger)) == {stranger}


def test_secrets_stay_sealed(world: World) -> None:
    """I13: neither a declared secret nor a live value in its place is told."""
    guarded = world.urn("guarded")
    found = refreshed(world, guarded)
    assert isinstance(found[guarded], Refreshed)
    assert "hush" not in repr(found)


def test_an_engine_that_hangs_is_given_up(world: World) -> None:
    """F17 F19: a provider that never answers costs the time allowed, and nothing is known."""
    world.hold("read", "acme-base")
    with world.engine(timeout=8, grace=1) as engine, pytest.raises(EngineTimeout):
        engine.refreshed([world.urn("acme-base")])


def test_without_a_passphrase_there_is_one_error_for_all(world: World) -> None:
    """No single resource is to blame, so it raises."""
    world.env["PULUMI_CONFIG_PASSPHRASE"] = "wrong"
    with world.engine() as engine, pytest.raises(EngineError, match="passphrase"):
        engine.refreshed([world.urn("acme-base")])

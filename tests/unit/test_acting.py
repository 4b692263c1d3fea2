"""What a cycle gives to the strategies that act for it."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from pathlib import Path

import pytest

from reconciler.act.tools import Tools
from reconciler.acting import Acting
from reconciler.errors import EngineError
from reconciler.looking import Looking
from reconciler.model import GROUP, Declared, Fleet, Unreadable, Urn, Verdict
from reconciler.record.store import Store
from reconciler.settings import Flap, Rollout
from reconciler.wiring import ReadOnlyJournal
from simulator.answers import OBSERVERS
from simulator.engine import SimEngine
from simulator.history import History
from simulator.layout import CELL, KEY, VPC
from simulator.outside import SimOutside
from simulator.runner import Runner
from simulator.world import Fault, Process, World


@dataclass(frozen=True, slots=True)
class Stage:
    """A simulated cell of one tenant, and the tools for acting in it."""

    world: World
    tools: Tools
    group: Urn
    store: Store


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return staged(tmp_path)


def staged(tmp_path: Path, **tables: object) -> Stage:
    store = Store.open(f"sqlite:///{tmp_path / 'store.db'}")
    runner = Runner(History(0, 1, 2, 0, 1, ()), store._engine, tmp_path)
    runner.settings = runner.settings.model_copy(update=tables)
    outside = SimOutside(runner.settings, runner.world, Process(1), runner.checks, runner.locks)

    def declared(*, again: bool = False) -> Declared:
        return outside.declared(None, again=again)

    looking = Looking(runner.settings, runner.operator, OBSERVERS, outside, actor="test")
    acting = Acting(runner.settings, runner.operator, looking, outside, declared, actor="test")
    engine, now = SimEngine(runner.world, runner.checks, runner.locks), declared()
    tools = acting.tools(now, engine, ReadOnlyJournal(), lambda _repair, _message: None, frozenset())
    group = next(r.urn for r in now.resources.values() if r.type == GROUP)
    return Stage(runner.world, tools, group, runner.operator)


def test_a_state_that_cannot_be_read_again_makes_a_fleet_unknown(stage: Stage) -> None:
    """F45 I06: after an update the state is read anew for a fleet; if that fails, the fleet is UNKNOWN and says why."""
    assert isinstance(stage.tools.fleet(stage.group), Fleet)
    stage.world.deploy()
    stage.world.faults.append(Fault("state corrupt"))
    seen = stage.tools.fleet(stage.group)
    assert isinstance(seen, Unreadable)
    assert "the state could not be read again" in seen.reason
    assert isinstance(stage.tools.fleet(stage.group), Fleet)


def test_what_the_rules_would_say_is_known_before_it_is_so(stage: Stage) -> None:
    """Values are judged as if they were there; nothing is written for it, and what no rule reads is no breach."""
    assert stage.tools.breaches is not None
    resources = stage.tools.declared.resources.values()
    key, network = (next(r.urn for r in resources if r.type == type_) for type_ in (KEY, VPC))
    found = {(f.rule, f.urn, f.verdict) for f in stage.tools.breaches({key: {"isEnabled": False}})}
    assert ("kms-usable", key, Verdict.FAIL) in found
    assert stage.tools.breaches({network: {"enableDnsSupport": False}}) == ()


def test_a_person_s_pause_of_a_tenant_stands(stage: Stage) -> None:
    """I14: when stackmend pauses a tenant that a person has paused, that person's word and reason stay."""
    stage.store.pause(CELL, tenant="t0", reason="legal hold", who="ana")
    assert stage.tools.pause is not None
    for tenant in ("t0", "t1"):
        stage.tools.pause(tenant, "it is worse off since a repair")
    assert [(p.tenant, p.who) for p in stage.store.pauses(CELL)] == [("t0", "ana"), ("t1", "stackmend")]


def test_any_other_error_than_an_unreadable_state_is_raised(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """What goes wrong while AWS is asked for a fleet is not told as a state that could not be read."""

    def broken(_: object) -> None:
        raise EngineError("the network is gone")

    monkeypatch.setattr(stage.world, "step", broken)
    with pytest.raises(EngineError, match="the network is gone"):
        stage.tools.fleet(stage.group)


@pytest.mark.parametrize(("failures", "fleets"), [(1, 2), (2, 2), (3, 3)])
def test_an_image_is_given_up_as_the_breaker_would(tmp_path: Path, failures: int, fleets: int) -> None:
    """F48: after the settings' number of fleets, and never because of one alone."""
    tools = staged(tmp_path, flap=Flap(same_failure_limit=failures)).tools
    assert tools.unfit_limit == fleets


def test_a_pass_has_as_long_for_its_rollouts_as_the_settings_say(tmp_path: Path) -> None:
    """The time counts from when the pass begins to act; 0 is no limit."""
    limited = staged(tmp_path, rollout=Rollout(pass_seconds=90))
    assert limited.tools.until == limited.world.now + 90
    assert staged(tmp_path, rollout=Rollout(pass_seconds=0)).tools.until == inf

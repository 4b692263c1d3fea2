"""What a pass learns while it is under way stops what has not begun, and cuts nothing off."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from reconciler.act.act import act
from reconciler.act.steps import EnginePlan, EngineRun
from reconciler.act.strategies import STRATEGIES
from reconciler.act.tools import Ending, Tools
from reconciler.model import Deadline, Outcome, Repair, Status, Urn
from tests.unit.act_world import GROUP, STORE, World, declared, plan, repair, resource

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
FLEETS = [resource(f"t{i}-servers", GROUP) for i in range(6)]


@pytest.fixture
def world() -> World:
    world = World(declared(*FLEETS))
    world.breaks(*FLEETS)
    world.change(now=lambda: NOON + timedelta(seconds=world.now))
    return world


def replacing(monkeypatch: pytest.MonkeyPatch, world: World, ending: Callable[[Repair], Ending]) -> None:
    """Every rollout takes a quarter of an hour and ends like this."""

    def run(of: Repair, tools: Tools) -> Ending:
        tools.wait(900)
        world.broken.pop(of.urns[0], None)
        return ending(of)

    strategies = {**STRATEGIES, "rollout": replace(STRATEGIES["rollout"], run=run)}
    monkeypatch.setattr("reconciler.act.act.STRATEGIES", strategies)


def rollouts(*images: str) -> list[Repair]:
    made = zip(FLEETS, images, strict=False)
    return [repair("rollout", g, members=("i-1",), replacement=(f"template {g.name} 1", f"image {i}")) for g, i in made]


def unhealthy(_: Repair) -> Ending:
    return Ending(Status.ROLLED_BACK, "no new server became healthy", bad_image="lt-1:7")


def statuses(outcomes: tuple[Outcome, ...]) -> list[str]:
    return [o.status.value for o in outcomes]


def test_what_has_not_begun_by_its_deadline_does_not(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A freeze that begins during the second of three rollouts lets that one end and refuses the third, with the words
    of a deferral and no intent; a repair without a deadline goes on."""
    replacing(monkeypatch, world, lambda _: Ending(Status.HEALED))
    first, second, third, free = rollouts("a", "b", "c", "d")
    frozen = Deadline(NOON + timedelta(seconds=1000), "frozen until 2026-03-02 12:00 UTC: sale")
    deadlines = {r.id: frozen for r in (first, second, third)}
    outcomes = act(replace(plan(first, second, third, free), deadlines=deadlines), world.tools)
    assert statuses(outcomes) == ["healed", "healed", "refused", "healed"]
    assert outcomes[2].reason == frozen.reason
    assert third not in world.journal.intents


def test_at_its_deadline_it_is_too_late(world: World) -> None:
    """As a freeze holds from its first moment on."""
    (first,) = rollouts("a")
    outcomes = act(replace(plan(first), deadlines={first.id: Deadline(NOON, "frozen")}), world.tools)
    assert statuses(outcomes) == ["refused"]


def test_one_bad_image_is_not_tried_in_every_fleet(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """F48: when its servers did not become healthy in two fleets, the others are spared in the same pass."""
    replacing(monkeypatch, world, unhealthy)
    outcomes = act(plan(*rollouts(*["ami-bad"] * 5, "ami-other")), world.tools)
    assert statuses(outcomes) == ["rolled back", "rolled back", "refused", "refused", "refused", "rolled back"]
    assert "new servers from image ami-bad did not become healthy in 2 fleets" in outcomes[2].reason
    assert [r.tenant for r in world.journal.intents] == ["t0", "t1", "t5"]


@pytest.mark.parametrize(
    "second",
    [
        pytest.param(Ending(Status.HEALED), id="one serves"),
        pytest.param(Ending(Status.ROLLED_BACK, "none was launched"), id="no room"),
        pytest.param(Ending(Status.NOT_HEALED, "somebody else resized the group meanwhile"), id="somebody else"),
    ],
)
def test_an_image_is_blamed_for_nothing_else(world: World, monkeypatch: pytest.MonkeyPatch, second: Ending) -> None:
    """F48: one fleet's trouble is no reason to stop the others, and an image that serves somewhere is not bad."""
    fleets = [g.urn for g in FLEETS]
    replacing(monkeypatch, world, lambda of: second if of.urns[0] == fleets[1] else unhealthy(of))
    outcomes = act(plan(*rollouts(*["ami-1"] * 4)), world.tools)
    fourth = "rolled back" if second.status is Status.HEALED else "refused"
    assert statuses(outcomes) == ["rolled back", second.status.value, "rolled back", fourth]


def test_an_escalation_that_stands_is_told_and_not_recorded_again() -> None:
    """The record has it already: the pass lists it among its outcomes and writes no intent."""
    bucket = resource("acme-data", STORE)
    world = World(declared(bucket))
    escalation = repair("escalate", bucket)
    world.journal.told_before.add(escalation.id)
    (outcome,) = act(plan(escalation), world.tools)
    assert (outcome.status, world.journal.intents, world.journal.outcomes) == (Status.ESCALATED, [], {})
    assert "a person should look at acme-data" in outcome.reason


def test_what_may_end_the_process_is_done_alone_and_last(monkeypatch: pytest.MonkeyPatch) -> None:
    """F24: a repair that ends its process each time leaves the others of its pass concluded, or without an intent."""
    things = [resource(f"acme-{name}") for name in ("bad", "fine", "waits", "other")]
    world = World(declared(*things))
    world.breaks(*things)
    bad, fine, other = (
        repair("reapply", things[0], alone=True),
        repair("reapply", things[1]),
        repair("restore", things[3]),
    )
    waits = repair("reapply", things[2], after=[bad])
    up = world.engine.up

    class Killed(BaseException):
        """The process dies here."""

    def dying(targets: Sequence[Urn], planned: EnginePlan, tenants: Collection[str] | None = None) -> EngineRun:
        if things[0].urn in targets:
            raise Killed
        return up(targets, planned, tenants)

    monkeypatch.setattr(world.engine, "up", dying)
    with pytest.raises(Killed):
        act(plan(bad, fine, waits, other), world.tools)
    assert {o.repair_id for o in world.journal.outcomes.values()} == {fine.id, other.id}
    assert [world.journal.intents[n] for n in world.journal.open] == [bad]


def test_what_waits_for_a_rollout_goes_on_when_this_passs_part_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the planner lets wait for a part of a fleet is not refused because the fleet is not done."""
    group, policy = FLEETS[0], resource("t0-policy")
    world = World(declared(group, policy))
    world.breaks(group, policy)
    replacing(monkeypatch, world, lambda _: Ending(Status.CONTINUES, "over time"))
    first = repair("rollout", group, members=("i-1", "i-2"))
    outcomes = act(plan(first, repair("reapply", policy, after=[first])), world.tools)
    assert statuses(outcomes) == ["continues", "healed"]

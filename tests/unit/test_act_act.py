"""Carrying out a plan: intent first, a look right before, one terminal record each, and nothing left to chance."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

import pytest

from reconciler.act.act import act
from reconciler.act.process import EngineStopped
from reconciler.act.steps import EnginePlan, EngineRun, Step
from reconciler.act.strategies import STRATEGIES
from reconciler.act.tools import Interrupted
from reconciler.errors import EngineError, EngineLocked, LeaseLost, RepairRefused, StackmendError, StateError
from reconciler.model import Status, Urn, Verdict
from reconciler.observe.sessions import SessionRefused
from tests.unit.act_world import KEY, STORE, World, declared, finding, plan, repair, resource

VPC, SUBNET, OTHER = resource("acme-vpc"), resource("acme-subnet"), resource("globex-vpc")
BUCKET = resource("acme-data", STORE)


@pytest.fixture
def world() -> World:
    world = World(declared(VPC, SUBNET, OTHER, BUCKET))
    world.breaks(VPC, SUBNET, OTHER, BUCKET)
    return world


def test_order_of_one_repair(world: World) -> None:
    """Intent on disk, a fresh look, the preview, the lease, the update, the proof, the end: in this order (I04)."""
    (outcome,) = act(plan(repair("reapply", VPC)), world.tools)
    assert world.log == ["intend reapply", "look", "preview", "held", "up", "verify", "conclude healed"]
    assert (outcome.status, outcome.repair_id) == (Status.HEALED, repair("reapply", VPC).id)


def test_all_declarative_repairs_are_one_update(world: World) -> None:
    """Repairs of two tenants by three strategies cost one preview and one update, scoped to those tenants."""
    repairs = [repair("reapply", VPC), repair("recreate", OTHER), repair("restore", BUCKET)]
    world.engine.would[OTHER.urn] = ("create",)
    outcomes = act(plan(*repairs), world.tools)
    assert [o.status for o in outcomes] == [Status.HEALED] * 3
    assert world.engine.ups == [((VPC.urn, OTHER.urn, BUCKET.urn), {"acme", "globex"})]
    assert len(world.engine.previews) == 1


def test_a_bad_repair_does_not_hold_up_the_others(world: World) -> None:
    """One repair that the safety check refuses is set aside; the others are done, its own tenant's included."""
    world.engine.would[VPC.urn] = ("delete-replaced", "replace", "create-replacement")
    outcomes = act(plan(repair("reapply", VPC), repair("reapply", SUBNET), repair("reapply", OTHER)), world.tools)
    by_urn = {o.urns[0]: o for o in outcomes}
    assert by_urn[VPC.urn].status is Status.REFUSED
    assert "must not do that" in by_urn[VPC.urn].reason
    assert by_urn[SUBNET.urn].status is by_urn[OTHER.urn].status is Status.HEALED
    assert VPC.urn not in {u for targets, _ in world.engine.ups for u in targets}


def test_a_preview_that_fails_for_one_is_broken_up_too(world: World) -> None:
    """The engine cannot read one resource: only that repair fails, with the engine's words."""
    world.engine.preview_trouble = lambda targets: EngineError("no", why="Throttled") if VPC.urn in targets else None
    outcomes = act(plan(repair("reapply", VPC), repair("reapply", OTHER)), world.tools)
    assert {o.urns[0]: o.status for o in outcomes} == {VPC.urn: Status.NOT_HEALED, OTHER.urn: Status.HEALED}
    assert "Throttled" in outcomes[0].reason


def test_a_state_that_cannot_be_read_for_one_fails_that_one(world: World) -> None:
    """The preview of one tenant finds a damaged state: its repair fails, and the other tenants' pass goes on."""
    world.change(apart=True)
    world.engine.preview_trouble = lambda targets: StateError("it holds no deployment") if VPC.urn in targets else None
    outcomes = {o.urns[0]: o for o in act(plan(repair("reapply", VPC), repair("reapply", OTHER)), world.tools)}
    assert (outcomes[VPC.urn].status, outcomes[OTHER.urn].status) == (Status.NOT_HEALED, Status.HEALED)
    assert "it holds no deployment" in outcomes[VPC.urn].reason


def test_a_session_refused_between_preview_and_update_stops_one_tenant(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The tenant's session runs out after the preview and is not renewed: nothing of it was written, so it is refused
    in the words of AWS; the other tenants' repairs are done."""
    world.change(apart=True)
    up = world.engine.up

    def renewed(targets: Sequence[Urn], plan: EnginePlan, tenants: Collection[str] | None = None) -> EngineRun:
        if tenants == {"acme"}:
            raise SessionRefused("the tenant's role could not be assumed", why="AccessDenied")
        return up(targets, plan, tenants)

    monkeypatch.setattr(world.engine, "up", renewed)
    outcomes = {o.urns[0]: o for o in act(plan(repair("reapply", VPC), repair("reapply", OTHER)), world.tools)}
    assert (outcomes[VPC.urn].status, outcomes[OTHER.urn].status) == (Status.REFUSED, Status.HEALED)
    assert "AccessDenied" in outcomes[VPC.urn].reason
    assert world.journal.open == []


def test_another_tenant_in_the_plan_of_the_engine_refuses(world: World) -> None:
    """A step on a resource that no repair names refuses, even if it would be harmless by itself (I10)."""
    world.engine.besides = [Step(OTHER.urn, OTHER.type, "update")]
    (outcome,) = act(plan(repair("reapply", VPC)), world.tools)
    assert outcome.status is Status.REFUSED
    assert world.engine.ups == []


def test_healed_by_itself(world: World) -> None:
    """A finding that is gone right before the write is healed without one (I09)."""
    world.broken.pop(VPC.urn)
    (outcome,) = act(plan(repair("reapply", VPC)), world.tools)
    assert outcome.status is Status.HEALED
    assert "healed by itself" in outcome.reason
    assert world.log == ["intend reapply", "look", "conclude healed"]


def test_unknown_now_is_not_touched(world: World) -> None:
    """What was failing and cannot be seen now is refused: the finding or its resource UNKNOWN (I06)."""
    world.broken[VPC.urn] = [finding(VPC, Verdict.UNKNOWN)]
    world.broken[OTHER.urn] = [finding(OTHER, Verdict.UNKNOWN, rule="other.rule")]
    outcomes = act(plan(repair("reapply", VPC), repair("reapply", OTHER)), world.tools)
    assert [o.status for o in outcomes] == [Status.REFUSED] * 2
    assert world.engine.previews == []


def test_a_look_that_fails_writes_nothing(world: World) -> None:
    """No fresh look, no write (I06)."""
    world.look_trouble = StackmendError("AWS is away")
    (outcome,) = act(plan(repair("reapply", VPC)), world.tools)
    assert outcome.status is Status.REFUSED
    assert "AWS is away" in outcome.reason
    assert "preview" not in world.log


def test_dry_run_stops_at_the_preview(world: World) -> None:
    """A dry run says what it would do, and writes neither to AWS nor to the journal (I15)."""
    outcomes = act(plan(repair("reapply", VPC), repair("escalate", BUCKET)), world.tools, dry_run=True)
    assert [o.status for o in outcomes] == [Status.DRY_RUN] * 2
    assert "update acme-vpc" in outcomes[0].reason
    assert world.log == ["look", "preview"]


def test_escalation_writes_nothing_and_says_where_to_look(world: World) -> None:
    """An escalated repair is recorded with the resource a person should look at."""
    (outcome,) = act(plan(repair("escalate", BUCKET)), world.tools)
    assert outcome.status is Status.ESCALATED
    assert "acme-data (aws:s3/bucket:Bucket, id-acme-data)" in outcome.reason
    assert world.log == ["intend escalate", "conclude escalated"]


def test_the_words_of_aws_reach_the_outcome(world: World) -> None:
    """A resource that AWS refuses to change is not healed, for AWS's own reason; its neighbour is (F10)."""
    world.engine.fails = {VPC.urn: "AccessDenied: not authorized"}
    outcomes = act(plan(repair("reapply", VPC), repair("reapply", OTHER)), world.tools)
    by_urn = {o.urns[0]: o for o in outcomes}
    assert by_urn[VPC.urn].status is Status.NOT_HEALED
    assert "AccessDenied: not authorized" in by_urn[VPC.urn].reason
    assert by_urn[OTHER.urn].status is Status.HEALED


@pytest.mark.parametrize("error", [EngineError, StateError])
def test_an_engine_that_dies_is_judged_by_a_look(world: World, error: type[StackmendError]) -> None:
    """The engine breaks down half-way: what is healed counts as healed, the rest carries the engine's words (F43)."""
    world.engine.up_trouble = error("the engine failed", why="plugin exited")
    first, second = repair("reapply", VPC), repair("reapply", OTHER)

    def healed_meanwhile(repairs: object) -> dict[str, str]:
        return {second.id: "still wrong"}

    world.change(verify=healed_meanwhile)
    outcomes = {o.repair_id: o for o in act(plan(first, second), world.tools)}
    assert outcomes[first.id].status is Status.HEALED
    assert "plugin exited" in outcomes[second.id].reason


def test_a_locked_stack_refuses(world: World) -> None:
    """Another update has the lock: nothing was written, so it is refused, not failed (F44, I01)."""
    world.engine.up_trouble = EngineLocked("locked", why="by bob")
    (outcome,) = act(plan(repair("reapply", VPC)), world.tools)
    assert (outcome.status, world.journal.open) == (Status.REFUSED, [])


def test_an_engine_that_sees_nothing_is_not_a_repair(world: World) -> None:
    """A drift that the engine does not see is reported as soon as its update has put nothing right."""
    world.engine.would[VPC.urn] = ("same",)
    (outcome,) = act(plan(repair("reapply", VPC)), world.tools)
    assert outcome.status is Status.NOT_HEALED
    assert "nothing to change" in outcome.reason
    assert world.now == 0


def test_what_was_prepared_may_be_all_that_was_needed(world: World) -> None:
    """A key that was called back directly leaves the engine nothing to do; a look says that it is healed."""
    world.engine.would[VPC.urn] = ("same",)

    def called_back(targets: object) -> None:
        world.broken.pop(VPC.urn, None)

    world.engine.preview_trouble = called_back
    (outcome,) = act(plan(repair("reapply", VPC)), world.tools)
    assert outcome.status is Status.HEALED


def test_what_the_engine_does_not_see_holds_nobody_up(world: World) -> None:
    """Of two repairs the engine sees one: that one is healed, the other is reported without waiting for it."""
    world.engine.would[VPC.urn] = ("same",)
    first, second = repair("reapply", VPC), repair("reapply", SUBNET)
    outcomes = {o.repair_id: o.status for o in act(plan(first, second), world.tools)}
    assert outcomes == {first.id: Status.NOT_HEALED, second.id: Status.HEALED}


def test_what_waits_for_a_failed_repair_is_refused(world: World) -> None:
    """A repair that needs another one is not tried once that one failed, in a batch or out of it."""
    world.engine.would[VPC.urn] = ("delete",)
    first = repair("reapply", VPC)
    second, third = repair("reapply", OTHER, after=[first]), repair("escalate", BUCKET, after=[first])
    outcomes = {o.repair_id: o for o in act(plan(second, first, third), world.tools)}
    assert [outcomes[r.id].status for r in (first, second, third)] == [Status.REFUSED] * 3
    assert world.engine.ups == []


def test_what_waits_for_an_update_that_failed_is_refused(world: World) -> None:
    """Also in the same turn, where the failure is not concluded before its tenant has been looked at."""
    world.engine.preview_trouble = lambda targets: EngineError("one at a time") if len(targets) > 1 else None
    world.engine.fails[VPC.urn] = "UnauthorizedOperation"
    first = repair("reapply", VPC)
    second = repair("reapply", OTHER, after=[first])
    outcomes = {o.repair_id: o.status for o in act(plan(second, first), world.tools)}
    assert outcomes == {first.id: Status.NOT_HEALED, second.id: Status.REFUSED}
    assert [targets for targets, _ in world.engine.ups] == [(VPC.urn,)]


def test_repairs_that_wait_for_each_other_end(world: World) -> None:
    """A circle of dependencies is refused, not waited for."""
    impossible = repair("reapply", VPC, after=[repair("reapply", SUBNET)])
    (outcome,) = act(plan(impossible), world.tools)
    assert outcome.status is Status.REFUSED


def test_two_repairs_of_one_resource_take_turns(world: World) -> None:
    """At most one repair of a resource is in flight (I01)."""
    act(plan(repair("reapply", VPC, SUBNET), repair("reapply", SUBNET)), world.tools)
    assert world.log.index("conclude healed") < len(world.log) - 1 - world.log[::-1].index("intend reapply")


def test_an_open_intent_of_another_refuses(world: World) -> None:
    """The journal refuses an intent for a resource that has an open one: an outcome, not a crash (I01)."""
    world.journal.trouble["intend"] = RepairRefused("intent 7 is still open for it")
    (outcome,) = act(plan(repair("reapply", VPC)), world.tools)
    assert (outcome.status, world.log) == (Status.REFUSED, [])


def test_a_half_created_resource_is_not_touched(world: World) -> None:
    """What a cut-off create may have made, and nobody has found, is left alone (F42)."""
    world.change(unsettled=frozenset({VPC.urn}))
    (outcome,) = act(plan(repair("recreate", SUBNET, VPC)), world.tools)
    assert (outcome.status, world.engine.previews) == (Status.REFUSED, [])


@pytest.mark.parametrize("call", ["intend", "ensure_held"])
def test_a_lost_lease_ends_everything(world: World, call: str) -> None:
    """Lease lost, or cell paused: nothing is written any more; open intents stay for the next pass (I05, I14)."""
    world.journal.trouble[call] = LeaseLost("somebody else holds it")
    outcomes = act(plan(repair("reapply", VPC), repair("escalate", BUCKET)), world.tools)
    assert [o.status for o in outcomes] == [Status.INTERRUPTED] * 2
    assert world.engine.ups == []
    assert world.journal.outcomes == {}


@pytest.mark.parametrize("during", ["preview", "up"])
@pytest.mark.parametrize("error", [EngineStopped("told to stop"), Interrupted("told to stop"), LeaseLost("it is lost")])
def test_told_to_stop(world: World, error: StackmendError, during: str) -> None:
    """A stop in the middle leaves the intent open, for the next pass to look at what became of it (F25)."""
    if during == "up":
        world.engine.up_trouble = error
    else:
        world.engine.preview_trouble = lambda _: error
    outcomes = act(plan(repair("reapply", VPC), repair("escalate", BUCKET)), world.tools)
    assert [o.status for o in outcomes] == [Status.INTERRUPTED] * 2
    assert world.journal.open == [0]


def test_a_fault_of_this_program_is_concluded_and_raised(world: World) -> None:
    """A bug does not leave an intent open, and is not hidden."""
    world.engine.up_trouble = ZeroDivisionError("oops")
    with pytest.raises(ZeroDivisionError):
        act(plan(repair("reapply", VPC)), world.tools)
    assert [o.status for o in world.journal.outcomes.values()] == [Status.NOT_HEALED]


def test_an_unknown_strategy_is_refused(world: World) -> None:
    """A plan of another version with a strategy that is not here changes nothing."""
    (outcome,) = act(plan(repair("incinerate", VPC)), world.tools)
    assert (outcome.status, world.engine.previews) == (Status.REFUSED, [])


def test_targets_that_the_state_lacks_go_apart(world: World) -> None:
    """The engine cannot refresh what its state does not hold, so that repair has an update of its own."""
    world.engine.missing = {VPC.urn}
    world.engine.would[VPC.urn] = ("create",)
    act(plan(repair("recreate", VPC), repair("reapply", OTHER)), world.tools)
    assert [targets for targets, _ in world.engine.ups] == [(VPC.urn,), (OTHER.urn,)]


def test_a_key_is_called_back_before_the_engine_looks() -> None:
    """A key pending deletion is called back and enabled, each under the lease, before any preview."""
    key = resource("acme-key", KEY)
    world = World(declared(key))
    world.breaks(key)
    states = iter(["PendingDeletion", "Disabled", "Enabled"])
    world.aws.answers = {
        "describe_key": lambda _: {"KeyMetadata": {"KeyState": next(states)}},
        "cancel_key_deletion": lambda _: {},
        "enable_key": lambda _: {},
    }
    (outcome,) = act(plan(repair("restore", key)), world.tools)
    assert outcome.status is Status.HEALED
    calls = ["held", "cancel_key_deletion", "held", "enable_key", "preview", "held", "up"]
    assert [c for c in world.log if c in calls] == calls


def test_a_key_in_another_region_is_left_to_the_engine() -> None:
    """The cell's own client would ask the wrong region; the engine sets the key back, and creates none."""
    key = replace(resource("acme-key", KEY), region="us-west-2")
    world = World(declared(key))
    world.breaks(key)
    (outcome,) = act(plan(repair("restore", key)), world.tools)
    assert outcome.status is Status.HEALED
    assert not [c for c in world.log if c.endswith("_key")]


def test_a_key_that_cannot_be_called_back_is_not_healed() -> None:
    """A key in a state that nothing here changes is reported with that state, and never replaced."""
    key = resource("acme-key", KEY)
    world = World(declared(key))
    world.breaks(key)
    world.aws.answers = {"describe_key": lambda _: {"KeyMetadata": {"KeyState": "PendingImport"}}}
    (outcome,) = act(plan(repair("restore", key)), world.tools)
    assert outcome.status is Status.NOT_HEALED
    assert "PendingImport" in outcome.reason
    assert world.engine.previews == []


@pytest.mark.parametrize("name", sorted(STRATEGIES))
def test_every_strategy_says_what_it_does(name: str) -> None:
    """Each strategy goes by its own name, tells people what it does, and either asks the engine or runs by itself."""
    strategy = STRATEGIES[name]
    assert strategy.name == name
    assert strategy.does
    assert strategy.declarative is (strategy.run is None)

"""The real cycle against a simulated cloud: histories of faults, crashes and rivals, with every invariant checked.

Rows that the histories stand for: (I01-I12, I14, I15), (F04-F06, F08, F09, F11-F15, F22-F24, F27, F28, F30, F36-F45,
F48, F49, F51, F52), (C01-C05, C08, C12, C13, C17). ``make simulate`` runs ten thousand of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Protocol

import pytest

from reconciler.model import Repair
from reconciler.plan import budget, limits
from simulator.history import Event, History, generate
from simulator.run import shrunk, simulate, workbench
from simulator.runner import Failed, Result
from simulator.world import BASES, Violation, World


class Run(Protocol):
    def __call__(self, *events: Event, turns: int = 1) -> tuple[str, Mapping[str, int]]: ...


SEEDS = range(7000, 7020)


def test_histories_hold_every_invariant() -> None:
    """Whatever happens in these histories, no invariant is broken, and at rest all is healed or told (I01-I15)."""
    summary = simulate(SEEDS)
    assert [f"seed {f.history.seed}: {f.what}" for f in summary.failures] == []
    assert summary.counts["crashes"] > 0
    assert summary.counts["outcome rollout: healed"] > 0


@pytest.fixture(scope="module")
def bench() -> Iterator[Callable[[History], Result]]:
    with workbench() as run:
        yield run


@pytest.fixture
def run(bench: Callable[[History], Result]) -> Run:
    """Runs these events and tells what they broke, or nothing, and the counts."""

    def running(*events: Event, turns: int = 1) -> tuple[str, Mapping[str, int]]:
        result = bench(history(*events, turns=turns))
        return (result.failed.what if result.failed else ""), result.counts

    return running


def history(*events: Event, turns: int = 1, tenants: int = 2, servers: int = 3) -> History:
    return History(0, tenants, servers, 0, turns, events)


def test_a_seed_is_a_history() -> None:
    """The same seed gives the same history, step for step."""
    first, second = (simulate([4]).counts for _ in range(2))
    assert generate(4) == generate(4)
    assert first == second


def test_drift_and_a_sick_server_of_one_group_are_both_healed(run: Run) -> None:
    """A group that drifted and has a sick server is put right and then rolled out: neither waits for ever."""
    what, counts = run(Event(1, 0, "drift", "acme-servers"), Event(1, 0, "stop", "acme-servers 0"))
    assert what == ""
    assert counts["outcome rollout: healed"] == counts["outcome reapply: healed"] == 1


def test_a_group_that_is_too_large_gives_back_its_sick_servers(run: Run) -> None:
    """A surplus leaves server by server, so that the group never chooses a healthy one below the floor (I02)."""
    what, counts = run(
        Event(1, 0, "resize", "acme-servers"),
        Event(1, 0, "sick", "acme-servers 0"),
        Event(1, 0, "sick", "acme-servers 1"),
    )
    assert what == ""
    assert counts["outcome reapply: healed"] == 1


STOPPED = [Event(1, 0, "stop", f"acme-servers {n}") for n in range(3)]
"""Three servers of one zone, if there are six in two zones; a tenant's budget has room for two."""


def test_servers_are_replaced_within_the_budgets_of_several_passes(bench: Callable[[History], Result]) -> None:
    """More failed servers than a pass may replace take two, and are all replaced (I03)."""
    result = bench(history(*STOPPED, turns=2, servers=6))
    assert result.failed is None
    assert result.counts["outcome rollout: healed"] == 2


def test_the_simulator_counts_servers_itself(
    bench: Callable[[History], Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    """I03: it is noticed when a pass replaces more servers than it may, whatever their repair says it costs."""
    monkeypatch.setattr(budget, "can_cut", lambda _: False)
    monkeypatch.setattr(limits, "can_cut", lambda _: False)
    failed = bench(history(*STOPPED, servers=6)).failed
    assert failed is not None
    assert failed.what == "I03: 3 resources of acme in one pass, limit 2"


def test_the_simulator_counts_resources_itself(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """I03: it is noticed when repairs are taken for cheaper than they are."""
    monkeypatch.setattr(Repair, "cost", 0.1)
    what, _ = run(*(Event(1, 0, "delete", f"acme-{name}") for name in ("firewall", "alarm", "table")))
    assert what == "I03: 3 resources of acme in one pass, limit 2"


@pytest.mark.parametrize("step", range(1, 120, 17))
def test_crashes_all_along_a_rollout(run: Run, step: int) -> None:
    """A rollout that dies at any step is finished or undone by the next pass (F24, C08, C10, C11, I02, I07)."""
    sick = Event(1, 0, "stop", "acme-servers 0")
    assert run(sick, Event(1, step, "crash", "done" if step % 2 else ""))[0] == ""


@pytest.mark.parametrize("step", range(1, 60, 9))
def test_crashes_all_along_a_recreation(run: Run, step: int) -> None:
    """A recreation that dies at any step makes nothing twice (F24, F42, C04-C06, C12, C13, I04)."""
    gone, dies = Event(1, 0, "delete", "acme-subnet-a"), Event(1, step, "crash", "done" if step % 2 else "")
    assert run(gone, dies)[0] == ""
    assert run(Event(1, 0, "engine survives"), gone, dies)[0] == ""


@pytest.mark.parametrize("step", range(2, 130, 21))
def test_a_reconciler_that_slept_writes_nothing_more(run: Run, step: int) -> None:
    """One that is stopped at any step for longer than its lease finds that another has taken over (F27, F30, I05)."""
    sick, gone = Event(1, 0, "stop", "acme-servers 0"), Event(1, 0, "delete", "blue-table")
    assert run(sick, gone, Event(1, step, "sleep", "400"), Event(1, step + 5, "switch"))[0] == ""


@pytest.mark.parametrize("step", range(1, 120, 23))
def test_what_heals_itself_is_left_alone(run: Run, step: int) -> None:
    """Whenever somebody puts it right by hand, the repair that was planned for it writes nothing (I06)."""
    sick, drift = Event(1, 0, "stop", "acme-servers 0"), Event(1, 0, "drift", "blue-vpc")
    assert run(sick, drift, Event(1, step, "heal"))[0] == ""


@pytest.mark.parametrize("step", range(1, 120, 23))
def test_a_pause_stops_at_any_step(run: Run, step: int) -> None:
    """No write begins after a pause of the cell is recorded (I14)."""
    sick, gone = Event(1, 0, "stop", "acme-servers 0"), Event(1, 0, "delete", "blue-table")
    assert run(sick, gone, Event(1, step, "pause"), turns=2)[0] == ""


@pytest.mark.parametrize("victim", ["acme-bucket", "acme-vpc", "blue-vpc"])
def test_an_engine_that_would_do_more_is_refused(run: Run, victim: str) -> None:
    """A preview that would replace or delete anything refuses the repair (I08, I10)."""
    drifts = Event(1, 0, "drift", "acme-bucket"), Event(1, 0, "drift", "acme-vpc")
    what, counts = run(*drifts, Event(1, 0, "surprise", victim, 9))
    assert what == ""
    assert counts["met surprise"] > 0


@pytest.mark.parametrize("trouble", ["stale", "read truncated"])
@pytest.mark.parametrize("step", range(2, 11, 2))
def test_what_was_cut_off_is_not_settled_by_old_answers(run: Run, step: int, trouble: str) -> None:
    """Answers that are old or cut off, met while a cut-off creation is looked for, make nothing twice, neither at its
    first cut nor at the next (F06, F08, F42, I06)."""
    cut, met = Event(2, 0, "pending create", "blue-firewall"), Event(2, step, trouble, "", 2)
    assert run(cut, met, turns=2)[0] == ""
    assert run(cut, replace(cut, turn=4), replace(met, turn=4), turns=4)[0] == ""


def test_nobody_is_asked_for_what_no_record_holds(run: Run) -> None:
    """What an update lost before any pass could keep what was declared is not looked for (F42)."""
    cut = Event(2, 0, "pending create", "acme-subnet-a")
    assert run(Event(1, 4, "store fails", "write", 2), cut, turns=2)[0] == ""


@pytest.mark.parametrize("step", range(34, 46, 2))
def test_a_group_that_grows_meanwhile_loses_no_healthy_server(run: Run, step: int) -> None:
    """However old the look at a group is before the engine sets its size, the engine takes out no healthy server (F08,
    F52, I02)."""
    larger = Event(1, 0, "resize", "acme-servers")
    assert run(larger, Event(1, step, "stale", "", 3))[0] == ""
    assert run(Event(1, 0, "delete", "acme-firewall"), replace(larger, step=step))[0] == ""


@pytest.mark.parametrize("step", range(8, 16))
def test_an_old_answer_takes_out_no_healthy_server(run: Run, step: int) -> None:
    """What a refresh left too large is made smaller by what is seen twice, not by one old answer (F08, I02)."""
    image, dies = Event(1, 0, "new image"), Event(2, 90, "crash", "done")
    stopped, met = Event(3, 0, "stop", "acme-servers 2"), Event(3, step, "stale", "", 2)
    assert run(image, dies, stopped, met, turns=3)[0] == ""


def test_what_is_told_as_gone_is_told_once() -> None:
    """What names something that is gone and told counts as told; what names it wrongly otherwise does not."""
    world = World(2, 3, BASES[0])
    subnet, group = (next(u for u in world.program if u.endswith(f"::{n}")) for n in ("acme-subnet-a", "acme-servers"))
    world.live.pop(subnet)
    world.forget(subnet)
    assert world.differing(group) == ["vpcZoneIdentifiers"]
    assert world.only_names_lost(group, told={subnet})
    assert not world.only_names_lost(group, told={group})
    world.live[group].props["vpcZoneIdentifiers"] = ["elsewhere"]
    assert not world.only_names_lost(group, told={subnet})
    world.create(subnet, record=True)
    assert not world.only_names_lost(group, told={subnet})


def test_many_things_at_once_are_left_to_a_person(run: Run) -> None:
    """Above the breaker's share nothing is written, however long it lasts (I03)."""
    what, counts = run(Event(1, 0, "many at once", "acme", 8), turns=2)
    assert what == ""
    assert counts["writes"] == 0


def test_a_dry_run_and_a_run_for_one_tenant_keep_to_themselves(run: Run) -> None:
    """A dry run writes nothing, a run for one tenant nothing of another (I10, I15)."""
    drifts = Event(1, 0, "drift", "acme-vpc"), Event(1, 0, "drift", "blue-vpc")
    assert run(*drifts, Event(1, 0, "dry run"), Event(2, 0, "one tenant", "acme"), turns=2)[0] == ""


def test_somebody_who_fights_is_not_fought_for_ever(run: Run) -> None:
    """What is changed back each time is repaired a few times in the window, then handed to a person (F52, I11)."""
    fight = Event(1, 0, "fight", "acme-table")
    what, counts = run(fight, turns=6)
    assert what == ""
    assert counts["outcome escalate: escalated"] > 0


def test_a_failure_is_made_short() -> None:
    """Of a history that fails only what it needs to fail is left."""
    noise = [Event(1, 0, "drift", "blue-vpc"), Event(1, 0, "resume"), Event(2, 0, "drift", "acme-vpc")]
    bad = Event(1, 0, "breaks an invariant")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("simulator.events.happen", lambda _runner, _event: None)
        patch.setattr("simulator.runner.ROWS", {e.kind: () for e in [*noise, bad]})
        patch.setattr("simulator.runner.happen", _breaks)
        short = shrunk(Failed(history(*noise, bad, turns=3), "X99: broken"))
    assert short.history.events == (bad,)
    assert short.history.turns == 1


def _breaks(_runner: object, event: Event) -> None:
    if event.kind == "breaks an invariant":
        raise Violation("X99: broken")

"""What the record can explain: anything it ever held, what is under way, and what it does not keep any more."""

from __future__ import annotations

from dataclasses import replace

import pytest
from sqlalchemy import update

from reconciler.errors import ConfigurationError
from reconciler.explain import explain
from reconciler.model import Finding, Outcome, Plan, Repair, Status
from reconciler.present.documents import outcome_document, plan_document
from reconciler.record.journal import Journal
from reconciler.record.lease import Lease
from reconciler.record.schema import RUNS
from reconciler.record.store import RUNS_WITH_FINDINGS, Store
from tests.unit.plan_worlds import cell, finding, resource, scan
from tests.unit.record_worlds import Time
from tests.unit.test_deciding import decider

ACME, OTHER = resource("a", "acme"), resource("b", "other")


def planned(store: Store) -> tuple[Plan, Repair]:
    """A plan of one repair and one deferral."""
    observed = {"tenant": "other", "mode": "observe"}
    made = decider(store, modes=[observed]).plan(scan(cell(ACME, OTHER), finding(ACME), finding(OTHER)))
    (repair,) = made.repairs
    return made, repair


def begun(store: Store, run_id: str, made: Plan) -> Journal:
    """A pass that has planned and is about to act."""
    store.begin_run(run_id, "dev", "repair", actor="me")
    store.note_run(run_id, summary={"plan": plan_document(made)}, findings=[finding(ACME), finding(OTHER)])
    return Journal(Lease.acquire(store, "dev", seconds=60, actor="me"), run_id=run_id, actor="me")


def ended(repair: Repair, status: Status = Status.HEALED) -> Outcome:
    return Outcome(repair.id, repair.strategy, repair.urns, status, 1.0, "", repair.tenant, repair.finding_ids)


def finished(store: Store, run_id: str, made: Plan, done: Outcome) -> None:
    summary = {"plan": plan_document(made), "outcomes": [outcome_document(done)]}
    store.finish_run(run_id, summary=summary, findings=[finding(ACME), finding(OTHER)], actor="me")


def later_passes(store: Store, time: Time, count: int) -> None:
    for number in range(count):
        time.passed += 1
        store.begin_run(f"later-{number}", "dev", "repair", actor="me")
        store.finish_run(f"later-{number}", summary={}, findings=(), actor="me")


def kinds(store: Store, identity: str) -> list[str]:
    return [step.kind for step in explain(store, "dev", identity).steps]


def test_what_is_old_is_explained(store: Store, time: Time) -> None:
    """However many passes came after: the repair, its finding, the plan, and what was deferred and why."""
    made, repair = planned(store)
    journal = begun(store, "first", made)
    journal.conclude(journal.intend(repair), ended(repair, Status.REFUSED))
    finished(store, "first", made, ended(repair, Status.REFUSED))
    later_passes(store, time, 205)
    assert set(kinds(store, repair.id)) == {"repair", "outcome"}
    assert set(kinds(store, repair.finding_ids[0])) == {"repair", "outcome"}
    assert set(kinds(store, made.id)) == {"repair", "deferral", "outcome"}
    assert kinds(store, made.deferrals[0].id) == ["deferral"]
    answer = explain(store, "dev", repair.id)
    assert (answer.about, answer.pruned) == ((), f"findings are kept in full for {RUNS_WITH_FINDINGS} passes; "
            "what was seen of 1 of the 1 behind it is not any more")  # fmt: skip
    assert "what was seen of it is not any more" in explain(store, "dev", repair.finding_ids[0]).pruned


def test_what_is_under_way_is_explained(store: Store, time: Time) -> None:
    """Before the pass ends: the repair in progress since when and why, its finding in full, and what is deferred."""
    made, repair = planned(store)
    begun(store, "first", made).intend(repair)
    answer = explain(store, "dev", repair.id)
    assert [s.kind for s in answer.steps] == ["in progress", "repair"]
    assert f"in progress since {store.clock.now():%Y-%m-%d %H:%M:%S} UTC: " in answer.steps[0].document["reason"]
    assert [f.id for f in answer.about] == list(repair.finding_ids)
    assert explain(store, "dev", repair.finding_ids[0]).finding == finding(ACME)
    assert kinds(store, made.deferrals[0].id) == ["deferral"]
    time.passed += 61
    assert kinds(store, repair.id) == ["cut off", "repair"]


def test_a_repair_that_another_pass_concluded_is_told_once(store: Store, time: Time) -> None:
    """The pass that began it was killed; its successor's outcome is the one there is."""
    made, repair = planned(store)
    number = begun(store, "killed", made).intend(repair)
    time.passed += 61
    store.begin_run("next", "dev", "repair", actor="me")
    journal = Journal(Lease.acquire(store, "dev", seconds=60, actor="me"), run_id="next", actor="me")
    journal.conclude(number, ended(repair, Status.INTERRUPTED))
    assert kinds(store, repair.id) == ["outcome", "repair"]
    finished(store, "next", replace(made, repairs=()), ended(repair, Status.INTERRUPTED))
    assert kinds(store, repair.id) == ["outcome", "repair"]


def test_the_journal_answers_where_passes_were_pruned(store: Store, time: Time) -> None:
    """Without the summaries of old passes a repair is still told with its strategy, reason and outcome."""
    made, repair = planned(store)
    journal = begun(store, "first", made)
    journal.conclude(journal.intend(repair), ended(repair))
    finished(store, "first", made, ended(repair))
    later_passes(store, time, 2)
    pruned(store)
    (step,) = explain(store, "dev", repair.id).steps
    assert (step.kind, step.document["status"], step.run_id) == ("outcome", "healed", "first")
    assert kinds(store, repair.finding_ids[0]) == ["outcome"]


def test_the_ledger_answers_where_nothing_else_does(store: Store, time: Time) -> None:
    """A deferral of a pruned pass, and a finding that nobody planned for, are told as the ledger has them."""
    made, repair = planned(store)
    begun(store, "first", made)
    finished(store, "first", made, ended(repair))
    seen: list[Finding] = [finding(OTHER, property_="never planned")]
    for number in range(3):
        time.passed += 1
        store.begin_run(f"scan-{number}", "dev", "scan", actor="me")
        store.finish_run(f"scan-{number}", summary={}, findings=seen, actor="me")
    later_passes(store, time, RUNS_WITH_FINDINGS + 4)
    pruned(store)
    answer = explain(store, "dev", made.deferrals[0].id)
    assert (answer.steps[0].kind, answer.steps[0].document["code"]) == ("deferral", "mode")
    assert "only the ledger" in answer.pruned
    last, first = explain(store, "dev", seen[0].id).steps
    assert (last.run_id, first.run_id) == ("scan-2", "scan-0")
    assert last.document["reason"] == "the pass saw it failing"


@pytest.mark.parametrize("wanted", ["", "%", "f-", "r-%", "nonsense", 'r-1"', "r-000000000000", "f-000000000000"])
def test_what_was_never_recorded_is_an_error(store: Store, wanted: str) -> None:
    """A made-up id, or what is none, explains nothing and says what ids look like or where they are shown."""
    made, repair = planned(store)
    begun(store, "first", made).intend(repair)
    with pytest.raises(ConfigurationError, match="stackmend scan"):
        explain(store, "dev", wanted)


def pruned(store: Store) -> None:
    """As if old passes had been cleared of what they planned and did."""
    with store.write() as connection:
        connection.execute(update(RUNS).values(summary="{}"))

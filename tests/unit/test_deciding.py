"""The deciding half of a cycle on a real store: what people decide reaches the next plan, and nothing else does."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from reconciler import deciding
from reconciler.deciding import Deciding
from reconciler.decisions import Breaker, Cause
from reconciler.errors import ConfigurationError
from reconciler.explain import explain
from reconciler.model import Finding, Outcome, Plan, Repair, Scan, Status, Urn, Verdict
from reconciler.plan import planner
from reconciler.present import history
from reconciler.present.documents import plan_document
from reconciler.record import ledger, standing
from reconciler.record.journal import Journal
from reconciler.record.lease import Lease
from reconciler.record.sightings import sight
from reconciler.record.store import Store
from reconciler.settings import Settings
from reconciler.wiring import policy_of
from tests.unit.plan_worlds import KINDS, cell, finding, resource, scan
from tests.unit.record_worlds import START, Time, open_store
from tests.unit.test_present_output import shown

ACME, OTHER = resource("a", "acme"), resource("o", "other")
ASK = {"tenant": "*", "mode": "propose"}


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    for name in [n for n in os.environ if n.startswith("STACKMEND_")]:
        monkeypatch.delenv(name)
    with Store.open(f"sqlite:///{tmp_path}/dev.db") as opened:
        yield opened


def decider(store: Store, **tables: object) -> Deciding:
    return Deciding(Settings(cell="dev", **tables), store, KINDS, lambda: datetime.now(UTC), actor="me@here")  # type: ignore[arg-type]


def passed(store: Store, by: Deciding, of: Scan, kind: str = "plan") -> Plan:
    """One pass as the cycle makes it: begun, planned, recorded."""
    number = len(store.runs("dev", limit=1000))
    of = replace(of, run_id=f"run-{number}")
    store.begin_run(of.run_id, "dev", kind, actor="me")
    made = by.plan(of)
    store.finish_run(of.run_id, summary={"plan": plan_document(made)}, findings=of.findings, actor="me")
    return made


def test_a_plan_that_looked_before_a_breaker_opened_does_not_close_it(store: Store) -> None:
    """A service opens it while somebody's plan, which looked before, is under way: only a later look closes it."""
    bad = [resource(f"bad-{i}") for i in range(12)]
    world, by = cell(*bad), decider(store)
    fine = scan(world, *(finding(r, verdict=Verdict.PASS) for r in world.resources.values()))
    before = replace(fine, observed=replace(fine.observed, at=datetime.now(UTC)))
    passed(store, by, scan(world, *map(finding, bad)))
    opened = {(b.tenant, b.cause) for b in by.breakers()}
    assert opened
    passed(store, by, before)
    assert {(b.tenant, b.cause) for b in by.breakers()} == opened
    passed(store, by, replace(fine, observed=replace(fine.observed, at=datetime.now(UTC))))
    assert {b.cause for b in by.breakers()} <= {Cause.STORM}


def test_what_another_pass_opens_while_a_plan_is_made_stays(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is stored after the plan has read what stands, and the plan must not overwrite what it never knew."""
    opened = Breaker(None, Cause.FAILING, frozenset({"x"}), "12 of 52", datetime.now(UTC), "breaker.share")

    def slowly(*args: Any, **more: Any) -> Plan:
        standing.save_breakers(store, "dev", [opened], actor="the service")
        return planner.plan(*args, **more)

    monkeypatch.setattr(deciding, "plan", slowly)
    passed(store, decider(store), scan(cell(ACME)))
    assert [b.keys for b in standing.breakers(store, "dev")] == [{"x"}]


def test_an_approved_plan_is_carried_out_by_the_next_pass(store: Store) -> None:
    """From the id that the plan shows to repairs under the approval of a named person."""
    by, of = decider(store, modes=[ASK]), scan(cell(ACME), finding(ACME))
    shown_plan = passed(store, by, of)
    given = by.approve(shown_plan.id, note="CHG-1", seconds=None, who="Ana")
    assert given.who == "me@here as Ana"
    assert (given.expires - given.at).total_seconds() == 3600
    (repair,) = passed(store, by, of, "repair").repairs
    assert repair.approval == given.number
    assert "approved by me@here as Ana: CHG-1" in repair.reason


@pytest.mark.parametrize("name", ["A" * 100, "password:", "token=x", "\u202e" * 100, "-----BEGIN PRIVATE KEY-----"])
def test_a_name_that_is_given_never_hides_the_account(store: Store, name: str) -> None:
    """I13: however long or secret-looking it is, the account stands in the approval, the word and the ledger."""
    by = decider(store, modes=[ASK])
    shown_plan = passed(store, by, scan(cell(ACME), finding(ACME)))
    assert by.approve(shown_plan.id, note="", seconds=None, who=name).who.startswith("me@here as ")
    standing.save_breakers(store, "dev", [Breaker(None, Cause.FAILING, frozenset({"x"}), "r", START)], actor="x")
    (word,) = by.acknowledge(None, reason="known", seconds=None, who=name)
    assert word.who.startswith("me@here as ")
    assert [e.actor.partition(" as ")[0] for e in ledger.entries(store)][-3:] == ["me@here", "x", "me@here"]


def test_a_name_too_long_is_refused(store: Store) -> None:
    """It would not fit beside the account; the error says how long it may be."""
    by = decider(store, modes=[ASK])
    shown_plan = passed(store, by, scan(cell(ACME), finding(ACME)))
    with pytest.raises(ConfigurationError, match="--as has 101 characters, allowed are 100"):
        by.approve(shown_plan.id, note="", seconds=None, who="A" * 101)
    assert standing.approvals(store, "dev") == ()


@pytest.mark.parametrize("wanted", ["p-000000000000", "p-", "", "p-%", "nonsense"])
def test_only_a_plan_that_was_shown_can_be_approved(store: Store, wanted: str) -> None:
    """A made-up or empty id is an error, and nothing is approved."""
    by = decider(store, modes=[ASK])
    passed(store, by, scan(cell(ACME), finding(ACME)))
    with pytest.raises(ConfigurationError, match="knows no plan"):
        by.approve(wanted, note="", seconds=None, who=None)


def test_what_is_fought_over_is_known(store: Store) -> None:
    """Only a property that was healed as often as allowed and is set back again: not before, nor another one (I11)."""
    by, failed = decider(store, retry={"fight_limit": 2}), finding(ACME)
    lease = Lease.acquire(store, "dev", seconds=60, actor="me")
    journal = Journal(lease, run_id="run", actor="me")
    repair = Repair("reapply", "acme", (ACME.urn,), (failed.id,), "it drifted")
    ended = Outcome(repair.id, "reapply", repair.urns, Status.HEALED, 1.0, finding_ids=repair.finding_ids)
    both = scan(cell(ACME, OTHER), failed, finding(OTHER))
    for fought in (set[Urn](), {ACME.urn}):
        journal.conclude(journal.intend(repair), ended)
        assert by.fought_over(both) == fought
    assert by.fought_over(scan(cell(ACME, OTHER), finding(ACME, property_="q"), finding(OTHER))) == frozenset()


def test_what_is_under_way_is_known(store: Store) -> None:
    """I03: a repair whose intent is open counts in the hour's budget of the next plan, and not once it has ended."""
    by, hour = decider(store, budget={"hour": 1}), scan(cell(ACME, OTHER), finding(ACME))
    journal = Journal(Lease.acquire(store, "dev", seconds=60, actor="me"), run_id="run", actor="me")
    repair = Repair("reapply", "other", (OTHER.urn,), ("f-1",), "it drifted")
    number = journal.intend(repair)
    assert [d.setting for d in passed(store, by, hour).deferrals] == ["budget.hour"]
    journal.conclude(number, Outcome(repair.id, "reapply", repair.urns, Status.REFUSED, 1.0))
    assert passed(store, by, hour).repairs


def test_a_plan_without_proposals_needs_no_approval(store: Store) -> None:
    """It says so, and does not pretend to have approved anything."""
    by = decider(store)
    made = passed(store, by, scan(cell(ACME), finding(ACME)))
    with pytest.raises(ConfigurationError, match="proposes nothing"):
        by.approve(made.id, note="", seconds=None, who=None)


def test_an_open_breaker_is_kept_and_can_be_acknowledged(store: Store) -> None:
    """It is open in the next process too; after a person's word on it repairs go on."""
    bad = [resource(f"bad-{i}") for i in range(12)]
    world = cell(*bad, *(resource(f"o-{t}", tenant=t) for t in ("x", "y", "z")))
    of = scan(world, *map(finding, bad), *(finding(r, verdict=Verdict.PASS) for r in world.resources.values()))
    assert passed(store, decider(store), of).repairs == ()
    again = decider(store)
    assert {b.tenant for b in again.breakers()} == {"acme"}
    with pytest.raises(ConfigurationError, match="Open are those of: acme"):
        again.acknowledge(None, reason="known", seconds=None, who=None)
    given = again.acknowledge("acme", reason="known", seconds=60, who=None)
    assert {a.who for a in given} == {"me@here"}
    assert passed(store, again, of).repairs
    with pytest.raises(ConfigurationError, match="None is open"):
        again.acknowledge("acme", reason="again", seconds=None, who=None)


def test_a_fresh_store_is_no_upgrade(store: Store) -> None:
    """The very first pass of a cell may repair."""
    by = decider(store)
    assert passed(store, by, scan(cell(ACME), finding(ACME)), "repair").repairs


def test_after_an_upgrade_the_first_whole_pass_only_looks(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another program on the same store: nothing until a pass over the whole cell has been made by it."""
    by, of = decider(store), scan(cell(ACME), finding(ACME))
    by.watched(whole=False)
    passed(store, by, of, "repair")
    assert passed(store, by, of, "repair").repairs
    monkeypatch.setattr(deciding, "this_program", lambda: "99 with rules 0")
    for _ in range(2):
        first = passed(store, by, of, "repair")
        assert (first.repairs, {d.code for d in first.deferrals}) == ((), {"upgrade"})
        assert "99 with rules 0" in first.deferrals[0].reason
        by.watched(whole=False)
    by.watched(whole=True)
    assert passed(store, by, of, "repair").repairs


def test_a_store_that_never_noted_its_program_was_upgraded(store: Store) -> None:
    """A record that an older version made passes in is no fresh one."""
    by, of = decider(store), scan(cell(ACME), finding(ACME))
    passed(store, by, of, "repair")
    assert {d.code for d in passed(store, by, of, "repair").deferrals} == {"upgrade"}


@pytest.mark.parametrize("table", ["modes", "windows", "freezes"])
@pytest.mark.parametrize("selector", [{"tenant": "acmee"}, {"tenant": "zz*"}, {"rule": "drift.propertie"}])
def test_a_selector_of_what_there_is_not_is_an_error(store: Store, table: str, selector: dict[str, str]) -> None:
    """B22 B20: a misspelt tenant or rule would leave unrestricted what was meant; it stops the plan."""
    entry: dict[str, object] = {
        "modes": {"mode": "observe"},
        "windows": {"days": ["*"], "start": "01:00", "end": "02:00", "zone": "UTC"},
        "freezes": {"start": "2026-01-01T00:00:00Z", "end": "2026-01-02T00:00:00Z", "reason": "x"},
    }[table]  # type: ignore[assignment]
    by = decider(store, **{table: [{**entry, **selector}]})
    with pytest.raises(ConfigurationError, match=rf"entry 1 of \[\[{table}\]\].*{next(iter(selector.values()))[:4]}"):
        by.plan(scan(cell(ACME, OTHER), finding(ACME)))


def test_selectors_of_what_there_is_are_taken(store: Store) -> None:
    """Exact names, patterns that fit something, and everything."""
    for selector in ({"tenant": "acme"}, {"tenant": "a*"}, {"tenant": "*"}, {"rule": "drift.*"}):
        by = decider(store, modes=[{**selector, "mode": "observe"}])
        assert by.plan(scan(cell(ACME, OTHER), finding(ACME))).repairs == ()


def test_explain_answers_for_deferrals_proposals_and_plans(store: Store) -> None:
    """By finding, by deferral and by plan: why, by which entry and setting, and with what finding behind it."""
    by = decider(store, modes=[ASK, {"tenant": "other", "mode": "observe"}])
    made = passed(store, by, scan(cell(ACME, OTHER), finding(ACME), finding(OTHER)))
    (deferral,) = made.deferrals
    (proposal,) = made.proposals
    answer = explain(store, "dev", deferral.id)
    (step,) = answer.steps
    assert (step.kind, step.document["setting"]) == ("deferral", "modes[2].mode")
    assert [f.id for f in answer.about] == list(deferral.finding_ids)
    assert "the most restrictive one counts" in step.document["reason"]
    assert "[2]" in shown(history.explanation_table(answer))
    assert [s.kind for s in explain(store, "dev", proposal.id).steps] == ["proposal"]
    assert {s.kind for s in explain(store, "dev", made.id).steps} == {"proposal", "deferral"}
    assert {s.kind for s in explain(store, "dev", deferral.finding_ids[0]).steps} == {"deferral"}
    with pytest.raises(ConfigurationError, match="knows no finding, repair, deferral or plan"):
        explain(store, "dev", "d-000000000000")


def test_history_lists_what_waits(store: Store) -> None:
    """The proposals of each pass, with the plan to approve."""
    made = passed(store, decider(store, modes=[ASK]), scan(cell(ACME), finding(ACME)))
    assert f"1 in {made.id}" in shown(history.history_table(store.runs("dev")))


def test_every_setting_reaches_the_policy() -> None:
    """The planner's rules come from the settings, not from defaults that happen to be equal."""
    made = policy_of(
        Settings(
            cell="dev",
            budget={"tier": {"gold": 3}, "kind": {"drift": "10%"}, "hour": 7, "repairs": 8, "zones": 2},  # type: ignore[arg-type]
            breaker={"missing_share": 0.3, "missing_minimum": 9, "repair_share": 0.4, "repair_minimum": 6,
                     "storm_findings": 11, "cooldown_seconds": 12},  # type: ignore[arg-type]
            retry={"backoff_seconds": 13, "backoff_longest_seconds": 14, "fight_limit": 15, "unfinished_limit": 16,
                   "fight_window_seconds": 160},  # type: ignore[arg-type]
        ), {}
    )  # fmt: skip
    assert (made.budget_tier["gold"].count, made.budget_kind["drift"].share) == (3, 0.1)
    assert (made.budget_hour.count, made.budget_repairs.count, made.zones_at_once) == (7, 8, 2)
    assert (made.missing_share, made.missing_minimum, made.repair_share, made.repair_minimum) == (0.3, 9, 0.4, 6)
    assert (made.storm_findings, made.cooldown.total_seconds(), made.fight_limit) == (11, 12, 15)
    assert made.unfinished_limit == 16
    spans = (made.backoff, made.backoff_longest, made.fight_window)
    assert [s.total_seconds() for s in spans] == [13, 14, 160]


@pytest.mark.parametrize("kind", ["scan", "plan", "repair"])
def test_what_is_new_does_not_depend_on_who_looked(tmp_path: Path, kind: str) -> None:
    """T08: a look a minute ago, by whatever kind of pass, makes a storm no smaller; after the cool-down the same
    findings are none, though many passes over other resources came in between."""
    time = Time()
    with open_store(tmp_path, time) as store:
        tables = {"breaker": {"storm_findings": 2, "cooldown_seconds": 300}}
        by = Deciding(Settings(cell="dev", **tables), store, KINDS, store.clock.now, actor="me")  # type: ignore[arg-type]
        found, elsewhere = [finding(ACME, property_=f"p{i}") for i in range(3)], finding(OTHER)

        def codes_of(*findings: Finding, kind: str = "repair", whole: bool = True) -> set[str]:
            sight(store, "dev", findings, every=whole)
            made = passed(store, by, scan(cell(ACME, OTHER), *findings), kind)
            return {d.code for d in made.deferrals}

        blind = [replace(f, verdict=Verdict.UNKNOWN) for f in found]
        by.watched(whole=True)
        assert codes_of(*blind, kind=kind) == {"unknown"}
        codes_of(*found, kind=kind)
        time.passed += 60
        assert codes_of(*found) == {"cool-down"}
        for _ in range(20):
            time.passed += 20
            codes_of(elsewhere, whole=False)
        assert codes_of(*found, elsewhere) == set()

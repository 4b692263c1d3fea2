"""Runs, findings, pauses and baselines: what people and later passes ask for."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import pytest

from reconciler.errors import StoreError
from reconciler.model import AcceptedBy, Kind, Secret, Unreadable, Verdict
from reconciler.record import search
from reconciler.record import store as store_module
from reconciler.record.ledger import entries
from reconciler.record.store import Store
from tests.unit.record_worlds import START, Time, finding, open_store


def test_a_run_is_there_from_its_beginning(store: Store, time: Time) -> None:
    """A run is listed while it goes on, without an end; killed, it stays so, which tells that it was."""
    store.begin_run("r1", "dev", "scan", actor="ci")
    time.passed += 5
    store.begin_run("r2", "dev", "repair", actor="ci")
    store.begin_run("r3", "prod", "scan", actor="ci")
    time.passed += 5
    store.finish_run("r2", summary={"healed": 2}, findings=(), actor="ci")
    newest, oldest = store.runs("dev")
    assert (newest.run_id, newest.kind, newest.summary) == ("r2", "repair", {"healed": 2})
    assert newest.finished == newest.started + timedelta(seconds=5)
    assert (oldest.run_id, oldest.finished) == ("r1", None)
    assert [run.run_id for run in store.runs("dev", limit=1)] == ["r2"]


@pytest.mark.parametrize("run_id", ["r1", "r2"])
def test_a_run_ends_once_and_only_if_it_began(store: Store, run_id: str) -> None:
    """The end of a run that never began, or has ended, is refused."""
    store.begin_run("r1", "dev", "scan", actor="ci")
    store.finish_run("r1", summary={}, findings=(), actor="ci")
    with pytest.raises(StoreError, match=f"run {run_id}"):
        store.finish_run(run_id, summary={}, findings=(), actor="ci")


def test_what_a_pass_decided_is_there_before_it_ends(store: Store) -> None:
    """What was noted is kept when the pass fails, with the reason, and replaced when it ends."""
    for run_id in ("r1", "r2"):
        store.begin_run(run_id, "dev", "repair", actor="ci")
        store.note_run(run_id, summary={"plan": {"id": "p-1"}}, findings=[finding("a"), finding("b", Verdict.PASS)])
        assert store.findings(run_id) == (finding("a"),)
    store.fail_run("r1", "password=hunter2hunter2 was wrong", actor="ci")
    store.finish_run("r2", summary={"healed": 1}, findings=[finding("c")], actor="ci")
    done, failed = sorted(store.runs("dev"), key=lambda run: run.failed)
    assert (done.summary, done.failed, store.findings("r2")) == ({"healed": 1}, "", (finding("c"),))
    assert (failed.summary["plan"], failed.finished) == ({"id": "p-1"}, None)
    assert "hunter2" not in failed.failed + entries(store)[-2].payload
    assert not [e for e in entries(store) if e.event == "run failed" and "hunter2" in e.payload]


def test_findings_come_back_as_they_were(store: Store) -> None:
    """What did not pass is kept whole and in order, with the same ids; what passed is only counted."""
    accepted = AcceptedBy("kim", "known", START + timedelta(days=30))
    kept = [
        finding("a", declared={"Name": "a"}, observed=None),
        finding("b", Verdict.UNKNOWN, kind=Kind.HEALTH, tenant=None),
        finding("c", accepted=accepted, declared=[1, 2.5, True], observed="x"),
    ]
    store.begin_run("r1", "dev", "scan", actor="ci")
    store.finish_run("r1", summary={}, findings=[kept[0], finding("d", Verdict.PASS), *kept[1:]], actor="ci")
    assert store.findings("r1") == tuple(kept)
    assert [f.id for f in store.findings("r1")] == [f.id for f in kept]
    assert store.findings("nowhere") == ()


def test_the_ledger_tells_which_rule_held(store: Store) -> None:
    """For the auditor: each finished run has an entry with every rule's verdicts counted and what failed by id."""
    failing = finding("a")
    accepted = finding("b", accepted=AcceptedBy("kim", "known", START))
    store.begin_run("r1", "dev", "scan", actor="ci")
    findings = [failing, accepted, finding("c", Verdict.PASS), finding("d", Verdict.PASS, rule="imdsv2")]
    store.finish_run("r1", summary={"seconds": 1}, findings=findings, actor="ci")
    last = entries(store)[-1]
    payload = json.loads(last.payload)
    assert (last.event, last.actor) == ("run finished", "ci")
    assert payload["verdicts by rule"] == {"drift": {"FAIL": 2, "PASS": 1}, "imdsv2": {"PASS": 1}}
    assert (payload["failing"], payload["accepted"]) == ([failing.id], [accepted.id])


def test_values_lose_their_secrets_but_not_their_names(store: Store, tmp_path: Path) -> None:
    """I13: declared and observed values are scrubbed; identifiers, which findings are found by, are not touched."""
    leaking = finding(
        "a" * 36,
        declared=Secret(),
        observed={"masterPassword": "hunter2hunter2", "why": Unreadable("AccessDenied")},
        message="key AKIAIOSFODNN7EXAMPLE",
    )
    store.begin_run("r1", "dev", "scan", actor="ci")
    store.finish_run("r1", summary={"apiKey": "hunter2hunter2"}, findings=[leaking], actor="ci")
    (kept,) = store.findings("r1")
    assert (kept.declared, kept.message, kept.id) == ("[secret]", "key [secret]", leaking.id)
    assert kept.observed == {"masterPassword": "[secret]", "why": "[unknown: AccessDenied]"}
    on_disk = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert b"hunter2" not in on_disk


def test_a_finding_is_explained_by_its_last_sighting(store: Store, time: Time) -> None:
    """A finding is found by its id, or an unambiguous beginning of it, in the latest run that saw it in this cell."""
    for run_id, message in (("r1", "first"), ("r2", "second")):
        store.begin_run(run_id, "dev", "scan", actor="ci")
        store.finish_run(run_id, summary={}, findings=[finding("a", message=message)], actor="ci")
        time.passed += 60
    store.begin_run("r3", "dev", "scan", actor="ci")
    store.finish_run("r3", summary={}, findings=[finding("b")], actor="ci")
    found = store.finding("dev", finding("a").id)
    assert found is not None
    assert (found[0].run_id, found[1].message) == ("r2", "second")
    assert store.finding("dev", finding("a").id[:8]) == found
    assert store.finding("prod", finding("a").id) is None
    assert store.finding("dev", "%") is None
    with pytest.raises(StoreError, match="fits 2 findings"):
        store.finding("dev", "f-")


def test_old_runs_forget_their_findings(store: Store, time: Time, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the latest runs of a cell keep their findings, so that the store does not grow for ever; runs stay."""
    monkeypatch.setattr(store_module, "RUNS_WITH_FINDINGS", 2)
    for number in range(4):
        time.passed += 1
        for cell in ("dev", "prod"):
            store.begin_run(f"{cell}-{number}", cell, "scan", actor="ci")
            store.finish_run(f"{cell}-{number}", summary={}, findings=[finding("a")], actor="ci")
    assert [len(store.findings(f"dev-{number}")) for number in range(4)] == [0, 0, 1, 1]
    assert len(store.runs("dev")) == 4


def test_runs_keep_their_order_when_the_clock_is_set_back(store: Store, time: Time) -> None:
    """F37: the last run is the one that began last, in the history, in what was last seen and in what names an id."""
    for run_id in ("r1", "r2"):
        store.begin_run(run_id, "dev", "scan", actor="ci")
        store.finish_run(run_id, summary={"id": "p-1"}, findings=[finding("a", message=run_id)], actor="ci")
        time.wall_offset -= 3600
    assert [run.run_id for run in store.runs("dev")] == ["r2", "r1"]
    seen = store.finding("dev", finding("a").id)
    assert seen is not None
    assert (seen[0].run_id, seen[1].message) == ("r2", "r2")
    assert [run.run_id for run in search.runs(store, "dev", "p-1")] == ["r2", "r1"]


def test_a_run_that_ends_keeps_what_it_found(store: Store, time: Time, monkeypatch: pytest.MonkeyPatch) -> None:
    """F37: whether the clock was set back or so many others ended meanwhile, a run never forgets its own findings."""
    monkeypatch.setattr(store_module, "RUNS_WITH_FINDINGS", 2)
    store.begin_run("long", "dev", "repair", actor="ci")
    for number in range(3):
        time.wall_offset -= 60
        store.begin_run(f"r{number}", "dev", "scan", actor="ci")
        store.finish_run(f"r{number}", summary={}, findings=[finding()], actor="ci")
        assert store.findings(f"r{number}")
    store.finish_run("long", summary={}, findings=[finding()], actor="ci")
    assert [r.run_id for r in store.runs("dev") if store.findings(r.run_id)] == ["r2", "r1", "long"]


def test_a_pause_outlives_the_process(tmp_path: Path) -> None:
    """I14: a pause is in force after a restart, with who and why, until it is resumed."""
    with open_store(tmp_path) as store:
        store.pause("dev", reason="migration", who="kim")
        store.pause("dev", tenant="acme", reason="audit", who="lee")
        store.pause("dev", tenant="acme", reason="longer audit", who="lee")
    with open_store(tmp_path) as store:
        whole, tenant = store.pauses("dev")
        assert (whole.tenant, whole.reason, whole.who) == (None, "migration", "kim")
        assert (tenant.tenant, tenant.reason) == ("acme", "longer audit")
        assert store.pauses("prod") == ()
        assert store.resume("dev", who="kim")
        assert not store.resume("dev", who="kim")
        assert [pause.tenant for pause in store.pauses("dev")] == ["acme"]
        assert [entry.event for entry in entries(store)] == ["paused", "paused", "paused", "resumed"]


def test_a_pause_that_stands_is_left_as_it_is_where_that_is_asked(tmp_path: Path) -> None:
    """I14: what stackmend pauses by itself takes no person's pause of that tenant away, with its who, since and why."""
    with open_store(tmp_path) as store:
        store.pause("dev", tenant="acme", reason="legal hold", who="ana")
        before = store.pauses("dev")
        store.pause("dev", tenant="acme", reason="worse off", who="stackmend", replace=False)
        assert store.pauses("dev") == before
        store.pause("dev", tenant="globex", reason="worse off", who="stackmend", replace=False)
        store.pause("dev", reason="incident", who="ana", replace=False)
        assert [p.tenant for p in store.pauses("dev")] == [None, "acme", "globex"]


def test_a_baseline_is_kept_for_each_cell(store: Store) -> None:
    """The latest baseline of a cell comes back as it was given; saving the same one again writes nothing."""
    assert store.baseline("dev") is None
    store.save_baseline("dev", 3, {"resources": [1.5, None, "é"]}, actor="ci")
    store.save_baseline("dev", 3, {"resources": [1.5, None, "é"]}, actor="ci")
    store.save_baseline("prod", 7, {}, actor="ci")
    store.save_baseline("dev", 4, {"resources": []}, actor="ci")
    assert store.baseline("dev") == {"resources": []}
    assert store.baseline("prod") == {}
    assert [json.loads(entry.payload)["version"] for entry in entries(store)] == [3, 7, 4]


def test_who_and_why_cannot_forge_lines(store: Store) -> None:
    """T11, B44: names and reasons that people give are stored without characters that a terminal would obey."""
    store.pause("dev", reason="x\x1b[2J\nall is well", who="kim\r\nroot")
    (pause,) = store.pauses("dev")
    assert pause.reason == r"x\x1b[2J\nall is well"
    assert pause.who == r"kim\r\nroot"
    assert entries(store)[-1].actor == r"kim\r\nroot"

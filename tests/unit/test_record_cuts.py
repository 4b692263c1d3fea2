"""The record of creations that were cut off: once for each cut, in the ledger."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from reconciler.model import Urn
from reconciler.record.cuts import cuts, note
from reconciler.record.ledger import entries
from tests.unit.record_worlds import START, Time, open_store

GROUP, SUBNET = Urn("urn:a::group"), Urn("urn:a::subnet")


def test_each_cut_is_kept_once_and_by_cell(tmp_path: Path) -> None:
    """F42: an operation that stays open at pass after pass is one cut; a day later it is another; cells are apart."""
    time = Time(passed=0)
    with open_store(tmp_path, time) as store:
        note(store, "dev", [GROUP], actor="ci")
        time.passed = 600
        note(store, "dev", [GROUP, SUBNET], actor="ci")
        note(store, "dev", [], actor="ci")
        assert cuts(store, "dev") == {GROUP: START, SUBNET: START + timedelta(seconds=600)}
        assert cuts(store, "prod") == {}
        assert len([e for e in entries(store) if e.event == "create cut off"]) == 2
        time.passed = 3 * 86_400
        note(store, "dev", [GROUP], actor="ci")
        assert cuts(store, "dev")[GROUP] == START + timedelta(days=3)


def test_after_it_was_settled_the_next_cut_is_another_one(tmp_path: Path) -> None:
    """F42: a cut is known since it was first found, until the state no longer holds it; the next one begins anew."""
    time = Time(passed=0)
    with open_store(tmp_path, time) as store:
        assert note(store, "dev", [GROUP], actor="ci") == {GROUP: START}
        time.passed = 600
        assert note(store, "dev", [GROUP], actor="ci") == {GROUP: START}
        assert note(store, "dev", [], actor="ci") == {}
        assert cuts(store, "dev") == {GROUP: START}
        time.passed = 900
        assert note(store, "dev", [GROUP], actor="ci") == {GROUP: START + timedelta(seconds=900)}
        assert [e.event for e in entries(store)] == ["create cut off", "create settled", "create cut off"]

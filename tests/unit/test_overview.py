"""What ``stackmend status`` tells of the record."""

from __future__ import annotations

from pathlib import Path

from reconciler.overview import overview
from tests.unit.record_worlds import Time, open_store


def test_a_pass_for_an_event_does_not_hide_what_is_proposed(tmp_path: Path) -> None:
    """What waits for consent is what the last look at the whole cell proposed; a smaller one says nothing of it."""
    time = Time()
    with open_store(tmp_path, time) as store:
        passes: tuple[tuple[bool, list[str]], ...] = ((True, ["r-1"]), (False, []), (True, []))
        proposed = []
        for number, (whole, proposals) in enumerate(passes):
            time.passed += 10
            store.begin_run(f"run{number}", "dev", "repair", actor="ci")
            summary = {"plan": {"id": f"p-{number}", "proposals": proposals}, "whole": whole}
            store.finish_run(f"run{number}", summary=summary, findings=[], actor="ci")
            run = overview(store, "dev").proposed
            proposed.append(run.run_id if run else "")
    assert proposed == ["run0", "run0", ""]

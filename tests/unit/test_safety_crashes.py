"""A reconciler that dies without a word: what it leaves in the record never stands in the next one's way."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from reconciler.record.audit import verify
from reconciler.record.checkpoint import checkpoint
from reconciler.record.journal import Journal, open_intents
from reconciler.record.lease import Lease
from reconciler.record.process import this_process
from reconciler.record.store import Store
from tests.unit.record_worlds import repair

DIES = """
import os, sys
from reconciler.record.checkpoint import checkpoint
from reconciler.record.journal import Journal
from reconciler.record.lease import Lease
from reconciler.record.store import Store
from tests.unit.record_worlds import outcome, repair

store = Store.open(sys.argv[1])
lease = Lease.acquire(store, "dev", seconds=3600, actor="ci")
store.begin_run("r1", "dev", "repair", actor="ci")
"""
"""A reconciler up to where it holds the cell for an hour and has begun to look."""

CONCLUDES = """
journal = Journal(lease, run_id="r1", actor="ci")
journal.conclude(journal.intend(repair("urn:a")), outcome(repair("urn:a")))
"""
SIGNS = """
os.fsync = lambda _: os._exit(9)
checkpoint(store)
"""


def left_by(script: str, folder: Path) -> Store:
    """The store after a process that ended there without cleaning up."""
    url = f"sqlite:///{folder / 'dev.db'}"
    code = f"{DIES}{script}\nos._exit(9)"
    assert subprocess.run([sys.executable, "-c", code, url], check=False).returncode == 9
    return Store.open(url)


@pytest.mark.skipif(not this_process().boot, reason="only Linux tells whether a process is dead")
@pytest.mark.parametrize("script", ["", CONCLUDES], ids=["C02 C03 looking and planning", "C17 releasing the lease"])
def test_a_pass_that_died_between_its_writes_leaves_nothing_to_clean_up(script: str, tmp_path: Path) -> None:
    """C02 C03 C17 F24 I04: no intent is open, the ledger verifies, and the next one need not wait for the lease."""
    with left_by(script, tmp_path) as store:
        lease = Lease.acquire(store, "dev", seconds=60, actor="next")
        assert open_intents(store, "dev") == ()
        assert verify(store).valid
        Journal(lease, run_id="r2", actor="next").intend(repair("urn:a"))


def test_a_checkpoint_cut_off_is_made_again(tmp_path: Path) -> None:
    """C14 F24 I12: a process that dies while the first key gets to the disk leaves no half of a key behind."""
    with left_by(SIGNS, tmp_path) as store:
        assert not store.key.exists()
        made = checkpoint(store)
        assert verify(store, made).valid

"""The ledger: whatever happens to it is noticed, and it never holds a secret."""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.errors import LedgerCorrupt, StoreError
from reconciler.log import printable
from reconciler.model import Secret
from reconciler.record import ledger
from reconciler.record.audit import Integrity, verify
from reconciler.record.checkpoint import Checkpoint, checkpoint
from reconciler.record.ledger import Entry, entries
from reconciler.record.store import Store
from tests.unit.record_worlds import open_store

COLUMNS = ("at", "cell", "actor", "event", "payload", "prev_hash", "hash")
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


def append(store: Store, **payload: object) -> Entry:
    with store.write() as connection:
        return ledger.append(connection, store, cell="dev", actor="ci", event="note", payload=payload)


@contextmanager
def filled(count: int) -> Iterator[tuple[Store, Path]]:
    """A store with so many entries, and its file."""
    with tempfile.TemporaryDirectory() as folder, open_store(Path(folder)) as store:
        for i in range(count):
            append(store, number=i)
        yield store, Path(folder) / "dev.db"


def tamper(path: Path, statement: str, *values: object) -> None:
    """Change the file as somebody with access to it would, past the program."""
    connection = sqlite3.connect(path)
    try:
        connection.execute(statement, values)
        connection.commit()
    finally:
        connection.close()


@settings(max_examples=15, deadline=None)
@given(st.lists(st.dictionaries(st.text(max_size=5), JSON, max_size=3), max_size=5))
def test_whatever_is_appended_verifies(payloads: list[dict[str, object]]) -> None:
    """Any payload, with NaN, infinity, half surrogates or control characters too, gives a chain that verifies."""
    with tempfile.TemporaryDirectory() as folder, open_store(Path(folder)) as store:
        for payload in payloads:
            append(store, payload=payload)
        report = verify(store)
    assert (report.integrity, report.entries) == (Integrity.VALID, len(payloads))


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 5), st.sampled_from(COLUMNS), st.integers(0, 200), st.integers(1, 255))
def test_any_changed_byte_is_found(seq: int, column: str, position: int, flip: int) -> None:
    """F35: one byte of any column of any entry changed makes that entry the first that is wrong."""
    with filled(5) as (store, path):
        raw = bytearray(str(getattr(entries(store)[seq - 1], column)).encode())
        raw[position % len(raw)] ^= flip
        tamper(path, f"UPDATE ledger SET {column} = CAST(? AS TEXT) WHERE seq = ?", bytes(raw), seq)  # noqa: S608
        report = verify(store)
    assert report.integrity in {Integrity.INVALID, Integrity.TORN}
    assert (report.seq, report.entries) == (seq, seq - 1)


@pytest.mark.parametrize("value", [5, 0.5, b"\x00bytes", b"\xff\xfe"])
def test_a_value_of_another_kind_is_found(value: object) -> None:
    """A column replaced by something that is no text is an invalid entry, not a crash of the verification."""
    with filled(3) as (store, path):
        tamper(path, "UPDATE ledger SET payload = ? WHERE seq = 2", value)
        assert verify(store).integrity is Integrity.INVALID


@pytest.mark.parametrize("seq", [1, 2, 4])
def test_an_entry_taken_out_is_a_gap(seq: int) -> None:
    """An entry missing at the beginning or in the middle is told from an edited one, with its number."""
    with filled(5) as (store, path):
        tamper(path, "DELETE FROM ledger WHERE seq = ?", seq)
        report = verify(store)
    assert (report.integrity, report.seq) == (Integrity.GAP, seq)


def test_closing_the_gap_by_renumbering_is_found() -> None:
    """The number is part of the hash, so moving the later entries up does not hide a deletion."""
    with filled(4) as (store, path):
        tamper(path, "DELETE FROM ledger WHERE seq = 2")
        tamper(path, "UPDATE ledger SET seq = 2 WHERE seq = 3")
        tamper(path, "UPDATE ledger SET seq = 3 WHERE seq = 4")
        report = verify(store)
    assert (report.integrity, report.seq) == (Integrity.INVALID, 2)


@settings(max_examples=10, deadline=None)
@given(st.permutations([1, 2, 3, 4]).filter(lambda p: p != [1, 2, 3, 4]))
def test_entries_in_another_order_are_found(order: list[int]) -> None:
    """Putting entries into another order, numbers left in place, is found at the first one moved."""
    with filled(4) as (store, path):
        originals = entries(store)
        for seq, source in enumerate(order, 1):
            for column in COLUMNS:
                moved = getattr(originals[source - 1], column)
                tamper(path, f"UPDATE ledger SET {column} = ? WHERE seq = ?", moved, seq)  # noqa: S608
        report = verify(store)
    first = next(i for i, (got, wanted) in enumerate(zip(order, [1, 2, 3, 4], strict=True), 1) if got != wanted)
    assert (report.integrity, report.seq) == (Integrity.INVALID, first)


def test_an_entry_added_before_the_first_is_found() -> None:
    """An entry smuggled in with a number below one is not skipped."""
    with filled(2) as (store, path):
        tamper(
            path, "INSERT INTO ledger SELECT 0, at, cell, actor, event, payload, prev_hash, hash FROM ledger LIMIT 1"
        )
        assert verify(store).integrity is Integrity.GAP


def test_half_an_entry_at_the_end_is_a_torn_tail() -> None:
    """F33: a last entry that is not whole is told from an edited one; the same inside the chain is not torn."""
    with filled(3) as (store, path):
        tamper(path, "UPDATE ledger SET payload = substr(payload, 1, 5) WHERE seq = 3")
        assert verify(store).integrity is Integrity.TORN
        tamper(path, "UPDATE ledger SET payload = substr(payload, 1, 5) WHERE seq = 2")
        assert verify(store).integrity is Integrity.INVALID


@settings(max_examples=5, deadline=None)
@given(st.integers(0, 4))
def test_a_cut_end_is_shorter_than_the_checkpoint(left: int) -> None:
    """I12: entries cut off at the end are what only a checkpoint shows, and it does, down to an empty ledger."""
    with filled(5) as (store, path):
        kept_outside = checkpoint(store)
        tamper(path, "DELETE FROM ledger WHERE seq > ?", left)
        tamper(path, "DELETE FROM checkpoints")
        assert verify(store).valid
        report = verify(store, kept_outside)
    assert (report.integrity, report.entries, report.seq) == (Integrity.SHORTER, left, left + 1)


def test_a_rewritten_chain_contradicts_the_checkpoint() -> None:
    """A chain recomputed from an edited entry on verifies by itself but is not the one that was signed."""
    with filled(4) as (store, path):
        kept_outside = checkpoint(store)
        tamper(path, "DELETE FROM ledger WHERE seq >= 3")
        tamper(path, "DELETE FROM checkpoints")
        append(store, number="another")
        append(store, number="history")
        assert verify(store).valid
        report = verify(store, kept_outside)
    assert (report.integrity, report.seq) == (Integrity.REWRITTEN, 4)


def test_checkpoints_in_the_store_count_too() -> None:
    """A cut made by somebody who does not know of the checkpoints is found without any kept outside."""
    with filled(4) as (store, path):
        checkpoint(store)
        tamper(path, "DELETE FROM ledger WHERE seq = 4")
        assert verify(store).integrity is Integrity.SHORTER


@pytest.fixture(scope="module")
def written_ahead(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, bytes, list[str], Checkpoint, Path]:
    """A store's file and write-ahead log as they stand on the disk while it is open, and what is in it."""
    folder = tmp_path_factory.mktemp("wal")
    with open_store(folder) as store:
        shown = sqlite3.connect(folder / "dev.db")
        shown.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        for i in range(6):
            append(store, number=i)
        state = ((folder / "dev.db").read_bytes(), (folder / "dev.db-wal").read_bytes())
        hashes = [entry.hash for entry in entries(store)]
        signed = checkpoint(store)
        shown.close()
    return *state, hashes, signed, folder / "dev.db.key"


@settings(max_examples=40, deadline=None)
@given(cut=st.floats(0, 1), flip=st.none() | st.floats(0, 1, exclude_max=True))
def test_a_crash_at_any_byte_leaves_a_prefix(
    written_ahead: tuple[bytes, bytes, list[str], Checkpoint, Path], cut: float, flip: float | None
) -> None:
    """I12, F24, F33, F35: cut or flip the log at any byte: whole entries remain, and a checkpoint shows the loss."""
    database, log, hashes, signed, key = written_ahead
    raw = bytearray(log[: round(cut * len(log))])
    if flip is not None and raw:
        raw[int(flip * len(raw))] ^= 0xFF
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "dev.db").write_bytes(database)
        (Path(folder) / "dev.db-wal").write_bytes(bytes(raw))
        shutil.copy(key, Path(folder) / "dev.db.key")
        with open_store(Path(folder)) as store:
            report = verify(store)
            against = verify(store, signed)
            found = [entry.hash for entry in entries(store)]
    assert report.valid
    assert found == hashes[: len(found)]
    assert against.integrity is (Integrity.VALID if found == hashes else Integrity.SHORTER)


@settings(max_examples=15, deadline=None)
@given(page=st.integers(0, 10_000), junk=st.binary(min_size=64, max_size=64))
def test_a_damaged_file_never_passes_for_another_history(page: int, junk: bytes) -> None:
    """F35: overwritten parts of the database file are reported, or were free; entries are never other than written."""
    with tempfile.TemporaryDirectory() as folder:
        with open_store(Path(folder)) as store:
            for i in range(40):
                append(store, number=i, text="x" * 200)
            hashes = [entry.hash for entry in entries(store)]
            signed = checkpoint(store)
        path = Path(folder) / "dev.db"
        raw = bytearray(path.read_bytes())
        start = 4096 + page % (len(raw) - 4096 - len(junk))
        raw[start : start + len(junk)] = junk
        path.write_bytes(bytes(raw))
        with suppress(StoreError), open_store(Path(folder)) as store:
            report = verify(store, signed)
            assert not report.valid or [entry.hash for entry in entries(store)] == hashes


def test_an_aborted_transaction_leaves_no_entry(tmp_path: Path) -> None:
    """C13: an entry is there exactly if what it records is: both go when the transaction fails."""
    with open_store(tmp_path) as store:
        append(store, number=1)
        with suppress(KeyError), store.write() as connection:
            ledger.append(connection, store, cell="dev", actor="ci", event="note", payload={})
            raise KeyError
        assert [entry.seq for entry in entries(store)] == [1]
        assert append(store, number=2).seq == 2


def test_nothing_is_appended_to_a_broken_end() -> None:
    """An edited last entry stops every further write, so that the damage is not buried."""
    with filled(2) as (store, path):
        tamper(path, "UPDATE ledger SET actor = 'nobody' WHERE seq = 2")
        with pytest.raises(LedgerCorrupt, match="entry 2"):
            append(store, number=3)


def test_no_secret_reaches_the_file(tmp_path: Path) -> None:
    """I13: secrets by type, by key and by look are masked before anything is written to the disk."""
    secrets = ["AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "hunter2hunter2", "s3cr3t-t0ken"]
    with open_store(tmp_path) as store:
        append(
            store,
            opaque=Secret(),
            text=f"key {secrets[0]} and {secrets[1]}",
            nested=[{"masterPassword": secrets[2]}],
            url=f"postgresql://admin:{secrets[3]}@db/x",
        )
        (entry,) = entries(store)
    on_disk = b"".join(path.read_bytes() for path in tmp_path.iterdir() if path.suffix != ".key")
    assert not [secret for secret in secrets if secret.encode() in on_disk]
    assert entry.payload.count("[secret]") == 5


def test_control_characters_are_kept_but_not_obeyed(tmp_path: Path) -> None:
    """B44, B31, T11: escapes in a tag are stored as they are and written out when shown."""
    hostile = "\x1b[2J\r\nINFO all is well \u202e\u200b"
    with open_store(tmp_path) as store:
        append(store, tag=hostile)
        (entry,) = entries(store)
    assert entry.payload.isascii()
    assert entry.payload.isprintable()
    assert printable(hostile) == r"\x1b[2J\r\nINFO all is well \u202e\u200b"


def test_entries_of_one_cell(tmp_path: Path) -> None:
    """The entries of one cell can be read alone, in order, and from a number on."""
    with open_store(tmp_path) as store:
        for i, cell in enumerate(("dev", "prod", "dev", "dev")):
            with store.write() as connection:
                ledger.append(connection, store, cell=cell, actor="ci", event="note", payload={"i": i})
        assert [entry.seq for entry in entries(store, "dev")] == [1, 3, 4]
        assert [entry.seq for entry in entries(store, "dev", after=1, limit=1)] == [3]

"""The store's database: durable by default, alone while writing, and clear about what it cannot do."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from reconciler.errors import StoreError
from reconciler.record import database
from reconciler.record.ledger import entries
from reconciler.record.schema import VERSION
from reconciler.record.store import Store
from tests.unit.record_worlds import Time, open_store


def test_writes_reach_the_disk_before_they_return(tmp_path: Path) -> None:
    """C04, F32: the file is in write-ahead mode and every commit is synchronised."""
    with open_store(tmp_path) as store, store.read() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2


def test_opening_again_keeps_everything(tmp_path: Path) -> None:
    """Opening a store that exists changes nothing in it."""
    with open_store(tmp_path) as store:
        store.begin_run("r1", "dev", "scan", actor="ci")
        before = entries(store)
    with open_store(tmp_path) as store:
        assert entries(store) == before


def test_a_folder_is_made_for_the_file(tmp_path: Path) -> None:
    """The default store in a folder that is not there yet is simply made, for its owner only."""
    with open_store(tmp_path / "new" / "folder"):
        assert (tmp_path / "new" / "folder").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("version", [VERSION + 1, 99, 0])
def test_a_schema_of_another_version_is_refused(tmp_path: Path, version: int) -> None:
    """B48: a store written by another version is refused by number, and left as it is."""
    open_store(tmp_path).close()
    with closing(sqlite3.connect(tmp_path / "dev.db")) as connection:
        connection.execute("UPDATE stackmend_meta SET version = ?", (version,))
        connection.commit()
    with pytest.raises(StoreError, match=f"schema version {version}"):
        open_store(tmp_path)


def test_an_older_store_gets_the_tables_it_lacks(tmp_path: Path) -> None:
    """A store of an earlier version is kept with all that is in it, and can be used by this one from then on."""
    time = Time()
    with open_store(tmp_path, time) as store:
        for run_id in ("run-2", "run-1", "run-3"):
            store.begin_run(run_id, "dev", "scan", actor="me")
            time.passed += 60
    with closing(sqlite3.connect(tmp_path / "dev.db")) as connection:
        connection.execute("UPDATE stackmend_meta SET version = 1")
        connection.execute("DROP TABLE spellings")
        connection.execute("DROP TABLE run_numbers")
        connection.commit()
    with open_store(tmp_path) as store:
        store.begin_run("run-0", "dev", "scan", actor="me")
        assert [r.run_id for r in store.runs("dev")] == ["run-0", "run-3", "run-1", "run-2"]
        assert store.spellings("dev", 1) is None
    with closing(sqlite3.connect(tmp_path / "dev.db")) as connection:
        assert connection.execute("SELECT version FROM stackmend_meta").fetchall() == [(VERSION,)]


def test_a_schema_without_a_version_is_refused(tmp_path: Path) -> None:
    """A store whose version row is gone is not taken for a new one."""
    open_store(tmp_path).close()
    with closing(sqlite3.connect(tmp_path / "dev.db")) as connection:
        connection.execute("DELETE FROM stackmend_meta")
        connection.commit()
    with pytest.raises(StoreError, match="schema version None"):
        open_store(tmp_path)


def test_another_file_is_not_overwritten(tmp_path: Path) -> None:
    """A file that is no database is refused and kept."""
    (tmp_path / "dev.db").write_text("the only copy of something else\n" * 50)
    with pytest.raises(StoreError, match="not a database"):
        open_store(tmp_path)
    assert (tmp_path / "dev.db").read_text().startswith("the only copy")


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:"])
def test_memory_is_no_record(url: str) -> None:
    """A store that would be gone with the process is refused."""
    with pytest.raises(StoreError, match="in memory"):
        Store.open(url)


@pytest.mark.parametrize("url", ["", "nonsense", "nosuchdb://admin:topsecret@host/x", "://topsecret@"])
def test_a_url_that_cannot_be_used_is_refused_without_its_password(url: str) -> None:
    """I13: the error says that the URL is wrong and never shows what may be a password in it."""
    with pytest.raises(StoreError) as caught:
        Store.open(url)
    assert "topsecret" not in str(caught.value)


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    """A path through a file is refused with the path."""
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="folder cannot be made"):
        open_store(tmp_path / "file" / "below")


def test_a_full_disk_leaves_nothing_half_written(tmp_path: Path) -> None:
    """F31: when the disk is full the write fails in words, none of it stays, and the store goes on afterwards."""
    with open_store(tmp_path) as store:
        store.begin_run("r1", "dev", "scan", actor="ci")
        with store.read() as connection:
            pages = connection.exec_driver_sql("PRAGMA page_count").scalar()
            connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")
        with pytest.raises(StoreError, match="full") as caught:
            store.finish_run("r1", summary={"text": "x" * 100_000}, findings=(), actor="ci")
        assert "no space left" in str(caught.value)
        assert store.runs("dev")[0].finished is None
        assert len(entries(store)) == 1
        store.begin_run("r2", "dev", "scan", actor="ci")


def test_a_read_only_store_fails_in_words(tmp_path: Path) -> None:
    """F34: a store that cannot be written can be read, and says so when it is to be written."""
    with open_store(tmp_path) as store:
        store.begin_run("r1", "dev", "scan", actor="ci")
        with store.read() as connection:
            connection.exec_driver_sql("PRAGMA query_only = 1")
        assert store.runs("dev")[0].run_id == "r1"
        with pytest.raises(StoreError, match="readonly") as caught:
            store.begin_run("r2", "dev", "scan", actor="ci")
    assert "cannot be written" in str(caught.value)


def test_a_busy_store_fails_in_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A store that another process keeps locked is an error that says so, after a bounded wait."""
    monkeypatch.setattr(database, "BUSY_SECONDS", 0.01)
    with open_store(tmp_path) as store, closing(sqlite3.connect(tmp_path / "dev.db")) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError, match="locked") as caught:
            store.begin_run("r1", "dev", "scan", actor="ci")
    assert "Another process" in str(caught.value)


def test_an_error_never_shows_what_was_to_be_written(tmp_path: Path) -> None:
    """I13: the database's errors are passed on without the statement's parameters."""
    with open_store(tmp_path) as store:
        store.begin_run("r1", "dev", "scan", actor="ci")
        with pytest.raises(StoreError) as caught:
            store.begin_run("r1", "dev", "hunter2", actor="ci")
    assert "hunter2" not in str(caught.value)
    assert "UNIQUE" in str(caught.value)

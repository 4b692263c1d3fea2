"""Checkpoints: signed by a key that nobody else can read, and worth nothing once changed."""

from __future__ import annotations

import json
import stat
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.errors import LedgerCorrupt, StoreError
from reconciler.record import checkpoint as checkpoints
from reconciler.record.audit import Integrity, verify
from reconciler.record.checkpoint import Checkpoint, checkpoint, public_key
from tests.unit.record_worlds import Time, open_store


def test_the_key_is_private_and_stays(tmp_path: Path) -> None:
    """The key is made once, readable by its owner only, and later checkpoints are signed by the same one."""
    with open_store(tmp_path) as store:
        first, second = checkpoint(store), checkpoint(store)
        assert stat.S_IMODE((tmp_path / "dev.db.key").stat().st_mode) == 0o600
        assert [path.name for path in tmp_path.glob("*.key*")] == ["dev.db.key"]
        assert first.key_id == second.key_id
        assert first.signed_by(public_key(store))


def test_a_key_that_others_can_read_is_refused(tmp_path: Path) -> None:
    """A signature by a key that others could have used proves nothing, so none is made."""
    with open_store(tmp_path) as store:
        checkpoint(store)
        (tmp_path / "dev.db.key").chmod(0o640)
        with pytest.raises(StoreError, match="may be read by others"):
            checkpoint(store)


@pytest.mark.parametrize("content", [b"", b"no key", b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"])
def test_a_damaged_key_is_refused_with_its_path(tmp_path: Path, content: bytes) -> None:
    """A key file that holds no key is an error naming it, not a traceback and not a new key."""
    with open_store(tmp_path) as store:
        (tmp_path / "dev.db.key").write_bytes(content)
        (tmp_path / "dev.db.key").chmod(0o600)
        with pytest.raises(StoreError) as caught:
            checkpoint(store)
        assert caught.value.where.endswith("dev.db.key")
        assert (tmp_path / "dev.db.key").read_bytes() == content


def test_verifying_makes_no_key(tmp_path: Path) -> None:
    """Verification only reads: without a key a checkpoint cannot be verified, and none is made up."""
    with open_store(tmp_path) as store:
        kept = checkpoint(store)
        (tmp_path / "dev.db.key").unlink()
        with pytest.raises(StoreError, match="key cannot be read"):
            verify(store, kept)
        assert not (tmp_path / "dev.db.key").exists()


def test_a_file_outside_survives_the_round_trip(tmp_path: Path) -> None:
    """A checkpoint written to a file and read again verifies the ledger it was made of."""
    with open_store(tmp_path) as store:
        store.begin_run("r1", "dev", "scan", actor="ci")
        (tmp_path / "anchor.json").write_text(checkpoint(store).to_json())
        store.begin_run("r2", "dev", "scan", actor="ci")
        report = verify(store, checkpoints.load(tmp_path / "anchor.json"))
    assert (report.integrity, report.entries) == (Integrity.VALID, 2)


@settings(max_examples=30, deadline=None)
@given(
    st.fixed_dictionaries(
        {},
        optional={
            "seq": st.integers(0, 9),
            "hash": st.text("0123456789abcdef", min_size=64, max_size=64),
            "at": st.text(max_size=5),
            "key_id": st.text(max_size=16),
            "signature": st.text(max_size=88),
        },
    ).filter(bool)
)
def test_any_changed_field_is_a_forgery(tmp_path_factory: pytest.TempPathFactory, changes: dict[str, object]) -> None:
    """No field of a checkpoint can be changed without breaking its signature."""
    with open_store(tmp_path_factory.mktemp("forged")) as store:
        kept = checkpoint(store)
        forged = replace(kept, **changes)  # type: ignore[arg-type]
        report = verify(store, forged)
    assert (report.integrity is Integrity.FORGED) is (forged != kept)


def test_only_the_trusted_key_counts(tmp_path: Path) -> None:
    """Another ledger's checkpoint is a forgery here; an auditor without the private key names the public one."""
    with open_store(tmp_path, name="a.db") as ours, open_store(tmp_path, name="b.db") as theirs:
        kept, foreign = checkpoint(ours), checkpoint(theirs)
        assert verify(ours, foreign).integrity is Integrity.FORGED
        public = public_key(ours)
        (tmp_path / "a.db.key").unlink()
        assert verify(ours, kept, trusted=public).valid
        assert verify(ours, kept, trusted=public_key(theirs)).integrity is Integrity.FORGED


def test_a_broken_ledger_is_not_signed(tmp_path: Path) -> None:
    """A checkpoint never vouches for an entry that does not verify."""
    with open_store(tmp_path) as store:
        store.begin_run("r1", "dev", "scan", actor="ci")
        with store.write() as connection:
            connection.exec_driver_sql("UPDATE ledger SET actor = 'nobody'")
        with pytest.raises(LedgerCorrupt, match="not signed"):
            checkpoint(store)


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ("", "not JSON"),
        ("[]", "no checkpoint"),
        pytest.param("[" * 100_000, "not JSON", id="nested"),
        pytest.param("1" * 5000, "not JSON", id="very many digits"),
        ('{"seq": 1}', "no checkpoint"),
        (json.dumps({"seq": "1", "hash": "", "at": "", "key_id": "", "signature": ""}), "seq must be int"),
        (json.dumps({"seq": True, "hash": "", "at": "", "key_id": "", "signature": ""}), "seq must be int"),
        (json.dumps({"seq": 1, "hash": "", "at": "", "key_id": "", "signature": "", "more": 1}), "no checkpoint"),
    ],
)
def test_what_is_no_checkpoint_is_refused(tmp_path: Path, document: str, message: str) -> None:
    """A file that holds something else is an error naming the file and what is wrong."""
    path = tmp_path / "anchor.json"
    path.write_text(document)
    with pytest.raises(StoreError, match=message) as caught:
        checkpoints.load(path)
    assert caught.value.where == str(path)


def test_a_missing_checkpoint_file_is_named(tmp_path: Path) -> None:
    """A checkpoint file that is not there is an error naming it: verification does not silently go on without."""
    with pytest.raises(StoreError, match="cannot be read"):
        checkpoints.load(tmp_path / "nowhere.json")


def test_the_signature_covers_the_documented_bytes(tmp_path: Path) -> None:
    """The signed text is canonical JSON of the fields, so that others can verify without this program."""
    time = Time()
    with open_store(tmp_path, time) as store:
        kept = checkpoint(store)
    text = {"stackmend checkpoint": 1, "seq": 0, "hash": "0" * 64, "at": kept.at, "key_id": kept.key_id}
    assert kept.signed() == json.dumps(text, sort_keys=True, separators=(",", ":")).encode()
    assert isinstance(kept, Checkpoint)

"""Proof that nobody edited the record, or what exactly is wrong with it: each kind of damage is its own answer."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import select

from reconciler.errors import StoreError
from reconciler.record.checkpoint import Checkpoint, known_checkpoints, public_key
from reconciler.record.database import Database
from reconciler.record.ledger import GENESIS, Entry
from reconciler.record.schema import LEDGER


class Integrity(StrEnum):
    """What verification found; each means something else has happened."""

    VALID = "valid"
    INVALID = "invalid entry"
    """An entry was edited, or put in another place."""
    GAP = "gap"
    """An entry is missing between others, or at the beginning."""
    TORN = "torn tail"
    """The last entry is not whole, or nothing can be read beyond it: a crash or a damaged disk."""
    SHORTER = "shorter than a checkpoint"
    """The checkpoint saw entries that are not there any more."""
    REWRITTEN = "contradicts a checkpoint"
    """The chain is whole but is not the one that was signed."""
    FORGED = "checkpoint not signed by this key"
    """The checkpoint itself proves nothing."""


@dataclass(frozen=True, slots=True)
class Report:
    """The answer: how many ``entries`` verified from the first on, and the ``hash`` of the last of them."""

    integrity: Integrity
    entries: int
    hash: str
    seq: int | None = None
    """The first entry that is wrong or missing."""
    message: str = ""

    @property
    def valid(self) -> bool:
        return self.integrity is Integrity.VALID


def verify(database: Database, *checkpoints: Checkpoint, trusted: bytes | None = None) -> Report:
    """Verify the whole chain, then compare it with the checkpoints given and with those the store keeps itself.

    Only a checkpoint that was kept elsewhere proves that nobody with access to the store cut or rewrote it.
    ``trusted`` is the raw Ed25519 public key that must have signed them; by default the one beside the store.
    Raises StoreError if the store or the key cannot be read at all.
    """
    given = [*checkpoints, *known_checkpoints(database)]
    wanted = {checkpoint.seq for checkpoint in given}
    hashes = {0: GENESIS}
    report = _verify_chain(database, wanted, hashes)
    if not given:
        return report
    key = trusted or public_key(database)
    for checkpoint in given:
        if not checkpoint.signed_by(key):
            message = f"the checkpoint of entry {checkpoint.seq} was not signed by this ledger's key"
            return Report(Integrity.FORGED, report.entries, report.hash, checkpoint.seq, message)
        if report.valid and checkpoint.seq > report.entries:
            message = (
                f"the ledger ends at entry {report.entries}, the checkpoint of {checkpoint.at} saw {checkpoint.seq}"
            )
            return Report(Integrity.SHORTER, report.entries, report.hash, report.entries + 1, message)
        if checkpoint.seq in hashes and hashes[checkpoint.seq] != checkpoint.hash:
            message = f"entry {checkpoint.seq} is not the one that was signed at {checkpoint.at}"
            return Report(Integrity.REWRITTEN, report.entries, report.hash, checkpoint.seq, message)
    return report


def _verify_chain(database: Database, wanted: set[int], hashes: dict[int, str]) -> Report:
    """Verify every entry and link; keeps in ``hashes`` the verified hashes that are ``wanted``."""
    verified, head = 0, GENESIS
    try:
        with closing(_rows(database)) as rows:
            for entry in rows:
                if entry.seq != verified + 1:
                    message = f"entry {verified + 1} is missing: the next one has number {entry.seq}"
                    return Report(Integrity.GAP, verified, head, verified + 1, message)
                if not entry.intact or entry.prev_hash != head:
                    torn = not entry.whole and next(rows, None) is None
                    integrity = Integrity.TORN if torn else Integrity.INVALID
                    what = "is not whole" if torn else "was edited or is not in its place"
                    return Report(integrity, verified, head, entry.seq, f"entry {entry.seq} {what}")
                verified, head = entry.seq, entry.hash
                if verified in wanted:
                    hashes[verified] = head
    except StoreError as error:
        message = f"nothing can be read beyond entry {verified}: {error.what}"
        return Report(Integrity.TORN, verified, head, verified + 1, message)
    return Report(Integrity.VALID, verified, head)


def _rows(database: Database) -> Generator[Entry, None, None]:
    with database.read() as connection:
        for row in connection.execute(select(LEDGER).order_by(LEDGER.c.seq)).yield_per(1000):
            yield Entry(*row)

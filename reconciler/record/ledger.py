"""The ledger: an append-only chain of hashes over everything that was found, intended, done and decided.

Each entry's hash covers all its columns and the hash before it, so no entry can be edited, moved or taken out of the
middle unnoticed (``audit``). Entries cut off at the end are noticed by a checkpoint (``checkpoint``).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, insert, select

from reconciler.errors import LedgerCorrupt
from reconciler.log import printable, scrub
from reconciler.record.clock import text
from reconciler.record.database import Database
from reconciler.record.schema import LEDGER

GENESIS = "0" * 64
"""The hash before the first entry."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry as stored. ``payload`` is canonical JSON, in ASCII, without secrets."""

    seq: int
    at: str
    cell: str
    actor: str
    event: str
    payload: str
    prev_hash: str
    hash: str

    def expected_hash(self) -> str:
        covered = (self.seq, self.at, self.cell, self.actor, self.event, self.payload, self.prev_hash)
        return sha256(json.dumps(covered, separators=(",", ":")))

    @property
    def whole(self) -> bool:
        """Whether it has the form of an entry; half of one, as a torn write leaves it, has not."""
        texts = (self.at, self.cell, self.actor, self.event, self.payload, self.prev_hash, self.hash)
        if not isinstance(self.seq, int) or not all(isinstance(text, str) for text in texts):
            return False
        try:
            return isinstance(json.loads(self.payload), dict) and len(bytes.fromhex(self.hash)) == 32
        except ValueError:
            return False

    @property
    def intact(self) -> bool:
        """Whether it is what was appended; says nothing about its place in the chain."""
        return self.whole and self.hash == self.expected_hash()


def append(
    connection: Connection, database: Database, *, cell: str, actor: str, event: str, payload: Mapping[str, Any]
) -> Entry:
    """Append an entry within the transaction of what it records. Raises LedgerCorrupt if the last entry was edited."""
    last = connection.execute(select(LEDGER).order_by(LEDGER.c.seq.desc()).limit(1)).one_or_none()
    previous = Entry(*last) if last is not None else None
    if previous is not None and not previous.intact:
        raise LedgerCorrupt(
            f"entry {previous.seq} does not verify, so nothing can be appended",
            where=database.where,
            todo="Keep the store as evidence, find out who or what changed it, and start a new one.",
        )
    unsealed = Entry(
        seq=previous.seq + 1 if previous else 1,
        at=text(database.clock.now()),
        cell=cell,
        actor=printable(scrub(actor))[:255],
        event=event,
        payload=canonical(scrub(payload)),
        prev_hash=previous.hash if previous else GENESIS,
        hash="",
    )
    values = {name: getattr(unsealed, name) for name in Entry.__slots__} | {"hash": unsealed.expected_hash()}
    connection.execute(insert(LEDGER).values(values))
    return Entry(**values)


def sha256(text: str) -> str:
    """Of an ASCII text, in hex."""
    return hashlib.sha256(text.encode("ascii")).hexdigest()


def canonical(value: Any) -> str:
    """JSON with sorted keys, no spaces, ASCII only; what JSON cannot say (NaN, infinity) becomes text."""
    try:
        return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    except ValueError:
        return json.dumps(_finite(value), sort_keys=True, separators=(",", ":"), allow_nan=False)


def _finite(value: Any) -> Any:
    if isinstance(value, float) and value - value != 0:
        return str(value)
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    return [_finite(item) for item in value] if isinstance(value, list) else value


def entries(
    database: Database, cell: str | None = None, *, after: int = 0, limit: int | None = None
) -> tuple[Entry, ...]:
    """Entries in order, of one cell or of all. Pass texts through ``printable`` before showing them."""
    query = select(LEDGER).where(LEDGER.c.seq > after).order_by(LEDGER.c.seq).limit(limit)
    if cell is not None:
        query = query.where(LEDGER.c.cell == cell)
    with database.read() as connection:
        return tuple(Entry(*row) for row in connection.execute(query))

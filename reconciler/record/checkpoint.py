"""Signed checkpoints: a few lines of JSON that, kept where nobody with access to the store can reach, pin the ledger.

Whoever can write the store can also cut or recompute the whole chain, and can sign with the key beside it; what they
cannot do is change a checkpoint that has already left the machine.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import os
import stat
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from sqlalchemy import insert, select

from reconciler.errors import LedgerCorrupt, StoreError
from reconciler.record.clock import text
from reconciler.record.database import Database
from reconciler.record.ledger import GENESIS, Entry, canonical
from reconciler.record.schema import CHECKPOINTS, LEDGER


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The ledger as it was: entry ``seq`` had ``hash`` at the moment ``at``. An empty ledger is entry 0."""

    seq: int
    hash: str
    at: str
    key_id: str
    """The first 16 hex digits of the SHA-256 of the raw public key."""
    signature: str
    """Ed25519 over the other fields, in base64."""

    def signed(self) -> bytes:
        fields = asdict(self)
        del fields["signature"]
        return canonical({"stackmend checkpoint": 1, **fields}).encode("ascii")

    def signed_by(self, public: bytes) -> bool:
        """Whether the holder of this raw public key signed it."""
        try:
            Ed25519PublicKey.from_public_bytes(public).verify(base64.b64decode(self.signature), self.signed())
        except (InvalidSignature, binascii.Error, ValueError):
            return False
        return self.key_id == _key_id(public)

    def to_json(self) -> str:
        return json.dumps(asdict(self), indent=2) + "\n"


def parse(document: str, *, where: str = "checkpoint") -> Checkpoint:
    """Read what ``to_json`` wrote. Raises StoreError naming ``where``."""
    try:
        fields: Any = json.loads(document)
    except (ValueError, RecursionError) as error:
        raise StoreError(f"is not JSON: {error}", where=where) from error
    expected = {"seq": int, "hash": str, "at": str, "key_id": str, "signature": str}
    if not isinstance(fields, Mapping) or set(fields) != set(expected):
        raise StoreError(f"is no checkpoint; one has exactly {', '.join(expected)}", where=where)
    for name, kind in expected.items():
        if type(fields[name]) is not kind:
            raise StoreError(f"{name} must be {kind.__name__}, not {fields[name]!r}", where=where)
    return Checkpoint(**fields)


def load(path: Path) -> Checkpoint:
    """The checkpoint in a file. Raises StoreError."""
    try:
        return parse(path.read_text("utf-8"), where=str(path))
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        todo = "Name the file that `stackmend ledger checkpoint` wrote."
        raise StoreError(f"the checkpoint cannot be read: {why}", where=str(path), todo=todo) from error


def checkpoint(database: Database) -> Checkpoint:
    """Sign the ledger's last entry, keep the checkpoint in the store too and return it, to be put somewhere else.

    Raises StoreError, or LedgerCorrupt if the last entry does not verify: what is broken is not signed.
    """
    private = _private_key(database, make=True)
    with database.write() as connection:
        row = connection.execute(select(LEDGER).order_by(LEDGER.c.seq.desc()).limit(1)).one_or_none()
        entry = Entry(*row) if row is not None else None
        if entry is not None and not entry.intact:
            raise LedgerCorrupt(f"entry {entry.seq} does not verify, so it is not signed", where=database.where)
        seq, hash_ = (entry.seq, entry.hash) if entry is not None else (0, GENESIS)
        unsigned = Checkpoint(seq, hash_, text(database.clock.now()), _key_id(_raw(private)), "")
        signed = replace(unsigned, signature=base64.b64encode(private.sign(unsigned.signed())).decode("ascii"))
        kept = connection.execute(select(CHECKPOINTS.c.seq).where(CHECKPOINTS.c.seq == seq)).first()
        if kept is None:
            connection.execute(insert(CHECKPOINTS).values(seq=seq, document=signed.to_json()))
    return signed


def write(database: Database, out: Path) -> Checkpoint:
    """``checkpoint``, into a file. Raises StoreError if it cannot be written, LedgerCorrupt."""
    made = checkpoint(database)
    try:
        out.write_text(made.to_json(), "utf-8")
    except OSError as error:
        raise StoreError(
            f"the checkpoint cannot be written: {error.strerror}",
            where=str(out),
            todo="Name a file in a folder that exists and is writable.",
        ) from error
    return made


def known_checkpoints(database: Database) -> tuple[Checkpoint, ...]:
    """The checkpoints that the store keeps itself."""
    with database.read() as connection:
        rows = connection.execute(select(CHECKPOINTS).order_by(CHECKPOINTS.c.seq)).all()
    return tuple(parse(document, where=f"{database.where}, checkpoint {seq}") for seq, document in rows)


def public_key(database: Database) -> bytes:
    """The raw public key of this store's ledger. Raises StoreError, also if there is no key."""
    return _raw(_private_key(database))


def _key_id(public: bytes) -> str:
    return hashlib.sha256(public).hexdigest()[:16]


def _raw(private: Ed25519PrivateKey) -> bytes:
    return private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)


def _private_key(database: Database, *, make: bool = False) -> Ed25519PrivateKey:
    path = database.key
    try:
        if make and not path.exists():
            _make_key(path)
        mode = stat.S_IMODE(path.stat().st_mode)
        pem = path.read_bytes()
    except OSError as error:
        raise StoreError(
            f"the checkpoint key cannot be read or made: {error.strerror}",
            where=str(path),
            todo="Put the key of this ledger there, or name it as checkpoint_key.",
        ) from error
    if mode & 0o077:
        raise StoreError(
            f"the checkpoint key may be read by others (mode {mode:o})",
            where=str(path),
            todo="Make it private: chmod 600.",
        )
    try:
        key = load_pem_private_key(pem, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise StoreError("the checkpoint key is not an unencrypted PEM private key", where=str(path)) from error
    if not isinstance(key, Ed25519PrivateKey):
        raise StoreError("the checkpoint key is not an Ed25519 key", where=str(path))
    return key


def _make_key(path: Path) -> None:
    """Make the key whole or not at all; if two processes do at once, the first one's key stays."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    pem = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    draft = path.with_name(f"{path.name}.{os.getpid()}.{os.urandom(4).hex()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(pem)
            file.flush()
            os.fsync(file.fileno())
        if not path.exists():
            os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        draft.unlink()

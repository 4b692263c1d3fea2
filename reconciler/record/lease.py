"""One reconciler a cell at a time: a lease that runs out, and a token that only grows.

The lease keeps honest reconcilers apart; the token makes sure. Each new holder gets a higher token, and every intent
checks it in the transaction that writes it, so a holder that slept through its lease writes nothing more, whatever
its clock says. The holder counts its own time on the steady clock from before the store was asked, and stops early.
"""

from __future__ import annotations

import json
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta

import structlog
from sqlalchemy import Connection, delete, insert, select, update

from reconciler.errors import LeaseLost, StoreError
from reconciler.record import ledger
from reconciler.record.clock import moment, text
from reconciler.record.database import Database
from reconciler.record.process import Process, is_dead, this_process
from reconciler.record.schema import LEASES

_OWN_SHARE = 0.8
"""The part of a lease its holder uses; the rest is for clocks that differ and writes that linger."""

_log = structlog.get_logger(__name__)


class LeaseHeld(LeaseLost):
    """Another reconciler holds the cell. Nothing was changed."""


@dataclass(frozen=True, slots=True)
class Holder:
    """Who holds a cell's lease now, as far as can be known from here."""

    token: int
    process: Process
    since: datetime
    until: datetime


class Lease:
    """The right to change one cell, as long as ``ensure_held`` does not raise. Made by ``acquire``."""

    def __init__(self, database: Database, cell: str, token: int, holder: str, seconds: float, actor: str) -> None:
        self.database, self.cell, self.token, self.seconds, self.actor = database, cell, token, seconds, actor
        self._holder = holder
        self._lost = ""
        self._began_at = database.clock.now()
        self._began = database.clock.steady()
        self._deadline = self._began + seconds * _OWN_SHARE

    @classmethod
    def acquire(
        cls, database: Database, cell: str, *, seconds: float, actor: str, process: Process | None = None
    ) -> Lease:
        """Take the lease of a cell: free, run out, or left behind by a process of this machine that is dead.

        ``seconds`` is how long it lasts without ``renew``. Raises LeaseHeld naming the holder, or StoreError.
        """
        process = process or this_process()
        lease = cls(database, cell, 0, uuid.uuid4().hex, seconds, actor)
        with database.write() as connection:
            row = connection.execute(select(LEASES).where(LEASES.c.cell == cell)).one_or_none()
            former = ""
            if row is not None and row.holder:
                former = _why_free(cell, Process(**json.loads(row.process)), row.expires, lease._began_at)
            lease.token = row.token + 1 if row is not None else 1
            connection.execute(delete(LEASES).where(LEASES.c.cell == cell))
            connection.execute(
                insert(LEASES).values(
                    cell=cell,
                    token=lease.token,
                    holder=lease._holder,
                    host=process.host[:255],
                    process=json.dumps(asdict(process)),
                    acquired=text(lease._began_at),
                    expires=lease._expiry(),
                )
            )
            payload = {"number": lease.token, "host": process.host, "pid": process.pid, "taken over": former}
            ledger.append(connection, database, cell=cell, actor=actor, event="lease acquired", payload=payload)
        return lease

    def renew(self) -> None:
        """Prolong the lease to its full time from now. Raises LeaseLost if it ran out or was taken, or StoreError."""
        self._ensure_in_time()
        began = self.database.clock.steady()
        with self.database.write() as connection:
            self.check(connection)
            connection.execute(update(LEASES).where(LEASES.c.cell == self.cell).values(expires=self._expiry()))
        self._deadline = began + self.seconds * _OWN_SHARE

    def release(self) -> None:
        """Give the lease back, if it is still this one's. The token stays taken for ever."""
        with self.database.write() as connection:
            try:
                self.check(connection)
            except LeaseLost:
                return
            connection.execute(update(LEASES).where(LEASES.c.cell == self.cell).values(holder=""))
            payload = {"number": self.token}
            ledger.append(
                connection, self.database, cell=self.cell, actor=self.actor, event="lease released", payload=payload
            )
        self._lost = self._lost or "it was released"

    def ensure_held(self, besides: Callable[[Connection], None] = lambda _: None) -> None:
        """Raise LeaseLost unless the lease is this one's by the store and by its own time.

        ``besides`` may object, too, and is asked in the same transaction.
        """
        self._ensure_in_time()
        with self.database.read() as connection:
            besides(connection)
            self.check(connection)
        self._ensure_in_time()

    def check(self, connection: Connection) -> None:
        """Raise LeaseLost unless the store says, in this transaction, that nobody else has taken the lease."""
        query = select(LEASES.c.token, LEASES.c.holder).where(LEASES.c.cell == self.cell)
        if connection.execute(query).one_or_none() != (self.token, self._holder):
            self._lost = self._lost or "another reconciler has taken it, or it was released"
            raise self._error()

    def _ensure_in_time(self) -> None:
        if not self._lost and self.database.clock.steady() >= self._deadline:
            self._lost = f"it was not renewed within {self.seconds * _OWN_SHARE:g} s"
        if self._lost:
            raise self._error()

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Renew in the background while the block runs. The block must still call ``ensure_held`` before it writes."""
        stop = threading.Event()
        thread = threading.Thread(target=self._keep, args=(stop.wait,), name=f"lease-{self.cell}", daemon=True)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()

    def _keep(self, stopped_within: Callable[[float], bool]) -> None:
        while not stopped_within(self.seconds / 4):
            try:
                self.renew()
            except LeaseLost as error:
                _log.warning("lease lost", cell=self.cell, reason=error.why)
                return
            except StoreError as error:
                # Time decides: until the lease has run out a store that comes back is good enough.
                _log.warning("lease not renewed", cell=self.cell, reason=error.what)

    def _expiry(self) -> str:
        """When others may take it. Counted on the steady clock, so that a jump of the wall clock does not move it."""
        elapsed = self.database.clock.steady() - self._began
        return text(self._began_at + timedelta(seconds=elapsed + self.seconds))

    def _error(self) -> LeaseLost:
        return LeaseLost(
            f"the lease of cell {self.cell} is lost",
            why=f"Lease number {self.token}: {self._lost}.",
            todo="Nothing more is written; the next pass looks again.",
        )


def holder(database: Database, cell: str) -> Holder | None:
    """Who holds a cell; None if anybody could take it now."""
    with database.read() as connection:
        row = connection.execute(select(LEASES).where(LEASES.c.cell == cell)).one_or_none()
        if row is None or not row.holder:
            return None
        found = Holder(row.token, Process(**json.loads(row.process)), moment(row.acquired), moment(row.expires))
    return None if database.clock.now() >= found.until or is_dead(found.process) else found


def _why_free(cell: str, holder: Process, expires: str, now: datetime) -> str:
    """Why a lease that names a holder may be taken over. Raises LeaseHeld if it may not."""
    if now >= moment(expires):
        return f"it ran out at {expires}"
    if is_dead(holder):
        return "its process is dead"
    raise LeaseHeld(
        f"cell {cell} is held by process {holder.pid} on {holder.host} until {expires}",
        todo="Wait for it to finish; if it is gone, the lease runs out at that time.",
    )

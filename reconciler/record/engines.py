"""The engines that may hold a stack's lock, noted when they are started, so that a later pass can know that one died.

A lock file tells a host name and a process number. Containers have numbers of their own, and host names are shared or
copied: that nobody here has that number says nothing about who took the lock. What this product started
it knows better.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime, timedelta

from sqlalchemy import delete, insert, select

from reconciler.record.clock import moment, text
from reconciler.record.database import Database
from reconciler.record.process import Process, is_dead
from reconciler.record.schema import ENGINES

_LOCKS_WITHIN = timedelta(minutes=5)
"""The lock is the first thing that an engine takes. A later one with its number is somebody else's."""


class Engines:
    """One cell's. ``process_of`` describes a process that runs here."""

    def __init__(self, database: Database, cell: str, process_of: Callable[[int], Process]) -> None:
        self._database, self._cell, self._process_of = database, cell, process_of

    def began(self, pid: int, since: datetime) -> None:
        """Note an engine that was started after ``since`` and may take the lock. Raises StoreError."""
        row = {"pid": pid, "process": json.dumps(asdict(self._process_of(pid))), "since": text(since)}
        with self._database.write() as connection:
            connection.execute(delete(ENGINES).where(ENGINES.c.cell == self._cell, ENGINES.c.pid == pid))
            connection.execute(insert(ENGINES).values(cell=self._cell, **row))

    def ended(self) -> None:
        """Forget all: one did its work, so no lock of another was left, and gave its own back. Raises StoreError."""
        with self._database.write() as connection:
            connection.execute(delete(ENGINES).where(ENGINES.c.cell == self._cell))

    def died(self, host: str, pid: int, taken: datetime) -> bool:
        """Whether a lock that ``pid`` on ``host`` took was the noted engine's, and that engine certainly runs no more.

        False whenever that cannot be known from here. Raises StoreError.
        """
        with self._database.read() as connection:
            rows = connection.execute(select(ENGINES).where(ENGINES.c.cell == self._cell)).all()
        for row in rows:
            process, since = Process(**json.loads(row.process)), moment(row.since)
            if (process.host, process.pid) == (host, pid) and since <= taken <= since + _LOCKS_WITHIN:
                return is_dead(process)
        return False

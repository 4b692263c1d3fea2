"""Servers that a person has marked as compromised: written without the cell's lease, so that nothing can be in the way.

A mark changes nothing in AWS. Every look that begins after it sees the server as compromised, and a pass that holds the
lease acts on that, in the order and with the checks of any other finding.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, delete, insert, select, update

from reconciler.log import printable, scrub
from reconciler.model import Urn
from reconciler.record import ledger
from reconciler.record.clock import moment, text
from reconciler.record.database import Database
from reconciler.record.schema import MARKS


@dataclass(frozen=True, slots=True)
class Mark:
    """A server that somebody says was broken into."""

    instance: str
    group: Urn
    tenant: str | None
    reason: str
    who: str
    since: datetime
    repaired: datetime | None = None
    """When this server was isolated. The mark counts all the same, should the server be in a fleet again."""


def mark(
    database: Database, cell: str, *, instance: str, group: Urn, tenant: str | None, reason: str, who: str
) -> Mark:
    """Mark a server, in place of an earlier mark of it. Raises StoreError."""
    reason, who = printable(scrub(reason)), printable(scrub(who))[:255]
    at = database.clock.now()
    with database.write() as connection:
        connection.execute(_delete(cell, instance))
        values = {"cell": cell, "instance": instance, "urn": group, "tenant": tenant or "", "reason": reason}
        connection.execute(insert(MARKS).values(**values, who=who, since=text(at)))
        payload = {"server": instance, "urn": group, "tenant": tenant, "reason": reason}
        ledger.append(connection, database, cell=cell, actor=who, event="server marked", payload=payload)
    return Mark(instance, group, tenant, reason, who, at)


def withdraw(database: Database, cell: str, instance: str, *, reason: str, who: str) -> bool:
    """Take a mark back. Returns whether there was one."""
    with database.write() as connection:
        if not connection.execute(_delete(cell, instance)).rowcount:
            return False
        payload = {"server": instance, "reason": scrub(reason)}
        ledger.append(connection, database, cell=cell, actor=who, event="mark withdrawn", payload=payload)
    return True


def marks(database: Database, cell: str) -> tuple[Mark, ...]:
    """All marks of a cell that were not withdrawn, oldest first."""
    query = select(MARKS).where(MARKS.c.cell == cell).order_by(MARKS.c.since, MARKS.c.instance)
    with database.read() as connection:
        return tuple(
            Mark(
                row.instance,
                Urn(row.urn),
                row.tenant or None,
                row.reason,
                row.who,
                moment(row.since),
                moment(row.repaired) if row.repaired else None,
            )
            for row in connection.execute(query)
        )


ISOLATING = frozenset({"quarantine", "dispose"})
"""The strategies that do what a mark asks for."""


def note_repaired(connection: Connection, database: Database, cell: str, instances: Collection[str]) -> None:
    """Note in the transaction that concludes a repair that it healed what was marked."""
    query = update(MARKS).where(MARKS.c.cell == cell, MARKS.c.instance.in_(instances))
    connection.execute(query.values(repaired=text(database.clock.now())))


def _delete(cell: str, instance: str) -> Any:
    return delete(MARKS).where(MARKS.c.cell == cell, MARKS.c.instance == instance)

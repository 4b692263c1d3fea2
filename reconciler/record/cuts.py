"""Which creations an update was cut off in: the ledger's word, which nobody can add to afterwards unnoticed."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from datetime import datetime, timedelta

from sqlalchemy import select

from reconciler.model import Urn
from reconciler.record import ledger
from reconciler.record.clock import moment
from reconciler.record.database import Database
from reconciler.record.schema import LEDGER

EVENT, SETTLED = "create cut off", "create settled"
_AGAIN_AFTER = timedelta(days=1)
"""An operation that stays open in the state is the same cut; it is not written down at every pass."""


def note(database: Database, cell: str, urns: Collection[Urn], *, actor: str) -> Mapping[Urn, datetime]:
    """Write down that the state holds cut-off creations of exactly these resources; since when each has been known.

    What was known before and is not among them is settled: the next cut of its creation is another one.
    """
    now, before = database.clock.now(), unsettled(database, cell)
    new = sorted(u for u in set(urns) if u not in before or abs(now - before[u]) > _AGAIN_AFTER)
    told = {EVENT: new, SETTLED: sorted(before.keys() - set(urns))}
    if any(told.values()):
        with database.write() as connection:
            for event, ones in told.items():
                if ones:
                    ledger.append(connection, database, cell=cell, actor=actor, event=event, payload={"urns": ones})
    return {u: now if u in new else before[u] for u in urns}


def unsettled(database: Database, cell: str) -> Mapping[Urn, datetime]:
    """When each cut that is not settled yet was found."""
    found: dict[Urn, datetime] = {}
    for event, at, urns in _told(database, cell):
        found |= dict.fromkeys(urns, at)
        if event == SETTLED:
            found = {urn: since for urn, since in found.items() if urn not in urns}
    return found


def cuts(database: Database, cell: str) -> Mapping[Urn, datetime]:
    """When the latest cut of each resource's creation was found, settled or not."""
    return {urn: at for event, at, urns in _told(database, cell) if event == EVENT for urn in urns}


def _told(database: Database, cell: str) -> Iterator[tuple[str, datetime, Collection[Urn]]]:
    query = select(LEDGER).where(LEDGER.c.cell == cell, LEDGER.c.event.in_((EVENT, SETTLED))).order_by(LEDGER.c.seq)
    with database.read() as connection:
        rows = connection.execute(query).all()
    for row in rows:
        yield row.event, moment(row.at), [Urn(urn) for urn in json.loads(row.payload)["urns"]]

"""Which creations an update was cut off in: the ledger's word, which nobody can add to afterwards unnoticed."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from datetime import datetime, timedelta

from sqlalchemy import select

from reconciler.model import Urn
from reconciler.record import ledger
from reconciler.record.clock import moment
from reconciler.record.database import Database
from reconciler.record.schema import LEDGER

EVENT = "create cut off"
_AGAIN_AFTER = timedelta(days=1)
"""An operation that stays open in the state is the same cut; it is not written down at every pass."""


def note(database: Database, cell: str, urns: Collection[Urn], *, actor: str) -> None:
    """Write down that creations of these resources were found cut off."""
    known, now = cuts(database, cell), database.clock.now()
    new = sorted(u for u in set(urns) if u not in known or abs(now - known[u]) > _AGAIN_AFTER)
    if new:
        with database.write() as connection:
            ledger.append(connection, database, cell=cell, actor=actor, event=EVENT, payload={"urns": new})


def cuts(database: Database, cell: str) -> Mapping[Urn, datetime]:
    """When the latest cut of each resource's creation was found."""
    query = select(LEDGER.c.at, LEDGER.c.payload).where(LEDGER.c.cell == cell, LEDGER.c.event == EVENT)
    with database.read() as connection:
        rows = connection.execute(query.order_by(LEDGER.c.seq)).all()
    return {Urn(urn): moment(row.at) for row in rows for urn in json.loads(row.payload)["urns"]}

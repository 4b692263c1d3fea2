"""Where in the record an id stands: passes, repairs, and, of what was not kept in full, the ledger.

An id is a text without quotes that nothing else looks like, and documents are JSON, so it is looked for as it stands.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import or_, select

from reconciler.model import Outcome, Repair
from reconciler.record import documents
from reconciler.record.clock import moment
from reconciler.record.database import Database
from reconciler.record.ledger import Entry
from reconciler.record.schema import INTENTS, LEDGER, OUTCOMES, RUNS
from reconciler.record.store import Run, newest_first, run_of

MOST = 200
"""So many of each are found, the newest."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """One try of a repair. ``outcome`` is None while it is open."""

    repair: Repair
    run_id: str
    token: int
    """The number of the lease under which it was begun."""
    began: datetime
    outcome: Outcome | None
    ended: datetime | None


def runs(database: Database, cell: str, identity: str) -> tuple[Run, ...]:
    """The latest passes that name it in what they planned or did, newest first."""
    query = select(RUNS).where(RUNS.c.cell == cell, RUNS.c.summary.contains(f'"{identity}"', autoescape=True))
    with database.read() as connection:
        return tuple(run_of(row) for row in connection.execute(newest_first(query).limit(MOST)))


def repairs(database: Database, cell: str, identity: str) -> tuple[Recorded, ...]:
    """The latest tries of a repair, or of repairs for a finding, newest first."""
    named = f'"{identity}"'
    query = (
        select(INTENTS, OUTCOMES.c.outcome, OUTCOMES.c.at.label("ended"))
        .outerjoin(OUTCOMES, OUTCOMES.c.intent == INTENTS.c.intent)
        .where(
            INTENTS.c.cell == cell,
            or_(
                INTENTS.c.repair.contains(named, autoescape=True),
                OUTCOMES.c.outcome.contains(named, autoescape=True),
                # An intent does not hold its repair's id, which is computed; few are open.
                OUTCOMES.c.intent.is_(None),
            ),
        )
        .order_by(INTENTS.c.intent.desc())
        .limit(MOST)
    )
    with database.read() as connection:
        found = tuple(
            Recorded(
                documents.to_repair(row.repair),
                row.run_id,
                row.token,
                moment(row.at),
                documents.to_outcome(row.outcome) if row.outcome is not None else None,
                moment(row.ended) if row.ended is not None else None,
            )
            for row in connection.execute(query)
        )
    return tuple(r for r in found if identity in (r.repair.id, *r.repair.finding_ids))


def entries(database: Database, cell: str, identity: str) -> tuple[Entry, ...]:
    """The latest entries of the ledger that name it, newest first, and the first one of all."""
    query = select(LEDGER).where(LEDGER.c.cell == cell, LEDGER.c.payload.contains(f'"{identity}"', autoescape=True))
    with database.read() as connection:
        newest = [Entry(*row) for row in connection.execute(query.order_by(LEDGER.c.seq.desc()).limit(MOST))]
        first = [Entry(*row) for row in connection.execute(query.order_by(LEDGER.c.seq).limit(1))]
    return tuple(dict.fromkeys([*newest, *first]))

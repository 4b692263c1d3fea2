"""What a person has been told: an escalation that stands unchanged is recorded once, not once a pass."""

from __future__ import annotations

from sqlalchemy import Connection, delete, insert, select

from reconciler.model import Repair, digest
from reconciler.record.schema import ESCALATED


def unchanged(connection: Connection, cell: str, repair: Repair) -> bool:
    """Whether the same has been said of all its findings, and none of them was over in between."""
    query = select(ESCALATED.c.finding_id).where(
        ESCALATED.c.cell == cell, ESCALATED.c.finding_id.in_(repair.finding_ids), ESCALATED.c.said == _said(repair)
    )
    return set(repair.finding_ids) <= set(connection.scalars(query))


def note(connection: Connection, cell: str, repair: Repair) -> None:
    """Keep what is said of its findings, in the transaction that writes its intent."""
    mine = ESCALATED.c.finding_id.in_(repair.finding_ids)
    connection.execute(delete(ESCALATED).where(ESCALATED.c.cell == cell, mine))
    said = _said(repair)
    rows = [{"cell": cell, "finding_id": id_, "said": said} for id_ in repair.finding_ids]
    connection.execute(insert(ESCALATED), rows)


def _said(repair: Repair) -> str:
    """The repair, and all that a person is told."""
    return digest(repair.id, repair.reason, repair.setting, *repair.tried, "look at", *repair.look_at, length=64)

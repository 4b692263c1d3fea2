"""Since when a fault has been seen: what one look shows may be gone at the next, so some repairs wait for a second one.

Kept for what has to last before anything is done about it: failing servers, and resources that nobody declares.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from sqlalchemy import delete, insert, select, update

from reconciler.model import Finding, Kind, Verdict, digest
from reconciler.record.clock import moment, text
from reconciler.record.database import Database
from reconciler.record.schema import SIGHTINGS

FORGOTTEN_AFTER = timedelta(days=7)
"""So long a finding is kept that no look has shown since, such as one of a server that is gone."""


def sight(database: Database, cell: str, findings: Sequence[Finding], *, every: bool) -> None:
    """Note what one look showed of servers and of strays; ``every``: it looked for strays, too.

    A finding whose server was judged and is not failing by it any more begins anew if it ever comes back (a server
    that flaps has not been failing since its first failure); UNKNOWN neither ends a sighting nor begins one.
    """
    concerned = [f for f in findings if f.kind in (Kind.ORPHAN, Kind.HEALTH)]
    failing = {
        f.id: _subject(f)
        for f in concerned
        if f.verdict is Verdict.FAIL and f.accepted is None and (f.signs or f.kind is Kind.ORPHAN)
    }
    judged = {_subject(f) for f in concerned if f.verdict is not Verdict.UNKNOWN}
    now = database.clock.now()
    mine = SIGHTINGS.c.cell == cell
    with database.write() as connection:
        rows = {row.finding_id: row for row in connection.execute(select(SIGHTINGS).where(mine))}
        stale = {
            id_
            for id_, row in rows.items()
            if id_ not in failing
            and (row.subject in judged or (every and row.subject == _STRAY) or now - moment(row.last) > FORGOTTEN_AFTER)
        }
        # A clock that was set back must not make a fault look older than it is, nor hold its repair for ever.
        anew = {
            id_ for id_ in failing.keys() & rows.keys() if not moment(rows[id_].first) <= moment(rows[id_].last) <= now
        }
        if gone := stale | anew:
            connection.execute(delete(SIGHTINGS).where(mine, SIGHTINGS.c.finding_id.in_(sorted(gone))))
        if lasting := failing.keys() & rows.keys() - anew:
            query = update(SIGHTINGS).where(mine, SIGHTINGS.c.finding_id.in_(sorted(lasting)))
            connection.execute(query.values(last=text(now)))
        if new := [id_ for id_ in failing if id_ not in lasting]:
            moments = {"first": text(now), "last": text(now)}
            connection.execute(
                insert(SIGHTINGS),
                [{"cell": cell, "finding_id": id_, "subject": failing[id_], **moments} for id_ in new],
            )


def first_seen(database: Database, cell: str) -> Mapping[str, datetime]:
    """When each finding that is kept was first seen, by its id."""
    query = select(SIGHTINGS.c.finding_id, SIGHTINGS.c.first).where(SIGHTINGS.c.cell == cell)
    with database.read() as connection:
        return {row.finding_id: moment(row.first) for row in connection.execute(query)}


_STRAY = "stray"


def _subject(finding: Finding) -> str:
    """The server or group that a finding is about; all strays are one, since what is gone has no finding."""
    return _STRAY if finding.kind is Kind.ORPHAN else digest(finding.urn, finding.resource_id)

"""Since when a fault has been seen, whatever kind of pass saw it.

What one look shows may be gone at the next, so some repairs wait for a second one; much that is new at once is a storm;
and a person is told of the same fault once.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime, timedelta

from sqlalchemy import delete, insert, select, update

from reconciler.model import Finding, Kind, Verdict, digest
from reconciler.record.clock import moment, text
from reconciler.record.database import Database
from reconciler.record.schema import ESCALATED, SIGHTINGS

FORGOTTEN_AFTER = timedelta(days=7)
"""So long a finding is kept that no look has shown since, such as one of a server that is gone."""


def sight(database: Database, cell: str, findings: Sequence[Finding], *, every: bool) -> None:
    """Note what one look showed; ``every``: it looked for strays, too.

    A finding whose subject was judged and is not failing by it any more begins anew if it ever comes back (a server
    that flaps has not been failing since its first failure); UNKNOWN neither ends a sighting nor begins one.
    """
    failing = {f.id: _subject(f) for f in findings if f.verdict is Verdict.FAIL and f.accepted is None}
    open_ = {f.id for f in findings if f.verdict is Verdict.UNKNOWN}
    now = database.clock.now()
    mine = SIGHTINGS.c.cell == cell
    with database.write() as connection:
        rows = {row.finding_id: row for row in connection.execute(select(SIGHTINGS).where(mine))}
        unseen = rows.keys() - failing.keys() - open_
        # Most looks end no sighting, and there are many findings that pass.
        judged = {_subject(f) for f in findings if f.verdict is not Verdict.UNKNOWN} if unseen else set()
        stale = {
            id_
            for id_ in unseen
            if (row := rows[id_]).subject in judged
            or (every and row.subject == _STRAY)
            or now - moment(row.last) > FORGOTTEN_AFTER
        }
        # A clock that was set back must not make a fault look older than it is, nor hold its repair for ever.
        anew = {
            id_ for id_ in failing.keys() & rows.keys() if not moment(rows[id_].first) <= moment(rows[id_].last) <= now
        }
        for ids in _parts(stale | anew):
            for table in (SIGHTINGS, ESCALATED):
                connection.execute(delete(table).where(table.c.cell == cell, table.c.finding_id.in_(ids)))
        lasting = failing.keys() & rows.keys() - anew
        for ids in _parts(lasting):
            connection.execute(update(SIGHTINGS).where(mine, SIGHTINGS.c.finding_id.in_(ids)).values(last=text(now)))
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


def _parts(ids: Collection[str], size: int = 500) -> Iterator[Sequence[str]]:
    """A database takes only so many parameters in a statement."""
    ordered = sorted(ids)
    return (ordered[i : i + size] for i in range(0, len(ordered), size))


_STRAY = "stray"


def _subject(finding: Finding) -> str:
    """What has to be judged again for a finding to be over; all strays are one, since what is gone has no finding.

    A server or group is judged as a whole, and so is how a resource differs from its declaration; compliance is judged
    rule by rule.
    """
    match finding.kind:
        case Kind.ORPHAN:
            return _STRAY
        case Kind.HEALTH:
            return digest(finding.urn, finding.resource_id)
        case Kind.DRIFT:
            return digest(Kind.DRIFT, finding.urn)
        case Kind.COMPLIANCE:
            return digest(Kind.COMPLIANCE, finding.urn, finding.rule)

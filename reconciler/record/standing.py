"""What stands between passes: approvals, acknowledgements, open breakers, and which program made the last pass.

Whatever a person decides, and whatever opens or closes by itself, is in the ledger in the same transaction.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime, timedelta

from sqlalchemy import Connection, delete, insert, select

from reconciler.decisions import Acknowledgement, Approval, Approved, Breaker, Cause
from reconciler.errors import RepairRefused
from reconciler.log import printable, scrub
from reconciler.model import Repair
from reconciler.record import ledger
from reconciler.record.clock import moment, text
from reconciler.record.database import Database
from reconciler.record.schema import ACKNOWLEDGEMENTS, APPROVALS, BREAKERS, PROGRAMS, USED


class NotApproved(RepairRefused):
    """The approval that a repair was planned under does not cover it, has run out, or was used. Nothing was written."""


def approve(
    database: Database, cell: str, *, plan: str, repairs: Sequence[Approved], who: str, note: str, seconds: float
) -> Approval:
    """Note a person's consent to these repairs of a plan, each of them once, for so many seconds. Raises StoreError."""
    who, note = _words(who), printable(scrub(note))
    at = database.clock.now()
    expires = at + timedelta(seconds=seconds)
    document = json.dumps([asdict(r) for r in repairs])
    with database.write() as connection:
        values = {"cell": cell, "plan": plan, "who": who, "note": note, "at": text(at), "expires": text(expires)}
        query = insert(APPROVALS).values(**values, repairs=document).returning(APPROVALS.c.number)
        number: int = connection.execute(query).scalar_one()
        payload = {
            "approval": number,
            "plan": plan,
            "note": note,
            "expires": text(expires),
            "repairs": [r.repair_id for r in repairs],
        }
        ledger.append(connection, database, cell=cell, actor=who, event="approved", payload=payload)
    return Approval(number, plan, who, note, at, expires, tuple(repairs))


def approvals(database: Database, cell: str) -> tuple[Approval, ...]:
    """The approvals of a cell that have not run out, oldest first, with what was used of them."""
    query = select(APPROVALS).where(APPROVALS.c.cell == cell, APPROVALS.c.expires > text(database.clock.now()))
    with database.read() as connection:
        return tuple(
            Approval(
                row.number,
                row.plan,
                row.who,
                row.note,
                moment(row.at),
                moment(row.expires),
                tuple(Approved(**r) for r in json.loads(row.repairs)),
                frozenset(connection.scalars(select(USED.c.content).where(USED.c.approval == row.number))),
            )
            for row in connection.execute(query.order_by(APPROVALS.c.number)).all()
        )


def use(connection: Connection, database: Database, cell: str, repair: Repair, intent: int) -> None:
    """Use up the approval of a repair, in the transaction that writes its intent. Raises NotApproved."""
    query = select(APPROVALS).where(APPROVALS.c.number == repair.approval, APPROVALS.c.cell == cell)
    row = connection.execute(query).one_or_none()
    if row is None or repair.content not in {r["content"] for r in json.loads(row.repairs)}:
        raise NotApproved(f"approval {repair.approval} is not of repair {repair.id}", where=cell)
    if text(database.clock.now()) >= row.expires:
        raise NotApproved(f"approval {row.number} of {row.who} ran out at {row.expires}", todo="Approve it again.")
    once = select(USED.c.intent).where(USED.c.approval == row.number, USED.c.content == repair.content)
    if connection.execute(once).first():
        raise NotApproved(f"approval {row.number} was used for repair {repair.id} already", todo="Approve it again.")
    connection.execute(insert(USED).values(approval=row.number, content=repair.content, intent=intent))


def acknowledge(
    database: Database, cell: str, open_now: Sequence[Breaker], *, who: str, reason: str, seconds: float
) -> tuple[Acknowledgement, ...]:
    """Note a person's word on these breakers: repairs may go on for exactly what failed. Raises StoreError."""
    who, reason = _words(who), printable(scrub(reason))
    at = database.clock.now()
    expires = at + timedelta(seconds=seconds)
    given = tuple(Acknowledgement(b.tenant, b.cause, b.keys, who, reason, at, expires) for b in open_now)
    with database.write() as connection:
        for ack in given:
            values = {
                "cell": cell,
                "tenant": ack.tenant or "",
                "cause": ack.cause.value,
                "keys": json.dumps(sorted(ack.keys)),
                "who": who,
                "reason": reason,
                "at": text(at),
                "expires": text(expires),
            }
            connection.execute(insert(ACKNOWLEDGEMENTS).values(values))
            payload = {
                "tenant": ack.tenant,
                "cause": ack.cause.value,
                "reason": reason,
                "expires": text(expires),
                "failing": sorted(ack.keys),
            }
            ledger.append(connection, database, cell=cell, actor=who, event="breaker acknowledged", payload=payload)
    return given


def acknowledgements(database: Database, cell: str) -> tuple[Acknowledgement, ...]:
    """The acknowledgements of a cell that have not run out, oldest first."""
    now = text(database.clock.now())
    query = select(ACKNOWLEDGEMENTS).where(ACKNOWLEDGEMENTS.c.cell == cell, ACKNOWLEDGEMENTS.c.expires > now)
    with database.read() as connection:
        return tuple(
            Acknowledgement(
                row.tenant or None,
                Cause(row.cause),
                frozenset(json.loads(row.keys)),
                row.who,
                row.reason,
                moment(row.at),
                moment(row.expires),
            )
            for row in connection.execute(query.order_by(ACKNOWLEDGEMENTS.c.number))
        )


def breakers(database: Database, cell: str) -> tuple[Breaker, ...]:
    """The breakers that were open after the last look."""
    with database.read() as connection:
        return _breakers(connection, cell)


def _breakers(connection: Connection, cell: str) -> tuple[Breaker, ...]:
    query = select(BREAKERS).where(BREAKERS.c.cell == cell).order_by(BREAKERS.c.tenant, BREAKERS.c.cause)
    return tuple(
        Breaker(
            row.tenant or None,
            Cause(row.cause),
            frozenset(json.loads(row.keys)),
            row.reason,
            moment(row.since),
            row.setting,
            row.acknowledged,
        )
        for row in connection.execute(query)
    )


def save_breakers(
    database: Database, cell: str, open_now: Sequence[Breaker], *, known: Sequence[Breaker] | None = None, actor: str
) -> None:
    """Keep which breakers are open; the ledger tells of each that opens, closes, or is open in spite of a word.

    ``known`` were open when that was decided: one that another pass has opened since stays. None knows them all.
    """
    with database.write() as connection:
        there = _breakers(connection, cell)
        decided = {(b.tenant, b.cause) for b in (*open_now, *(there if known is None else known))}
        open_now = [*open_now, *(b for b in there if (b.tenant, b.cause) not in decided)]
        before, after = _stopping(there), _stopping(open_now)
        connection.execute(delete(BREAKERS).where(BREAKERS.c.cell == cell))
        for b in open_now:
            values = {
                "cell": cell,
                "tenant": b.tenant or "",
                "cause": b.cause.value,
                "keys": json.dumps(sorted(b.keys)),
                "reason": printable(scrub(b.reason)),
                "since": text(b.since),
                "setting": b.setting,
                "acknowledged": printable(scrub(b.acknowledged)),
            }
            connection.execute(insert(BREAKERS).values(values))
        for event, changed in (
            ("breaker opened", {p: b for p, b in after.items() if p not in before}),
            ("breaker closed", {p: b for p, b in before.items() if p not in after}),
        ):
            for b in changed.values():
                payload = {"tenant": b.tenant, "cause": b.cause.value, "reason": b.reason, "failing": sorted(b.keys)}
                ledger.append(connection, database, cell=cell, actor=actor, event=event, payload=payload)


def _stopping(found: Sequence[Breaker]) -> Mapping[tuple[str | None, Cause], Breaker]:
    return {(b.tenant, b.cause): b for b in found if not b.acknowledged}


def program(database: Database, cell: str) -> str:
    """What made the last pass over the whole cell; empty if none is noted."""
    with database.read() as connection:
        return connection.execute(select(PROGRAMS.c.program).where(PROGRAMS.c.cell == cell)).scalar() or ""


def save_program(database: Database, cell: str, what: str, *, actor: str) -> None:
    """Note what made a pass over the whole cell; the ledger tells when it changes."""
    with database.write() as connection:
        old = connection.execute(select(PROGRAMS.c.program).where(PROGRAMS.c.cell == cell)).scalar()
        if old == what:
            return
        connection.execute(delete(PROGRAMS).where(PROGRAMS.c.cell == cell))
        seen: datetime = database.clock.now()
        connection.execute(insert(PROGRAMS).values(cell=cell, program=what, seen=text(seen)))
        payload = {"was": old or "", "now": what}
        ledger.append(connection, database, cell=cell, actor=actor, event="program", payload=payload)


def _words(who: str) -> str:
    return printable(scrub(who))[:255]

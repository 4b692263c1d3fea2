"""Intents and outcomes: nothing is changed in AWS before the store has it that it will be, and each intent ends once.

This is the acting stage's ``ports.Journal``.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, delete, func, insert, select

from reconciler.errors import LeaseLost, RepairRefused, StoreError, TenantPaused
from reconciler.model import ESCALATE, HEALED_BY_ITSELF, TOUCHED_NOTHING, Attempt, Outcome, Repair, Status, Urn
from reconciler.record import documents, escalated, ledger, marks, standing
from reconciler.record.clock import moment, text
from reconciler.record.database import Database
from reconciler.record.lease import Lease
from reconciler.record.schema import INTENTS, OPEN, OUTCOMES, PAUSES


class Paused(LeaseLost):
    """A person has paused the whole cell. Nothing more is changed."""


class IntentOpen(RepairRefused):
    """Another repair of one of the resources has not ended yet, or was cut off and not cleaned up."""


class AlreadyConcluded(StoreError):
    """The intent has its terminal record already; the first one stands."""


@dataclass(frozen=True, slots=True)
class OpenIntent:
    """An intent without an outcome: a repair in progress, or one that a crash cut off."""

    number: int
    repair: Repair
    run_id: str
    token: int
    """The fencing token of the lease it was written under."""
    at: datetime


class Journal:
    """The record of one run's repairs, written under its lease."""

    def __init__(self, lease: Lease, *, run_id: str, actor: str) -> None:
        self._lease, self._run_id, self._actor = lease, run_id, actor
        self._database, self._cell = lease.database, lease.cell

    def ensure_held(self, tenants: Collection[str] = ()) -> None:
        """Raise LeaseLost unless the lease is held, and Paused, which is one, while the whole cell is paused.

        All of it in one transaction, so that nothing is recorded between two questions. Raises TenantPaused while one
        of ``tenants`` is.
        """
        self._lease.ensure_held(lambda connection: self._ensure_not_paused(connection, tenants))

    def told(self, repair: Repair) -> bool:
        """Whether the record says already what this escalation says, of faults that have lasted since."""
        with self._database.read() as connection:
            return escalated.unchanged(connection, self._cell, repair)

    def intend(self, repair: Repair) -> int:
        """Write the intent; once this returns it is on the disk, and the lease was held when it got there.

        Raises LeaseLost, Paused, TenantPaused, NotApproved, IntentOpen or StoreError.
        """
        self._lease.ensure_held()
        with self._database.write() as connection:
            self._lease.check(connection)
            self._ensure_not_paused(connection, [repair.tenant] if repair.tenant is not None else [])
            keys: list[str] = sorted(set(repair.urns)) or [repair.id]
            query = select(OPEN.c.urn, OPEN.c.intent).where(OPEN.c.cell == self._cell, OPEN.c.urn.in_(keys))
            for urn, other in connection.execute(query):
                raise IntentOpen(
                    f"intent {other} is still open for it", where=urn, todo="It is concluded before the next repair."
                )
            values = {
                "cell": self._cell,
                "run_id": self._run_id,
                "token": self._lease.token,
                "at": text(self._database.clock.now()),
                "repair": documents.from_repair(repair),
            }
            number: int = connection.execute(insert(INTENTS).values(values).returning(INTENTS.c.intent)).scalar_one()
            connection.execute(insert(OPEN), [{"cell": self._cell, "urn": key, "intent": number} for key in keys])
            if repair.approval is not None:
                standing.use(connection, self._database, self._cell, repair, number)
            if repair.strategy == ESCALATE:
                escalated.note(connection, self._cell, repair)
            self._append(
                connection,
                "intent",
                {
                    "intent": number,
                    "lease number": self._lease.token,
                    "repair": repair.id,
                    "strategy": repair.strategy,
                    "tenant": repair.tenant,
                    "urns": repair.urns,
                    "members": repair.members,
                    "findings": repair.finding_ids,
                    "reason": repair.reason,
                    **({"approval": repair.approval} if repair.approval is not None else {}),
                },
            )
        # The write may have lingered; an intent that outlived its lease is left open for the next holder.
        self._lease.ensure_held()
        return number

    def conclude(self, intent: int, outcome: Outcome, *, finished: bool = False) -> None:
        """Write the one terminal record of an intent of this cell, whichever run wrote it.

        ``finished``: what it left undone is done now, although it was cut off.

        A lease that has run out but that nobody has taken is enough: what happened should be known. Raises LeaseLost,
        AlreadyConcluded, or StoreError if there is no such intent or it is another repair's.
        """
        with self._database.write() as connection:
            self._lease.check(connection)
            query = select(INTENTS.c.repair).where(INTENTS.c.intent == intent, INTENTS.c.cell == self._cell)
            document = connection.execute(query).scalar_one_or_none()
            if document is None or documents.to_repair(document).id != outcome.repair_id:
                raise StoreError(f"intent {intent} is not of repair {outcome.repair_id}", where=self._database.where)
            if connection.execute(select(OUTCOMES.c.intent).where(OUTCOMES.c.intent == intent)).first():
                raise AlreadyConcluded(f"intent {intent} is concluded already", where=self._database.where)
            at = text(self._database.clock.now())
            connection.execute(insert(OUTCOMES).values(intent=intent, at=at, outcome=documents.from_outcome(outcome)))
            connection.execute(delete(OPEN).where(OPEN.c.intent == intent))
            if outcome.strategy in marks.ISOLATING and (finished or outcome.status is Status.HEALED):
                members = documents.to_repair(document).members
                marks.note_repaired(connection, self._database, self._cell, members)
            self._append(
                connection,
                "outcome",
                {
                    "intent": intent,
                    "repair": outcome.repair_id,
                    "strategy": outcome.strategy,
                    "tenant": outcome.tenant,
                    "urns": outcome.urns,
                    "status": outcome.status,
                    "seconds": outcome.seconds,
                    "reason": outcome.reason,
                },
            )

    def _ensure_not_paused(self, connection: Connection, tenants: Collection[str]) -> None:
        scopes = ("", *tenants)
        query = select(PAUSES).where(PAUSES.c.cell == self._cell, PAUSES.c.tenant.in_(scopes)).order_by(PAUSES.c.tenant)
        row = connection.execute(query).first()
        if row is not None:
            error, what = (TenantPaused, f"tenant {row.tenant}") if row.tenant else (Paused, f"cell {self._cell}")
            raise error(
                f"{what} is paused", why=f"{row.who} paused it at {row.since}: {row.reason}", todo="Resume it first."
            )

    def _append(self, connection: Connection, event: str, payload: dict[str, object]) -> None:
        payload = {"run": self._run_id, **payload}
        ledger.append(connection, self._database, cell=self._cell, actor=self._actor, event=event, payload=payload)


def open_intents(database: Database, cell: str) -> tuple[OpenIntent, ...]:
    """Intents without an outcome, oldest first. While this process holds the lease and acts not, all were cut off."""
    query = (
        select(INTENTS)
        .outerjoin(OUTCOMES, OUTCOMES.c.intent == INTENTS.c.intent)
        .where(INTENTS.c.cell == cell, OUTCOMES.c.intent.is_(None))
        .order_by(INTENTS.c.intent)
    )
    with database.read() as connection:
        return tuple(
            OpenIntent(row.intent, documents.to_repair(row.repair), row.run_id, row.token, moment(row.at))
            for row in connection.execute(query)
        )


def last_intent(database: Database, cell: str) -> int:
    """The number of the latest intent of a cell; 0 before the first."""
    with database.read() as connection:
        query = select(func.max(INTENTS.c.intent)).where(INTENTS.c.cell == cell)
        return connection.execute(query).scalar() or 0


def intended(database: Database, cell: str, after: int) -> tuple[Repair, ...]:
    """The repairs begun after this intent, oldest first, without those that are known to have written nothing."""
    query = (
        select(INTENTS.c.repair, OUTCOMES.c.outcome)
        .outerjoin(OUTCOMES, OUTCOMES.c.intent == INTENTS.c.intent)
        .where(INTENTS.c.cell == cell, INTENTS.c.intent > after)
        .order_by(INTENTS.c.intent)
    )
    with database.read() as connection:
        return tuple(
            documents.to_repair(repair)
            for repair, outcome in connection.execute(query)
            if outcome is None or documents.to_outcome(outcome).status not in TOUCHED_NOTHING
        )


def attempts(database: Database, cell: str, since: datetime) -> tuple[Attempt, ...]:
    """Concluded repairs begun at ``since`` or later, oldest first, one for each resource that each of them touched."""
    query = _CONCLUDED.where(INTENTS.c.cell == cell, INTENTS.c.at >= text(since)).order_by(INTENTS.c.intent)
    with database.read() as connection:
        return _attempts(connection.execute(query).all())


def replacements(database: Database, cell: str) -> tuple[Attempt, ...]:
    """The latest concluded replacements of servers, however long ago, oldest first."""
    # Canonical JSON leaves out nothing and has no spaces, so a repair that replaces nothing holds an empty list.
    replacing = INTENTS.c.repair.contains('"replacement":["')
    query = _CONCLUDED.where(INTENTS.c.cell == cell, replacing).order_by(INTENTS.c.intent.desc())
    with database.read() as connection:
        return _attempts(connection.execute(query.limit(REPLACEMENTS_REMEMBERED)).all()[::-1])


REPLACEMENTS_REMEMBERED = 500
_CONCLUDED = select(INTENTS.c.at, INTENTS.c.repair, OUTCOMES.c.outcome).join(
    OUTCOMES, OUTCOMES.c.intent == INTENTS.c.intent
)


def _attempts(rows: Sequence[Any]) -> tuple[Attempt, ...]:
    found: list[Attempt] = []
    for at, planned, document in rows:
        outcome, repair = documents.to_outcome(document), documents.to_repair(planned)
        found += (
            Attempt(
                Urn(urn),
                outcome.strategy,
                outcome.status,
                moment(at),
                outcome.finding_ids,
                repair.replacement,
                len(repair.members),
                unfit=bool(outcome.bad_image),
                wrote=outcome.status not in TOUCHED_NOTHING and outcome.reason != HEALED_BY_ITSELF,
            )
            # What touched no declared resource counts by its findings.
            for urn in outcome.urns or ("",)
        )
    return tuple(found)


def bad_images(database: Database, cell: str, since: datetime) -> frozenset[str]:
    """What groups launched, in repairs begun at ``since`` or later, that did not become healthy."""
    query = (
        select(OUTCOMES.c.outcome)
        .join(INTENTS, OUTCOMES.c.intent == INTENTS.c.intent)
        .where(INTENTS.c.cell == cell, INTENTS.c.at >= text(since))
    )
    with database.read() as connection:
        found = {documents.to_outcome(document).bad_image for document in connection.scalars(query)}
    return frozenset(found - {""})

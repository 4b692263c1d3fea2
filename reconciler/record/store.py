"""What people and later passes ask the record for: runs and their findings, pauses, and the declared baseline."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, and_, delete, insert, select, update

from reconciler.errors import StoreError
from reconciler.log import printable, scrub
from reconciler.model import Finding, Verdict
from reconciler.record import documents, ledger
from reconciler.record.clock import moment, text
from reconciler.record.database import Database
from reconciler.record.schema import BASELINES, FINDINGS, PAUSES, RUN_NUMBERS, RUNS, SPELLINGS

RUNS_WITH_FINDINGS = 50
"""So many runs of a cell keep their findings; of older ones the summary and the ledger remain."""


@dataclass(frozen=True, slots=True)
class Run:
    """One pass. ``finished`` is None while it runs, and for ever if it failed or was killed."""

    run_id: str
    cell: str
    kind: str
    """``scan``, ``plan`` or ``repair``."""
    started: datetime
    finished: datetime | None
    summary: Mapping[str, Any]

    @property
    def failed(self) -> str:
        """Why it ended before it was done; empty if it did not, or was killed."""
        return str(self.summary.get("failed", ""))


@dataclass(frozen=True, slots=True)
class Pause:
    """No repairs in a cell, or only not of one tenant (None: the whole cell), until a person resumes it."""

    cell: str
    tenant: str | None
    reason: str
    who: str
    since: datetime


class Store(Database):
    """The record. ``lease``, ``journal``, ``ledger``, ``checkpoint`` and ``audit`` work on one of these."""

    def begin_run(self, run_id: str, cell: str, kind: str, *, actor: str) -> None:
        """Note that a pass begins. Raises StoreError."""
        with self.write() as connection:
            started = text(self.clock.now())
            values = {"run_id": run_id, "cell": cell, "kind": kind, "started": started, "summary": "{}"}
            connection.execute(insert(RUNS).values(values))
            connection.execute(insert(RUN_NUMBERS).values(run_id=run_id))
            payload = {"run": run_id, "kind": kind}
            ledger.append(connection, self, cell=cell, actor=actor, event="run begun", payload=payload)

    def note_run(self, run_id: str, *, summary: Mapping[str, Any], findings: Sequence[Finding]) -> None:
        """Keep what a pass has found and decided so far, so that it can be explained while it acts, or has died.

        Raises StoreError.
        """
        with self.write() as connection:
            document = ledger.canonical(scrub(summary))
            connection.execute(update(RUNS).where(RUNS.c.run_id == run_id).values(summary=document))
            _keep(connection, run_id, findings)

    def fail_run(self, run_id: str, reason: str, *, actor: str) -> None:
        """Note that a pass ended before it was done, and why; what was noted of it stays. Raises StoreError."""
        reason = scrub(reason)
        with self.write() as connection:
            run = connection.execute(select(RUNS).where(RUNS.c.run_id == run_id)).one()
            document = ledger.canonical(json.loads(run.summary) | {"failed": reason})
            connection.execute(update(RUNS).where(RUNS.c.run_id == run_id).values(summary=document))
            payload = {"run": run_id, "kind": run.kind, "reason": reason}
            ledger.append(connection, self, cell=run.cell, actor=actor, event="run failed", payload=payload)

    def finish_run(self, run_id: str, *, summary: Mapping[str, Any], findings: Sequence[Finding], actor: str) -> None:
        """Note how a pass ended: ``summary`` as JSON, and its findings.

        Findings that PASS are counted by rule, in the ledger, for the auditor; the others are kept one by one, so that
        they can be explained later. Raises StoreError, also if there is no such run or it is finished.
        """
        by_rule: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
        for finding in findings:
            by_rule[finding.rule][finding.verdict] += 1
        kept = [finding for finding in findings if finding.verdict is not Verdict.PASS]
        with self.write() as connection:
            run = connection.execute(select(RUNS).where(RUNS.c.run_id == run_id)).one_or_none()
            if run is None or run.finished is not None:
                state = "is finished already" if run is not None else "was never begun"
                raise StoreError(f"run {run_id} {state}", where=self.where)
            document = ledger.canonical(scrub(summary))
            finished = text(self.clock.now())
            connection.execute(update(RUNS).where(RUNS.c.run_id == run_id).values(finished=finished, summary=document))
            _keep(connection, run_id, kept)
            _forget_old_findings(connection, run.cell, but=run_id)
            payload = {
                "run": run_id,
                "kind": run.kind,
                "summary": summary,
                "verdicts by rule": by_rule,
                "failing": sorted(f.id for f in kept if f.verdict is Verdict.FAIL and f.accepted is None),
                "accepted": sorted(f.id for f in kept if f.accepted is not None),
            }
            ledger.append(connection, self, cell=run.cell, actor=actor, event="run finished", payload=payload)

    def runs(self, cell: str, *, limit: int = 20) -> tuple[Run, ...]:
        """The latest runs of a cell, newest first."""
        query = newest_first(select(RUNS).where(RUNS.c.cell == cell))
        with self.read() as connection:
            return tuple(run_of(row) for row in connection.execute(query.limit(limit)))

    def repaired_before(self, cell: str) -> bool:
        """Whether a pass that repairs has ever ended in this cell."""
        query = select(RUNS.c.run_id).where(RUNS.c.cell == cell, RUNS.c.kind == "repair", RUNS.c.finished.is_not(None))
        with self.read() as connection:
            return connection.execute(query.limit(1)).first() is not None

    def findings(self, run_id: str) -> tuple[Finding, ...]:
        """A run's findings that did not pass, in their order; empty for a run too old to have kept them."""
        query = select(FINDINGS.c.document).where(FINDINGS.c.run_id == run_id).order_by(FINDINGS.c.position)
        with self.read() as connection:
            return tuple(documents.to_finding(document) for document in connection.scalars(query))

    def finding(self, cell: str, finding_id: str) -> tuple[Run, Finding] | None:
        """The latest sighting of a finding in a cell, and the run that saw it; ``finding_id`` may be a unique prefix.

        Raises StoreError if the prefix fits several findings.
        """
        query = (
            select(RUNS, FINDINGS.c.document, FINDINGS.c.finding_id)
            .join(FINDINGS, FINDINGS.c.run_id == RUNS.c.run_id)
            .where(RUNS.c.cell == cell, FINDINGS.c.finding_id.startswith(finding_id, autoescape=True))
        )
        with self.read() as connection:
            rows = connection.execute(newest_first(query)).all()
            ids = sorted({row.finding_id for row in rows})
            if len(ids) > 1 and finding_id not in ids:
                raise StoreError(
                    f"{finding_id} fits {len(ids)} findings", why=", ".join(ids[:10]), todo="Write it in full."
                )
            exact = [row for row in rows if row.finding_id == finding_id] or rows
            return (run_of(exact[0]), documents.to_finding(exact[0].document)) if exact else None

    def pause(self, cell: str, *, reason: str, who: str, tenant: str | None = None, replace: bool = True) -> None:
        """Stop repairs in a cell, or of one tenant of it, until ``resume``; survives restarts. Raises StoreError.

        A pause that stands there is replaced, unless ``replace`` is false: then it stays as it is.
        """
        reason, who = scrub(reason), printable(scrub(who))[:255]
        with self.write() as connection:
            if not replace and connection.execute(select(PAUSES).where(_of_pause(cell, tenant))).first():
                return
            connection.execute(delete(PAUSES).where(_of_pause(cell, tenant)))
            since = text(self.clock.now())
            values = {"cell": cell, "tenant": tenant or "", "reason": printable(reason), "who": who, "since": since}
            connection.execute(insert(PAUSES).values(values))
            payload = {"tenant": tenant, "reason": reason}
            ledger.append(connection, self, cell=cell, actor=who, event="paused", payload=payload)

    def resume(self, cell: str, *, who: str, tenant: str | None = None, reason: str = "") -> bool:
        """End a pause. Returns whether there was one; a pause of the cell and one of a tenant are apart."""
        with self.write() as connection:
            if not connection.execute(delete(PAUSES).where(_of_pause(cell, tenant))).rowcount:
                return False
            payload = {"tenant": tenant, "reason": scrub(reason)}
            ledger.append(connection, self, cell=cell, actor=who, event="resumed", payload=payload)
        return True

    def pauses(self, cell: str) -> tuple[Pause, ...]:
        """The pauses in force, that of the whole cell first."""
        query = select(PAUSES).where(PAUSES.c.cell == cell).order_by(PAUSES.c.tenant)
        with self.read() as connection:
            return tuple(
                Pause(row.cell, row.tenant or None, row.reason, row.who, moment(row.since))
                for row in connection.execute(query)
            )

    def baseline(self, cell: str) -> Mapping[str, Any] | None:
        """The declared set of the last successful update, as the JSON that ``save_baseline`` was given."""
        with self.read() as connection:
            document = connection.execute(select(BASELINES.c.document).where(BASELINES.c.cell == cell)).scalar()
            return json.loads(document) if document is not None else None

    def save_baseline(self, cell: str, version: int, document: Mapping[str, Any], *, actor: str) -> None:
        """Keep a declared set, without secrets, as the baseline; the ledger tells when it changes."""
        content = ledger.canonical(document)
        with self.write() as connection:
            old = connection.execute(select(BASELINES).where(BASELINES.c.cell == cell)).one_or_none()
            if old is not None and old.document == content:
                return
            connection.execute(delete(BASELINES).where(BASELINES.c.cell == cell))
            saved = text(self.clock.now())
            connection.execute(insert(BASELINES).values(cell=cell, version=version, saved=saved, document=content))
            payload = {"version": version, "sha256": ledger.sha256(content)}
            ledger.append(connection, self, cell=cell, actor=actor, event="baseline", payload=payload)

    def spellings(self, cell: str, version: int) -> Mapping[str, Any] | None:
        """What ``save_spellings`` was given for this version of the declaration; None for any other version."""
        query = select(SPELLINGS.c.document).where(SPELLINGS.c.cell == cell, SPELLINGS.c.version == version)
        with self.read() as connection:
            document = connection.execute(query).scalar()
            return json.loads(document) if document is not None else None

    def save_spellings(
        self, cell: str, version: int, document: Mapping[str, Any], *, new: Sequence[str], actor: str
    ) -> None:
        """Keep which differences are none, in place of what was kept for the cell.

        ``new`` says in words which ones came to be known now; the ledger keeps it.
        """
        content = ledger.canonical(document)
        with self.write() as connection:
            connection.execute(delete(SPELLINGS).where(SPELLINGS.c.cell == cell))
            connection.execute(insert(SPELLINGS).values(cell=cell, version=version, document=content))
            if new:
                payload = {"version": version, "spellings": list(new)}
                ledger.append(connection, self, cell=cell, actor=actor, event="normalisation", payload=payload)


def _keep(connection: Connection, run_id: str, findings: Sequence[Finding]) -> None:
    """Keep a run's findings that did not pass, in place of what was kept of it before."""
    connection.execute(delete(FINDINGS).where(FINDINGS.c.run_id == run_id))
    rows = [
        {"run_id": run_id, "position": i, "finding_id": f.id, "document": documents.from_finding(f)}
        for i, f in enumerate(f for f in findings if f.verdict is not Verdict.PASS)
    ]
    if rows:
        connection.execute(insert(FINDINGS), rows)


def newest_first(query: Select[Any]) -> Select[Any]:
    """The runs that a query finds, in the order in which they began, the last one first."""
    return query.join(RUN_NUMBERS, RUN_NUMBERS.c.run_id == RUNS.c.run_id).order_by(RUN_NUMBERS.c.number.desc())


def _forget_old_findings(connection: Connection, cell: str, *, but: str) -> None:
    """A run that took very long keeps what it has just found."""
    newest = newest_first(select(RUNS.c.run_id).where(RUNS.c.cell == cell))
    old = connection.scalars(newest.offset(RUNS_WITH_FINDINGS).limit(RUNS_WITH_FINDINGS)).all()
    connection.execute(delete(FINDINGS).where(FINDINGS.c.run_id.in_(old), FINDINGS.c.run_id != but))


def run_of(row: Row[Any]) -> Run:
    """A run as its row says."""
    finished = moment(row.finished) if row.finished is not None else None
    return Run(row.run_id, row.cell, row.kind, moment(row.started), finished, json.loads(row.summary))


def _of_pause(cell: str, tenant: str | None) -> ColumnElement[bool]:
    return and_(PAUSES.c.cell == cell, PAUSES.c.tenant == (tenant or ""))

"""How a cell stands, as a document for machines and tables for people."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from reconciler.overview import Overview
from reconciler.present.documents import Document, breaker_document, repair_document
from reconciler.present.tables import plain_table, safe, short
from reconciler.record.store import Pause


def pauses_document(cell: str, pauses: Sequence[Pause]) -> Document:
    """``pause`` and ``resume`` with ``--output json``: what is paused now. A tenant of null is the whole cell."""
    return {
        "cell": cell,
        "pauses": [
            {"tenant": p.tenant, "who": p.who, "since": p.since.isoformat(), "reason": p.reason} for p in pauses
        ],
    }


def pauses_table(cell: str, pauses: Sequence[Pause]) -> RenderableType:
    if not pauses:
        return Text(f"Nothing is paused in cell {cell}.")
    table = plain_table("paused", "by", "since", "why", keep=1)
    for p in pauses:
        table.add_row(safe(p.tenant or f"the whole cell {cell}"), safe(p.who), _at(p.since), safe(p.reason))
    return table


def status_document(found: Overview) -> Document:
    """``status --output json``."""
    holder, latest = found.holder, found.latest
    plan = found.proposed.summary["plan"] if found.proposed else {}
    return {
        **pauses_document(found.cell, found.pauses),
        "holder": {
            "host": holder.process.host,
            "pid": holder.process.pid,
            "since": holder.since.isoformat(),
            "until": holder.until.isoformat(),
        }
        if holder
        else None,
        "repairs": [
            {
                **repair_document(r.repair),
                "run_id": r.run_id,
                "since": r.at.isoformat(),
                "state": "in progress" if found.going(r) else "cut off",
            }
            for r in found.repairs
        ],
        "breakers": [breaker_document(b) for b in found.breakers],
        "proposed": {"plan": plan.get("id"), "proposals": list(plan.get("proposals") or ())} if plan else None,
        "approvals": [
            {
                "approval": a.number,
                "who": a.who,
                "note": a.note,
                "expires": a.expires.isoformat(),
                "left": [r.repair_id for r in a.repairs if r.content not in a.used],
            }
            for a in found.approvals
        ],
        "marked": [
            {
                "server": m.instance,
                "urn": m.group,
                "tenant": m.tenant,
                "who": m.who,
                "since": m.since.isoformat(),
                "reason": m.reason,
            }
            for m in found.marks
        ],
        "latest": {
            "run_id": latest.run_id,
            "kind": latest.kind,
            "started": latest.started.isoformat(),
            "finished": latest.finished.isoformat() if latest.finished else None,
            "failed": latest.failed or None,
        }
        if latest
        else None,
    }


def status_table(found: Overview) -> RenderableType:
    parts: list[RenderableType] = [_heading(found)]
    if found.pauses:
        parts.append(pauses_table(found.cell, found.pauses))
    if found.breakers:
        table = plain_table("breaker", "cause", "since", "why", keep=1)
        for b in found.breakers:
            words = f"{b.reason}; {b.acknowledged}" if b.acknowledged else b.reason
            table.add_row(safe(b.tenant or "the cell"), b.cause.value, _at(b.since), safe(words))
        parts.append(table)
    if found.repairs:
        table = plain_table("repair", "strategy", "tenant", "state", "since", "resources", keep=3)
        for r in found.repairs:
            state = "in progress" if found.going(r) else "cut off; the next pass concludes it"
            names = ", ".join(short(urn) for urn in r.repair.urns)
            table.add_row(r.repair.id, r.repair.strategy, safe(r.repair.tenant or "-"), state, _at(r.at), safe(names))
        parts.append(table)
    if found.marks:
        table = plain_table("marked server", "tenant", "by", "since", "why", keep=1)
        for m in found.marks:
            table.add_row(safe(m.instance), safe(m.tenant or "-"), safe(m.who), _at(m.since), safe(m.reason))
        parts.append(table)
    if found.approvals:
        table = plain_table("approval", "by", "until", "repairs left", "note", keep=1)
        for a in found.approvals:
            left = sum(r.content not in a.used for r in a.repairs)
            table.add_row(str(a.number), safe(a.who), _at(a.expires), str(left), safe(a.note))
        parts.append(table)
    return Group(*parts)


def _heading(found: Overview) -> Table:
    facts = Table.grid(padding=(0, 2))
    facts.add_row("cell", safe(found.cell))
    holder, latest = found.holder, found.latest
    held = (
        f"process {holder.process.pid} on {holder.process.host} since {_at(holder.since)}, renewed until"
        f" {_at(holder.until)}"
        if holder
        else "nobody"
    )
    facts.add_row("held by", safe(held))
    if latest is None:
        facts.add_row("latest pass", "none is on record")
    else:
        end = f"failed: {latest.failed}" if latest.failed else "finished" if latest.finished else "not finished"
        facts.add_row("latest pass", safe(f"{latest.kind} {latest.run_id} of {_at(latest.started)}, {end}"))
    if not found.pauses:
        facts.add_row("paused", "nothing")
    if not found.breakers:
        facts.add_row("breakers", "none is open")
    if not found.repairs:
        facts.add_row("repairs", "none is under way")
    if found.proposed:
        plan = found.proposed.summary["plan"]
        facts.add_row("proposed", safe(f"{len(plan['proposals'])} repairs wait for: stackmend approve {plan['id']}"))
    return facts


def _at(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S}"

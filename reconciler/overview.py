"""How a cell stands, for somebody who has just been woken: from the record alone, without a look or the lease."""

from __future__ import annotations

from dataclasses import dataclass

from reconciler.decisions import Approval, Breaker
from reconciler.record import journal, lease, marks, standing
from reconciler.record.journal import OpenIntent
from reconciler.record.lease import Holder
from reconciler.record.marks import Mark
from reconciler.record.store import Pause, Run, Store

RUNS_SEARCHED = 50


@dataclass(frozen=True, slots=True)
class Overview:
    """What is in force and under way."""

    cell: str
    holder: Holder | None
    pauses: tuple[Pause, ...]
    breakers: tuple[Breaker, ...]
    proposed: Run | None
    """The latest pass that planned, if something in its plan waits for an approval."""
    approvals: tuple[Approval, ...]
    """Those that are not used up."""
    repairs: tuple[OpenIntent, ...]
    """Not concluded: in progress if the holder began them, else cut off."""
    marks: tuple[Mark, ...]
    """Servers that are marked as compromised and not isolated yet."""
    latest: Run | None

    def going(self, repair: OpenIntent) -> bool:
        """Whether a repair is in progress; the next pass concludes one that was cut off."""
        return self.holder is not None and self.holder.token == repair.token


def overview(store: Store, cell: str) -> Overview:
    """How a cell stands now. Raises StoreError."""
    runs = store.runs(cell, limit=RUNS_SEARCHED)
    # A look at less than the cell proposes only what concerns that.
    planned = next((run for run in runs if run.summary.get("plan") and run.summary.get("whole", True)), None)
    return Overview(
        cell=cell,
        holder=lease.holder(store, cell),
        pauses=store.pauses(cell),
        breakers=standing.breakers(store, cell),
        proposed=planned if planned and planned.summary["plan"].get("proposals") else None,
        approvals=tuple(a for a in standing.approvals(store, cell) if {r.content for r in a.repairs} - a.used),
        repairs=journal.open_intents(store, cell),
        marks=tuple(m for m in marks.marks(store, cell) if m.repaired is None),
        latest=runs[0] if runs else None,
    )

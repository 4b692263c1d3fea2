"""Whether a repair is still needed, on a fresh look: asked right before a write, and wherever nothing was written."""

from __future__ import annotations

from collections.abc import Sequence

from reconciler.act.tools import Ending
from reconciler.model import HEALED_BY_ITSELF, Finding, Repair, Status, Verdict


def still_needed(repair: Repair, findings: Sequence[Finding]) -> Ending | None:
    """Judge a repair on a fresh look: an ending if it must not go on, None if its findings still hold.

    A finding that the look does not show has passed, unless something about the same resources is UNKNOWN now: then
    nobody knows (I06).
    """
    mine = {f.id: f for f in findings if f.id in repair.finding_ids}
    unknown = [f for f in findings if f.urn in repair.urns and f.verdict is Verdict.UNKNOWN]
    failing = [f for f in mine.values() if f.verdict is Verdict.FAIL and f.accepted is None]
    unseen = [i for i in repair.finding_ids if i not in mine]
    blind = [f for f in mine.values() if f.verdict is Verdict.UNKNOWN]
    if blind or (unseen and unknown):
        return Ending(Status.REFUSED, f"it cannot be seen now: {(blind or unknown)[0].message}")
    if not failing:
        return Ending(Status.HEALED, HEALED_BY_ITSELF)
    return None

"""Repairs that would set back what is accepted, or take something away for good, say so and wait for approval.

An update sets all properties of a resource, so accepted differences count as well.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace

from reconciler.losses import Loss, losses
from reconciler.model import Finding, Kind, Repair, Scan, Urn, Verdict
from reconciler.plan.strategy import ESCALATE, OF_SERVERS

_WORDS = "declare what is kept now, or approve that it goes"


def losing(repairs: Sequence[Repair], scan: Scan) -> list[Repair]:
    """The repairs, with what they would take away."""
    found: dict[Urn, dict[str, Loss]] = defaultdict(dict)
    for f in _drift(scan):
        for loss in losses(f.urn, f.type, {f.property: f.declared}, {f.property: f.observed}):
            found[f.urn][loss.key] = loss
    return [_told(r, [loss for urn in r.urns for loss in found.get(urn, {}).values()]) for r in repairs]


def undoing(repairs: Sequence[Repair], scan: Scan) -> list[Repair]:
    """The repairs, with the accepted differences that they would set back."""
    accepted: dict[Urn, list[str]] = defaultdict(list)
    for f in _drift(scan):
        if f.accepted is not None and f.urn in scan.declared.resources:
            accepted[f.urn].append(f"{scan.declared.resources[f.urn].name} {f.property}".strip())
    told: list[Repair] = []
    for repair in repairs:
        updates = repair.strategy != ESCALATE and repair.strategy not in OF_SERVERS
        names = tuple(sorted(name for u in repair.urns for name in accepted.get(u, ()))) if updates else ()
        words = f"; it also sets back what an exception accepts: {', '.join(names)}" if names else ""
        told.append(replace(repair, sets_back=names, reason=repair.reason + words))
    return told


def _drift(scan: Scan) -> Iterator[Finding]:
    return (f for f in scan.of(Verdict.FAIL) if f.kind is Kind.DRIFT)


def _told(repair: Repair, lost: Sequence[Loss]) -> Repair:
    if not lost or repair.strategy == ESCALATE:
        return repair
    reason = f"{'; '.join(map(str, lost))}: {_WORDS}; {repair.reason}"
    return replace(repair, loses=tuple(loss.key for loss in lost), reason=reason)

"""Repairs that would take something away for good say so, and wait for a person's approval."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

from reconciler.losses import Loss, losses
from reconciler.model import Kind, Repair, Scan, Urn, Verdict
from reconciler.plan.strategy import ESCALATE

_WORDS = "declare what is kept now, or approve that it goes"


def losing(repairs: Sequence[Repair], scan: Scan) -> list[Repair]:
    """The repairs, with what they would take away.

    An update sets all properties of a resource, so accepted differences count as well.
    """
    found: dict[Urn, dict[str, Loss]] = defaultdict(dict)
    for f in scan.of(Verdict.FAIL):
        if f.kind is Kind.DRIFT:
            for loss in losses(f.urn, f.type, {f.property: f.declared}, {f.property: f.observed}):
                found[f.urn][loss.key] = loss
    return [_told(r, [loss for urn in r.urns for loss in found.get(urn, {}).values()]) for r in repairs]


def _told(repair: Repair, lost: Sequence[Loss]) -> Repair:
    if not lost or repair.strategy == ESCALATE:
        return repair
    reason = f"{'; '.join(map(str, lost))}: {_WORDS}; {repair.reason}"
    return replace(repair, loses=tuple(loss.key for loss in lost), reason=reason)

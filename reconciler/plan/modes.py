"""What may be done without asking (observe, propose or repair, by tenant, type and kind), and what was approved."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from reconciler.decisions import Approval
from reconciler.model import Repair
from reconciler.plan.selectors import Selector, Subject


class Mode(StrEnum):
    """From the most restrictive to the least."""

    OBSERVE = "observe"
    """Findings only: nothing is planned."""
    PROPOSE = "propose"
    """Repairs wait for a person's approval."""
    REPAIR = "repair"


@dataclass(frozen=True, slots=True)
class ModeRule:
    """One entry of ``[[modes]]``."""

    selector: Selector
    mode: Mode


@dataclass(frozen=True, slots=True)
class Decided:
    """The mode of a repair, and which entries say so."""

    mode: Mode
    why: str = ""
    setting: str = ""


_STRICTEST_FIRST = tuple(Mode)


def mode_of(found: Collection[Subject], rules: Sequence[ModeRule]) -> Decided:
    """The mode of a repair with these subjects: where several entries fit, the most restrictive one counts (B19)."""
    fitting = [(i, r) for i, r in enumerate(rules, 1) if any(r.selector.fits(s) for s in found)]
    if not fitting:
        return Decided(Mode.REPAIR)
    number, rule = min(fitting, key=lambda pair: _STRICTEST_FIRST.index(pair[1].mode))
    why = f"entry {number} of [[modes]] ({rule.selector}) says {rule.mode}"
    others = [f"entry {i} says {r.mode}" for i, r in fitting if r.mode is not rule.mode]
    if others:
        why += f"; {', '.join(others)}, and the most restrictive one counts"
    return Decided(rule.mode, why, f"modes[{number}].mode")


def approved(
    proposals: Sequence[Repair], approvals: Sequence[Approval], now: datetime
) -> tuple[list[Repair], list[Repair]]:
    """(carried out now, still waiting): a tenant's proposals go when they are exactly what is left of one approval.

    One more, one less or another content, and nothing of that tenant goes: who approved has not seen this plan.
    """
    going: list[Repair] = []
    waiting: list[Repair] = []
    live = [a for a in approvals if a.at <= now < a.expires]
    for tenant in dict.fromkeys(r.tenant for r in proposals):
        mine = [r for r in proposals if r.tenant == tenant]
        contents = frozenset(r.content for r in mine)
        by = next((a for a in live if a.left(tenant) == contents), None)
        if by is not None:
            words = f"approved by {by.who}" + (f": {by.note}" if by.note else "")
            going += [replace(r, approval=by.number, reason=f"{r.reason}; {words}") for r in mine]
            continue
        stale = next((a for a in live if a.left(tenant) & contents), None)
        changed = f"; {stale.who} approved another plan: it has changed since, so approve it again" if stale else ""
        waiting += [replace(r, reason=r.reason + changed) for r in mine]
    return going, waiting

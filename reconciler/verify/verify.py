"""A repair is healed when a fresh look says so, not when the engine does."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from reconciler.errors import LeaseLost, StackmendError
from reconciler.model import Finding, Kind, Repair, Verdict
from reconciler.ports import Look


def verify(
    repairs: Sequence[Repair],
    look: Look,
    *,
    timeout: float,
    poll: float,
    clock: Callable[[], float],
    wait: Callable[[float], None],
) -> Mapping[str, str]:
    """Look again every ``poll`` seconds until every finding of these repairs passes, or ``timeout`` seconds are over.

    Returns the reason it is not healed, in words, by repair id; a repair that is not in it is healed. At least one
    look is made. A look that fails proves nothing, so it counts as not healed yet. All repairs share their looks.
    """
    started = clock()
    open_ = list(repairs)
    while True:
        reasons = _reasons(open_, look)
        open_ = [r for r in open_ if r.id in reasons]
        if not open_ or clock() - started >= timeout:
            return {i: f"still so after {timeout:.0f} s: {why}" for i, why in reasons.items()}
        wait(poll)


def _reasons(repairs: Sequence[Repair], look: Look) -> Mapping[str, str]:
    try:
        findings = look({u for r in repairs for u in r.urns})
    except LeaseLost:
        raise
    except StackmendError as error:
        return {r.id: f"it cannot be seen: {error}" for r in repairs}
    reasons = {}
    for repair in repairs:
        wrong = next((f for f in findings if _stands_against(f, repair)), None)
        if wrong is not None:
            reasons[repair.id] = wrong.message if wrong.verdict is Verdict.FAIL else f"not known: {wrong.message}"
    return reasons


def _stands_against(finding: Finding, repair: Repair) -> bool:
    """A finding of the repair that does not pass; or a resource or fleet that is UNKNOWN as a whole: it hides them."""
    if finding.verdict is Verdict.PASS or finding.accepted is not None:
        return False
    if finding.id in repair.finding_ids:
        return True
    hidden = finding.verdict is Verdict.UNKNOWN and not finding.property and finding.kind is not Kind.COMPLIANCE
    return hidden and finding.urn in repair.urns

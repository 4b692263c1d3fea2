"""Which strategy answers which cause: the table, and nothing else."""

from __future__ import annotations

from reconciler.model import Finding, Kind, ResourceKind

REAPPLY = "reapply"
RECREATE = "recreate"
RESTORE = "restore"
ROLLOUT = "rollout"
ESCALATE = "escalate"

MISSING = "drift.missing"
CHANGED = "drift.declaration-changed"


def strategy_for(findings: tuple[Finding, ...], kind: ResourceKind, *, protected: bool) -> tuple[str, str]:
    """The strategy for one resource's failing drift and compliance findings, and the reason in words.

    Stateful resources are only ever set back in place; a missing one is for a person, since what it held is gone.
    A rule that fails although nothing drifted is a fault of the program: applying it again would change nothing.
    """
    drifted = [f for f in findings if f.kind is Kind.DRIFT]
    worst = min(findings, key=lambda f: _SEVERITY.index(f.severity.value))
    if any(f.rule == MISSING for f in drifted):
        if kind.stateful or protected:
            return ESCALATE, f"{worst.message}; it holds state, so it is not created anew without a person's decision"
        return RECREATE, worst.message
    if any(f.rule == CHANGED and not f.property for f in drifted):
        return (
            ESCALATE,
            f"{worst.message}; it exists, so the engine would create a second one: import it into the stack",
        )
    if not drifted:
        return ESCALATE, f"{worst.message}; the declaration itself says so, so the program has to change"
    return (RESTORE if kind.stateful else REAPPLY), worst.message


_SEVERITY = ("critical", "high", "medium", "low")


def severity_rank(finding: Finding) -> int:
    return _SEVERITY.index(finding.severity.value)

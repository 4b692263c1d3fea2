"""Set drifted properties back to what the program declares."""

from __future__ import annotations

from reconciler.act.strategies.base import Strategy

STRATEGY = Strategy(
    name="reapply",
    does="updates the named resources in place to what the program declares",
    operations=frozenset({"update"}),
)

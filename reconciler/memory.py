"""How often Python looks for cycles in a process whose values have none."""

from __future__ import annotations

import gc

_THRESHOLDS = (50_000, 20, 100)


def collect_seldom() -> None:
    """For a process that looks at cells: a look makes a million small values, and frozen ones form no cycles.

    Python's default walks through all of them again and again, for a tenth of a look's CPU time and no memory.
    """
    gc.set_threshold(*_THRESHOLDS)

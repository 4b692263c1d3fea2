"""How Python is set in a process that looks at cells."""

from __future__ import annotations

import atexit
import gc
import sys

_THRESHOLDS = (50_000, 20, 100)
_TURN_SECONDS = 0.03


def prepare() -> None:
    """Set Python for looks: many small values without cycles, and a hundred threads that mostly wait for AWS.

    By default it walks through all values again and again, for a tenth of a look's CPU time and no memory; and each
    thread that waits for its turn wakes up every 5 ms to ask for it, for as much again. At the end it would search all
    that is left for cycles, which takes half as long as judging it.
    """
    gc.set_threshold(*_THRESHOLDS)
    sys.setswitchinterval(_TURN_SECONDS)
    atexit.register(gc.freeze)

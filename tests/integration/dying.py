"""``python -m tests.integration.dying POINT before|after ARGUMENT…``: ``stackmend`` that dies at one point of its work.

The process ends by ``os._exit``, as by SIGKILL: no handler runs, nothing is flushed, no lock is given back.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable
from typing import Any

DEAD = 86
"""The exit code of a process that died at its point."""

POINTS: dict[str, tuple[str, str]] = {
    "C01": ("reconciler.record.lease", "Lease.acquire"),
    "C02": ("reconciler.looking", "Looking.scan"),
    "C03": ("reconciler.deciding", "Deciding.plan"),
    "C04": ("reconciler.record.journal", "Journal.intend"),
    "C05": ("reconciler.act.engine", "Engine.preview"),
    "C08": ("reconciler.act.surge", "Surge.proven"),
    "C09": ("reconciler.act.aws_writes", "FleetWrites.set_desired"),
    "C11": ("reconciler.act.aws_writes", "FleetWrites.terminate"),
    "C12": ("reconciler.act.engine", "Engine.up"),
    "C13": ("reconciler.record.journal", "Journal.conclude"),
    "C14": ("reconciler.record.checkpoint", "checkpoint"),
    "C17": ("reconciler.record.lease", "Lease.release"),
}
"""Crash points by the function that is what happens there. The new server of a rollout attaches itself to the load
balancer once the group is told to grow, so that is C09."""


def dies(function: Callable[..., Any], when: str) -> Callable[..., Any]:
    """The function, and the end of the process before or after its first call."""

    def dying(*arguments: Any, **named: Any) -> Any:
        if when == "after":
            function(*arguments, **named)
        os._exit(DEAD)

    return dying


def main() -> None:
    point, when, *arguments = sys.argv[1:]
    module, name = POINTS[point]
    place: Any = importlib.import_module(module)
    *owners, last = name.split(".")
    for owner in owners:
        place = getattr(place, owner)
    found = getattr(place, last)
    wrapped = dies(found, when)
    # A class method is already bound to its class when it is looked up.
    setattr(place, last, staticmethod(wrapped) if hasattr(found, "__self__") else wrapped)
    sys.argv = ["stackmend", *arguments]
    importlib.import_module("reconciler.cli").main()


if __name__ == "__main__":
    main()

"""What a fault is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sandbox.faults.victim import Victim


class Actor(StrEnum):
    """Who does such a thing in real life."""

    INTRUDER = "intruder"
    OUTAGE = "outage"
    OPERATOR = "operator"


@dataclass(frozen=True, slots=True)
class Fault:
    """One way to break one thing of one tenant."""

    name: str
    description: str
    actor: Actor
    area: str
    types: tuple[str, ...]
    """Pulumi type tokens of the resources on which it is to be found."""
    strike: Callable[[Victim], str]
    """Breaks it; returns the id, name or ARN of what was broken. Raises VictimNotFound."""

    def explains(self, finding: Mapping[str, Any]) -> bool:
        """Whether a finding, as the command line's JSON shows it, may come from this fault: it is on its resources."""
        return finding["type"] in self.types

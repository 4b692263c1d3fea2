"""Rules that make the sandbox's AWS fail on purpose: which calls, how, and how often."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from sandbox.wire import ERRORS, Call

EFFECTS = frozenset({*ERRORS, "error", "delay", "timeout", "reset", "truncate", "empty", "repeat-token", "malformed"})
"""What a rule can do to a call.

The names in ``ERRORS`` and ``error`` (own status and code) answer with an error; ``delay`` answers late; ``timeout``
holds the call and then closes the connection; ``reset`` does so at once; the others damage the answer.
"""


@dataclass(slots=True, eq=False)
class Rule:
    """One injected fault. ``service``, ``action`` and ``actor`` are shell patterns, ``match`` a part of the params."""

    effect: str
    service: str = "*"
    action: str = "*"
    match: str = ""
    actor: str = "*"
    times: int | None = None
    """How many calls it hits; None for all."""
    skip: int = 0
    """How many matching calls pass first."""
    seconds: float = 30.0
    """How long ``delay`` and ``timeout`` hold a call; clearing the rules lets it go."""
    status: int = 400
    code: str = "ValidationError"
    message: str = "injected by the sandbox"
    performed: bool = False
    """Whether the call takes effect before it fails, as when only the answer is lost."""
    id: int = 0
    hits: int = 0
    cleared: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        if self.effect not in EFFECTS:
            raise ValueError(f"unknown effect {self.effect!r}; known: {', '.join(sorted(EFFECTS))}")

    def matches(self, call: Call) -> bool:
        return (
            fnmatchcase(call.service, self.service)
            and fnmatchcase(call.action, self.action)
            and fnmatchcase(call.actor, self.actor)
            and self.match in call.params
        )

    def describe(self) -> dict[str, Any]:
        """The rule as JSON data."""
        names = [n for n in self.__slots__ if n != "cleared"]
        return {name: getattr(self, name) for name in names}


class Rules:
    """The rules in force. The first that matches a call and is not used up takes it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._rules: list[Rule] = []
        self._next = 1

    def add(self, rule: Rule) -> int:
        with self._lock:
            rule.id, self._next = self._next, self._next + 1
            self._rules.append(rule)
            return rule.id

    def clear(self, ids: Iterable[int] | None = None) -> None:
        """Drop all rules or the named ones, and let go of every call they hold."""
        with self._lock:
            dropped = self._rules if ids is None else [r for r in self._rules if r.id in set(ids)]
            self._rules = [r for r in self._rules if r not in dropped]
        for rule in dropped:
            rule.cleared.set()

    def take(self, call: Call) -> Rule | None:
        """The rule that this call meets, counted as used."""
        with self._lock:
            for rule in self._rules:
                if not rule.matches(call):
                    continue
                if rule.skip > 0:
                    rule.skip -= 1
                elif rule.times is None or rule.hits < rule.times:
                    rule.hits += 1
                    return rule
        return None

    def describe(self) -> list[dict[str, Any]]:
        with self._lock:
            return [rule.describe() for rule in self._rules]

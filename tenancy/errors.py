"""Bad configuration, told so that a person can mend it: which file, which line, which value, and what is allowed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

_LONGEST_VALUE = 60


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong in one place."""

    file: str
    """As it was given; empty when the configuration came from the engine."""
    line: int | None
    """1-based; None when no line is known."""
    path: str
    """``tenants[1].cidr``; empty for the file as a whole."""
    value: Any
    """None if there is none, or if nothing would be learnt from it."""
    reason: str
    allowed: str
    """What would be accepted, in words."""

    def __str__(self) -> str:
        place = ":".join(str(part) for part in (self.file or "stack configuration", self.line) if part is not None)
        subject = self.path if self.value is None else f"{self.path}: {shown(self.value)}"
        return f"{place}: {' '.join(filter(None, (subject, self.reason)))}; allowed: {self.allowed}"


class ConfigurationError(Exception):
    """The configuration cannot be used, and nothing was changed. ``str()`` is one line for each problem."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


def shown(value: Any) -> str:
    """A value as safe, short, printable ASCII: terminal escapes and look-alike letters become visible."""
    if isinstance(value, dict):
        return "(a mapping)"
    if isinstance(value, list | tuple | set | frozenset):
        return "(a list)" if value else "(an empty list)"
    text = ascii(value)
    return text if len(text) <= _LONGEST_VALUE else f"{text[:_LONGEST_VALUE]}… ({len(text)} characters)"

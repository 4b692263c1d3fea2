"""Which repairs a mode, a window or a freeze is about.

A selector names what it selects. It never selects everything by leaving things out: it has at least one part, and
``*`` has to be written where everything is meant.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, fields
from fnmatch import fnmatchcase

from reconciler.model import Declared, Finding, Repair


@dataclass(frozen=True, slots=True)
class Subject:
    """What a selector looks at: one finding of a repair on one type of resource."""

    tenant: str
    """Empty for what no tenant owns; only ``*`` selects that."""
    tier: str
    type: str
    kind: str
    rule: str


@dataclass(frozen=True, slots=True)
class Selector:
    """Patterns with ``*``; a part that is None is not looked at, and one without any part selects nothing."""

    tenant: str | None = None
    tier: str | None = None
    type: str | None = None
    kind: str | None = None
    rule: str | None = None

    def fits(self, subject: Subject) -> bool:
        parts = [(pattern, getattr(subject, name)) for name, pattern in self.parts()]
        return bool(parts) and all(fnmatchcase(value, pattern) for pattern, value in parts)

    def parts(self) -> Iterable[tuple[str, str]]:
        named = ((field.name, getattr(self, field.name)) for field in fields(self))
        return [(name, pattern) for name, pattern in named if pattern is not None]

    def __str__(self) -> str:
        return ", ".join(f"{name} = {pattern}" for name, pattern in self.parts())


def subjects(repair: Repair, declared: Declared, findings: Mapping[str, Finding]) -> Collection[Subject]:
    """Everything a selector may find in a repair: each of its findings with each type that it touches."""
    facts = declared.tenants.get(repair.tenant or "")
    types = {declared.resources[u].type for u in repair.urns if u in declared.resources}
    found = [findings[i] for i in repair.finding_ids if i in findings]
    return {
        Subject(repair.tenant or "", facts.tier if facts else "", type_, finding.kind.value, finding.rule)
        for finding in found
        for type_ in types | {finding.type}
    }

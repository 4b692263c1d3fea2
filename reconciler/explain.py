"""Why a finding is one, or a repair was done: put together from the record, without looking at AWS again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from reconciler.detect import drift, health, orphans
from reconciler.detect.rules import RULES
from reconciler.errors import ConfigurationError
from reconciler.model import Finding
from reconciler.record.store import Run, Store

PASSES_SEARCHED = 200
FINDINGS_SHOWN = 20


@dataclass(frozen=True, slots=True)
class RuleText:
    """What a rule demands, who demands it, and where that is written."""

    id: str
    title: str
    description: str = ""
    source: str = ""
    controls: Mapping[str, Sequence[str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Step:
    """What one pass decided or did about it. ``document`` is as in the JSON of ``plan`` and ``repair``."""

    run_id: str
    at: datetime
    kind: str
    """``repair``, ``proposal``, ``deferral`` or ``outcome``."""
    document: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Explanation:
    """Everything the record knows of one finding or repair, newest first."""

    id: str
    finding: Finding | None
    seen: Run | None
    rule: RuleText | None
    steps: tuple[Step, ...]
    about: tuple[Finding, ...] = ()
    """For a repair, a deferral or a plan: the findings behind it, as far as they are kept."""


def explain(store: Store, cell: str, wanted: str) -> Explanation:
    """Explain a finding (``f-…``), a repair (``r-…``), a deferral (``d-…``) or a plan (``p-…``).

    Raises ConfigurationError if the record has none of that name.
    """
    sighting = store.finding(cell, wanted)
    seen, finding = sighting if sighting else (None, None)
    identity = finding.id if finding else wanted
    steps = tuple(_steps(store.runs(cell, limit=PASSES_SEARCHED), identity))
    if finding is None and not steps:
        raise ConfigurationError(
            f"the record of cell {cell} knows no finding, repair, deferral or plan {wanted!r}",
            todo="`stackmend scan` and `stackmend plan` show ids.",
        )
    if finding is not None:
        return Explanation(identity, finding, seen, _rule(finding.rule), steps)
    behind = dict.fromkeys(i for step in steps for i in step.document.get("finding_ids", ()))
    sightings = [store.finding(cell, i) for i in list(behind)[:FINDINGS_SHOWN]]
    return Explanation(identity, None, None, None, steps, tuple(s[1] for s in sightings if s is not None))


def _steps(runs: Sequence[Run], identity: str) -> Iterator[Step]:
    for run in runs:
        plan = run.summary.get("plan") or {}
        for kind, documents in (
            ("outcome", run.summary.get("outcomes") or ()),
            ("repair", plan.get("repairs") or ()),
            ("proposal", plan.get("proposals") or ()),
            ("deferral", plan.get("deferrals") or ()),
        ):
            for document in documents:
                names = (document.get("repair_id"), document.get("deferral_id"), plan.get("id"))
                if identity in names or identity in document.get("finding_ids", ()):
                    yield Step(run.run_id, run.started, kind, document)


def _rule(id_: str) -> RuleText:
    for rule in RULES:
        if rule.id == id_:
            return RuleText(id_, rule.title, rule.description, rule.source, rule.controls)
    for module in (drift, health, orphans):
        if id_ in module.RULES:
            return RuleText(id_, module.RULES[id_])
    return RuleText(id_, "a rule of another version of this program")

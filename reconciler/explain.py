"""Why a finding is one, or a repair was done: put together from the record, without looking at AWS again."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from reconciler.detect import drift, health, orphans
from reconciler.detect.rules import RULES
from reconciler.errors import ConfigurationError
from reconciler.model import Finding
from reconciler.present.documents import outcome_document, repair_document
from reconciler.record import lease, search
from reconciler.record.clock import moment
from reconciler.record.ledger import Entry
from reconciler.record.store import RUNS_WITH_FINDINGS, Run, Store

FINDINGS_SHOWN = 20
_ID = re.compile(r"[frdp]-[0-9a-f]+")


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
    """``repair``, ``proposal``, ``deferral``, ``outcome``; ``in progress`` or ``cut off`` for a repair that has not
    ended; or the event of the ledger that names it, where nothing else is kept."""
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
    pruned: str = ""
    """What is not kept any more, in words."""


def explain(store: Store, cell: str, wanted: str) -> Explanation:
    """Explain a finding (``f-…``), a repair (``r-…``), a deferral (``d-…``) or a plan (``p-…``), however old it is.

    Raises ConfigurationError if the record has none of that name.
    """
    wanted = wanted.strip().lower()
    if not _ID.fullmatch(wanted):
        raise ConfigurationError(
            f"{wanted!r} is not the id of a finding, repair, deferral or plan",
            todo="It looks like f-…, r-…, d-… or p-…; `stackmend scan`, `plan`, `history` and `status` show ids.",
        )
    sighting = store.finding(cell, wanted)
    seen, finding = sighting if sighting else (None, None)
    identity = finding.id if finding else wanted
    steps = _steps(store, cell, identity)
    if finding is not None:
        return Explanation(identity, finding, seen, _rule(finding.rule), steps)
    pruned = ""
    if not steps:
        steps = tuple(_told(search.entries(store, cell, identity), identity))
        pruned = "only the ledger still tells of it; what was seen and decided is in the passes that it names"
    if not steps:
        raise ConfigurationError(
            f"the record of cell {cell} knows no finding, repair, deferral or plan {wanted!r}",
            where=store.where,
            todo="`stackmend scan` and `stackmend plan` show ids; --cell names another cell.",
        )
    behind = [i for i in dict.fromkeys(i for s in steps for i in s.document.get("finding_ids", ())) if i != identity]
    shown = behind[:FINDINGS_SHOWN]
    about = tuple(found[1] for i in shown if (found := store.finding(cell, i)) is not None)
    lost = "it" if identity.startswith("f-") else f"{len(shown) - len(about)} of the {len(behind)} behind it"
    if not pruned and (lost == "it" or len(about) < len(shown)):
        pruned = f"findings are kept in full for {RUNS_WITH_FINDINGS} passes; what was seen of {lost} is not any more"
    return Explanation(identity, None, None, None, steps, about, pruned)


def _steps(store: Store, cell: str, identity: str) -> tuple[Step, ...]:
    """What passes decided and did about it, newest first; what the journal says counts where no pass tells it."""
    decided = [step for run in search.runs(store, cell, identity) for step in _of_run(run, identity)]
    told = [s.document for s in decided if s.kind == "outcome"]
    holder = lease.holder(store, cell)
    steps: list[Step] = []
    for tried in search.repairs(store, cell, identity):
        if tried.outcome is None:
            going = holder is not None and holder.token == tried.token
            kind, word = ("in progress", "since") if going else ("cut off", "begun at")
            more = "" if going else "; the next pass looks at what it left and concludes it"
            document = repair_document(tried.repair)
            reason = f"{kind} {word} {tried.began:%Y-%m-%d %H:%M:%S} UTC{more}: {tried.repair.reason}"
            steps.append(Step(tried.run_id, tried.began, kind, document | {"reason": reason}))
        elif (document := outcome_document(tried.outcome)) not in told:
            steps.append(Step(tried.run_id, tried.ended or tried.began, "outcome", document))
    return tuple(sorted([*steps, *decided], key=lambda s: s.at, reverse=True))


def _of_run(run: Run, identity: str) -> Iterator[Step]:
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


def _told(found: Sequence[Entry], identity: str) -> Iterator[Step]:
    """What the ledger itself says; of the passes that saw a finding only the last and the first are told."""
    for number, entry in enumerate(found):
        payload = json.loads(entry.payload)
        run_id, at = str(payload.get("run", "")), moment(entry.at)
        summary = payload.get("summary") or {}
        yield from _of_run(Run(run_id, entry.cell, "", at, at, summary), identity)
        verdict = next((word for word in ("failing", "accepted") if identity in payload.get(word, ())), "")
        words = f"the pass saw it {verdict}" if verdict else payload.get("reason", "")
        if not verdict or number in (0, len(found) - 1):
            document = {"strategy": payload.get("strategy", ""), "status": payload.get("status", ""), "reason": words}
            yield Step(run_id, at, entry.event, document)


def _rule(id_: str) -> RuleText:
    for rule in RULES:
        if rule.id == id_:
            return RuleText(id_, rule.title, rule.description, rule.source, rule.controls)
    for module in (drift, health, orphans):
        if id_ in module.RULES:
            return RuleText(id_, module.RULES[id_])
    return RuleText(id_, "a rule of another version of this program")

"""What the record tells, as documents for machines and tables for people."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from reconciler.explain import Explanation
from reconciler.present.documents import Document, finding_document
from reconciler.present.tables import plain_table, safe, short
from reconciler.record.audit import Report
from reconciler.record.store import Run


def history_document(runs: Sequence[Run]) -> Document:
    return {
        "runs": [
            {
                "run_id": run.run_id,
                "cell": run.cell,
                "kind": run.kind,
                "started": run.started.isoformat(),
                "finished": run.finished.isoformat() if run.finished else None,
                "failed": run.failed or None,
                "summary": dict(run.summary),
            }
            for run in runs
        ]
    }


def history_table(runs: Sequence[Run]) -> RenderableType:
    table = plain_table("run", "kind", "started", "seconds", "fail", "unknown", "proposed", "outcomes")
    for run in runs:
        verdicts = run.summary.get("verdicts") or {}
        outcomes = Counter(str(o["status"]) for o in run.summary.get("outcomes") or ())
        took = f"{(run.finished - run.started).total_seconds():.1f}" if run.finished else "not finished"
        became = [f"{count} {status}" for status, count in outcomes.items()]
        if run.failed:
            took, became = "failed", [*became, run.failed]
        table.add_row(
            run.run_id,
            run.kind,
            f"{run.started:%Y-%m-%d %H:%M:%S}",
            took,
            str(verdicts.get("fail", "")),
            str(verdicts.get("unknown", "")),
            _proposed(run),
            safe(", ".join(became)),
        )
    return table


def _proposed(run: Run) -> str:
    """How many repairs of a pass waited for approval, and the plan to approve."""
    plan = run.summary.get("plan") or {}
    waiting = plan.get("proposals") or ()
    return f"{len(waiting)} in {plan.get('id')}" if waiting else ""


def explanation_document(answer: Explanation) -> Document:
    return {
        "id": answer.id,
        "finding": finding_document(answer.finding) if answer.finding else None,
        "seen": {"run_id": answer.seen.run_id, "at": answer.seen.started.isoformat()} if answer.seen else None,
        "rule": {
            "id": answer.rule.id,
            "title": answer.rule.title,
            "description": answer.rule.description,
            "source": answer.rule.source,
            "controls": {regime: list(numbers) for regime, numbers in answer.rule.controls.items()},
        }
        if answer.rule
        else None,
        "pruned": answer.pruned or None,
        "about": [finding_document(f) for f in answer.about],
        "steps": [
            {"run_id": s.run_id, "at": s.at.isoformat(), "kind": s.kind, "document": dict(s.document)}
            for s in answer.steps
        ],
    }


def explanation_table(answer: Explanation) -> RenderableType:
    facts = Table.grid(padding=(0, 2))
    finding, rule = answer.finding, answer.rule
    if finding:
        facts.add_row("finding", safe(finding.id))
        facts.add_row("what", safe(finding.message))
        facts.add_row("verdict", f"{finding.verdict} ({finding.severity})")
        facts.add_row("resource", safe(f"{short(finding.urn)} {finding.resource_id}"))
        facts.add_row("tenant", safe(finding.tenant or "-"))
        if finding.property:
            facts.add_row("property", safe(finding.property))
            facts.add_row("declared", safe(finding.declared))
            facts.add_row("observed", safe(finding.observed))
        if finding.attribution:
            facts.add_row("last change", safe(str(finding.attribution)))
        if finding.accepted:
            words = f"by {finding.accepted.owner} until {finding.accepted.expires:%Y-%m-%d}: {finding.accepted.reason}"
            facts.add_row("accepted", safe(words))
    if answer.seen:
        facts.add_row("last seen", f"{answer.seen.started:%Y-%m-%d %H:%M:%S} by run {answer.seen.run_id}")
    if rule:
        facts.add_row("rule", safe(f"{rule.id}: {rule.title}"))
        if rule.description:
            facts.add_row("", safe(rule.description))
        for regime, numbers in rule.controls.items():
            facts.add_row("control", f"{regime} {', '.join(numbers)}")
        if rule.source:
            facts.add_row("source", rule.source)
    if answer.pruned:
        facts.add_row("not kept", safe(answer.pruned))
    for f in answer.about:
        facts.add_row("finding", safe(f"{f.id} {f.rule} on {short(f.urn)}: {f.message}"))
    for label, key in (("tried", "tried"), ("look at", "look_at")):
        for words in _latest(answer, key):
            facts.add_row(label, safe(words))
    steps = plain_table("when", "run", "what", "strategy or code", "setting", "why")
    for step in answer.steps:
        status = step.document.get("status")
        label = f"{step.kind}: {status}" if status else step.kind
        which = step.document.get("strategy") or step.document.get("code") or ""
        steps.add_row(
            f"{step.at:%Y-%m-%d %H:%M:%S}",
            step.run_id,
            label,
            safe(which),
            safe(step.document.get("setting") or ""),
            safe(step.document.get("reason") or ""),
        )
    nothing = Text("Nothing was decided about it yet: `stackmend plan` decides.", style="dim")
    return Group(facts, Text(), steps if answer.steps else nothing)


def _latest(answer: Explanation, key: str) -> Sequence[str]:
    """What the latest escalation carries."""
    return next((step.document[key] for step in answer.steps if step.document.get(key)), ())


def ledger_document(report: Report) -> Document:
    return {
        "valid": report.valid,
        "integrity": report.integrity.value,
        "entries": report.entries,
        "hash": report.hash,
        "seq": report.seq,
        "message": report.message,
    }


def ledger_table(report: Report) -> RenderableType:
    if report.valid:
        return Text(f"The ledger verifies: {report.entries} entries, head {report.hash}.", style="green")
    return Text(
        f"The ledger does not verify: {report.integrity.value}. {report.message}. {report.entries} entries verified.",
        style="red",
    )

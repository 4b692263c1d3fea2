"""The JSON contract of the command line: what machines read, one function for each command's document."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from reconciler.decisions import Breaker
from reconciler.model import Deferral, Finding, Outcome, Plan, Repair, Scan, Secret, Unreadable, Verdict

Document = dict[str, Any]


def scan_document(scan: Scan, *, everything: bool) -> Document:
    """``scan --output json``; PASS findings only with ``everything``."""
    return {
        "run_id": scan.run_id,
        "cell": scan.cell,
        "coverage": {
            "declared": scan.coverage.declared,
            "observed": scan.coverage.observed,
            "unknown": scan.coverage.unknown,
            "unsupported": list(scan.coverage.unsupported),
            "calls": scan.coverage.calls,
            "seconds": round(scan.coverage.seconds, 3),
            "paths": [
                {
                    "path": p.path.value,
                    "resources": p.resources,
                    "at": p.span.at.isoformat(),
                    "seconds": round(p.span.seconds, 3),
                }
                for p in scan.coverage.paths
            ],
            "unseen": [
                {"urn": u.urn, "type": u.type, "path": u.path.value, "reason": u.reason} for u in scan.coverage.unseen
            ],
            "failed_reads": [
                {"service": r.service, "operation": r.operation, "target": r.target, "reason": r.reason}
                for r in scan.observed.failed
            ],
        },
        "summary": {v.value.lower(): len(scan.of(v)) for v in (Verdict.PASS, Verdict.FAIL, Verdict.UNKNOWN)},
        "findings": [finding_document(f) for f in scan.findings if everything or f.verdict is not Verdict.PASS],
    }


def finding_document(finding: Finding) -> Document:
    document: Document = {
        "id": finding.id,
        "rule": finding.rule,
        "kind": finding.kind.value,
        "verdict": finding.verdict.value,
        "severity": finding.severity.value,
        "urn": finding.urn,
        "type": finding.type,
        "resource_id": finding.resource_id,
        "tenant": finding.tenant,
        "property": finding.property,
        "declared": plain(finding.declared),
        "observed": plain(finding.observed),
        "message": finding.message,
    }
    if finding.accepted is not None:
        document["accepted"] = {
            "owner": finding.accepted.owner,
            "reason": finding.accepted.reason,
            "expires": finding.accepted.expires.isoformat(),
        }
    if (who := finding.attribution) is not None:
        document["attribution"] = {
            "principal": who.principal,
            "event": who.event,
            "at": who.at.isoformat() if who.at else None,
            "source_address": who.source_address,
            "event_id": who.event_id,
            "not_known": who.not_known,
        }
    return document


def plan_document(plan: Plan) -> Document:
    """``plan --output json``."""
    return {
        "run_id": plan.run_id,
        "cell": plan.cell,
        "id": plan.id,
        "hash": plan.hash,
        "repairs": [repair_document(r) for r in plan.repairs],
        "proposals": [repair_document(r) for r in plan.proposals],
        "deferrals": [deferral_document(d) for d in plan.deferrals],
        "breakers": [breaker_document(b) for b in plan.breakers],
    }


def repair_document(repair: Repair) -> Document:
    return {
        "repair_id": repair.id,
        "strategy": repair.strategy,
        "tenant": repair.tenant,
        "urns": list(repair.urns),
        "members": list(repair.members),
        "finding_ids": list(repair.finding_ids),
        "after": list(repair.after),
        "cost": repair.cost,
        "reason": repair.reason,
        "setting": repair.setting,
        "content": repair.content,
        "approval": repair.approval,
        "loses": list(repair.loses),
        "sets_back": list(repair.sets_back),
        "tried": list(repair.tried),
        "look_at": list(repair.look_at),
    }


def deferral_document(deferral: Deferral) -> Document:
    return {
        "deferral_id": deferral.id,
        "finding_ids": list(deferral.finding_ids),
        "reason": deferral.reason,
        "code": deferral.code,
        "setting": deferral.setting,
    }


def breaker_document(breaker: Breaker) -> Document:
    return {
        "tenant": breaker.tenant,
        "cause": breaker.cause.value,
        "reason": breaker.reason,
        "since": breaker.since.isoformat(),
        "setting": breaker.setting,
        "acknowledged": breaker.acknowledged,
        "failing": sorted(breaker.keys),
    }


def outcomes_document(plan: Plan, outcomes: Sequence[Outcome]) -> Document:
    """``repair --output json``."""
    return {
        "run_id": plan.run_id,
        "cell": plan.cell,
        "outcomes": [outcome_document(o) for o in outcomes],
        "deferrals": [deferral_document(d) for d in plan.deferrals],
    }


def outcome_document(outcome: Outcome) -> Document:
    return {
        "repair_id": outcome.repair_id,
        "strategy": outcome.strategy,
        "tenant": outcome.tenant,
        "urns": list(outcome.urns),
        "finding_ids": list(outcome.finding_ids),
        "status": outcome.status.value,
        "seconds": round(outcome.seconds, 3),
        "reason": outcome.reason,
    }


def plain(value: object) -> Any:
    """A property value as JSON; secrets and unreadable values as the words that stand for them."""
    if isinstance(value, Secret | Unreadable):
        return str(value)
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(v) for v in value]
    return value

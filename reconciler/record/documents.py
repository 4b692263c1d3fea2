"""Nouns as JSON documents for the store, and back. What people wrote or AWS answered is scrubbed; names are kept."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from reconciler.log import scrub
from reconciler.model import AcceptedBy, Attribution, Finding, Kind, Outcome, Repair, Severity, Status, Urn, Verdict
from reconciler.record.clock import moment, text
from reconciler.record.ledger import canonical


def from_repair(repair: Repair) -> str:
    return canonical(asdict(repair) | {"reason": scrub(repair.reason)})


def to_repair(document: str) -> Repair:
    fields = _tuples(json.loads(document))
    # Earlier versions kept what it cost, which follows from the rest, and none of its zones.
    fields.pop("cost", None)
    return Repair(**fields)


def from_outcome(outcome: Outcome) -> str:
    return canonical(asdict(outcome) | {"reason": scrub(outcome.reason)})


def to_outcome(document: str) -> Outcome:
    fields = _tuples(json.loads(document))
    return Outcome(**fields | {"status": Status(fields["status"])})


def from_finding(finding: Finding) -> str:
    """Declared and observed values lose their secrets here, and with them their Python types."""
    accepted = finding.accepted and {
        "owner": finding.accepted.owner,
        "reason": scrub(finding.accepted.reason),
        "expires": text(finding.accepted.expires),
    }
    who = finding.attribution and {
        **asdict(finding.attribution),
        "at": text(finding.attribution.at) if finding.attribution.at else None,
    }
    return canonical(
        {
            "rule": finding.rule,
            "kind": finding.kind,
            "verdict": finding.verdict,
            "severity": finding.severity,
            "urn": finding.urn,
            "type": finding.type,
            "resource_id": finding.resource_id,
            "tenant": finding.tenant,
            "message": scrub(finding.message),
            "property": finding.property,
            "declared": scrub(finding.declared),
            "observed": scrub(finding.observed),
            "accepted": accepted,
            "signs": scrub(list(finding.signs)),
            "attribution": who and scrub(who),
        }
    )


def to_finding(document: str) -> Finding:
    fields: dict[str, Any] = json.loads(document)
    accepted = fields.pop("accepted")
    who = fields.pop("attribution", None)
    return Finding(
        **fields
        | {
            "urn": Urn(fields["urn"]),
            "kind": Kind(fields["kind"]),
            "verdict": Verdict(fields["verdict"]),
            "severity": Severity(fields["severity"]),
            "accepted": accepted and AcceptedBy(**accepted | {"expires": moment(accepted["expires"])}),
            # Findings kept by an earlier version have none.
            "signs": tuple(fields.get("signs", ())),
            "attribution": who and Attribution(**who | {"at": moment(who["at"]) if who["at"] else None}),
        }
    )


def _tuples(fields: dict[str, Any]) -> dict[str, Any]:
    return {key: tuple(value) if isinstance(value, list) else value for key, value in fields.items()}

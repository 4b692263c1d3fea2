"""How a finding about a declared resource is built, and how values are put into words for people."""

from __future__ import annotations

import json
from collections.abc import Mapping

from reconciler.model import DeclaredResource, Finding, Kind, Severity, Value, Verdict

_LONGEST = 80


def about(
    resource: DeclaredResource,
    rule: str,
    kind: Kind,
    verdict: Verdict,
    severity: Severity,
    message: str,
    *,
    property: str = "",
    declared: Value = None,
    observed: Value = None,
    resource_id: str | None = None,
) -> Finding:
    """A finding on ``resource``, or on the part of it that ``resource_id`` names (a server of a group)."""
    return Finding(
        rule=rule,
        kind=kind,
        verdict=verdict,
        severity=severity,
        urn=resource.urn,
        type=resource.type,
        resource_id=resource.id if resource_id is None else resource_id,
        tenant=resource.tenant,
        message=message,
        property=property,
        declared=declared,
        observed=observed,
    )


def shown(value: Value) -> str:
    """A value in a few printable ASCII words.

    Live values are written by whoever can reach the account: terminal escapes, line breaks and right-to-left marks
    are spelled out (B31, B44, T11). Secrets stay closed.
    """
    if value is None:
        return "nothing"
    text = json.dumps(value, sort_keys=True, default=_plain)
    return text if len(text) <= _LONGEST else text[: _LONGEST - 3] + "..."


def plain(text: str) -> str:
    """Text that came from outside, as printable ASCII without quotes around it."""
    return json.dumps(text)[1:-1]


def _plain(value: object) -> object:
    return dict(value) if isinstance(value, Mapping) else str(value)

"""Whether each declared resource exists and is as declared."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from reconciler.detect.diff import Difference, differences, parts
from reconciler.detect.findings import about, plain, shown
from reconciler.model import (
    Declared,
    DeclaredResource,
    Finding,
    Kind,
    ObservedResource,
    Presence,
    ResourceKind,
    Severity,
    Unreadable,
    Verdict,
)

MISSING = "drift.missing"
PROPERTY = "drift.property"
UNREADABLE = "drift.unreadable"
DECLARATION_CHANGED = "drift.declaration-changed"
NORMALISATION = "drift.normalisation"

RULES: Mapping[str, str] = {
    MISSING: "A declared resource does not exist: a complete listing and a direct read agree.",
    PROPERTY: "A declared property is not what AWS answers; UNKNOWN when AWS did not answer for it.",
    UNREADABLE: "Whether a declared resource exists could not be found out.",
    DECLARATION_CHANGED: "A declared value changed in the state although no update declared it.",
    NORMALISATION: "A declared value that AWS or the provider writes another way; right after the update both an "
    "observer and the engine saw it so.",
}

_PARTS_TOLD = 3


def drift(resource: DeclaredResource, seen: ObservedResource, kind: ResourceKind) -> Iterator[Finding]:
    """One finding for each property that differs or is unknown; a single PASS when there is none.

    A resource that the program only reads (``external``) has an owner elsewhere: it cannot drift from this program.
    """
    if resource.external:
        return
    if seen.presence is Presence.UNKNOWN:
        message = f"not known whether it exists: {plain(seen.reason)}"
        yield about(resource, UNREADABLE, Kind.DRIFT, Verdict.UNKNOWN, Severity.MEDIUM, message)
        return
    if seen.presence is Presence.ABSENT:
        severity = Severity.CRITICAL if kind.stateful else Severity.HIGH
        message = f"{plain(resource.name)} does not exist" + (f": {plain(seen.reason)}" if seen.reason else "")
        yield about(resource, MISSING, Kind.DRIFT, Verdict.FAIL, severity, message)
        return
    found = differences(kind, resource, seen)
    for difference in found:
        yield about(
            resource,
            PROPERTY,
            Kind.DRIFT,
            Verdict.UNKNOWN if isinstance(difference.observed, Unreadable) else Verdict.FAIL,
            Severity.MEDIUM,
            _words(kind, difference),
            property=difference.property,
            declared=difference.declared,
            observed=difference.observed,
        )
    if not found:
        yield about(resource, PROPERTY, Kind.DRIFT, Verdict.PASS, Severity.MEDIUM, "as declared")


def changed_declarations(declared: Declared) -> Iterator[Finding]:
    """A finding for each declared value that changed without an update, so that a refresh cannot legalise a drift."""
    for change in declared.tampered:
        resource = declared.resources.get(change.urn)
        if resource is not None:
            yield about(
                resource,
                DECLARATION_CHANGED,
                Kind.DRIFT,
                Verdict.FAIL,
                Severity.HIGH,
                f"the state says {plain(change.property)} {shown(change.now)} instead of {shown(change.was)}, "
                "but no update declared that",
                property=change.property,
                declared=change.was,
                observed=change.now,
            )


def _words(kind: ResourceKind, difference: Difference) -> str:
    if isinstance(difference.observed, Unreadable):
        return f"{difference.property}: not known: {plain(difference.observed.reason)}"
    told = [
        f"{plain(path)}: declared {shown(want)}, observed {shown(have)}"
        for path, want, have in parts(kind, difference.property, difference.declared, difference.observed)
    ]
    more = len(told) - _PARTS_TOLD
    return "; ".join(told[:_PARTS_TOLD]) + (f"; and {more} more" if more > 0 else "")

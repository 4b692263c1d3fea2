"""Live resources that carry this cell's tags or are inside its networks although the cell does not declare them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from reconciler.detect.findings import plain
from reconciler.model import Finding, Kind, Observed, Severity, Urn, Verdict

STRAY = "orphan.stray"
UNMANAGED = "orphan.unmanaged"

RULES: Mapping[str, str] = {
    STRAY: "A live resource carries this cell's ownership tags but is not in its state.",
    UNMANAGED: "A live resource is inside a tenant's network, but no program of this cell declares it; reported, never "
    "removed.",
}


def orphans(observed: Observed) -> Iterator[Finding]:
    """One finding a stray. Tags are a claim, not a proof, so ``tenant`` is who the stray says it belongs to.

    ``property`` holds the type: ids are unique within a type only, and a finding's id knows no type.
    """
    for stray in observed.strays:
        name = plain(stray.name or stray.id)
        if stray.inside is None:
            rule, words = STRAY, f"{name} carries this cell's tags but is not in its state"
        else:
            rule, words = UNMANAGED, f"{name} is in {_network(stray.inside)}, but no program declares it there"
        yield Finding(
            rule=rule,
            kind=Kind.ORPHAN,
            verdict=Verdict.FAIL,
            severity=Severity.MEDIUM,
            urn=Urn(""),
            type=stray.type,
            resource_id=stray.id,
            tenant=stray.tenant,
            message=words,
            property=stray.type,
        )


def _network(urn: Urn) -> str:
    return f"network {plain(urn.rsplit('::', 1)[-1])}"

"""What becomes of a live resource that carries the cell's tags and is not in its state.

Tags are a claim that anybody with access to the account can make (T01), so a claim alone is only ever reported. An
update of this cell that was cut off is the one good reason for an orphan, and it leaves a second sign that tags cannot
make: where AWS says the resource is, with the name that the engine gave it, or the record of the cut itself.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from reconciler.model import (
    Attempt,
    DeclaredResource,
    Deferral,
    Finding,
    Kind,
    Presence,
    Repair,
    ResourceKind,
    Scan,
    Status,
    Stray,
    Urn,
    Value,
)
from reconciler.plan.policy import Policy
from reconciler.plan.strategy import ESCALATE, MISSING
from tenancy.tags import CELL, NAME, TENANT

ADOPT = "adopt"
REMOVE = "remove"
CODE = "orphan"
REPORTED = "an unmanaged resource is reported, not removed: nothing proves that it is ours to delete"

_NETWORK = "aws:ec2/vpc:Vpc"
_NETWORKED = frozenset(
    {
        "aws:ec2/routeTable:RouteTable",
        "aws:ec2/securityGroup:SecurityGroup",
        "aws:ec2/subnet:Subnet",
        "aws:lb/targetGroup:TargetGroup",
    }
)
"""Types of which AWS says in which network they are."""
_CUT_WITHIN = timedelta(days=1)
"""An orphan of a cut-off update is first seen so soon after the cut was found, or it is not its orphan."""


@dataclass(frozen=True, slots=True)
class Orphan:
    """A stray of which both signs speak: the tags that it carries, and one that nobody can tag."""

    finding: Finding
    stray: Stray
    twin: DeclaredResource
    """What was being created when the update was cut off."""
    proof: str
    """The second sign, in words."""


def orphans(scan: Scan, first_seen: Mapping[str, datetime], cut_off: Mapping[Urn, datetime]) -> tuple[Orphan, ...]:
    """The strays of this scan that an interrupted update of this cell left behind."""
    by_key = {(s.type, s.id): s for s in scan.observed.strays}
    found = []
    for finding in scan.failing:
        stray = by_key.get((finding.type, finding.resource_id)) if finding.kind is Kind.ORPHAN else None
        twin = _twin(stray, scan) if stray else None
        if stray is not None and twin is not None:
            seen = first_seen.get(finding.id)
            proof = _proof(stray, twin, seen, cut_off.get(twin.urn))
            if proof:
                found.append(Orphan(finding, stray, twin, proof))
    return tuple(found)


def _twin(stray: Stray, scan: Scan) -> DeclaredResource | None:
    """The one declared resource that the stray's tags say it is, if it is where that one has to be."""
    if stray.inside is not None or stray.tags.get(CELL) != scan.cell:
        return None
    tenant = stray.tags.get(TENANT)
    twins = [
        r
        for r in scan.declared.resources.values()
        if (r.type, r.name, r.tenant) == (stray.type, stray.tags.get(NAME), tenant) and not r.external
    ]
    if len(twins) != 1 or tenant is None or tenant not in scan.declared.tenants or twins[0].id == stray.id:
        return None
    networks = {r.id for r in scan.declared.of(tenant) if r.type == _NETWORK and r.id}
    if stray.type in _NETWORKED and stray.network not in networks:
        return None
    return twins[0]


def _proof(stray: Stray, twin: DeclaredResource, seen: datetime | None, cut: datetime | None) -> str | None:
    if seen is not None and cut is not None and timedelta(0) <= seen - cut <= _CUT_WITHIN:
        return (
            f"an update that was creating {twin.name} was cut off before it was first seen ({cut:%Y-%m-%d %H:%M} UTC)"
        )
    made_up = re.fullmatch(rf"{re.escape(twin.name)}-[0-9a-f]{{7}}", stray.physical_name)
    # Another cell's resource can have such a name, too; only what must be in a network proves by it whose it is.
    if made_up and stray.type in _NETWORKED:
        return f"it is in the tenant's network under a name that the engine made up for {twin.name}"
    return None


# --- adopting --------------------------------------------------------------------------------------------------


def adoptions(
    found: Sequence[Orphan], missing: Sequence[Repair], scan: Scan, kinds: Mapping[str, ResourceKind]
) -> dict[Repair, Repair]:
    """Which repairs of ``missing`` (recreations of one missing resource) become adoptions.

    Only where exactly one orphan is what is missing: of two, a person says which is the right one.
    """
    gone = {f.urn: f.id for f in scan.failing if f.rule == MISSING}
    by_twin: dict[Urn, list[Orphan]] = {}
    for orphan in found:
        by_twin.setdefault(orphan.twin.urn, []).append(orphan)
    chosen = {}
    for repair in missing:
        lost = [urn for urn in repair.urns if urn in gone]
        ones = by_twin.get(lost[0], []) if len(lost) == 1 else []
        kind = kinds.get(ones[0].twin.type) if len(ones) == 1 else None
        if kind is None or kind.stateful or ones[0].twin.protect:
            continue
        orphan = ones[0]
        chosen[repair] = Repair(
            ADOPT,
            repair.tenant,
            repair.urns,
            tuple(sorted({*repair.finding_ids, orphan.finding.id})),
            f"{repair.reason}; {orphan.stray.id} was made for it: {orphan.proof}",
            members=(orphan.stray.id,),
            adopts=orphan.twin.urn,
            physical_name=orphan.stray.physical_name,
        )
    return chosen


# --- removing --------------------------------------------------------------------------------------------------


def removals(
    found: Sequence[Orphan],
    scan: Scan,
    policy: Policy,
    history: Sequence[Attempt],
    first_seen: Mapping[str, datetime],
    now: datetime,
) -> tuple[list[Repair], list[Deferral]]:
    """What is done about each orphan that is not adopted: removed, shown to a person, or left for now.

    Removed is only what its twin does not need: the twin is there under another id, and nothing that is declared names
    the orphan. Whether anything else in the account uses it is asked of AWS right before the removal.
    """
    repairs, deferrals = [], []
    for orphan in found:
        stray, finding = orphan.stray, orphan.finding
        why = _kept(orphan, scan, policy)
        age = max(timedelta(0), now - first_seen.get(finding.id, now))
        failed = sum(
            a.strategy == REMOVE and a.status is not Status.HEALED and finding.id in a.finding_ids for a in history
        )
        if why:
            deferrals.append(Deferral((finding.id,), f"{REPORTED.partition(':')[0]}: {why}", CODE))
        elif age < policy.orphan_age:
            words = f"an orphan of an interrupted update, seen for {age.total_seconds():.0f} s of the "
            words += f"{policy.orphan_age.total_seconds():.0f} s after which it may be removed"
            deferrals.append(Deferral((finding.id,), words, CODE))
        else:
            told = f"{stray.id} is an orphan of an interrupted update: it carries the cell's tags, and {orphan.proof}"
            strategy = REMOVE
            if not policy.remove_orphans:
                strategy, told = ESCALATE, f"{told}; it could be removed (orphans.remove)"
            elif failed >= policy.same_failure_limit:
                strategy, told = ESCALATE, f"{told}; removing it failed {failed} times within {policy.flap_window}"
            repairs.append(Repair(strategy, stray.tenant, (), (finding.id,), told, members=(stray.id,)))
    return repairs, deferrals


def _kept(orphan: Orphan, scan: Scan, policy: Policy) -> str:
    """Why it is not to be removed at all; empty if it may be."""
    stray, twin = orphan.stray, orphan.twin
    if stray.type not in policy.removable:
        return "its type is never removed"
    seen = scan.observed.resources.get(twin.urn)
    if not twin.id or seen is None or seen.presence is not Presence.PRESENT:
        return f"{twin.name}, which it was to be, is not known to be there without it"
    if any(stray.id in _texts(r.inputs) for r in scan.declared.resources.values()):
        return "something that is declared names it"
    return ""


def _texts(value: Value) -> frozenset[str]:
    if isinstance(value, str):
        return frozenset({value})
    parts = value.values() if isinstance(value, Mapping) else value if isinstance(value, Sequence) else ()
    return frozenset().union(*(_texts(part) for part in parts))

"""What to do about it, and what became of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from reconciler.decisions import Breaker
from reconciler.model.values import Urn, digest

ESCALATE = "escalate"
ROLLOUTS = frozenset({"rollout", "refresh-image"})
"""Strategies that put new servers in the place of old ones, and end well only if they serve."""
"""The strategy that writes nothing to AWS and tells a person."""


@dataclass(frozen=True, slots=True)
class Repair:
    """One planned change: a strategy applied to resources, with its reasons."""

    strategy: str
    tenant: str | None
    urns: tuple[Urn, ...]
    finding_ids: tuple[str, ...]
    reason: str
    members: tuple[str, ...] = ()
    """Physical ids: servers to replace, or the live resource that is adopted or removed."""
    after: tuple[str, ...] = ()
    """Ids of repairs that must be healed first."""
    kinds: tuple[str, ...] = ()
    """The kinds of its findings, which have budgets of their own."""
    replaces: tuple[Urn, ...] = ()
    """Those of ``urns`` that the engine may replace."""
    alone: bool = False
    """Whether it is carried out after the others and with no other at the same time."""
    basis: str = ""
    """Digest of the declaration and the differences it was planned from; another basis needs another approval."""
    replacement: tuple[str, ...] = ()
    """What new servers are made from: ``template …`` and ``image …``."""
    zones: tuple[str, ...] = ()
    """Where the failed servers are that it replaces: passes that share their budgets go into no other zone."""
    approval: int | None = None
    """Number of the approval it is carried out under."""
    tried: tuple[str, ...] = ()
    """For an escalation: what was tried before, in words."""
    look_at: tuple[str, ...] = ()
    """For an escalation: what a person should look at."""
    setting: str = ""
    """The setting that made it an escalation or a proposal."""
    loses: tuple[str, ...] = ()
    """What it takes away for good (``losses.Loss.key``): only done with a person's approval."""
    sets_back: tuple[str, ...] = ()
    """What somebody has accepted and it would set back all the same, by resource and property: that is for a person to
    approve as well."""
    adopts: Urn = Urn("")
    """For an adoption: the declared resource that the one of ``members`` becomes, with the name AWS knows that by."""
    physical_name: str = ""

    @property
    def id(self) -> str:
        return "r-" + digest(self.strategy, *sorted(self.urns), *sorted(self.members), *sorted(self.finding_ids))

    @property
    def cost(self) -> int:
        """What it costs in budget: the resources that may be written; a replaced server counts as one."""
        return max(1, len(self.urns), len(self.members))

    @property
    def content(self) -> str:
        """Names what it would do exactly: an approval of it holds for nothing else."""
        told = (*self.loses, *self.sets_back)
        return digest(self.id, self.basis, self.adopts, self.physical_name, *told, length=64)


@dataclass(frozen=True, slots=True)
class Deferral:
    """Findings that are not repaired now, with the reason in words."""

    finding_ids: tuple[str, ...]
    reason: str
    code: str = ""
    """Machine-readable: ``budget``, ``breaker``, ``unknown``, ``mode``, ``window``, ``paused``, ``dependency``, …"""
    setting: str = ""
    """The setting that decided, as it is written in docs/settings.md; empty if none did."""

    @property
    def id(self) -> str:
        return "d-" + digest(self.code, *sorted(self.finding_ids))


@dataclass(frozen=True, slots=True)
class Deadline:
    """From when on a repair may no longer begin, and why, as a deferral would say it then."""

    at: datetime
    reason: str


@dataclass(frozen=True, slots=True)
class Plan:
    """What one pass will do, what it would do if a person approved, and what it will not do.

    ``hash`` names it exactly.
    """

    run_id: str
    cell: str
    repairs: tuple[Repair, ...]
    deferrals: tuple[Deferral, ...]
    proposals: tuple[Repair, ...] = ()
    """Repairs that wait for a person's approval."""
    breakers: tuple[Breaker, ...] = ()
    """The breakers that are open after this look, acknowledged ones too."""
    deadlines: Mapping[str, Deadline] = field(default_factory=dict)
    """By the ids of repairs that a freeze or the end of a window will stop. No part of ``hash``: what is approved is
    what is done, and the next pass has other deadlines."""

    @property
    def hash(self) -> str:
        parts = [*(r.content for r in self.repairs), "proposals", *(r.content for r in self.proposals)]
        return digest(self.cell, *parts, length=64)

    @property
    def id(self) -> str:
        """What people type."""
        return f"p-{self.hash[:12]}"


class Status(StrEnum):
    HEALED = "healed"
    NOT_HEALED = "not healed"
    ROLLED_BACK = "rolled back"
    REFUSED = "refused"
    INTERRUPTED = "interrupted"
    CONTINUES = "continues"
    """It did as much as its pass had time for; the next one goes on."""
    ESCALATED = "escalated"
    DRY_RUN = "dry run"


TOUCHED_NOTHING = frozenset({Status.REFUSED, Status.ESCALATED, Status.DRY_RUN})
"""What became of a repair that has written nothing."""
HEALED_BY_ITSELF = "healed by itself: nothing was written"
"""The reason of a repair that ended as healed without having been needed: it proves nothing about repairing."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one repair."""

    repair_id: str
    strategy: str
    urns: tuple[Urn, ...]
    status: Status
    seconds: float
    reason: str = ""
    tenant: str | None = None
    finding_ids: tuple[str, ...] = ()
    bad_image: str = ""
    """What the group launched (``Fleet.launches``) when its new servers failed to become healthy."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One past repair of one resource, as the planner needs it for flap caps and budgets over time."""

    urn: Urn
    strategy: str
    status: Status
    at: datetime
    finding_ids: tuple[str, ...] = ()
    replacement: tuple[str, ...] = ()
    """``Repair.replacement`` of that repair."""
    servers: int = 0
    """How many servers of the resource it was to replace."""
    unfit: bool = False
    """Whether new servers were launched that did not become healthy."""
    wrote: bool = True
    """Whether it may have written anything."""

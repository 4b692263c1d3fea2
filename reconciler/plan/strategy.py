"""Which strategy answers which fault: a table of type, kind and tier, which settings may override but not unmake.

The first row that fits decides; rows of the settings stand before the defaults. Whatever a row says, nothing that holds
state or is protected gets a strategy that replaces, and a strategy is only chosen for a cause that it can answer.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from fnmatch import fnmatchcase

from reconciler.errors import ConfigurationError
from reconciler.model import ESCALATE as ESCALATE
from reconciler.model import Finding, Kind, ResourceKind

REAPPLY = "reapply"
RECREATE = "recreate"
RESTORE = "restore"
REDEPLOY = "redeploy"
ROLLOUT = "rollout"
REFRESH_IMAGE = "refresh-image"
QUARANTINE = "quarantine"
DISPOSE = "dispose"
OF_SERVERS = frozenset({ROLLOUT, REFRESH_IMAGE, QUARANTINE, DISPOSE})
RESIZING = OF_SERVERS - {DISPOSE}
"""Those that make a group one server larger or smaller for a while."""

MISSING = "drift.missing"
CHANGED = "drift.declaration-changed"
BROKEN = "health.resource-failed"
OUTDATED = "health.outdated-template"
SHORT = "health.fleet-short"
COMPROMISED = "health.compromised"
QUARANTINE_OVER = "health.quarantine-over"
ADDED = frozenset({"elb-listener-rules", "kms-grants"})
"""Rules about what somebody added to a resource and no declaration speaks of: no repair of the resource heals that."""


class Cause(StrEnum):
    """What is the matter with one resource, or with some servers of a fleet."""

    MISSING = "missing"
    LOST = "lost"
    """It exists, but the state no longer knows it."""
    DRIFTED = "drifted"
    IMMUTABLE = "immutable"
    """A property differs that AWS cannot change in place."""
    BROKEN = "broken"
    """AWS itself says that it failed for good."""
    PROGRAM = "program"
    """A rule fails although nothing drifted."""
    ADDED = "added"
    """Somebody added to it what nobody declares."""
    SERVER = "server"
    OUTDATED = "outdated"
    """Several servers of a fleet run an outdated template, and nothing else is wrong with it."""
    COMPROMISED = "compromised"
    OVER = "over"
    """A quarantine has lasted as long as it was to."""


ANSWERS: Mapping[str, frozenset[Cause]] = {
    REAPPLY: frozenset({Cause.DRIFTED}),
    RESTORE: frozenset({Cause.DRIFTED}),
    RECREATE: frozenset({Cause.MISSING}),
    REDEPLOY: frozenset({Cause.DRIFTED, Cause.IMMUTABLE, Cause.BROKEN}),
    ROLLOUT: frozenset({Cause.SERVER, Cause.OUTDATED}),
    REFRESH_IMAGE: frozenset({Cause.OUTDATED}),
    QUARANTINE: frozenset({Cause.COMPROMISED}),
    DISPOSE: frozenset({Cause.OVER}),
    ESCALATE: frozenset(Cause),
}
"""What each strategy is for."""

REPLACING = frozenset({RECREATE, REDEPLOY, ROLLOUT, REFRESH_IMAGE, QUARANTINE, DISPOSE})
"""Strategies after which something that was there is another one."""

_WORDS: Mapping[Cause, str] = {
    Cause.LOST: "it exists, so the engine would create a second one: import it into the stack",
    Cause.PROGRAM: "the declaration itself says so, so the program has to change",
    Cause.ADDED: "nobody declared it and no repair takes it away: that is for a person to decide",
}
_HOLDS_STATE = "it holds state, so it is not created anew without a person's decision"


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table. ``type`` is a pattern over type tokens, as in ``aws:ec2/*``; ``*`` is anything."""

    strategy: str
    type: str = "*"
    kind: str = "*"
    tier: str = "*"
    causes: frozenset[Cause] = frozenset(Cause)
    stateful: bool | None = None

    def fits(self, cause: Cause, kind: Kind, resource: ResourceKind, tier: str) -> bool:
        return (
            cause in self.causes & ANSWERS[self.strategy]
            and self.kind in ("*", kind.value)
            and self.tier in ("*", tier)
            and self.stateful in (None, resource.stateful)
            and fnmatchcase(resource.token, self.type)
        )


DEFAULTS = (
    Row(RECREATE, causes=frozenset({Cause.MISSING})),
    Row(RESTORE, causes=frozenset({Cause.DRIFTED}), stateful=True),
    Row(REAPPLY, causes=frozenset({Cause.DRIFTED})),
    Row(REDEPLOY, causes=frozenset({Cause.IMMUTABLE, Cause.BROKEN})),
    Row(QUARANTINE, kind="health", causes=frozenset({Cause.COMPROMISED})),
    Row(DISPOSE, kind="health", causes=frozenset({Cause.OVER})),
    Row(REFRESH_IMAGE, kind="health", causes=frozenset({Cause.OUTDATED})),
    Row(ROLLOUT, kind="health", causes=frozenset({Cause.SERVER})),
    Row(ESCALATE),
)


def overrides(rows: Iterable[Row], kinds: Mapping[str, ResourceKind]) -> tuple[Row, ...]:
    """The rows of the settings, checked. Raises ConfigurationError that names the setting.

    A replacing strategy must name types, and none of them may hold state.
    """
    checked = []
    for number, row in enumerate(rows):
        where = f"settings: strategies[{number}]"
        if row.strategy not in ANSWERS:
            todo = f"One of: {', '.join(ANSWERS)}."
            raise ConfigurationError(f"there is no strategy {row.strategy!r}", where=f"{where}.strategy", todo=todo)
        if row.kind != "*" and row.kind not in {k.value for k in Kind}:
            todo = f"One of: *, {', '.join(k.value for k in Kind)}."
            raise ConfigurationError(f"there is no kind {row.kind!r}", where=f"{where}.kind", todo=todo)
        held = sorted(k.token for k in kinds.values() if k.stateful and fnmatchcase(k.token, row.type))
        if row.strategy in REPLACING and held:
            raise ConfigurationError(
                f"{row.strategy} replaces, and {row.type!r} covers {', '.join(held)}",
                where=f"{where}.type",
                why="What holds state is never replaced.",
                todo="Name the types that are meant.",
            )
        checked.append(row)
    return tuple(checked)


def strategy_for(
    findings: tuple[Finding, ...],
    kind: ResourceKind,
    *,
    protected: bool,
    tier: str = "",
    rows: tuple[Row, ...] = (),
    immutable: frozenset[str] = frozenset(),
) -> tuple[str, str]:
    """The strategy for one resource's failing findings that are not about servers, and the reason in words.

    Stateful resources are only ever set back in place; a missing one is for a person, since what it held is gone.
    ``immutable`` are the properties of its type that AWS cannot change in place.
    """
    cause, of = cause_of(findings, immutable)
    worst = min(findings, key=severity_rank)
    strategy = chosen(cause, of, kind, tier, rows)
    if strategy in REPLACING and (kind.stateful or protected):
        return ESCALATE, f"{worst.message}; {_HOLDS_STATE}"
    return strategy, f"{worst.message}; {words}" if (words := _WORDS.get(cause)) else worst.message


def chosen(cause: Cause, of: Kind, kind: ResourceKind, tier: str, rows: tuple[Row, ...]) -> str:
    """The strategy of the first row that fits."""
    return next(row.strategy for row in (*rows, *DEFAULTS) if row.fits(cause, of, kind, tier))


def cause_of(findings: tuple[Finding, ...], immutable: frozenset[str] = frozenset()) -> tuple[Cause, Kind]:
    """The one cause that explains most of what is wrong with a resource."""
    drifted = [f for f in findings if f.kind is Kind.DRIFT]
    if any(f.rule == MISSING for f in drifted):
        return Cause.MISSING, Kind.DRIFT
    if any(f.rule == CHANGED and not f.property for f in drifted):
        return Cause.LOST, Kind.DRIFT
    if any(f.rule == BROKEN for f in findings):
        return Cause.BROKEN, Kind.HEALTH
    if any(f.property.split(".")[0].split("[")[0] in immutable for f in drifted):
        return Cause.IMMUTABLE, Kind.DRIFT
    if drifted:
        return Cause.DRIFTED, Kind.DRIFT
    if all(f.rule in ADDED for f in findings):
        return Cause.ADDED, findings[0].kind
    return Cause.PROGRAM, findings[0].kind


_SEVERITY = ("critical", "high", "medium", "low")


def severity_rank(finding: Finding) -> int:
    return _SEVERITY.index(finding.severity.value)

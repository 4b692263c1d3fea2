"""Settings turned into what the stages take: policies, floors, paces, and the guarded clients as acting sees them."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import time, timedelta
from fnmatch import fnmatchcase
from functools import partial
from typing import Any, NoReturn

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from reconciler.act import removal
from reconciler.act.tools import Pace
from reconciler.detect import drift, health, orphans
from reconciler.detect.exceptions import AcceptedException
from reconciler.detect.exceptions import parse as parse_exceptions
from reconciler.detect.rules import RULES
from reconciler.errors import ConfigurationError, WriteRefused
from reconciler.model import Declared, Outcome, Repair, ResourceKind, Urn
from reconciler.observe import guard
from reconciler.observe.clients import Clients
from reconciler.observe.probes import Target
from reconciler.observe.sessions import Sessions
from reconciler.ownership import Ownership
from reconciler.plan.modes import Mode, ModeRule
from reconciler.plan.policy import Limit, Policy
from reconciler.plan.selectors import Selector
from reconciler.plan.strategy import Row, overrides
from reconciler.plan.windows import Freeze, Window
from reconciler.schedules import Entry, WindowEntry
from reconciler.settings import Amount, Settings


class GuardedWriter:
    """``ports.AwsWriter`` on the observing stage's own clients: the same guard stops every unnamed write.

    ``seen`` is what looks at fleets name, by group.
    """

    def __init__(
        self,
        clients: Clients,
        declared: Declared,
        seen: Mapping[Urn, Collection[str]],
        sessions: Sessions | None = None,
    ) -> None:
        self._clients, self._sessions = clients, sessions
        self._owned = Ownership(declared, seen, partial(clients.client, "ec2"))
        self._acting: Clients | None = None

    def client(self, service: str) -> Any:
        return (self._acting or self._clients).client(service)

    @contextmanager
    def permit(self, repair: Repair, *, operations: Collection[str], resources: Collection[str]) -> Iterator[object]:
        """What a tenant's repair may do, under that tenant's role if there are roles. Raises SessionRefused."""
        if self._sessions is not None and repair.tenant is not None:
            self._acting = self._sessions.clients(repair.tenant, operations=operations, resources=resources)
        owned = partial(self._owned.objection, repair)
        try:
            with guard.permit(repair.id, operations=operations, resources=resources, objection=owned) as granted:
                yield granted
        finally:
            self._acting = None


def sessions_of(settings: Settings, clients: Clients) -> Sessions | None:
    """The tenants' roles; None if there are none."""
    found = settings.sessions
    if found.role_arn_pattern is None:
        return None
    return Sessions(
        clients,
        cell=settings.cell,
        pattern=found.role_arn_pattern,
        external_id=found.external_id,
        seconds=found.seconds,
    )


class ReadOnlyJournal:
    """The journal of a dry run: whatever would need an intent is refused."""

    def told(self, repair: Repair) -> bool:
        self._refuse(repair.id)

    def intend(self, repair: Repair) -> int:
        self._refuse(repair.id)

    def conclude(self, intent: int, outcome: Outcome, *, finished: bool = False) -> None:  # noqa: ARG002
        self._refuse(f"{outcome.repair_id}, intent {intent}")

    def ensure_held(self, tenants: Collection[str] = ()) -> None:
        self._refuse(", ".join(tenants))

    def _refuse(self, where: str) -> NoReturn:
        raise WriteRefused("a dry run writes nothing", where=where)


def policy_of(settings: Settings, kinds: Mapping[str, ResourceKind]) -> Policy:
    """Raises ConfigurationError for a row of ``[[strategies]]`` that cannot be used."""
    rows = (Row(r.strategy, r.type, r.kind, r.tier) for r in settings.strategies)
    return Policy(
        overrides=overrides(rows, kinds),
        budget_global=_limit(settings.budget.overall),
        budget_tenant=_limit(settings.budget.tenant),
        breaker_share=settings.breaker.share,
        breaker_minimum=settings.breaker.minimum,
        fleet_share=settings.breaker.fleet_share,
        flap_limit=settings.flap.limit,
        flap_window=timedelta(seconds=settings.flap.window_seconds),
        same_failure_limit=settings.flap.same_failure_limit,
        budget_tier={tier.value: _limit(amount) for tier, amount in settings.budget.tier.items()},
        budget_kind={kind.value: _limit(amount) for kind, amount in settings.budget.kind.items()},
        budget_hour=_limit(settings.budget.hour),
        budget_repairs=Limit(count=settings.budget.repairs),
        zones_at_once=settings.budget.zones,
        missing_share=settings.breaker.missing_share,
        missing_minimum=settings.breaker.missing_minimum,
        repair_share=settings.breaker.repair_share,
        repair_minimum=settings.breaker.repair_minimum,
        storm_findings=settings.breaker.storm_findings,
        cooldown=timedelta(seconds=settings.breaker.cooldown_seconds),
        backoff=timedelta(seconds=settings.retry.backoff_seconds),
        backoff_longest=timedelta(seconds=settings.retry.backoff_longest_seconds),
        unfinished_limit=settings.retry.unfinished_limit,
        fight_limit=settings.retry.fight_limit,
        fight_window=timedelta(seconds=settings.retry.fight_window_seconds),
        modes=tuple(ModeRule(_selector(entry), Mode(entry.mode)) for entry in settings.modes),
        windows=tuple(_window(entry) for entry in settings.windows),
        freezes=tuple(
            Freeze(_selector(entry), entry.start, entry.end, entry.reason, entry.critical) for entry in settings.freezes
        ),
        removable=removal.TYPES,
        remove_orphans=settings.orphans.remove,
        orphan_age=timedelta(seconds=settings.orphans.minimum_age_seconds),
        hold_down=timedelta(seconds=settings.health.hold_down_seconds),
    )


def _selector(entry: Entry) -> Selector:
    return Selector(entry.tenant, entry.tier, entry.type, entry.kind, entry.rule)


def _window(entry: WindowEntry) -> Window:
    start = time.fromisoformat(entry.start)
    end = None if entry.end in ("24:00", "00:00") else time.fromisoformat(entry.end)
    return Window(_selector(entry), frozenset(entry.days), start, end, entry.zone, entry.critical)


def ensure_known(settings: Settings, declared: Declared) -> None:
    """Raise ConfigurationError for a selector that names a tenant or a rule that there is not (B22).

    A misspelt name would leave what was meant to be restricted unrestricted.
    """
    known: Mapping[str, Collection[str]] = {
        "tenant": sorted({r.tenant for r in declared.resources.values() if r.tenant}),
        "rule": sorted({*(rule.id for rule in RULES), *drift.RULES, *health.RULES, *orphans.RULES}),
    }
    tables: Mapping[str, Sequence[Entry]] = {
        "modes": settings.modes,
        "windows": settings.windows,
        "freezes": settings.freezes,
    }
    for table, entries in tables.items():
        for number, entry in enumerate(entries, 1):
            for key, names in known.items():
                pattern = getattr(entry, key)
                if pattern not in (None, "*") and not any(fnmatchcase(name, pattern) for name in names):
                    raise ConfigurationError(
                        f"entry {number} of [[{table}]]: {key} = {pattern!r} fits no {key} of cell {declared.cell}",
                        todo=f"There are: {', '.join(names) or 'none'}. Nothing was changed.",
                    )


def _limit(amount: Amount) -> Limit:
    return Limit(amount.count, amount.share)


def pace_of(settings: Settings) -> Pace:
    return Pace(
        poll=settings.verify.poll_seconds,
        bake=settings.rollout.bake_seconds,
        patience=settings.verify.timeout_seconds,
        batch=settings.rollout.batch,
        keep_hours=settings.quarantine.keep_hours,
    )


def probe_target(settings: Settings, tenant: str) -> Target | None:
    """How a tenant's endpoint is asked; None if it is not. Its own name comes before any pattern."""
    probe = settings.probe
    patterns = (one for pattern, one in probe.targets.items() if fnmatchcase(tenant, pattern))
    chosen = probe.targets.get(tenant) or next(patterns, None)
    if chosen is None:
        return None
    return Target(
        scheme=chosen.scheme,
        port=chosen.port or (443 if chosen.scheme == "https" else 80),
        path=chosen.path,
        host=chosen.host,
        server_name=chosen.server_name,
        expected=frozenset(chosen.expected),
        samples=probe.samples,
        interval_seconds=probe.interval_seconds,
        deadline_seconds=probe.deadline_seconds,
        private=chosen.private,
        ca_file=probe.ca_file,
    )


def floor_of(declared: Declared, percent: Mapping[str, float], group: Urn, size: int) -> int:
    """Healthy servers that a group of so many never goes below; a tier without a percentage keeps all of them."""
    facts = declared.tenants.get(declared.resources[group].tenant or "")
    return math.ceil(size * percent.get(facts.tier if facts else "", 100) / 100)


def accepted_exceptions(settings: Settings) -> tuple[AcceptedException, ...]:
    """The exceptions of ``exceptions_file``, a YAML list. Raises ConfigurationError."""
    path = settings.exceptions_file
    if path is None:
        return ()
    try:
        content = path.read_bytes()
    except (OSError, ValueError) as error:
        # No path holds a NUL.
        why = error.strerror if isinstance(error, OSError) else error
        todo = "Set exceptions_file to a file that can be read."
        raise ConfigurationError(f"cannot be read: {why}", where=str(path), todo=todo) from error
    try:
        raw = YAML(typ="safe", pure=True).load(content.decode("utf-8"))
    except RecursionError as error:
        raise ConfigurationError("is nested too deeply", where=str(path)) from error
    except (YAMLError, ValueError) as error:
        # A date that does not exist, or a number without end, is a ValueError.
        raise ConfigurationError("is not YAML", where=str(path), why=str(error)) from error
    return parse_exceptions(raw if raw is not None else [], where=str(path))

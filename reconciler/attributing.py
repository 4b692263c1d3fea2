"""Puts on the findings of a scan who last changed what drifted: from the events that told of it, or from CloudTrail."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from datetime import UTC, datetime

from reconciler.events.lookup import Lookup
from reconciler.model import Attribution, Declared, Kind, Scan, Urn
from reconciler.observe.clients import Clients
from reconciler.settings import AttributionSettings

REMEMBERED = 10_000


class Attributing:
    """Remembers what events told, so that a finding that stays keeps its name while the service runs."""

    def __init__(self, settings: AttributionSettings, aws: Callable[[Declared, str], Clients]) -> None:
        self._settings, self._aws = settings, aws
        self._told: OrderedDict[Urn, Attribution] = OrderedDict()
        self._lookup: Lookup | None = None

    def told(self, who: Mapping[Urn, Attribution]) -> None:
        """What events said; a later change of a resource replaces an earlier one."""
        for urn, one in who.items():
            known = self._told.pop(urn, None)
            newer = known is None or known.at is None or one.at is None or one.at >= known.at
            self._told[urn] = one if newer or known is None else known
        while len(self._told) > REMEMBERED:
            self._told.popitem(last=False)

    def named(self, scan: Scan, *, only: Collection[Urn] | None = None) -> Scan:
        """The scan with an attribution on each failing finding of what drifted. Never fails.

        ``only``: CloudTrail is asked about nothing else.
        """
        told = [f for f in scan.failing if f.urn in scan.declared.resources]
        drifted, failing = {f.urn for f in told if f.kind is Kind.DRIFT}, {f.urn for f in told}
        who = {urn: self._told[urn] for urn in failing if urn in self._told}
        self._forget_healed(scan, failing)
        if not drifted and not who:
            return scan
        asked = drifted if only is None else drifted.intersection(only)
        if self._settings.enabled and (unknown := sorted(asked - who.keys())):
            lookup = self._lookup or Lookup(
                lambda region, service, operation, params, deadline: self._aws(scan.declared, region).call(
                    service, operation, params, deadline=deadline
                ),
                calls=self._settings.calls,
                seconds=self._settings.seconds,
            )
            self._lookup = lookup
            found = lookup.last_changes(scan.declared, unknown, datetime.now(UTC))
            self.told({urn: one for urn, one in found.items() if not one.not_known})
            who |= found
        named = {f.id: replace(f, attribution=who[f.urn]) for f in told if f.urn in who}
        return replace(scan, findings=tuple(named.get(f.id, f) for f in scan.findings))

    def _forget_healed(self, scan: Scan, failing: set[Urn]) -> None:
        """Who changed what is well again explains nothing that comes later."""
        for urn in {f.urn for f in scan.findings} - failing:
            self._told.pop(urn, None)

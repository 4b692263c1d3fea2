"""The looking half of a cycle: observe and detect as one, with everything that both are given."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial

from reconciler.declare.values import value
from reconciler.detect.detect import detect
from reconciler.detect.health import also_judged_by
from reconciler.model import (
    GROUP,
    Coverage,
    Declared,
    Finding,
    Fleet,
    Kind,
    Observed,
    Path,
    Presence,
    Refreshed,
    Scan,
    Seen,
    Span,
    Unreadable,
    Unseen,
    Urn,
    Value,
    Verdict,
)
from reconciler.observe.observe import observe
from reconciler.observe.probes import probe
from reconciler.observe.reads import Observer
from reconciler.outside import Outside
from reconciler.record import marks
from reconciler.record.store import Store
from reconciler.settings import Settings
from reconciler.spellings import Known, Spellings, Verdicts
from reconciler.wiring import accepted_exceptions, probe_target


class Looking:
    """Looks at one cell, as often as it is asked to."""

    def __init__(
        self, settings: Settings, store: Store, observers: Mapping[str, Observer], outside: Outside, *, actor: str
    ) -> None:
        self._settings, self._store, self._outside = settings, store, outside
        self._exceptions = accepted_exceptions(settings)
        self.looked: dict[Urn, datetime] = {}
        """When the last look that left nothing about a resource open began."""
        self.observers = observers
        self.kinds = {token: observer.kind for token, observer in observers.items()}
        self._spellings = Spellings(store, self.kinds, self._refresh, actor)

    def judged(self, declared: Declared, only: Collection[Urn] | None, *, probing: bool = False) -> Verdicts:
        """One fresh look, and its verdicts. ``probing``: the endpoints are asked, too, where that is configured."""
        known = self._spellings.known(declared)
        first = self._look(declared, only, known, probing=probing)
        learnt = self._spellings.learn(declared, known, first, lambda urns: self._look(declared, urns, known))
        if learnt.spellings == known.spellings:
            return first
        return first[0], self._verdicts(declared, first[0], only, learnt)

    def _look(
        self, declared: Declared, only: Collection[Urn] | None, known: Known, *, probing: bool = False
    ) -> Verdicts:
        began = self._outside.now()
        observed = observe(
            declared,
            self._outside.aws(declared),
            only=None if only is None else {*only, *also_judged_by(declared, only)},
            observers=self.observers,
            refresh=self._refresh,
            fresh=timedelta(seconds=self._settings.fresh_seconds),
        )
        # By the clock that also dates what stands between passes, so that the two can be compared.
        observed = replace(observed, at=began)
        if observed.fleets:
            observed = replace(observed, fleets=self.marked(observed.fleets))
        if probing and self._settings.probe.targets:
            wanted = partial(probe_target, self._settings)
            asked = probe(declared, observed, wanted, only=lambda urn: only is None or urn in only)
            observed = replace(observed, probes=asked)
        findings = self._verdicts(declared, observed, only, known)
        unclear = {f.urn for f in findings if f.verdict is Verdict.UNKNOWN}
        self.looked |= dict.fromkeys({f.urn for f in findings} - unclear, began)
        return observed, findings

    def fleets(self, declared: Declared) -> Mapping[Urn, Fleet | Unreadable]:
        """All fleets as they are now."""
        groups = {r.urn for r in declared.of_type(GROUP)}
        return observe(declared, self._outside.aws(declared), only=groups, observers=self.observers).fleets

    def marked(self, fleets: Mapping[Urn, Fleet | Unreadable]) -> Mapping[Urn, Fleet | Unreadable]:
        """The fleets, with what people said of their servers."""
        said = {m.instance: f"{m.who} says: {m.reason}" for m in marks.marks(self._store, self._settings.cell)}
        return {
            urn: replace(
                fleet,
                members=tuple(
                    replace(m, compromised=m.compromised or said.get(m.instance_id, "")) for m in fleet.members
                ),
            )
            if isinstance(fleet, Fleet)
            else fleet
            for urn, fleet in fleets.items()
        }

    def _verdicts(
        self, declared: Declared, observed: Observed, only: Collection[Urn] | None, known: Known
    ) -> tuple[Finding, ...]:
        return detect(
            declared,
            observed,
            self.kinds,
            exceptions=self._exceptions,
            now=self._outside.now(),
            only=only,
            spellings=known.spellings,
        )

    def breaches(self, declared: Declared, values: Mapping[Urn, Mapping[str, Value]]) -> tuple[Finding, ...]:
        """What no rule would pass, of these resources or newly of their tenants' others, if they had these values."""
        tenants = {declared.resources[urn].tenant for urn in values}
        only = {r.urn for r in declared.resources.values() if r.tenant in tenants}
        observed, now = self.judged(declared, only)
        resources = dict(observed.resources)
        for urn, some in values.items():
            resources[urn] = replace(resources[urn], properties={**resources[urn].properties, **some})
        imagined = replace(observed, resources=resources)
        then = self._verdicts(declared, imagined, only, self._spellings.known(declared))
        already = {f.id for f in now if f.verdict is not Verdict.PASS and f.urn not in values}
        return tuple(
            f for f in then if f.kind is Kind.COMPLIANCE and f.verdict is not Verdict.PASS and f.id not in already
        )

    def scan(self, run_id: str, declared: Declared, only: Collection[Urn] | None, *, began: float) -> Scan:
        """A look with the account of what was seen. ``began`` is the monotonic second at which the pass did."""
        observed, findings = self.judged(declared, only, probing=True)
        seconds = time.monotonic() - began
        chosen = observed.resources if only is None else {u: o for u, o in observed.resources.items() if u in only}
        coverage = self._coverage(declared, replace(observed, resources=chosen), seconds)
        return Scan(run_id, declared.cell, declared, observed, findings, coverage)

    def _refresh(self, urns: Collection[Urn]) -> Mapping[Urn, Refreshed | Unreadable]:
        """``ports.Refresh``: the engine's look, in the nouns' vocabulary. The engine is only made when it is needed."""
        with self._outside.engine(timeout=self._settings.refresh_timeout_seconds) as engine:
            return {urn: _in_our_words(answer) for urn, answer in engine.refreshed(urns).items()}

    def _coverage(self, declared: Declared, observed: Observed, seconds: float) -> Coverage:
        seen = [o for o in observed.resources.values() if o.presence is not Presence.UNKNOWN]
        unseen = [o for o in observed.resources.values() if o.presence is Presence.UNKNOWN]
        types = {urn: declared.resources[urn].type for urn in observed.resources}
        return Coverage(
            declared=len(observed.resources),
            observed=len(seen),
            unknown=len(unseen),
            unsupported=tuple(sorted(set(types.values()) - self.observers.keys())),
            calls=observed.calls,
            seconds=seconds,
            paths=tuple(_seen(path, span, observed) for path, span in observed.spans.items()),
            unseen=tuple(Unseen(o.urn, types[o.urn], o.path, o.reason) for o in unseen),
        )


def _seen(path: Path, span: Span, observed: Observed) -> Seen:
    mine = [o for o in observed.resources.values() if o.path is path and o.presence is not Presence.UNKNOWN]
    return Seen(path, len(mine), span)


def _in_our_words(answer: Refreshed | Unreadable) -> Refreshed | Unreadable:
    """Secrets sealed, marks of the engine's own removed."""
    if isinstance(answer, Unreadable):
        return answer
    before, inputs, outputs = (
        {name: value(item) for name, item in values.items()}
        for values in (answer.before, answer.inputs, answer.outputs)
    )
    return replace(answer, before=before, inputs=inputs, outputs=outputs)

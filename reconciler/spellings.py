"""Comes to know, after each update, which differences are only another spelling; keeps them in the store.

A resource is asked about once an update, at the first look that sees it whole. Three looks must agree: an observer sees
the difference, the engine's provider sees none, and the observer sees the very same difference again, so that a change
that is made and undone in between is not taken for a spelling.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import structlog

from reconciler.detect.rules import RULES
from reconciler.detect.spelling import agreed, candidates, first_looks, mark
from reconciler.errors import StackmendError
from reconciler.model import Declared, Finding, Observed, Refreshed, ResourceKind, Spelling, Unreadable, Urn
from reconciler.ports import Refresh
from reconciler.record.store import Store

log = structlog.get_logger(__name__)

Verdicts: TypeAlias = tuple[Observed, tuple[Finding, ...]]


@dataclass(frozen=True, slots=True)
class Known:
    """What is known for one version of a declaration."""

    asked: Mapping[Urn, str] = field(default_factory=dict)
    """The resources that were asked about, with their marks."""
    spellings: frozenset[Spelling] = frozenset()


class Spellings:
    """The differences of one cell that are none."""

    def __init__(self, store: Store, kinds: Mapping[str, ResourceKind], refresh: Refresh, actor: str) -> None:
        self._store, self._kinds, self._refresh, self._actor = store, kinds, refresh, actor

    def known(self, declared: Declared) -> Known:
        """What was learnt since the last update. What is known of one that was made or declared anew is void."""
        kept = self._store.spellings(declared.cell, declared.version)
        if kept is None:
            return Known()
        current = {u: m for u, m in kept["asked"].items() if (r := declared.resources.get(u)) and mark(r) == m}
        every = (Spelling(Urn(urn), *rest) for urn, *rest in kept["spellings"])
        return Known(current, frozenset(s for s in every if s.urn in current))

    def learn(
        self, declared: Declared, known: Known, first: Verdicts, again: Callable[[Collection[Urn]], Verdicts]
    ) -> Known:
        """What is known after the look ``first``; ``again`` is the same look once more, at some resources."""
        observed, findings = first
        new = {u: mark(declared.resources[u]) for u in first_looks(observed, findings) if u not in known.asked}
        if not new:
            return known
        suspects = {s: f for s, f in self._candidates(declared, first).items() if s.urn in new}
        urns = {s.urn for s in suspects}
        confirmed: frozenset[Spelling] = frozenset()
        if suspects:
            witness: Mapping[Urn, Refreshed | Unreadable] = {}
            try:
                witness = self._refresh(urns)
            except (StackmendError, OSError) as error:
                log.warning("the engine could not say whether differences are only spelled so", error=str(error))
            confirmed = agreed(suspects, declared, witness)
            if confirmed:
                confirmed &= self._candidates(declared, again({s.urn for s in confirmed})).keys()
            # What the engine could not read is asked about at the next look.
            new = {u: m for u, m in new.items() if u not in urns or isinstance(witness.get(u), Refreshed)}
        learnt = Known({**known.asked, **new}, known.spellings | confirmed)
        self._keep(declared, learnt, [suspects[s] for s in suspects if s in confirmed])
        return learnt

    def _candidates(self, declared: Declared, look: Verdicts) -> dict[Spelling, Finding]:
        return candidates(declared, *look, self._kinds, RULES)

    def _keep(self, declared: Declared, known: Known, new: Sequence[Finding]) -> None:
        document: dict[str, Any] = {
            "asked": dict(sorted(known.asked.items())),
            "spellings": sorted([s.urn, s.property, s.declared, s.observed] for s in known.spellings),
        }
        told = [f"{f.urn.rsplit('::', 1)[-1]}: {f.message}" for f in new]
        self._store.save_spellings(declared.cell, declared.version, document, new=told, actor=self._actor)
        for words in told:
            log.info("another spelling, no drift", what=words)

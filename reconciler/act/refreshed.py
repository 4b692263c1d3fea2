"""What a preview of a refresh says of each resource, out of the engine's events.

The CLI's ``--json`` is not enough: it shows a resource whose read failed, or that differs without the provider saying
in what, like one that is as declared. The events tell these apart; a resource without a result has none here either.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

from reconciler.act.steps import Account
from reconciler.model import Refreshed, Unreadable, Urn

if TYPE_CHECKING:
    from pulumi.automation.events import EngineEvent, StepEventMetadata

_FIRST = re.compile(r'\["((?:[^"\\]|\\.)*)"\]|([^.\[]+)')
"""The top-level property of a path: ``tags`` of ``tags["a.b"]``, ``x.y`` of ``["x.y"].z``."""


class RefreshAccount(Account):
    """Collects the events of one preview of a refresh."""

    def __init__(self) -> None:
        super().__init__()
        self._results: dict[Urn, Refreshed] = {}

    def take(self, event: EngineEvent) -> None:
        super().take(event)
        if event.res_outputs_event is not None:
            result = _result(event.res_outputs_event.metadata)
            if result is not None:
                self._results[Urn(event.res_outputs_event.metadata.urn)] = result

    @property
    def results(self) -> Mapping[Urn, Refreshed | Unreadable]:
        """By resource; one that failed is unreadable whatever else was said of it."""
        return {**self._results, **{urn: Unreadable(words) for urn, words in self.failed.items()}}


def top_level(path: str) -> str:
    """The top-level property that a property path begins with."""
    match = _FIRST.match(path)
    if match is None:
        return path
    return match[1].replace('\\"', '"') if match[1] is not None else match[2]


def _result(metadata: StepEventMetadata) -> Refreshed | None:
    """None for an operation that is not a refresh's: whatever it is, it says nothing of the resource as it is."""
    op, old, new = str(metadata.op.value), metadata.old, metadata.new
    if old is None:
        return None
    if op == "delete":
        return Refreshed(old.id, exists=False, changed=frozenset(), before=old.inputs or {})
    if op not in ("same", "update") or new is None:
        return None
    paths = {*(metadata.diffs or ()), *(metadata.detailed_diff or {})}
    changed = frozenset(top_level(path) for path in paths)
    return Refreshed(
        id=old.id,
        exists=True,
        changed=None if op == "update" and not changed else changed,
        before=old.inputs or {},
        inputs=new.inputs or {},
        outputs=new.outputs or {},
        partial="; ".join(new.init_errors or ()),
    )

"""What the engine says it would do, or did, as values: nothing past this module knows the shape of its events.

The engine reports one event per resource and operation. Automation API drops an event it cannot parse with no more
than a warning, so the account is compared with the engine's own totals: an incomplete one is an error, never a plan.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from reconciler.errors import EngineError
from reconciler.model import Urn, Value

if TYPE_CHECKING:
    from pulumi.automation.events import EngineEvent, StepEventMetadata

HARMLESS = frozenset({"same", "refresh", "read"})
"""Operations that write nothing to AWS."""

_COLOUR = re.compile(r"<\{%.*?%\}>|\x1b\[[0-9;]*m")


@dataclass(frozen=True, slots=True)
class Step:
    """One operation of the engine on one resource."""

    urn: Urn
    type: str
    op: str
    """``same``, ``create``, ``update``, ``replace``, ``create-replacement``, ``delete-replaced``, ``delete``, …"""
    changed: tuple[str, ...] = ()
    """Property paths that differ."""
    replaced_by: tuple[str, ...] = ()
    """Property paths that make an update in place impossible."""
    protect: bool = False
    gone: bool = False
    """A refresh that found nothing: the resource leaves the state."""
    before: Mapping[str, Value] = field(default_factory=dict, hash=False)
    """For an update: all values, as the refresh has just read them."""
    after: Mapping[str, Value] = field(default_factory=dict, hash=False)
    """For an update: what it sets."""

    def __str__(self) -> str:
        what = f"{self.op} {self.urn.rsplit('::', 1)[-1]} ({self.type})"
        return f"{what}: {', '.join(self.changed)}" if self.changed else what


@dataclass(frozen=True, slots=True)
class EnginePlan:
    """A preview. ``saved`` is the engine's own plan file: an update under it can do nothing else."""

    steps: tuple[Step, ...]
    saved: Path | None = None
    refreshed: bool = True
    """Whether the targets were read from AWS first."""
    replaced: tuple[Urn, ...] = ()
    """What was asked to be replaced."""
    overridden: Mapping[Urn, Mapping[str, Value]] = field(default_factory=dict)
    """Inputs that stood above the program's."""

    @property
    def writes(self) -> tuple[Step, ...]:
        return tuple(s for s in self.steps if s.op not in HARMLESS)


@dataclass(frozen=True, slots=True)
class EngineRun:
    """An update that ran to its end: what it did, and what failed, in the words of AWS."""

    steps: tuple[Step, ...]
    failed: Mapping[Urn, str] = field(default_factory=dict)


class Account:
    """Collects the events of one engine run."""

    def __init__(self) -> None:
        self._steps: dict[tuple[str, str], Step] = {}
        self._errors: dict[Urn, list[str]] = defaultdict(list)
        self._general: list[str] = []
        self._totals: Mapping[str, int] | None = None

    def take(self, event: EngineEvent) -> None:
        """Note one event. Called on the thread that receives them."""
        if event.resource_pre_event is not None:
            self._note(event.resource_pre_event.metadata)
        elif event.res_outputs_event is not None:
            self._note(event.res_outputs_event.metadata)
        elif event.res_op_failed_event is not None:
            self._errors[Urn(event.res_op_failed_event.metadata.urn)] += []
        elif event.diagnostic_event is not None and event.diagnostic_event.severity == "error":
            words = _COLOUR.sub("", event.diagnostic_event.message).strip()
            if event.diagnostic_event.urn:
                self._errors[Urn(event.diagnostic_event.urn)].append(words)
            else:
                self._general.append(words)
        elif event.summary_event is not None:
            changes = event.summary_event.resource_changes
            self._totals = {getattr(op, "value", op): count for op, count in changes.items()}

    def _note(self, metadata: StepEventMetadata) -> None:
        if _default_provider(metadata):
            return
        op = str(metadata.op.value)
        self._steps[metadata.urn, op] = Step(
            urn=Urn(metadata.urn),
            type=metadata.type,
            op=op,
            changed=tuple(sorted({*(metadata.diffs or ()), *(metadata.detailed_diff or {})})),
            replaced_by=tuple(sorted(metadata.keys or ())),
            protect=bool(metadata.old and metadata.old.protect),
            gone=op == "refresh" and metadata.new is None,
            before=(metadata.old.outputs or {}) if op == "update" and metadata.old else {},
            after=(metadata.new.inputs or {}) if op == "update" and metadata.new else {},
        )

    @property
    def errors(self) -> str:
        """The engine's error diagnostics, AWS's words included; one line each."""
        told = [f"{urn.rsplit('::', 1)[-1]}: {words}" for urn, lines in self._errors.items() for words in lines]
        return "\n".join(told + self._general)

    @property
    def failed(self) -> Mapping[Urn, str]:
        """The resources whose operation failed, with the reason."""
        return {urn: "; ".join(lines) or "the engine gave no reason" for urn, lines in self._errors.items()}

    def steps(self, *, complete: bool) -> tuple[Step, ...]:
        """The steps in the engine's order.

        Raises EngineError if ``complete`` and the engine counted an operation that no event told of.
        """
        steps = tuple(self._steps.values())
        if not complete:
            return steps
        if self._totals is None:
            raise EngineError("the engine ended without a summary", why=self.errors)
        for op, count in self._totals.items():
            seen = sum(step.op == op for step in steps)
            if seen < count:
                raise EngineError(f"the engine counts {count} operations '{op}' but told of {seen}", why=self.errors)
        return steps


def _default_provider(metadata: StepEventMetadata) -> bool:
    """Whether a step is on a provider that the engine made up by itself: book-keeping in the state, nothing in AWS.

    The engine leaves these out of its own totals, too. A targeted run adds the one that reads the stack's outputs.
    """
    return metadata.type.startswith("pulumi:providers:") and metadata.urn.rsplit("::", 1)[-1].startswith("default")

"""What a strategy is: a name, what it may do, and either work for the engine or steps of its own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from reconciler.act.tools import Ending, Tools
from reconciler.model import Repair


@dataclass(frozen=True, slots=True)
class Strategy:
    """One way to repair. Either ``operations`` (the engine does it, batched with others) or ``run`` is set."""

    name: str
    does: str
    """One sentence for people."""
    operations: frozenset[str] = frozenset()
    """Engine operations it may need on the resources its repair names; anything else refuses the repair."""
    replaceable: frozenset[str] = frozenset()
    """Types it may replace, if named: bindings between other resources, which hold nothing and carry no traffic."""
    redeploys: bool = False
    """Whether it may replace exactly what a repair's ``replaces`` names, the new one first."""
    permissions: tuple[str, ...] = ()
    """IAM actions of its own calls, beyond what the engine's provider needs to manage the stack."""
    prepare: Callable[[Repair, Tools], None] | None = None
    """Writes that must come before the engine looks, because the engine cannot make them."""
    run: Callable[[Repair, Tools], Ending] | None = None
    preview: Callable[[Repair, Tools], str] | None = None
    """What ``run`` would do, in words; for a dry run."""

    @property
    def declarative(self) -> bool:
        return bool(self.operations)

    @property
    def writes(self) -> bool:
        """Whether it may change anything, so that its findings must still hold right before it starts."""
        return self.declarative or self.preview is not None

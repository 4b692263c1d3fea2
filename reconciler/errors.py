"""Every error this product raises on purpose: what failed, where, why, and what to do about it."""

from __future__ import annotations


class StackmendError(Exception):
    """Base of all errors a user may see. ``str()`` is one readable paragraph, never a traceback."""

    def __init__(self, what: str, *, where: str = "", why: str = "", todo: str = "") -> None:
        self.what, self.where, self.why, self.todo = what, where, why, todo
        super().__init__(what)

    def __str__(self) -> str:
        parts = [f"{self.where}: {self.what}" if self.where else self.what]
        if self.why:
            parts.append(self.why)
        if self.todo:
            parts.append(self.todo)
        return "\n  ".join(parts)


class ConfigurationError(StackmendError):
    """Settings, stack configuration or exceptions that cannot be used. Nothing was changed."""


class StateError(StackmendError):
    """The stack's state could not be read or understood."""


class WrongAccount(StackmendError):
    """The credentials belong to another account than the one declared. Nothing was read."""


class EngineError(StackmendError):
    """The Pulumi engine failed; ``why`` holds its own diagnostics."""


class EngineLocked(EngineError):
    """Another update holds the stack's lock."""


class RepairRefused(StackmendError):
    """A safety check stopped a repair before it wrote anything."""


class TenantPaused(RepairRefused):
    """A person has paused the tenant. Nothing more of it is changed; the other tenants go on."""


class WriteRefused(RepairRefused):
    """The guard stopped an AWS call that is not a read and that no repair in progress names."""


class LeaseLost(StackmendError):
    """Another reconciler holds this cell, or this process held it too long without renewing."""


class LedgerCorrupt(StackmendError):
    """The ledger does not verify."""


class StoreError(StackmendError):
    """The store could not be read or written."""

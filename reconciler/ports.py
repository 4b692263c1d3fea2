"""What a stage may ask of another without importing it: the pipeline hands these in."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Any, Protocol

from reconciler.model import Finding, Fleet, Outcome, Refreshed, Repair, Unreadable, Urn


class Journal(Protocol):
    """The durable record, as the acting stage sees it."""

    def told(self, repair: Repair) -> bool:
        """Whether an escalation says nothing that is not recorded already."""

    def intend(self, repair: Repair) -> int:
        """Write the intent durably, in one transaction with the check of the lease's fencing token.

        Returns the intent's number. Raises LeaseLost: nothing may be written to AWS afterwards.
        """

    def conclude(self, intent: int, outcome: Outcome, *, finished: bool = False) -> None:
        """Write the one terminal record of an intent; ``finished``: what it left undone when it was cut off is done."""

    def ensure_held(self, tenants: Collection[str] = ()) -> None:
        """Raise LeaseLost unless this process still holds the cell's lease, or while the cell is paused.

        Raises RepairRefused while one of ``tenants`` is paused: nothing more of that tenant may be written.
        """


class Look(Protocol):
    """A fresh look at some resources: observe and detect again, only for them."""

    def __call__(self, urns: Collection[Urn]) -> tuple[Finding, ...]: ...


class Refresh(Protocol):
    """The engine's own look at resources, through their providers: reads only, takes no lock, writes no state."""

    def __call__(self, urns: Collection[Urn]) -> Mapping[Urn, Refreshed | Unreadable]:
        """What the engine says of exactly these resources; one that it did not get to is left out.

        Raises EngineError if it could not look at all.
        """


class Progress(Protocol):
    """Told what happens while it happens, for people watching."""

    def __call__(self, repair: Repair, message: str) -> None: ...


class FleetLook(Protocol):
    """A fresh look at one fleet, as the group, EC2 and the load balancer see it now."""

    def __call__(self, group: Urn) -> Fleet | Unreadable: ...


class EngineNotes(Protocol):
    """Keeps which engines may hold the stack's lock, for whoever comes when this process has died."""

    def began(self, pid: int, since: datetime) -> None:
        """An engine that takes the lock was started after ``since``."""

    def ended(self) -> None:
        """It did its work and gave the lock back."""


class AwsWriter(Protocol):
    """The guarded AWS clients, for the few writes that the engine cannot make."""

    def client(self, service: str) -> Any:
        """The cell's boto3 client of a service. Reads pass its guard; anything else needs a permit."""

    def permit(
        self, repair: Repair, *, operations: Collection[str], resources: Collection[str]
    ) -> AbstractContextManager[object]:
        """While it is open, ``service:Operation``s pass the guard if all they name is in ``resources`` and the
        repair's own.

        ``resources`` are ids, names or ARNs, as the calls will name them. ``client`` then gives clients of the tenant's
        own session, if there are sessions.
        """


class OpenIntent(Protocol):
    """An intent without a terminal record: the process that wrote it died."""

    @property
    def number(self) -> int: ...

    @property
    def repair(self) -> Repair: ...

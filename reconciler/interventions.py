"""What a person may do at any moment, also while a pass runs, since it needs no lease: pause, resume, mark a server."""

from __future__ import annotations

from collections.abc import Mapping

import structlog

from reconciler.errors import ConfigurationError, StackmendError
from reconciler.model import Fleet, Unreadable, Urn
from reconciler.record import marks
from reconciler.record.marks import Mark
from reconciler.record.store import Pause, Store

log = structlog.get_logger(__name__)

SERVERS_NAMED = 20


class Interventions:
    """In one cell, by one person."""

    def __init__(self, store: Store, cell: str, *, actor: str) -> None:
        self._store, self._cell, self._actor = store, cell, actor

    def pause(self, tenant: str | None, reason: str) -> tuple[Pause, ...]:
        """Stop repairs. Returns the pauses now in force. Raises ConfigurationError for a tenant that there is not."""
        reason = given(reason)
        _ensure_named(tenant)
        self._ensure_known(tenant)
        self._store.pause(self._cell, tenant=tenant, reason=reason, who=self._actor)
        return self._store.pauses(self._cell)

    def resume(self, tenant: str | None, reason: str) -> tuple[Pause, ...]:
        """End a pause. Returns those that are left. Raises ConfigurationError if nothing is paused there."""
        _ensure_named(tenant)
        if not self._store.resume(self._cell, tenant=tenant, who=self._actor, reason=reason.strip()):
            left = [p.tenant or "the whole cell" for p in self._store.pauses(self._cell)]
            raise ConfigurationError(
                f"{f'tenant {tenant!r}' if tenant is not None else f'cell {self._cell} as a whole'} is not paused",
                where=self._cell,
                todo=f"Paused are: {', '.join(left)}." if left else "Nothing is paused in this cell.",
            )
        return self._store.pauses(self._cell)

    def mark(
        self, instance: str, reason: str, fleets: Mapping[Urn, Fleet | Unreadable], tenants: Mapping[Urn, str | None]
    ) -> Mark:
        """Mark a server of one of these fleets as compromised; the next look sees it so.

        Raises ConfigurationError if none of them has it, or if that cannot be seen.
        """
        seen = {urn: fleet for urn, fleet in fleets.items() if isinstance(fleet, Fleet)}
        for urn, fleet in seen.items():
            if any(m.instance_id == instance for m in fleet.members):
                tenant = tenants.get(urn)
                return marks.mark(
                    self._store, self._cell, instance=instance, group=urn, tenant=tenant, reason=reason, who=self._actor
                )
        unseen = [f"{urn.rpartition('::')[2]}: {f.reason}" for urn, f in fleets.items() if isinstance(f, Unreadable)]
        servers = sorted(m.instance_id for fleet in seen.values() for m in fleet.members)
        more = f" and {len(servers) - SERVERS_NAMED} more" if len(servers) > SERVERS_NAMED else ""
        raise ConfigurationError(
            f"no fleet of cell {self._cell} has a server {instance!r}",
            why=f"Some could not be seen now: {'; '.join(unseen)}." if unseen else "",
            todo=f"There are: {', '.join(servers[:SERVERS_NAMED]) or 'none'}{more}.",
        )

    def unmark(self, instance: str, reason: str) -> None:
        """Take a mark back. Raises ConfigurationError if there is none."""
        if not marks.withdraw(self._store, self._cell, instance, reason=given(reason), who=self._actor):
            others = ", ".join(m.instance for m in marks.marks(self._store, self._cell))
            raise ConfigurationError(
                f"server {instance!r} is not marked in the record of cell {self._cell}",
                todo=f"Marked are: {others or 'none'}. A tag stackmend:compromised is removed where it was set.",
            )

    def _ensure_known(self, tenant: str | None) -> None:
        """A misspelt name would pause nobody. Where nobody knows the names, a pause must still not fail."""
        try:
            kept = self._store.baseline(self._cell)
        except StackmendError:
            kept = None
        if kept is None:
            log.warning(
                "no pass has read this cell yet, so neither it nor its tenants are known; the pause holds as typed",
                cell=self._cell,
                tenant=tenant,
            )
            return
        known = sorted({str(r["tenant"]) for r in kept.get("resources", ()) if r.get("tenant")})
        if tenant is not None and tenant not in known:
            raise ConfigurationError(
                f"there is no tenant {tenant!r} in cell {self._cell}; nobody was paused",
                todo=f"One of: {', '.join(known) or 'none'}. One that was deployed since the last look is known after"
                " `stackmend scan`; without --tenant the whole cell is paused.",
            )


def _ensure_named(tenant: str | None) -> None:
    """An empty name is a mistake, such as an unset variable; it must never mean the whole cell."""
    if tenant is not None and not tenant.strip():
        raise ConfigurationError("--tenant is empty", todo="Leave it out to mean the whole cell.")


def given(reason: str) -> str:
    """The reason that a person gave. Raises ConfigurationError if it is blank."""
    if not reason.strip():
        raise ConfigurationError("--reason is empty", todo="Say why: it is recorded, and shown to whoever comes next.")
    return reason.strip()

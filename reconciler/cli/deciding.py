"""The commands by which people decide: pause, resume, quarantine, approve, acknowledge."""

from __future__ import annotations

from typing import Annotated

import typer

from reconciler.cli.common import (
    AsOption,
    CellOption,
    ExpiresOption,
    Output,
    OutputOption,
    TenantOption,
    open_cycle,
    show,
    span,
)
from reconciler.present import status, tables

app = typer.Typer()


@app.command()
def pause(
    reason: Annotated[str, typer.Option("--reason", help="why; it is recorded and shown")],
    cell: CellOption = None,
    tenant: TenantOption = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Stop all repairs of the cell, or of one tenant, until resumed. Outlives restarts."""
    with open_cycle(cell) as cycle:
        pauses = cycle.pause(tenant, reason)
        name = cycle.settings.cell
    show(output, lambda: status.pauses_document(name, pauses), lambda: status.pauses_table(name, pauses))


@app.command()
def resume(
    cell: CellOption = None,
    tenant: TenantOption = None,
    reason: Annotated[str, typer.Option("--reason", help="why; it is recorded")] = "",
    output: OutputOption = Output.TABLE,
) -> None:
    """End a pause; that of the cell and those of tenants are resumed apart."""
    with open_cycle(cell) as cycle:
        pauses = cycle.resume(tenant, reason)
        name = cycle.settings.cell
    show(output, lambda: status.pauses_document(name, pauses), lambda: status.pauses_table(name, pauses))


@app.command()
def quarantine(
    instance: Annotated[str, typer.Argument(help="the id of a server of one of the cell's fleets")],
    reason: Annotated[str, typer.Option("--reason", help="why; it is recorded and shown")],
    cell: CellOption = None,
    withdraw: Annotated[bool, typer.Option("--withdraw", help="take the mark back")] = False,
) -> None:
    """Mark a server as compromised, also while a pass runs: the next pass isolates, keeps and replaces it."""
    with open_cycle(cell) as cycle:
        if withdraw:
            cycle.release(instance, reason)
            told = f"{instance} is not marked any more. A pass that isolates it already goes on."
        else:
            mark = cycle.quarantine(instance, reason)
            told = f"{instance} is marked as compromised by {mark.who}; the next pass isolates it."
    tables.console().print(told)


@app.command()
def approve(
    plan_id: Annotated[str, typer.Argument(metavar="PLAN_ID", help="the id that `stackmend plan` shows (p-…)")],
    cell: CellOption = None,
    note: Annotated[str, typer.Option("--note", help="why, for the record")] = "",
    expires: ExpiresOption = None,
    who: AsOption = None,
) -> None:
    """Consent to a plan's proposals, exactly as they are and once. A plan that changes needs a new approval."""
    with open_cycle(cell) as cycle:
        given = cycle.approve(plan_id, note=note, seconds=span("--expires", expires), who=who)
    tables.console().print(
        f"Approval {given.number} of {len(given.repairs)} repairs by {given.who},"
        f" until {given.expires:%Y-%m-%d %H:%M:%S} UTC. The next pass carries them out."
    )


@app.command()
def acknowledge(
    reason: Annotated[str, typer.Option("--reason", help="why repairs may go on; it is recorded")],
    cell: CellOption = None,
    tenant: Annotated[str | None, typer.Option("--tenant", "-t", help="its breaker; default: the cell's")] = None,
    expires: ExpiresOption = None,
    who: AsOption = None,
) -> None:
    """Let repairs go on although a breaker is open, for exactly what failed. More failures open it again."""
    with open_cycle(cell) as cycle:
        given = cycle.acknowledge(tenant, reason=reason, seconds=span("--expires", expires), who=who)
    for ack in given:
        tables.console().print(
            f"Acknowledged: {ack.cause.value}, {len(ack.keys)} failing, by {ack.who},"
            f" until {ack.expires:%Y-%m-%d %H:%M:%S} UTC."
        )

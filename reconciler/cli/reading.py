"""The commands that read the record: status, history, explain, ledger."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from reconciler.cli.common import CellOption, Output, OutputOption, open_cycle, show
from reconciler.explain import explain as why
from reconciler.overview import overview
from reconciler.present import history, tables
from reconciler.present import status as standing

app = typer.Typer()
ledger_app = typer.Typer(help="The tamper-evident record.", no_args_is_help=True)


@app.command()
def status(cell: CellOption = None, output: OutputOption = Output.TABLE) -> None:
    """What is in force and under way: pauses, breakers, approvals, marked servers, repairs. Only reads the record."""
    with open_cycle(cell) as cycle:
        found = overview(cycle.store, cycle.settings.cell)
    show(output, lambda: standing.status_document(found), lambda: standing.status_table(found))


@app.command("history")
def show_history(
    cell: CellOption = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=10_000)] = 20,
    output: OutputOption = Output.TABLE,
) -> None:
    """The latest passes, repairs and what became of them."""
    with open_cycle(cell) as cycle:
        rows = cycle.history(limit)
    show(output, lambda: history.history_document(rows), lambda: history.history_table(rows))


@app.command()
def explain(
    finding: Annotated[str, typer.Argument(help="the id of a finding, repair, deferral or plan (f-…, r-…, d-…, p-…)")],
    cell: CellOption = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Why a finding is one: by which rule, with what evidence, and what was or will be done about it."""
    with open_cycle(cell) as cycle:
        answer = why(cycle.store, cycle.settings.cell, finding)
    show(output, lambda: history.explanation_document(answer), lambda: history.explanation_table(answer))


@ledger_app.command("verify")
def ledger_verify(
    cell: CellOption = None,
    checkpoint: Annotated[Path | None, typer.Option(help="a checkpoint file kept elsewhere")] = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Prove that no entry was edited, removed or reordered. Exits with 1 if the ledger does not verify."""
    with open_cycle(cell) as cycle:
        report = cycle.verify_ledger(checkpoint)
    show(output, lambda: history.ledger_document(report), lambda: history.ledger_table(report))
    if not report.valid:
        raise typer.Exit(1)


@ledger_app.command("checkpoint")
def ledger_checkpoint(
    out: Annotated[Path, typer.Argument(help="file to write; keep it where the store's owner cannot change it")],
    cell: CellOption = None,
) -> None:
    """Write a signed checkpoint of the ledger, to be kept outside."""
    with open_cycle(cell) as cycle:
        made = cycle.write_checkpoint(out)
    tables.console().print(f"The checkpoint of entry {made.seq}, head {made.hash}, is in {out}.")

"""The commands that make passes: scan, plan, repair, run."""

from __future__ import annotations

from typing import Annotated

import structlog
import typer

from reconciler.cli.common import (
    CellOption,
    DetailedOption,
    Output,
    OutputOption,
    TenantOption,
    end,
    open_cycle,
    show,
    span,
)
from reconciler.cycle import Pass
from reconciler.model import Repair, Status
from reconciler.present import documents, tables
from reconciler.reacting import Reacting
from reconciler.service import Service

app = typer.Typer()


@app.command()
def scan(
    cell: CellOption = None,
    tenant: TenantOption = None,
    output: OutputOption = Output.TABLE,
    show_all: Annotated[bool, typer.Option("--all", help="also what passes")] = False,
    detailed_exitcode: DetailedOption = False,
) -> None:
    """Look at everything and say what is wrong. Changes nothing."""
    with open_cycle(cell) as cycle, tables.working("scanning"):
        result = cycle.scan(tenant=tenant)
    show(
        output,
        lambda: documents.scan_document(result, everything=show_all),
        lambda: tables.scan_tables(result, everything=show_all),
    )
    end(detailed_exitcode, bool(result.failing))


@app.command()
def plan(
    cell: CellOption = None,
    tenant: TenantOption = None,
    output: OutputOption = Output.TABLE,
    detailed_exitcode: DetailedOption = False,
) -> None:
    """Say what a repair would do, and what it would not do and why. Changes nothing."""
    with open_cycle(cell) as cycle, tables.working("planning"):
        result = cycle.plan(tenant=tenant)
    show(output, lambda: documents.plan_document(result), lambda: tables.plan_tables(result))
    # Each failing finding is in a repair, a proposal or a deferral; what is not known is no finding.
    waiting = any(d.code != "unknown" for d in result.deferrals)
    end(detailed_exitcode, bool(result.repairs or result.proposals or waiting))


@app.command()
def repair(
    cell: CellOption = None,
    tenant: TenantOption = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="everything but the writes")] = False,
    output: OutputOption = Output.TABLE,
    detailed_exitcode: DetailedOption = False,
) -> None:
    """Scan, plan and repair once. Exits with 1 if a repair failed."""
    with open_cycle(cell) as cycle, tables.live_repairs() as progress:
        done = cycle.repair(tenant=tenant, dry_run=dry_run, progress=progress)
    show(
        output,
        lambda: documents.outcomes_document(done.plan, done.outcomes),
        lambda: tables.outcomes_table(done.plan, done.outcomes),
    )
    if any(o.status in (Status.NOT_HEALED, Status.ROLLED_BACK, Status.INTERRUPTED) for o in done.outcomes):
        raise typer.Exit(1)
    end(detailed_exitcode, bool(done.scan.failing))


@app.command()
def run(
    every: Annotated[str | None, typer.Option("--every", help="time between passes: 60s, 5m, 1h")] = None,
    cell: CellOption = None,
    passes: Annotated[int | None, typer.Option("--passes", min=1, help="end after so many passes")] = None,
) -> None:
    """Repair again and again, and when events say so, until stopped by SIGTERM or Ctrl-C."""
    seconds = span("--every", every)
    with open_cycle(cell) as cycle:
        seconds = seconds or cycle.settings.interval_seconds
        if not cycle.settings.events.queue_url:
            Service(lambda: _log_pass(cycle.repair(progress=_log_progress)), seconds).run(passes=passes)
            return
        reacting = Reacting.open(cycle, _log_progress, told=_log_pass)
        try:
            Service(reacting.tick, seconds, reacting).run(passes=passes)
        finally:
            reacting.stop()


def _log_progress(repair: Repair, message: str) -> None:
    structlog.get_logger("stackmend").info(message, repair=repair.id, strategy=repair.strategy, tenant=repair.tenant)


def _log_pass(done: Pass) -> None:
    structlog.get_logger("stackmend").info(
        "pass",
        run_id=done.plan.run_id,
        failing=len(done.scan.failing),
        repaired=sum(o.status is Status.HEALED for o in done.outcomes),
        deferred=len(done.plan.deferrals),
    )
    for urn, who in {f.urn: f.attribution for f in done.scan.failing if f.attribution}.items():
        structlog.get_logger("stackmend").info("last changed", urn=urn, who=str(who))

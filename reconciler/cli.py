"""The command line: parsing and printing only. Results go to stdout, logs and progress to stderr.

Exit codes: 0 done, 1 error, 2 findings (only with ``--detailed-exitcode``).
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import structlog
import typer

from reconciler import log, memory
from reconciler.cycle import Cycle, Pass
from reconciler.errors import ConfigurationError, StackmendError
from reconciler.explain import explain as why
from reconciler.model import Repair, Status
from reconciler.present import documents, history, tables
from reconciler.reacting import Reacting
from reconciler.service import Service
from reconciler.settings import load

app = typer.Typer(
    name="stackmend",
    help="Keeps a cell equal to what its stack declares: finds drift, failures and broken rules, and repairs them.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
ledger_app = typer.Typer(help="The tamper-evident record.", no_args_is_help=True)
app.add_typer(ledger_app, name="ledger")


class Output(StrEnum):
    TABLE = "table"
    JSON = "json"


OutputOption = Annotated[Output, typer.Option("--output", "-o", help="table for people, json for machines")]
CellOption = Annotated[str | None, typer.Option("--cell", "-c", help="the Pulumi stack; default: STACKMEND_CELL")]
TenantOption = Annotated[str | None, typer.Option("--tenant", "-t", help="only this tenant")]
DetailedOption = Annotated[bool, typer.Option("--detailed-exitcode", help="exit with 2 when there are findings")]
ExpiresOption = Annotated[str | None, typer.Option("--expires", help="how long it holds: 30m, 4h")]
AsOption = Annotated[str | None, typer.Option("--as", help="your name, beside that of this account and machine")]
FINDINGS_EXIT = 2
LONGEST_SPAN = 7 * 86_400


def main() -> None:
    """Entry point: a user's mistake or a failing dependency is a message, never a traceback."""
    log.configure()
    memory.collect_seldom()
    try:
        app(standalone_mode=True)
    except StackmendError as error:
        tables.console(stderr=True).print(f"error: {error}", style="red")
        sys.exit(1)


@contextmanager
def _cycle(cell: str | None) -> Iterator[Cycle]:
    cycle = Cycle.open(load(cell=cell))
    try:
        yield cycle
    finally:
        cycle.close()


def _show(output: Output, document: Callable[[], Any], table: Callable[[], Any]) -> None:
    if output is Output.JSON:
        sys.stdout.write(json.dumps(document(), ensure_ascii=False, indent=2) + "\n")
    else:
        tables.console().print(table())


@app.command()
def scan(
    cell: CellOption = None,
    tenant: TenantOption = None,
    output: OutputOption = Output.TABLE,
    show_all: Annotated[bool, typer.Option("--all", help="also what passes")] = False,
    detailed_exitcode: DetailedOption = False,
) -> None:
    """Look at everything and say what is wrong. Changes nothing."""
    with _cycle(cell) as cycle, tables.working("scanning"):
        result = cycle.scan(tenant=tenant)
    _show(
        output,
        lambda: documents.scan_document(result, everything=show_all),
        lambda: tables.scan_tables(result, everything=show_all),
    )
    _exit(detailed_exitcode, bool(result.failing))


@app.command()
def plan(
    cell: CellOption = None,
    tenant: TenantOption = None,
    output: OutputOption = Output.TABLE,
    detailed_exitcode: DetailedOption = False,
) -> None:
    """Say what a repair would do, and what it would not do and why. Changes nothing."""
    with _cycle(cell) as cycle, tables.working("planning"):
        result = cycle.plan(tenant=tenant)
    _show(output, lambda: documents.plan_document(result), lambda: tables.plan_tables(result))
    _exit(detailed_exitcode, bool(result.repairs))


@app.command()
def repair(
    cell: CellOption = None,
    tenant: TenantOption = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="everything but the writes")] = False,
    output: OutputOption = Output.TABLE,
    detailed_exitcode: DetailedOption = False,
) -> None:
    """Scan, plan and repair once. Exits with 1 if a repair failed."""
    with _cycle(cell) as cycle, tables.live_repairs() as progress:
        done = cycle.repair(tenant=tenant, dry_run=dry_run, progress=progress)
    _show(
        output,
        lambda: documents.outcomes_document(done.plan, done.outcomes),
        lambda: tables.outcomes_table(done.plan, done.outcomes),
    )
    if any(o.status in (Status.NOT_HEALED, Status.ROLLED_BACK, Status.INTERRUPTED) for o in done.outcomes):
        raise typer.Exit(1)
    _exit(detailed_exitcode, bool(done.scan.failing))


@app.command()
def run(
    every: Annotated[str | None, typer.Option("--every", help="time between passes: 60s, 5m, 1h")] = None,
    cell: CellOption = None,
    passes: Annotated[int | None, typer.Option("--passes", min=1, help="end after so many passes")] = None,
) -> None:
    """Repair again and again, and when events say so, until stopped by SIGTERM or Ctrl-C."""
    seconds = _span("--every", every)
    with _cycle(cell) as cycle:
        seconds = seconds or cycle.settings.interval_seconds
        if not cycle.settings.events.queue_url:
            Service(lambda: _log_pass(cycle.repair(progress=_log_progress)), seconds).run(passes=passes)
            return
        reacting = Reacting.open(cycle, _log_progress, told=_log_pass)
        try:
            Service(reacting.tick, seconds, reacting).run(passes=passes)
        finally:
            reacting.stop()


@app.command("history")
def show_history(
    cell: CellOption = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=10_000)] = 20,
    output: OutputOption = Output.TABLE,
) -> None:
    """The latest passes, repairs and what became of them."""
    with _cycle(cell) as cycle:
        rows = cycle.history(limit)
    _show(output, lambda: history.history_document(rows), lambda: history.history_table(rows))


@app.command()
def explain(
    finding: Annotated[str, typer.Argument(help="the id of a finding, repair, deferral or plan (f-…, r-…, d-…, p-…)")],
    cell: CellOption = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Why a finding is one: by which rule, with what evidence, and what was or will be done about it."""
    with _cycle(cell) as cycle:
        answer = why(cycle.store, cycle.settings.cell, finding)
    _show(output, lambda: history.explanation_document(answer), lambda: history.explanation_table(answer))


@app.command()
def pause(
    reason: Annotated[str, typer.Option("--reason", help="why; it is recorded and shown")],
    cell: CellOption = None,
    tenant: TenantOption = None,
) -> None:
    """Stop all repairs of the cell, or of one tenant, until resumed. Outlives restarts."""
    with _cycle(cell) as cycle:
        cycle.pause(tenant, reason)


@app.command()
def resume(cell: CellOption = None, tenant: TenantOption = None) -> None:
    """End a pause."""
    with _cycle(cell) as cycle:
        if not cycle.resume(tenant):
            raise ConfigurationError(
                "nothing is paused there", todo="A pause of the cell and one of a tenant are resumed apart."
            )


@app.command()
def quarantine(
    instance: Annotated[str, typer.Argument(help="the id of a server of one of the cell's fleets")],
    reason: Annotated[str, typer.Option("--reason", help="why; it is recorded and put on the server")],
    cell: CellOption = None,
) -> None:
    """Mark a server as compromised: the next pass isolates, keeps and replaces it."""
    with _cycle(cell) as cycle, tables.live_repairs() as progress:
        outcome = cycle.quarantine(instance, reason, progress=progress)
    tables.console().print(outcome.reason)
    if outcome.status is not Status.HEALED:
        raise typer.Exit(1)


@app.command()
def approve(
    plan_id: Annotated[str, typer.Argument(metavar="PLAN_ID", help="the id that `stackmend plan` shows (p-…)")],
    cell: CellOption = None,
    note: Annotated[str, typer.Option("--note", help="why, for the record")] = "",
    expires: ExpiresOption = None,
    who: AsOption = None,
) -> None:
    """Consent to a plan's proposals, exactly as they are and once. A plan that changes needs a new approval."""
    with _cycle(cell) as cycle:
        given = cycle.approve(plan_id, note=note, seconds=_span("--expires", expires), who=who)
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
    with _cycle(cell) as cycle:
        given = cycle.acknowledge(tenant, reason=reason, seconds=_span("--expires", expires), who=who)
    for ack in given:
        tables.console().print(
            f"Acknowledged: {ack.cause.value}, {len(ack.keys)} failing, by {ack.who},"
            f" until {ack.expires:%Y-%m-%d %H:%M:%S} UTC."
        )


@ledger_app.command("verify")
def ledger_verify(
    cell: CellOption = None,
    checkpoint: Annotated[Path | None, typer.Option(help="a checkpoint file kept elsewhere")] = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Prove that no entry was edited, removed or reordered. Exits with 1 if the ledger does not verify."""
    with _cycle(cell) as cycle:
        report = cycle.verify_ledger(checkpoint)
    _show(output, lambda: history.ledger_document(report), lambda: history.ledger_table(report))
    if not report.valid:
        raise typer.Exit(1)


@ledger_app.command("checkpoint")
def ledger_checkpoint(
    out: Annotated[Path, typer.Argument(help="file to write; keep it where the store's owner cannot change it")],
    cell: CellOption = None,
) -> None:
    """Write a signed checkpoint of the ledger, to be kept outside."""
    with _cycle(cell) as cycle:
        cycle.write_checkpoint(out)


def _exit(detailed: bool, found: bool) -> None:
    if detailed and found:
        raise typer.Exit(FINDINGS_EXIT)


def _span(option: str, text: str | None) -> float | None:
    if text is None:
        return None
    match = re.fullmatch(r"(\d{1,6})(s|m|h)", text)
    seconds = int(match[1]) * {"s": 1, "m": 60, "h": 3600}[match[2]] if match else 0
    if not 1 <= seconds <= LONGEST_SPAN:
        raise ConfigurationError(
            f"{option} {text!r} is not a span of time",
            todo="Give a whole number above 0 and a unit: 60s, 5m, 1h; up to 168h.",
        )
    return float(seconds)


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

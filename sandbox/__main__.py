"""``python -m sandbox``: up, down, env, status, break, demo. Parses and prints; ``lifecycle`` does the work."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from reconciler.errors import StackmendError
from sandbox.faults.registry import FAULTS
from sandbox.lifecycle import Sandbox
from stacks.config import load_file

app = typer.Typer(help="AWS on this machine, with tenants deployed by the real engine, and faults to heal.")
console = Console(soft_wrap=True)

Cell = Annotated[str, typer.Option(help="Name of the cell, which is the Pulumi stack.")]


@app.command()
def up(
    tenants: Annotated[int | None, typer.Option(help="How many tenants; 3 in a new cell.")] = None, cell: Cell = "dev"
) -> None:
    """Start the sandbox and deploy the cell. Again: deploy again."""
    sandbox = Sandbox(cell=cell)
    with console.status("deploying with the Pulumi engine …") as status:
        done = sandbox.up(tenants, progress=lambda line: status.update(escape(line.strip()[:100]) or "…"))
    changes = ", ".join(f"{count} {what}" for what, count in sorted(done.changes.items()))
    console.print(f"cell [bold]{cell}[/] is up at {sandbox.url}: {changes}; {done.seconds:.1f} s")
    console.print('next: eval "$(python -m sandbox env)"', highlight=False, markup=False)


@app.command()
def down() -> None:
    """Stop the sandbox and forget everything in it."""
    sandbox = Sandbox()
    sandbox.down()
    console.print(f"{sandbox.home} is gone")


@app.command()
def env(cell: Cell = "dev") -> None:
    """Print export lines for a shell."""
    for name, value in Sandbox(cell=cell).environment().items():
        print(f"export {name}={shlex.quote(value)}")


@app.command()
def status(cell: Cell = "dev") -> None:
    """Show what runs."""
    sandbox = Sandbox(cell=cell)
    calls = sandbox.control.calls()
    reads, writes = sum(calls.reads.values()), sum(calls.writes.values())
    console.print(f"server  {sandbox.url}, process {sandbox.control.health()}, log {sandbox.log_file}")
    console.print(f"calls   {reads} reads, {writes} writes")
    if not sandbox.config_file.exists():
        console.print(f"cell    {cell} is not deployed")
        return
    table = Table("tenant", "tier", "regimes", "network", "servers", title=f"cell {cell}", title_justify="left")
    for t in load_file(sandbox.config_file).tenants:
        size = f"{t.size.desired} ({t.size.min} to {t.size.max})"
        table.add_row(t.name, t.tier, " ".join(sorted(t.regimes)), str(t.cidr), size)
    console.print(table)


@app.command(name="break")
def break_(
    faults: Annotated[list[str] | None, typer.Argument(help="Names of faults.", show_default=False)] = None,
    tenant: Annotated[str | None, typer.Option(help="Whom to strike; the cell's first tenant if not given.")] = None,
    cell: Cell = "dev",
    show: Annotated[bool, typer.Option("--list", help="Show all faults there are.")] = False,
) -> None:
    """Let faults happen to a tenant, in the order given."""
    if show or not faults:
        table = Table("fault", "by", "what happens", "found on", box=None)
        for fault in FAULTS.values():
            types = " ".join(token.rpartition(":")[2] for token in fault.types)
            table.add_row(fault.name, fault.actor, fault.description, types)
        console.print(table)
        return
    sandbox = Sandbox(cell=cell)
    for name in faults:
        struck = sandbox.break_(name, tenant)
        console.print(f"[red]{name}[/] {escape(struck)}: {FAULTS[name].description}", highlight=False)


@app.command()
def demo(
    picture: Annotated[Path | None, typer.Option(help="Also write what is shown to this SVG file.")] = None,
) -> None:
    """Deploy, break, heal and prove, in one go, in a sandbox of its own."""
    from sandbox.demo import Demo, DemoError

    # A pipe has no width; the tables want some.
    wide = Console(record=picture is not None, width=None if console.is_terminal else 160)
    try:
        Demo(wide).run()
    except DemoError as error:
        wide.print(f"[red]the demonstration failed:[/] {escape(str(error))}")
        raise typer.Exit(1) from None
    finally:
        if picture is not None:
            wide.save_svg(str(picture), title="make demo")


def main() -> None:
    """Run the command line; a failure is one readable paragraph and exit status 1."""
    try:
        app()
    except StackmendError as error:
        print(f"sandbox: {error}", file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()

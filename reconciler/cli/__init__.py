"""The command line: parsing and printing only. Results go to stdout, logs and progress to stderr.

Exit codes: 0 done, 1 error, 2 findings (only with ``--detailed-exitcode``).
"""

from __future__ import annotations

import sys
from io import TextIOWrapper

import typer

from reconciler import interpreter, log
from reconciler.cli import deciding, passes, reading
from reconciler.cli.common import FINDINGS_EXIT, Findings
from reconciler.errors import StackmendError
from reconciler.present import tables

app = typer.Typer(
    name="stackmend",
    help="Keeps a cell equal to what its stack declares: finds drift, failures and broken rules, and repairs them.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
for commands in (passes.app, reading.app, deciding.app):
    app.add_typer(commands)
app.add_typer(reading.ledger_app, name="ledger")


def main() -> None:
    """Entry point: a user's mistake or a failing dependency is a message, never a traceback."""
    log.configure()
    interpreter.prepare()
    if isinstance(sys.stdout, TextIOWrapper):
        # What the terminal, or a damaged record, cannot say in its encoding is written out instead.
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        app(standalone_mode=True)
    except StackmendError as error:
        tables.console(stderr=True).print(f"error: {error}", style="red")
        sys.exit(1)
    except Findings:
        raise
    except SystemExit as ended:
        # A command line that cannot be read ends with 2 as well, which must not be taken for findings.
        sys.exit(1 if ended.code == FINDINGS_EXIT else ended.code)

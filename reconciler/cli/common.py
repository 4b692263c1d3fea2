"""What the commands share: options, an open cycle, and how results are shown."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from typing import Annotated, Any

import typer

from reconciler.cycle import Cycle
from reconciler.errors import ConfigurationError
from reconciler.present import tables
from reconciler.settings import load


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


class Findings(SystemExit):
    """The end of a command that found something, where ``--detailed-exitcode`` asks for it."""


@contextmanager
def open_cycle(cell: str | None) -> Iterator[Cycle]:
    cycle = Cycle.open(load(cell=cell))
    try:
        yield cycle
    finally:
        cycle.close()


def show(output: Output, document: Callable[[], Any], table: Callable[[], Any]) -> None:
    if output is Output.JSON:
        sys.stdout.write(json.dumps(document(), ensure_ascii=False, indent=2) + "\n")
    else:
        tables.console().print(table())


def end(detailed: bool, found: bool) -> None:
    if detailed and found:
        raise Findings(FINDINGS_EXIT)


def span(option: str, text: str | None) -> float | None:
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

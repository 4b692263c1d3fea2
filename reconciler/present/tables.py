"""The same documents for people, in tables that fit a terminal; what a tenant could have written is made harmless."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from reconciler.detect.drift import NORMALISATION
from reconciler.log import printable
from reconciler.model import Deferral, Finding, Outcome, Path, Plan, Repair, Scan, Seen, Status, Unseen, Verdict
from reconciler.ports import Progress
from reconciler.present.documents import plain

_VERDICT = {Verdict.PASS: "green", Verdict.FAIL: "red", Verdict.UNKNOWN: "yellow"}
_STATUS = {
    Status.HEALED: "green",
    Status.DRY_RUN: "cyan",
    Status.ESCALATED: "yellow",
    Status.REFUSED: "yellow",
    Status.INTERRUPTED: "yellow",
    Status.CONTINUES: "cyan",
}


def safe(value: object, limit: int = 0) -> Text:
    """Text from anywhere as text: no control or direction characters, no markup, cut to ``limit`` characters."""
    text = value if isinstance(value, str) else json.dumps(plain(value), ensure_ascii=False, default=str)
    text = printable(text)
    return Text(text if not limit or len(text) <= limit else text[: limit - 1] + "…")


def plain_table(*columns: str, keep: int = 0) -> Table:
    """A table without lines. The first ``keep`` columns stay on one line; in the others text folds, nothing is cut."""
    table = Table(box=None, header_style="bold", pad_edge=False)
    for i, column in enumerate(columns):
        table.add_column(column, overflow="fold", no_wrap=i < keep)
    return table


def short(urn: str) -> str:
    """The logical name with its type, without the path of its parents."""
    type_, _, name = urn.rpartition("::")
    return f"{type_.rpartition('$')[2].rpartition(':')[2]} {name}" if name else urn


def scan_tables(scan: Scan, *, everything: bool) -> RenderableType:
    shown = [f for f in scan.findings if everything or f.verdict is not Verdict.PASS]
    parts: list[RenderableType] = []
    if shown:
        parts.append(_findings(shown))
        parts += _changes(shown)
    counts = Counter(f.verdict for f in scan.findings)
    line = Text("  ".join(f"{counts[v]} {v.value}" for v in Verdict), style="bold")
    line.append(
        f"   {scan.coverage.observed} of {scan.coverage.declared} resources seen"
        f" in {scan.coverage.seconds:.1f} s with {scan.coverage.calls} calls",
        style="not bold dim",
    )
    parts.append(line)
    respelled = sum(f.rule == NORMALISATION for f in scan.findings)
    if respelled and not everything:
        parts.append(Text(f"{respelled} differences are only another spelling (--all shows them)", style="dim"))
    if len(scan.coverage.paths) > 1:
        parts.append(Text("; ".join(_path(seen) for seen in scan.coverage.paths), style="dim"))
    if scan.coverage.unseen:
        parts.append(_unseen(scan.coverage.unseen))
    return Group(*parts)


def _path(seen: Seen) -> str:
    how = "by reading AWS" if seen.path is Path.BULK else "through the engine, without an observer"
    return f"{seen.resources} {how} in {seen.span.seconds:.1f} s from {seen.span.at:%H:%M:%S} on"


def _unseen(unseen: Sequence[Unseen]) -> Table:
    """What was not seen, by type and reason: a service that does not answer hides many resources for one reason."""
    table = plain_table("not seen", "type", "why", keep=1)
    for (type_, reason), count in Counter((u.type, u.reason) for u in unseen).most_common():
        table.add_row(str(count), safe(type_), safe(reason, 160))
    return table


def _findings(findings: Iterable[Finding]) -> Table:
    table = plain_table("finding", "verdict", "tenant", "resource", "rule", "what", keep=3)
    for f in findings:
        verdict = Text(f.verdict.value, style=_VERDICT[f.verdict])
        if f.accepted:
            verdict = Text("accepted", style="dim")
        where = short(f.urn) if f.urn else f.resource_id
        table.add_row(f.id, verdict, safe(f.tenant or "-"), safe(where), f.rule, safe(f.message, 160))
    return table


def _changes(findings: Iterable[Finding]) -> Iterator[Table]:
    """Who last changed what drifted, one row a resource and change; only a count of what is not known."""
    rows = {(short(f.urn), who) for f in findings if (who := f.attribution) is not None and not who.not_known}
    if rows:
        table = plain_table("last changed", "by", "call", "at", "from", keep=1)
        for where, who in sorted(rows, key=lambda row: (row[0], row[1].event_id)):
            at = f"{who.at:%Y-%m-%d %H:%M:%S}" if who.at else "-"
            table.add_row(safe(where), safe(who.principal, 120), safe(who.event), at, safe(who.source_address, 64))
        yield table


def plan_tables(plan: Plan) -> RenderableType:
    parts: list[RenderableType] = []
    if plan.repairs:
        table = plain_table("repair", "strategy", "tenant", "resources", "why", keep=3)
        for r in plan.repairs:
            table.add_row(r.id, r.strategy, safe(r.tenant or "-"), safe(_what(r)), safe(r.reason, 160))
        parts.append(table)
    parts += _proposals(plan)
    counts = f"{len(plan.repairs)} repairs, {len(plan.proposals)} proposals, {len(plan.deferrals)} deferrals"
    parts.append(Text(counts, style="bold"))
    parts += _breakers(plan)
    return Group(*parts, *_deferrals(plan.deferrals))


def _proposals(plan: Plan) -> list[RenderableType]:
    """What waits for a person, and what to type to let it go ahead."""
    if not plan.proposals:
        return []
    table = plain_table("proposal", "strategy", "tenant", "resources", "why", keep=3)
    for r in plan.proposals:
        table.add_row(r.id, r.strategy, safe(r.tenant or "-"), safe(_what(r)), safe(r.reason, 160))
    return [table, Text(f"to let exactly this happen once: stackmend approve {plan.id}", style="cyan")]


def _breakers(plan: Plan) -> list[RenderableType]:
    if not plan.breakers:
        return []
    table = plain_table("breaker", "cause", "since", "why", keep=3)
    for b in plan.breakers:
        words = f"{b.reason}; {b.acknowledged}" if b.acknowledged else b.reason
        table.add_row(safe(b.tenant or "the cell"), b.cause.value, f"{b.since:%Y-%m-%d %H:%M:%S}", safe(words))
    return [table]


def _what(repair: Repair) -> str:
    names = [short(u) for u in repair.urns[:3]]
    more = len(repair.urns) - len(names)
    servers = f" ({', '.join(repair.members)})" if repair.members else ""
    return ", ".join(names) + (f" and {more} more" if more else "") + servers


def _deferrals(deferrals: Sequence[Deferral]) -> list[RenderableType]:
    if not deferrals:
        return []
    table = plain_table("deferred", "code", "why")
    for d in deferrals:
        table.add_row(", ".join(d.finding_ids[:4]) + (" …" if len(d.finding_ids) > 4 else ""), d.code, safe(d.reason))
    return [table]


def outcomes_table(plan: Plan, outcomes: Sequence[Outcome]) -> RenderableType:
    if not outcomes and not plan.deferrals:
        return Text("Nothing to repair.", style="green")
    table = plain_table("repair", "strategy", "tenant", "outcome", "seconds", "resources", "why", keep=5)
    for o in outcomes:
        names = ", ".join(short(u) for u in o.urns[:2]) + (f" and {len(o.urns) - 2} more" if len(o.urns) > 2 else "")
        status = Text(o.status.value, style=_STATUS.get(o.status, "red"))
        table.add_row(
            o.repair_id, o.strategy, safe(o.tenant or "-"), status, f"{o.seconds:.1f}", safe(names), safe(o.reason, 200)
        )
    return Group(table, *_deferrals(plan.deferrals)) if outcomes else Group(*_deferrals(plan.deferrals))


def console(*, stderr: bool = False) -> Console:
    """A console that never interprets what it prints as markup."""
    made = Console(stderr=stderr, markup=False, highlight=False, emoji=False)
    # A pipe has no width; wide enough for one line a finding, unless the caller says otherwise.
    return (
        made
        if made.is_terminal or "COLUMNS" in os.environ
        else Console(stderr=stderr, markup=False, highlight=False, emoji=False, width=160)
    )


@contextmanager
def working(what: str) -> Iterator[None]:
    """A spinner on stderr while something takes time; nothing where nobody watches."""
    err = console(stderr=True)
    if not err.is_terminal:
        yield
        return
    with err.status(f"{what} …"):
        yield


@contextmanager
def live_repairs() -> Iterator[Progress]:
    """Shows each repair and what it is doing: live on a terminal, one line a step elsewhere."""
    err = console(stderr=True)
    if not err.is_terminal:
        yield lambda repair, message: err.print(f"{repair.id} {repair.strategy}: {safe(message)}")
        return
    rows: dict[str, tuple[Repair, str]] = {}

    def table() -> Table:
        grid = Table.grid(padding=(0, 2))
        for repair, message in rows.values():
            grid.add_row(
                repair.id, repair.strategy, safe(repair.tenant or "-"), safe(_what(repair), 60), safe(message, 60)
            )
        return grid

    with Live(console=err, refresh_per_second=8, get_renderable=table):

        def show(repair: Repair, message: str) -> None:
            rows[repair.id] = (repair, message)

        yield show

"""Measurements into ratios and the table of ``docs/performance.md``. Pure: everything is passed in."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

BEGIN = "<!-- figures: written by `make bench` -->"
END = "<!-- end of figures -->"


@dataclass(frozen=True, slots=True)
class Run:
    """One program's run: its process from start to end, imports included."""

    program: str
    tenants: int
    calls: int
    wall_seconds: float
    cpu_seconds: float
    """User and system time of the client, its children included."""
    peak_mb: float
    late_seconds: float = 0.0
    """By how much the server's answers came later than set, in sum: an upper bound of what it added to the wall."""


@dataclass(frozen=True, slots=True)
class Skipped:
    """A program that was not run, and why."""

    program: str
    tenants: int
    why: str


def typical(runs: Sequence[Run]) -> Run:
    """The median of each figure over repeated runs of one program on one world. Raises ValueError for none."""
    first = runs[0] if runs else None
    if first is None or any((r.program, r.tenants) != (first.program, first.tenants) for r in runs):
        raise ValueError("these are not runs of one program on one world")
    return Run(
        first.program,
        first.tenants,
        round(median(r.calls for r in runs)),
        round(median(r.wall_seconds for r in runs), 2),
        round(median(r.cpu_seconds for r in runs), 2),
        round(max(r.peak_mb for r in runs), 1),
        round(max(r.late_seconds for r in runs), 2),
    )


def ratios(run: Run, base: Run) -> Mapping[str, float]:
    """``run`` as a multiple of ``base``; a figure that is zero in ``base`` has no multiple."""
    pairs = {
        "calls": (run.calls, base.calls),
        "wall": (run.wall_seconds, base.wall_seconds),
        "cpu": (run.cpu_seconds, base.cpu_seconds),
        "memory": (run.peak_mb, base.peak_mb),
    }
    return {name: round(mine / theirs, 2) for name, (mine, theirs) in pairs.items() if theirs}


def growth(small: Run, large: Run, resources_each: int) -> float:
    """How much more CPU a resource costs in the larger world: 0.1 is a tenth more, below zero is less."""
    each = [run.cpu_seconds / (run.tenants * resources_each) for run in (small, large)]
    return round(each[1] / each[0] - 1, 3)


def table(found: Iterable[Run | Skipped], *, base: str) -> str:
    """A Markdown table, worlds by size; the multiples are of ``base`` on the same world."""
    every = sorted(found, key=lambda one: one.tenants)
    bases = {one.tenants: one for one in every if isinstance(one, Run) and one.program == base}
    lines = [
        "| tenants | program | calls | wall s | client CPU s | peak MB | wall × | CPU × | calls × |",
        "|--:|---|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for one in every:
        if isinstance(one, Skipped):
            lines.append(f"| {one.tenants} | {one.program} | not run: {one.why} | | | | | | |")
            continue
        times = ratios(one, bases[one.tenants]) if one.tenants in bases else {}
        cells = [f"{times[name]:.2f}" if name in times else "" for name in ("wall", "cpu", "calls")]
        figures = f"{one.calls:,} | {one.wall_seconds:.2f} | {one.cpu_seconds:.2f} | {one.peak_mb:.0f}"
        lines.append(f"| {one.tenants} | {one.program} | {figures} | {' | '.join(cells)} |")
    return "\n".join(lines)


def with_figures(page: str, figures: str) -> str:
    """``page`` with what stands between its two marks replaced. Raises ValueError if it has not both, in order."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the page lacks {BEGIN if not begin else END}")
    return f"{before}{BEGIN}\n{figures}\n{END}{after}"

"""Writes docs/robustness.md: each row of the robustness programme, and the tests that name it.

A test names a row (``F07``, or several: ``B10-B21``) in its docstring, its module's, or the name of one of its cases.
What each row is stands in ``tests/robustness.toml``, with the reason where no test can name it. ``--check`` writes
nothing and exits 1 if the page is not current.
"""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "robustness.md"
TABLE = ROOT / "tests" / "robustness.toml"
MOST_TOLD = 8
"""Test files shown for a row; `grep` finds the others."""
ID = re.compile(r"\b([BCFIT])(\d\d)(?:-\1?(\d\d))?\b")


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the programme. ``untested`` is the reason why no test names it."""

    id: str
    words: str
    untested: str = ""


@dataclass(frozen=True, slots=True)
class Group:
    title: str
    about: str
    rows: tuple[Row, ...]


def load(path: Path = TABLE) -> tuple[Group, ...]:
    """The programme, in order."""
    found = tomllib.loads(path.read_text("utf-8"))
    untested: Mapping[str, str] = found.get("untested", {})
    return tuple(
        Group(g["title"], g["about"], tuple(Row(i, w, untested.get(i, "")) for i, w in g["rows"].items()))
        for g in found["group"]
    )


def named(tests: Path = ROOT / "tests") -> dict[str, list[Path]]:
    """The test files that name each row, in order."""
    found: dict[str, list[Path]] = {}
    for path in sorted(tests.rglob("test_*.py")):
        for row in sorted({row for text in _texts(path) for row in rows_in(text)}):
            found.setdefault(row, []).append(path)
    return found


def rows_in(text: str) -> Iterator[str]:
    """The rows a text names, ranges written out."""
    for letter, first, last in ID.findall(text):
        yield from (f"{letter}{number:02}" for number in range(int(first), int(last or first) + 1))


def _texts(path: Path) -> Iterator[str]:
    """The docstrings of a module and of its tests, and every text in it that begins with a row."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Module) or (isinstance(node, ast.FunctionDef) and node.name.startswith("test_")):
            yield ast.get_docstring(node) or ""
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and (begun := ID.match(node.value)):
            yield begun[0]


def page(groups: Sequence[Group], tests: Mapping[str, Sequence[Path]]) -> str:
    """The page. Raises ValueError for a row that has neither a test nor a reason."""
    rows = [row for group in groups for row in group.rows]
    covered = sum(row.id in tests for row in rows)
    parts = [INTRODUCTION.format(covered=covered, rows=len(rows))]
    for group in groups:
        parts.append(f"## {group.title}\n{group.about}\n\n| row | what | tests |\n|---|---|---|")
        parts[-1] += "".join(
            f"\n| {row.id} | {row.words} | {_told(row, tests.get(row.id, ()))} |" for row in group.rows
        )
    return "\n\n".join(parts) + "\n"


def _told(row: Row, paths: Sequence[Path]) -> str:
    if not paths and not row.untested:
        raise ValueError(f"{row.id} has neither a test nor a reason in {TABLE.name}")
    links = [f"[{p.stem.removeprefix('test_')}](../{p.relative_to(ROOT).as_posix()})" for p in paths[:MOST_TOLD]]
    if (more := len(paths) - len(links)) > 0:
        links.append(f"and {more} more")
    return ", ".join(links) or f"— {row.untested}"


INTRODUCTION = """# Robustness
<!-- written by tools/robustness.py from tests/robustness.toml and the tests' docstrings -->

What stackmend must survive, and the invariants that hold after every step. {covered} of {rows} rows are named by a
test; the others say why not. `python tools/robustness.py` writes this page again.

Four things look at all of it from above:

- **The fault matrix** (`tests/integration/test_fault_matrix.py`) breaks every read that a look at a cell makes, taken
  from the server's own log, in every way that AWS can answer badly. No verdict becomes FAIL, nothing counts as absent,
  nothing is planned; only what rests on the broken read becomes UNKNOWN, with the reason.
- **The crash matrix** (`tests/integration/test_crash_points.py`) ends the process before and after each crash point on
  the real engine, starts it again, and looks whether all is healed, nothing is there twice and the ledger verifies.
- **The simulator** ([simulator](simulator.md), `make simulate`) lets the real cycle live through 10,000 histories of
  faults, crashes and rivals on a virtual clock, and checks every invariant at every step.
- **Mutants** (`make mutants`) break each safety mechanism in a copy of the tree, and a test has to notice each."""


def main(arguments: Sequence[str]) -> int:
    text = page(load(), named())
    if arguments == ["--check"]:
        return 0 if PAGE.read_text("utf-8") == text else 1
    PAGE.write_text(text, "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""Breaks each safety mechanism in a copy of the tree and looks whether the tests that should notice do.

``python tools/mutants.py [words]`` runs all mutants of ``tests/mutants.toml``, or those whose name holds the words.
Exits 1 if one survives, if a mutant no longer fits the source, or if its tests fail without it.
"""

from __future__ import annotations

import compileall
import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from py_compile import PycInvalidationMode
from queue import SimpleQueue

ROOT = Path(__file__).resolve().parents[1]
TABLE = ROOT / "tests" / "mutants.toml"
PARTS = ("components", "reconciler", "sandbox", "simulator", "stacks", "tenancy", "tests", "tools", "docs")
FILES = ("pyproject.toml", "Pulumi.yaml", "Makefile")
SECONDS, WHOLE_SECONDS = 120.0, 900.0
"""How long the tests of one mutant, or of all, may take; a mutant that hangs them is noticed as well."""
WORKERS = os.cpu_count() or 1

FAILED = 1
"""pytest's exit code for tests that ran and failed; any other than this and 0 means that they did not run."""


@dataclass(frozen=True, slots=True)
class Mutant:
    """One mechanism, broken: ``old`` in ``file`` becomes ``new``, and one of ``tests`` has to fail."""

    name: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]

    def applied(self, text: str) -> str:
        """The file's text with the mutation. Raises ValueError unless ``old`` is there exactly once."""
        if (found := text.count(self.old)) != 1:
            raise ValueError(f"the text to change is {found} times in {self.file}")
        return text.replace(self.old, self.new)


def load(path: Path = TABLE) -> tuple[Mutant, ...]:
    """The mutants of the table. Test names gain their folder; a newline after the opening quotes is not part of it."""
    rows = tomllib.loads(path.read_text("utf-8"))["mutant"]
    return tuple(
        Mutant(r["name"], r["file"], r["old"], r["new"], tuple(f"tests/unit/{t}" for t in r["tests"])) for r in rows
    )


def copied(tree: Path) -> None:
    """A copy of everything that the tests need."""
    for part in PARTS:
        shutil.copytree(ROOT / part, tree / part, ignore=shutil.ignore_patterns("__pycache__"))
    for name in FILES:
        shutil.copy(ROOT / name, tree / name)
    # Compiled once for all runs; a file that a mutant changes is known by its content, whatever the clock says.
    compileall.compile_dir(tree, quiet=1, invalidation_mode=PycInvalidationMode.CHECKED_HASH)


def run(tree: Path, tests: Sequence[str], *options: str, seconds: float = SECONDS) -> int | None:
    """pytest's exit code in ``tree``; None if it took too long."""
    command = [sys.executable, "-m", "pytest", "-x", "-q", "--no-header", "-p", "no:cacheprovider", *options, *tests]
    # ``CI`` makes property-based tests draw the same values each time: what is killed once is killed always.
    env = {**os.environ, "PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1", "CI": "1"}
    try:
        done = subprocess.run(command, cwd=tree, env=env, capture_output=True, text=True, timeout=seconds, check=False)
    except subprocess.TimeoutExpired:
        return None
    return done.returncode


def judge(tree: Path, mutant: Mutant) -> str:
    """``killed``, or what is wrong instead."""
    path = tree / mutant.file
    original = path.read_text("utf-8")
    try:
        path.write_text(mutant.applied(original), "utf-8")
        code = run(tree, mutant.tests)
    except (OSError, ValueError) as error:
        return f"does not fit: {error}"
    finally:
        path.write_text(original, "utf-8")
    return {0: "SURVIVED", FAILED: "killed", None: "killed (hangs)"}.get(code, f"did not run: pytest says {code}")


def main(words: Sequence[str]) -> int:
    mutants = [m for m in load() if " ".join(words) in m.name]
    if not mutants:
        print(f"no mutant is called {' '.join(words)!r}")
        return 1
    with tempfile.TemporaryDirectory(prefix="stackmend-mutants-") as folder, ThreadPoolExecutor(WORKERS) as pool:
        trees: SimpleQueue[Path] = SimpleQueue()
        for number in range(WORKERS):
            trees.put(tree := Path(folder) / str(number))
            copied(tree)
        tests = sorted({test for m in mutants for test in m.tests})
        if run(tree, tests, "-n", str(WORKERS), seconds=WHOLE_SECONDS) != 0:
            print("these tests fail without any mutant, or take too long; nothing can be said")
            return 1

        def judged(mutant: Mutant) -> str:
            mine = trees.get()
            try:
                return judge(mine, mutant)
            finally:
                trees.put(mine)

        verdicts = {}
        for mutant, verdict in zip(mutants, pool.map(judged, mutants), strict=True):
            verdicts[mutant.name] = verdict
            print(f"{verdict:<16} {mutant.name}", flush=True)
    wrong = [name for name, verdict in verdicts.items() if not verdict.startswith("killed")]
    print(f"{len(verdicts) - len(wrong)} of {len(verdicts)} mutants killed")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

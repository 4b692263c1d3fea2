"""What the documentation tells people to type exists: commands, options, make targets, files it links to."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import typer.main

from reconciler.cli import app as stackmend
from sandbox.__main__ import app as sandbox

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])
CODE = re.compile(r"```[a-z]*\n(.*?)```|`([^`\n]+)`", re.DOTALL)


def typed(page: Path, program: str) -> list[str]:
    """Every call of ``program`` in the page's code, as it stands there."""
    code = "\n".join(block or inline for block, inline in CODE.findall(page.read_text("utf-8")))
    return re.findall(rf"(?:^|[\s(]){re.escape(program)} ([a-z][^\n#|;)\"]*)", code, re.MULTILINE)


def options(app: typer.Typer, words: list[str]) -> set[str] | None:
    """The options of the command that these words begin with; None if there is no such command."""
    command = typer.main.get_command(app)
    for word in words:
        children = getattr(command, "commands", None)
        if children is None:
            break
        if word not in children:
            return None
        command = children[word]
    return {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_the_commands_it_names_exist(page: Path) -> None:
    """Each `stackmend …` and `python -m sandbox …` on the page is a command, with options that it has."""
    for app, program in ((stackmend, "stackmend"), (sandbox, "python -m sandbox")):
        for call in typed(page, program):
            for words in (re.split(r"[,\s\[\]]+", part.strip()) for part in call.split(" | ")):
                known = options(app, [w for w in words if w and not w.startswith("-")])
                assert known is not None, f"{program} {call}: no such command"
                given = {w.partition("=")[0] for w in words if w.startswith("-")}
                assert given <= known | {"--help"}, f"{program} {call}: no such option"


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_the_make_targets_it_names_exist(page: Path) -> None:
    """Each `make …` on the page is a target of the Makefile."""
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    named = {call.split()[0] for call in typed(page, "make")}
    assert named <= targets


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_the_files_it_links_to_exist(page: Path) -> None:
    """Each relative link on the page leads to a file or folder of the project."""
    links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text("utf-8"))
    missing = [link for link in links if not (page.parent / link).exists()]
    assert not missing

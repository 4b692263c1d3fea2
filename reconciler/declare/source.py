"""Reading a stack's state and history through the Pulumi CLI, without a lock and without opening a secret.

The Automation API's own ``export_stack`` decrypts every secret, and selecting a stack writes to the workspace; so its
``PulumiCommand`` (``PulumiCli``) is used directly. No passphrase is needed.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from pulumi.automation.errors import CommandError, StackNotFoundError

from reconciler.declare.baseline import effective
from reconciler.declare.state import parse
from reconciler.declare.values import moment
from reconciler.errors import StackmendError, StateError
from reconciler.log import scrub
from reconciler.model import UNDO, Declared, Urn
from reconciler.pulumi_cli import PulumiCli
from reconciler.settings import Settings

_PAGE = 50
_NARROWED = frozenset({"pulumi.flag.target", "pulumi.flag.target-replace", "pulumi.flag.exclude"})
"""Flags by which an update concerns only part of the stack; the engine notes them in the history."""

_REMEDIES = (
    (
        "fully qualified name",
        "There is no Pulumi project in this folder.",
        "Set project_dir to the folder of Pulumi.yaml.",
    ),
    (
        "PULUMI_ACCESS_TOKEN must be set",
        "Nobody is logged in.",
        "Set PULUMI_BACKEND_URL, or log in with `pulumi login`.",
    ),
    (
        "passphrase",
        "The passphrase is wrong or missing.",
        "Set PULUMI_CONFIG_PASSPHRASE or PULUMI_CONFIG_PASSPHRASE_FILE.",
    ),
    ("unable to open state directory", "The backend's folder is not there.", "Check PULUMI_BACKEND_URL."),
)


@dataclass(frozen=True, slots=True)
class History:
    """What the stack's history says about who wrote the inputs in its state."""

    version: int
    """Of the last successful full update: the backend's number or, where it gives none, its end in Unix seconds."""
    partial: tuple[tuple[datetime, datetime], ...]
    """Begin and end of the successful partial updates since."""

    def wrote(self, modified: datetime | None) -> bool:
        """Whether a partial update wrote what was modified then."""
        return modified is not None and any(begin <= modified < end for begin, end in self.partial)


class StackSource:
    """The stack of one cell, where its state comes from."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._command: PulumiCli | None = None
        self._read: tuple[str, Declared] | None = None
        self.recorded: frozenset[Urn] = frozenset()
        """All resources that the state held when it was last read, components and providers included."""

    def load(self, baseline: Declared | None = None) -> Declared:
        """What is declared now: the state's inputs, or the baseline's where only a refresh or an edit changed them.

        Settings outrank the state in account and region. Raises StateError if the stack cannot be read, EngineError
        if there is no usable Pulumi CLI.
        """
        # History first: an update that ends in between then shows too early in the state and is not believed yet.
        # The other way round old inputs would be kept as those of the new update.
        history = read_history(self._pages())
        text = self._text("stack", "export")
        document = self._parsed(text, "stack", "export")
        declared = parse(document, cell=self._settings.cell, version=history.version)
        declared = replace(
            declared,
            account=self._settings.account or declared.account,
            region=self._settings.region or declared.region,
        )
        modified = {
            Urn(raw["urn"]): moment(raw.get("modified"))
            for raw in (document["deployment"] or {}).get("resources") or ()
        }
        redeclared = frozenset(urn for urn in declared.resources if history.wrote(modified.get(urn)))
        declared = effective(declared, baseline, redeclared=redeclared)
        self.recorded = frozenset(modified)
        self._read = text, declared
        return declared

    def again(self, baseline: Declared | None = None) -> Declared:
        """What is declared now, for another look within the same pass: as ``load``, but a state that has not changed
        by one letter since the last load is not interpreted again, and its history not read."""
        if self._read is not None and self._text("stack", "export") == self._read[0]:
            return self._read[1]
        return self.load(baseline)

    def _pages(self) -> Iterator[Mapping[str, Any]]:
        page = 1
        while entries := self._json("stack", "history", "--json", "--page-size", str(_PAGE), "--page", str(page)):
            yield from entries
            page += 1

    def _json(self, *arguments: str) -> Any:
        return self._parsed(self._text(*arguments), *arguments)

    @property
    def _where(self) -> str:
        return f"stack {self._settings.cell} in {self._settings.project_dir}"

    def _parsed(self, text: str, *arguments: str) -> Any:
        try:
            return json.loads(text)
        except (ValueError, RecursionError) as error:
            raise StateError(f"pulumi {' '.join(arguments[:2])} did not print JSON", where=self._where) from error

    def _text(self, *arguments: str) -> str:
        where = self._where
        if not self._settings.project_dir.is_dir():
            raise StateError("there is no such folder", where=str(self._settings.project_dir), todo="Set project_dir.")
        try:
            self._command = self._command or PulumiCli()
            result = self._command.run(
                [*arguments, "--stack", self._settings.cell],
                str(self._settings.project_dir),
                {"PULUMI_SKIP_UPDATE_CHECK": "true"},
            )
            return result.stdout
        except StackNotFoundError as error:
            raise StateError(
                "there is no such stack", where=where, todo="Check cell, project_dir and PULUMI_BACKEND_URL."
            ) from error
        except CommandError as error:
            raise _explained(error, where) from error


def read_history(newest_first: Iterator[Mapping[str, Any]]) -> History:
    """Read a stack's history (``pulumi stack history --json``) back to the last successful full update.

    A destroy declares as well: that there shall be nothing. Refreshes, imports and failed updates declare nothing, and
    neither does an update that took a repair back: the values that it wrote are nobody's declaration.
    """
    partial: list[tuple[datetime, datetime]] = []
    for entry in newest_first:
        begin, end = moment(entry.get("startTime")), moment(entry.get("endTime"))
        declares = entry.get("kind") in ("update", "destroy") and entry.get("result") == "succeeded"
        declares = declares and entry.get("message") != UNDO
        if not declares or begin is None or end is None:
            continue
        if _NARROWED.isdisjoint(entry.get("environment") or {}):
            return History(entry.get("version") or int(end.timestamp()), tuple(partial))
        # The history has whole seconds, cut off; the state's moments are exact.
        partial.append((begin, end + timedelta(seconds=1)))
    return History(0, tuple(partial))


def _explained(error: CommandError, where: str) -> StackmendError:
    words = scrub(str(error).partition("stderr:")[2].strip()) or "It said nothing."
    for sign, why, todo in _REMEDIES:
        if sign.lower() in words.lower():
            return StateError(words, where=where, why=why, todo=todo)
    return StateError("the stack could not be read", where=where, why=words, todo="Check the backend's availability.")

"""Reads a YAML file into plain values that remember their lines, and refuses what YAML allows but nobody should use.

A configuration file may come from anybody's pull request, so it is read with a size limit, without aliases (a few
lines of them expand to gigabytes) and without object tags, and a key that stands twice is an error, not an override.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    NodeEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)
from ruamel.yaml.nodes import MappingNode, ScalarNode, SequenceNode

from tenancy.errors import ConfigurationError, Problem

MAX_BYTES = 256 * 1024
"""A cell of 25 tenants needs about 10 KB."""

MAX_DEPTH = 16
"""Nesting; the deepest value of a valid file is at 5."""

_UNPRINTABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]")
_INTEGER = re.compile(r"-?(0|[1-9][0-9]{0,18})")
_TAG = "tag:yaml.org,2002:"

Place: TypeAlias = tuple[str | int, ...]
"""Keys and indexes that lead from the top of the file to a value."""


@dataclass(frozen=True, slots=True)
class Source:
    """A file's values, and the 1-based line of each."""

    file: str
    values: Any
    lines: Mapping[Place, int]

    def line(self, place: Place) -> int | None:
        """The line of the value, or if it is not there, of the nearest value around it."""
        while place and place not in self.lines:
            place = place[:-1]
        return self.lines.get(place)


def read(path: Path) -> Source:
    """Read a file. Raises ConfigurationError if it cannot be read, or is not plain YAML of text, numbers and lists."""
    text = _text(path)
    file = str(path)
    try:
        _refuse_tricks(file, text)
        node = YAML(typ="safe", pure=True).compose(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        reason = " ".join(str(part) for part in (error.context, error.problem) if part)
        raise _error(file, mark.line + 1 if mark else None, f"is not YAML: {reason}", "one YAML document") from None
    except YAMLError as error:
        raise _error(file, None, f"is not YAML: {error}", "one YAML document") from None
    lines: dict[Place, int] = {}
    return Source(file, _values(file, node, (), lines), lines)


def _text(path: Path) -> str:
    file = str(path)
    try:
        # A named pipe or a device would block or never end.
        if not path.is_file():
            raise _error(
                file, None, "is not a file" if path.exists() else "does not exist", "a stack configuration file"
            )
        with path.open("rb") as stream:
            raw = stream.read(MAX_BYTES + 1)
    except OSError as error:
        raise _error(file, None, f"cannot be read: {error.strerror}", "a readable file") from None
    if len(raw) > MAX_BYTES:
        raise _error(file, None, f"is larger than {MAX_BYTES // 1024} KiB", f"at most {MAX_BYTES // 1024} KiB")
    if raw.startswith(b"\xef\xbb\xbf"):
        raise _error(file, 1, "starts with a byte order mark", "UTF-8 without a byte order mark")
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise _error(file, line, f"holds the byte 0x{raw[error.start]:02x}, which is not UTF-8", "UTF-8") from None
    if match := _UNPRINTABLE.search(text):
        line = text.count("\n", 0, match.start()) + 1
        raise _error(file, line, f"holds the control character U+{ord(match[0]):04X}", "printable text")
    return text


def _refuse_tricks(file: str, text: str) -> None:
    """Look at the stream of events before anything is built from it."""
    depth = 0
    for event in YAML(typ="safe", pure=True).parse(text):
        line = event.start_mark.line + 1
        if isinstance(event, AliasEvent) or (isinstance(event, NodeEvent) and event.anchor is not None):
            raise _error(file, line, "holds an anchor or alias", "values written out; no & and no *")
        if isinstance(event, DocumentStartEvent) and (event.version or event.tags):
            raise _error(file, line, "holds a % directive", "YAML 1.2 without directives")
        if isinstance(event, ScalarEvent | SequenceStartEvent | MappingStartEvent) and event.tag is not None:
            raise _error(file, line, f"holds the tag {str(event.tag)!a}", "plain values; no ! tags")
        if isinstance(event, SequenceStartEvent | MappingStartEvent):
            depth += 1
            if depth > MAX_DEPTH:
                raise _error(file, line, f"is nested more than {MAX_DEPTH} deep", f"at most {MAX_DEPTH} levels")
        elif isinstance(event, SequenceEndEvent | MappingEndEvent):
            depth -= 1


def _values(file: str, node: Any, place: Place, lines: dict[Place, int]) -> Any:
    if node is None:
        return None
    lines.setdefault(place, node.start_mark.line + 1)
    if isinstance(node, SequenceNode):
        return [_values(file, item, (*place, index), lines) for index, item in enumerate(node.value)]
    if isinstance(node, MappingNode):
        mapping: dict[str, Any] = {}
        for key, value in node.value:
            line = key.start_mark.line + 1
            if not isinstance(key, ScalarNode) or key.tag != f"{_TAG}str":
                raise _error(file, line, "has a key that is not text", "keys that are text")
            if key.value in mapping:
                raise _error(file, line, f"has the key {key.value!a} twice", "every key once")
            lines[(*place, key.value)] = line
            mapping[key.value] = _values(file, value, (*place, key.value), lines)
        return mapping
    return _scalar(node)


def _scalar(node: Any) -> Any:
    """Text, whole number, truth value or None.

    A number that different YAML readers take for different numbers (``010``, ``0x10``, ``1_000``) stays text, as does
    everything else that no setting has a use for (fractions, NaN, dates); whoever expects a number refuses it.
    """
    if node.tag == f"{_TAG}null":
        return None
    if node.tag == f"{_TAG}bool":
        return node.value.lower() == "true"
    if node.tag == f"{_TAG}int" and _INTEGER.fullmatch(node.value):
        return int(node.value)
    return node.value


def _error(file: str, line: int | None, reason: str, allowed: str) -> ConfigurationError:
    return ConfigurationError([Problem(file, line, "", None, reason, allowed)])

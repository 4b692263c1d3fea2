"""Answers into values, each shape of the API's model compiled once into a function.

The values are those that botocore's parsers give for a good answer, and what they refuse is refused. Two things are
stricter here: an answer of which the API knows nothing at all, such as an HTML page with status 200, is no empty
answer; and JSON of another shape than promised is an error, not a value.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, TypeAlias
from urllib.parse import unquote
from xml.etree import ElementTree

from botocore.model import OperationModel, Shape
from botocore.parsers import ResponseParserError
from botocore.utils import parse_timestamp

Body: TypeAlias = Callable[[bytes], dict[str, Any]]
"""Raises ResponseParserError, ValueError or LookupError for what the API's model does not promise."""

_Node: TypeAlias = Any
_Convert: TypeAlias = Callable[[Any], Any]

_ENVELOPE = frozenset({"requestId", "RequestId", "ResponseMetadata"})
_LEAVES_OUT = frozenset({"sqs"})
"""Services that leave out of an answer whatever is empty, to the last of it: no queues, no tags, no attributes."""
_XML_SCALARS: dict[str, Callable[[str], Any]] = {
    "boolean": lambda text: text == "true",
    "float": float,
    "double": float,
    "integer": int,
    "long": int,
    "blob": base64.b64decode,
}


def body_parser(operation: OperationModel) -> Body:
    """How a good answer of this operation is read. Raises KeyError for a protocol that is not known here."""
    shape = operation.output_shape
    protocol = str(operation.service_model.resolved_protocol)
    if protocol == "json":
        return _json_body(shape, empty=operation.service_model.service_name in _LEAVES_OUT)
    if protocol not in ("ec2", "query", "rest-xml"):
        raise KeyError(protocol)
    if shape is None:
        return lambda _: {}
    if protocol == "rest-xml":
        return _rest_body(shape)
    wrapper = shape.serialization.get("resultWrapper")
    convert = _Structure(shape, {})

    def parse(body: bytes) -> dict[str, Any]:
        root = _tree(body)
        start = root if wrapper is None else next((n for n in root if _plain(n.tag) == wrapper), None)
        if start is None:
            raise ResponseParserError(f"the answer holds no {wrapper}")
        return convert.top(start)

    return parse


def timestamp(text: str) -> datetime:
    """A moment as AWS writes it; its usual form is read without the parser that knows all of them."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = parse_timestamp(text)
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


# --- XML ---------------------------------------------------------------------------------------------------


def _tree(body: bytes) -> _Node:
    parser = ElementTree.XMLParser(encoding="utf-8")  # noqa: S314 - expat opens no external entities
    try:
        parser.feed(body)
        return parser.close()
    except ElementTree.ParseError as error:
        raise ResponseParserError(f"the answer is not XML: {error}") from error


def _plain(tag: str) -> str:
    return tag.rpartition("}")[2]


def _rest_body(shape: Shape) -> Body:
    payload = shape.serialization.get("payload")
    if payload is not None:
        inner = shape.members[payload]  # type: ignore[attr-defined]
        if inner.type_name in ("string", "blob"):
            return lambda body: {payload: body.decode()}
        of_payload = _converter(inner, {})
        structure = of_payload if isinstance(of_payload, _Structure) else None
        return lambda body: {payload: structure.top(_tree(body)) if structure else of_payload(_tree(body))}
    whole = _Structure(shape, {})
    return lambda body: whole.top(_tree(body)) if whole.known else {}


class _Structure:
    """Reads one structure by walking its children once; tags are looked up as they come, namespace and all."""

    __slots__ = ("_flat", "_tags", "known")

    def __init__(self, shape: Any, seen: dict[str, _Convert]) -> None:
        seen[shape.name] = self
        self.known: dict[str, tuple[str, _Convert, bool]] = {}
        self._tags: dict[str, tuple[str, _Convert, bool] | None] = {}
        for name, member in shape.members.items():
            if member.serialization.get("location") is None:
                flat = bool(member.serialization.get("flattened")) and member.type_name in ("list", "map")
                convert = _converter(member.member if flat and member.type_name == "list" else member, seen)
                self.known[_tag_of(name, member, flat)] = (name, convert, flat and member.type_name == "list")

    def __call__(self, node: _Node) -> dict[str, Any]:
        found: dict[str, Any] = {}
        tags = self._tags
        for child in node:
            tag = child.tag
            try:
                entry = tags[tag]
            except KeyError:
                entry = tags[tag] = self.known.get(_plain(tag))
            if entry is not None:
                name, convert, many = entry
                if many:
                    found.setdefault(name, []).append(convert(child))
                else:
                    found[name] = convert(child)
        return found

    def top(self, node: _Node) -> dict[str, Any]:
        """The same for the outermost element, which must have something to do with the API."""
        found = self(node)
        strangers = [tag for child in node if (tag := _plain(child.tag)) not in _ENVELOPE]
        if not found and strangers:
            raise ResponseParserError(f"the answer holds {strangers[0]}, which the API does not have")
        return found


def _tag_of(name: str, member: Any, flat: bool) -> str:
    if flat and member.type_name == "list" and (inner := member.member.serialization.get("name")):
        return str(inner)
    return str(member.serialization.get("name") or name)


def _converter(shape: Any, seen: dict[str, _Convert]) -> _Convert:
    match shape.type_name:
        case "structure":
            return seen.get(shape.name) or _Structure(shape, seen)
        case "list":
            convert = _converter(shape.member, seen)
            return lambda node: [convert(child) for child in node]
        case "map":
            return _map(shape, seen)
        case "timestamp":
            return lambda node: timestamp(node.text or "")
        case kind if kind in _XML_SCALARS:
            scalar = _XML_SCALARS[kind]
            return lambda node: scalar(node.text or "")
    if shape.name == "policyDocumentType":
        return lambda node: json.loads(unquote(node.text or ""))
    return lambda node: node.text or ""


def _map(shape: Any, seen: dict[str, _Convert]) -> _Convert:
    key_tag, value_tag = shape.key.serialization.get("name", "key"), shape.value.serialization.get("name", "value")
    key, value = _converter(shape.key, seen), _converter(shape.value, seen)
    flat = bool(shape.serialization.get("flattened"))

    def convert(node: _Node) -> dict[str, Any]:
        found = {}
        for entry in (node,) if flat else node:
            parts = {_plain(part.tag): part for part in entry}
            found[key(parts[key_tag])] = value(parts[value_tag])
        return found

    return convert


# --- JSON --------------------------------------------------------------------------------------------------


def _json_body(shape: Shape | None, *, empty: bool) -> Body:
    """``empty`` says that an object with nothing in it is an answer."""
    check = _json_converter(shape, {}) if shape is not None else None

    def parse(body: bytes) -> dict[str, Any]:
        answer: Any
        try:
            answer = json.loads(body) if body else None
        except (ValueError, RecursionError) as error:
            raise ResponseParserError(f"the answer is not JSON: {error}") from error
        if not isinstance(answer, dict) or not (answer or empty):
            raise ResponseParserError("the answer is not JSON, or holds nothing")
        return dict(answer if check is None else check(answer))

    return parse


def _json_converter(shape: Any, seen: dict[str, _Convert]) -> _Convert | None:
    """None for values that need no look."""
    match shape.type_name:
        case "structure" if not shape.is_document_type:
            return seen.get(shape.name) or _json_structure(shape, seen)
        case "list":
            return _json_list(_json_converter(shape.member, seen))
        case "map":
            return _json_map(_json_converter(shape.value, seen))
        case "timestamp":
            return lambda at: datetime.fromtimestamp(at, UTC) if isinstance(at, int | float) else timestamp(str(at))
        case "blob":
            return base64.b64decode
    return None


def _json_structure(shape: Any, seen: dict[str, _Convert]) -> _Convert:
    nested: list[tuple[str, _Convert]] = []
    renamed: list[tuple[str, str]] = []

    def convert(value: Any) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise ResponseParserError(f"{shape.name} is no object")
        for theirs, ours in renamed:
            if theirs in value:
                value[ours] = value.pop(theirs)
        if None in value.values():
            value = {name: part for name, part in value.items() if part is not None}
        for name, inner in nested:
            if name in value:
                value[name] = inner(value[name])
        return dict(value)

    seen[shape.name] = convert
    for name, member in shape.members.items():
        inner = _json_converter(member, seen)
        if inner is not None:
            nested.append((name, inner))
        theirs = member.serialization.get("name", name)
        if theirs != name:
            renamed.append((theirs, name))
    return convert


def _json_list(inner: _Convert | None) -> _Convert:
    def convert(value: Any) -> list[Any]:
        if not isinstance(value, list):
            raise ResponseParserError("a list is none")
        return list(value) if inner is None else [None if item is None else inner(item) for item in value]

    return convert


def _json_map(inner: _Convert | None) -> _Convert:
    def convert(value: Any) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise ResponseParserError("a map is none")
        return dict(value) if inner is None else {key: inner(item) for key, item in value.items()}

    return convert

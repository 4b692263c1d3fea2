"""Damages the page of a listing the way a broken service would: rows missing, no rows, the same token for ever.

Where a listing's rows and its token stand in the response comes from botocore's service and paginator models.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any
from xml.etree import ElementTree

import botocore.session
from botocore.exceptions import UnknownServiceError
from botocore.model import ListShape, Shape, StructureShape

from sandbox.wire import Call, service_model

REPEATED_TOKEN = "the-same-page-again"  # noqa: S105 - a page token


@dataclass(frozen=True, slots=True)
class Listing:
    """Where an operation's rows and page tokens stand: top-level member names of its output."""

    rows: tuple[str, ...]
    tokens: tuple[str, ...]
    more: tuple[str, ...]
    """The flag that says whether there is another page, of operations that have one."""
    input_tokens: tuple[str, ...]
    output: StructureShape


@cache
def listing(service: str, action: str) -> Listing | None:
    """The rows and tokens of an operation, or None if its output holds no list."""
    model = service_model(service)
    if model is None or action not in model.operation_names:
        return None
    operation = model.operation_model(action)
    output = operation.output_shape
    if output is None:
        return None
    pages = _paginators(service).get(action, {})
    rows = [r for r in _strings(pages.get("result_key")) if r in output.members]
    rows = rows or [name for name, shape in output.members.items() if isinstance(shape, ListShape)]
    tokens = [t.split(" || ")[0] for t in _strings(pages.get("output_token"))]
    inputs = operation.input_shape.members if operation.input_shape else {}
    asked = [t for t in _strings(pages.get("input_token")) if t in inputs]
    return Listing(
        rows=tuple(rows),
        tokens=tuple(t for t in tokens if t in output.members),
        more=tuple(m for m in _strings(pages.get("more_results")) if m in output.members),
        input_tokens=tuple(_wire_name(inputs[t], t, call_side="request") for t in asked),
        output=output,
    )


def cut(call: Call, body: bytes) -> bytes:
    """The page without the second half of its rows, at least one, and without a token for the rest."""
    return _edit(call, body, lambda rows: rows[: len(rows) // 2], token=None)


def emptied(call: Call, body: bytes) -> bytes:
    """The page without any rows, as if nothing existed."""
    return _edit(call, body, lambda _rows: [], token=None)


def repeated(call: Call, body: bytes) -> bytes:
    """The page with a token that leads to the same page again."""
    return _edit(call, body, lambda rows: rows, token=REPEATED_TOKEN)


Keep = Callable[[list[Any]], list[Any]]


def _edit(call: Call, body: bytes, keep: Keep, token: str | None) -> bytes:
    where = listing(call.service, call.action)
    if where is None or not (where.rows or where.tokens):
        return body  # not a listing; some of these answer with the bare content of a document
    if call.protocol == "json":
        return _edit_json(where, body, keep, token)
    return _edit_xml(where, body, keep, token)


def _edit_json(where: Listing, body: bytes, keep: Keep, token: str | None) -> bytes:
    page: dict[str, Any] = json.loads(body)
    for name in where.rows:
        if isinstance(page.get(name), list):
            page[name] = keep(page[name])
    for name in where.tokens:
        page.pop(name, None)
        if token is not None:
            page[name] = token
    page.update(dict.fromkeys(where.more, token is not None))
    return json.dumps(page).encode()


def _edit_xml(where: Listing, body: bytes, keep: Keep, token: str | None) -> bytes:
    root = ElementTree.fromstring(body)  # noqa: S314 - moto's own answer
    space = root.tag.partition("}")[0] + "}" if root.tag.startswith("{") else ""
    if space:
        ElementTree.register_namespace("", space[1:-1])
    result = next((child for child in root if child.tag.endswith("Result")), root)
    for name in where.rows:
        shape = where.output.members[name]
        if shape.serialization.get("flattened"):
            holder, rows = result, result.findall(space + _flat_name(shape, name))
        else:
            found = result.find(space + _wire_name(shape, name))
            holder, rows = (found, list(found)) if found is not None else (result, [])
        kept = keep(rows)
        for row in rows:
            if row not in kept:
                holder.remove(row)
    values = dict.fromkeys(where.tokens, token) | dict.fromkeys(where.more, "false" if token is None else "true")
    for name, value in values.items():
        tag = space + _wire_name(where.output.members[name], name)
        for element in result.findall(tag):
            result.remove(element)
        if value is not None:
            ElementTree.SubElement(result, tag).text = value
    return b'<?xml version="1.0" encoding="UTF-8"?>' + ElementTree.tostring(root)


def _wire_name(shape: Shape, name: str, call_side: str = "response") -> str:
    serialization = shape.serialization
    if call_side == "request" and "queryName" in serialization:
        return str(serialization["queryName"])
    given = str(serialization.get("name", name))
    # EC2 capitalises the names of a request that it writes in lower case in a response.
    return name if call_side == "request" and given.lower() == name.lower() else given


def _flat_name(shape: Shape, name: str) -> str:
    member = shape.member if isinstance(shape, ListShape) else shape
    return str(shape.serialization.get("name") or member.serialization.get("name") or name)


@cache
def _paginators(service: str) -> dict[str, Any]:
    try:
        model = botocore.session.get_session().get_component("data_loader").load_service_model(service, "paginators-1")
    except UnknownServiceError:
        return {}
    pagination: dict[str, Any] = model["pagination"]
    return pagination


def _strings(value: str | Sequence[str] | None) -> list[str]:
    if value is None:
        return []
    return [value] if isinstance(value, str) else list(value)

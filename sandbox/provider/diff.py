"""What of a resource differs from its inputs, compared by meaning and not by spelling."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sandbox.provider.check import MAPS
from sandbox.provider.table import Kind
from sandbox.provider.values import EMPTY, Properties, has_unknown

_PLAIN_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_]*$")


@dataclass(frozen=True, slots=True)
class Change:
    """One difference: where (the engine's property path), of which input, and how (``add``, ``delete``, ``update``)."""

    path: str
    input: str
    how: str


def changes(kind: Kind, state: Properties, inputs: Properties) -> tuple[Change, ...]:
    """Differences between the state (live values after a refresh) and the inputs, top-level input by input.

    Maps differ key by key. An input that is silent about a property says nothing, unless its absence is a declaration.
    """
    found: list[Change] = []
    for name, value in inputs.items():
        if name == "__defaults" or (name in kind.contradicted and name in inputs.get("__defaults", [])):
            continue
        was = state.get(name)
        if has_unknown(value):
            found.append(Change(name, name, "update"))
        elif name in MAPS and not isinstance(value, list):
            found.extend(_map_changes(name, was or {}, value or {}))
        elif not same(kind, name, value, was):
            found.append(Change(name, name, "add" if was in (None, "", [], {}) else "update"))
    silent = (kind.emptied | ({"tags"} if kind.tags else set())) - inputs.keys()
    found.extend(Change(name, name, "delete") for name in sorted(silent) if not same(kind, name, None, state.get(name)))
    return tuple(found)


def _map_changes(name: str, was: Mapping[str, Any], now: Mapping[str, Any]) -> list[Change]:
    found = []
    for key in sorted(was.keys() | now.keys()):
        if key in was and key in now and was[key] == now[key]:
            continue
        how = "add" if key not in was else "delete" if key not in now else "update"
        found.append(Change(f"{name}.{key}" if _PLAIN_KEY.match(key) else f'{name}["{key}"]', name, how))
    return found


def same(kind: Kind, path: str, declared: Any, live: Any) -> bool:
    """Whether a live value is what the declared one means. Not set is "", 0, false, null, [], {} and absent alike."""
    return bool(_form(kind, path, declared) == _form(kind, path, _without_filled(kind, path, declared, live)))


def _without_filled(kind: Kind, path: str, declared: Any, live: Any) -> Any:
    if isinstance(live, Mapping) and isinstance(declared, Mapping):
        return {
            key: _without_filled(kind, f"{path}.{key}", declared.get(key), item)
            for key, item in live.items()
            if key in declared or f"{path}.{key}" not in kind.filled
        }
    if isinstance(live, list) and isinstance(declared, list) and len(live) == len(declared):
        return [_without_filled(kind, f"{path}[]", *pair) for pair in zip(declared, live, strict=True)]
    return live


def _form(kind: Kind, path: str, value: Any) -> Any:
    if value in EMPTY:
        return None
    if path in kind.canonical:
        return kind.canonical[path](value)
    if isinstance(value, Mapping):
        forms = {key: _form(kind, f"{path}.{key}", item) for key, item in value.items() if key != "__defaults"}
        return {key: form for key, form in forms.items() if form is not None} or None
    if isinstance(value, list):
        return [_form(kind, f"{path}[]", item) for item in value]
    return _text(value)


def _text(value: Any) -> str | None:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return None if text in ("", "false", "0") else text


def unordered(values: Any) -> Any:
    """Canonical form of a list that AWS treats as a set."""
    return sorted(json.dumps(_bare(value), sort_keys=True) for value in values)


def document(text: Any) -> Any:
    """Canonical form of a JSON document in a string: a policy with one element in a list is one without the list."""
    try:
        return _policy(json.loads(text))
    except ValueError:
        return text


def reference(value: Any) -> Any:
    """Canonical form of an id where AWS takes and answers an ARN too."""
    return str(value).rpartition("/")[2]


def _policy(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _policy(item) for key, item in value.items()}
    if isinstance(value, list):
        items = sorted((_policy(item) for item in value), key=lambda item: json.dumps(item, sort_keys=True))
        return items[0] if len(items) == 1 else items
    return value


def _bare(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _bare(item) for key, item in value.items() if key != "__defaults" and item not in EMPTY}
    return _text(value) if not isinstance(value, list) else unordered(value)

"""Declared inputs to the inputs of the state: names, defaults, and the lists of what was filled in."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from sandbox.provider.naming import automatic
from sandbox.provider.table import Kind
from sandbox.provider.values import EMPTY, Properties

MAPS = frozenset({"tags", "tagsAll", "dimensions"})
"""Properties that are maps with keys of the user's own, not objects with properties."""


def unknown_inputs(kind: Kind, inputs: Iterable[str]) -> list[str]:
    """Declared inputs that the stand-in does not know: it must not drop what the program asks for."""
    return sorted(set(inputs) - kind.inputs - {"__defaults", "tagsAll"})


def complete(
    kind: Kind, declared: Properties, old: Properties, *, logical: str, region: str, seed: bytes
) -> Properties:
    """The inputs as provider v7 writes them into the state.

    ``__defaults`` names, at every object level, what the provider filled in; ``region`` and ``tagsAll`` are filled in
    without being named. Raises ProviderError if an automatic name gets too long.
    """
    set_now = {key: value for key, value in declared.items() if key != "tagsAll" and value is not None}
    inputs = _fill(kind.defaults, set_now, "")
    if kind.name and kind.name.property not in declared:
        inputs[kind.name.property] = automatic(kind.name, logical, old, seed)
        inputs["__defaults"] = sorted([*inputs["__defaults"], kind.name.property])
    if kind.tags:
        inputs["tagsAll"] = inputs.get("tags") or {}
    if kind.regional:
        inputs.setdefault("region", region)
    return inputs


def _value(defaults: Mapping[str, Any], value: Any, path: str) -> Any:
    if isinstance(value, list):
        return [_value(defaults, item, f"{path}[]") for item in value]
    if isinstance(value, Mapping) and path.rpartition(".")[2] not in MAPS:
        return _fill(defaults, value, path)
    return value


def _fill(defaults: Mapping[str, Any], value: Mapping[str, Any], path: str) -> Properties:
    prefix = f"{path}." if path else ""
    result = {key: _value(defaults, item, prefix + key) for key, item in value.items() if key != "__defaults"}
    filled = [
        key
        for key in (p.removeprefix(prefix) for p in defaults if p.startswith(prefix))
        if "." not in key and key not in result
    ]
    return {**result, **{key: defaults[prefix + key] for key in filled}, "__defaults": sorted(filled)}


def imported(kind: Kind, live: Properties) -> Properties:
    """Inputs of a resource that the engine reads without knowing any (``import``, ``.get``): all that is set."""
    set_now = {k: v for k, v in live.items() if k in kind.inputs and (v not in EMPTY or k in kind.defaults)}
    inputs = _fill({}, set_now, "")
    if kind.tags:
        inputs["tagsAll"] = live.get("tagsAll") or {}
    return inputs

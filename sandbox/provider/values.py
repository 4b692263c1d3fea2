"""Between the engine's property values and plain Python values.

The plugin declines secrets and output values when it is configured, so the engine strips them before a call and
marks the answers again afterwards: what remains is JSON and the marker for what a preview does not know yet.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from pulumi.provider.experimental.property_value import PropertyValue
from pulumi.runtime.rpc import UNKNOWN

from sandbox.provider.errors import ProviderError

Properties: TypeAlias = dict[str, Any]
"""Properties of a resource by name: JSON, with ``UNKNOWN`` for values that exist only after the update."""


EMPTY: tuple[Any, ...] = (None, "", [], {}, False, 0)
"""All the ways in which a state says that a property is not set."""


def plain(value: PropertyValue) -> Any:
    """The JSON of a property value. Whole numbers become ints: the wire knows only floats.

    Raises ProviderError for assets, archives and resource references: no supported type takes them.
    """
    inner: Any = value.value
    if isinstance(inner, float):
        return int(inner) if inner.is_integer() else inner
    if inner is None or isinstance(inner, bool | str):
        return inner
    if isinstance(inner, Mapping):
        return {key: plain(item) for key, item in inner.items()}
    if isinstance(inner, Sequence):
        return [plain(item) for item in inner]
    raise ProviderError(f"a {type(inner).__name__} is not a property value that this provider takes")


def plain_map(values: Mapping[str, PropertyValue]) -> Properties:
    return {key: plain(value) for key, value in values.items()}


def wrap(value: Any) -> PropertyValue:
    """The property value of JSON; numbers become the floats that the wire wants."""
    if isinstance(value, int) and not isinstance(value, bool):
        return PropertyValue(float(value))
    if isinstance(value, Mapping):
        return PropertyValue({key: wrap(item) for key, item in value.items()})
    if isinstance(value, list | tuple):
        return PropertyValue([wrap(item) for item in value])
    return PropertyValue(value)


def wrap_map(values: Mapping[str, Any]) -> dict[str, PropertyValue]:
    return {key: wrap(value) for key, value in values.items()}


def has_unknown(value: Any) -> bool:
    """Whether anything in the value is known only after the update."""
    if isinstance(value, Mapping):
        return any(has_unknown(item) for item in value.values())
    if isinstance(value, list):
        return any(has_unknown(item) for item in value)
    return bool(value == UNKNOWN)

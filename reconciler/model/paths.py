"""Property paths as Pulumi writes them: ``tags``, ``tags["a.b"]``, ``rules[0].port``, ``rules[*].port``, ``*``.

https://www.pulumi.com/docs/reference/property-paths/
"""

from __future__ import annotations

import re
from functools import cache
from typing import TypeAlias

EVERY = "*"
"""Stands for every key or element."""

PropertyPath: TypeAlias = tuple[str | int, ...]

_PART = re.compile(r'\["((?:[^"\\]|\\.)*)"\]|\[(\d+)\]|\[(\*)\]|\.?([^.\[\]]+)')


@cache
def property_path(text: str) -> PropertyPath:
    """The keys and indices of a path; none for a text that is not one, which the engine passes over as well."""
    parts: list[str | int] = []
    at = 0
    while at < len(text):
        match = _PART.match(text, at)
        if match is None:
            return ()
        quoted, index, every, name = match.groups()
        if quoted is not None:
            parts.append(quoted.replace('\\"', '"'))
        else:
            parts.append(int(index) if index is not None else every or name)
        at = match.end()
    return tuple(parts)

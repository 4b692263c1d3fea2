"""Property values as the engine writes them into the state, turned into the nouns' vocabulary.

The engine marks special values by an object with a well-known key (pulumi sdk/go/common/resource/sig) and values that
are not known yet by well-known texts (sdk/go/common/resource/plugin/rpc.go).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from reconciler.model import Secret, Unreadable, Value

SIGNATURE = "4dabf18193072939515e22adb298388d"
SECRET = "1b47061264138c4ac30d75fd1eb44270"  # noqa: S105 - the mark of a secret, not one
OUTPUT = "d0e6a833031e9bbcd3f4e8bde6ca49a4"
DEFAULTS = "__defaults"
UNKNOWN = Unreadable("not known until the update that was cut off is done")

_UNKNOWN_TEXTS = frozenset(
    {
        "1c4a061d-8072-4f0a-a4cb-0ff528b18fe7",
        "3eeb2bf0-c639-47a8-9e75-3b44932eb421",
        "04da6b54-80e4-46f7-96ec-b56ff0331ba9",
        "6a19a0b0-7e62-4c92-b797-7f8e31da9cc2",
        "030794c1-ac77-496b-92df-f27374a8bd58",
        "e48ece36-62e2-4504-bad9-02848725956a",
        "dd056dcd-154b-4c76-9bd3-c8f88648b5ff",
    }
)


DEEPEST = 100
"""Levels of a value. No provider has a tenth of them, and what is walked into has to end."""


def value(raw: Any, level: int = 0) -> Value:
    """The value without ``__defaults`` at any depth.

    Secrets become ``Secret`` unopened; so do assets, archives and references, which no read of AWS can be compared
    with either. Values not known yet become ``Unreadable``.
    Raises RecursionError for one that is nested more than ``DEEPEST`` levels deep.
    """
    if isinstance(raw, str):
        return UNKNOWN if raw in _UNKNOWN_TEXTS else raw
    if level > DEEPEST:
        raise RecursionError(f"a value has more than {DEEPEST} levels")
    if type(raw) is dict or isinstance(raw, Mapping):
        signature = raw.get(SIGNATURE)
        if signature == OUTPUT and not raw.get("secret"):
            return value(raw["value"], level + 1) if "value" in raw else UNKNOWN
        if signature is not None:
            return Secret()
        return {key: value(item, level + 1) for key, item in raw.items() if key != DEFAULTS}
    if isinstance(raw, list):
        return [value(item, level + 1) for item in raw]
    return raw  # type: ignore[no-any-return]


def encode(plain: Value) -> Any:
    """A value as JSON, for ``decode``. Marks are objects that no parsed value can hold, so none is mistaken."""
    if isinstance(plain, Secret):
        return {SIGNATURE: SECRET}
    if isinstance(plain, Unreadable):
        return {SIGNATURE: "unreadable", "reason": plain.reason}
    if isinstance(plain, Mapping):
        return {key: encode(item) for key, item in plain.items()}
    if isinstance(plain, list | tuple):
        return [encode(item) for item in plain]
    return plain


def decode(document: Any) -> Value:
    """The inverse of ``encode``."""
    if isinstance(document, Mapping):
        if SIGNATURE in document:
            return Secret() if document[SIGNATURE] == SECRET else Unreadable(document["reason"])
        return {key: decode(item) for key, item in document.items()}
    if isinstance(document, list):
        return [decode(item) for item in document]
    return document  # type: ignore[no-any-return]


def moment(text: Any) -> datetime | None:
    """A moment as the engine writes it (RFC 3339, in UTC where it names no zone); None if it is none."""
    if not isinstance(text, str):
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)

"""Automatic names: ``<logical name>-<7 hex digits>``, chosen once and kept."""

from __future__ import annotations

import hashlib
import secrets

from sandbox.provider.errors import ProviderError
from sandbox.provider.table import Name
from sandbox.provider.values import Properties


def automatic(rule: Name, logical: str, old: Properties, seed: bytes) -> str:
    """The name of a resource that the program does not name.

    A name given automatically before is kept, or every update would replace the resource. ``seed`` is the engine's
    (the same for all tries of one step); without one the name is random. Raises ProviderError if it gets too long.
    """
    kept = old.get(rule.property)
    if isinstance(kept, str) and rule.property in old.get("__defaults", []):
        return kept
    digits = hashlib.sha256(seed + logical.encode()).hexdigest()[:7] if seed else secrets.token_hex(4)[:7]
    name = f"{rule.prefix}{logical.lower() if rule.lower else logical}-{digits}"
    if len(name) > rule.longest:
        raise ProviderError(
            f"the name {name!r} is {len(name)} characters long, {rule.longest} are allowed",
            todo=f"Shorten the resource's logical name to {rule.longest - 8 - len(rule.prefix)} characters.",
        )
    return name

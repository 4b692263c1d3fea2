"""What everything is said in: names, property values, kinds of resources."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NewType, TypeAlias

Urn = NewType("Urn", str)

Value: TypeAlias = "bool | int | float | str | Sequence[Value] | Mapping[str, Value] | Secret | Unreadable | None"
"""A property value in Pulumi's vocabulary: JSON, plus the two values that must never be compared by content."""


@dataclass(frozen=True, slots=True)
class Secret:
    """A declared secret. It is never opened, so it has no content to compare, print or store."""

    def __str__(self) -> str:
        return "[secret]"


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A property whose read failed. It is neither equal nor unequal to anything: the verdict is UNKNOWN."""

    reason: str

    def __str__(self) -> str:
        return f"[unknown: {self.reason}]"


GROUP = "aws:autoscaling/group:Group"
"""The type whose resources have servers for members."""


@dataclass(frozen=True, slots=True)
class ResourceKind:
    """How values of one resource type compare, and what may never be done to it.

    Property paths are dotted; ``[]`` stands for every element of a list (``ingress[].cidrBlocks``).
    """

    token: str
    """Pulumi type token, ``aws:ec2/vpc:Vpc``."""
    stateful: bool = False
    """Holds data or keys: restored in place or escalated, never replaced, never deleted."""
    unordered: frozenset[str] = frozenset()
    """Lists that AWS treats as sets."""
    documents: frozenset[str] = frozenset()
    """Strings that hold a JSON document, compared by meaning."""
    write_only: frozenset[str] = frozenset()
    """Inputs that no AWS read answers: not compared (``forceDestroy``, ``deletionWindowInDays``)."""
    contradicted: frozenset[str] = frozenset()
    """Provider-filled defaults that AWS answers otherwise with nothing wrong: compared only if the program set them."""
    references: frozenset[str] = frozenset()
    """Values that name a resource by id, name or ARN interchangeably (``kmsKeyId``)."""
    observed: bool = False
    """Has an observer, which answers in declared spellings: read strictly even where there was no fact to tell."""

    @property
    def described(self) -> bool:
        """Whether anything is known of how its values compare."""
        return bool(
            self.observed or self.unordered or self.documents or self.write_only or self.contradicted or self.references
        )


def digest(*parts: str | None, length: int = 12) -> str:
    """Hex SHA-256 over the parts as a JSON list, cut to ``length``; unambiguous whatever the parts hold."""
    return hashlib.sha256(_ENCODER.encode(parts).encode()).hexdigest()[:length]


_ENCODER = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False)

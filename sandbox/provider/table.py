"""What the plugin knows of one resource type. The service modules fill the table; the plugin reads nothing else."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from sandbox.provider.aws import Clients, found
from sandbox.provider.errors import ProviderError
from sandbox.provider.values import Properties


@dataclass(frozen=True, slots=True)
class Call:
    """One request of the engine about one resource."""

    aws: Clients
    id: str
    """Physical id; empty while it is created."""
    new: Properties
    """Inputs."""
    old: Properties = field(default_factory=dict)
    """State before; empty while it is created."""


Change: TypeAlias = Callable[[Call], object]
"""A call that changes something. What it returns is of no account."""


@dataclass(frozen=True, slots=True)
class Name:
    """How Pulumi names a resource that the program does not name."""

    property: str = "name"
    longest: int = 255
    lower: bool = False
    prefix: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One resource type. Paths are dotted; ``[]`` stands for every element of a list.

    An input is known if ``update``, ``fixed`` or ``echoed`` names it (and ``tags`` or ``region`` where they apply).
    ``read`` answers live properties in Pulumi's vocabulary, or None if AWS says that the thing does not exist.
    """

    type: str
    create: Callable[[Call], str]
    """Creates it and answers its id."""
    read: Callable[[Call], Properties | None]
    delete: Change
    """Deletes it; that it is gone already is no error."""
    settle: tuple[Change, ...] = ()
    """Calls that complete a creation. If one fails, the new resource is deleted again."""
    update: Mapping[str, Change] = field(default_factory=dict)
    """By input, the call that changes it in place; several inputs may share one."""
    fixed: frozenset[str] = frozenset()
    """Inputs that only a replacement changes."""
    echoed: frozenset[str] = frozenset()
    """Inputs that no AWS call reads: the state repeats what was declared."""
    tags: Change | None = None
    """Applies the difference between the old and the new ``tagsAll``; None if the type has no tags of its own."""
    regional: bool = True
    defaults: Mapping[str, Any] = field(default_factory=dict)
    """Non-zero defaults by path: provider v7 writes no others into inputs."""
    name: Name | None = None
    outputs: tuple[str, ...] = ("arn",)
    """Outputs that no input gives: unknown in a preview."""
    emptied: frozenset[str] = frozenset()
    """Inputs whose absence is a declaration too: live values are removed."""
    canonical: Mapping[str, Callable[[Any], Any]] = field(default_factory=dict)
    """By path, the form in which two equal values are equal."""
    filled: frozenset[str] = frozenset()
    """Nested properties that AWS fills in where the program is silent."""
    contradicted: frozenset[str] = frozenset()
    """Defaults that AWS answers otherwise although nothing is wrong."""
    delete_first: bool = False
    """AWS refuses a second one beside the first."""

    @property
    def inputs(self) -> frozenset[str]:
        tags = {"tags"} if self.tags else set()
        return self.fixed | self.echoed | self.update.keys() | tags | ({"region"} if self.regional else set())

    def change(self, name: str) -> Change | None:
        """The call that changes an input in place; None if none is needed. Raises ProviderError if there is none."""
        if name in ("tags", "tagsAll") and self.tags:
            return self.tags
        if name in self.echoed:
            return None
        if name not in self.update:
            raise ProviderError(f"{name} cannot be changed in place", where=self.type)
        return self.update[name]


def deleter(service: str, operation: str, parameter: str, *absent: str) -> Change:
    """A deletion by one call that takes the id; codes that say it is gone already are no error."""

    def delete(call: Call) -> None:
        found(absent, getattr(call.aws(service), operation), **{parameter: call.id})

    return delete


def tagger(put: Callable[[Call, dict[str, str]], Any], remove: Callable[[Call, list[str]], Any]) -> Change:
    """The change of tags by a service's own two calls: one sets tags, one removes them by key."""

    def apply(call: Call) -> None:
        old, new = call.old.get("tagsAll") or {}, call.new.get("tagsAll") or {}
        if gone := [key for key in old if key not in new]:
            remove(call, gone)
        if put_tags := {key: value for key, value in new.items() if old.get(key) != value}:
            put(call, put_tags)

    return apply

"""What was declared: resources with their owners, and what the engine left open."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from reconciler.model.paths import EVERY, PropertyPath, property_path
from reconciler.model.values import Urn, Value

SIZE = "desiredCapacity"
"""The input by which an auto scaling group is told how many servers to have."""


@dataclass(frozen=True, slots=True)
class IgnoredTags:
    """Tags that a provider neither sets nor sees (its ``ignoreTags``)."""

    keys: frozenset[str] = frozenset()
    prefixes: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.keys or self.prefixes)

    def __contains__(self, key: object) -> bool:
        return isinstance(key, str) and (key in self.keys or key.startswith(self.prefixes))


NO_TAGS = IgnoredTags()
UNDO = "stackmend undo"
"""The message in the stack's history of an update that declares nothing: it brought back what a repair had changed."""


@dataclass(frozen=True, slots=True)
class DeclaredResource:
    """One custom resource of the stack's state, as the last successful update declared it."""

    urn: Urn
    type: str
    name: str
    """Logical name: the last part of the URN."""
    id: str
    """Physical id as Pulumi keeps it; empty while a create is pending."""
    inputs: Mapping[str, Value]
    """Inputs without ``__defaults``; a secret is a ``Secret``."""
    programmed: frozenset[str] = frozenset()
    """Top-level inputs the program set (``propertyDependencies``); the others were filled in by the provider."""
    tenant: str | None = None
    parent: Urn | None = None
    dependencies: frozenset[Urn] = frozenset()
    """What has to exist before it, for whatever reason."""
    references: frozenset[Urn] = frozenset()
    """Those of them whose ids or other values its inputs hold."""
    protect: bool = False
    external: bool = False
    created: datetime | None = None
    """When the engine created it; None if the state does not say."""
    ignored: tuple[str, ...] = ()
    """Property paths whose changes the program leaves to others (``ignoreChanges``), sorted."""
    ignored_tags: IgnoredTags = NO_TAGS
    scaled: bool = False
    """Whether a declared scaling policy or schedule sets the size of this group."""
    region: str = ""
    """Where it is; empty if the state does not tell, or for a type that has no region."""
    account: str = ""
    """Whose it is; empty if the state does not tell."""

    def ignores(self, name: str) -> bool:
        """Whether the program leaves a top-level property to others as a whole."""
        return bool(self.ignored) and () in self.ignored_in(name)

    def ignored_in(self, name: str) -> tuple[PropertyPath, ...]:
        """The paths below a top-level property that the program leaves to others; ``()`` is all of it."""
        paths = (property_path(text) for text in self.ignored)
        return tuple(path[1:] for path in paths if path and path[0] in (name, EVERY))

    @property
    def size(self) -> int | None:
        """How many servers a group is to have; None if it does not say, or if that is somebody else's to say."""
        size = self.inputs.get(SIZE)
        if not isinstance(size, int | float) or self.scaled or self.ignores(SIZE):
            return None
        return int(size)


@dataclass(frozen=True, slots=True)
class PendingOperation:
    """An engine operation that a killed update left open in the state."""

    kind: str
    """``creating``, ``updating``, ``deleting``, ``reading`` or ``importing``."""
    resource: DeclaredResource


@dataclass(frozen=True, slots=True)
class Declared:
    """A cell as declared. ``resources`` is in the state's order: what a resource needs stands before it."""

    cell: str
    project: str
    account: str
    region: str
    resources: Mapping[Urn, DeclaredResource]
    tenants: Mapping[str, TenantFacts] = field(default_factory=dict)
    pending: tuple[PendingOperation, ...] = ()
    tampered: tuple[ChangedDeclaration, ...] = ()
    version: int = 0
    """Number of the last successful update; grows by one or more with every ``pulumi up``."""
    _by_type: dict[str, tuple[DeclaredResource, ...]] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )
    _by_id: dict[tuple[str, str], DeclaredResource] = field(default_factory=dict, init=False, repr=False, compare=False)
    _named: dict[str, frozenset[str]] = field(default_factory=dict, init=False, repr=False, compare=False)

    def elsewhere(self, resource: DeclaredResource) -> str:
        """The account and region that a resource is in, in words; empty if they are the cell's."""
        if resource.region in ("", self.region) and resource.account in ("", self.account):
            return ""
        return f"{resource.account or self.account} {resource.region or self.region}"

    @property
    def types(self) -> frozenset[str]:
        return frozenset(r.type for r in self.resources.values())

    def named_by(self, type_: str) -> frozenset[str]:
        """What the resources of a type belong to: the URNs they depend on, and the buckets they name."""
        if type_ not in self._named:
            some = self.of_type(type_)
            buckets = {bucket for r in some if isinstance(bucket := r.inputs.get("bucket"), str)}
            self._named[type_] = frozenset(buckets.union(*(r.dependencies for r in some)))
        return self._named[type_]

    def of_type(self, type_: str) -> tuple[DeclaredResource, ...]:
        """All resources of a type; sorted out once, since going through all for each of many is quadratic."""
        if not self._by_type and self.resources:
            found: dict[str, list[DeclaredResource]] = {}
            for resource in self.resources.values():
                found.setdefault(resource.type, []).append(resource)
            self._by_type.update((name, tuple(some)) for name, some in found.items())
        return self._by_type.get(type_, ())

    def identified(self, type_: str, id_: str) -> DeclaredResource | None:
        """The resource of a type with that physical id."""
        if not self._by_id:
            self._by_id.update(((r.type, r.id), r) for r in self.resources.values() if r.id)
        return self._by_id.get((type_, id_))

    def of(self, tenant: str) -> tuple[DeclaredResource, ...]:
        return tuple(r for r in self.resources.values() if r.tenant == tenant)


@dataclass(frozen=True, slots=True)
class TenantFacts:
    """What the reconciler must know of a tenant, read from the tags its resources declare."""

    name: str
    tier: str
    regimes: frozenset[str]


@dataclass(frozen=True, slots=True)
class ChangedDeclaration:
    """A declared value that changed in the state although no update ran (a ``pulumi refresh``, an edited state)."""

    urn: Urn
    property: str
    was: Value
    now: Value

"""Whether what is declared is what is there, value by value, with the semantics of each resource type.

Only what the program declared is compared: a value nobody declared is not drift, nor is what the program or its
provider leaves to others (``reduced``) or a scaling policy sets. Two things are owned whole, though:
tag maps, and elements of the lists a type names as unordered (an address added to a firewall rule is a change of it).
A type nobody described gets the tolerant reading, as a drift seen where none is would be repaired for ever. Lists have
no order; lists and JSON documents are as declared if everything declared is in them; texts may be respelled
(``scalars.respelled``); a block that is switched off says nothing else; a default that is not read back says nothing.
The sharp verdict on such a type is its provider's own, and what the provider calls different is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import NoneType
from typing import TypeGuard

from reconciler.detect import documents
from reconciler.detect.reduced import ALL_TAGS, TAGS, reduction
from reconciler.detect.scalars import boolean, respelled, same_reference, same_scalar
from reconciler.model import SIZE, DeclaredResource, ObservedResource, ResourceKind, Secret, Unreadable, Value

IGNORED = frozenset({"__defaults", "tagsAll", "region"})
"""Inputs the provider adds for itself: none is a property of the live resource."""

_PLAIN = frozenset({bool, float, int, str})
_SCALARS = _PLAIN | {NoneType, Secret, Unreadable}


@dataclass(frozen=True, slots=True)
class Difference:
    """One top-level property that is not as declared, or (``observed`` is ``Unreadable``) not known to be."""

    property: str
    declared: Value
    observed: Value


def differences(kind: ResourceKind, declared: DeclaredResource, observed: ObservedResource) -> tuple[Difference, ...]:
    """All declared properties of a present resource that differ or are unknown, in the order declared.

    Secrets, declared or answered, are neither compared nor returned. An observer says None for what AWS says is not
    set; a property it does not mention at all is unknown, unless nothing was declared for it.
    """
    found = []
    whole = not (declared.ignored or declared.ignored_tags)
    for name, value in _with_tags(declared.inputs).items():
        if not _compared(kind, declared, name, value):
            continue
        expected, seen = value, observed.properties.get(name)
        told = name in observed.differing
        if name == TAGS:
            expected, seen = _with_default_tags(declared, expected, seen)
        if not whole and (reduce := reduction(kind, declared, name)) is not None:
            # Whether it is the rest that differs, the provider does not say.
            expected, seen, told = reduce(expected), reduce(seen), False
        if _identical(expected, seen) and not told:
            continue
        if seen is None and _unread_default(kind, declared, name) and not told:
            continue
        if name not in observed.properties:
            if not _unset(expected):
                found.append(Difference(name, expected, Unreadable("the observer does not return this property")))
        elif (hidden := _hidden(name, expected, seen)) is not None:
            found.append(Difference(name, expected, hidden))
        elif told or not _equal(kind, name, expected, seen):
            found.append(Difference(name, _masked(seen, expected), _masked(expected, seen)))
    return tuple(found)


def same(kind: ResourceKind, path: str, declared: Value, observed: Value) -> bool | None:
    """Whether the property at ``path`` is as declared; None if any part that counts could not be read."""
    if _hidden(path, declared, observed) is not None:
        return None
    return _equal(kind, path, declared, observed)


def first_unreadable(value: Value) -> Unreadable | None:
    """The first thing inside ``value``, or itself, that could not be read."""
    if value is None or type(value) in _PLAIN:
        return None
    if isinstance(value, Unreadable):
        return value
    for part in value.values() if _is_mapping(value) else value if _is_list(value) else ():
        # Asked here again, since most are plain and a call costs more than the question.
        if part is not None and type(part) not in _PLAIN and (found := first_unreadable(part)) is not None:
            return found
    return None


def parts(kind: ResourceKind, path: str, declared: Value, observed: Value) -> Iterator[tuple[str, Value, Value]]:
    """(path, declared, observed) of the smallest parts that differ, for telling people; lists are not taken apart."""
    if not (isinstance(declared, Mapping) and isinstance(observed, Mapping)):
        yield path, declared, observed
        return
    for key in sorted({*declared, *(_without_aws(observed) if _last(path) == "tags" else ())}):
        here, want, have = f"{path}.{key}", declared.get(key), observed.get(key)
        if (key not in declared) or (not _skipped(kind, here) and not _equal(kind, here, want, have)):
            yield from parts(kind, here, want, have)


def _compared(kind: ResourceKind, declared: DeclaredResource, name: str, value: Value) -> bool:
    if name in IGNORED or name in kind.write_only or value is None or isinstance(value, Secret):
        return False
    if (declared.ignored and declared.ignores(name)) or (declared.scaled and name == SIZE):
        return False
    return name not in kind.contradicted or name in declared.programmed


def _unread_default(kind: ResourceKind, declared: DeclaredResource, name: str) -> bool:
    """Whether the provider filled the input in itself, for a type nobody described: many such it never reads back."""
    return name not in declared.programmed and not kind.described


def _with_tags(inputs: Mapping[str, Value]) -> Mapping[str, Value]:
    """A resource without tags of its own has the provider's default tags all the same."""
    alone = inputs.get(TAGS) is None and isinstance(every := inputs.get(ALL_TAGS), Mapping) and every
    return {**inputs, TAGS: {}} if alone else inputs


def _with_default_tags(declared: DeclaredResource, own: Value, seen: Value) -> tuple[Value, Value]:
    """The tags the provider really writes, which are the resource's own over its default tags, and those to compare.

    Where the default tags are not known, or left to others, any tag beyond the resource's own may be one.
    """
    every = declared.inputs.get(ALL_TAGS)
    if not _is_mapping(own):
        return own, seen
    if isinstance(every, (Secret, Unreadable)) or declared.ignores(ALL_TAGS):
        return own, {k: v for k, v in seen.items() if k in own} if _is_mapping(seen) else seen
    return {**every, **own} if _is_mapping(every) else own, seen


def _equal(kind: ResourceKind, path: str, want: Value, have: Value, *, whole: bool = False) -> bool:
    """``whole``: nothing may be there that was not declared."""
    if want is None or isinstance(want, Secret) or isinstance(have, Secret) or _identical(want, have):
        return True
    tolerant = not kind.described
    if _is_mapping(want) and _is_mapping(have):
        if _last(path) == "tags":
            have = _without_aws(have)
            return want == have or (want.keys() == have.keys() and all(_same_tag(want[k], have[k]) for k in want))
        if tolerant and boolean(want.get("enabled")) is boolean(have.get("enabled")) is False:
            return True
        declared = [k for k in want if k != "__defaults" and not _skipped(kind, f"{path}.{k}")]
        undeclared = [k for k in have if k not in want and not _skipped(kind, f"{path}.{k}")]
        return all(_equal(kind, f"{path}.{k}", want[k], have.get(k)) for k in declared) and not (
            whole and any(not _unset(have[k]) for k in undeclared)
        )
    if _empty(have):
        return _unset(want)
    if _empty(want):
        return _unset(have)
    if tolerant or path in kind.documents:
        want_document, have_document = documents.parse(want), documents.parse(have)
        if want_document is not None and have_document is not None:
            if documents.canonical(want_document) == documents.canonical(have_document):
                return True
            # A policy's statements are owned whole; other documents are completed by the services that keep them.
            open_ended = tolerant and want_document and not documents.is_policy(want_document)
            return bool(open_ended) and _equal(kind, path, want_document, have_document)
    if _is_list(want) and _is_list(have):
        return _same_list(kind, path, list(want), list(have))
    if isinstance(want, str) and isinstance(have, str):
        if tolerant:
            return respelled(kind.token, path, want, have)
        if _is_reference(kind, path):
            return same_reference(want, have)
    return same_scalar(want, have)


def _same_list(kind: ResourceKind, path: str, want: list[Value], have: list[Value]) -> bool:
    described = path in kind.unordered or f"{path}[]" in kind.unordered
    tags, tolerant = _last(path) == "tags", not kind.described
    if tags:
        have = [e for e in have if not (_is_mapping(e) and str(e.get("key", "")).startswith("aws:"))]
    if len(want) > len(have) or (len(want) < len(have) and (tags or not tolerant)):
        return False
    if described or tags or tolerant:
        return _matching(kind, f"{path}[]", want, have, whole=described)
    return all(_equal(kind, f"{path}[]", w, h) for w, h in zip(want, have, strict=True))


def _matching(kind: ResourceKind, path: str, want: list[Value], have: list[Value], *, whole: bool) -> bool:
    """Whether every declared element has a live element of its own (a perfect bipartite matching, Kuhn's algorithm).

    Taking the first that fits is not enough: an element that declares less fits more live ones.
    """
    partner: dict[int, int] = {}

    def place(w: int, tried: set[int]) -> bool:
        for h in range(len(have)):
            if h not in tried and _equal(kind, path, want[w], have[h], whole=whole):
                tried.add(h)
                if h not in partner or place(partner[h], tried):
                    partner[h] = w
                    return True
        return False

    return all(place(w, set()) for w in range(len(want)))


def _same_tag(want: Value, have: Value) -> bool:
    return isinstance(want, Secret) or isinstance(have, Secret) or same_scalar(want, have)


def _is_reference(kind: ResourceKind, path: str) -> bool:
    """A type may name the list or its elements."""
    return path in kind.references or path.removesuffix("[]") in kind.references


def _empty(value: Value) -> bool:
    return not value and (value is None or isinstance(value, str) or _is_mapping(value) or _is_list(value))


def _unset(value: Value) -> bool:
    """All the ways in which AWS and the provider say "not set"; what a secret hides is not compared."""
    if _is_mapping(value):
        return all(_unset(v) for k, v in value.items() if k != "__defaults")
    return _empty(value) or isinstance(value, Secret) or value == "false" or (not isinstance(value, str) and value == 0)


def _hidden(path: str, want: Value, have: Value) -> Unreadable | None:
    """The first part that counts for the comparison and is not known, on either side.

    A declared value is not known while the update that would have computed it is cut off (F42).
    """
    # Tags are owned whole, so a tag that was not declared counts too.
    whole = _last(path) == "tags" and _is_mapping(want)
    return first_unreadable(want) or (first_unreadable(have) if whole else _unreadable(want, have))


def _unreadable(want: Value, have: Value) -> Unreadable | None:
    if want is None or isinstance(want, Secret):
        return None
    if _is_mapping(want) and _is_mapping(have):
        for key, value in want.items():
            part = have.get(key)
            if part is not None and type(part) not in _PLAIN and (found := _unreadable(value, part)) is not None:
                return found
        return None
    return first_unreadable(have)


def _masked(want: Value, have: Value) -> Value:
    """``have`` without what stands where a secret was declared: AWS may answer the secret in clear (I13)."""
    if isinstance(want, Secret):
        return want
    if _is_mapping(want) and _is_mapping(have):
        return {k: _masked(want.get(k), v) for k, v in have.items()}
    return Secret() if _has_secret(want) else have


def _has_secret(value: Value) -> bool:
    if _is_mapping(value):
        return any(_has_secret(v) for v in value.values())
    return isinstance(value, Secret) or (_is_list(value) and any(_has_secret(v) for v in value))


def _identical(want: Value, have: Value) -> bool:
    """Whether both are one and the same plain value, which needs no further look; most are."""
    return type(want) in _PLAIN and type(want) is type(have) and want == have


# The exact types first: asking an abstract class is slow, and these are asked of every value of every resource.


def _is_mapping(value: Value) -> TypeGuard[Mapping[str, Value]]:
    return type(value) is dict or (type(value) not in _SCALARS and isinstance(value, Mapping))


def _is_list(value: Value) -> TypeGuard[Sequence[Value]]:
    return type(value) in (list, tuple) or (
        type(value) not in _SCALARS and isinstance(value, Sequence) and not isinstance(value, str)
    )


def _skipped(kind: ResourceKind, path: str) -> bool:
    """Nested values have no record of who set them, so a contradicted one is never compared."""
    return path in kind.write_only or path in kind.contradicted


def _without_aws(tags: Mapping[str, Value]) -> Mapping[str, Value]:
    """Tags without those AWS sets itself; nobody else may use the prefix."""
    return {k: v for k, v in tags.items() if not k.startswith("aws:")}


def _last(path: str) -> str:
    return path.rsplit(".", 1)[-1]

"""Whose a live resource is: finding one by the tags it was declared with, and those of this cell nobody declared."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping

from reconciler.model import Declared, DeclaredResource, Stray
from reconciler.observe.reads import Answers, Failed, Missing, More, Owned, Read, Row, Rows
from tenancy.tags import CELL, NAME, TENANT


def plain(tags: Iterable[Row]) -> dict[str, str]:
    """AWS's ``[{Key, Value}]`` without the tags that AWS itself sets and no one can change."""
    return {tag["Key"]: tag.get("Value", "") for tag in tags if not tag["Key"].startswith("aws:")}


def identity(declared: DeclaredResource) -> dict[str, str] | None:
    """The declared tags that together name one resource of one cell; None if it declares no such name."""
    tags = declared.inputs.get("tags")
    if not isinstance(tags, Mapping):
        return None
    found = {key: value for key in (NAME, CELL, TENANT) if isinstance(value := tags.get(key), str)}
    return found if NAME in found and CELL in found else None


def locate_where(
    answers: Answers, listing: Read, key: str, matches: Callable[[Row], bool]
) -> str | Missing | Failed | More:
    """The id of the one row that matches and that the state does not hold yet. Two such rows are a failure."""
    answer = answers.get(listing)
    if not isinstance(answer, Rows):
        return answer
    found = sorted({row[key] for row in answer.rows if matches(row)} - answers.claimed)
    if not found:
        return Missing(f"none in {listing.service}:{listing.operation} is it")
    if len(found) > 1:
        return Failed(f"several resources may be it: {', '.join(found)}")
    return str(found[0])


def locate_by_tags(
    declared: DeclaredResource, answers: Answers, listing: Read, key: str
) -> str | Missing | Failed | More:
    """The physical id of a resource whose create was cut off, by the tags its program gave it."""
    wanted = identity(declared)
    if wanted is None:
        return Failed("it declares no tags that would name it")

    def matches(row: Row) -> bool:
        tags = plain(row.get("Tags", ()))
        return all(tags.get(name) == value for name, value in wanted.items())

    return locate_where(answers, listing, key, matches)


def owned_in(answers: Answers, listing: Read, key: str) -> Iterator[Owned]:
    """The rows of a listing with their tags; none if it failed."""
    answer = answers.get(listing)
    if isinstance(answer, Rows):
        for row in answer.rows:
            name = row.get("GroupName") or row.get("LaunchTemplateName") or ""
            yield Owned(row[key], plain(row.get("Tags", ())), str(row.get("VpcId", "")), str(name))


def strays(declared: Declared, type_: str, found: Iterable[Owned], known: Collection[str]) -> Iterator[Stray]:
    """Those of ``found`` that carry this cell's tag and whose id is not among ``known``."""
    for one in found:
        if one.tags.get(CELL) == declared.cell and one.id not in known:
            yield Stray(
                type_,
                one.id,
                one.tags.get(TENANT),
                one.tags.get(NAME, ""),
                one.tags,
                network=one.network,
                physical_name=one.physical_name,
            )

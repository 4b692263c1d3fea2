"""What the observers of several services share: building reads, asking for several at once, and believing tags.

Tags are the property most easily misread: AWS's tag index is eventually consistent, and a lost page looks exactly
like stripped tags. So the index may only confirm what was declared; anything else is asked of the resource itself.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Any, TypeAlias

from reconciler.model import DeclaredResource, Unreadable, Value
from reconciler.observe.reads import Answers, Failed, Missing, More, Owned, Read, Row, Rows

Part: TypeAlias = Mapping[str, Value] | More
"""Some of a resource's properties, the unreadable ones included, or what must be asked first."""

TagDecoder: TypeAlias = Callable[[tuple[Row, ...]], Mapping[str, str] | None]
"""The tags in the rows of a direct tag read; None when the answer does not speak of the resource at all."""


def call(
    service: str, operation: str, result: str = "", *, absent: Collection[str] = (), target: str = "*", **params: Any
) -> Read:
    """A read with its parameters in a fixed order, so that equal questions are equal values."""
    frozen = tuple((name, tuple(value) if isinstance(value, list) else value) for name, value in sorted(params.items()))
    return Read(service, operation, result, frozen, frozenset(absent), target)


def text(declared: DeclaredResource, name: str) -> str | None:
    """A declared input that must be a plain, non-empty string to be asked for."""
    value = declared.inputs.get(name)
    return value if isinstance(value, str) and value else None


def together(*parts: object) -> More:
    """All that the parts still ask, in one round; the parts that are no question ask nothing."""
    return More(tuple(dict.fromkeys(read for part in parts if isinstance(part, More) for read in part.reads)))


def unreadable(names: Iterable[str], reason: str) -> dict[str, Value]:
    return {name: Unreadable(reason) for name in names}


def vanished(answer: Failed | Missing) -> str:
    """Why a property could not be read of a resource that was there a moment ago."""
    return answer.reason if isinstance(answer, Failed) else f"gone while it was read: {answer.how}"


def json_text(value: object) -> str | Unreadable:
    """A document that AWS answers as text: half of one is not a changed one, it could not be read."""
    try:
        json.loads(str(value))
    except ValueError:
        return Unreadable("the answer is not a JSON document")
    return str(value)


def doubly_missing(answers: Answers, listing: Read, key: str, value: Any, how: Missing) -> Missing | Failed | More:
    """Absence that a direct read claims, believed only if the complete ``listing`` lacks the thing as well."""
    listed = answers.get(listing)
    if not isinstance(listed, Rows):
        return listed
    if any(row.get(key) == value for row in listed.rows):
        return Failed(f"{listing.operation} still lists what is said to be gone ({how.how})")
    return how


# --- tags --------------------------------------------------------------------------------------------------


def tag_index(service: str) -> Read:
    """Every tagged resource of one service. Eventually consistent: see ``live_tags``."""
    return call("resourcegroupstaggingapi", "get_resources", "ResourceTagMappingList", ResourceTypeFilters=[service])


def pairs(rows: Iterable[Row]) -> dict[str, str]:
    """Tags out of ``{Key, Value}`` or KMS's ``{TagKey, TagValue}``, without those that AWS itself sets."""
    found = {row.get("Key", row.get("TagKey", "")): row.get("Value", row.get("TagValue", "")) for row in rows}
    return {key: value for key, value in found.items() if not key.startswith("aws:")}


def expected_tags(declared: DeclaredResource) -> dict[str, Value]:
    """All tags the resource should carry: its own over the provider's default tags."""
    maps = (declared.inputs.get(name) for name in ("tagsAll", "tags"))
    return {key: value for tags in maps if isinstance(tags, Mapping) for key, value in tags.items()}


def live_tags(
    declared: DeclaredResource,
    answers: Answers,
    *,
    arn: str,
    index: Read | None,
    direct: Read,
    decode: TagDecoder = pairs,
    bulk: Mapping[str, str] | None = None,
    untagged_is_missing: bool = False,
) -> Part:
    """``tags`` of one resource: all that it carries, the provider's default tags included.

    What a listing says (``bulk``, or the row of ``arn`` in ``index``) is believed when it is what was declared.
    Otherwise ``direct`` asks the resource, and only that answer may show tags as changed or gone; if it fails, the
    tags are unreadable. ``untagged_is_missing`` is for an API that has an error of its own for "no tags".
    """
    if bulk is None and index is not None:
        row = answers.find(index, "ResourceARN", arn, direct=direct)
        if isinstance(row, More):
            return row
        if isinstance(row, Mapping) and row.get("ResourceARN") == arn:
            bulk = pairs(row.get("Tags", ()))
    if bulk is not None and bulk == expected_tags(declared):
        return {"tags": bulk}
    answer = answers.get(direct)
    if isinstance(answer, More):
        return answer
    if isinstance(answer, Failed) or (isinstance(answer, Missing) and not untagged_is_missing):
        return unreadable(("tags",), vanished(answer))
    live = {} if isinstance(answer, Missing) else decode(answer.rows)
    if live is None:
        return unreadable(("tags",), f"{direct.service}:{direct.operation} did not answer for {arn}")
    return {"tags": dict(live)}


def tagged(answers: Answers, index: Read, listing: Read, arn: Callable[[Row], str]) -> Iterator[tuple[Row, Owned]]:
    """The rows of ``listing`` that the tag index knows, with their ARN and tags.

    The index goes on naming deleted resources for a while, so what the listing lacks is left out.
    """
    marks, rows = answers.get(index), answers.get(listing)
    if isinstance(marks, Rows) and isinstance(rows, Rows):
        known = {row["ResourceARN"]: row for row in marks.rows}
        for row in rows.rows:
            if (mark := known.get(arn(row))) is not None:
                yield row, Owned(arn(row), pairs(mark.get("Tags", ())))

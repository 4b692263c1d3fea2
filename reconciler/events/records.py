"""CloudTrail's record of one API call, as events carry it and as LookupEvents answers it: who, what, when, from where.

Records are written by AWS, but much in them by whoever made the call. So nothing here trusts a form: every text is made
printable and short before it goes on, and what is not as documented is treated as not said.
Source: https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-record-contents.html
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from reconciler.log import printable
from reconciler.model import Attribution

LONGEST_TEXT = 256
"""Of what is kept of a record's texts, in characters."""
LONGEST_IDENTIFIER = 2048
"""A longer text is no id, name or ARN of anything."""
DEEPEST = 32
MOST_TEXTS = 20_000
_YEARS = range(2006, 2200)


class TooMuch(ValueError):
    """A document nests deeper or holds more than any record of AWS."""


def text_of(record: Any, key: str) -> str:
    """A text of a record, fit to be shown and kept; empty if there is none."""
    value = record.get(key) if isinstance(record, Mapping) else None
    return printable(value[:LONGEST_TEXT])[:LONGEST_TEXT] if isinstance(value, str) else ""


def moment_of(value: object) -> datetime | None:
    """An ISO 8601 time with its zone, in UTC; None for anything else."""
    if not isinstance(value, str) or len(value) > 64:
        return None
    try:
        found = datetime.fromisoformat(value)
    except ValueError:
        return None
    if found.tzinfo is None or found.year not in _YEARS:
        return None
    return found.astimezone(UTC)


def texts(value: Any) -> Iterator[str]:
    """Every text in a JSON value that could name something. Raises TooMuch."""
    waiting, seen = [(value, 0)], 0
    while waiting:
        part, depth = waiting.pop()
        if isinstance(part, str):
            seen += 1
            if seen > MOST_TEXTS:
                raise TooMuch(f"it holds more than {MOST_TEXTS} texts")
            if 0 < len(part) <= LONGEST_IDENTIFIER:
                yield part
        elif isinstance(part, Mapping | list):
            if depth == DEEPEST:
                raise TooMuch(f"it nests deeper than {DEEPEST}")
            waiting += [(item, depth + 1) for item in (part.values() if isinstance(part, Mapping) else part)]


def mentions(record: Mapping[str, Any]) -> Iterator[str]:
    """What a record of an API call names. Raises TooMuch."""
    for key in ("requestParameters", "responseElements", "resources"):
        yield from texts(record.get(key))


def changed_nothing(record: Mapping[str, Any]) -> str:
    """Why the call that a record tells of changed nothing; empty if it may have."""
    if record.get("readOnly") in (True, "true"):
        return "a read"
    if isinstance(record.get("errorCode"), str) and record["errorCode"]:
        return "a call that failed"
    return ""


def attribution(record: Mapping[str, Any]) -> Attribution:
    """Who made the call that a record tells of."""
    service = text_of(record, "eventSource").partition(".")[0]
    name = text_of(record, "eventName")
    return Attribution(
        principal=_principal(record.get("userIdentity")),
        event=f"{service}:{name}" if service and name else name or service,
        at=moment_of(record.get("eventTime")),
        source_address=text_of(record, "sourceIPAddress"),
        event_id=text_of(record, "eventID"),
    )


def _principal(identity: Any) -> str:
    """The most telling of what an identity says; a service that acts for itself has only a name."""
    for key in ("arn", "invokedBy", "principalId", "userName", "accountId", "type"):
        if found := text_of(identity, key):
            return found
    return "somebody the record does not name"

"""What a queue message says: a change, something that is none, or poison. Anybody's bytes in, one of three values out.

The queue's policy should let only EventBridge send, but nothing here depends on it: a message can cause a look at
something, never more. Parsing never raises, and no content of a message that is not understood leaves this module.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeAlias

from reconciler.events.records import TooMuch, attribution, changed_nothing, mentions, moment_of, text_of, texts
from reconciler.model import Attribution
from tenancy.events import API_CALL, CHANGES

LARGEST_BYTES = 1_048_576
"""What SQS lets through at most."""

API_CALLS = (API_CALL, "AWS Service Event via CloudTrail")


@dataclass(frozen=True, slots=True)
class Change:
    """Something may have changed."""

    event_id: str
    source: str
    """``aws.ec2``"""
    name: str
    """The API call or the type of the event."""
    account: str
    region: str
    at: datetime
    mentions: frozenset[str]
    """Every text in it that could be an id, a name or an ARN, as it stands there."""
    attribution: Attribution | None = None
    """Who did it, if it is the record of an API call."""
    group: str = ""
    """The auto scaling group that an Auto Scaling event is about, and ``instance`` of it."""
    instance: str = ""


@dataclass(frozen=True, slots=True)
class Ignored:
    """A message that is well formed and tells of no change; ``reason`` is one of a few fixed words."""

    reason: str


@dataclass(frozen=True, slots=True)
class Poison:
    """A message that is none of EventBridge's; ``reason`` is one of a few fixed words, never its content."""

    reason: str


Message: TypeAlias = Change | Ignored | Poison


def parse(body: str | bytes) -> Message:
    """Read the body of one message, in the form of an EventBridge event. Never raises."""
    try:
        raw = body.encode("utf-8", "surrogatepass") if isinstance(body, str) else body
        if len(raw) > LARGEST_BYTES:
            return Poison("too large")
        document = json.loads(raw)
    except RecursionError:
        return Poison("nests too deep")
    except ValueError:
        return Poison("not JSON")
    if not isinstance(document, dict) or not isinstance(document.get("detail"), dict):
        return Poison("not an event")
    try:
        return _event(document, document["detail"])
    except TooMuch:
        return Poison("too much in it")


def _event(event: Mapping[str, Any], detail: Mapping[str, Any]) -> Message:
    source, kind, event_id = (text_of(event, key) for key in ("source", "detail-type", "id"))
    account, region = text_of(event, "account"), text_of(event, "region")
    at = moment_of(event.get("time"))
    if not (source and kind and event_id and account and region) or at is None:
        return Poison("not an event")
    if kind in API_CALLS:
        if why := changed_nothing(detail):
            return Ignored(why)
        return Change(
            event_id, source, text_of(detail, "eventName"), account, region,
            at=moment_of(detail.get("eventTime")) or at,
            mentions=frozenset((*mentions(detail), *texts(event.get("resources")))),
            attribution=attribution(detail),
        )  # fmt: skip
    if (source, kind) in CHANGES:
        named = frozenset((*texts(detail), *texts(event.get("resources"))))
        group, instance = text_of(detail, "AutoScalingGroupName"), text_of(detail, "EC2InstanceId")
        return Change(event_id, source, kind, account, region, at, named, group=group, instance=instance)
    return Ignored("another kind of event")


def spellings(mention: str) -> Iterator[str]:
    """The forms in which the thing that a text names may be declared: as it stands and, of an ARN, by its parts.

    ``arn:aws:logs:…:log-group:NAME:*``, ``arn:aws:iam::…:role/PATH/NAME``, ``arn:aws:s3:::NAME/KEY``.
    """
    yield mention
    if not mention.startswith("arn:"):
        return
    own = mention.split(":", 5)[-1].removesuffix(":*")
    yield mention.removesuffix(":*")
    yield own
    yield own.partition("/")[0]
    yield own.rpartition("/")[2]
    yield own.rpartition(":")[2]
    yield own.partition(":")[2]

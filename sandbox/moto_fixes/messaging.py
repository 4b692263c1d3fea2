"""Queues and event buses as AWS answers them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from moto.core.resource_tagging import TaggedResource
from moto.events.models import EventsBackend
from moto.sqs.models import Queue

_set_attributes: Any = Queue._set_attributes
_tagged_buses: Any = EventsBackend.iter_tagged_resources


def set_queue_attributes(self: Any, attributes: dict[str, Any], now: float | None = None) -> None:
    """What a call does not name stays as it is; moto then drops the queue's policy."""
    kept = {"Policy": self.policy} if hasattr(self, "_policy_json") and "Policy" not in attributes else {}
    _set_attributes(self, {**attributes, **kept}, now)


def tagged_events(self: Any) -> Iterator[TaggedResource]:
    """The index of tags knows the rules of a bus too; moto's has only the buses."""
    yield from _tagged_buses(self)
    for bus in self.event_buses.values():
        for rule in bus.rules.values():
            tags = self.tagger.get_tag_dict_for_resource(rule.arn)
            yield TaggedResource(arn=rule.arn, tags=tags, resource_type="events:rule")


CORRECTIONS: tuple[tuple[type, str, Any], ...] = (
    (Queue, "_set_attributes", set_queue_attributes),
    (EventsBackend, "iter_tagged_resources", tagged_events),
)
"""What ``apply`` puts into moto's classes: the class, the attribute, what it becomes."""

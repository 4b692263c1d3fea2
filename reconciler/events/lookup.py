"""Asks CloudTrail who last changed a resource: a few slow calls, within a deadline, and an honest word where it fails.

LookupEvents answers at most two calls a second in an account and region, knows the last 90 days, and lags behind by up
to a quarter of an hour: https://docs.aws.amazon.com/awscloudtrail/latest/APIReference/API_LookupEvents.html
Changes of a service without regions are answered in one region of the partition only:
https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-concepts.html#cloudtrail-concepts-global-service-events
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError

from reconciler.events.message import LARGEST_BYTES
from reconciler.events.records import TooMuch, attribution, changed_nothing, mentions, moment_of, text_of
from reconciler.events.resolve import recorded_under
from reconciler.log import printable
from reconciler.model import Attribution, Declared, DeclaredResource, Urn

PACE_SECONDS = 0.5
AT_MOST = 50
"""Events that one call answers."""
OLDEST = timedelta(days=14)

Call = Callable[[str, str, str, Mapping[str, Any], float], Mapping[str, Any]]
"""One guarded call: region, service, operation, parameters, deadline in monotonic seconds."""

_WITHOUT_REGION = ("aws:cloudfront/", "aws:iam/", "aws:route53/")
_HOMES = {"cn-": "cn-north-1", "us-gov-": "us-gov-west-1"}
"""Where a partition's services without regions are, by how the names of its regions begin."""


@dataclass(slots=True)
class Lookup:
    """Looks up the last change of resources, at most ``calls`` of them within ``seconds``."""

    call: Call
    calls: int = 5
    seconds: float = 3.0
    clock: Callable[[], float] = time.monotonic
    wait: Callable[[float], None] = time.sleep
    _next: float = 0.0

    def last_changes(self, declared: Declared, urns: Sequence[Urn], now: datetime) -> dict[Urn, Attribution]:
        """Who last changed each resource, in the order given; never raises for what AWS answers or does not."""
        deadline = self.clock() + self.seconds
        left = self.calls
        answers: dict[tuple[str, str], list[Mapping[str, Any]] | str] = {}
        who: dict[Urn, Attribution] = {}
        for urn in urns:
            since = max(declared.resources[urn].created or now - OLDEST, now - OLDEST)
            found: list[Mapping[str, Any]] = []
            # A record of the cell's region that has its name would be about something else.
            why = f"it is in {away}" if (away := declared.elsewhere(declared.resources[urn])) else ""
            parents = recorded_under(declared, urn) if not away else ()
            for key in ((recorded_in(declared, parent), n) for parent in parents for n in names(declared, parent)):
                if key not in answers:
                    if not left or not self._in_turn(deadline):
                        why = why or "more resources drifted than are looked up at once"
                        continue
                    left -= 1
                    answers[key] = self._ask(*key, since, deadline)
                answer = answers[key]
                if isinstance(answer, str):
                    why = why or answer
                else:
                    found += answer
            who[urn] = _latest(found, since) or Attribution(not_known=_where(declared, parents) + (why or _NOTHING))
        return who

    def _in_turn(self, deadline: float) -> bool:
        pause = self._next - self.clock()
        if self.clock() + max(0.0, pause) >= deadline:
            return False
        if pause > 0:
            self.wait(pause)
        self._next = self.clock() + PACE_SECONDS
        return True

    def _ask(self, region: str, name: str, since: datetime, deadline: float) -> list[Mapping[str, Any]] | str:
        """The records of the changes of one name, newest first as the API promises; or why there are none, in words."""
        params = {
            "LookupAttributes": [{"AttributeKey": "ResourceName", "AttributeValue": name}],
            "StartTime": since,
            "MaxResults": AT_MOST,
        }
        try:
            answer = self.call(region, "cloudtrail", "LookupEvents", params, deadline)
        except ClientError as error:
            return f"CloudTrail refused: {printable(str(error.response.get('Error', {}).get('Code', '')))[:80]}"
        except (BotoCoreError, ResponseParserError, OSError) as error:
            return f"CloudTrail did not answer: {type(error).__name__}"
        return list(_records(answer, name))


_NOTHING = "CloudTrail has no change of it since it was made; it lags by up to 15 minutes"


def recorded_in(declared: Declared, resource: DeclaredResource) -> str:
    """The region in which CloudTrail answers for changes of a resource: the cell's, if its service has regions."""
    if not resource.type.startswith(_WITHOUT_REGION):
        return declared.region
    return next((home for begin, home in _HOMES.items() if declared.region.startswith(begin)), "us-east-1")


def _where(declared: Declared, asked: Sequence[DeclaredResource]) -> str:
    """Words that say in which other region it was looked."""
    regions = {recorded_in(declared, resource) for resource in asked} - {declared.region}
    return f"in {', '.join(sorted(regions))}, where changes of this service are recorded: " if regions else ""


def names(declared: Declared, resource: DeclaredResource) -> Iterator[str]:
    """What a record calls a resource; of keys it is the ARN."""
    if resource.type == "aws:kms/key:Key":
        partition = {"cn": "aws-cn", "us-gov": "aws-us-gov"}.get(declared.region.rsplit("-", 2)[0], "aws")
        yield f"arn:{partition}:kms:{declared.region}:{declared.account}:key/{resource.id}"
    elif resource.id:
        yield resource.id


def _records(answer: Mapping[str, Any], name: str) -> Iterator[Mapping[str, Any]]:
    """The records of an answer that are as documented, tell of a change and name what was asked for."""
    events = answer.get("Events")
    for event in events if isinstance(events, list) else ():
        raw = event.get("CloudTrailEvent") if isinstance(event, Mapping) else None
        if not isinstance(raw, str) or len(raw) > LARGEST_BYTES:
            continue
        try:
            record = json.loads(raw)
            named = isinstance(record, dict) and any(name in text for text in mentions(record))
        except (ValueError, RecursionError, TooMuch):
            continue
        if named and not changed_nothing(record):
            yield record


def _latest(records: Sequence[Mapping[str, Any]], since: datetime) -> Attribution | None:
    """The newest record that is not older than the resource, whose making needs no explanation."""
    dated = [(at, r) for r in records if (at := moment_of(r.get("eventTime"))) is not None and at >= since]
    if not dated:
        return None
    at, record = max(dated, key=lambda pair: pair[0])
    return replace(attribution(record), at=at, event_id=text_of(record, "eventID"))


def utc_now() -> datetime:
    return datetime.now(UTC)

"""Who changed what drifted is put on the findings: what events told first, then CloudTrail, within its few calls."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from reconciler.attributing import Attributing
from reconciler.model import Attribution, Declared, Scan, Verdict
from reconciler.observe.clients import Clients
from reconciler.settings import AttributionSettings
from tests.unit.events_worlds import api_call
from tests.unit.plan_worlds import cell, finding, resource, scan
from tests.unit.test_events_lookup import answered

FIRST, SECOND = resource("first"), resource("second")


class Trail:
    """CloudTrail, in which somebody changed everything a moment ago."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.regions: list[str] = []

    def call(self, service: str, operation: str, params: Mapping[str, Any], *, deadline: float) -> Mapping[str, Any]:
        assert (service, operation, deadline > 0) == ("cloudtrail", "LookupEvents", True)
        name = params["LookupAttributes"][0]["AttributeValue"]
        self.asked.append(name)
        at = datetime.now(UTC) - timedelta(minutes=20)
        return answered(api_call(at=at, principal={"arn": "cron"}, parameters={"subnetId": name}))

    def attributing(self, **settings: Any) -> Attributing:
        return Attributing(AttributionSettings(**settings), self.clients)

    def clients(self, _: Declared, region: str) -> Clients:
        self.regions.append(region)
        return cast("Clients", self)


def drifted(verdict: Verdict = Verdict.FAIL) -> Scan:
    return scan(cell(FIRST, SECOND), finding(FIRST, verdict=verdict), finding(SECOND))


def named(of: Scan) -> dict[str, str]:
    return {f.urn: f.attribution.principal for f in of.findings if f.attribution}


def test_cloudtrail_is_asked_only_about_what_is_wanted() -> None:
    """Before a plan only about what was repaired before; afterwards about the rest, and nothing twice."""
    trail = Trail()
    attributing = trail.attributing()
    assert named(attributing.named(drifted(), only={SECOND.urn})) == {"second": "cron"}
    assert trail.asked == ["id-second"]
    assert named(attributing.named(drifted())) == {"first": "cron", "second": "cron"}
    assert trail.asked == ["id-second", "id-first"]


def test_what_an_event_told_is_not_asked() -> None:
    """An event's word comes first, and a later event replaces an earlier one, in whatever order they arrive."""
    trail, at = Trail(), datetime(2026, 3, 1, tzinfo=UTC)
    attributing = trail.attributing()
    attributing.told({FIRST.urn: Attribution("ana", at=at)})
    attributing.told({FIRST.urn: Attribution("before ana", at=at - timedelta(seconds=1))})
    assert named(attributing.named(drifted(), only=())) == {"first": "ana"}
    assert trail.asked == []


def test_what_is_well_again_is_forgotten() -> None:
    """Whoever changed what was healed since did not cause what comes later."""
    attributing = Trail().attributing(enabled=False)
    attributing.told({FIRST.urn: Attribution("ana")})
    for verdict, known in ((Verdict.FAIL, {"first": "ana"}), (Verdict.PASS, {}), (Verdict.FAIL, {})):
        assert named(attributing.named(drifted(verdict))) == known

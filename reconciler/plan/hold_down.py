"""No server that may still be running is replaced on one sign at one moment: it takes a second sign, or time.

The same holds for a group that seems too small. What a person said of a server is no sign, and waits for nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from reconciler.model import Finding, Kind
from reconciler.plan.policy import Policy
from reconciler.plan.strategy import COMPROMISED, QUARANTINE_OVER, SHORT

ENOUGH_SIGNS = 2
_SAID = frozenset({COMPROMISED, QUARANTINE_OVER})
"""Rules about what somebody said of a server, by a mark or a tag."""


def held_down(
    finding: Finding, first_seen: Mapping[str, datetime], policy: Policy, now: datetime
) -> tuple[str, str] | None:
    """(code, words) if a failing finding is too young to be acted on; None if it may be.

    One sign (the load balancer's word, say) has to be seen again ``policy.hold_down`` later. A first sighting ahead of
    ``now`` (a clock set back) counts as one of now. That a server was broken into is said, not measured: no second
    look would tell more of it, and the server is kept.
    """
    judged = finding.rule == SHORT or (finding.resource_id.startswith("i-") and finding.rule not in _SAID)
    if finding.kind is not Kind.HEALTH or not judged or len(finding.signs) >= ENOUGH_SIGNS:
        return None
    age = max(timedelta(0), now - first_seen.get(finding.id, now))
    if age >= policy.hold_down:
        return None
    return "hold-down", (
        f"seen for {age.total_seconds():.0f} s by one sign ({', '.join(finding.signs) or 'none is known'}): "
        f"it is believed when two agree, or when one lasts {policy.hold_down.total_seconds():.0f} s"
    )

"""What a person was told is in the record once, until it changes or the fault comes back."""

from __future__ import annotations

from dataclasses import replace

import pytest

from reconciler.model import Finding, Kind, Repair, Status, Urn, Verdict
from reconciler.record.journal import Journal
from reconciler.record.lease import Lease
from reconciler.record.ledger import entries
from reconciler.record.sightings import sight
from reconciler.record.store import Store
from tests.unit.record_worlds import Time, finding, outcome

TLS = finding(kind=Kind.COMPLIANCE, rule="s3-tls-only", property="")
LOGS = finding(kind=Kind.COMPLIANCE, rule="s3-logs", property="")


def escalation(*findings: Finding, reason: str = "the program has to change", **more: tuple[str, ...]) -> Repair:
    return Repair("escalate", "acme", (Urn("urn:a"),), tuple(f.id for f in findings), reason, **more)  # type: ignore[arg-type]


class Passes:
    """One pass after the other, as the cycle makes them: a look, then what is not told yet is recorded."""

    def __init__(self, store: Store, time: Time) -> None:
        self.store, self.time = store, time
        lease = Lease.acquire(store, "dev", seconds=1e6, actor="ci")
        self.journal = Journal(lease, run_id="r1", actor="ci")

    def make(self, *planned: Repair, seen: tuple[Finding, ...]) -> int:
        """How many intents the pass wrote."""
        self.time.passed += 60
        sight(self.store, "dev", seen, every=True)
        before = self.intents
        for repair in planned:
            if not self.journal.told(repair):
                self.journal.conclude(self.journal.intend(repair), outcome(repair, Status.ESCALATED))
        return self.intents - before

    @property
    def intents(self) -> int:
        return sum(entry.event == "intent" for entry in entries(self.store))


@pytest.fixture
def passes(store: Store, time: Time) -> Passes:
    return Passes(store, time)


def test_an_unchanged_escalation_is_recorded_once(passes: Passes) -> None:
    """Whatever else is seen or told meanwhile."""
    written = [passes.make(escalation(TLS), seen=(TLS,))]
    written += [passes.make(escalation(TLS), escalation(LOGS), seen=(TLS, LOGS)) for _ in range(3)]
    assert written == [1, 1, 0, 0]


@pytest.mark.parametrize(
    "changed",
    [
        escalation(TLS, reason="it was tried again"),
        escalation(TLS, tried=("reapply at 12:00: not healed",)),
        escalation(TLS, look_at=("acme-data",)),
        escalation(TLS, LOGS),
    ],
)
def test_what_it_says_anew_is_recorded(passes: Passes, changed: Repair) -> None:
    """Another reason, another try, something else to look at, or another fault with it."""
    seen = (TLS, LOGS)
    told = [escalation(TLS), changed, changed, escalation(TLS)]
    assert [passes.make(each, seen=seen) for each in told] == [1, 1, 0, 1]


@pytest.mark.parametrize(("between", "again"), [(Verdict.PASS, 1), (Verdict.UNKNOWN, 0)])
def test_what_was_over_and_comes_back_is_recorded_again(passes: Passes, between: Verdict, again: int) -> None:
    """A look in between showed it in order; one that could not tell says nothing."""
    assert passes.make(escalation(TLS), seen=(TLS,)) == 1
    assert passes.make(seen=(replace(TLS, verdict=between),)) == 0
    assert passes.make(escalation(TLS), seen=(TLS,)) == again


def test_it_is_told_in_each_cell(passes: Passes, store: Store) -> None:
    """What was told of one cell says nothing to the people of another."""
    passes.make(escalation(TLS), seen=(TLS,))
    other = Journal(Lease.acquire(store, "prod", seconds=60, actor="ci"), run_id="r2", actor="ci")
    assert not other.told(escalation(TLS))

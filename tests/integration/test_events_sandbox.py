"""Events on the whole path: a change in AWS, its message in the queue, a small look, a repair, and who did it."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from reconciler.cycle import Cycle, Pass
from reconciler.explain import explain
from reconciler.model import Scan, Verdict
from reconciler.present.documents import finding_document
from reconciler.reacting import Reacting
from reconciler.service import Service
from reconciler.settings import EventSettings, Settings, load
from tests.integration.loop import (
    GOLD,
    SILVER,
    TENANTS,
    Cell,
    assert_clean,
    failing,
    names,
    naming,
    quietly,
    things,
    until,
)

pytestmark = pytest.mark.engine

INTRUDER = "arn:aws:iam::123456789012:user/intruder"


class Running:
    """``stackmend run`` in a thread of this process: one pass by the clock, and then only events."""

    def __init__(self, cycle: Cycle) -> None:
        self.passes: list[Pass] = []
        self.cycle = cycle
        self._reacting = Reacting.open(cycle, quietly, told=self.passes.append)
        self._service = Service(self._reacting.tick, 3600, self._reacting)
        self._thread = threading.Thread(target=self._service.run)

    @contextmanager
    def running(self) -> Iterator[Running]:
        self._thread.start()
        try:
            until(lambda: self.passes, "the first pass")
            yield self
        finally:
            self._service.stop()
            self._reacting.stop()
            self._thread.join(120)
            assert not self._thread.is_alive()

    def scans(self) -> list[Scan]:
        """What the passes after the first one saw."""
        return [done.scan for done in self.passes[1:]]


@contextmanager
def running(**changes: float) -> Iterator[Running]:
    settings: Settings = load()
    events = EventSettings(queue_url=settings.events.queue_url, **changes)  # type: ignore[arg-type]
    cycle = Cycle.open(settings.model_copy(update={"events": events}))
    try:
        with Running(cycle).running() as service:
            yield service
    finally:
        cycle.close()


def test_a_change_is_found_healed_and_explained_without_a_look_at_everything(cell: Cell) -> None:
    """An intruder's change leads to a look at what it touched, to its repair, and to the intruder's name."""
    with running() as service:
        cell.sandbox.break_("open-ssh", GOLD)
        until(lambda: any(done.outcomes for done in service.passes), "the repair")
        done = next(done for done in service.passes if done.outcomes)
        assert 0 < done.scan.coverage.declared < len(done.scan.declared.resources) / 4
        assert {f.tenant for f in done.scan.findings} == {GOLD}
        (outcome,) = done.outcomes
        assert (outcome.status.value, names(outcome)) == ("healed", {f"{GOLD}-server-sg"})
        assert all(scan.coverage.declared < len(scan.declared.resources) for scan in service.scans())
        found = next(f for f in done.scan.failing if f.rule == "drift.property")
        assert finding_document(found)["attribution"]["principal"] == INTRUDER
        told = explain(service.cycle.store, cell.name, found.id).finding
        assert told is not None
        assert told.attribution is not None
        assert told.attribution.event == "ec2:AuthorizeSecurityGroupIngress"
    assert_clean(cell.scan())


def test_many_failures_in_a_small_look_lead_to_a_look_at_everything(cell: Cell) -> None:
    """What breaks in many places at once is judged by a look at the whole cell before anything is repaired (I03)."""
    with running(settle_seconds=10) as service:
        for fault in ("open-ssh", "strip-tag", "expose-subnet", "mute-alarm", "suspend-versioning"):
            cell.sandbox.break_(fault, SILVER)
        until(lambda: any(done.scan.failing for done in service.passes), "a look at it")
        done = next(done for done in service.passes if done.scan.failing)
        assert done.scan.coverage.declared == len(done.scan.declared.resources)
        assert len({f.urn for f in done.scan.failing}) == 5
    with cell.cycle() as cycle:
        until(lambda: not cycle.repair(progress=quietly).scan.failing, "the rest is healed")
    assert_clean(cell.scan())


def test_a_scan_asks_cloudtrail_who_it_was(cell: Cell, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without events a scan looks the last change up by the resource's name; denied, it says so and fails not (F10)."""
    monkeypatch.setenv("STACKMEND_ATTRIBUTION__ENABLED", "true")
    cell.sandbox.break_("open-ssh", GOLD)
    cell.control.inject("access-denied", "cloudtrail", "LookupEvents")
    denied = [f.attribution for f in failing(cell.scan(GOLD)).values()]
    assert {str(who) for who in denied} == {"not known: CloudTrail refused: AccessDeniedException"}
    cell.control.clear()
    scan = cell.scan(GOLD)
    assert {f.attribution.principal for f in scan.failing if f.attribution} == {INTRUDER}
    assert all(f.attribution is None for f in scan.findings if f.verdict is Verdict.PASS)
    assert {f.id for f in scan.failing} == set(failing(scan))
    cell.repair(GOLD)
    assert_clean(cell.scan())


def test_the_queue_itself_is_kept_and_no_tenant_is_touched(cell: Cell) -> None:
    """What the cell declares for itself is found opened to everybody and set back, by one call that names no tenant's
    resource; the outputs of the stack are those of the whole cell (I10)."""
    sqs, url = cell.client("sqs"), cell.sandbox.environment()["STACKMEND_EVENTS__QUEUE_URL"]
    everybody = {"Effect": "Allow", "Principal": "*", "Action": "sqs:*", "Resource": "*"}
    opened = {"Version": "2012-10-17", "Statement": [everybody]}
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": json.dumps(opened)})
    scan = cell.scan()
    (found,) = scan.failing
    assert (found.type, found.tenant, found.property) == ("aws:sqs/queuePolicy:QueuePolicy", None, "policy")

    cell.control.reset()
    (outcome,) = cell.repair().outcomes
    assert (outcome.status.value, outcome.tenant, names(outcome)) == ("healed", None, {"events-queue-policy"})
    assert [w.call for w in cell.control.writes()] == ["sqs:SetQueueAttributes"]
    assert naming(cell.control.writes(), things(scan, TENANTS)) == []
    (declared,) = (r for r in scan.declared.resources.values() if r.urn == found.urn)
    answer = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["Policy"])
    assert json.loads(answer["Attributes"]["Policy"]) == json.loads(str(declared.inputs["policy"]))
    outputs = cell.sandbox.stack().outputs()
    assert (outputs["events_queue_url"].value, set(outputs["tenants"].value)) == (url, set(TENANTS))
    assert_clean(cell.scan())

"""The engine's events as values, and what happens when some of them are lost."""

from __future__ import annotations

from typing import Any

import pytest
from pulumi.automation.events import EngineEvent

from reconciler.act.steps import Account
from reconciler.errors import EngineError
from tests.unit.act_world import urn

VPC = urn("acme-vpc")


def step(op: str, event: str = "resourcePreEvent", **metadata: Any) -> EngineEvent:
    base = {"op": op, "urn": VPC, "type": "aws:ec2/vpc:Vpc", "provider": "", "old": {"id": "v"}, "new": {"id": "v"}}
    return EngineEvent.from_json({event: {"metadata": {**base, **metadata}}})


def summary(**changes: int) -> EngineEvent:
    return EngineEvent.from_json({"summaryEvent": {"resourceChanges": changes}})


def diagnostic(message: str, about: str = "", severity: str = "error") -> EngineEvent:
    return EngineEvent.from_json({"diagnosticEvent": {"message": message, "severity": severity, "urn": about}})


def account(*events: EngineEvent) -> Account:
    account = Account()
    for event in events:
        account.take(event)
    return account


def test_what_a_step_says() -> None:
    """Operation, changed paths, what forces a replacement, protection, and a refresh that finds nothing."""
    found = account(
        step("refresh", new=None),
        step("refresh", "resOutputsEvent", new=None),
        step("replace", diffs=["tags"], detailedDiff={"cidrBlock": {"diffKind": "update"}}, keys=["cidrBlock"]),
        step("same", old={"id": "v", "protect": True}),
        summary(replace=1, same=1),
    ).steps(complete=True)
    assert [(s.op, s.changed, s.replaced_by, s.gone, s.protect) for s in found] == [
        ("refresh", (), (), True, False),
        ("replace", ("cidrBlock", "tags"), ("cidrBlock",), False, False),
        ("same", (), (), False, True),
    ]


def test_an_update_tells_what_is_there_and_what_it_sets() -> None:
    """The values that the refresh has read, and those that the update would set; other operations tell none."""
    values: dict[str, Any] = {"old": {"id": "v", "outputs": {"days": 365}}, "new": {"id": "v", "inputs": {"days": 30}}}
    update, same = account(step("update", **values), step("same", **values), summary(update=1, same=1)).steps(
        complete=True
    )
    assert (update.before, update.after) == ({"days": 365}, {"days": 30})
    assert (same.before, same.after) == ({}, {})


def test_a_lost_event_is_an_error() -> None:
    """The engine counted a delete that no event told of: the preview is worth nothing (I06)."""
    with pytest.raises(EngineError, match="'delete'"):
        account(step("update"), summary(update=1, delete=1)).steps(complete=True)


def test_without_a_summary() -> None:
    """An engine that ends without its totals has not said everything."""
    with pytest.raises(EngineError, match="without a summary"):
        account(step("update")).steps(complete=True)


def test_errors_in_the_words_of_aws() -> None:
    """Errors are kept by resource, without colours; warnings are not errors; a failure without words still counts."""
    other = urn("acme-subnet")
    found = account(
        diagnostic("<{%fg 1%}>AccessDenied<{%reset%}>: no\n", VPC),
        diagnostic("update failed"),
        diagnostic("deprecated", VPC, severity="warning"),
        step("update", "resOpFailedEvent", urn=other),
    )
    assert found.failed == {VPC: "AccessDenied: no", other: "the engine gave no reason"}
    assert found.errors == "acme-vpc: AccessDenied: no\nupdate failed"

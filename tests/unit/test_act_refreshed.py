"""The engine's events of a refresh preview, turned into one answer for each resource it got to."""

from __future__ import annotations

from typing import Any

import pytest
from pulumi.automation.events import EngineEvent

from reconciler.act.refreshed import RefreshAccount, top_level
from reconciler.model import Refreshed, Unreadable, Urn

A, B = Urn("urn:pulumi:dev::p::t:i:T::a"), Urn("urn:pulumi:dev::p::t:i:T::b")


def state(urn: str, **inputs: Any) -> dict[str, Any]:
    return {"type": "t:i:T", "urn": urn, "id": "id-1", "parent": "", "provider": "", "inputs": inputs, "outputs": {}}


def event(kind: str, urn: str, op: str, **more: Any) -> EngineEvent:
    metadata = {"op": op, "urn": urn, "type": "t:i:T", "old": state(urn, x=1), "new": state(urn, x=2), "provider": ""}
    return EngineEvent.from_json({"sequence": 1, "timestamp": 1, kind: {"metadata": {**metadata, **more}}})


def error(words: str, urn: str | None = None) -> EngineEvent:
    body = {"message": words, "color": "never", "severity": "error", "urn": urn}
    return EngineEvent.from_json({"sequence": 1, "timestamp": 1, "diagnosticEvent": body})


def results(*events: EngineEvent) -> dict[Urn, Refreshed | Unreadable]:
    account = RefreshAccount()
    for one in events:
        account.take(one)
    return dict(account.results)


def test_only_a_result_is_an_answer() -> None:
    """A refresh that began and has no result says nothing: the engine may have stopped at another resource."""
    begun = event("resourcePreEvent", A, "refresh")
    assert results(begun) == {}
    answer = results(begun, event("resOutputsEvent", A, "same"))[A]
    assert isinstance(answer, Refreshed)
    assert (answer.exists, answer.changed, answer.before, answer.inputs) == (True, frozenset(), {"x": 1}, {"x": 2})


def test_the_three_results() -> None:
    """Same, update with the properties that differ, delete."""
    diff = {"tags.a": {"diffKind": "add", "inputDiff": False}}
    update = results(event("resOutputsEvent", A, "update", diffs=["x", "tags"], detailedDiff=diff))[A]
    assert isinstance(update, Refreshed)
    assert update.changed == frozenset({"x", "tags"})
    gone = results(event("resOutputsEvent", A, "delete", new=None))[A]
    assert isinstance(gone, Refreshed)
    assert (gone.exists, gone.id) == (False, "id-1")


def test_an_update_without_properties_is_not_taken_for_none() -> None:
    """The provider may say that something differs and not what: that is not the same as nothing."""
    answer = results(event("resOutputsEvent", A, "update"))[A]
    assert isinstance(answer, Refreshed)
    assert answer.changed is None


def test_a_failure_outranks_a_result_and_concerns_only_its_resource() -> None:
    """I06: a resource with an error is unreadable, with the provider's words."""
    found = results(event("resOutputsEvent", A, "same"), event("resOutputsEvent", B, "same"), error("AccessDenied", A))
    assert found[A] == Unreadable("AccessDenied")
    assert isinstance(found[B], Refreshed)


def test_what_is_not_a_refresh_is_no_answer() -> None:
    """Operations that a refresh does not make say nothing of a resource as it is."""
    assert results(event("resOutputsEvent", A, "create", old=None), event("resOutputsEvent", B, "read")) == {}


@pytest.mark.parametrize(
    ("path", "name"),
    [("a", "a"), ("tags.a.b", "tags"), ('tags["a.b"].c', "tags"), ("rules[0].x", "rules"), ('["a.b"].c', "a.b")],
)
def test_paths_lead_to_top_level_properties(path: str, name: str) -> None:
    """The engine writes paths with dots, indexes and quoted keys."""
    assert top_level(path) == name

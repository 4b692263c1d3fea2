"""Stacks recorded against real AWS: nothing had drifted, so no drift may be seen."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from reconciler.detect.diff import differences
from reconciler.model import DeclaredResource, ObservedResource, Presence, ResourceKind, Urn

RECORDED = Path(__file__).parents[3] / "shared" / "recorded"
MARKER = "4dabf18193072939515e22adb298388d"


def without_envelopes(value: Any) -> Any:
    if isinstance(value, dict):
        if MARKER in value:
            return "secret"
        return {k: without_envelopes(v) for k, v in value.items() if k != "__defaults"}
    return [without_envelopes(v) for v in value] if isinstance(value, list) else value


def answered(raw: Mapping[str, Any]) -> Mapping[str, Any]:
    """What AWS answers: the provider's outputs, with its default tags among the tags, where AWS has them."""
    outputs = without_envelopes(raw["outputs"])
    own, every = outputs.get("tags"), outputs.get("tagsAll")
    return {**outputs, "tags": {**every, **(own or {})}} if isinstance(every, dict) and every else outputs


def recorded() -> list[Any]:
    found = []
    for path in sorted(RECORDED.glob("*.stack.json")):
        for raw in json.loads(path.read_text())["deployment"]["resources"]:
            if raw["custom"] and not raw["type"].startswith("pulumi:"):
                found.append(pytest.param(raw, id=f"{path.name.split('.')[0]}-{raw['urn'].rsplit('::')[-1]}"))
    return found or [pytest.param(None, marks=pytest.mark.skip(reason="the recordings are not here"))]


def kind_of(token: str, described: bool) -> ResourceKind:
    if described:
        from reconciler.observe.registry import KINDS

        if token in KINDS:
            return KINDS[token]
    if token == "aws:lb/loadBalancer:LoadBalancer":
        # That AWS contradicts these two defaults with nothing wrong is a fact; no general reading can know it.
        contradicted = frozenset({"enableCrossZoneLoadBalancing", "dnsRecordClientRoutingPolicy"})
        return ResourceKind(token, unordered=frozenset({"subnets"}), contradicted=contradicted)
    return ResourceKind(token)


@pytest.mark.parametrize("described", [True, False], ids=["described", "generic"])
@pytest.mark.parametrize("raw", recorded())
def test_a_fresh_stack_has_no_drift(raw: Mapping[str, Any], described: bool) -> None:
    """Declared inputs against real outputs differ in nothing, with the type's own facts and without any."""
    kind = kind_of(raw["type"], described)
    declared = DeclaredResource(
        Urn(raw["urn"]),
        raw["type"],
        raw["urn"].rsplit("::")[-1],
        raw["id"],
        without_envelopes(raw["inputs"]),
        frozenset(raw.get("propertyDependencies") or {}),
    )
    observed = ObservedResource(declared.urn, Presence.PRESENT, answered(raw))
    assert differences(kind, declared, observed) == ()


@pytest.mark.parametrize("raw", recorded())
def test_every_recorded_word_that_changes_is_seen(raw: Mapping[str, Any]) -> None:
    """The other way round: each declared text of a recording, changed in the outputs, is a difference."""
    inputs = without_envelopes(raw["inputs"])
    texts = {k for k, v in inputs.items() if isinstance(v, str) and v not in ("", "secret") and k != "region"}
    declared = DeclaredResource(Urn(raw["urn"]), raw["type"], "x", raw["id"], inputs, frozenset(inputs))
    for name in texts:
        outputs = {**without_envelopes(raw["outputs"]), name: "changed"}
        found = differences(
            ResourceKind(raw["type"]), declared, ObservedResource(declared.urn, Presence.PRESENT, outputs)
        )
        assert name in {d.property for d in found}

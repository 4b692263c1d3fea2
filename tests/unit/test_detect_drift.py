"""Drift findings: what is missing, what changed, what is not known, and what people are told."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from reconciler.detect import drift as module
from reconciler.detect.drift import changed_declarations, drift
from reconciler.model import (
    ChangedDeclaration,
    Declared,
    DeclaredResource,
    Finding,
    ObservedResource,
    Presence,
    ResourceKind,
    Secret,
    Severity,
    Unreadable,
    Urn,
    Verdict,
)

URN = Urn("urn:pulumi:dev::p::aws:x/y:Y::a")
KIND = ResourceKind("aws:x/y:Y", write_only=frozenset({"never"}))


def resource(inputs: dict[str, Any], *, external: bool = False) -> DeclaredResource:
    return DeclaredResource(URN, "aws:x/y:Y", "a", "id-1", inputs, tenant="acme", external=external)


def found(
    inputs: dict[str, Any],
    properties: dict[str, Any],
    presence: Presence = Presence.PRESENT,
    *,
    reason: str = "",
    kind: ResourceKind = KIND,
) -> list[Finding]:
    findings = list(drift(resource(inputs), ObservedResource(URN, presence, properties, reason), kind))
    assert {f.rule for f in findings} <= module.RULES.keys()
    return findings


def test_a_resource_as_declared_passes_once() -> None:
    """One PASS for the resource, so that an auditor sees that it was looked at."""
    (finding,) = found({"a": 1, "b": 2}, {"a": 1, "b": 2})
    assert (finding.rule, finding.verdict, finding.tenant) == ("drift.property", Verdict.PASS, "acme")


def test_a_missing_resource_is_one_finding_graver_where_data_is_lost() -> None:
    """Absence is a single finding, whatever was declared; critical for what holds data."""
    (finding,) = found({"a": 1}, {}, Presence.ABSENT, reason="not in the listing")
    assert (finding.rule, finding.verdict, finding.severity) == ("drift.missing", Verdict.FAIL, Severity.HIGH)
    (finding,) = found({"a": 1}, {}, Presence.ABSENT, kind=ResourceKind("aws:x/y:Y", stateful=True))
    assert finding.severity is Severity.CRITICAL


def test_unknown_presence_is_unknown() -> None:
    """I06, F10: a read that failed is neither a pass nor a fault."""
    (finding,) = found({"a": 1}, {}, Presence.UNKNOWN, reason="AccessDenied")
    assert (finding.rule, finding.verdict) == ("drift.unreadable", Verdict.UNKNOWN)
    assert "AccessDenied" in finding.message


def test_each_differing_property_is_one_finding_with_words() -> None:
    """One finding a property; the message says declared and observed; the same ones have no PASS beside them."""
    findings = found({"a": 1, "b": "x", "c": True}, {"a": 2, "b": "y", "c": True})
    assert [(f.property, f.verdict, f.message) for f in findings] == [
        ("a", Verdict.FAIL, "a: declared 1, observed 2"),
        ("b", Verdict.FAIL, 'b: declared "x", observed "y"'),
    ]
    assert (findings[0].declared, findings[0].observed) == (1, 2)


def test_an_unreadable_property_is_unknown_beside_the_failing_ones() -> None:
    """I06: the property that could not be read is UNKNOWN, the others keep their verdicts."""
    findings = found({"a": 1, "b": 1}, {"a": Unreadable("throttled"), "b": 2})
    assert [(f.property, f.verdict) for f in findings] == [("a", Verdict.UNKNOWN), ("b", Verdict.FAIL)]


def test_messages_hold_no_control_characters_and_no_secrets() -> None:
    """B44, T11, I13: terminal escapes and line breaks in live values are spelled out; secrets stay closed."""
    live = {"tags": {"Name": "\x1b[31mred\nfake log line", "p\x1b": "\u202e"}, "env": {"P": "hunter2", "M": "2"}}
    findings = found({"tags": {"Name": "a"}, "env": {"P": Secret(), "M": "1"}}, live)
    text = " ".join(f.message for f in findings)
    assert text.isprintable()
    assert text.isascii()
    assert "hunter2" not in text + repr([f.observed for f in findings])


def test_long_values_and_many_parts_are_cut() -> None:
    """B47: a huge tag set makes a short message."""
    (finding,) = found({"tags": {}, "__defaults": []}, {"tags": {f"k{i:04}": "v" * 500 for i in range(1000)}})
    assert len(finding.message) < 600
    assert finding.message.endswith("and 997 more")


def test_what_the_program_only_reads_cannot_drift() -> None:
    """A resource owned elsewhere has no drift against this program."""
    seen = ObservedResource(URN, Presence.ABSENT)
    assert list(drift(resource({"a": 1}, external=True), seen, KIND)) == []


def test_a_declaration_changed_behind_the_programs_back_fails() -> None:
    """A refresh that wrote live values into the state is a finding with both values."""
    declared = Declared(
        cell="dev",
        project="p",
        account="1",
        region="eu",
        resources={URN: resource({"a": 1})},
        tampered=(ChangedDeclaration(URN, "a", 1, 2), ChangedDeclaration(Urn("gone"), "a", 1, 2)),
    )
    (finding,) = changed_declarations(declared)
    assert (finding.rule, finding.verdict, finding.property) == ("drift.declaration-changed", Verdict.FAIL, "a")
    assert finding.message == "the state says a 2 instead of 1, but no update declared that"


names = st.text(st.characters(categories=["L"]), min_size=1, max_size=5)
values = st.integers() | st.text(max_size=5) | st.just(Unreadable("denied"))


@given(inputs=st.dictionaries(names, st.integers() | st.text(max_size=5)), live=st.dictionaries(names, values))
def test_ids_are_unique_and_stable_and_unreadable_never_fails(inputs: dict[str, Any], live: dict[str, Any]) -> None:
    """Findings of one resource have distinct ids, the same ones at each look, and I06 holds for each."""
    findings = found(inputs, live)
    assert len({f.id for f in findings}) == len(findings)
    assert [f.id for f in findings] == [f.id for f in found(inputs, dict(reversed(live.items())))]
    assert findings
    for finding in findings:
        if isinstance(live.get(finding.property), Unreadable):
            assert finding.verdict is Verdict.UNKNOWN

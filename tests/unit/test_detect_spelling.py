"""Differences that are only another spelling: who has to agree, what can never be one, and what stays drift."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path as Folder

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.detect.detect import detect
from reconciler.detect.diff import Difference
from reconciler.detect.health import _launches_as_declared
from reconciler.detect.rules import RULES
from reconciler.detect.spelling import ACCESS, agreed, candidates, first_looks, mark, respelled, spelling
from reconciler.errors import EngineError
from reconciler.model import (
    ChangedDeclaration,
    Declared,
    DeclaredResource,
    Finding,
    Kind,
    Observed,
    ObservedResource,
    Path,
    Presence,
    Refreshed,
    ResourceKind,
    Severity,
    Spelling,
    TenantFacts,
    Unreadable,
    Urn,
    Value,
    Verdict,
)
from reconciler.record.store import Store
from reconciler.spellings import Spellings
from tests.unit.observe_worlds import declared, resource

NOW = datetime(2026, 1, 1, tzinfo=UTC)
TYPE = "aws:cloudwatch/metricAlarm:MetricAlarm"
KINDS = {
    TYPE: ResourceKind(TYPE, unordered=frozenset({"alarmActions"}), documents=frozenset({"policy", "rules[].text"})),
    **{t: ResourceKind(t, unordered=frozenset({"ingress"})) for t in ACCESS},
}
INPUTS: dict[str, Value] = {"operator": "GreaterThan", "threshold": 1}
ALARM = resource(TYPE, "acme-5xx", "acme-5xx-1", INPUTS)
WORLD = declared(ALARM, version=7)


def seen(of: DeclaredResource = ALARM, **live: Value) -> Observed:
    """The resource as declared, but for ``live``."""
    return Observed({of.urn: ObservedResource(of.urn, Presence.PRESENT, {**of.inputs, **live})})


SPELLED = seen(operator="gt")


def answer(*changed: str, of: DeclaredResource = ALARM) -> dict[Urn, Refreshed | Unreadable]:
    return {of.urn: Refreshed(of.id, True, frozenset(changed), before=of.inputs)}


def verdicts(world: Declared, observed: Observed, spellings: Collection[Spelling] = ()) -> tuple[Finding, ...]:
    return detect(world, observed, KINDS, now=NOW, spellings=spellings)


def suspects(world: Declared, observed: Observed, *more: Finding) -> set[str]:
    found = (*verdicts(world, observed), *more)
    return {s.property for s in candidates(world, observed, found, KINDS, RULES)}


# --- what is known -----------------------------------------------------------------------------------------

GT = spelling(ALARM.urn, Difference("operator", "GreaterThan", "gt"))


def test_a_known_spelling_passes_with_words() -> None:
    """It is shown as what it is, of low severity, beside the PASS of a resource that is as declared."""
    found = [f for f in verdicts(WORLD, SPELLED, [GT]) if f.kind is Kind.DRIFT]
    assert {(f.rule, f.property, f.verdict) for f in found} == {
        ("drift.normalisation", "operator", Verdict.PASS),
        ("drift.property", "", Verdict.PASS),
    }
    (note,) = (f for f in found if f.rule == "drift.normalisation")
    assert (note.severity, note.declared, note.observed) == (Severity.LOW, "GreaterThan", "gt")
    assert "another spelling" in note.message


@given(st.text() | st.integers() | st.lists(st.text(max_size=3)))
def test_any_other_value_is_drift_again(value: str | int | list[str]) -> None:
    """Only the very value that was confirmed stands for the declared one."""
    failing = [f for f in verdicts(WORLD, seen(operator=value), [GT]) if f.verdict is Verdict.FAIL]
    assert [f.property for f in failing] == ([] if value in ("gt", "GreaterThan") else ["operator"])


@given(st.text(), st.text(), st.text())
def test_a_spelling_is_of_one_property_and_one_declared_value(name: str, want: str, have: str) -> None:
    """Its digests tell declared from observed, and one property from another."""
    one = spelling(ALARM.urn, Difference(name, want, have))
    assert (one == spelling(ALARM.urn, Difference(name, have, want))) == (want == have)
    assert one != spelling(ALARM.urn, Difference(name + "x", want, have))
    assert one != spelling(ALARM.urn, Difference(name, want + "x", have))


def test_without_spellings_nothing_is_respelled() -> None:
    """Drift is what it always was."""
    assert respelled(WORLD, SPELLED, KINDS, []) == (SPELLED, ())


def test_rules_judge_what_was_really_observed() -> None:
    """A compliance rule is never shown the declared value in place of the live one."""
    type_, name = "aws:s3/bucketVersioning:BucketVersioning", "versioningConfiguration"
    want: dict[str, Value] = {"status": "Enabled"}
    live: dict[str, Value] = {"status": "Suspended"}
    bucket = resource(type_, "acme-data-versioning", "b", {name: want})
    world = declared(bucket, tenants={"acme": TenantFacts("acme", "gold", frozenset({"pci-dss", "soc2", "hipaa"}))})
    found = verdicts(world, seen(bucket, **{name: live}), [spelling(bucket.urn, Difference(name, want, live))])
    assert {f.verdict for f in found if f.kind is Kind.DRIFT} == {Verdict.PASS}
    assert {f.verdict for f in found if f.kind is Kind.COMPLIANCE} == {Verdict.FAIL}


def test_a_respelled_template_is_one_that_is_as_declared() -> None:
    """Servers are judged against their template only while it is as declared; another spelling does not stop that."""
    template = resource("aws:ec2/launchTemplate:LaunchTemplate", "t", "lt-1", {"imageId": "ami-1"})
    group = resource("aws:autoscaling/group:Group", "g", "g-1", {"launchTemplate": {"id": "lt-1"}})
    world = declared(template, group)
    observed = Observed({**seen(template, imageId="AMI-1").resources, **seen(group).resources})
    known = [spelling(template.urn, Difference("imageId", "ami-1", "AMI-1"))]
    group_seen = observed.resources[group.urn]
    assert not _launches_as_declared(group, group_seen, world, observed, {})
    assert _launches_as_declared(group, group_seen, world, respelled(world, observed, {}, known)[0], {})


# --- what may become one -----------------------------------------------------------------------------------


def test_a_property_difference_may_be_a_spelling() -> None:
    """The ordinary case."""
    assert suspects(WORLD, SPELLED) == {"operator"}


def test_a_missing_or_unreadable_thing_is_none() -> None:
    """I06: never a resource that is gone, never a value that was not read."""
    gone = Observed({ALARM.urn: ObservedResource(ALARM.urn, Presence.ABSENT)})
    assert suspects(WORLD, gone) == suspects(WORLD, seen(operator=Unreadable("denied"))) == set()
    assert suspects(WORLD, seen(operator={"deep": Unreadable("denied")})) == set()


@pytest.mark.parametrize("type_", sorted(ACCESS))
def test_firewall_rules_are_none(type_: str) -> None:
    """Who may reach what is never accepted by a comparison, whatever the provider says."""
    group = resource(type_, "sg", "sg-1", {"ingress": [{"cidrBlocks": ["10.0.0.0/8"]}], "description": "d"})
    assert suspects(declared(group), seen(group, ingress=[], description="e")) == set()


@pytest.mark.parametrize(("name", "want"), [("policy", "{}"), ("rules", [{"text": "{}"}])])
def test_policies_are_none(name: str, want: Value) -> None:
    """Nor is a document that says who may do what, or a list that holds some."""
    holder = resource(TYPE, "acme-5xx", "x", {name: want})
    assert suspects(declared(holder), seen(holder, **{name: "other"})) == set()


@pytest.mark.parametrize("verdict", [Verdict.FAIL, Verdict.UNKNOWN])
def test_what_a_rule_objects_to_is_none(verdict: Verdict) -> None:
    """A property that a compliance rule reads and does not pass stays drift."""
    rule = next(r for r in RULES if TYPE in r.reads)
    name = rule.reads[TYPE][0]
    alarm = resource(TYPE, "acme-5xx", "x", {name: ["a"], "other": 1})
    objection = Finding(rule.id, Kind.COMPLIANCE, verdict, Severity.HIGH, alarm.urn, TYPE, "x", "acme", "bad")
    world, live = declared(alarm), seen(alarm, other=2, **{name: ["b"]})
    drift = tuple(f for f in verdicts(world, live) if f.kind is Kind.DRIFT)
    found = candidates(world, live, (*drift, objection), KINDS, RULES)
    assert {s.property for s in found} == {"other"}
    assert {s.property for s in candidates(world, live, drift, KINDS, RULES)} == {"other", name}


def test_what_a_rule_asks_where_it_is_declared_is_no_spelling() -> None:
    """So does one that the rule reads only where the resource declares it."""
    rule = next(r for r in RULES if TYPE in r.reads)
    only_here = replace(rule, reads={TYPE: ("period",)}, reads_declared={TYPE: ("inside",)})
    alarm = resource(TYPE, "acme-5xx", "x", {"inside": ["a"], "other": 1})
    objection = Finding(rule.id, Kind.COMPLIANCE, Verdict.FAIL, Severity.HIGH, alarm.urn, TYPE, "x", "acme", "bad")
    world, live = declared(alarm), seen(alarm, other=2, inside=["b"])
    drift = tuple(f for f in verdicts(world, live) if f.kind is Kind.DRIFT)
    found = candidates(world, live, (*drift, objection), KINDS, [only_here])
    assert {s.property for s in found} == {"other"}


def test_a_changed_declaration_is_none() -> None:
    """A state that was written over vouches for nothing."""
    tampered = replace(WORLD, tampered=(ChangedDeclaration(ALARM.urn, "operator", "GreaterThan", "gt"),))
    assert suspects(tampered, SPELLED) == set()


def test_what_the_engine_itself_saw_is_none() -> None:
    """One witness cannot be two."""
    by_engine = replace(SPELLED.resources[ALARM.urn], path=Path.REFRESH)
    assert suspects(WORLD, Observed({ALARM.urn: by_engine})) == set()


AGREES = Refreshed(ALARM.id, True, frozenset(), before=INPUTS)


@pytest.mark.parametrize(
    "said",
    [
        None,
        Unreadable("denied"),
        replace(AGREES, changed=frozenset({"operator"})),
        replace(AGREES, changed=None),
        replace(AGREES, exists=False),
        replace(AGREES, id="another"),
        replace(AGREES, partial="half of it"),
        replace(AGREES, before={}),
        replace(AGREES, before={"operator": "gt"}),
    ],
)
def test_the_provider_must_see_no_difference_from_what_was_declared(said: Refreshed | Unreadable | None) -> None:
    """Anything but a clear answer about this resource, this property and this declared value is no agreement."""
    witness = {} if said is None else {ALARM.urn: said}
    assert agreed([GT], WORLD, witness) == frozenset()
    assert agreed([GT], WORLD, {ALARM.urn: AGREES}) == {GT}


# --- how it is learnt --------------------------------------------------------------------------------------


class Learner:
    """Looks at one alarm as it is now; counts how often the engine was asked."""

    def __init__(self, store: Store) -> None:
        self.live = SPELLED
        self.later: Observed | None = None
        self.world = WORLD
        self.said: Callable[[], Mapping[Urn, Refreshed | Unreadable]] = answer
        self.asked = 0
        self.spellings = Spellings(store, KINDS, self._refresh, "tester")

    def _refresh(self, urns: Collection[Urn]) -> Mapping[Urn, Refreshed | Unreadable]:
        assert set(urns) == {ALARM.urn}
        self.asked += 1
        return self.said()

    def failing(self) -> set[str]:
        """The properties that fail at one look."""
        known = self.spellings.known(self.world)
        first = (self.live, verdicts(self.world, self.live, known.spellings))
        again = self.later or self.live
        learnt = self.spellings.learn(self.world, known, first, lambda _: (again, verdicts(self.world, again)))
        found = verdicts(self.world, self.live, learnt.spellings)
        return {f.property for f in found if f.kind is Kind.DRIFT and f.verdict is Verdict.FAIL}


@pytest.fixture
def learner(tmp_path: Folder) -> Iterator[Learner]:
    with Store.open(f"sqlite:///{tmp_path}/dev.db") as store:
        yield Learner(store)


def test_the_first_look_learns_and_later_ones_remember(learner: Learner) -> None:
    """The engine is asked once an update; a changed value is drift again, and the known one is not."""
    assert learner.failing() == set()
    assert learner.failing() == set()
    learner.live = seen(operator="lt")
    assert learner.failing() == {"operator"}
    learner.live = SPELLED
    assert learner.failing() == set()
    assert learner.asked == 1


def test_what_nobody_reads_keeps_nothing_from_being_learnt() -> None:
    """A declared property that its observer never answers is unknown for ever; the others are asked about all the same.

    One that could not be read this time is another matter: the resource is asked about at the next look.
    """
    unread = replace(ALARM, inputs={**ALARM.inputs, "neverRead": "x"})
    asked = [
        list(first_looks(live, verdicts(declared(unread), live)))
        for live in (seen(operator="gt"), seen(operator="gt", neverRead=Unreadable("denied")))
    ]
    assert asked == [[unread.urn], []]


def test_what_differs_later_is_never_a_spelling(learner: Learner) -> None:
    """A difference that was not there at the first look is drift, and the engine is not even asked."""
    learner.live = seen()
    assert learner.failing() == set()
    learner.live = SPELLED
    assert learner.failing() == {"operator"}
    assert learner.asked == 0


def test_a_real_change_before_the_first_look_is_seen_by_the_provider(learner: Learner) -> None:
    """An attacker who is faster than the first look: both witnesses see it, so it is drift, now and later."""
    learner.live = seen(operator="gt", threshold=99)
    learner.said = lambda: answer("threshold")
    assert learner.failing() == {"threshold"}
    assert learner.failing() == {"threshold"}
    assert learner.asked == 1


def test_a_change_that_is_undone_while_the_engine_looks_is_no_spelling(learner: Learner) -> None:
    """Seen changed, then undone for the engine's look: the third look does not confirm it, so it stays drift."""
    learner.later = seen()
    assert learner.failing() == {"operator"}
    learner.later = None
    assert learner.failing() == {"operator"}


@pytest.mark.parametrize("said", [{}, {ALARM.urn: Unreadable("denied")}])
def test_an_engine_that_does_not_answer_is_asked_again(
    learner: Learner, said: Mapping[Urn, Refreshed | Unreadable]
) -> None:
    """Until it answers, the difference is drift."""
    learner.said = lambda: said
    assert learner.failing() == {"operator"}
    learner.said = answer
    assert learner.failing() == set()
    assert learner.asked == 2


def test_an_engine_that_fails_costs_nothing_but_the_knowledge(learner: Learner) -> None:
    """Without an engine everything is as without this."""

    def broken() -> Mapping[Urn, Refreshed | Unreadable]:
        raise EngineError("the Pulumi CLI is not on the PATH")

    learner.said = broken
    assert learner.failing() == {"operator"}


@pytest.mark.parametrize(
    "change",
    [
        lambda w: replace(w, version=8),
        lambda w: replace(w, resources={ALARM.urn: replace(ALARM, id="acme-5xx-2")}),
        lambda w: replace(w, resources={ALARM.urn: replace(ALARM, inputs={**INPUTS, "operator": "LessThan"})}),
    ],
)
def test_an_update_a_new_resource_or_a_new_declaration_is_learnt_anew(
    learner: Learner, change: Callable[[Declared], Declared]
) -> None:
    """What was known of the old one is void; the engine is asked again, and here it sees a difference."""
    assert learner.failing() == set()
    learner.world = change(WORLD)
    learner.said = lambda: answer("operator")
    assert learner.failing() == {"operator"}
    assert learner.asked == 2


def test_a_look_at_some_resources_says_nothing_of_the_others(learner: Learner) -> None:
    """What was observed along with them, but not judged, is not taken for looked at."""
    known = learner.spellings.known(WORLD)
    learner.spellings.learn(WORLD, known, (SPELLED, ()), lambda _: (SPELLED, ()))
    assert learner.failing() == set()
    assert learner.asked == 1


def test_the_mark_follows_id_and_inputs() -> None:
    """It is stable, and changes with either."""
    assert mark(ALARM) == mark(replace(ALARM, tenant="x"))
    assert len({mark(ALARM), mark(replace(ALARM, id="x")), mark(replace(ALARM, inputs={}))}) == 3

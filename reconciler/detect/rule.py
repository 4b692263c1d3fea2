"""What a compliance rule is, and how it is asked: three values, and silence where it has nothing to say.

A rule states which live properties it reads. It is only asked when AWS answered for all of them, so a rule cannot
mistake a failed read for a bad value; one that crashes says UNKNOWN, never "no findings".
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field

import structlog

from reconciler.detect.diff import first_unreadable
from reconciler.detect.findings import about, plain
from reconciler.model import (
    Declared,
    DeclaredResource,
    Finding,
    Kind,
    ObservedResource,
    Presence,
    Secret,
    Severity,
    TenantFacts,
    Value,
    Verdict,
)

log = structlog.get_logger(__name__)

Properties = Mapping[str, Value]
"""The live properties a rule asked for, all readable; None where AWS says that nothing is set."""


@dataclass(frozen=True, slots=True)
class Context:
    """What a rule may know besides the properties it reads."""

    resource: DeclaredResource
    tenant: TenantFacts
    declared: Declared
    """The whole cell, however little of it is looked at."""

    def is_anothers(self, type_: str, ids: Collection[str]) -> bool:
        """Whether one of these ids is that of a resource which the cell declares for another tenant."""
        mine = (None, self.resource.tenant)
        return any(r.id in ids and r.tenant not in mine for r in self.declared.of_type(type_))


@dataclass(frozen=True, slots=True)
class Judgement:
    """A rule's answer: ``bad`` says what is wrong, else ``unknown`` what cannot be told; empty both if all is well.

    ``observed`` is the evidence.
    """

    bad: str = ""
    observed: Value = None
    unknown: str = ""


OK = Judgement()


@dataclass(frozen=True, slots=True)
class Example:
    """Live properties of one resource of ``type``, to show what a rule accepts and what it does not."""

    type: str
    properties: Properties
    regimes: frozenset[str] = frozenset({"pci-dss", "hipaa", "gdpr", "soc2"})


@dataclass(frozen=True, slots=True)
class Rule:
    """One compliance rule. ``check`` is pure and returns None where the rule does not apply to the resource."""

    id: str
    title: str
    description: str
    severity: Severity
    source: str
    """URL of where AWS or the regime says so."""
    reads: Mapping[str, tuple[str, ...]]
    """The live properties the rule reads, by resource type."""
    check: Callable[[Properties, Context], Judgement | None]
    passing: Example
    failing: Example
    controls: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Control numbers by regime. The rule is asked for tenants under one of these regimes."""
    reads_declared: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """What it reads as well, where the resource declares it: elsewhere no observer returns it."""
    always: bool = False
    """Asked for every tenant, whatever its regimes."""
    companion: Mapping[str, str] = field(default_factory=dict)
    """Resource type → the type that must be declared for each of them, naming it by its input ``bucket``."""
    heeds: frozenset[str] = frozenset()
    """The names inside the properties it reads that alone it looks at, if not at all of them. A secret under another
    name, like a login's in a listener's actions, hides nothing from it."""

    def concerns(self, type_: str) -> bool:
        return type_ in self.reads or type_ in self.companion

    def names(self, resource: DeclaredResource) -> list[str]:
        """The live properties of this resource that the rule reads; nothing of a type that it does not judge."""
        asked = [name for name in self.reads_declared.get(resource.type, ()) if name in resource.inputs]
        return [*self.reads.get(resource.type, ()), *asked]

    def applies(self, regimes: Collection[str]) -> bool:
        return self.always or not self.controls.keys().isdisjoint(regimes)


def judge(
    rule: Rule, declared: Declared, resource: DeclaredResource, seen: ObservedResource, tenant: TenantFacts
) -> Iterator[Finding]:
    """What ``rule`` says of one resource. Nothing of an absent one: that it is missing is a finding of its own."""
    if seen.presence is Presence.ABSENT or not rule.applies(tenant.regimes):
        return
    if resource.type in rule.companion and not _has_companion(declared, resource, rule.companion[resource.type]):
        message = f"no {rule.companion[resource.type].rsplit(':', 1)[-1]} is declared for it"
        yield about(resource, rule.id, Kind.COMPLIANCE, Verdict.FAIL, rule.severity, message)
    if resource.type not in rule.reads:
        return
    names = rule.names(resource)
    unknown = _unknown(rule, names, seen)
    if unknown:
        yield about(resource, rule.id, Kind.COMPLIANCE, Verdict.UNKNOWN, rule.severity, unknown)
        return
    properties = {name: seen.properties[name] for name in names}
    try:
        judgement = rule.check(properties, Context(resource, tenant, declared))
    except Exception:
        log.exception("rule crashed", rule=rule.id, urn=resource.urn)
        message = "the rule crashed; the traceback is in the log"
        yield about(resource, rule.id, Kind.COMPLIANCE, Verdict.UNKNOWN, rule.severity, message)
        return
    if judgement is not None:
        verdict = Verdict.FAIL if judgement.bad else Verdict.UNKNOWN if judgement.unknown else Verdict.PASS
        message, found = plain(judgement.bad or judgement.unknown) or rule.title, judgement.observed
        if any(_sealed(rule, resource.inputs.get(name)) for name in names):
            # AWS answers in clear what was declared as a secret (I13).
            message, found = rule.title, Secret()
            if judgement.bad:
                message = f"this does not hold, in what was declared as a secret: {rule.title}"
        yield about(resource, rule.id, Kind.COMPLIANCE, verdict, rule.severity, message, observed=found)


def mapping(value: Value) -> Mapping[str, Value]:
    """A block that may not be set."""
    return value if isinstance(value, Mapping) else {}


def items(value: Value) -> tuple[Value, ...]:
    """A list that may not be set; one thing alone counts as a list of it."""
    if value is None or value == "":
        return ()
    return tuple(value) if isinstance(value, list | tuple) else (value,)


def is_true(value: Value) -> bool:
    """A boolean, which some properties spell as a string."""
    return value is True or value == "true"


def _unknown(rule: Rule, names: Collection[str], seen: ObservedResource) -> str:
    """Why the rule cannot be asked; empty if it can."""
    if seen.presence is Presence.UNKNOWN:
        return f"not known: {plain(seen.reason)}"
    for name in names:
        if name not in seen.properties:
            return f"{name} is not known: the observer does not return it"
        if (unreadable := first_unreadable(seen.properties[name])) is not None:
            return f"{name} is not known: {plain(unreadable.reason)}"
        if _sealed(rule, seen.properties[name]):
            return f"{name} is not known: it is a secret"
    return ""


def _sealed(rule: Rule, value: Value) -> bool:
    """Whether a secret hides something that the rule looks at: whatever stands behind it may be right or wrong."""
    if isinstance(value, Mapping):
        return any(_sealed(rule, part) for key, part in value.items() if not rule.heeds or key in rule.heeds)
    return isinstance(value, Secret) or (isinstance(value, list | tuple) and any(_sealed(rule, v) for v in value))


def _has_companion(declared: Declared, resource: DeclaredResource, type_: str) -> bool:
    return not declared.named_by(type_).isdisjoint({resource.urn, resource.id} - {""})

"""The stage as a whole: complete, ordered, and silent about nothing that was declared."""

from __future__ import annotations

from collections.abc import Callable, Collection
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from reconciler.detect.detect import detect
from reconciler.detect.exceptions import parse
from reconciler.model import (
    Declared,
    DeclaredResource,
    Finding,
    Kind,
    Observed,
    ObservedResource,
    Presence,
    ResourceKind,
    Stray,
    TenantFacts,
    Unreadable,
    Urn,
    Verdict,
)

NOW = datetime(2026, 3, 1, tzinfo=UTC)
VERSIONING = "aws:s3/bucketVersioning:BucketVersioning"
ENABLED: dict[str, Any] = {"bucket": "b", "versioningConfiguration": {"status": "Enabled"}}


def resource(name: str, tenant: str | None = "acme", type_: str = VERSIONING, **inputs: Any) -> DeclaredResource:
    return DeclaredResource(
        Urn(f"urn:pulumi:dev::p::{type_}::{name}"), type_, name, name, inputs or ENABLED, tenant=tenant
    )


def declared(*resources: DeclaredResource) -> Declared:
    tenants = {name: TenantFacts(name, "gold", frozenset({"hipaa"})) for name in ("acme", "beta")}
    return Declared("dev", "p", "123456789012", "eu-west-1", {r.urn: r for r in resources}, tenants)


def present(r: DeclaredResource, **properties: Any) -> ObservedResource:
    return ObservedResource(r.urn, Presence.PRESENT, properties or r.inputs)


def look(
    world: Declared, *seen: ObservedResource, strays: tuple[Stray, ...] = (), only: Collection[Urn] | None = None
) -> tuple[Finding, ...]:
    kinds = {VERSIONING: ResourceKind(VERSIONING, stateful=True)}
    return detect(world, Observed({s.urn: s for s in seen}, strays=strays), kinds, now=NOW, only=only)


def test_everything_as_declared_passes_every_rule() -> None:
    """Drift and compliance each say PASS, and nothing fails."""
    r = resource("a")
    assert {(f.rule, f.verdict) for f in look(declared(r), present(r))} == {
        ("drift.property", Verdict.PASS),
        ("s3-versioning", Verdict.PASS),
    }


def test_a_resource_nobody_looked_at_is_unknown() -> None:
    """I06: what observation does not mention is UNKNOWN to every rule, and never a pass."""
    assert {f.verdict for f in look(declared(resource("a")))} == {Verdict.UNKNOWN}


def test_a_missing_resource_is_reported_once() -> None:
    """Compliance rules are silent about what does not exist."""
    r = resource("a")
    assert [f.rule for f in look(declared(r), ObservedResource(r.urn, Presence.ABSENT))] == ["drift.missing"]


def test_rules_hold_for_the_regimes_of_the_tenant_only() -> None:
    """A rule of HIPAA is not asked for a tenant without it, nor for what belongs to no tenant."""
    shop, shared = resource("a", tenant="shop"), resource("b", tenant=None)
    live = [present(r, bucket="b", versioningConfiguration=None) for r in (shop, shared)]
    assert {f.rule for f in look(declared(shop, shared), *live)} == {"drift.property"}


def test_strays_are_orphans_with_ids_of_their_own() -> None:
    """Strays are findings with distinct ids, also two of one name, without URN and with the tenant they claim."""
    types = ("aws:iam/role:Role", "aws:s3/bucket:Bucket")
    strays = tuple(Stray(type_, id_, "acme", f"\x1b{id_}", {}) for type_ in types for id_ in ("x", "y"))
    findings = look(declared(), strays=strays)
    assert [(f.kind, f.urn, f.resource_id, f.tenant) for f in findings] == [
        (Kind.ORPHAN, "", id_, "acme") for id_ in ("x", "y", "x", "y")
    ]
    assert len({f.id for f in findings}) == 4
    assert all(f.message.isprintable() for f in findings)


def test_a_look_at_some_resources_speaks_of_no_others() -> None:
    """``only`` leaves out other resources and all strays."""
    a, b = resource("a"), resource("b")
    strays = (Stray("t", "x", None, "x", {}),)
    findings = look(declared(a, b), present(a), present(b), strays=strays, only=[a.urn])
    assert {f.urn for f in findings} == {a.urn}


def test_accepted_findings_are_shown() -> None:
    """An exception marks the finding; it does not remove it."""
    r = resource("a")
    raw = [{"rule": "drift.missing", "owner": "ana", "reason": "moved", "expires": NOW + timedelta(days=1)}]
    seen = Observed({r.urn: ObservedResource(r.urn, Presence.ABSENT)})
    (finding,) = detect(declared(r), seen, {}, exceptions=parse(raw, where="x"), now=NOW)
    assert finding.accepted is not None
    assert finding.verdict is Verdict.FAIL


@given(
    data=st.data(),
    states=st.lists(st.sampled_from(["same", "drift", "absent", "unknown", "unreadable"]), max_size=6),
)
def test_findings_do_not_depend_on_order(data: st.DataObject, states: list[str]) -> None:
    """Whatever order resources come in, the findings are the same in the same order, with distinct ids; I06 holds."""
    resources = [resource(f"r{i}", tenant=("acme", "beta")[i % 2]) for i in range(len(states))]
    live: dict[str, Callable[[DeclaredResource], ObservedResource]] = {
        "same": present,
        "drift": lambda r: present(r, bucket="b", versioningConfiguration={"status": "Suspended"}),
        "absent": lambda r: ObservedResource(r.urn, Presence.ABSENT),
        "unknown": lambda r: ObservedResource(r.urn, Presence.UNKNOWN, reason="x"),
        "unreadable": lambda r: present(r, bucket="b", versioningConfiguration=Unreadable("x")),
    }
    seen = [live[state](r) for state, r in zip(states, resources, strict=True)]
    findings = look(declared(*resources), *seen)
    shuffled = data.draw(st.permutations(resources))
    assert look(declared(*shuffled), *reversed(seen)) == findings
    assert len({f.id for f in findings}) == len(findings)
    failing = {f.urn for f in findings if f.verdict is Verdict.FAIL}
    assert failing == {r.urn for state, r in zip(states, resources, strict=True) if state in ("drift", "absent")}
    assert {f.urn for f in findings} == {r.urn for r in resources}

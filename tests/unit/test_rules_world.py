"""The world the components declare, against every rule: what is deployed as declared is compliant."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from reconciler.detect.detect import detect
from reconciler.detect.rules import RULES
from reconciler.model import (
    Declared,
    DeclaredResource,
    Finding,
    Kind,
    Observed,
    ObservedResource,
    Presence,
    TenantFacts,
    Urn,
    Verdict,
)
from tenancy.regimes import Regime
from tenancy.tenant import Tenant
from tests.unit.components_recorder import record
from tests.unit.test_components_world import ACCOUNT, TENANT

NOW = datetime(2026, 3, 1, tzinfo=UTC)
AWS_DEFAULTS: dict[str, Any] = {"isEnabled": True, "actionsEnabled": True, "ruleActions": []}
"""What AWS answers for what the program leaves open."""


def declared(regimes: frozenset[Regime]) -> Declared:
    def program() -> None:
        from components.scope import Scope
        from components.tenant import Tenant as World
        from components.tenant import TenantArgs

        tenant = Tenant.model_validate({**TENANT.model_dump(), "regimes": regimes})
        scope = Scope(
            tenant=tenant, cell="dev", region="eu-west-1", owner="platform", account_id=ACCOUNT, protect_data=True
        )
        topic = f"arn:aws:sns:eu-west-1:{ACCOUNT}:alarms"
        World(
            "acme",
            TenantArgs(scope, zone_a="eu-west-1a", zone_b="eu-west-1b", image_id="ami-12345678", alarm_topic_arn=topic),
        )

    resources = {}
    for (type_, name), registered in record(program, stack="dev").resources.items():
        if type_.startswith("aws:"):
            urn = Urn(f"urn:pulumi:dev::stackmend::{type_}::{name}")
            inputs = dict(registered.inputs)
            if type_ == "aws:s3/bucketPolicy:BucketPolicy":
                # The recorder's ARNs are not of AWS's form.
                inputs["policy"] = inputs["policy"].replace("arn:of:acme-data", f"arn:aws:s3:::{inputs['bucket']}")
            resources[urn] = DeclaredResource(urn, type_, name, f"{name}-id", inputs, tenant="acme")
    facts = TenantFacts("acme", TENANT.tier.value, frozenset(regimes))
    return Declared("dev", "stackmend", ACCOUNT, "eu-west-1", resources, {"acme": facts})


def compliance(world: Declared) -> list[Finding]:
    """The verdicts on a live world that is exactly as declared."""
    reads: dict[str, set[str]] = {}
    for rule in RULES:
        for type_, names in rule.reads.items():
            reads.setdefault(type_, set()).update(names)
    seen = {}
    for urn, resource in world.resources.items():
        open_ones = {name: AWS_DEFAULTS.get(name) for name in reads.get(resource.type, ())}
        seen[urn] = ObservedResource(urn, Presence.PRESENT, {**open_ones, **resource.inputs})
    findings = detect(world, Observed(seen), {}, now=NOW)
    return [f for f in findings if f.kind is Kind.COMPLIANCE]


@pytest.mark.parametrize(
    "regimes", [frozenset(Regime), *(frozenset({r}) for r in Regime)], ids=lambda r: "+".join(sorted(r))
)
def test_what_the_components_declare_is_compliant(regimes: frozenset[Regime]) -> None:
    """A tenant under any regime, and under all at once, gets resources that no rule objects to."""
    assert [(f.rule, f.urn, f.message) for f in compliance(declared(regimes)) if f.verdict is not Verdict.PASS] == []


def test_every_rule_has_something_to_judge() -> None:
    """No rule is idle in a world under all regimes: its types and properties are those the components use."""
    assert {f.rule for f in compliance(declared(frozenset(Regime)))} == {rule.id for rule in RULES}

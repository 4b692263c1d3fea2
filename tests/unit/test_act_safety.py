"""The check between preview and update: what it lets through, and what never passes."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.act.safety import refuse_unless
from reconciler.act.steps import HARMLESS, EnginePlan, Step
from reconciler.act.strategies import STRATEGIES
from reconciler.errors import RepairRefused
from reconciler.model import DeclaredResource
from tests.unit.act_world import BINDING, KINDS, STORE, THING, declared, repair, resource

VPC, OTHER = resource("acme-vpc"), resource("globex-vpc")
BUCKET, ROUTE = resource("acme-data", STORE), resource("acme-out", BINDING)
GUARDED, STRANGE = resource("acme-guarded", protect=True), resource("acme-odd", "aws:new/thing:Thing")
GUARDED_ROUTE = resource("acme-kept", BINDING, protect=True)
WORLD = declared(VPC, OTHER, BUCKET, ROUTE, GUARDED, STRANGE, GUARDED_ROUTE)

OPERATIONS = (
    "create",
    "update",
    "delete",
    "replace",
    "create-replacement",
    "delete-replaced",
    "import",
    "discard",
    "discard-replaced",
    "remove-pending-replace",
    "read-replacement",
    "import-replacement",
    "an operation of the future",
)
DECLARATIVE = sorted(s.name for s in STRATEGIES.values() if s.declarative)


def allowed(strategy: str, about: DeclaredResource, *operations: str) -> bool:
    plan = EnginePlan(tuple(Step(about.urn, about.type, op) for op in operations))
    try:
        refuse_unless(plan, [repair(strategy, about)], WORLD, KINDS)
    except RepairRefused:
        return False
    return True


@pytest.mark.parametrize(
    ("strategy", "about", "operations"),
    [
        ("reapply", VPC, ("refresh", "same", "read", "update")),
        ("recreate", VPC, ("create",)),
        ("recreate", VPC, ("update",)),
        ("recreate", ROUTE, ("delete-replaced", "replace", "create-replacement")),
        ("restore", BUCKET, ("update",)),
        ("reapply", GUARDED, ("update",)),
    ],
)
def test_what_a_strategy_stands_for_passes(strategy: str, about: DeclaredResource, operations: tuple[str, ...]) -> None:
    """Each strategy may do what it is for, to the resources its repair names."""
    assert allowed(strategy, about, *operations)


@pytest.mark.parametrize(
    ("strategy", "about", "operation"),
    [
        ("reapply", VPC, "create"),
        ("reapply", VPC, "replace"),
        ("recreate", VPC, "replace"),
        ("recreate", ROUTE, "delete"),
        ("restore", VPC, "create"),
        ("escalate", VPC, "update"),
        ("rollout", VPC, "update"),
    ],
)
def test_what_it_does_not_stand_for_is_refused(strategy: str, about: DeclaredResource, operation: str) -> None:
    """A strategy does not get what another one may do."""
    assert not allowed(strategy, about, operation)


@given(
    strategies=st.lists(st.sampled_from(DECLARATIVE), min_size=1, max_size=3),
    operation=st.sampled_from([o for o in OPERATIONS if o != "update"]),
    about=st.sampled_from([BUCKET, GUARDED, GUARDED_ROUTE, STRANGE]),
    harmless=st.lists(st.sampled_from(sorted(HARMLESS))),
)
def test_stateful_and_protected_resources_are_only_ever_updated(
    strategies: list[str], operation: str, about: DeclaredResource, harmless: list[str]
) -> None:
    """Whatever the strategies and whatever else is in the plan, nothing stateful, protected or of an unknown type is
    created, replaced or deleted (I08)."""
    steps = [Step(VPC.urn, VPC.type, op) for op in harmless] + [Step(about.urn, about.type, operation)]
    with pytest.raises(RepairRefused):
        refuse_unless(EnginePlan(tuple(steps)), [repair(s, about, VPC) for s in strategies], WORLD, KINDS)


@given(strategy=st.sampled_from(DECLARATIVE), operation=st.sampled_from(OPERATIONS))
def test_nothing_beyond_the_repair_is_touched(strategy: str, operation: str) -> None:
    """A write to a resource that no repair names is refused, whatever it is (I10)."""
    plan = EnginePlan((Step(OTHER.urn, THING, operation),))
    with pytest.raises(RepairRefused, match="not part of the repair"):
        refuse_unless(plan, [repair(strategy, VPC)], WORLD, KINDS)


@given(operation=st.sampled_from(OPERATIONS))
def test_a_repair_of_one_tenant_touches_no_other(operation: str) -> None:
    """A repair that names another tenant's resource is refused, even if another repair may touch it (I10)."""
    plan = EnginePlan((Step(OTHER.urn, THING, operation),))
    with pytest.raises(RepairRefused, match="tenant globex"):
        refuse_unless(plan, [repair("recreate", VPC, OTHER), repair("recreate", OTHER)], WORLD, KINDS)


def test_a_resource_that_turns_out_stateful_is_refused() -> None:
    """The type that the engine reports counts as well as the declared one."""
    with pytest.raises(RepairRefused, match="holds state"):
        refuse_unless(EnginePlan((Step(VPC.urn, STORE, "create"),)), [repair("recreate", VPC)], WORLD, KINDS)


def test_what_is_not_declared_is_refused() -> None:
    """A resource that the cell does not declare cannot be vouched for."""
    unknown = resource("acme-unknown")
    with pytest.raises(RepairRefused, match="not among those"):
        refuse_unless(EnginePlan((Step(unknown.urn, THING, "create"),)), [repair("recreate", unknown)], WORLD, KINDS)


def test_the_engine_saying_protected_is_enough() -> None:
    """Protection that only the engine's state knows counts as well."""
    plan = EnginePlan((Step(VPC.urn, THING, "create", protect=True),))
    with pytest.raises(RepairRefused, match="protected"):
        refuse_unless(plan, [repair("recreate", VPC)], WORLD, KINDS)


LISTENER = resource("acme-listener")
UNIT = declared(VPC, LISTENER, BUCKET, GUARDED)


def redeployed(about: DeclaredResource, *steps: tuple[DeclaredResource, str]) -> bool:
    """Whether a redeployment that names all, and replaces ``about`` only, may do these steps."""
    named = replace(repair("redeploy", VPC, LISTENER, BUCKET, GUARDED), replaces=(about.urn,))
    try:
        refuse_unless(EnginePlan(tuple(Step(r.urn, r.type, op) for r, op in steps)), [named], UNIT, KINDS)
    except RepairRefused:
        return False
    return True


def test_a_redeployment_replaces_what_it_names_and_nothing_else() -> None:
    """The new one is made, what refers to it is updated, the old one goes; no other named resource is replaced."""
    made = ((VPC, "create-replacement"), (VPC, "replace"))
    assert redeployed(VPC, *made, (LISTENER, "update"), (VPC, "delete-replaced"))
    assert not redeployed(VPC, *made, (LISTENER, "create-replacement"), (VPC, "delete-replaced"))
    assert not redeployed(VPC, (LISTENER, "delete"))


def test_the_old_one_is_not_deleted_first() -> None:
    """An engine that would delete before it creates is refused (I07)."""
    assert not redeployed(VPC, (VPC, "delete-replaced"), (VPC, "replace"), (VPC, "create-replacement"))


@pytest.mark.parametrize("kept", [BUCKET, GUARDED])
def test_a_redeployment_replaces_nothing_that_holds_state(kept: DeclaredResource) -> None:
    """Whatever the plan names, what holds state or is protected is not replaced (I08)."""
    assert not redeployed(kept, (kept, "create-replacement"), (kept, "replace"), (kept, "delete-replaced"))


def test_only_a_redeployment_may_use_the_names() -> None:
    """Another strategy that names something to replace may not replace it all the same."""
    named = replace(repair("reapply", VPC), replaces=(VPC.urn,))
    with pytest.raises(RepairRefused):
        refuse_unless(EnginePlan((Step(VPC.urn, VPC.type, "create-replacement"),)), [named], UNIT, KINDS)

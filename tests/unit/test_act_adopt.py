"""Adopting what an interrupted update made: the state names it in place of what is gone, and nothing else changes."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from reconciler.act.act import act
from reconciler.act.steps import Step
from reconciler.act.strategies.adopt import taken_in
from reconciler.errors import LeaseLost, RepairRefused
from reconciler.model import Outcome, Status, Urn
from tests.unit.act_world import KEY, World, declared, plan, repair, resource

GROUP, USER, OTHER, VAULT = (
    resource("acme-sg"),
    resource("acme-servers"),
    resource("globex-sg"),
    resource("acme-key", KEY),
)


def entry(urn: Urn, id_: str, **inputs: Any) -> dict[str, Any]:
    return {"urn": urn, "type": "t", "id": id_, "inputs": inputs, "outputs": {**inputs, "id": id_}}


def document() -> dict[str, Any]:
    """A state whose group has a name of the engine's, and a description that only looks a little like one."""
    group = entry(GROUP.urn, GROUP.id, name="acme-sg-1111111", description="acme-sg", tags={"Name": "acme-sg"})
    return {"version": 3, "deployment": {"resources": [group, entry(USER.urn, USER.id, sg=GROUP.id)]}}


@dataclass
class State:
    document: dict[str, Any] = field(default_factory=document)
    imports: list[Mapping[str, Any]] = field(default_factory=list)

    def export(self) -> Mapping[str, Any]:
        return self.document

    def import_(self, document: Mapping[str, Any]) -> None:
        self.imports.append(document)
        self.document = dict(document)


@pytest.fixture
def world() -> World:
    world = World(declared(GROUP, USER, OTHER, VAULT))
    world.breaks(GROUP, VAULT, OTHER)
    return world


def adopt(world: World, state: State | None, **changes: Any) -> Outcome:
    values: dict[str, Any] = {"members": ("sg-new",), "adopts": GROUP.urn, "physical_name": "acme-sg-2222222"}
    one = replace(repair("adopt", GROUP, USER), **{**values, **changes})
    world.change(state=state)
    (outcome,) = act(plan(one), world.tools)
    return outcome


def test_the_state_names_the_new_one_and_the_engine_sets_it(world: World) -> None:
    """Intent, a fresh look, the lease, the state, and only then the engine, which updates it and what refers to it."""
    state = State()
    outcome = adopt(world, state)
    assert outcome.status is Status.HEALED
    order = [w for w in world.log if w != "verify"]
    assert order == ["intend adopt", "look", "held", "preview", "held", "up", "conclude healed"]
    adopted, user = state.document["deployment"]["resources"]
    assert (adopted["id"], adopted["outputs"]["id"]) == ("sg-new", "sg-new")
    assert adopted["inputs"]["name"] == adopted["outputs"]["name"] == "acme-sg-2222222"
    assert adopted["inputs"]["description"] == "acme-sg"
    assert user == document()["deployment"]["resources"][1]


def test_doing_it_twice_changes_nothing_more() -> None:
    """C04: a crash after the import is made good by the same repair again."""
    once = taken_in(document(), GROUP.urn, was=GROUP.id, id_="sg-new", physical_name="acme-sg-2222222")
    kept = copy.deepcopy(once)
    assert taken_in(once, GROUP.urn, was=GROUP.id, id_="sg-new", physical_name="acme-sg-2222222") == once == kept
    state, world = State(once), World(declared(GROUP, USER))
    world.breaks(GROUP)
    adopt(world, state)
    assert state.imports == []


@pytest.mark.parametrize("ids", [[], ["sg-of-somebody"], [GROUP.id, GROUP.id]])
def test_a_state_that_changed_meanwhile_is_left_alone(ids: list[str]) -> None:
    """F44: the resource left the state, has another id by now, or stands there twice."""
    changed = {"deployment": {"resources": [entry(GROUP.urn, id_) for id_ in ids]}}
    with pytest.raises(RepairRefused, match="changed meanwhile"):
        taken_in(changed, GROUP.urn, was=GROUP.id, id_="sg-new", physical_name="")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"adopts": OTHER.urn}, "not the tenant's"),
        ({"adopts": VAULT.urn, "urns": (GROUP.urn, VAULT.urn)}, "holds state"),
        ({"adopts": OTHER.urn, "urns": (GROUP.urn, OTHER.urn)}, "not the tenant's"),
        ({"adopts": Urn("")}, "not the tenant's"),
        ({"members": ()}, "exactly one"),
        ({"members": ("sg-1", "sg-2")}, "exactly one"),
        ({"members": (USER.id,)}, "declared with it"),
    ],
)
def test_what_must_not_be_adopted(world: World, changes: dict[str, Any], words: str) -> None:
    """I08 I10: another tenant's, what holds state, what is declared already, and what is not told exactly."""
    state = State()
    outcome = adopt(world, state, **changes)
    assert outcome.status is Status.REFUSED
    assert words in outcome.reason
    assert state.imports == []
    assert world.engine.ups == []


def test_without_the_state_nothing_is_adopted(world: World) -> None:
    """Where the state cannot be written, the repair is refused before the engine is asked."""
    assert adopt(world, None).status is Status.REFUSED


def test_a_lost_lease_writes_no_state(world: World) -> None:
    """I05: the lease is asked right before the state is written."""

    world.journal.trouble["ensure_held"] = LeaseLost("taken")
    state = State()
    assert adopt(world, state).status is Status.INTERRUPTED
    assert state.imports == []


@pytest.mark.parametrize("op", ["create", "replace", "delete"])
def test_an_adoption_creates_and_replaces_nothing(world: World, op: str) -> None:
    """If the engine would still make a second one or replace the adopted one, there is no update. The state names the
    adopted one by then, so it is no refusal that wrote nothing."""
    world.engine.besides = [Step(GROUP.urn, GROUP.type, op)]
    outcome = adopt(world, State())
    assert outcome.status is Status.NOT_HEALED
    assert "must not do that; part of it was done before" in outcome.reason
    assert world.engine.ups == []


def test_a_dry_run_leaves_the_state_alone(world: World) -> None:
    """I15: the preview is of the state as it is."""
    state = State()
    one = replace(repair("adopt", GROUP, USER), members=("sg-new",), adopts=GROUP.urn)
    world.change(state=state)
    act(plan(one), world.tools, dry_run=True)
    assert state.imports == []

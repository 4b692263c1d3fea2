"""What a killed update left open in the state, settled on paper."""

from __future__ import annotations

import copy
import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from reconciler.act import recovery
from reconciler.act.settle import settle, unsettled
from reconciler.model import Urn

STACK = "urn:pulumi:dev::p::pulumi:pulumi:Stack::p-dev"
PROVIDER = "urn:pulumi:dev::p::pulumi:providers:aws::default"


def urn(name: str) -> Urn:
    return Urn(f"urn:pulumi:dev::p::aws:ec2/subnet:Subnet::{name}")


def entry(name: str, *needs: str, physical: str = "") -> dict[str, Any]:
    return {
        "urn": urn(name),
        "custom": True,
        "type": "aws:ec2/subnet:Subnet",
        **({"id": physical} if physical else {}),
        "inputs": {"__defaults": ["x"], "cidrBlock": "10.0.0.0/24", "nested": [{"__defaults": [], "a": 1}]},
        "parent": STACK,
        "provider": f"{PROVIDER}::4711",
        "dependencies": [urn(n) for n in needs],
        "propertyDependencies": {"vpcId": [urn(n) for n in needs], "cidrBlock": None},
    }


def document(*resources: dict[str, Any], pending: dict[str, str] | None = None) -> dict[str, Any]:
    base = [
        {"urn": STACK, "custom": False, "type": "pulumi:pulumi:Stack"},
        {"urn": PROVIDER, "custom": True, "type": "pulumi:providers:aws", "id": "4711"},
    ]
    operations = [{"resource": entry(n, "vpc"), "type": kind} for n, kind in (pending or {}).items()]
    return {"version": 3, "deployment": {"resources": base + list(resources), "pending_operations": operations}}


def names(settled: dict[str, Any]) -> list[str]:
    return [r["urn"].rsplit("::", 1)[-1] for r in settled["deployment"]["resources"]]


def test_what_exists_is_adopted_behind_what_it_needs() -> None:
    """A found create enters the state between what it needs and what needs it, inputs for outputs (F42)."""
    before = document(entry("vpc", physical="vpc-1"), entry("user", physical="u-1"), pending={"new": "creating"})
    after = settle(before, {urn("new"): "subnet-1"})
    assert names(after) == ["p-dev", "default", "vpc", "new", "user"]
    adopted = after["deployment"]["resources"][3]
    assert adopted["id"] == "subnet-1"
    assert adopted["outputs"] == {"cidrBlock": "10.0.0.0/24", "nested": [{"a": 1}], "id": "subnet-1"}
    assert adopted["inputs"] == before["deployment"]["pending_operations"][0]["resource"]["inputs"]
    assert "pending_operations" not in after["deployment"]


def test_what_is_proven_absent_is_dropped_and_what_is_unknown_stays() -> None:
    """Absent and unknown are different answers: the first closes the operation, the second does not (I06)."""
    before = document(entry("vpc", physical="vpc-1"), pending={"gone": "creating", "dark": "creating"})
    after = settle(before, {urn("gone"): None})
    assert names(after) == ["p-dev", "default", "vpc"]
    assert unsettled(after) == {urn("dark")}


def test_other_operations_are_dropped() -> None:
    """Updates and deletes concern what the state knows: a refresh tells the truth about those."""
    kinds = {"a": "updating", "b": "deleting", "c": "reading"}
    after = settle(document(entry("vpc", physical="vpc-1"), pending=kinds), {})
    assert "pending_operations" not in after["deployment"]
    assert unsettled(after) == frozenset()


def test_a_replacement_cut_off_keeps_the_old_one() -> None:
    """A resource that the state holds already stays as it is; it is never listed twice."""
    before = document(entry("vpc", physical="vpc-1"), entry("new", physical="old"), pending={"new": "creating"})
    after = settle(before, {urn("new"): "subnet-1"})
    assert names(after).count("new") == 1
    assert after["deployment"]["resources"] == before["deployment"]["resources"]


def test_without_its_provider_it_stays_open() -> None:
    """A resource whose provider the state lacks cannot be adopted, and is not forgotten either."""
    before = document(pending={"new": "creating"})
    del before["deployment"]["resources"][1]
    assert unsettled(settle(before, {urn("new"): "subnet-1"})) == {urn("new")}


def test_dependencies_that_are_gone_are_not_named() -> None:
    """An adopted resource refers to nothing that the state lacks, or the engine would refuse the state."""
    after = settle(document(pending={"new": "creating"}), {urn("new"): "subnet-1"})
    adopted = after["deployment"]["resources"][2]
    assert (adopted["dependencies"], adopted["propertyDependencies"]["vpcId"]) == ([], [])


NAMES = ("a", "b", "c", "d")


@given(
    held=st.lists(st.sampled_from(NAMES), unique=True),
    pending=st.dictionaries(
        st.sampled_from(NAMES), st.sampled_from(["creating", "importing", "updating", "deleting", "reading"])
    ),
    located=st.dictionaries(st.sampled_from(NAMES), st.none() | st.just("id-1")),
)
def test_nothing_is_ever_lost(held: list[str], pending: dict[str, str], located: dict[str, str | None]) -> None:
    """Whatever is open and known: resources keep their order, none is lost or doubled, and settling is idempotent."""
    before = document(entry("vpc", physical="v"), *(entry(n, "vpc", physical=n) for n in held), pending=pending)
    kept = copy.deepcopy(before)
    where = {urn(n): physical for n, physical in located.items()}
    after = settle(before, where)
    assert before == kept
    assert settle(after, where) == after
    assert [n for n in names(after) if n in names(before)] == names(before)
    assert len(set(names(after))) == len(names(after))
    creating = {urn(n) for n, kind in pending.items() if kind in ("creating", "importing")}
    assert unsettled(after) == creating - where.keys()
    assert {urn(n) for n in names(after)} >= {u for u in creating if where.get(u)}


class Stack:
    def __init__(self, held: dict[str, Any]) -> None:
        self.held, self.imports = held, 0

    def export(self) -> dict[str, Any]:
        return copy.deepcopy(self.held)

    def import_(self, settled: Any) -> None:
        self.held, self.imports = json.loads(json.dumps(settled)), self.imports + 1


def test_adoption_is_imported_once_and_under_the_lease() -> None:
    """A state that changes is imported after the lease was checked; one that does not is left alone (I05, I09)."""
    stack = Stack(document(entry("vpc", physical="vpc-1"), pending={"new": "creating"}))
    checks: list[int] = []
    first = recovery.adopt(stack, {urn("new"): "subnet-1"}, lambda: checks.append(stack.imports))
    second = recovery.adopt(stack, {urn("new"): "subnet-1"}, lambda: checks.append(stack.imports))
    assert (first.changed, second.changed, stack.imports, checks) == (True, False, 1, [0])

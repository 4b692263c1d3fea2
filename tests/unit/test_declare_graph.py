"""The graph of who needs whom."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.declare.graph import Graph, order
from reconciler.declare.state import parse
from reconciler.errors import StateError
from reconciler.model import Declared
from tests.unit.declare_worlds import resource, state, urn


def world(edges: dict[str, list[str]]) -> Declared:
    return parse(state([resource(n, dependencies=[urn(d) for d in needs]) for n, needs in edges.items()]), cell="dev")


CHAIN = world({"vpc": [], "subnet": ["vpc"], "group": ["subnet"], "bucket": [], "policy": ["bucket", "elsewhere"]})


def test_dependents_are_transitive() -> None:
    """All that stands on a resource is found, however far up, and the resource itself is not among it."""
    assert Graph(CHAIN).dependents([urn("vpc")]) == {urn("subnet"), urn("group")}
    assert Graph(CHAIN).dependents([urn("vpc"), urn("subnet")]) == {urn("group")}
    assert Graph(CHAIN).dependents([urn("bucket"), urn("group")]) == {urn("policy")}


def test_users_hold_a_value() -> None:
    """What merely waits for a resource at creation is its dependent, but no user of it."""
    waits = resource("waits", dependencies=[urn("vpc")], propertyDependencies={"tags": []})
    holds = resource("holds", dependencies=[urn("vpc")], propertyDependencies={"vpcId": [urn("vpc")]})
    further = resource("further", dependencies=[urn("holds")], propertyDependencies={"id": [urn("holds")]})
    graph = Graph(parse(state([resource("vpc"), waits, holds, further]), cell="dev"))
    assert graph.users([urn("vpc")]) == {urn("holds"), urn("further")}
    assert graph.dependents([urn("vpc")]) == {urn("waits"), urn("holds"), urn("further")}


def test_nothing_and_strangers_have_no_dependents() -> None:
    """An empty question has an empty answer: never everything."""
    assert Graph(CHAIN).dependents([]) == frozenset()
    assert Graph(CHAIN).dependents([urn("stranger")]) == frozenset()


def test_a_child_needs_its_parent() -> None:
    """A resource under another resource needs it, though no property says so."""
    child = resource("child", parent=urn("vpc"))
    declared = parse(state([resource("vpc"), child]), cell="dev")
    assert Graph(declared).dependents([urn("vpc")]) == {urn("child")}


def test_order_keeps_the_states_order_where_it_can() -> None:
    """A state in order stays as it is; one out of order is put right."""
    assert order(CHAIN) == tuple(CHAIN.resources)
    assert order(world({"b": ["c"], "a": [], "c": []})) == (urn("a"), urn("c"), urn("b"))


def test_a_circle_is_refused() -> None:
    """B28: dependencies that go in a circle are an error, not an endless loop."""
    with pytest.raises(StateError, match="circle"):
        order(world({"a": ["b"], "b": ["a"]}))


@given(st.dictionaries(st.sampled_from("abcdef"), st.lists(st.sampled_from("abcdef"), max_size=3)))
def test_order_puts_everything_after_what_it_needs(edges: dict[str, list[str]]) -> None:
    """Whatever the edges: all resources in order, each behind its needs; or a circle is refused."""
    declared = world(edges)
    try:
        placed = order(declared)
    except StateError:
        assert any(one in Graph(declared).dependents([needed]) and needed in Graph(declared).dependents([one])
                   for one in declared.resources for needed in declared.resources if one != needed)  # fmt: skip
        return
    assert sorted(placed) == sorted(declared.resources)
    for i, one in enumerate(placed):
        assert not Graph(declared).dependents([one]) & set(placed[:i])

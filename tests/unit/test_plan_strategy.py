"""The table of strategies: its defaults, what settings may change in it, and what they may not."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.act.strategies import STRATEGIES
from reconciler.errors import ConfigurationError
from reconciler.model import Kind, ResourceKind
from reconciler.observe.registry import OBSERVERS
from reconciler.plan.strategy import ANSWERS, DEFAULTS, REPLACING, Cause, Row, chosen, overrides, strategy_for
from tests.unit.plan_worlds import DATA, GROUP, KINDS, PLAIN, finding, resource

ALL = {token: observer.kind for token, observer in OBSERVERS.items()}


def answer(name: str, type_: str, *rows: Row, tier: str = "gold", rule: str = "drift.property") -> str:
    one = resource(name, type_=type_)
    return strategy_for((finding(one, rule),), KINDS[type_], protected=False, tier=tier, rows=rows)[0]


def test_every_strategy_of_the_table_exists() -> None:
    """What the table names is what acting knows, so no plan can name a strategy that nobody can carry out."""
    assert ANSWERS.keys() <= STRATEGIES.keys()
    assert {row.strategy for row in DEFAULTS} <= ANSWERS.keys()


@pytest.mark.parametrize("cause", Cause)
def test_every_cause_has_an_answer(cause: Cause) -> None:
    """Whatever is wrong with whatever type, the last row of the table hands it to a person."""
    for kind in Kind:
        assert cause in ANSWERS[chosen(cause, kind, ResourceKind("a:b/c:D"), "", ())]


def test_a_row_of_the_settings_decides_for_its_type_and_tier() -> None:
    """An override escalates what the default would set back, for the types and the tier that it names only."""
    row = Row("escalate", "aws:ec2/*", "drift", "gold")
    assert answer("s", PLAIN, row) == "escalate"
    assert answer("s", PLAIN, row, tier="bronze") == "reapply"
    assert answer("b", DATA, row) == "restore"


def test_a_row_for_another_cause_does_not_fit() -> None:
    """A strategy is never chosen for a fault that it cannot answer, whatever the row covers."""
    assert answer("s", PLAIN, Row("reapply", PLAIN), rule="drift.missing") == "recreate"


def test_an_unknown_strategy_is_an_error() -> None:
    """The error names the setting and lists the strategies there are."""
    with pytest.raises(ConfigurationError) as caught:
        overrides([Row("reapply"), Row("explode")], ALL)
    assert "strategies[1].strategy" in str(caught.value)
    assert all(name in str(caught.value) for name in ANSWERS)


def test_an_unknown_kind_is_an_error() -> None:
    """A kind of finding that does not exist would silently never fit."""
    with pytest.raises(ConfigurationError, match=r"strategies\[0\].kind"):
        overrides([Row("escalate", kind="drifts")], ALL)


@pytest.mark.parametrize("pattern", ["*", "aws:s3/*", "aws:kms/key:Key"])
@pytest.mark.parametrize("strategy", sorted(REPLACING))
def test_what_holds_state_is_never_given_to_a_replacing_strategy(strategy: str, pattern: str) -> None:
    """A pattern that covers a stateful type is refused for every strategy that replaces (I08)."""
    with pytest.raises(ConfigurationError) as caught:
        overrides([Row(strategy, pattern)], ALL)
    assert "strategies[0].type" in str(caught.value)
    assert "holds state" in str(caught.value)


@given(
    strategy=st.sampled_from(sorted(ANSWERS)),
    type_=st.sampled_from([DATA, GROUP, PLAIN]),
    rule=st.sampled_from(["drift.property", "drift.missing", "health.resource-failed"]),
    protected=st.booleans(),
)
def test_no_row_makes_state_replaceable(strategy: str, type_: str, rule: str, protected: bool) -> None:
    """Even a row that slipped past the check gets nothing stateful or protected replaced (I08)."""
    one = resource("one", type_=type_, protect=protected)
    found = strategy_for((finding(one, rule),), KINDS[type_], protected=protected, rows=(Row(strategy),))[0]
    assert found not in REPLACING or not (protected or KINDS[type_].stateful)


def test_no_strategy_may_end_a_grant() -> None:
    """T04: whether a grant of a key stays is for a person: no strategy has the right to make, revoke or retire one."""
    rights = {right for strategy in STRATEGIES.values() for right in strategy.permissions}
    assert "kms:EnableKey" in rights
    assert not [right for right in rights if right.endswith("Grant")]


def test_the_rights_of_every_strategy_are_documented() -> None:
    """The page of strategies names each of the table, and the IAM actions of each that makes calls of its own."""
    page = (Path(__file__).resolve().parents[2] / "docs" / "strategies.md").read_text("utf-8")
    for strategy in STRATEGIES.values():
        if strategy.name in ANSWERS:
            assert f"| *{strategy.name}* |" in page
        if strategy.permissions:
            row = next(line for line in page.splitlines() if line.startswith(f"| {strategy.name} |"))
            assert re.findall(r"`([^`]+)`", row) == sorted(strategy.permissions)

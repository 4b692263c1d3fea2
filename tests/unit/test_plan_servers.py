"""The repairs of a fleet's servers: what is wrong with them decides, and an image that failed is remembered."""

from __future__ import annotations

from dataclasses import replace

import pytest

from reconciler.model import UNITS, Finding, Fleet, Kind, Plan
from reconciler.plan.policy import Policy
from reconciler.plan.strategy import COMPROMISED, OUTDATED, QUARANTINE_OVER
from tests.unit.plan_worlds import GROUP, cell, finding, fleet, resource, scan
from tests.unit.test_plan_planner import planned

SERVERS = resource("servers", type_=GROUP)


def of(rule: str, *numbers: int) -> tuple[Finding, ...]:
    return tuple(finding(SERVERS, rule, Kind.HEALTH, resource_id=f"i-{n}", property_="") for n in numbers)


def plan(*findings: Finding, policy: Policy | None = None, seen: Fleet | None = None) -> Plan:
    seen = seen or replace(fleet(SERVERS, 5), launches="lt-1:2")
    return planned(scan(cell(SERVERS), *findings, fleets={SERVERS.urn: seen}), policy)


def strategies(of: Plan) -> dict[str, tuple[str, ...]]:
    return {r.strategy: r.members for r in of.repairs}


def test_one_outdated_server_is_rolled_and_several_are_refreshed() -> None:
    """A whole fleet goes to another image with one server first; a single server is simply replaced."""
    assert strategies(plan(*of(OUTDATED, 1))) == {"rollout": ("i-1",)}
    assert strategies(plan(*of(OUTDATED, 1, 2, 3))) == {"refresh-image": ("i-1", "i-2", "i-3")}


def test_a_sick_server_comes_before_the_image() -> None:
    """While a server fails for another reason, nothing is refreshed: all of them are replaced one by one."""
    assert set(strategies(plan(*of(OUTDATED, 1, 2), *of("health.target", 3)))) == {"rollout"}


def test_an_image_that_failed_is_for_a_person() -> None:
    """Servers of a template version that did not become healthy are not launched again for being newer (F48)."""
    known = Policy(bad_images=frozenset({"lt-1:2"}))
    assert strategies(plan(*of(OUTDATED, 1, 2), policy=known)) == {"escalate": ()}
    assert strategies(plan(*of(OUTDATED, 1), policy=known)) == {"escalate": ()}
    assert strategies(plan(*of("health.target", 1), policy=known)) == {"rollout": ("i-1",)}
    newer = replace(fleet(SERVERS, 5), launches="lt-1:3")
    assert set(strategies(plan(*of(OUTDATED, 1, 2), policy=known, seen=newer))) == {"refresh-image"}


def test_a_server_that_only_runs_an_older_image_does_not_join_a_rollout_of_one_that_failed() -> None:
    """F48: beside a server that fails, those that serve on are for a person while new ones do not become healthy."""
    known = Policy(bad_images=frozenset({"lt-1:2"}))
    mixed = (*of("health.server-failed", 0), *of(OUTDATED, 0, 1, 2))
    made = plan(*mixed, policy=known)
    assert strategies(made) == {"rollout": ("i-0",), "escalate": ()}
    by_strategy = {r.strategy: set(r.finding_ids) for r in made.repairs}
    assert by_strategy == {"rollout": {f.id for f in mixed[:2]}, "escalate": {f.id for f in mixed[2:]}}
    assert strategies(plan(*mixed)) == {"rollout": ("i-0", "i-1", "i-2")}


def test_a_compromised_server_goes_before_anything_else() -> None:
    """It is isolated first; a replacement of others in the same fleet waits for that."""
    made = {r.strategy: r for r in plan(*of("health.target", 1), *of(COMPROMISED, 2)).repairs}
    assert made["quarantine"].members == ("i-2",)
    assert (made["quarantine"].after, made["rollout"].after) == ((), (made["quarantine"].id,))


def test_servers_that_fail_together_do_not_keep_a_compromised_one_in() -> None:
    """The breaker of the fleet stops replacements, not the isolation."""
    made = plan(*of("health.target", 0, 1, 2, 3), *of(COMPROMISED, 4))
    assert strategies(made) == {"quarantine": ("i-4",)}
    assert [d.code for d in made.deferrals] == ["breaker"]


def test_a_quarantine_that_is_over() -> None:
    """Servers whose time is over are disposed of."""
    assert strategies(plan(*of(QUARANTINE_OVER, 9))) == {"dispose": ("i-9",)}


@pytest.mark.parametrize("rule", ["health.target", "health.fleet-short", OUTDATED, COMPROMISED])
def test_a_group_whose_size_does_not_count_servers_is_for_a_person(rule: str) -> None:
    """One more of a weighted size is not one server, so nothing that replaces or takes one out is planned (I02)."""
    weighted = replace(fleet(SERVERS, 5), unit=UNITS)
    (repair,) = plan(*of(rule, 1), seen=weighted).repairs
    assert (repair.strategy, repair.members) == ("escalate", ())
    assert "counts units" in repair.reason


def test_an_isolated_server_of_a_weighted_group_is_still_disposed_of() -> None:
    """It is no server of the group any more, whatever the group's size counts."""
    assert strategies(plan(*of(QUARANTINE_OVER, 9), seen=replace(fleet(SERVERS, 5), unit=UNITS))) == {
        "dispose": ("i-9",)
    }

"""A repair that leaves its tenant worse off: it is noticed, said, and nothing more is done to that tenant."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import Any

import pytest

from reconciler.act import wellbeing
from reconciler.act.act import act
from reconciler.detect import health
from reconciler.model import Finding, Fleet, Kind, Member, Outcome, Repair, Severity, Status, Urn, Verdict
from reconciler.observe.clients import AccountUnverified
from tests.unit.act_world import GROUP, World, declared, finding, plan, repair, resource

ALARM, BALANCER = "aws:cloudwatch/metricAlarm:MetricAlarm", "aws:lb/loadBalancer:LoadBalancer"
VPC, SECOND, SERVERS = resource("acme-vpc"), resource("acme-second"), resource("acme-servers", GROUP)
BELL, DOOR, OTHER = resource("acme-bell", ALARM), resource("acme-door", BALANCER), resource("beta-vpc")
SILENT = (Verdict.UNKNOWN, ("it answered 0 of 3 times",))


class Tenant:
    """A tenant with two faults, servers, an alarm and an endpoint; a repair runs, and then ``after`` is how it is."""

    def __init__(self, **after: Any) -> None:
        self.world = World(declared(VPC, SECOND, SERVERS, BELL, DOOR, OTHER))
        self.world.breaks(VPC, SECOND, OTHER)
        self.before: dict[str, Any] = {
            "healthy": 3,
            "others": "unhealthy",
            "alarm": Verdict.PASS,
            "endpoint": (Verdict.PASS, ()),
        }
        self.after = {**self.before, **after}
        self.paused: list[tuple[str, str]] = []
        self.world.fleet = self.fleet
        look = self.world.look

        def watch(urns: Collection[Urn]) -> tuple[Finding, ...]:
            bell = replace(finding(BELL, self.now["alarm"], "health.alarm"), kind=Kind.HEALTH, severity=Severity.MEDIUM)
            return (*look(urns), *((bell,) if BELL.urn in urns else ()))

        def ask(urns: Collection[Urn]) -> tuple[Finding, ...]:
            verdict, signs = self.now["endpoint"]
            door = replace(finding(DOOR, verdict, "health.endpoint"), kind=Kind.HEALTH, signs=signs)
            return (*watch(urns), *((door,) if DOOR.urn in urns else ()))

        self.world.change(look=watch, asking=ask, pause=lambda tenant, why: self.paused.append((tenant, why)))

    @property
    def now(self) -> dict[str, Any]:
        return self.after if self.world.engine.ups else self.before

    def fleet(self, group: Urn) -> Fleet:
        healthy, others = self.now["healthy"], self.now["others"]
        members = tuple(
            Member(f"i-{n}", "a", "InService", "running", "healthy" if n < healthy else others) for n in range(3)
        )
        return Fleet(group, "servers", 3, 1, 4, members)

    def act(self, *repairs: Repair) -> tuple[Outcome, ...]:
        return act(plan(*repairs), self.world.tools)


WORSE: dict[str, dict[str, Any]] = {
    "servers": {"healthy": 2},
    "alarm": {"alarm": Verdict.FAIL},
    "endpoint": {"endpoint": (Verdict.FAIL, ())},
    "silence": {"endpoint": SILENT},
}


@pytest.mark.parametrize("after", WORSE.values(), ids=WORSE.keys())
def test_worse_off_is_no_success(after: dict[str, Any]) -> None:
    """What it was for is healed, and servers stopped serving or an alarm rang: it is no success, and repairs stop."""
    tenant = Tenant(**after)
    (outcome,) = tenant.act(repair("reapply", VPC))
    assert outcome.status is Status.NOT_HEALED
    assert "worse off" in outcome.reason
    assert [t for t, _ in tenant.paused] == ["acme"]
    assert tenant.world.journal.open == []


@pytest.mark.parametrize("after", WORSE.values(), ids=WORSE.keys())
def test_worse_off_after_a_failure_is_told_with_it(after: dict[str, Any]) -> None:
    """A half-done update hurts as well: the outcome says why it failed and what is worse, and repairs stop (F15)."""
    tenant = Tenant(**after)
    tenant.world.engine.fails[VPC.urn] = "UnauthorizedOperation: not this one"
    (outcome,) = tenant.act(repair("reapply", VPC))
    assert outcome.status is Status.NOT_HEALED
    assert "UnauthorizedOperation" in outcome.reason
    assert "worse off" in outcome.reason
    assert [t for t, _ in tenant.paused] == ["acme"]
    assert tenant.world.journal.open == []


def test_a_failure_that_hurts_nobody_stops_nothing() -> None:
    """An update that fails and leaves the tenant as it was is only not healed."""
    tenant = Tenant()
    tenant.world.engine.fails[VPC.urn] = "UnauthorizedOperation: not this one"
    (outcome,) = tenant.act(repair("reapply", VPC))
    assert (outcome.status, outcome.reason) == (Status.NOT_HEALED, "acme-vpc: UnauthorizedOperation: not this one")
    assert tenant.paused == []


@pytest.mark.parametrize("fails", [False, True], ids=["healed", "failed"])
def test_nothing_more_is_done_to_that_tenant(fails: bool) -> None:
    """A later repair of the same tenant is refused without an intent; another tenant's goes on (I10)."""
    tenant = Tenant(healthy=1)
    if fails:
        tenant.world.engine.fails[VPC.urn] = "UnauthorizedOperation: not this one"
    first = repair("reapply", VPC)
    # The second one of the tenant touches the same resource, so it is another turn's.
    second = replace(repair("reapply", SECOND), urns=(VPC.urn, SECOND.urn))
    third = repair("reapply", OTHER)
    done = {o.repair_id: o for o in tenant.act(first, second, third)}
    assert done[second.id].status is Status.REFUSED
    assert done[third.id].status is Status.HEALED
    assert second not in tenant.world.journal.intents


@pytest.mark.parametrize(
    "before",
    [{"healthy": 1}, {"alarm": Verdict.FAIL}, {"alarm": Verdict.UNKNOWN}, {"endpoint": SILENT}],
    ids=["few served", "rang before", "not known before", "silent before"],
)
def test_what_was_not_well_before_is_not_held_against_it(before: dict[str, Any]) -> None:
    """A repair that uncovers or leaves a fault has not made it."""
    tenant = Tenant(**before)
    tenant.before |= before
    assert [o.status for o in tenant.act(repair("reapply", VPC))] == [Status.HEALED]
    assert tenant.paused == []


def test_an_alarm_that_is_set_right_may_ring() -> None:
    """One that somebody had muted rings for what was there before: that is what its repair was for."""
    tenant = Tenant(alarm=Verdict.FAIL)
    tenant.world.breaks(BELL)
    assert [o.status for o in tenant.act(repair("reapply", BELL))] == [Status.HEALED]
    assert tenant.paused == []


def test_an_endpoint_that_could_not_be_asked_is_not_held_against_it() -> None:
    """That nobody knows whether it answers is no sign that it does not (F23)."""
    tenant = Tenant(endpoint=(Verdict.UNKNOWN, ()))
    assert [o.status for o in tenant.act(repair("reapply", VPC))] == [Status.HEALED]


def test_a_load_balancer_that_was_replaced_is_still_the_tenant_s_door() -> None:
    """What is compared is the resource's verdict, whatever physical id it has by now."""
    tenant = Tenant(endpoint=SILENT)
    ask = tenant.world.tools.asking
    assert ask is not None
    tenant.world.change(
        asking=lambda urns: tuple(replace(f, resource_id=f"id-{len(tenant.world.engine.ups)}") for f in ask(urns))
    )
    assert [o.status for o in tenant.act(repair("reapply", VPC))] == [Status.NOT_HEALED]


@pytest.mark.parametrize("after", WORSE.values(), ids=WORSE.keys())
def test_one_look_is_not_enough(after: dict[str, Any]) -> None:
    """What is worse for a moment only, and well again at a second look, stops nothing (F08)."""
    tenant = Tenant(**after)
    wait = tenant.world.wait

    def passes(seconds: float) -> None:
        wait(seconds)
        tenant.after |= tenant.before

    tenant.world.change(wait=passes)
    assert [o.status for o in tenant.act(repair("reapply", VPC))] == [Status.HEALED]


@pytest.mark.parametrize("state", ["initial", "unregistered"])
@pytest.mark.parametrize(("polls", "status"), [(4, Status.HEALED), (10_000, Status.NOT_HEALED)])
def test_servers_behind_a_new_target_group_are_waited_for(state: str, polls: int, status: Status) -> None:
    """Servers whose first health checks still run count as lost only once the patience for new servers is over."""
    tenant = Tenant(healthy=0, others=state)
    wait, waited = tenant.world.wait, [0]

    def passes(seconds: float) -> None:
        wait(seconds)
        waited[0] += 1
        tenant.after["healthy"] = 3 if waited[0] >= polls else 0

    tenant.world.change(wait=passes)
    assert [o.status for o in tenant.act(repair("reapply", VPC))] == [status]
    pace = tenant.world.tools.pace
    assert waited[0] * pace.poll <= pace.patience + 2 * pace.poll


def test_the_rules_it_listens_to_exist() -> None:
    """The verdicts it compares are ones that detection gives, on types that it knows."""
    assert not wellbeing.RULES - health.RULES.keys()
    assert health.ALARM_TYPE in wellbeing.WATCHED


@pytest.mark.parametrize("after", [False, True])
def test_a_look_at_how_the_tenant_is_that_fails_ends_no_pass(*, after: bool) -> None:
    """F11: where nobody says whose credentials these are, other tenants' repairs go on all the same."""
    first, second, servers = resource("acme-vpc"), resource("globex-vpc"), resource("acme-servers", GROUP)
    world = World(declared(first, second, servers))
    world.breaks(first, second)

    def fleet(group: Urn) -> Fleet:
        if bool(world.engine.ups) is after:
            raise AccountUnverified("STS did not say whose credentials these are")
        return Fleet(group, "servers", 1, 0, 1, (Member("i-1", "a", "InService", "running", "healthy"),))

    world.fleet = fleet
    outcomes = act(plan(repair("reapply", first), replace(repair("reapply", second), alone=True)), world.tools)
    assert [o.status for o in outcomes] == [Status.HEALED, Status.HEALED]

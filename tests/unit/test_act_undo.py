"""A repair that hurt its tenant is taken back, where it is known what was there before and no rule objects to it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from reconciler.act.act import act
from reconciler.act.steps import Step
from reconciler.errors import EngineError, LeaseLost
from reconciler.model import (
    AcceptedBy,
    Finding,
    Fleet,
    Kind,
    Member,
    Outcome,
    Repair,
    Secret,
    Status,
    Unreadable,
    Urn,
    Value,
)
from tests.unit.act_world import GROUP, World, declared, differs, plan, repair, resource

RULE: dict[str, Value] = {"protocol": "tcp", "fromPort": 443}
OPENED: list[Value] = [RULE, {"protocol": "tcp", "fromPort": 8443}]
WALL = resource("acme-wall", inputs={"ingress": [RULE], "policy": "{}", "tags": {"a": "b"}})
DOOR = resource("acme-door", inputs={"healthCheck": {"path": "/"}})
BELL = resource("acme-bell", "aws:cloudwatch/metricAlarm:MetricAlarm", inputs={"threshold": 1})
ROLE = resource("acme-role", "aws:iam/role:Role", inputs={"path": "/"})
SERVERS, SECOND = resource("acme-servers", GROUP), resource("acme-second", inputs={"ingress": []})


class Tenant:
    """A tenant whose servers serve only while somebody's own rule is in its firewall; it is set back."""

    def __init__(self, *found: Finding) -> None:
        self.world = World(declared(WALL, DOOR, BELL, ROLE, SERVERS, SECOND))
        found = found or (differs(WALL, "ingress", OPENED),)
        self.world.broken = {f.urn: [g for g in found if g.urn == f.urn] for f in found}
        self.found, self.lost = found, 0
        self.breaches: list[Finding] = []
        self.asked: list[Any] = []
        self.paused: list[str] = []
        self.world.fleet = self.fleet
        self.world.change(breaches=self.judged, pause=lambda tenant, _: self.paused.append(tenant))

    def judged(self, values: Any) -> Sequence[Finding]:
        self.asked.append(values)
        return self.breaches

    def fleet(self, group: Urn) -> Fleet:
        healthy = 3 - self.lost if any(self.world.broken.values()) else 0
        members = tuple(
            Member(f"i-{n}", "a", "InService", "running", "healthy" if n < healthy else "unhealthy") for n in range(3)
        )
        return Fleet(group, "servers", 3, 1, 4, members)

    def act(self, strategy: str = "reapply") -> Outcome:
        ids = tuple(f.id for f in self.found)
        urns = tuple(self.world.broken)
        (outcome,) = act(plan(Repair(strategy, "acme", urns, ids, "it differs")), self.world.tools)
        assert self.world.journal.open == []
        return outcome

    def second_time(self, change: Callable[[], None]) -> None:
        """Do something right before the preview of the update that takes the repair back."""

        def trouble(_: Collection[Urn]) -> None:
            if self.asked:
                change()

        self.world.engine.preview_trouble = trouble


def test_what_hurt_is_taken_back() -> None:
    """What was found is there again, its difference is a finding again, both facts are told, and the tenant waits."""
    tenant = Tenant()
    outcome = tenant.act()
    assert outcome.status is Status.ROLLED_BACK
    assert "worse off" in outcome.reason
    assert "brought back as it was found, and the tenant is well again" in outcome.reason
    assert tenant.asked == [{WALL.urn: {"ingress": OPENED}}]
    assert [f.id for f in tenant.world.broken[WALL.urn]] == [f.id for f in tenant.found]
    assert tenant.world.engine.ups == [((WALL.urn,), frozenset({"acme"}))] * 2
    assert tenant.paused == ["acme"]


@pytest.mark.parametrize(
    ("found", "why"),
    [
        (replace(differs(WALL, "ingress", OPENED), kind=Kind.COMPLIANCE), "a breach is not brought back"),
        (replace(differs(WALL, "ingress", OPENED), kind=Kind.HEALTH), "not known what was there"),
        (replace(differs(WALL, "ingress", OPENED), rule="drift.missing"), "not known what was there"),
        (differs(WALL, "ingress", None), "not known what was there"),
        (differs(WALL, "elsewhere", 1), "not known what was there"),
        (differs(WALL, "ingress", [Secret()]), "not all of what was there"),
        (differs(WALL, "ingress", [{**RULE, "toPort": Unreadable("no answer")}]), "not all of what was there"),
        (differs(WALL, "ingress", [{"protocol": "tcp"}]), "not all of what was there"),
        (differs(WALL, "policy", '{"Statement": []}'), "rights are not given back"),
        (differs(ROLE, "path", "/other/"), "rights are not given back"),
        (differs(DOOR, "healthCheck", {"path": "/always-well"}), "only tells how well"),
        (differs(BELL, "threshold", 1000), "only tells how well"),
    ],
)
def test_what_was_there_must_be_known_and_harmless(found: Finding, why: str) -> None:
    """A breach, rights, a secret, or what is not known in full is never brought back: the tenant waits as it is."""
    tenant = Tenant(found)
    outcome = tenant.act()
    assert outcome.status is Status.NOT_HEALED
    assert why in outcome.reason
    assert (len(tenant.world.engine.ups), tenant.paused) == (1, ["acme"])


def test_one_part_that_cannot_be_taken_back_keeps_all() -> None:
    """Half of what a turn has done to a tenant is not taken back without the other half."""
    tenant = Tenant(differs(WALL, "ingress", OPENED), differs(WALL, "policy", "{ }"))
    assert tenant.act().status is Status.NOT_HEALED
    assert len(tenant.world.engine.ups) == 1


def test_a_breach_is_not_brought_back() -> None:
    """What any rule would object to, on whatever resource of the tenant, stays as declared."""
    tenant = Tenant()
    tenant.breaches = [replace(differs(SECOND, "", 0), kind=Kind.COMPLIANCE, message="the bucket is public")]
    outcome = tenant.act()
    assert outcome.status is Status.NOT_HEALED
    assert "the bucket is public" in outcome.reason
    assert len(tenant.world.engine.ups) == 1


@pytest.mark.parametrize("strategy", ["restore", "recreate"])
def test_only_a_reapply_is_taken_back(strategy: str) -> None:
    """What holds data stays as declared, and what was created is not deleted."""
    tenant = Tenant()
    outcome = tenant.act(strategy)
    assert outcome.status is Status.NOT_HEALED
    assert f"a {strategy} cannot be taken back" in outcome.reason


@pytest.mark.parametrize(
    "step",
    [
        Step(WALL.urn, WALL.type, "replace"),
        Step(SECOND.urn, SECOND.type, "update"),
        Step(WALL.urn, WALL.type, "delete"),
    ],
)
def test_nothing_else_is_done_on_the_way_back(step: Step) -> None:
    """The preview of the way back is checked as that of the repair was."""
    tenant = Tenant()
    tenant.second_time(lambda: tenant.world.engine.besides.append(step))
    assert tenant.act().status is Status.NOT_HEALED
    assert len(tenant.world.engine.ups) == 1


def test_only_what_was_changed_is_brought_back() -> None:
    """An update of another property of the same resource is not what was there before."""
    tenant = Tenant()
    tenant.second_time(lambda: tenant.world.engine.besides.append(Step(WALL.urn, WALL.type, "update", ("tags.a",))))
    assert "more than was there before" in tenant.act().reason
    assert len(tenant.world.engine.ups) == 1


def test_a_program_that_takes_no_other_inputs_is_told() -> None:
    """Where the engine would write nothing, nothing is claimed to have been brought back."""
    tenant = Tenant()
    tenant.second_time(lambda: tenant.world.engine.would.update({WALL.urn: ("same",)}))
    outcome = tenant.act()
    assert outcome.status is Status.NOT_HEALED
    assert "would bring nothing back" in outcome.reason


def test_a_way_back_that_fails_is_told() -> None:
    """The engine's words are in the outcome, and nothing is called rolled back."""
    tenant = Tenant()

    def fail() -> None:
        tenant.world.engine.up_trouble = EngineError("the engine failed", why="LimitExceeded")

    tenant.second_time(fail)
    outcome = tenant.act()
    assert outcome.status is Status.NOT_HEALED
    assert "LimitExceeded" in outcome.reason
    assert tenant.paused == ["acme"]


@pytest.mark.parametrize("then", [[], [RULE], OPENED[::-1]])
def test_the_way_back_is_proven_by_a_look(then: list[Value]) -> None:
    """Only what is there again as it was found counts; the order in which AWS tells it does not."""
    tenant = Tenant()
    look = tenant.world.look

    def otherwise(urns: Collection[Urn]) -> tuple[Finding, ...]:
        back = len(tenant.world.engine.ups) > 1
        return tuple(replace(f, observed=then) if back else f for f in look(urns))

    tenant.world.change(look=otherwise)
    assert tenant.act().status is (Status.ROLLED_BACK if len(then) == 2 else Status.NOT_HEALED)


def test_a_tenant_that_stays_worse_off_is_told() -> None:
    """What was taken back in vain is rolled back all the same: the outcome says that the tenant is no better."""
    tenant = Tenant()

    def lose() -> None:
        tenant.lost = 1

    tenant.second_time(lose)
    outcome = tenant.act()
    assert outcome.status is Status.ROLLED_BACK
    assert "still worse off: 2 servers" in outcome.reason


def test_a_person_s_pause_comes_first() -> None:
    """A tenant that a person pauses before the way back is left as it is (I14)."""
    tenant = Tenant()
    tenant.second_time(lambda: tenant.world.journal.paused.add("acme"))
    outcome = tenant.act()
    assert outcome.status is Status.NOT_HEALED
    assert "tenant acme is paused" in outcome.reason
    assert len(tenant.world.engine.ups) == 1


def test_a_lost_lease_leaves_the_intent_open_and_the_tenant_paused() -> None:
    """Nothing is taken back without the lease; nothing more is done to the tenant before a person looked (I05)."""
    tenant = Tenant()
    tenant.second_time(lambda: tenant.world.journal.trouble.update(ensure_held=LeaseLost("somebody else holds it")))
    (outcome,) = act(
        plan(replace(repair("reapply", WALL), finding_ids=tuple(f.id for f in tenant.found))), tenant.world.tools
    )
    assert outcome.status is Status.INTERRUPTED
    assert tenant.world.journal.open == [0]
    assert (len(tenant.world.engine.ups), tenant.paused) == (1, ["acme"])


@pytest.mark.parametrize(
    "accepted", [None, AcceptedBy("kim", "until the move is over", datetime(2027, 1, 1, tzinfo=UTC))]
)
def test_all_that_the_update_overwrote_is_brought_back(accepted: AcceptedBy | None) -> None:
    """A difference that somebody has accepted, or that is newer than the plan, was overwritten with the rest."""
    tenant = Tenant()
    tenant.world.broken[WALL.urn].append(replace(differs(WALL, "tags", {"a": "by hand"}), accepted=accepted))
    outcome = tenant.act()
    assert tenant.asked == [{WALL.urn: {"ingress": OPENED, "tags": {"a": "by hand"}}}]
    assert outcome.status is Status.ROLLED_BACK


def test_a_second_difference_that_is_not_known_keeps_all() -> None:
    """What is overwritten beside it and cannot be brought back keeps the whole repair as it is."""
    tenant = Tenant()
    tenant.world.broken[WALL.urn].append(differs(WALL, "policy", "{ }"))
    (outcome,) = act(
        plan(Repair("reapply", "acme", (WALL.urn,), (tenant.found[0].id,), "it differs")), tenant.world.tools
    )
    assert outcome.status is Status.NOT_HEALED
    assert "rights are not given back" in outcome.reason


def test_what_cannot_be_seen_is_not_told_to_be_well() -> None:
    """F23: where the fleet cannot be read after all was brought back, nobody says that the tenant is well again."""
    tenant = Tenant()

    def fleet(group: Urn) -> Fleet | Unreadable:
        return Unreadable("Throttling") if len(tenant.world.engine.ups) == 2 else tenant.fleet(group)

    tenant.world.fleet = fleet
    outcome = tenant.act()
    assert outcome.status is Status.ROLLED_BACK
    assert "may be well again, which cannot be seen in full" in outcome.reason

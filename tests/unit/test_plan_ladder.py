"""The escalation ladder: wait longer each time, recognise a fight, and hand over with what is known."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from reconciler.model import Attempt, Attribution, Finding, Plan, Status
from reconciler.plan.policy import Policy
from tests.unit.plan_worlds import NOW, cell, finding, resource, scan
from tests.unit.test_plan_planner import planned

SUBNET = resource("subnet")
FOUND = finding(SUBNET, property_="tags")
PATIENT = Policy(same_failure_limit=100, flap_limit=100, repair_minimum=100, flap_window=timedelta(days=1))


def past(*attempts: tuple[float, Status]) -> tuple[Attempt, ...]:
    """Attempts so many minutes ago."""
    return tuple(Attempt(SUBNET.urn, "reapply", s, NOW - timedelta(minutes=m), (FOUND.id,)) for m, s in attempts)


def after(history: tuple[Attempt, ...], policy: Policy = PATIENT, found: Finding = FOUND) -> Plan:
    return planned(scan(cell(SUBNET), found), policy, history=history)


@pytest.mark.parametrize(("failures", "wait"), [(1, 1), (2, 2), (3, 4), (4, 8), (7, 60), (40, 60)])
def test_the_wait_doubles_up_to_the_longest(failures: int, wait: int) -> None:
    """After n failures in a row the next try is 1, 2, 4, 8, … minutes later, and never more than an hour."""
    for passed, tried in ((wait - 0.1, False), (wait, True)):
        history = past(*((passed + n, Status.NOT_HEALED) for n in reversed(range(failures))))
        assert bool(after(history).repairs) is tried


def test_a_deferral_says_when_the_next_try_is() -> None:
    """The words hold the moment, and the setting is named."""
    (deferral,) = after(past((0.5, Status.ROLLED_BACK))).deferrals
    assert (deferral.code, deferral.setting) == ("back-off", "retry.backoff_seconds")
    assert "2026-03-01 12:00:30 UTC" in deferral.reason


def test_success_forgets_the_failures() -> None:
    """What healed once begins with the shortest wait again, and what was refused or cut off is forgotten too."""
    assert after(past((9, Status.NOT_HEALED), (8, Status.NOT_HEALED), (0.2, Status.HEALED))).repairs
    assert after(past((0.4, Status.REFUSED), (0.3, Status.INTERRUPTED), (0.2, Status.HEALED))).repairs


@pytest.mark.parametrize("status", [Status.INTERRUPTED, Status.REFUSED])
def test_a_restart_or_a_refusal_is_taken_up_at_once_and_then_waited_for(status: Status) -> None:
    """F24: the first time nothing waits and nobody is told; then each time twice as long, as after failures."""
    assert after(past((0.1, status))).repairs[0].strategy == "reapply"
    for times, wait in ((2, 1), (3, 2), (4, 4)):
        for passed, tried in ((wait - 0.1, False), (wait, True)):
            history = past(*((passed + n, status) for n in reversed(range(times))))
            result = after(history)
            assert [r.strategy for r in result.repairs] == ["reapply"] * tried
            assert tried or f"{times} times; the next try is at" in result.deferrals[0].reason


def test_only_what_has_lasted_since_is_waited_for() -> None:
    """F24: a try that was cut off after it had healed the fault does not count when the fault comes back."""
    history = past((9, Status.INTERRUPTED), (0.1, Status.INTERRUPTED))
    for minutes, tried in ((10, False), (5, True)):
        seen = {FOUND.id: NOW - timedelta(minutes=minutes)}
        result = planned(scan(cell(SUBNET), FOUND), PATIENT, history=history, first_seen=seen)
        assert bool(result.repairs) is tried


def test_what_kills_its_process_each_time_is_handed_over() -> None:
    """F24 I11: cut off five times in a day, hours apart, and never healed in between: a person looks at it; once or
    twice is a restart."""
    hours = [(60.0 * n + 30, Status.INTERRUPTED) for n in reversed(range(5))]
    (repair,) = after(past(*hours), Policy()).repairs
    assert (repair.strategy, repair.setting) == ("escalate", "retry.unfinished_limit")
    assert "it was cut off 5 times within 1 day" in repair.reason
    assert after(past(*hours[1:]), Policy()).repairs[0].strategy == "reapply"
    healed = past(*hours[:3], (100, Status.HEALED), *hours[3:])
    assert after(healed, Policy()).repairs[0].strategy == "reapply"


def test_a_rollout_that_takes_many_passes_is_neither_waited_for_nor_handed_over() -> None:
    """I11: that a pass had no time for all of its servers is no try that failed, however often."""
    hours = [(60.0 * n + 0.1, Status.CONTINUES) for n in reversed(range(8))]
    (repair,) = after(past(*hours), Policy()).repairs
    assert (repair.strategy, repair.alone) == ("reapply", False)


def test_what_was_cut_off_twice_is_done_alone() -> None:
    """F24: after one restart it goes with the others, after a second one it may be the cause."""
    hours = [(60.0 * n + 30, Status.INTERRUPTED) for n in reversed(range(3))]
    alone = [after(past(*hours[:times]), Policy()).repairs[0].alone for times in range(4)]
    assert alone == [False, False, True, True]


def test_what_is_refused_each_time_is_handed_over_and_asked_again() -> None:
    """I11: five refusals in a row are for a person; an hour after the last one it is asked whether that still holds."""
    refused = [(10.0 * n + 50, Status.REFUSED) for n in reversed(range(5))]
    (repair,) = after(past(*refused), Policy()).repairs
    assert (repair.strategy, repair.setting) == ("escalate", "retry.unfinished_limit")
    assert "it was refused 5 times" in repair.reason
    later = past(*((minutes + 20, status) for minutes, status in refused))
    assert after(later, Policy()).repairs[0].strategy == "reapply"


def test_another_fault_of_the_same_resource_does_not_wait() -> None:
    """The wait is for what failed, not for all that may go wrong with a resource."""
    history = tuple(replace(a, finding_ids=("f-other",)) for a in past((0.1, Status.NOT_HEALED)))
    assert after(history).repairs


def test_a_slow_fight_is_recognised_and_says_who() -> None:
    """F52 I11: healed three times in a day, hours apart, and set back each time: it stops, and names the other one."""
    fight = past((1200, Status.HEALED), (700, Status.HEALED), (200, Status.HEALED))
    policy = Policy(flap_window=timedelta(hours=1))
    known = replace(FOUND, attribution=Attribution("arn:aws:iam::1:role/legacy-cron", "ec2:ModifySubnetAttribute"))
    (repair,) = after(fight, policy, known).repairs
    assert (repair.strategy, repair.setting) == ("escalate", "retry.fight_limit")
    assert "legacy-cron by ec2:ModifySubnetAttribute" in repair.reason
    assert "not known" in after(fight, policy).repairs[0].reason
    assert after(fight[1:], policy).repairs[0].strategy == "reapply"


def test_what_is_deleted_each_time_is_a_fight_too() -> None:
    """F52 I11: brought back three times in a day, hours apart, and gone again each time: it stops, and says by whom."""
    gone = finding(SUBNET, "drift.missing", property_="")
    fight = tuple(
        Attempt(SUBNET.urn, "recreate", Status.HEALED, NOW - timedelta(minutes=m), (gone.id,)) for m in (1200, 700, 200)
    )
    known = replace(gone, attribution=Attribution("arn:aws:iam::1:role/janitor", "ec2:DeleteSubnet"))
    (repair,) = after(fight, Policy(), known).repairs
    assert (repair.strategy, repair.setting) == ("escalate", "retry.fight_limit")
    assert "it was brought back 3 times" in repair.reason
    assert "gone again each time; who changed it last: arn:aws:iam::1:role/janitor" in repair.reason
    assert after(fight[1:], Policy(), gone).repairs[0].strategy == "recreate"


def test_what_healed_by_itself_is_no_fight_and_no_flapping() -> None:
    """A fault that passes before it is repaired was neither repaired nor set back, however often; it ends a row."""
    by_itself = tuple(replace(a, wrote=False) for a in past(*((m, Status.HEALED) for m in (10, 20, 30, 40))))
    for policy in (Policy(), replace(PATIENT, fight_limit=3)):
        assert [r.strategy for r in after(by_itself, policy).repairs] == ["reapply"]
        repaired = tuple(replace(a, wrote=True) for a in by_itself)
        assert [r.strategy for r in after(repaired, policy).repairs] == ["escalate"]
    assert after((*past((0.4, Status.NOT_HEALED)), *(replace(a, at=NOW) for a in by_itself[:1]))).repairs


def test_healing_other_properties_is_no_fight() -> None:
    """F52: only the same property, set back again and again, is a fight."""
    others = tuple(replace(a, finding_ids=(f"f-{i}",)) for i, a in enumerate(past(*[(200, Status.HEALED)] * 5)))
    assert after(others, Policy()).repairs[0].strategy == "reapply"


def test_an_escalation_carries_what_a_person_needs() -> None:
    """What was tried with its outcomes, what to look at, and the setting that ended it."""
    (repair,) = after(past((20, Status.NOT_HEALED), (10, Status.ROLLED_BACK)), Policy()).repairs
    assert (repair.strategy, repair.setting) == ("escalate", "flap.same_failure_limit")
    assert repair.tried == (
        "reapply at 2026-03-01 11:40:00 UTC: not healed",
        "reapply at 2026-03-01 11:50:00 UTC: rolled back",
    )
    assert repair.look_at == ("subnet (aws:ec2/subnet:Subnet, id-subnet)", "subnet broke")

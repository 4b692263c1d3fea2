"""Maintenance windows and freezes: local time, midnight, days on which the clocks change, and what is critical."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.model import Severity
from reconciler.plan.modes import Mode, ModeRule
from reconciler.plan.policy import Policy
from reconciler.plan.selectors import Selector
from reconciler.plan.windows import DAYS, Freeze, Window
from tests.unit.plan_worlds import NOW, cell, finding, resource, scan
from tests.unit.test_plan_planner import planned

ALL = Selector(tenant="*")
BERLIN, NEW_YORK = ZoneInfo("Europe/Berlin"), ZoneInfo("America/New_York")
SCORESBYSUND = ZoneInfo("America/Scoresbysund")
ACME, OTHER = resource("a", "acme"), resource("o", "other")
HOUR = timedelta(hours=1)
FREEZE = Freeze(Selector(tier="gold"), NOW + 2 * HOUR, NOW + 3 * HOUR, "sale")


def window(
    start: str, end: str | None, *days: str, zone: ZoneInfo = BERLIN, of: Selector = ALL, critical: bool = False
) -> Window:
    last = time.fromisoformat(end) if end else None
    return Window(of, frozenset(days or DAYS), time.fromisoformat(start), last, zone, critical)


def at(moment: str) -> datetime:
    return datetime.fromisoformat(moment).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("moment", "is_open"),
    [
        ("2026-06-05T19:59:59", False),
        ("2026-06-05T20:00:00", True),
        ("2026-06-06T01:59:59", True),
        ("2026-06-06T02:00:00", False),
        ("2026-06-06T20:00:00", False),
    ],
)
def test_a_window_may_pass_midnight(moment: str, is_open: bool) -> None:
    """Friday 22:00 to 04:00 in Berlin ends on Saturday morning, and Saturday evening is not Friday."""
    assert window("22:00", "04:00", "fri").holds(at(moment)) is is_open


def test_a_whole_day_ends_at_midnight() -> None:
    """From 00:00 to 24:00 is the whole local day."""
    sunday = window("00:00", None, "sun")
    assert [sunday.holds(at(m)) for m in ("2026-06-06T21:59:00", "2026-06-06T22:00:00", "2026-06-07T21:59:59")] == [
        False, True, True,
    ]  # fmt: skip
    assert not sunday.holds(at("2026-06-07T22:00:00"))


@pytest.mark.parametrize(
    ("of", "opened", "shut"),
    [
        # 29 March 2026, 02:00 becomes 03:00 in Berlin; on 25 October, 03:00 becomes 02:00.
        pytest.param(window("01:00", "04:00"), "2026-03-29T00:00", "2026-03-29T02:00", id="F39 an hour is missing"),
        pytest.param(window("02:15", "02:45"), "2026-03-29T01:15", "2026-03-29T01:45", id="F39 it would not exist"),
        pytest.param(window("02:15", "02:45"), "2026-10-25T00:15", "2026-10-25T00:45", id="F39 it exists twice"),
        pytest.param(window("22:00", "02:30"), "2026-10-24T20:00", "2026-10-25T00:30", id="F39 its end exists twice"),
        pytest.param(
            window("01:30", "03:30", zone=NEW_YORK), "2026-03-08T06:30", "2026-03-08T07:30", id="F39 New York"
        ),
        pytest.param(window("02:00", "03:00"), "2026-03-29T01:00", "2026-03-29T02:00", id="F39 just the missing hour"),
        pytest.param(window("02:30", "03:15"), "2026-03-29T01:30", "2026-03-29T02:15", id="F39 its start is missing"),
        pytest.param(
            window("23:15", "23:45", zone=SCORESBYSUND),
            "2026-03-29T01:15",
            "2026-03-29T01:45",
            id="F39 moved past midnight",
        ),
    ],
)
def test_a_window_takes_place_once_when_the_clocks_change(of: Window, opened: str, shut: str) -> None:
    """F39: it opens once, at its wall-clock time or moved by the change, and is never longer than its times say."""
    begin, end = at(opened), at(shut)
    minutes = [begin + timedelta(minutes=m) for m in range(-300, 600, 5)]
    assert [m for m in minutes if of.holds(m)] == [m for m in minutes if begin <= m < end]


@given(
    st.datetimes(datetime(2025, 1, 1), datetime(2029, 1, 1), timezones=st.just(UTC)),
    st.times(),
    st.times(),
    st.sets(st.sampled_from(DAYS), min_size=1),
    st.sampled_from([BERLIN, NEW_YORK, SCORESBYSUND, ZoneInfo("UTC")]),
)
def test_it_opens_when_it_says(now: datetime, start: time, end: time, days: set[str], zone: ZoneInfo) -> None:
    """F38 F39: the moment that a closed window is said to open at is the first one at which it is open."""
    of = Window(ALL, frozenset(days), start, end, zone)
    opens = of.opens(now)
    assert of.holds(opens)
    if not of.holds(now):
        assert not of.holds(now + (opens - now) / 2)


@pytest.mark.parametrize(
    ("of", "now", "opens"),
    [
        (window("02:00", "03:00", "sun"), "2026-03-25T12:00", "2026-03-29T01:00"),
        (window("02:00", "03:00", "sun"), "2026-03-29T01:00", "2026-04-05T00:00"),
        (window("23:15", "23:45", "sat", zone=SCORESBYSUND), "2026-03-29T01:05", "2026-03-29T01:15"),
    ],
)
def test_a_window_in_the_missing_hour_opens_all_the_same(of: Window, now: str, opens: str) -> None:
    """F39: one that is only on the day of the change, in the hour that does not exist, opens then, else a week on."""
    assert of.opens(at(now)) == at(opens)


def test_outside_its_window_nothing_is_repaired() -> None:
    """What a window selects waits for it, and the deferral names it and when it opens; the others need none."""
    policy = Policy(windows=(window("22:00", "23:00", of=Selector(tenant="acme")),))
    found = finding(ACME), finding(OTHER)
    result = planned(scan(cell(ACME, OTHER), *found), policy)
    assert [r.tenant for r in result.repairs] == ["other"]
    (deferral,) = result.deferrals
    assert (deferral.code, deferral.setting) == ("window", "windows[1]")
    assert "2026-03-01 21:00 UTC" in deferral.reason
    open_now = Policy(windows=(*policy.windows, window("12:30", "14:00", of=Selector(tenant="acme"))))
    assert len(planned(scan(cell(ACME, OTHER), *found), open_now).repairs) == 2


@pytest.mark.parametrize("severity", [Severity.CRITICAL, Severity.HIGH])
def test_what_is_critical_may_be_let_through(severity: Severity) -> None:
    """Only if it is set, and only what is critical, is repaired outside of a window or in a freeze."""
    of = scan(cell(ACME), finding(ACME, severity=severity))
    through = severity is Severity.CRITICAL
    span = NOW - timedelta(hours=1), NOW + timedelta(hours=1)
    for critical in (False, True):
        shut = Policy(windows=(window("22:00", "23:00", critical=critical),))
        frozen = Policy(freezes=(Freeze(ALL, *span, "sale", critical),))
        for policy in (shut, frozen):
            assert bool(planned(of, policy).repairs) is (critical and through)


def test_a_freeze_stops_what_it_selects_while_it_lasts() -> None:
    """From its start until before its end, and in spite of an open window."""
    of = scan(cell(ACME), finding(ACME))
    for start, end, stopped in ((0, 1, True), (-1, 0, False), (1, 2, False)):
        freeze = Freeze(Selector(tier="gold"), NOW + timedelta(hours=start), NOW + timedelta(hours=end), "sale")
        result = planned(of, Policy(freezes=(freeze,), windows=(window("00:00", None),)))
        assert [d.code for d in result.deferrals] == (["freeze"] if stopped else [])


def test_people_can_approve_outside_of_the_window() -> None:
    """A proposal is shown at any time, since it writes nothing; what is approved still waits for the window."""
    policy = Policy(modes=(ModeRule(ALL, Mode.PROPOSE),), windows=(window("22:00", "23:00"),))
    result = planned(scan(cell(ACME), finding(ACME)), policy)
    assert (len(result.proposals), result.deferrals) == (1, ())


def test_an_escalation_waits_for_no_window() -> None:
    """Telling a person writes nothing, so it is done at any time."""
    bucket = resource("bucket", type_="aws:s3/bucket:Bucket")
    of = scan(cell(bucket), finding(bucket, "drift.missing"))
    assert [r.strategy for r in planned(of, Policy(windows=(window("22:00", "23:00"),))).repairs] == ["escalate"]


@pytest.mark.parametrize(
    ("policy", "at_hour", "words"),
    [
        pytest.param(Policy(freezes=(FREEZE,)), 2, "frozen until 2026-03-01 15:00 UTC: sale", id="a freeze begins"),
        pytest.param(Policy(windows=(window("12:00", "16:00"),)), 3, "opens next, at 2026-03-02 11:00", id="it ends"),
        pytest.param(Policy(windows=(window("12:00", "16:00"), window("15:00", "17:30")), freezes=()), 4.5,
                     "entry 1 of [[windows]]", id="another window goes on"),
        pytest.param(Policy(windows=(window("12:00", "16:00"),), freezes=(FREEZE,)), 2, "frozen", id="the earlier one"),
        pytest.param(Policy(windows=(window("22:00", "14:30"),)), 1.5, "outside", id="it began yesterday"),
        pytest.param(Policy(windows=(window("00:00", None),)), None, "", id="a window that never ends"),
        pytest.param(Policy(freezes=(replace(FREEZE, selector=Selector(tenant="other")),)), None, "", id="not its own"),
        pytest.param(Policy(freezes=(replace(FREEZE, end=NOW, start=NOW - HOUR),)), None, "", id="it is over"),
        pytest.param(Policy(), None, "", id="nothing closes"),
    ],
)  # fmt: skip
def test_the_plan_says_until_when_a_repair_may_begin(policy: Policy, at_hour: float | None, words: str) -> None:
    """The first moment at which a freeze or the end of its windows would defer it, with the words of that deferral."""
    made = planned(scan(cell(ACME), finding(ACME)), policy)
    (repair,) = made.repairs
    deadline = made.deadlines.get(repair.id)
    assert (deadline and deadline.at) == (None if at_hour is None else NOW + at_hour * HOUR)
    assert words in (deadline.reason if deadline else "")


def test_what_may_go_through_a_freeze_has_no_deadline() -> None:
    """What is critical, where the freeze lets that through; and telling a person needs no time."""
    policy = Policy(freezes=(replace(FREEZE, critical=True),))
    bucket = resource("bucket", type_="aws:s3/bucket:Bucket")
    of = scan(cell(ACME, bucket), finding(ACME, severity=Severity.CRITICAL), finding(bucket, "drift.missing"))
    made = planned(of, policy)
    assert (len(made.repairs), made.deadlines) == (2, {})


def test_a_deadline_is_no_part_of_what_is_approved() -> None:
    """A freeze that is entered or comes nearer leaves the plan's hash, and so an approval, as it was."""
    of = scan(cell(ACME), finding(ACME))
    hashes = {planned(of, policy).hash for policy in (Policy(), Policy(freezes=(FREEZE,)))}
    assert len(hashes) == 1

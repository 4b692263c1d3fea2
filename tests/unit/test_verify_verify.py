"""A repair is healed when a fresh look says so."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace

import pytest

from reconciler.errors import LeaseLost, StackmendError
from reconciler.model import AcceptedBy, Finding, Kind, Repair, Urn, Verdict
from reconciler.verify.verify import verify
from tests.unit.act_world import finding, repair, resource

VPC, OTHER = resource("acme-vpc"), resource("globex-vpc")
Answer = tuple[Finding, ...] | StackmendError


def verified(answers: Callable[[int], Answer], *repairs: Repair, timeout: float = 100) -> tuple[Mapping[str, str], int]:
    """What verification says, and how many looks it took; ``answers`` gives each look in turn."""
    looks = 0
    now = 0.0

    def look(urns: Collection[Urn]) -> tuple[Finding, ...]:
        nonlocal looks
        answer = answers(looks)
        looks += 1
        if isinstance(answer, StackmendError):
            raise answer
        return tuple(f for f in answer if f.urn in urns)

    def wait(seconds: float) -> None:
        nonlocal now
        now += seconds

    return verify(repairs, look, timeout=timeout, poll=10, clock=lambda: now, wait=wait), looks


def test_waits_until_it_passes() -> None:
    """It looks again until the finding is gone, and no longer."""
    assert verified(lambda n: (finding(VPC),) if n < 3 else (), repair("reapply", VPC)) == ({}, 4)


def test_a_passing_finding_is_healed() -> None:
    """A finding that is there with PASS is as good as one that is not there."""
    assert verified(lambda _: (finding(VPC, Verdict.PASS),), repair("reapply", VPC)) == ({}, 1)


def test_out_of_time() -> None:
    """Once time is out, the reason is the finding's own words."""
    work = repair("reapply", VPC)
    reasons, looks = verified(lambda _: (finding(VPC),), work, timeout=30)
    assert reasons == {work.id: "still so after 30 s: acme-vpc is wrong"}
    assert looks == 4


def test_one_look_for_all() -> None:
    """Repairs share their looks, and each gets its own answer."""
    good, bad = repair("reapply", VPC), repair("reapply", OTHER)
    reasons, looks = verified(lambda n: (finding(OTHER), finding(VPC)) if n == 0 else (finding(OTHER),), good, bad)
    assert set(reasons) == {bad.id}
    assert looks == 11


def test_even_without_time_it_looks_once() -> None:
    """No time to wait is still one look."""
    assert verified(lambda _: (), repair("reapply", VPC), timeout=0) == ({}, 1)


@pytest.mark.parametrize(
    "hiding",
    [finding(VPC, Verdict.UNKNOWN), finding(VPC, Verdict.UNKNOWN, rule="drift.unseen"), StackmendError("AWS is away")],
)
def test_unknown_is_not_healed(hiding: Finding | StackmendError) -> None:
    """A finding that cannot be seen, or a look that fails, proves nothing (I06)."""
    reasons, _ = verified(lambda _: hiding if isinstance(hiding, StackmendError) else (hiding,), repair("reapply", VPC))
    assert len(reasons) == 1


@pytest.mark.parametrize(
    "beside",
    [
        replace(finding(VPC, Verdict.UNKNOWN, rule="drift.unseen"), property="tags.Owner"),
        replace(finding(VPC, Verdict.UNKNOWN, rule="vpc.flow-logs"), kind=Kind.COMPLIANCE),
        finding(VPC, rule="another.rule"),
        finding(OTHER, Verdict.UNKNOWN),
    ],
)
def test_what_was_not_the_repair_s_does_not_count(beside: Finding) -> None:
    """Another fault of the same resource, or one unreadable property of it, does not make a repair fail."""
    assert verified(lambda _: (beside,), repair("reapply", VPC)) == ({}, 1)


def test_an_accepted_finding_is_not_against_it() -> None:
    """What an exception accepts meanwhile is not waited for."""
    from datetime import UTC, datetime

    accepted = replace(finding(VPC), accepted=AcceptedBy("ann", "known", datetime(2030, 1, 1, tzinfo=UTC)))
    assert verified(lambda _: (accepted,), repair("reapply", VPC)) == ({}, 1)


def test_a_lost_lease_is_not_swallowed() -> None:
    """A lost lease ends the waiting at once (I05)."""
    with pytest.raises(LeaseLost):
        verified(lambda _: LeaseLost("gone"), repair("reapply", VPC))

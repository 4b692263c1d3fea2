"""The rate at which a service is asked follows what the service bears, whatever that is."""

from __future__ import annotations

import time

import pytest
from botocore.exceptions import ClientError
from hypothesis import given
from hypothesis import strategies as st

from reconciler.observe.pace import LEAST, UNLIMITED, Limiter, Rate


class Bucket:
    """AWS's side: a bucket of ``burst`` calls that refills at ``refill`` calls a second."""

    def __init__(self, refill: float, burst: float) -> None:
        self.refill, self.burst, self.tokens, self.at = refill, burst, burst, 0.0

    def takes(self, now: float) -> bool:
        self.tokens = min(self.burst, self.tokens + (now - self.at) * self.refill)
        self.at = now
        if self.tokens < 1:
            return False
        self.tokens -= 1
        return True


def asked(rate: Rate, bucket: Bucket, begin: float, seconds: float, gap: float = 0.001) -> tuple[int, int]:
    """Ask as fast as the rate lets, at most every ``gap`` seconds. Returns how many got through, and how many not."""
    now, good, throttled = begin, 0, 0
    while now < begin + seconds:
        now += max(gap, rate.delay(now))
        rate.began(now)
        if bucket.takes(now):
            rate.answered(now)
            good += 1
        else:
            rate.throttled(now)
            throttled += 1
    return good, throttled


@given(refill=st.floats(10, 200), burst=st.floats(1, 300))
def test_it_settles_at_what_the_service_bears(refill: float, burst: float) -> None:
    """After half a minute few calls are throttled, and most of what the service gives is used (F01)."""
    rate, bucket = Rate(), Bucket(refill, burst)
    asked(rate, bucket, 0.0, 30.0)
    good, throttled = asked(rate, bucket, 30.0, 20.0)
    assert good >= 20 * refill * 0.6
    assert throttled <= good * 0.15


def test_what_was_taken_is_given_back() -> None:
    """When nobody throttles any more, the rate grows until none is kept."""
    rate = Rate()
    rate.throttled(0.0)
    asked(rate, Bucket(1e9, 1e9), 0.0, 120.0)
    assert rate.limit is None
    assert rate.delay(120.0) == 0


def test_calls_throttled_together_cut_once() -> None:
    """Sixty-four refusals of calls that were under way together are one sign, not sixty-four."""
    rate = Rate()
    for n in range(100):
        rate.answered(1 + n / 1000)
    for n in range(64):
        rate.throttled(1.2 + n / 1000)
    assert rate.limit == pytest.approx(70)


@given(st.lists(st.tuples(st.booleans(), st.floats(0, 3)), max_size=60))
def test_the_rate_stays_within_its_bounds(history: list[tuple[bool, float]]) -> None:
    """Whatever is answered when, the rate never closes and never is one that is not kept."""
    rate, now = Rate(), 0.0
    for good, later in history:
        now += later
        (rate.answered if good else rate.throttled)(now)
        assert rate.limit is None or LEAST <= rate.limit < UNLIMITED


def test_a_turn_after_the_deadline_is_not_waited_for() -> None:
    """A call whose turn comes too late is given up at its deadline, and the place it did not take is free (F01)."""
    limiter = Limiter(2)
    refusal = ClientError({"Error": {"Code": "Throttling"}}, "DescribeVpcs")
    with pytest.raises(ClientError), limiter.slot(time.monotonic() + 1):
        raise refusal
    with limiter.slot(time.monotonic() + 1):
        pass
    with pytest.raises(TimeoutError, match="waiting for a place"), limiter.slot(time.monotonic() + 0.01):
        pytest.fail("its turn has not come")
    with limiter.slot(time.monotonic() + 5):
        pass

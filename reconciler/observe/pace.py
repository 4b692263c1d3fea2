"""How fast and how densely one service of an account may be asked, learnt from its own answers."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

from botocore.exceptions import ClientError

from reconciler.observe.refusals import is_throttled, status_of

MOST_AT_ONCE = 64
"""Calls to one service under way at once while AWS does not throttle."""
CUT, GROWTH = 0.7, 0.1
"""A throttled rate is cut to this share of what got through; each good answer wins back so many calls a second."""
LEAST, UNLIMITED = 4.0, 1000.0
"""Calls a second below which no rate is cut, and above which none is kept: AWS's buckets refill faster than the one."""


class Rate:
    """Calls a second that a service bears, None while nothing is known of a limit.

    AWS counts calls in token buckets that others use up as well
    (https://docs.aws.amazon.com/ec2/latest/devguide/ec2-api-throttling.html), so the limit is found and not configured:
    additive increase, multiplicative decrease. Moments are monotonic seconds. Not safe between threads by itself.
    """

    def __init__(self) -> None:
        self.limit: float | None = None
        self._next = 0.0
        self._good: deque[float] = deque()
        self._cut_at = float("-inf")

    def delay(self, now: float) -> float:
        """Seconds until the next call's turn."""
        return max(0.0, self._next - now) if self.limit else 0.0

    def began(self, now: float) -> None:
        if self.limit:
            self._next = max(now, self._next) + 1 / self.limit

    def answered(self, now: float) -> None:
        self._good.append(now)
        while self._good[0] <= now - 1:
            self._good.popleft()
        if self.limit:
            grown = self.limit + GROWTH
            self.limit = grown if grown < UNLIMITED else None

    def throttled(self, now: float) -> None:
        """Cut the rate, once a second at most: calls that were under way together are throttled together."""
        if now - self._cut_at < 1:
            return
        self._cut_at = now
        got_through = float(sum(moment > now - 1 for moment in self._good))
        self.limit = max(LEAST, CUT * min(got_through, self.limit or got_through))


class Limiter:
    """Lets calls to one service begin: not too many at once, and not faster than the service bears.

    How many: halved when AWS throttles, one more after as many good answers, which leaves the other services their
    places meanwhile. How fast: ``Rate``.
    """

    def __init__(self, most: int = MOST_AT_ONCE) -> None:
        self._most = most
        self._allowed = float(most)
        self._busy = 0
        self.begun = 0
        """Calls that were let begin so far."""
        self.rate = Rate()
        self._changed = threading.Condition()

    @property
    def allowed(self) -> int:
        return int(self._allowed)

    @contextmanager
    def slot(self, deadline: float) -> Iterator[None]:
        """Wait for a place and a turn. Raises TimeoutError at ``deadline`` (monotonic seconds)."""
        with self._changed:
            while (now := time.monotonic()) < deadline:
                full, delay = self._busy >= self.allowed, self.rate.delay(now)
                if not full and not delay:
                    break
                self._changed.wait(min(deadline - now, delay if delay and not full else deadline - now))
            else:
                raise TimeoutError("out of time while waiting for a place among the calls to the service")
            self._busy += 1
            self.begun += 1
            self.rate.began(now)
        borne: bool | None = None
        try:
            yield
            borne = True
        except ClientError as error:
            borne = None if status_of(error) >= 500 and not is_throttled(error) else not is_throttled(error)
            raise
        finally:
            self._leave(borne=borne)

    def _leave(self, *, borne: bool | None) -> None:
        """``borne``: whether the service bore the call; None if what came back, or did not, says nothing of that."""
        with self._changed:
            self._busy -= 1
            if borne:
                self._allowed = min(float(self._most), self._allowed + 1 / self._allowed)
                self.rate.answered(time.monotonic())
            elif borne is not None:
                self._allowed = max(1.0, self._allowed / 2)
                self.rate.throttled(time.monotonic())
            self._changed.notify_all()

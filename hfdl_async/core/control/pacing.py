"""How many requests may begin a second, once a server has said that there were too many.

Between two complaints a server has let through what it allows, waits included: the mean of that
time is a better estimate than the best second, which a full bucket of the server's makes too high.
"""

from __future__ import annotations

from hfdl_async.core.controller import Sample

OF_THE_MEAN = 0.95
RELAPSE = 0.92
LEAST_RELAPSE = 0.5  # one complaint never costs more than half of the pace
RISE_PER_SECOND = 0.01
OF_THE_QUOTA = 0.9  # the rest is for what else asks with the same token
MANY_A_SECOND = 4.0  # below it the number of connections is the limit, not the rate
SLOWEST = 0.2


class Pacing:
    """The rate of starts: none until a server complains or states a quota that is too small."""

    __slots__ = ("_done", "_last_rate", "_own", "_quota", "_seconds")

    def __init__(self) -> None:
        self._done = 0
        self._seconds = 0.0
        self._last_rate = 0.0
        self._own: float | None = None
        self._quota: float | None = None

    @property
    def start_rate(self) -> float | None:
        """Return how many requests may begin a second, None for any number."""
        rates = [rate for rate in (self._own, self._quota) if rate is not None]
        return min(rates, default=None)

    @property
    def paced(self) -> bool:
        """Whether starts are held back."""
        return self.start_rate is not None

    @property
    def busy(self) -> bool:
        """Whether requests complete in such numbers that their rate can be what is limited."""
        return self._own is not None or self._last_rate > MANY_A_SECOND

    def observe(self, sample: Sample) -> None:
        """Note how many requests completed; let the rate rise a little."""
        self._done += sample.done
        self._seconds += sample.dt
        self._last_rate = max(sample.done / sample.dt, 0.5 * self._last_rate)
        if self._own is not None:
            self._own *= 1.0 + RISE_PER_SECOND * sample.dt
        self._quota = quota_rate(sample.planned, sample.quota_left, sample.quota_seconds)

    def slow_down(self) -> None:
        """Take a complaint about too many requests into account."""
        mean = self._done / max(self._seconds, 0.1)
        if self._own is None:
            self._own = max(SLOWEST, OF_THE_MEAN * mean)
        else:
            least = LEAST_RELAPSE * self._own
            self._own = max(SLOWEST, least, min(RELAPSE * self._own, OF_THE_MEAN * mean))
        self._done, self._seconds = 0, 0.0


def quota_rate(planned: int, left: int | None, seconds: float) -> float | None:
    """Return the requests a second that a quota allows, None where all fit in it.

    Args:
        planned: requests that are still to be made.
        left: requests the server says remain, None where it does not say.
        seconds: until that quota is full again.
    """
    if left is None or seconds <= 0 or planned <= OF_THE_QUOTA * left:
        return None
    return max(OF_THE_QUOTA * left, 0.5) / seconds

"""A bandwidth limit as arithmetic: how long a reader has to wait for what it has just read.

The generic cell rate algorithm (ITU-T I.371) with one bucket for all readers. A read is charged
after it was made, debt is allowed, and each reader waits until its own debt is paid: the waits
come out in the order of the charges, so nobody is overtaken. In any window of w seconds at most
`rate * w + burst + readers * read size` bytes pass.
"""

from __future__ import annotations

from hfdl_async.core.model import KIB, MIB

BURST_SECONDS = 0.25
LEAST_BURST_BYTES = 64 * KIB
READ_SECONDS = 0.05  # of the limit: all readers together overshoot by no more
LEAST_READ_BYTES, MOST_READ_BYTES = 16 * KIB, MIB
LEAST_WINDOW_BYTES = 64 * KIB  # what every TCP begins with


def burst_bytes(rate: float) -> float:
    """Return what may pass at once at *rate* bytes a second."""
    return max(float(LEAST_BURST_BYTES), BURST_SECONDS * rate)


def read_bytes(rate: float | None, readers: int) -> int:
    """Return how much one of *readers* may read at once under a limit of *rate*, None for none."""
    if rate is None:
        return MOST_READ_BYTES
    share = int(rate * READ_SECONDS / max(readers, 1))
    return min(MOST_READ_BYTES, max(LEAST_READ_BYTES, share))


def window_bytes(rate: float, readers: int) -> int:
    """Return how much one of *readers* lets its peer send ahead of it: a burst for all of them."""
    return max(LEAST_WINDOW_BYTES, int(burst_bytes(rate) / max(readers, 1)))


class Bucket:
    """One limit for all readers; times are monotonic seconds, `rate` None means no limit."""

    __slots__ = ("_due", "rate")

    def __init__(self, rate: float | None = None) -> None:
        self.rate = rate
        self._due = 0.0  # when all that was charged is paid

    def charge(self, now: float, count: float) -> float:
        """Charge *count* bytes read at *now*; returns the seconds its reader has to wait."""
        if self.rate is None:
            return 0.0
        earliest = now - burst_bytes(self.rate) / self.rate
        self._due = max(self._due, earliest) + count / self.rate
        return max(0.0, self._due - now)

    def owed_seconds(self, now: float, behind: float = 0.0) -> float:
        """Return how long until all is paid but the last *behind* bytes that were charged."""
        if self.rate is None:
            return 0.0
        return max(0.0, self._due - now - behind / self.rate)

    def free_bytes(self, now: float) -> float:
        """Return how many bytes may be read at *now* without a wait; infinite without a limit."""
        if self.rate is None:
            return float("inf")
        burst = burst_bytes(self.rate)
        return max(0.0, min(burst, (now - self._due) * self.rate))

    def set_rate(self, now: float, rate: float | None) -> None:
        """Change the limit; bytes that were charged and not paid yet stay owed."""
        if rate is not None and rate <= 0:
            raise ValueError(f"a limit of {rate} bytes a second would never let a byte pass")
        if self.rate is not None and rate is not None:
            owed = max(0.0, self._due - now) * self.rate
            spared = max(0.0, now - self._due) * self.rate
            self._due = now + (owed - min(spared, burst_bytes(rate))) / rate
        elif rate is not None:
            self._due = now  # no burst on top of what passed without a limit
        self.rate = rate

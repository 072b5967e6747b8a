"""What happens between two ticks of the line, gathered for the controller.

Averages are over time, not over events: a request that waits counts for as long as it waits. A
tick is as long as it turned out to be, never as long as it was meant to be.

How busy the loop is cannot be seen from outside of it: uvloop does not tell how long it waited
for its sockets. The processor time of the loop's thread is the next best. It does not count the
time in which the loop could run and did not because another thread had the interpreter, so it
may say less than the truth and never more: a veto that it causes is deserved, and where it misses
one the law sees by itself that more connections bring nothing.
"""

from __future__ import annotations

from collections.abc import Callable

from hfdl_async.core.controller import Sample
from hfdl_async.engine.ports import Clock

# Of the connections' time, spent on waiting for writes: the disk is what is slow. It is 0.05 where
# the line is, and 0.4 to 0.65 where the processor is and four or more connections receive. One
# alone is above it there, too: what follows is received meanwhile. So `core.control.opening` does
# not leave it to the ramp to find out that a second file could be hashed beside it.
BLOCKED_SHARE = 0.8
SHORTEST_SECONDS = 1e-3


class Gauge:
    """Counts during a tick; `begin` starts one, `read` tells what the present one has seen."""

    def __init__(self, clock: Clock, loop_seconds: Callable[[], float]) -> None:
        self._clock = clock
        self._loop_seconds = loop_seconds
        self._busy = self._writing = 0
        self._was_slow = False  # the disk, in the tick before
        self.begin()

    def begin(self, *, keep_complaints: bool = False) -> None:
        """Begin a tick: what was counted so far is forgotten, but for complaints if told so."""
        self._started_at = self._counted_at = self._clock.monotonic()
        self._loop_before = self._loop_seconds()
        self.bytes = self.done = self.replaced = 0
        if not keep_complaints:
            self.failed = self.throttled = 0
            self.retry_after = 0.0
        self.busy_high = self._busy
        self._busy_seconds = self._writing_seconds = 0.0

    @property
    def started_at(self) -> float:
        """When the tick began."""
        return self._started_at

    def request_began(self) -> None:
        """Count one more request in flight."""
        self._count()
        self._busy += 1
        self.busy_high = max(self.busy_high, self._busy)

    def request_ended(self) -> None:
        """Count one request less."""
        self._count()
        self._busy -= 1

    def write_began(self) -> None:
        """Note that a request is not read because what it brought is being written."""
        self._count()
        self._writing += 1

    def write_ended(self) -> None:
        """Note that it is read again."""
        self._count()
        self._writing -= 1

    def refused(self, wait_seconds: float) -> None:
        """Count an answer that asks for patience."""
        self.throttled += 1
        self.retry_after = max(self.retry_after, wait_seconds)

    def read(self, *, flowing: int) -> Sample:
        """Return what the tick has seen; what is no measurement is left for the line to add."""
        self._count()
        now = self._counted_at
        dt = max(now - self._started_at, SHORTEST_SECONDS)
        was_slow = self._was_slow
        self._was_slow = self._writing_seconds > BLOCKED_SHARE * self._busy_seconds
        return Sample(
            t=now,
            dt=dt,
            bytes=self.bytes,
            busy=self._busy_seconds / dt,
            busy_high=self.busy_high,
            flowing=flowing,
            done=self.done,
            throttled=self.throttled,
            failed=self.failed,
            retry_after=self.retry_after,
            blocked=self._was_slow and was_slow,  # one such tick may be a hiccup
            loop_busy=min(1.0, (self._loop_seconds() - self._loop_before) / dt),
        )

    def _count(self) -> None:
        now = self._clock.monotonic()
        seconds, self._counted_at = now - self._counted_at, now
        self._busy_seconds += self._busy * seconds
        self._writing_seconds += self._writing * seconds

"""The bandwidth limit of a line: who has read waits here until what was read is paid for.

One limiter serves all connections of a `Downloader`. A worker charges each read after it was made
and waits out its own debt, in the order of the reads (`core.bandwidth`). While it waits its socket
is not read, and TCP tells the peer to slow down. For that to bite soon, reads get smaller while
there is a limit, and peers may send less ahead: `on_reads` says how much. A limit that changes
wakes everybody who waits, and what is still owed is paid at the new rate.

What limits may be a rate, a share of the line (`core.control.governor`), or a timetable of these,
by local time. The line's ticks bring both forward.
"""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from typing import Protocol

import anyio

from hfdl_async.core.bandwidth import Bucket, read_bytes, window_bytes
from hfdl_async.core.control.governor import WINDOW_SECONDS, Governor
from hfdl_async.core.timetable import NO_LIMIT, Bandwidth, Timetable
from hfdl_async.engine.ports import Clock

LIMITED_SHARE = 0.8  # of a tick: if somebody waited for as long, the limit is what binds
FIRST_READERS = 8  # until a tick says how many there are: too few would let too much come ahead
LEAST_TICK_SECONDS = 0.02  # a second line's tick may come just behind the first one's
_ROUNDING_SECONDS = 1e-6


class Paused(Protocol):
    """A request whose peer is not to blame for silence while it is paused."""

    def pause(self) -> None:
        """Note that nobody reads just now."""
        ...

    def listen(self, now_seconds: float) -> None:
        """Note that it is read again."""
        ...


def _nobody(read_most_bytes: int | None, ahead_most_bytes: int | None) -> None:
    """Tell nobody."""


class Limiter:
    """What all connections together may receive.

    Attributes:
        limited: the limit made readers wait for most of the last tick.
        uncapped: during the last tick the limit rested, so that the line could be measured.

    Args:
        clock: monotonic time and waiting.
        bandwidth: the limit to begin with.
        minute_of_day: local time, for timetables.
        first_seconds: the window of the first estimate of the line, for percentages.
        on_reads: called when one of these changes, each None for any: the most bytes of one read,
            and the most that a peer may send ahead of them.
    """

    def __init__(
        self,
        clock: Clock,
        bandwidth: Bandwidth = NO_LIMIT,
        *,
        minute_of_day: Callable[[], float] = lambda: 0.0,
        first_seconds: float = WINDOW_SECONDS,
        on_reads: Callable[[int | None, int | None], None] = _nobody,
    ) -> None:
        self._clock = clock
        self._minute_of_day = minute_of_day
        self._first_seconds = first_seconds
        self._on_reads = on_reads
        self._bucket = Bucket()
        self._charged = 0  # bytes, since ever
        self._asleep: dict[anyio.CancelScope, None] = {}  # in the order of their reads
        self._waiting = 0
        self._waited_seconds = 0.0  # in this tick: somebody did
        self._waiting_since = 0.0
        self._readers = FIRST_READERS
        self._ticked_at = -inf
        self._received = 0
        self._reads: tuple[int | None, int | None] = (None, None)
        self.limited = self.uncapped = False
        self._limit = NO_LIMIT
        self._governor: Governor | None = None
        self.set_bandwidth(bandwidth)

    @property
    def rate(self) -> float | None:
        """The limit in force, in bytes a second; None while there is none."""
        return self._bucket.rate

    def set_bandwidth(self, bandwidth: Bandwidth) -> None:
        """Limit to *bandwidth* from now on; whoever waits, waits by the new limit."""
        self._bandwidth = bandwidth
        self.look_up()

    def look_up(self) -> None:
        """Put into force what the timetable says for this minute."""
        known = self._bandwidth
        limit = known.limit_at(self._minute_of_day()) if isinstance(known, Timetable) else known
        if limit == self._limit:
            return
        self._limit = limit
        if limit.percent is None:
            self._governor = None
            self._set_rate(limit.rate)
            return
        if self._governor is None:
            self._governor = Governor(limit.percent, first_seconds=self._first_seconds)
        self._governor.aim(limit.percent)
        self._set_rate(self._governor.limit)

    async def take(self, flow: Paused, count: int) -> None:
        """Charge *count* bytes that *flow* has just read, and wait until they are paid for."""
        if self._bucket.rate is None:
            return
        self._bucket.charge(self._clock.monotonic(), count)
        self._charged += count
        mark = self._charged
        if not self._owed_seconds(mark):
            return
        flow.pause()
        self._begin_to_wait()
        try:
            while delay := self._owed_seconds(mark):
                await self._sleep(delay)
        finally:
            self._end_to_wait()
            flow.listen(self._clock.monotonic())

    def tick(
        self,
        now_seconds: float,
        dt: float,
        received: int,
        *,
        readers: int,
        ramping: bool,
        telling: bool,
    ) -> None:
        """Take in a tick of a line: *received* bytes in *dt* seconds.

        Args:
            now_seconds: when it ended.
            dt: how long it was.
            received: payload bytes of all connections.
            readers: how many connections there may be.
            ramping: their best number is not known yet.
            telling: there was enough to do for *received* to say what the line can.
        """
        self._readers = readers
        self.look_up()
        self._received += received
        elapsed = min(dt, now_seconds - self._ticked_at)
        if elapsed >= LEAST_TICK_SECONDS:
            self._count_waiting(now_seconds)
            self.limited = self._waited_seconds > LIMITED_SHARE * elapsed
            self.uncapped = self._governor is not None and self._governor.resting
            if self._governor is not None:
                self._governor.observe(
                    now_seconds, elapsed, self._received, ramping=ramping, telling=telling
                )
                self._set_rate(self._governor.limit)
            self._ticked_at, self._waited_seconds, self._received = now_seconds, 0.0, 0
        self._size_reads()

    def _set_rate(self, rate: float | None) -> None:
        if rate == self._bucket.rate:
            return
        self._bucket.set_rate(self._clock.monotonic(), rate)
        self._size_reads()
        for scope in list(self._asleep):
            scope.cancel()  # each looks again how long it has to wait

    def _size_reads(self) -> None:
        reads: tuple[int | None, int | None] = (None, None)
        if (rate := self._bucket.rate) is not None:
            reads = read_bytes(rate, self._readers), window_bytes(rate, self._readers)
        elif self._governor is not None and self._governor.resting:
            reads = None, self._reads[1]  # not worth new connections: three seconds
        if reads != self._reads:
            self._reads = reads
            self._on_reads(*reads)

    def _owed_seconds(self, mark: int) -> float:
        """Return how long until what was charged up to *mark* is paid."""
        now, behind = self._clock.monotonic(), self._charged - mark
        owed = self._bucket.owed_seconds(now, behind)
        return owed if owed > _ROUNDING_SECONDS else 0.0

    async def _sleep(self, seconds: float) -> None:
        with anyio.CancelScope() as scope:
            self._asleep[scope] = None
            try:
                await self._clock.sleep(seconds)
            finally:
                del self._asleep[scope]

    def _begin_to_wait(self) -> None:
        self._count_waiting(self._clock.monotonic())
        self._waiting += 1

    def _end_to_wait(self) -> None:
        self._count_waiting(self._clock.monotonic())
        self._waiting -= 1

    def _count_waiting(self, now: float) -> None:
        if self._waiting:
            self._waited_seconds += now - self._waiting_since
        self._waiting_since = now

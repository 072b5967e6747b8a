"""The right to one connection: how many there are, and how soon they come and go.

New connections are opened a few at a time, for a burst of them is what an attack looks like. When
there shall be fewer, nobody is cut at once, unless a law is begun anew: a request may come to its
end, but not for longer than two seconds. And when requests are paced, a permit lets its holder go
on when it is his turn.
"""

from __future__ import annotations

import math
from collections import deque

import anyio

from hfdl_async.engine.ports import Clock

OPENED_AT_ONCE = 8
OPENING_SECONDS = 0.1  # until the next ones may be opened
RETIRE_SECONDS = 2.0
LOOK_SECONDS = 0.5  # how often who waits for his turn looks whether the pace is another one
SLACK_SECONDS = 0.05  # a start that comes late makes up for so much of it


class Starts:
    """Lets requests begin `rate` times a second, one after the other; None lets them all."""

    def __init__(self, clock: Clock) -> None:
        self.rate: float | None = None
        self._clock = clock
        self._turn = anyio.Lock(fast_acquire=True)
        self._last_due = -math.inf

    async def wait(self) -> None:
        """Wait until the next request may begin."""
        if self.rate is None:
            return
        async with self._turn:
            while (left := self._due() - self._clock.monotonic()) > 0:
                await self._clock.sleep(min(left, LOOK_SECONDS))
            self._last_due = max(self._due(), self._clock.monotonic() - SLACK_SECONDS)

    def _due(self) -> float:
        return -math.inf if self.rate is None else self._last_due + 1.0 / self.rate


class Permit:
    """The right to one connection, for the task that enters it.

    A free one is taken without a turn of the loop: with thousands of small files those turns
    would cost as much as their requests.
    """

    __slots__ = ("_limiter", "_starts")

    def __init__(self, limiter: anyio.CapacityLimiter, starts: Starts) -> None:
        self._limiter = limiter
        self._starts = starts

    async def __aenter__(self) -> None:
        try:
            self._limiter.acquire_nowait()
        except anyio.WouldBlock:
            await self._limiter.acquire()
        if self._starts.rate is None:
            return
        try:
            await self._starts.wait()
        except BaseException:
            self._limiter.release()
            raise

    async def __aexit__(self, *_: object) -> None:
        self._limiter.release()


class Permits:
    """As many permits as there may be connections, now or soon."""

    def __init__(self, clock: Clock, target: int) -> None:
        self.starts = Starts(clock)
        self._clock = clock
        self._target = target
        # Less than a burst: the first ones to follow need not wait.
        self._opened_at = clock.monotonic() if target >= OPENED_AT_ONCE else -math.inf
        self._tolerated: deque[tuple[float, int]] = deque()  # until then, so many
        # One token a connection; its total may change while some are held: it then shrinks as
        # they come back.
        self._limiter = anyio.CapacityLimiter(min(target, OPENED_AT_ONCE))

    @property
    def target(self) -> int:
        """How many there shall be."""
        return self._target

    @property
    def held(self) -> int:
        """How many are taken."""
        return self._limiter.borrowed_tokens

    @property
    def waiting(self) -> int:
        """How many tasks wait for one."""
        return self._limiter.statistics().tasks_waiting

    @property
    def opened(self) -> int:
        """How many there are now; fewer than wanted while connections are being opened."""
        return int(self._limiter.total_tokens)

    @property
    def changing(self) -> bool:
        """Whether some have to be opened still, or taken back."""
        return self.opened < self._target or bool(self._tolerated)

    def take(self) -> Permit:
        """Return a permit for one request, to be entered."""
        return Permit(self._limiter, self.starts)

    def aim(self, target: int, *, at_once: bool = False) -> None:
        """Let there be *target* permits: more of them bit by bit, fewer as they come back.

        With *at_once* those above it are surplus from now on.
        """
        if at_once:
            self._tolerated.clear()
        elif target < self._target:
            retired_at = self._clock.monotonic() + RETIRE_SECONDS
            self._tolerated.append((retired_at, self._target))
        self._target = target
        if target < self.opened:
            self._limiter.total_tokens = target
        self.open_some()

    def open_some(self) -> None:
        """Open as many more as may be opened by now."""
        now = self._clock.monotonic()
        if self.opened >= self._target or now < self._opened_at + OPENING_SECONDS:
            return
        self._opened_at = now
        self._limiter.total_tokens = min(self._target, self.opened + OPENED_AT_ONCE)

    def surplus(self, in_flight: int) -> int:
        """Return how many of the requests *in_flight* have been too many for too long."""
        now = self._clock.monotonic()
        while self._tolerated and self._tolerated[0][0] <= now:
            self._tolerated.popleft()
        tolerated = max((count for _, count in self._tolerated), default=0)
        return max(0, in_flight - max(self._target, tolerated))

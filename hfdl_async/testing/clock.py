"""Time that tests own: it jumps when everybody waits, and never flows by itself."""

from __future__ import annotations

import asyncio
import heapq
from itertools import count

import anyio
from anyio.lowlevel import checkpoint

QUIET_TURNS = 5  # where callbacks are not seen: any of them may still be waking a task
BUSY_TURNS = 1000  # of the loop; after so many without a quiet one, time goes on regardless


class ManualClock:
    """A clock of virtual seconds.

    With *auto*, time jumps to the next sleeper as soon as every task of the loop waits for
    something; without, it moves by `advance` only. `slept` has every wait that was asked for.
    `own_callbacks` tells how many callbacks a test itself keeps ready all the time.
    """

    def __init__(self, start_seconds: float = 1000.0, *, auto: bool = True) -> None:
        self.slept: list[float] = []
        self.own_callbacks = 0
        self._now = start_seconds
        self._auto = auto
        self._sleepers: list[tuple[float, int, anyio.Event]] = []
        self._order = count()
        self._looking = False
        self._turns = self._quiet_turns = 0

    def monotonic(self) -> float:
        """Return virtual seconds."""
        return self._now

    def time(self) -> float:
        """Return virtual UNIX seconds."""
        return 1_700_000_000.0 + self._now

    async def sleep(self, seconds: float) -> None:
        """Wait in virtual time."""
        self.slept.append(seconds)
        if seconds <= 0:
            await checkpoint()
            return
        sleeper = (self._now + seconds, next(self._order), anyio.Event())
        heapq.heappush(self._sleepers, sleeper)
        self._look()
        try:
            await sleeper[2].wait()
        finally:
            if sleeper in self._sleepers:
                self._sleepers.remove(sleeper)
                heapq.heapify(self._sleepers)

    def advance(self, seconds: float) -> None:
        """Move time on and wake who is due."""
        self._now += seconds
        while self._sleepers and self._sleepers[0][0] <= self._now:
            heapq.heappop(self._sleepers)[2].set()

    def _look(self) -> None:
        if self._auto and not self._looking:
            self._looking, self._turns, self._quiet_turns = True, 0, 0
            asyncio.get_running_loop().call_soon(self._move_on_if_all_wait)

    def _move_on_if_all_wait(self) -> None:
        loop = asyncio.get_running_loop()
        self._looking = False
        if not self._sleepers:
            return
        self._turns += 1
        self._quiet_turns = 0 if self._is_busy(loop) else self._quiet_turns + 1
        enough = 1 if hasattr(loop, "_ready") else QUIET_TURNS
        if self._quiet_turns < enough and self._turns < BUSY_TURNS:
            self._looking = True
            loop.call_soon(self._move_on_if_all_wait)
            return
        self.advance(max(0.0, self._sleepers[0][0] - self._now))
        self._look()

    def _is_busy(self, loop: asyncio.AbstractEventLoop) -> bool:
        """Return whether anything is about to run; there is no public way to ask a loop."""
        ready = getattr(loop, "_ready", None)
        if ready is not None:
            return len(ready) > self.own_callbacks
        # uvloop keeps its callbacks to itself, but a task that waits shows what for.
        waits_for = (getattr(task, "_fut_waiter", None) for task in asyncio.all_tasks(loop))
        return any(future is None or future.done() for future in waits_for)

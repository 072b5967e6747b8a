"""Waiting because a server said so: one host, all workers.

A 429 speaks to the client as a whole, so nobody sends to that origin until the wait is over. A
server that states no wait gets a growing one; requests that were already under way when the hold
began do not make it grow.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from hfdl_async.core.retry import MAX_STATED_WAIT_SECONDS
from hfdl_async.errors import RateLimitedError
from hfdl_async.net.urls import Origin

FIRST_HOLD_SECONDS = 1.0
MAX_UNSTATED_SECONDS = 30.0


class Clock(Protocol):
    """The part of a clock this package needs; fits the engine's by shape."""

    def monotonic(self) -> float:
        """Return seconds that never jump."""
        ...

    def time(self) -> float:
        """Return UNIX seconds."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        ...


@dataclass(slots=True)
class _Hold:
    until: float
    unstated: int = 0


class Holds:
    """Which origins want to be left alone, and for how long still."""

    def __init__(self, clock: Clock, on_hold: Callable[[str, float], None] | None = None) -> None:
        self._clock = clock
        self._on_hold = on_hold
        self._holds: dict[Origin, _Hold] = {}

    async def wait(self, origin: Origin) -> None:
        """Wait until *origin* may be asked again.

        Raises:
            RateLimitedError: that would take longer than a person would want to sit through.
        """
        # Looked up again after each sleep: the hold may have been prolonged meanwhile.
        while (left := self.remaining(origin)) > 0:
            if left > MAX_STATED_WAIT_SECONDS:
                raise RateLimitedError(
                    f"{origin.site} asks to wait {left:.0f} s before the next request",
                    hint="run the same command again after that; what is here stays",
                    retry_after_seconds=left,
                )
            await self._clock.sleep(left)

    def remaining(self, origin: Origin) -> float:
        """Return for how many seconds *origin* is still held."""
        hold = self._holds.get(origin)
        return max(0.0, hold.until - self._clock.monotonic()) if hold else 0.0

    def hold(self, origin: Origin, seconds: float | None, *, sent_at: float) -> float:
        """Hold *origin* because a request sent at *sent_at* (monotonic) was refused.

        Returns the seconds that are left of the hold.
        """
        now = self._clock.monotonic()
        hold = self._holds.setdefault(origin, _Hold(until=-math.inf))
        until = hold.until
        if seconds is not None:
            until = now + seconds
            hold.unstated = 0
        elif sent_at >= hold.until:
            window = FIRST_HOLD_SECONDS * 2.0 ** min(hold.unstated, 16)
            until = now + min(MAX_UNSTATED_SECONDS, window)
            hold.unstated += 1
        if until > hold.until:
            was_free = hold.until <= now
            hold.until = until
            if was_free and self._on_hold is not None:
                self._on_hold(origin.site, until - now)
        return max(0.0, hold.until - now)

    def answered(self, origin: Origin) -> None:
        """Note that *origin* answered as it should: unstated waits start small again."""
        if (hold := self._holds.get(origin)) is not None:
            hold.unstated = 0

    def describe(self, hub: Origin | None = None) -> str:
        """Return what is being waited for, in words, or an empty string; *hub* needs no name."""
        waits = {origin: self.remaining(origin) for origin in self._holds}
        origin, left = max(waits.items(), key=lambda item: item[1], default=(None, 0.0))
        if origin is None or left <= 0:
            return ""
        whose = "the Hub" if origin == hub else origin.site
        return f"waiting {math.ceil(left)} s for {whose}'s limit"

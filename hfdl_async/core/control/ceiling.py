"""A ceiling that a server or a collapse has set, and when it may rise again."""

from __future__ import annotations

import math

LIMIT_SECONDS = 10.0
COLLAPSE_SECONDS = 60.0
LONGEST_SECONDS = 120.0


class Ceiling:
    """At most so many connections; rises slowly, and more slowly after each relapse."""

    __slots__ = ("_next_rise", "_set_at", "_wait", "most", "value")

    def __init__(self, most: int) -> None:
        self.most = most
        self.value = most
        self._wait = 0.0
        self._next_rise = math.inf

    @property
    def set(self) -> bool:
        """Whether there is a ceiling below the configured one."""
        return self.value < self.most

    def lower(self, value: int, now: float, seconds: float = LIMIT_SECONDS) -> None:
        """Set the ceiling to *value*; it rises after *seconds*, or twice the last wait."""
        self._wait = min(LONGEST_SECONDS, max(seconds, 2.0 * self._wait))
        self.value = max(1, min(self.most, value))
        self._next_rise = now + self._wait

    def lift(self) -> None:
        """Remove the ceiling."""
        self.value = self.most
        self._wait = 0.0
        self._next_rise = math.inf

    def observe(self, now: float) -> None:
        """Let the ceiling rise when its time has come."""
        if now < self._next_rise:
            return
        self.value = min(self.most, self.value + max(1, self.value // 16))
        self._next_rise = now + self._wait if self.set else math.inf

"""What servers say is left of their request quotas, before they refuse anything.

A Hub puts `RateLimit: "resolvers";r=2998;t=172` on every answer: so many requests are left of that
bucket, and it is full again in so many seconds. Which bucket a request counts against is not for
us to know; what the last answers to requests of one kind said is what holds for the next of them.
"""

from __future__ import annotations

from dataclasses import dataclass

from hfdl_async.net.headers import Budget, budgets

SAME_WINDOW_SECONDS = 2.0  # servers round what they say to seconds, and answers take a while


@dataclass(frozen=True, slots=True)
class _Reading:
    """The tightest budget of one answer; `resets_at` is monotonic."""

    left: int
    resets_at: float


class Quotas:
    """The last budgets stated to one kind of request."""

    __slots__ = ("_reading",)

    def __init__(self) -> None:
        self._reading: _Reading | None = None

    def note(self, field: str | None, now: float) -> None:
        """Take in the `RateLimit` *field* of an answer that came at *now* (monotonic)."""
        stated = budgets(field)
        if not stated:
            return
        tightest = min(stated, key=_requests_per_second)
        reading = _Reading(tightest.left, now + tightest.reset_seconds)
        known = self._reading
        # Answers overtake each other: within one window the lower count is the later one.
        if known is None or known.resets_at <= now or _is_later(reading, known):
            self._reading = reading

    def left(self, now: float) -> tuple[int, float] | None:
        """Return how many requests remain, and for how many seconds; None while nobody said so."""
        reading = self._reading
        if reading is None or reading.resets_at <= now:
            return None
        return reading.left, reading.resets_at - now


def _requests_per_second(budget: Budget) -> float:
    return budget.left / max(budget.reset_seconds, 1.0)


def _is_later(reading: _Reading, known: _Reading) -> bool:
    if abs(reading.resets_at - known.resets_at) <= SAME_WINDOW_SECONDS:
        return reading.left < known.left
    return reading.resets_at > known.resets_at

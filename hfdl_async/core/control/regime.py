"""Notices that the line has become another one while nothing was changed."""

from __future__ import annotations

import math
from typing import Literal

GAIN = 0.1
DEVIATION = 0.20
SPREADS = 2.5
UP_TICKS, DOWN_TICKS, NOISY_TICKS = 3, 4, 5
NOISY = 0.15
LEARNING_TICKS = 2
FALL = 0.70  # a loss beyond this: pushing is what made it worse

Turn = Literal["up", "down", "fall"]


class Regime:
    """The running mean and spread of goodput at one number of connections."""

    __slots__ = ("_mean", "_run", "_seen", "_variance")

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Begin anew: the number of connections has changed."""
        self._mean = self._variance = 0.0
        self._seen = self._run = 0

    def expect(self, rate: float) -> None:
        """Begin anew where goodput was *rate* before: a change during a probe shows at once."""
        self.reset()
        self._mean = rate
        self._seen = LEARNING_TICKS

    def observe(self, rate: float, sigma: float) -> Turn | None:
        """Take in one tick; returns a turn once enough ticks in a row are off on one side."""
        self._seen += 1
        if self._seen <= LEARNING_TICKS:
            self._learn(rate, 1.0 / self._seen)
            return None
        spread = max(math.sqrt(self._variance), sigma * self._mean)
        off = rate - self._mean
        if abs(off) <= max(DEVIATION * self._mean, SPREADS * spread):
            self._run = 0
            self._learn(rate, GAIN)
            return None
        side = 1 if off > 0 else -1
        self._run = self._run + side if self._run * side > 0 else side
        needed = NOISY_TICKS if sigma >= NOISY else UP_TICKS if side > 0 else DOWN_TICKS
        if abs(self._run) < needed:
            return None
        if side > 0:
            return "up"
        return "fall" if rate < (1.0 - FALL) * self._mean else "down"

    def _learn(self, rate: float, gain: float) -> None:
        off = rate - self._mean
        self._mean += gain * off
        self._variance = (1.0 - gain) * (self._variance + gain * off * off) if self._seen > 1 else 0

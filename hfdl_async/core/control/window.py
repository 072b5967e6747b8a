"""Ticks at one number of connections, and how far their mean can be trusted.

Noise on a line is correlated from tick to tick, so the mean of m ticks is less certain than
sd / sqrt(m): the factor 1.8 pays for that.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass

CORRELATION = 1.8
FIRST_NOISE = 0.08
LEAST_NOISE, MOST_NOISE = 0.02, 0.4
NOISE_GAIN = 0.1
OWN_SPREAD = 0.7  # of a window's own spread counts: a few ticks overstate it
LONGEST_WINDOW = 8  # ticks; older ones tell about another line


@dataclass(frozen=True, slots=True)
class Level:
    """Goodput at a number of connections; `error` is relative to `rate`."""

    connections: int
    rate: float
    error: float


class Noise:
    """The running relative standard deviation of goodput while nothing is changed."""

    __slots__ = ("_windows", "sigma")

    def __init__(self) -> None:
        self.sigma = FIRST_NOISE
        self._windows = 1  # the first guess counts as one

    def learn(self, window: Window) -> None:
        """Take a finished window into account."""
        if window.count < 4 or window.mean <= 0:
            return
        self._windows += 1
        gain = max(NOISE_GAIN, 1.0 / self._windows)
        self._set(self.sigma + gain * (window.relative_spread - self.sigma))

    def raise_by(self, factor: float) -> None:
        """Note that what looked like a change was noise."""
        self._set(self.sigma * factor)

    def _set(self, sigma: float) -> None:
        self.sigma = min(MOST_NOISE, max(LEAST_NOISE, sigma))


class Window:
    """The last ticks at one number of connections."""

    __slots__ = ("_rates",)

    def __init__(self) -> None:
        self._rates: deque[float] = deque(maxlen=LONGEST_WINDOW)

    def add(self, rate: float) -> None:
        """Add the goodput of one tick."""
        self._rates.append(rate)

    def keep_newest(self) -> None:
        """Forget all ticks but the last: the line was still opening up before it."""
        newest = self._rates[-1]
        self._rates.clear()
        self._rates.append(newest)

    @property
    def count(self) -> int:
        """How many ticks there are."""
        return len(self._rates)

    @property
    def mean(self) -> float:
        """The mean goodput."""
        return sum(self._rates) / len(self._rates) if self._rates else 0.0

    @property
    def newest_is_highest(self) -> bool:
        """Whether goodput has never been higher than in the last tick."""
        return self._rates[-1] >= max(self._rates)

    @property
    def relative_spread(self) -> float:
        """The standard deviation of the ticks, relative to their mean."""
        mean, count = self.mean, len(self._rates)
        if count < 2 or mean <= 0:
            return 0.0
        return math.sqrt(sum((rate - mean) ** 2 for rate in self._rates) / (count - 1)) / mean

    def level(self, connections: int, sigma: float) -> Level:
        """Return the window as a measurement at *connections*."""
        spread = max(sigma, OWN_SPREAD * self.relative_spread)
        error = spread * min(1.0, CORRELATION / math.sqrt(max(self.count, 1)))
        return Level(connections, self.mean, error)

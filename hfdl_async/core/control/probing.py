"""When to probe in which direction, and how far."""

from __future__ import annotations

from math import floor
from typing import Literal

from hfdl_async.core.control.config import ControlConfig
from hfdl_async.core.control.dice import Dice
from hfdl_async.core.control.judging import Elasticity
from hfdl_async.core.control.meter import Meter
from hfdl_async.core.control.window import LONGEST_WINDOW

STEP = 0.25
UP_GROWTH, UP_MOST = 1.6, 1.0
DOWN_GROWTH, DOWN_MOST = 1.2, 0.34
JITTER = 0.15  # so that two processes do not probe in step
EACH_COUNTS = 0.6  # elasticity at which fewer connections would surely bring less
CONTENTION_LEAST = 0.2
CONTENTION_DOWN_MOST = 0.6  # a loss in proportion means that each connection counts
CONTENTION_PROBES = 2
SLOW_DOWN_MOST_SECONDS = 30.0

Direction = Literal["UP", "DOWN"]


class Probing:
    """Intervals, steps and what failed probes have shown so far."""

    def __init__(self, config: ControlConfig, seed: int) -> None:
        self._config = config
        self._dice = Dice(seed)
        self._ticks = 0
        self._down_most = config.hold_down_most_seconds
        self.reset()

    def reset(self) -> None:
        """Forget all: the line is another one."""
        self._up_seconds = self._down_seconds = self._config.hold_seconds
        self._up_step = self._down_step = STEP
        self._has_spare = not self._config.headroom
        self._contended = 0
        self._next_up = self._next_down = 0.0
        self._shrunk = False
        self._last: Direction = "UP"

    def rest(self, now: float) -> None:
        """Begin a rest at the present number of connections."""
        self._next_up = now + self._jittered(self._up_seconds)
        self._next_down = now + self._jittered(self._down_seconds)
        self._ticks = 0

    def soon(self, now: float, seconds: float = 0.0) -> None:
        """Probe upward as soon as there is a baseline, but not before *seconds*."""
        self._next_up = min(self._next_up, now + seconds)
        self._last = "DOWN"

    def each_counts(self, found: Elasticity) -> None:
        """Put the next probe downward off if growth has just paid in full."""
        if found.clearly(EACH_COUNTS):
            self._down_seconds = max(self._down_seconds, SLOW_DOWN_MOST_SECONDS)

    def learn(self, meter: Meter) -> None:
        """Take the noise of each full window at rest into account."""
        self._ticks += 1
        if self._ticks % LONGEST_WINDOW == 0:
            meter.noise.learn(meter.window)

    def due(self, now: float, *, can_grow: bool, can_shrink: bool) -> Direction | None:
        """Return the direction to probe now, if it is time."""
        up = can_grow and now >= self._next_up
        down = can_shrink and now >= self._next_down
        if up and down:
            up = self._last == "DOWN"
        if not (up or down):
            return None
        self._last = "UP" if up else "DOWN"
        return self._last

    # ---- upward ------------------------------------------------------------------------------

    def more(self, target: int) -> int:
        """Return how many connections to add to *target*."""
        return max(1, round(self._up_step * target))

    def ramp_ended(self, base: int, elasticity: float) -> None:
        """Count the end of a ramp as a probe upward that failed, with its headroom given."""
        self._has_spare = True
        self._up_seconds = 2 * self._config.hold_seconds
        self._contended = 0
        self._shared(elasticity, self._config.demand_to_grow(base))

    def grew(self) -> None:
        """Note that growth paid: go further, and look for the way down anew."""
        self._up_step = min(UP_MOST, self._up_step * UP_GROWTH)
        self._up_seconds = self._down_seconds = self._config.hold_seconds
        self._has_spare = not self._config.headroom
        self._contended = 0

    def after_failed_growth(self, base: int, elasticity: float, *, gained: bool) -> int:
        """Return where to go from a probe above *base* that did not pay."""
        self._up_step = STEP
        self._up_seconds = min(self._config.hold_up_most_seconds, 2 * self._up_seconds)
        most = self._config.demand_to_grow(base)
        if self._shared(elasticity, most):
            return base - max(1, base // 6)
        if gained and elasticity < CONTENTION_LEAST and not self._has_spare:
            self._has_spare = True
            return max(base + 1, -(-5 * base // 4))
        return base

    def _shared(self, elasticity: float, most: float) -> bool:
        """Count a probe as a sign of a rival, or not; returns whether there are enough."""
        if not CONTENTION_LEAST <= elasticity < most:
            self._contended = 0
            return False
        self._contended += 1
        if self._contended < CONTENTION_PROBES:
            return False
        self._contended = 0
        return True

    # ---- downward ----------------------------------------------------------------------------

    def begin_chain(self) -> None:
        """Begin a chain of steps downward from one baseline."""
        self._shrunk = False
        self._down_step = STEP

    def fewer(self, target: int) -> int:
        """Return how many connections to take from *target*."""
        return max(1, floor(self._down_step * target))

    def shrank(self) -> None:
        """Note that fewer were enough."""
        self._shrunk = True
        self._down_step = min(DOWN_MOST, self._down_step * DOWN_GROWTH)

    def end_chain(self, base: int, good: int, elasticity: float, *, slow: bool) -> int:
        """End the chain; returns how many connections to keep on top of *good*, or to give up."""
        most = SLOW_DOWN_MOST_SECONDS if slow else self._config.hold_down_most_seconds
        seconds = self._config.hold_seconds if self._shrunk else self._down_seconds
        self._down_seconds = min(most, 2 * seconds)
        if self._shrunk:
            return max(1, good // 10)
        return -max(1, base // 6) if self._shared(elasticity, CONTENTION_DOWN_MOST) else 0

    def _jittered(self, seconds: float) -> float:
        return seconds * self._dice.between(1.0 - JITTER, 1.0 + JITTER)

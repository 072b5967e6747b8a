"""What a probe says: keep it, go back, or measure on.

The central quantity is the elasticity of goodput to connections, e = (T1/T0 - 1) / (N1/N0 - 1).
At 1 every connection is held back on its own; at 0 something shared is full; below 0 adding hurts.
With m foreign flows on a fair bottleneck it is m / (N + m): one half at parity, whatever N. A
threshold on it therefore finds the knee and shares fairly at once.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum

from hfdl_async.core.control.window import Level

MOST_TICKS = 6  # of one round; then the best estimate decides
MOST_TICKS_UP = 8  # of a probe upward: its step is smaller, so its error is larger
NOT_OURS, NOT_OURS_SURELY = 1.35, 1.0  # more than proportional: added connections cannot do that
NOT_OURS_SPREAD = 0.35  # one added connection may simply be faster than the others


class Verdict(Enum):
    """What to do after one more tick of a probe."""

    MEASURE = "measure"
    KEEP = "keep"
    BACK = "back"


@dataclass(frozen=True, slots=True)
class Elasticity:
    """The elasticity `e` between two levels, its error, and the ratio of their goodput."""

    e: float
    error: float
    ratio: float
    added: int = 1

    @classmethod
    def between(cls, base: Level, probe: Level) -> Elasticity:
        """Return what *probe* says against *base*: nothing, with as many connections."""
        if probe.connections == base.connections:
            return NOTHING_FOUND
        step = probe.connections / base.connections - 1.0
        ratio = probe.rate / base.rate if base.rate > 0 else 1.0
        error = math.hypot(base.error, probe.error) / abs(step)
        added = abs(probe.connections - base.connections)
        return cls((ratio - 1.0) / step, error, ratio, added)

    @property
    def not_our_doing(self) -> bool:
        """Whether goodput rose by more than connections can explain."""
        most = NOT_OURS + NOT_OURS_SPREAD / math.sqrt(self.added)
        return self.e > most and self.e - self.error / 2 > NOT_OURS_SURELY

    def clearly(self, demand: float) -> bool:
        """Return whether the elasticity is above *demand* even if half of its error is off."""
        return self.e - self.error / 2 >= demand


NOTHING_FOUND = Elasticity(0.0, 0.0, 1.0)


def judge_ramp(found: Elasticity, ticks: int, demand: float) -> Verdict:
    """Judge one round of a ramp: keep early when it is clear, give up at the end."""
    if found.e - found.error >= demand:
        return Verdict.KEEP
    if ticks >= 3 and found.e - found.error / 2 >= demand:
        return Verdict.KEEP
    if ticks >= MOST_TICKS:
        return Verdict.KEEP if found.e >= demand else Verdict.BACK
    return Verdict.BACK if ticks >= 3 and found.e + found.error < demand else Verdict.MEASURE


def judge_up(found: Elasticity, ticks: int, demand: float) -> Verdict:
    """Judge a probe upward."""
    if found.e - found.error >= demand:
        return Verdict.KEEP
    if ticks >= 4 and found.e - found.error / 2 >= demand:
        return Verdict.KEEP
    if ticks >= MOST_TICKS_UP:
        return Verdict.KEEP if found.e >= demand else Verdict.BACK
    return Verdict.BACK if ticks >= 4 and found.e + found.error < demand else Verdict.MEASURE


def judge_down(base: Level, probe: Level, ticks: int, tolerated: float) -> Verdict:
    """Judge a probe downward by the share of goodput that it lost."""
    loss = 1.0 - (probe.rate / base.rate if base.rate > 0 else 1.0)
    error = math.hypot(base.error, probe.error)
    if ticks >= 2 and loss + error / 2 <= tolerated:
        return Verdict.KEEP
    if ticks >= 5:
        return Verdict.KEEP if loss <= max(tolerated, 0.45 * error) else Verdict.BACK
    return Verdict.BACK if ticks >= 2 and loss - error > tolerated else Verdict.MEASURE


def world_changed(base: Level, probe: Level) -> bool:
    """Return whether goodput rose although connections were taken away."""
    error = math.hypot(base.error, probe.error)
    return base.rate > 0 and probe.rate / base.rate - 1.0 > 0.15 + 2 * error

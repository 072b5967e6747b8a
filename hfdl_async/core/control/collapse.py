"""Goodput that falls right after an increase: whether the increase was to blame.

If it was, fewer connections do not cost anything more. If they do cost in proportion, each one
was still needed, and it was the line that changed just then.
"""

from __future__ import annotations

from hfdl_async.core.control.judging import Elasticity
from hfdl_async.core.control.window import Level

COLLAPSE = 0.7  # of the goodput before, right after an increase
FEWEST_TICKS = 2
WRONGLY_BLAMED = 0.5


class Collapse:
    """The last collapse, if it is not over yet."""

    __slots__ = ("_collapsed", "_lost_rate")

    def __init__(self) -> None:
        self._collapsed: Level | None = None
        self._lost_rate = 0.0

    def has_come(self, found: Elasticity, ticks: int) -> bool:
        """Return whether a probe upward is one."""
        return ticks >= FEWEST_TICKS and found.ratio < COLLAPSE

    def note(self, base: Level, collapsed: Level) -> None:
        """Remember what was lost from *base*, and what was left."""
        self._collapsed = collapsed
        self._lost_rate = base.rate

    def wrongly_blamed(self, after: Level, ticks: int) -> bool:
        """Return whether it cost goodput to go down; asked once, as soon as that is known."""
        if self._collapsed is None or ticks < FEWEST_TICKS:
            return False
        collapsed, self._collapsed = self._collapsed, None
        if after.connections == collapsed.connections:
            return False
        return Elasticity.between(collapsed, after).e > WRONGLY_BLAMED

    def lasts(self, rate: float) -> bool:
        """Return whether goodput is still what it was then: until it is back probes say nothing."""
        if rate < COLLAPSE * self._lost_rate:
            return True
        self._lost_rate = 0.0
        return False

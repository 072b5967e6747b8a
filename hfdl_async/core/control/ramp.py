"""How fast a ramp climbs, and where it ends."""

from __future__ import annotations

from math import ceil

from hfdl_async.core.control.config import FAST_LINE_RATE, ControlConfig
from hfdl_async.core.control.judging import Elasticity
from hfdl_async.core.control.window import Level

DOUBLING = 2.0
BURST_FREE = 1.75  # on a fast line doubling is a burst
GENTLE = 1.5
NOISY, IN_NOISE = 0.15, 1.3
FEW = 16
HEADROOM = 1.25
SPARE = 1.12  # above the number that the goodput found would need


class Ramp:
    """The state of ramps: the first one of a download may do more than later ones."""

    __slots__ = ("_config", "_gently", "first")

    def __init__(self, config: ControlConfig, *, gently: bool = False) -> None:
        self._config = config
        self._gently = gently
        self.first = True

    def begin(self, *, gently: bool) -> None:
        """Begin a later ramp; *gently* when the number it begins from was good or too much."""
        self._gently = gently

    def next_target(self, base: Level, sigma: float, *, small: bool = False) -> int:
        """Return the connections of the next round; *small* requests are no burst of bytes."""
        return ceil(base.connections * self._factor(base, sigma, small))

    def demand(self, connections: int) -> float:
        """Return the elasticity that a round from *connections* must show."""
        return self._config.demand_to_ramp(connections, first=self.first)

    def knee(self, base: Level, probe: int, found: Elasticity) -> int:
        """Return where to stay after a round to *probe* that did not pay.

        The first ramp's base is unloaded, so the goodput found tells how many connections it takes.
        Later ones go back: with somebody else on the line an estimate would climb each time.
        """
        if not self.first or not self._config.headroom:
            return base.connections
        return min(probe, ceil(base.connections * max(HEADROOM, SPARE * found.ratio)))

    def _factor(self, base: Level, sigma: float, small: bool) -> float:
        if sigma > NOISY and not self.first:
            return IN_NOISE
        if self._gently:
            self._gently = False
            return GENTLE
        slow = small or base.connections < FEW or base.rate < FAST_LINE_RATE
        return DOUBLING if slow else BURST_FREE

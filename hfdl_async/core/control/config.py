"""The constants of the law, each with its reason; polite mode is another set of the same."""

from __future__ import annotations

from dataclasses import dataclass

from hfdl_async.core.model import KIB, MB

SMALL_REQUEST_BYTES = MB  # below it a request costs more in latency than in bytes
SMALL_REQUEST_WORTH = 256 * KIB  # what a finished small request counts on top of its bytes
FAST_LINE_RATE = 100 * MB  # above it doubling is a burst that has tripped content hosts
LOOP_BUSY = 0.93  # a loop this busy moves no more with more connections
FAILED_SHARE = 0.10  # more failures than that are an answer: too many connections
FIRST_CONNECTIONS = 8  # enough to see the slope, few enough for anyone
GAP_SECONDS = 60.0  # after so long a silence nothing that was learnt need hold


@dataclass(frozen=True, slots=True)
class ControlConfig:
    """What the law may do, and how much it demands before it does."""

    first: int = FIRST_CONNECTIONS
    least: int = 1
    most: int = 64
    growth_demand: float = 0.45  # elasticity demanded to grow: one equal rival leaves 0.5
    growth_demand_slope: float = 1 / 160  # dearer with each connection: rivals meet below the top
    growth_demand_most: float = 0.85
    shrink_slope: float = 1 / 150  # loss tolerated per unit of shrink, for each connection
    shrink_most: float = 0.30
    tolerance: float = 0.02  # loss always tolerated: what noise hides anyway
    first_ramp_demand: float = 0.5
    later_ramp_demand: float = 0.7
    headroom: bool = True  # one spare step above the knee, once
    floor_rate: float = 3 * MB  # of one connection: below it shrinking is twice as welcome
    hold_seconds: float = 5.0
    hold_up_most_seconds: float = 30.0
    hold_down_most_seconds: float = 120.0

    def __post_init__(self) -> None:
        if not 1 <= self.least <= self.most:
            raise ValueError(f"connections: {self.least} to {self.most} is no range")

    def demand_to_grow(self, connections: int) -> float:
        """Return the elasticity that growing from *connections* must show."""
        demand = self.growth_demand + connections * self.growth_demand_slope
        return min(max(self.growth_demand_most, self.growth_demand), demand)

    def demand_to_ramp(self, connections: int, *, first: bool) -> float:
        """Return the elasticity that a round of a ramp must show."""
        if first:
            return self.first_ramp_demand
        return max(self.later_ramp_demand, self.demand_to_grow(connections))

    def tolerated_loss(self, connections: int, rate: float, shrink: float) -> float:
        """Return the share of *rate* that may be lost by going down by the share *shrink*."""
        per_shrink = min(self.shrink_most, connections * self.shrink_slope)
        tolerated = max(self.tolerance, shrink * per_shrink)
        slow = rate / connections < self.floor_rate
        return max(2 * self.tolerance, tolerated) if slow else tolerated


def polite(*, least: int = 1, most: int = 64) -> ControlConfig:
    """Return the constants of polite mode: it yields to others on the line."""
    return ControlConfig(
        first=4,
        least=least,
        most=most,
        growth_demand=0.70,
        growth_demand_slope=0.0,
        growth_demand_most=0.70,
        shrink_slope=1.0,
        shrink_most=0.45,
        tolerance=0.03,
        headroom=False,
    )

"""What lies between the flows and the other side: capacity, noise, and a server with rules.

A fluid model with a fixed step. Flows share the capacity max-min fairly; a flow asks for what its
window allows, which doubles each round trip until the flow's own cap is reached.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass, replace

STEP_SECONDS = 0.02
FIRST_WINDOW_BYTES = 14_500  # ten segments of 1,450 bytes, RFC 6928
CAP_SPREAD = 0.25  # sigma of the lognormal spread of caps between connections
NOISE_CORRELATION_SECONDS = 1.0
COLD_ROUND_TRIPS = 3  # TCP, TLS, the request
LEAST_CAPACITY = 0.05  # of the line, however hard the noise hits it


@dataclass(frozen=True, slots=True)
class Conditions:
    """What the line and the server are like; rates in bytes a second, times in seconds."""

    line_rate: float
    connection_rate: float = 1e12  # the median of what one connection may have
    round_trip: float = 0.03
    think: float = 0.05  # the server's, before the first byte
    noise: float = 0.0  # relative standard deviation of the line
    surplus_waste: float = 0.0  # of the capacity, for each connection above `surplus_above`
    surplus_above: int = 64
    cpu_rate: float = 1e12  # what one event loop can move...
    cpu_waste: float = 0.0  # ...less this share of it for each connection
    disk_rate: float = 1e12
    connection_limit: int = 10_000  # a request above so many is answered 429
    request_rate: float = 0.0  # so many requests a second are answered, 0: all
    request_burst: float = 40.0
    retry_after: float = 2.0
    burst_limit: int = 10_000  # above so many connections the line is throttled for a while
    burst_penalty: float = 0.05  # of the line is left then
    burst_penalty_seconds: float = 15.0

    def quiet(self) -> Conditions:
        """Return the same conditions without noise."""
        return replace(self, noise=0.0)


class Flow:
    """One connection: `demand` is the rate its window and its cap allow just now."""

    __slots__ = ("cap", "demand", "left", "retire_at", "spread", "warm")

    def __init__(self, spread: float) -> None:
        self.spread = spread
        self.cap = 0.0
        self.demand = 0.0
        self.left = 0.0
        self.retire_at = math.inf
        self.warm = False


class Network:
    """One line with one server behind it, shared by any number of clients."""

    def __init__(self, conditions: Conditions, seed: int) -> None:
        self.conditions = conditions
        self.requests = 0  # in flight at the server
        self._random = random.Random(f"network {seed}")
        self._noise = 0.0
        self._tokens = conditions.request_burst
        self._tokens_at = 0.0
        self._penalty_until = -1.0

    def cap(self, flow: Flow) -> float:
        """Return the rate *flow* may have under the present conditions."""
        return self.conditions.connection_rate * flow.spread

    def spread(self) -> float:
        """Draw how a new connection's cap differs from the median."""
        return math.exp(self._random.gauss(0.0, CAP_SPREAD))

    def first_share(self) -> float:
        """Draw how much of its first range a new connection still has to fetch.

        Without it connections that began together would pause together for ever.
        """
        return self._random.uniform(0.1, 1.0)

    def latency(self, flow: Flow) -> float:
        """Return the seconds from a request to its first byte."""
        trips = 1 if flow.warm else COLD_ROUND_TRIPS
        think = self.conditions.think * self._random.uniform(0.5, 1.5)
        return trips * self.conditions.round_trip + think

    def admits(self, now: float) -> bool:
        """Take a request, or refuse it as one too many."""
        rules = self.conditions
        if self.requests >= rules.connection_limit:
            return False
        if rules.request_rate:
            self._tokens += (now - self._tokens_at) * rules.request_rate
            self._tokens = min(self._tokens, rules.request_burst)
            self._tokens_at = now
            if self._tokens < 1.0:
                return False
            self._tokens -= 1.0
        self.requests += 1
        if self.requests > rules.burst_limit:
            self._penalty_until = now + rules.burst_penalty_seconds
        return True

    def capacity(self, now: float, flowing: int) -> float:
        """Return the rate the line has for *flowing* flows in this step."""
        rules = self.conditions
        rate = rules.line_rate
        if rules.noise:
            keep = math.exp(-STEP_SECONDS / NOISE_CORRELATION_SECONDS)
            fresh = math.sqrt(1.0 - keep * keep)
            self._noise = keep * self._noise + fresh * self._random.gauss(0.0, 1.0)
            rate *= max(LEAST_CAPACITY, 1.0 + rules.noise * self._noise)
        if flowing > rules.surplus_above:
            rate *= max(0.0, 1.0 - rules.surplus_waste * (flowing - rules.surplus_above))
        if now < self._penalty_until:
            rate *= rules.burst_penalty
        return rate

    def window_growth(self) -> float:
        """Return the factor by which an opening window grows in one step."""
        return float(2.0 ** (STEP_SECONDS / self.conditions.round_trip))

    def first_demand(self) -> float:
        """Return the rate that a first window allows."""
        return FIRST_WINDOW_BYTES / self.conditions.round_trip


def fair_level(demands: list[float], capacity: float) -> float:
    """Return the max-min fair level: a flow gets the lesser of its demand and this."""
    count = len(demands)
    if not count or sum(demands) <= capacity:
        return math.inf
    if capacity <= count * min(demands):
        return capacity / count
    for demand in sorted(demands):
        if demand * count >= capacity:
            break
        capacity -= demand
        count -= 1
    return capacity / max(count, 1)

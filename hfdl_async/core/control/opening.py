"""How many connections a phase of small files should begin with, by Little's law."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, inf
from statistics import median

LEAST, MOST = 4, 32
ENOUGH_REQUESTS_A_SECOND = 200.0  # beyond it the loop is busy, not the line


def first_connections(latencies_seconds: Sequence[float], requests_a_second: float = inf) -> int:
    """Return the connections that keep *requests_a_second* in flight, from the first latencies."""
    if not latencies_seconds:
        return LEAST
    rate = min(requests_a_second, ENOUGH_REQUESTS_A_SECOND)
    return max(LEAST, min(MOST, ceil(rate * median(latencies_seconds))))

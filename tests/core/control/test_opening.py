from __future__ import annotations

import pytest

from hfdl_async.core.control.smallfiles import first_connections


@pytest.mark.parametrize(
    ("latency", "rate", "connections"),
    [(0.1, 1000.0, 20), (0.1, 50.0, 5), (0.01, 1000.0, 4), (1.0, 1000.0, 32)],
)
def test_it_is_rate_times_latency_within_bounds(
    latency: float, rate: float, connections: int
) -> None:
    assert first_connections([latency, latency, 9.0], rate) == connections


def test_without_a_latency_it_begins_low() -> None:
    assert first_connections([]) == 4

from __future__ import annotations

import math
from dataclasses import replace
from statistics import mean, stdev

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hfdl_async.testing.simulation.network import (
    STEP_SECONDS,
    Conditions,
    Flow,
    Network,
    fair_level,
)

LINE = Conditions(100e6)


@given(st.lists(st.floats(1, 1e9), min_size=1, max_size=64), st.floats(1, 1e10))
def test_sharing_is_max_min_fair(demands: list[float], capacity: float) -> None:
    level = fair_level(demands, capacity)
    given_out = sum(min(demand, level) for demand in demands)
    assert given_out == pytest.approx(min(capacity, sum(demands)))


def test_the_noise_has_the_stated_size_and_no_bias() -> None:
    network = Network(replace(LINE, noise=0.1), seed=1)
    rates = [network.capacity(step * STEP_SECONDS, 1) / 100e6 for step in range(200_000)]
    assert mean(rates) == pytest.approx(1.0, abs=0.02)
    assert stdev(rates) == pytest.approx(0.1, rel=0.1)


def test_a_cold_connection_waits_three_round_trips_a_warm_one_one() -> None:
    network, flow = Network(replace(LINE, round_trip=0.2, think=0.0), seed=1), Flow(1.0)
    assert network.latency(flow) == pytest.approx(0.6)
    flow.warm = True
    assert network.latency(flow) == pytest.approx(0.2)


def test_a_window_doubles_in_a_round_trip() -> None:
    network = Network(replace(LINE, round_trip=0.1), seed=1)
    assert network.window_growth() ** (0.1 / STEP_SECONDS) == pytest.approx(2.0)


def test_requests_above_the_connection_limit_are_refused() -> None:
    network = Network(replace(LINE, connection_limit=2), seed=1)
    assert [network.admits(0.0) for _ in range(3)] == [True, True, False]
    network.requests -= 1
    assert network.admits(0.0)


def test_requests_above_the_rate_are_refused_once_the_bucket_is_empty() -> None:
    network = Network(replace(LINE, request_rate=10.0, request_burst=5.0), seed=1)
    assert sum(network.admits(0.0) for _ in range(20)) == 5
    assert sum(network.admits(0.3) for _ in range(20)) == 3


def test_too_many_connections_at_once_are_punished_for_a_while() -> None:
    network = Network(replace(LINE, burst_limit=2), seed=1)
    for _ in range(3):
        network.admits(1.0)
    assert network.capacity(10.0, 3) == pytest.approx(5e6)
    assert network.capacity(17.0, 3) == 100e6


def test_surplus_connections_waste_capacity() -> None:
    network = Network(replace(LINE, surplus_waste=0.01, surplus_above=5), seed=1)
    assert [network.capacity(0.0, flowing) / 1e6 for flowing in (5, 6, 15)] == [100, 99, 90]


def test_nobody_to_share_with_has_no_bound() -> None:
    assert fair_level([], 5.0) == math.inf

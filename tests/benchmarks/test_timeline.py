"""Figures from samples of a download."""

from __future__ import annotations

import pytest

from benchmarks.timeline import Sample, Timeline, allowed_together, fairness, jain
from hfdl_async.core.model import MB


def steady(rate: float, seconds: int, *, start: float = 100.0, allowed: int = 8) -> Timeline:
    """Return ten samples a second of a download that begins a second after the first of them."""
    return Timeline(
        [
            Sample(start + tick / 10, round(rate * max(0, tick - 10) / 10), allowed, allowed)
            for tick in range(10 * (seconds + 1) + 1)
        ]
    )


def test_rates_are_those_of_the_time_between() -> None:
    line = steady(10 * MB, 20)
    assert line.total == 200 * MB
    assert line.rate(105.0, 115.0) == pytest.approx(10 * MB)
    assert line.rate(105.05, 105.15) == pytest.approx(10 * MB)
    assert line.rate(105.0, 105.0) == 0.0
    assert line.start == pytest.approx(101.1)
    assert line.end == pytest.approx(121.0)


def test_the_fullest_second_is_found_between_slow_ones() -> None:
    counts = [0, 1, 2, 9, 16, 17, 18]
    line = Timeline([Sample(n / 2, MB * count) for n, count in enumerate(counts)])
    assert line.most_in(1.0) == 14 * MB
    assert line.most_in(100.0) == 18 * MB


def test_the_time_to_a_rate_begins_with_the_first_byte() -> None:
    slow, fast = steady(1 * MB, 5), steady(10 * MB, 5, start=106.0)
    both = Timeline(
        [*slow.samples, *(Sample(s.at, s.received + slow.total) for s in fast.samples[1:])]
    )
    assert both.seconds_to(0.9 * MB) == pytest.approx(1.0, abs=0.11)
    assert both.seconds_to(9 * MB) == pytest.approx(6.8, abs=0.3)
    assert both.seconds_to(50 * MB) is None


def test_the_tail_is_the_time_of_the_last_bytes() -> None:
    assert steady(10 * MB, 20).seconds_for_last(0.05) == pytest.approx(1.0, abs=0.1)


def test_connections_are_weighted_by_time() -> None:
    samples = [Sample(0.0, 0, 0, 64), Sample(1.0, 1, 4, 4), Sample(4.0, 2, 8, 8), Sample(5.0, 3)]
    assert Timeline(samples).mean_allowed() == pytest.approx((3 * 4 + 1 * 8) / 4)
    assert Timeline(samples).mean_allowed(after_seconds=3.0) == 8.0


def test_fairness_is_judged_while_both_flow() -> None:
    assert jain([5.0, 5.0]) == 1.0
    assert jain([5.0, 0.0]) == 0.5
    assert jain([0.0, 0.0]) == 1.0
    equal = [steady(10 * MB, 10), steady(10 * MB, 30, start=102.0)]
    assert fairness(equal) == pytest.approx(1.0, abs=0.01)
    unequal = [steady(30 * MB, 10), steady(10 * MB, 10)]
    assert fairness(unequal) == pytest.approx(0.8, abs=0.01)
    assert allowed_together(equal) == 16.0

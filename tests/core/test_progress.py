from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hfdl_async.core.progress import RATE_MEMORY_SECONDS, RateMeter, eta_seconds


def steady(meter: RateMeter, seconds: int, rate: int) -> RateMeter:
    start, count = meter.at_seconds, meter.count
    for second in range(1, seconds + 1):
        meter = meter.read(start + second, count + second * rate)
    return meter


def test_the_first_bytes_set_the_rate_at_once() -> None:
    assert RateMeter(10.0).read(12.0, 200).rate_bytes_per_second == 100.0


def test_waiting_before_the_first_byte_does_not_drag_the_rate_down() -> None:
    meter = steady(RateMeter(0.0), 60, 0)
    assert meter.read(61.0, 500).rate_bytes_per_second == 500.0


@given(st.integers(1, 10**10), st.integers(1, 100))
def test_a_steady_flow_is_shown_as_it_is(rate: int, seconds: int) -> None:
    meter = steady(RateMeter(0.0), seconds, rate)
    assert meter.rate_bytes_per_second == pytest.approx(rate)


def test_a_pulled_cable_shows_within_seconds() -> None:
    meter = steady(steady(RateMeter(0.0), 30, 1000), int(3 * RATE_MEMORY_SECONDS), 0)
    assert meter.rate_bytes_per_second < 100


MILLISECONDS = st.integers(0, 5000).map(lambda count: count / 1000)  # what a clock can tell apart


@given(st.lists(st.tuples(MILLISECONDS, st.integers(0, 10**9)), max_size=30))
def test_the_rate_stays_between_nothing_and_the_fastest_reading(
    steps: list[tuple[float, int]],
) -> None:
    meter, now, count, fastest = RateMeter(0.0), 0.0, 0, 0.0
    for elapsed, grown in steps:
        counted_since = meter.at_seconds
        now, count = now + elapsed, count + grown
        if now > counted_since:
            fastest = max(fastest, (count - meter.count) / (now - counted_since))
        meter = meter.read(now, count)
        assert 0 <= meter.rate_bytes_per_second <= fastest * (1 + 1e-9)


def test_a_clock_that_stands_still_or_goes_back_changes_nothing() -> None:
    meter = RateMeter(10.0).read(11.0, 100)
    assert meter.read(11.0, 900) == meter
    assert meter.read(5.0, 900) == meter


@pytest.mark.parametrize(
    ("missing", "rate", "expected"),
    [(0, 0.0, 0.0), (-5, 10.0, 0.0), (100, 0.0, None), (100, 0.9, None), (100, 50.0, 2.0)],
)
def test_the_end_is_known_when_there_is_a_rate(
    missing: int, rate: float, expected: float | None
) -> None:
    assert eta_seconds(missing, rate) == expected

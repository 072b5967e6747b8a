from __future__ import annotations

import pytest

from hfdl_async.core.control.config import SMALL_REQUEST_WORTH
from hfdl_async.core.control.meter import SETTLING_TICKS, Meter, counts
from hfdl_async.core.controller import Sample
from hfdl_async.core.model import MIB


def tick(rate: float, *, busy: float = 8, flowing: int = 8, done: int = 0) -> Sample:
    return Sample(t=1.0, dt=0.5, bytes=int(rate / 2), busy=busy, flowing=flowing, done=done)


def measure(meter: Meter, *samples: Sample, growing: bool = False) -> list[bool]:
    seen = []
    for sample in samples:
        meter.note(sample)
        seen.append(meter.measure(sample, 8, growing=growing))
    return seen


def test_ticks_count_once_the_connections_flow_and_one_more_has_passed() -> None:
    meter = Meter()
    opening = tick(10e6, flowing=3)
    seen = measure(meter, opening, opening, tick(50e6, busy=8.4), tick(50e6, busy=8.4), tick(50e6))
    assert seen == [False, False, False, False, True]


def test_it_does_not_wait_for_ever() -> None:
    assert measure(Meter(), *[tick(10e6, flowing=1)] * 10)[SETTLING_TICKS + 1 :] == [True] * 3


def test_connections_on_their_way_out_are_not_measured_as_if_they_were_few() -> None:
    meter = Meter()
    leaving = tick(80e6, busy=11, flowing=8)
    assert measure(meter, leaving, leaving, leaving) == [False] * 3
    assert measure(meter, tick(60e6)) == [True]
    assert meter.window.mean == 60e6


def test_while_goodput_climbs_the_older_ticks_are_dropped() -> None:
    meter = Meter()
    climb = [tick(rate * 1e6) for rate in (10, 20, 40, 60, 80, 80)]
    assert measure(meter, *climb, growing=True) == [False] * 5 + [True]
    assert meter.window.mean == 80e6


def test_a_climb_without_end_is_measured_in_the_end() -> None:
    climb = [tick(1e6 * 1.2**step) for step in range(20)]
    assert True in measure(Meter(), *climb, growing=True)


def test_small_requests_count_more_than_their_bytes() -> None:
    meter = Meter()
    changed = [meter.note(tick(2e6, done=10)) for _ in range(3)]
    assert changed == [True, False, False]
    assert meter.small
    assert meter.rate == 2e6 + SMALL_REQUEST_WORTH * 20


def test_small_requests_are_settled_when_each_connection_has_had_one() -> None:
    seen = measure(Meter(), *[tick(5e6, flowing=0, done=40)] * 3, growing=True)
    assert seen == [False, True, True]


def test_large_requests_on_a_slow_line_are_not_small_because_few_finish() -> None:
    meter = Meter()
    for number in range(100):
        meter.note(tick(4e6, done=1 if number % 8 == 0 else 0))
    assert not meter.small
    assert meter.rate == 4e6


@pytest.mark.parametrize(
    ("sample", "paced", "valid"),
    [
        (Sample(t=1, dt=0.5, busy=8), False, True),
        (Sample(t=1, dt=0.5, busy=4), False, False),
        (Sample(t=1, dt=0.5, busy=4), True, True),
        (Sample(t=1, dt=0.5, busy=8, starved=True), False, False),
    ],
)
def test_a_tick_without_work_says_nothing(sample: Sample, paced: bool, valid: bool) -> None:
    assert counts(sample, 8, paced=paced) is valid


def test_pieces_of_many_mebibytes_are_large() -> None:
    meter = Meter()
    for _ in range(10):
        meter.note(tick(2 * 16 * MIB * 4, done=4))
    assert not meter.small

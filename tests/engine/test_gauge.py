from __future__ import annotations

import pytest

from hfdl_async.engine.gauge import Gauge
from hfdl_async.testing.fakes import ManualClock


class Bench:
    """A gauge, its clock, and a thread whose processor time moves as told."""

    def __init__(self) -> None:
        self.clock = ManualClock(auto=False)
        self.cpu_seconds = 7.0
        self.gauge = Gauge(self.clock, lambda: self.cpu_seconds)


def test_what_is_busy_is_averaged_over_time_and_the_most_is_remembered() -> None:
    bench = Bench()
    gauge, clock = bench.gauge, bench.clock
    gauge.request_began()
    clock.advance(0.2)
    gauge.request_began()
    clock.advance(0.1)
    gauge.request_ended()
    clock.advance(0.2)
    sample = gauge.read(flowing=1)
    assert sample.dt == pytest.approx(0.5)
    assert sample.t == clock.monotonic()
    assert sample.busy == pytest.approx((0.2 + 0.2 + 0.2) / 0.5)
    assert (sample.busy_high, sample.flowing) == (2, 1)


def test_a_tick_is_as_long_as_it_was_and_the_next_begins_where_it_ended() -> None:
    bench = Bench()
    bench.gauge.request_began()
    bench.gauge.bytes += 10
    bench.gauge.refused(3.0)
    bench.gauge.refused(2.0)
    bench.clock.advance(0.8)
    first = bench.gauge.read(flowing=0)
    bench.gauge.begin()
    bench.clock.advance(0.3)
    second = bench.gauge.read(flowing=0)
    assert [first.dt, second.dt] == pytest.approx([0.8, 0.3])
    assert (first.bytes, first.throttled, first.retry_after) == (10, 2, 3.0)
    assert (second.bytes, second.throttled, second.retry_after) == (0, 0, 0.0)
    assert second.busy == pytest.approx(1.0)
    assert second.busy_high == 1


@pytest.mark.parametrize(("writing_seconds", "blocked"), [(0.39, False), (0.41, True)])
def test_the_disk_blocks_when_writing_takes_nearly_all_of_two_ticks(
    writing_seconds: float, blocked: bool
) -> None:
    bench = Bench()
    bench.gauge.request_began()
    for told in (False, blocked):
        bench.gauge.write_began()
        bench.clock.advance(writing_seconds)
        bench.gauge.write_ended()
        bench.clock.advance(0.5 - writing_seconds)
        assert bench.gauge.read(flowing=1).blocked is told
        bench.gauge.begin()


def test_a_write_that_has_not_ended_blocks_already() -> None:
    bench = Bench()
    bench.gauge.request_began()
    bench.gauge.write_began()
    for blocked in (False, True, True):
        bench.clock.advance(0.5)
        assert bench.gauge.read(flowing=1).blocked is blocked
        bench.gauge.begin()


def test_the_loop_is_as_busy_as_its_thread_was_on_the_processor_during_the_tick() -> None:
    bench = Bench()
    bench.clock.advance(0.5)
    bench.cpu_seconds += 0.4
    assert bench.gauge.read(flowing=0).loop_busy == pytest.approx(0.8)
    bench.gauge.begin()
    bench.clock.advance(0.5)
    assert bench.gauge.read(flowing=0).loop_busy == 0.0
    bench.cpu_seconds += 9.0
    assert bench.gauge.read(flowing=0).loop_busy == 1.0


def test_a_tick_of_no_length_divides_by_nothing() -> None:
    assert Bench().gauge.read(flowing=0).dt > 0

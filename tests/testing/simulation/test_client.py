from __future__ import annotations

import pytest

from hfdl_async.core.bandwidth import Bucket
from hfdl_async.core.controller import Decision, FixedController, Sample
from hfdl_async.testing.simulation.client import Client
from hfdl_async.testing.simulation.network import STEP_SECONDS, Conditions, Network

PIECE = 16.0 * 2**20


class Told:
    """Wants what it is told."""

    def __init__(self, target: int, start_rate: float | None = None) -> None:
        self.target = target
        self.start_rate = start_rate
        self.samples: list[Sample] = []

    def start(self) -> Decision:
        return Decision(self.target, self.start_rate, "told", "HOLD")

    def observe(self, sample: Sample) -> Decision:
        self.samples.append(sample)
        return self.start()


class Play:
    """One client with all the capacity it asks for, up to *rate*."""

    def __init__(
        self,
        law: Told,
        conditions: Conditions,
        *,
        size: float = PIECE,
        bucket: Bucket | None = None,
    ) -> None:
        self.law = law
        self.client = Client(law, Network(conditions, 1), request_bytes=size, bucket=bucket)
        self.step = 0

    def run(self, seconds: float) -> Sample:
        """Advance; returns the last sample."""
        self.advance(seconds)
        return self.law.samples[-1]

    def advance(self, seconds: float) -> None:
        for _ in range(round(seconds / STEP_SECONDS)):
            now = self.step * STEP_SECONDS
            self.client.manage(now)
            demand = sum(flow.demand for flow in self.client.flowing)
            rate = self.client.network.capacity(now, len(self.client.flowing))
            rate = min(rate, self.client.own_capacity(now, demand))
            self.client.deliver(now, rate / max(1, len(self.client.flowing)))
            self.step += 1
            if self.step % 25 == 0:
                self.client.tick(self.step * STEP_SECONDS)


def test_at_most_eight_connections_open_in_a_tenth_of_a_second() -> None:
    play = Play(Told(20), Conditions(1e8))
    play.advance(0.02)
    assert play.client.busy == 8
    play.advance(0.1)
    assert play.client.busy == 16
    play.advance(0.4)
    assert play.client.busy == 20


def test_connections_too_many_end_within_two_seconds() -> None:
    law = Told(10)
    play = Play(law, Conditions(1e6))
    play.run(2.0)
    law.target = 4
    play.run(2.5)
    assert 4 < play.client.busy <= 10
    play.run(1.0)
    assert play.client.busy == play.client.network.requests == 4


def test_after_a_refusal_nobody_asks_before_the_stated_time() -> None:
    play = Play(Told(4), Conditions(1e8, connection_limit=3, retry_after=2.0))
    seen = [play.run(0.5).throttled for _ in range(8)]
    assert seen[0] == 1
    assert seen[1:4] == [0, 0, 0]
    assert sum(seen[4:]) >= 1


def test_paced_requests_begin_at_the_pace() -> None:
    play = Play(Told(8, start_rate=10.0), Conditions(1e8), size=1e4)
    play.run(1.0)
    done = sum(sample.done for sample in play.law.samples)
    play.run(10.0)
    assert sum(sample.done for sample in play.law.samples) - done == pytest.approx(100, abs=3)


def test_a_limit_is_kept_to_and_told() -> None:
    play = Play(Told(4), Conditions(1e8), bucket=Bucket(1e7))
    play.run(5.0)
    sample = play.run(5.0)
    assert sample.limited
    late = [each.bytes for each in play.law.samples if each.t > 5.0]
    assert sum(late) / 5.0 == pytest.approx(1e7, rel=0.01)


def test_a_slow_disk_and_a_busy_loop_are_told() -> None:
    assert Play(Told(4), Conditions(1e8, disk_rate=2e7)).run(3.0).blocked
    assert Play(Told(4), Conditions(1e8, cpu_rate=2e7)).run(3.0).loop_busy > 0.93
    calm = Play(Told(4), Conditions(2e7, disk_rate=1e9, cpu_rate=1e9)).run(3.0)
    assert not calm.blocked
    assert calm.loop_busy < 0.1


def test_a_sample_says_what_was_there() -> None:
    play = Play(Told(4), Conditions(1e8), size=1e12)
    play.run(3.0)
    sample = play.run(0.5)
    assert (sample.t, sample.dt, sample.busy_high, sample.flowing) == (3.5, 0.5, 4, 4)
    assert sample.busy == pytest.approx(4.0)
    assert sample.bytes == pytest.approx(5e7, rel=0.01)


def test_a_fixed_law_fits_as_well() -> None:
    client = Client(FixedController(3), Network(Conditions(1e8), 1), request_bytes=PIECE)
    client.manage(0.0)
    assert client.busy == 3

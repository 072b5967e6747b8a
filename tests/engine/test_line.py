from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise

import anyio
import pytest

from hfdl_async.core.controller import TICK_SECONDS, Decision, FixedController, Sample
from hfdl_async.engine.line import Line
from hfdl_async.testing.fakes import ManualClock

pytestmark = pytest.mark.anyio


@dataclass
class Recorder:
    """A controller that wants what it is told to want, and remembers what it saw."""

    target: int = 4
    seen: list[Sample] = field(default_factory=list)

    def start(self) -> Decision:
        return Decision(self.target, None, "start", "FIXED")

    def observe(self, sample: Sample) -> Decision:
        self.seen.append(sample)
        return Decision(self.target, None, "told to", "FIXED")


@dataclass
class Wired:
    controller: Recorder = field(default_factory=Recorder)
    clock: ManualClock = field(default_factory=lambda: ManualClock(auto=False))
    changes: list[Decision] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.line = Line(self.controller, self.clock, on_change=self.changes.append)


async def test_a_tick_says_what_happened_since_the_last() -> None:
    wired = Wired()
    line, clock = wired.line, wired.clock
    with anyio.CancelScope() as scope:
        flow = line.begin(scope, silence_seconds=30)
        clock.advance(0.25)
        flow.listen(clock.monotonic())
        other = line.begin(scope, silence_seconds=30)
        line.received(flow, 100, clock.monotonic())
        clock.advance(0.25)
        line.end(other, failed=False, throttled=7.0)
        line.tick()
        line.end(flow, failed=True)
        line.end(line.begin(scope, silence_seconds=30), failed=False)
        clock.advance(0.5)
        line.tick()
    first, second = wired.controller.seen
    assert (first.dt, first.bytes, first.flowing, first.busy_high) == (0.5, 100, 1, 2)
    assert first.busy == pytest.approx(1.5)
    assert (first.throttled, first.retry_after, first.failed, first.done) == (1, 7.0, 0, 0)
    assert (second.throttled, second.retry_after, second.failed, second.done) == (0, 0.0, 1, 1)
    assert second.bytes == 0
    assert first.starved


async def test_a_decision_resizes_the_permits_and_is_told_once() -> None:
    wired = Wired()
    wired.controller.target = 2
    wired.line.tick()
    wired.line.tick()
    assert wired.line.allowed == wired.line.permits.total_tokens == 2
    assert [decision.target for decision in wired.changes] == [2]


async def test_permits_that_are_held_when_there_are_fewer_come_back_one_by_one() -> None:
    wired = Wired()
    inside = 0
    release = anyio.Event()

    async def work() -> None:
        nonlocal inside
        async with wired.line.permit():
            inside += 1
            await release.wait()

    async with anyio.create_task_group() as group:
        for _ in range(8):
            group.start_soon(work)
        await anyio.wait_all_tasks_blocked()
        assert inside == 4
        wired.controller.target = 1
        wired.line.tick()
        assert wired.line.permits.borrowed_tokens == 4
        wired.controller.target = 6
        wired.line.tick()
        await anyio.wait_all_tasks_blocked()
        assert inside == 6
        release.set()
    assert wired.line.permits.borrowed_tokens == 0


async def test_a_silent_flow_is_cut_and_one_that_speaks_or_is_not_read_is_not() -> None:
    wired = Wired()
    with anyio.CancelScope() as scope:
        quiet, speaking, unread, waiting = (
            wired.line.begin(anyio.CancelScope(), silence_seconds=30) for _ in range(4)
        )
        now = wired.clock.monotonic()
        for flow in (quiet, speaking, unread):
            flow.listen(now)
        unread.pause()
        wired.clock.advance(15.0)
        wired.line.received(speaking, 1, wired.clock.monotonic())
        wired.line.tick()
        assert not quiet.cut_reason
        wired.clock.advance(0.5)
        wired.line.tick()
    assert not scope.cancel_called
    assert quiet.cut_reason
    assert quiet.scope.cancel_called
    assert [flow.cut_reason for flow in (speaking, unread, waiting)] == [""] * 3


async def test_the_first_reason_to_cut_stays() -> None:
    flow = Wired().line.begin(anyio.CancelScope(), silence_seconds=1)
    flow.cut("first")
    flow.cut("second")
    assert flow.cut_reason == "first"


async def test_the_line_ticks_while_there_are_flows_and_sleeps_otherwise() -> None:
    clock = ManualClock()
    line = Line(FixedController(2), clock, on_change=lambda decision: None)
    ticks: list[float] = []
    unwatch = line.watch(ticks.append)
    async with anyio.create_task_group() as group:
        group.start_soon(line.run)
        await anyio.wait_all_tasks_blocked()
        assert clock.slept == []
        flow = line.begin(anyio.CancelScope(), silence_seconds=30)
        while len(ticks) < 5:
            await anyio.lowlevel.checkpoint()
        line.end(flow, failed=False)
        await anyio.wait_all_tasks_blocked()
        assert len(ticks) <= 7
        group.cancel_scope.cancel()
    assert [later - earlier for earlier, later in pairwise(ticks)] == (
        [TICK_SECONDS] * (len(ticks) - 1)
    )
    unwatch()
    line.tick()
    assert len(ticks) <= 7

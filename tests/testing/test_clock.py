from __future__ import annotations

import anyio
import pytest
from anyio.lowlevel import checkpoint

from hfdl_async.engine.ports import Clock
from hfdl_async.testing.clock import ManualClock

pytestmark = pytest.mark.anyio


async def test_time_jumps_to_the_next_sleeper_when_everybody_waits() -> None:
    clock: Clock = ManualClock(100.0)
    woken: list[tuple[str, float]] = []

    async def sleeper(name: str, seconds: float) -> None:
        await clock.sleep(seconds)
        woken.append((name, clock.monotonic()))

    async with anyio.create_task_group() as group:
        for name, seconds in (("c", 3600.0), ("a", 0.5), ("b", 60.0)):
            group.start_soon(sleeper, name, seconds)
    assert woken == [("a", 100.5), ("b", 160.0), ("c", 3700.0)]


async def test_time_stands_still_while_somebody_works() -> None:
    clock = ManualClock()
    began = clock.monotonic()

    async def work() -> None:
        for _ in range(200):
            await checkpoint()
            assert clock.monotonic() == began

    async with anyio.create_task_group() as group:
        group.start_soon(clock.sleep, 1.0)
        group.start_soon(work)
    assert clock.monotonic() == began + 1.0


async def test_without_auto_time_moves_by_hand_only() -> None:
    clock = ManualClock(auto=False)
    async with anyio.create_task_group() as group:
        group.start_soon(clock.sleep, 10.0)
        await anyio.wait_all_tasks_blocked()
        clock.advance(9.0)
        await anyio.wait_all_tasks_blocked()
        clock.advance(1.0)
    assert clock.slept == [10.0]


async def test_a_cancelled_sleeper_is_forgotten() -> None:
    clock = ManualClock()
    async with anyio.create_task_group() as group:
        group.start_soon(clock.sleep, 50.0)
        await checkpoint()
        group.cancel_scope.cancel()
    await clock.sleep(1.0)
    assert clock.monotonic() == 1001.0


async def test_no_wait_is_still_a_turn_of_the_loop() -> None:
    clock = ManualClock()
    turns = 0

    async def other() -> None:
        nonlocal turns
        turns += 1

    async with anyio.create_task_group() as group:
        group.start_soon(other)
        await clock.sleep(0.0)
        assert turns == 1
    assert clock.monotonic() == 1000.0


async def test_wall_time_goes_along() -> None:
    clock = ManualClock()
    before = clock.time()
    clock.advance(5.0)
    assert clock.time() - before == 5.0

from __future__ import annotations

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hfdl_async.engine.permits import (
    OPENED_AT_ONCE,
    OPENING_SECONDS,
    RETIRE_SECONDS,
    SLACK_SECONDS,
    Permits,
    Starts,
)
from hfdl_async.testing.fakes import ManualClock

pytestmark = pytest.mark.anyio


def test_permits_come_eight_at_a_time() -> None:
    clock = ManualClock(auto=False)
    permits = Permits(clock, 8)
    permits.aim(30)
    opened = [permits.opened]
    while permits.changing:
        permits.open_some()
        clock.advance(OPENING_SECONDS)
        permits.open_some()
        permits.open_some()
        opened.append(permits.opened)
    assert opened == [8, 16, 24, 30]


def test_a_large_number_to_begin_with_comes_bit_by_bit_as_well() -> None:
    clock = ManualClock(auto=False)
    permits = Permits(clock, 64)
    assert permits.opened == OPENED_AT_ONCE
    assert permits.changing


def test_fewer_permits_are_there_at_once_and_what_is_too_much_is_tolerated_for_a_while() -> None:
    clock = ManualClock(auto=False)
    permits = Permits(clock, 8)
    permits.aim(6)
    assert permits.opened == 6
    clock.advance(RETIRE_SECONDS / 2)
    permits.aim(3)
    assert permits.surplus(8) == 0
    clock.advance(RETIRE_SECONDS / 2)
    assert permits.surplus(8) == 2  # those of the first step down
    clock.advance(RETIRE_SECONDS / 2)
    assert permits.surplus(6) == 3
    assert not permits.changing


def test_nobody_is_too_many_any_more_once_as_many_are_wanted_again() -> None:
    clock = ManualClock(auto=False)
    permits = Permits(clock, 8)
    permits.aim(4)
    clock.advance(RETIRE_SECONDS / 2)
    permits.aim(8)
    clock.advance(RETIRE_SECONDS)
    assert permits.surplus(8) == 0


@given(st.lists(st.tuples(st.integers(1, 64), st.floats(0.0, 3.0)), max_size=20))
def test_there_are_never_more_permits_than_wanted(steps: list[tuple[int, float]]) -> None:
    clock = ManualClock(auto=False)
    permits = Permits(clock, 8)
    for target, seconds in steps:
        before = permits.opened
        permits.aim(target)
        clock.advance(seconds)
        permits.open_some()
        assert 1 <= permits.opened <= target
        assert permits.opened <= before + 2 * OPENED_AT_ONCE


async def test_never_more_hold_a_permit_than_there_are() -> None:
    clock = ManualClock(auto=False)
    permits = Permits(clock, 4)
    most = 0

    async def work() -> None:
        nonlocal most
        for _ in range(20):
            async with permits.take():
                most = max(most, permits.held)
                await anyio.lowlevel.checkpoint()

    async with anyio.create_task_group() as group:
        for _ in range(9):
            group.start_soon(work)
    assert most == 4
    assert permits.held == 0


async def test_paced_requests_begin_one_after_the_other_at_the_rate() -> None:
    clock = ManualClock()
    permits = Permits(clock, 8)
    permits.starts.rate = 4.0
    begun: list[float] = []

    async def work() -> None:
        async with permits.take():
            begun.append(clock.monotonic())

    async with anyio.create_task_group() as group:
        for _ in range(5):
            group.start_soon(work)
    assert [at - begun[0] for at in begun] == pytest.approx(
        [0.0, 0.25, 0.5, 0.75, 1.0], abs=SLACK_SECONDS + 1e-6
    )


async def test_who_waits_for_his_turn_goes_on_when_the_pace_is_given_up() -> None:
    clock = ManualClock()
    starts = Starts(clock)
    starts.rate = 0.01
    await starts.wait()
    began = clock.monotonic()

    async def relent() -> None:
        await clock.sleep(3.0)
        starts.rate = None

    async with anyio.create_task_group() as group:
        group.start_soon(relent)
        await starts.wait()
    assert clock.monotonic() - began < 5.0


async def test_a_start_that_comes_late_does_not_slow_those_after_it_nor_lets_a_burst_through() -> (
    None
):
    clock = ManualClock(auto=False)
    starts = Starts(clock)
    starts.rate = 10.0
    await starts.wait()
    clock.advance(5.0)
    await starts.wait()  # five seconds late: the next one is due almost at once, not fifty
    with anyio.move_on_after(0.02) as scope:
        await starts.wait()
        await starts.wait()
    assert scope.cancelled_caught


async def test_a_permit_is_given_back_by_who_is_cancelled_while_he_waits_for_his_turn() -> None:
    clock = ManualClock(auto=False)
    permits = Permits(clock, 2)
    permits.starts.rate = 0.1
    async with permits.take():
        pass

    async def wait() -> None:
        async with permits.take():
            raise AssertionError("it was not his turn")

    async with anyio.create_task_group() as group:
        group.start_soon(wait)
        await anyio.wait_all_tasks_blocked()
        assert permits.held == 1
        group.cancel_scope.cancel()
    assert permits.held == 0


async def test_those_above_a_number_that_holds_at_once_are_surplus_from_then_on() -> None:
    clock = ManualClock(auto=False)
    permits = Permits(clock, 16)
    permits.aim(8)
    assert permits.surplus(10) == 0  # they have two seconds
    permits.aim(2, at_once=True)
    assert permits.surplus(10) == 8

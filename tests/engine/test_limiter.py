from __future__ import annotations

from dataclasses import dataclass, field

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hfdl_async.core.bandwidth import burst_bytes, read_bytes, window_bytes
from hfdl_async.core.model import KIB, MIB
from hfdl_async.core.timetable import Limit, Timetable
from hfdl_async.engine.limiter import Limiter
from hfdl_async.testing.fakes import ManualClock

pytestmark = pytest.mark.anyio

LINE = 100e6


@dataclass
class Reader:
    """A request that notes whether somebody reads it."""

    paused: int = 0
    listening: bool = True

    def pause(self) -> None:
        self.paused += 1
        self.listening = False

    def listen(self, now_seconds: float) -> None:
        self.listening = True


@dataclass
class Ticks:
    """The ticks of a line that gives what it can, or what the limit allows."""

    limiter: Limiter
    line: float = LINE
    now: float = 1000.0
    limits: list[float | None] = field(default_factory=list)

    def run(self, seconds: float, *, telling: bool = True, ramping: bool = False) -> None:
        for _ in range(round(2 * seconds)):
            self.now += 0.5
            rate = min(self.line, self.limiter.rate or self.line)
            self.limiter.tick(
                self.now, 0.5, int(rate / 2), readers=8, ramping=ramping, telling=telling
            )
            self.limits.append(self.limiter.rate)


async def test_without_a_limit_nobody_waits() -> None:
    clock, reader = ManualClock(), Reader()
    await Limiter(clock).take(reader, 10**12)
    assert (clock.slept, reader.paused) == ([], 0)


async def test_who_has_read_waits_until_it_is_paid_for_and_is_not_blamed_for_it() -> None:
    clock, reader = ManualClock(), Reader()
    limiter = Limiter(clock, Limit(rate=1e6))
    await limiter.take(reader, 500_000)
    assert clock.slept == [pytest.approx(0.5)]
    assert (reader.paused, reader.listening) == (1, True)


async def test_readers_are_served_in_the_order_of_their_reads() -> None:
    clock = ManualClock()
    limiter = Limiter(clock, Limit(rate=1e6))
    ends: list[tuple[int, float]] = []

    async def read(number: int, count: int) -> None:
        await limiter.take(Reader(), count)
        ends.append((number, clock.monotonic() - 1000.0))

    async with anyio.create_task_group() as group:
        for number, count in enumerate([MIB, KIB, MIB, KIB]):
            group.start_soon(read, number, count)
    assert [number for number, _ in ends] == [0, 1, 2, 3]
    assert ends[-1][1] == pytest.approx((2 * MIB + 2 * KIB) / 1e6)


@pytest.mark.parametrize("readers", [1, 8])
async def test_no_window_has_more_than_the_limit_the_burst_and_a_read_of_each(
    readers: int,
) -> None:
    rate, clock = 5e6, ManualClock()
    limiter, sizes = Limiter(clock, Limit(rate=rate)), read_bytes(rate, readers)
    arrived: list[tuple[float, int]] = []

    async def read() -> None:
        while clock.monotonic() < 1020.0:
            arrived.append((clock.monotonic(), sizes))
            await limiter.take(Reader(), sizes)

    async with anyio.create_task_group() as group:
        for _ in range(readers):
            group.start_soon(read)
    for first, (start, _) in enumerate(arrived):
        total = 0
        for at, count in arrived[first : first + 400]:
            total += count
            assert total <= rate * (at - start) + burst_bytes(rate) + readers * sizes + 1
    seconds = arrived[-1][0] - arrived[0][0]
    assert sum(count for _, count in arrived) / seconds == pytest.approx(rate, rel=0.02)


async def test_a_new_limit_wakes_those_who_wait_and_they_pay_by_it() -> None:
    clock = ManualClock(auto=False)
    limiter, done = Limiter(clock, Limit(rate=1e3)), list[str]()

    async def read(name: str, count: int) -> None:
        await limiter.take(Reader(), count)
        done.append(name)

    async with anyio.create_task_group() as group:
        group.start_soon(read, "first", 50_000)
        group.start_soon(read, "second", 50_000)
        await anyio.wait_all_tasks_blocked()
        limiter.set_bandwidth(Limit(rate=1e6))
        await anyio.wait_all_tasks_blocked()
        clock.advance(0.0501)
        await anyio.wait_all_tasks_blocked()
        assert done == ["first"]
        clock.advance(0.0501)
        await anyio.wait_all_tasks_blocked()
    assert done == ["first", "second"]
    assert clock.slept == [pytest.approx(seconds) for seconds in (50, 100, 0.05, 0.1)]


async def test_a_limit_that_is_lifted_lets_everybody_go() -> None:
    clock = ManualClock(auto=False)
    limiter = Limiter(clock, Limit(rate=1e3))
    with anyio.fail_after(5):
        async with anyio.create_task_group() as group:
            group.start_soon(limiter.take, Reader(), MIB)
            await anyio.wait_all_tasks_blocked()
            limiter.set_bandwidth(Limit())
    assert limiter.rate is None


async def test_who_is_cancelled_while_waiting_leaves_nothing_behind() -> None:
    clock, reader = ManualClock(auto=False), Reader()
    limiter = Limiter(clock, Limit(rate=1e3))
    async with anyio.create_task_group() as group:
        group.start_soon(limiter.take, reader, MIB)
        await anyio.wait_all_tasks_blocked()
        group.cancel_scope.cancel()
    assert reader.listening
    limiter.set_bandwidth(Limit(rate=2e3))  # wakes nobody
    limiter.tick(clock.monotonic() + 0.5, 0.5, 0, readers=1, ramping=False, telling=True)
    assert not limiter.limited


async def test_a_tick_in_which_somebody_waited_for_most_of_the_time_is_limited() -> None:
    clock = ManualClock(auto=False)
    limiter = Limiter(clock, Limit(rate=1e6))

    def tick() -> bool:
        limiter.tick(clock.monotonic(), 0.5, 1, readers=1, ramping=False, telling=True)
        return limiter.limited

    async with anyio.create_task_group() as group:
        group.start_soon(limiter.take, Reader(), 600_000)
        await anyio.wait_all_tasks_blocked()
        clock.advance(0.5)
        assert tick()
        clock.advance(0.1)
        await anyio.wait_all_tasks_blocked()
        clock.advance(0.4)
        assert not tick()


def test_reads_are_small_while_there_is_a_limit_and_only_changes_are_told() -> None:
    told: list[tuple[int | None, int | None]] = []
    limiter = Limiter(ManualClock(), on_reads=lambda read, ahead: told.append((read, ahead)))
    for readers in (4, 4, 8):
        limiter.tick(1000.5, 0.5, 1, readers=readers, ramping=False, telling=True)
    assert told == []
    limiter.set_bandwidth(Limit(rate=20e6))
    limiter.tick(1001.0, 0.5, 1, readers=16, ramping=False, telling=True)
    limiter.set_bandwidth(Limit())
    assert told == [
        (read_bytes(20e6, 8), window_bytes(20e6, 8)),
        (read_bytes(20e6, 16), window_bytes(20e6, 16)),
        (None, None),
    ]


def test_while_the_line_is_measured_reads_are_large_and_connections_stay_as_they_are() -> None:
    told: list[tuple[int | None, int | None]] = []
    limiter = Limiter(
        ManualClock(), Limit(percent=80), on_reads=lambda read, ahead: told.append((read, ahead))
    )
    ticks = Ticks(limiter)
    ticks.run(4)
    while limiter.rate is not None:
        ticks.run(0.5)
    ahead = window_bytes(0.8 * LINE, 8)
    assert told == [(read_bytes(0.8 * LINE, 8), ahead), (None, ahead)]


def test_a_timetable_is_followed_by_local_time() -> None:
    now = [0.0]
    table = Timetable(((480, Limit(rate=5e6)), (1140, Limit())))
    limiter = Limiter(ManualClock(), table, minute_of_day=lambda: now[0])
    seen = []
    for now[0] in (420.0, 479.9, 480.0, 1139.0, 1140.0):
        limiter.tick(1000.0, 0.5, 1, readers=8, ramping=False, telling=True)
        seen.append(limiter.rate)
    assert seen == [None, None, 5e6, 5e6, None]
    now[0] = 500.0
    limiter.look_up()  # before a request after a pause, in which nothing ticked
    assert limiter.rate == 5e6


def test_a_share_of_the_line_settles_and_does_not_decay() -> None:
    ticks = Ticks(Limiter(ManualClock(), Limit(percent=80), first_seconds=5.0))
    ticks.run(5.5)
    assert set(ticks.limits) == {None}
    ticks.run(300)
    stated = [limit for limit in ticks.limits if limit]
    assert stated == [pytest.approx(0.8 * LINE)] * len(stated)
    assert ticks.limits[-1] or ticks.limiter.uncapped


def test_the_tick_after_a_rest_began_is_the_first_that_is_uncapped() -> None:
    ticks = Ticks(Limiter(ManualClock(), Limit(percent=80)))
    ticks.run(4)
    while ticks.limiter.rate is not None:
        ticks.run(0.5)
    assert not ticks.limiter.uncapped
    ticks.run(0.5)
    assert ticks.limiter.uncapped


def test_small_files_are_not_taken_for_the_line() -> None:
    ticks = Ticks(Limiter(ManualClock(), Limit(percent=80)), line=1e6)
    ticks.run(60, telling=False)
    assert ticks.limiter.rate is None
    ticks.line = LINE
    ticks.run(4)
    assert ticks.limiter.rate == pytest.approx(0.8 * LINE)


def test_another_share_holds_at_once_and_needs_no_new_measurement() -> None:
    limiter = Limiter(ManualClock(), Limit(percent=80))
    Ticks(limiter).run(4)
    limiter.set_bandwidth(Limit(percent=50))
    assert limiter.rate == pytest.approx(0.5 * LINE)
    limiter.set_bandwidth(Limit(rate=3e6))
    assert limiter.rate == 3e6
    limiter.set_bandwidth(Limit(percent=50))
    assert limiter.rate is None  # the line is measured again


@given(st.floats(1, 100), st.floats(1e5, 1e9), st.integers(4, 200))
def test_a_share_is_never_of_what_was_limited(percent: float, line: float, seconds: int) -> None:
    ticks = Ticks(Limiter(ManualClock(), Limit(percent=percent)), line=line)
    ticks.run(seconds)
    stated = [limit for limit in ticks.limits if limit]
    assert min(stated) >= 0.99 * line * percent / 100 - 2

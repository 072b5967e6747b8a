from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise

import anyio
import pytest

from hfdl_async.core.control.opening import (
    FEW_CONNECTIONS,
    FIRST_LOOK_SECONDS,
    FULL_BYTES_PER_SECOND,
    GLANCE_SECONDS,
    Look,
)
from hfdl_async.core.controller import TICK_SECONDS, Decision, FixedController, Mode, Sample
from hfdl_async.core.ledger import CELL_BYTES
from hfdl_async.core.model import ByteRange
from hfdl_async.core.pieces import FIRST_PIECE_BYTES, PIECE_BYTES
from hfdl_async.engine.line import Cut, Flow, Line, Outlook
from hfdl_async.engine.permits import OPENING_SECONDS, RETIRE_SECONDS
from hfdl_async.testing.fakes import ManualClock

pytestmark = pytest.mark.anyio


@dataclass
class Recorder:
    """A controller that wants what it is told to want, and remembers what it saw."""

    target: int = 4
    start_rate: float | None = None
    mode: Mode = "FIXED"
    seen: list[Sample] = field(default_factory=list)

    def start(self) -> Decision:
        return Decision(self.target, None, "start", self.mode)

    def observe(self, sample: Sample) -> Decision:
        self.seen.append(sample)
        return Decision(self.target, self.start_rate, "told to", self.mode)


@dataclass
class Wired:
    controller: Recorder = field(default_factory=Recorder)
    clock: ManualClock = field(default_factory=lambda: ManualClock(auto=False))
    changes: list[Decision] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.line = Line(self.controller, self.clock)
        self.line.watch(lambda now: None, on_change=self.changes.append)


class FullMachine:
    """A line on a machine that a few connections fill, once the first look is over."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.laws: list[Recorder] = []
        self._used = 0.0
        self.line = Line(
            Recorder(8), self.clock, after_look=self._law, machine_seconds=lambda: self._used
        )

    def _law(self, look: Look) -> Recorder:
        self.laws.append(Recorder(1 if look.fills_the_machine else 4, mode="RAMP0"))
        return self.laws[-1]

    async def until_fewer_are_tried(self, flow: Flow) -> None:
        """Let *flow* fill the machine until there is a second law."""
        await self.clock.sleep(2 * FIRST_LOOK_SECONDS)
        for _ in range(10):
            self._used += 0.1
            self.line.received(flow, FULL_BYTES_PER_SECOND // 5, self.clock.monotonic())
            await self.clock.sleep(0.1)
            if len(self.laws) == 2:
                break


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


async def test_a_decision_resizes_the_permits_and_is_told_once() -> None:
    wired = Wired()
    wired.controller.target = 2
    wired.line.tick()
    wired.line.tick()
    assert wired.line.allowed == wired.line.permits.opened == 2
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
        assert wired.line.permits.held == 4
        wired.controller.target = 6
        wired.clock.advance(OPENING_SECONDS)
        wired.line.tick()
        await anyio.wait_all_tasks_blocked()
        assert inside == 6
        release.set()
    assert wired.line.permits.held == 0


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
    line = Line(FixedController(2), clock)
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


def flows(wired: Wired, count: int) -> list[Flow]:
    """Begin so many requests that are answered at once."""
    begun = [wired.line.begin(anyio.CancelScope(), silence_seconds=30) for _ in range(count)]
    for flow in begun:
        flow.listen(wired.clock.monotonic())
    return begun


def sampled(wired: Wired) -> Sample:
    """Tick after half a second and return what was measured."""
    wired.clock.advance(TICK_SECONDS)
    wired.line.tick()
    return wired.controller.seen[-1]


async def test_a_tick_is_starved_unless_the_allowed_connections_had_work() -> None:
    wired = Wired()
    begun = flows(wired, 3)
    assert sampled(wired).starved
    begun += flows(wired, 1)
    assert not sampled(wired).starved
    for flow in begun:
        wired.line.end(flow, failed=False)
    assert not sampled(wired).starved  # there were four when it began
    assert sampled(wired).starved


async def test_a_tick_is_not_starved_while_requests_are_paced() -> None:
    wired = Wired()
    flows(wired, 1)
    wired.controller.start_rate = 2.0
    assert sampled(wired).starved
    assert wired.line.permits.starts.rate == 2.0
    assert not sampled(wired).starved


async def test_a_tick_is_not_starved_while_a_server_said_to_wait() -> None:
    wired = Wired()
    first, *_ = flows(wired, 2)
    wired.line.end(first, failed=True, throttled=1.2)
    assert [sampled(wired).starved for _ in range(4)] == [False, False, False, True]


async def test_a_connection_that_was_replaced_invalidates_the_tick_and_is_no_failure() -> None:
    wired = Wired()
    begun = flows(wired, 4)
    begun[0].cut("no byte for 15 s")
    wired.line.end(begun[0], failed=True)
    flows(wired, 1)
    sample = sampled(wired)
    assert (sample.failed, sample.done, sample.starved) == (0, 0, True)
    wired.line.replaced()
    assert sampled(wired).starved
    assert not sampled(wired).starved


async def test_after_a_shrink_the_newest_requests_are_cut_once_they_had_two_seconds() -> None:
    wired = Wired()
    begun = flows(wired, 4)
    wired.controller.target = 2
    sampled(wired)
    wired.clock.advance(RETIRE_SECONDS - 0.1)
    wired.line.follow()
    assert [flow.cut_kind for flow in begun] == [None] * 4
    wired.clock.advance(0.1)
    wired.line.follow()
    assert [flow.cut_kind for flow in begun] == [None, None, Cut.SURPLUS, Cut.SURPLUS]
    for flow in begun[2:]:
        wired.line.end(flow, failed=True)
    sample = sampled(wired)
    assert (sample.failed, sample.done, sample.busy_high) == (0, 0, 4)
    assert not sample.starved


async def test_a_request_that_would_begin_anew_is_never_too_many() -> None:
    wired = Wired()
    begun = flows(wired, 2)
    begun[1].whole = True
    wired.controller.target = 1
    sampled(wired)
    wired.clock.advance(RETIRE_SECONDS)
    wired.line.follow()
    assert [flow.cut_kind for flow in begun] == [Cut.SURPLUS, None]


async def test_a_shrink_is_carried_out_between_two_ticks() -> None:
    wired = Wired(clock=ManualClock())
    async with anyio.create_task_group() as group:
        group.start_soon(wired.line.run)
        *_, last = flows(wired, 4)
        wired.controller.target = 3
        began = wired.clock.monotonic()
        while last.cut_kind is None:
            await anyio.lowlevel.checkpoint()
        seconds = wired.clock.monotonic() - began
        group.cancel_scope.cancel()
    assert seconds == pytest.approx(TICK_SECONDS + RETIRE_SECONDS, abs=2 * OPENING_SECONDS)


async def test_a_growth_is_carried_out_between_two_ticks() -> None:
    wired = Wired(clock=ManualClock())
    wired.controller.target = 40
    async with anyio.create_task_group() as group:
        group.start_soon(wired.line.run)
        flows(wired, 4)
        while not wired.changes:
            await anyio.lowlevel.checkpoint()
        began = wired.clock.monotonic()
        while wired.line.permits.opened < 40:
            assert wired.line.permits.opened <= wired.line.allowed == 40
            await anyio.lowlevel.checkpoint()
        seconds = wired.clock.monotonic() - began
        group.cancel_scope.cancel()
    assert seconds == pytest.approx(4 * OPENING_SECONDS)


async def test_a_disk_that_is_slow_blocks_the_tick() -> None:
    wired = Wired()
    flows(wired, 1)
    with wired.line.writing():
        assert not sampled(wired).blocked  # a hiccup, for all we know
        assert sampled(wired).blocked
    assert not sampled(wired).blocked


async def test_the_law_hears_what_is_still_to_come_from_all_downloads_of_the_line() -> None:
    wired = Wired()
    wired.line.watch(lambda now: None, outlook=lambda: Outlook(30, (100, 60.0)))
    gone = wired.line.watch(lambda now: None, outlook=lambda: Outlook(12, (99, 50.0)))
    sample = sampled(wired)
    assert (sample.planned, sample.quota_left, sample.quota_seconds) == (42, 99, 50.0)
    gone()
    sample = sampled(wired)
    assert (sample.planned, sample.quota_left, sample.quota_seconds) == (30, 100, 60.0)


async def test_the_silence_between_two_downloads_belongs_to_no_tick() -> None:
    clock = ManualClock()
    recorder = Recorder()
    line = Line(recorder, clock)
    async with anyio.create_task_group() as group:
        group.start_soon(line.run)
        for _ in range(2):
            line.end(line.begin(anyio.CancelScope(), silence_seconds=30), failed=False)
            await clock.sleep(20.0)
        group.cancel_scope.cancel()
    assert [sample.dt for sample in recorder.seen] == pytest.approx([TICK_SECONDS] * 2)


async def test_the_first_ramp_ticks_faster_where_answers_come_at_once() -> None:
    clock = ManualClock()
    recorder = Recorder(mode="RAMP0")
    line = Line(recorder, clock)
    async with anyio.create_task_group() as group:
        group.start_soon(line.run)
        flow = line.begin(anyio.CancelScope(), silence_seconds=30)
        await clock.sleep(0.02)
        flow.listen(clock.monotonic())
        while len(recorder.seen) < 3:
            await anyio.lowlevel.checkpoint()
        recorder.mode = "HOLD"
        while len(recorder.seen) < 7:
            await anyio.lowlevel.checkpoint()
        recorder.mode = "RAMP0"  # a later one
        while len(recorder.seen) < 9:
            await anyio.lowlevel.checkpoint()
        group.cancel_scope.cancel()
    lengths = [sample.dt for sample in recorder.seen[1:]]
    assert lengths == pytest.approx([0.16, 0.16, 0.16] + [TICK_SECONDS] * 5)


async def test_the_first_ramp_takes_its_time_where_answers_do() -> None:
    clock = ManualClock()
    recorder = Recorder(mode="RAMP0")
    line = Line(recorder, clock)
    async with anyio.create_task_group() as group:
        group.start_soon(line.run)
        flow = line.begin(anyio.CancelScope(), silence_seconds=30)
        await clock.sleep(0.1)
        flow.listen(clock.monotonic())
        while len(recorder.seen) < 3:
            await anyio.lowlevel.checkpoint()
        group.cancel_scope.cancel()
    assert [sample.dt for sample in recorder.seen] == pytest.approx([TICK_SECONDS] * 3)


async def test_a_download_begins_with_a_few_connections_and_goes_on_as_they_speak_for() -> None:
    clock = ManualClock(auto=False)
    looks: list[Look] = []

    def after(look: Look) -> Recorder:
        looks.append(look)
        return Recorder(7)

    line = Line(Recorder(8), clock, after_look=after)
    ticks: list[float] = []
    line.watch(ticks.append, outlook=lambda: Outlook(30, None, 25))
    line.watch(lambda now: None, outlook=lambda: Outlook(70, (10, 5.0), 5))
    async with anyio.create_task_group() as group:
        group.start_soon(line.run)
        answered, waits = (line.begin(anyio.CancelScope(), silence_seconds=30) for _ in range(2))
        await anyio.wait_all_tasks_blocked()
        assert line.allowed == line.permits.opened == FEW_CONNECTIONS
        assert len(ticks) == 1
        clock.advance(FIRST_LOOK_SECONDS / 2)
        answered.listen(clock.monotonic())
        line.received(answered, 1000, clock.monotonic())
        line.end(answered, failed=False)
        assert waits.answer_seconds is None
        clock.advance(FIRST_LOOK_SECONDS / 2)
        await anyio.wait_all_tasks_blocked()
        assert line.allowed == line.permits.opened == 7
        assert len(ticks) == 2  # each time so that workers come
        group.cancel_scope.cancel()
    [look] = looks
    assert look.bytes_per_second == pytest.approx(1000 / FIRST_LOOK_SECONDS)
    assert look.answer_seconds == pytest.approx([FIRST_LOOK_SECONDS / 2, FIRST_LOOK_SECONDS])
    assert look.small_ahead == 30
    assert look.requests_a_second == pytest.approx(0.9 * 10 / 5.0)


@pytest.mark.parametrize(("share", "begun"), [(0.9, 1), (0.3, FEW_CONNECTIONS)])
async def test_one_connection_that_fills_the_machine_is_looked_at_alone(
    share: float, begun: int
) -> None:
    clock = ManualClock(auto=False)
    used = 0.0
    looks: list[Look] = []

    def after(look: Look) -> Recorder:
        looks.append(look)
        return Recorder(1)

    line = Line(Recorder(8), clock, after_look=after, machine_seconds=lambda: used)
    told: list[Decision] = []
    line.watch(lambda now: None, on_change=told.append)
    async with anyio.create_task_group() as group:
        group.start_soon(line.run)
        flow = line.begin(anyio.CancelScope(), silence_seconds=30)
        await anyio.wait_all_tasks_blocked()
        assert line.allowed == line.permits.opened == 1
        for _ in range(2):
            flow.listen(clock.monotonic())
            line.received(flow, int(FULL_BYTES_PER_SECOND * GLANCE_SECONDS), clock.monotonic())
            used += share * GLANCE_SECONDS
            clock.advance(GLANCE_SECONDS)
            await anyio.wait_all_tasks_blocked()
        assert len(looks) == len(told) == (begun == 1)  # also where it is what there was
        assert line.permits.opened == begun
        group.cancel_scope.cancel()


async def test_where_nothing_comes_in_a_first_moment_the_others_are_not_kept_waiting() -> None:
    clock = ManualClock(auto=False)
    recorder = Recorder(8)
    line = Line(recorder, clock, after_look=lambda look: recorder)
    async with anyio.create_task_group() as group:
        group.start_soon(line.run)
        line.begin(anyio.CancelScope(), silence_seconds=30)
        await anyio.wait_all_tasks_blocked()
        assert line.permits.opened == 1
        clock.advance(GLANCE_SECONDS)
        await anyio.wait_all_tasks_blocked()
        assert line.permits.opened == FEW_CONNECTIONS
        group.cancel_scope.cancel()


@pytest.mark.parametrize(
    ("share", "flows", "begun"), [(0.9, 7, [7, 1]), (0.3, 7, [7]), (0.9, 40, [7]), (0.9, 1, [7])]
)
async def test_processors_that_a_few_connections_fill_later_begin_the_law_anew_once(
    share: float, flows: int, begun: list[int]
) -> None:
    clock = ManualClock()
    used = 0.0
    laws: list[int] = []

    def after(look: Look) -> Recorder:
        laws.append(1 if look.fills_the_machine else 7)
        return Recorder(laws[-1], mode="RAMP0")

    first = Recorder(8, mode="RAMP0")
    line = Line(first, clock, after_look=after, machine_seconds=lambda: used)
    async with anyio.create_task_group() as group:
        group.start_soon(line.run)
        flow, *_ = [line.begin(anyio.CancelScope(), silence_seconds=30) for _ in range(flows)]
        await clock.sleep(FIRST_LOOK_SECONDS + 0.01)
        for _ in range(40):
            used += 0.1 * share
            flow.listen(clock.monotonic())
            line.received(flow, FULL_BYTES_PER_SECOND // 8, clock.monotonic())
            await clock.sleep(0.1)
        group.cancel_scope.cancel()
    assert laws == begun
    assert line.allowed == begun[-1]


async def test_less_is_asked_for_at_once_where_answers_are_quick_and_each_connection_is_slow() -> (
    None
):
    wired = Wired()
    line, clock = wired.line, wired.clock
    assert line.piece_bytes == FIRST_PIECE_BYTES
    flows = [line.begin(anyio.CancelScope(), silence_seconds=30) for _ in range(3)]
    clock.advance(0.002)
    for flow in flows:
        flow.listen(clock.monotonic())
        line.received(flow, CELL_BYTES // 4, clock.monotonic())
    flows[0].span = ByteRange(0, 1000)  # over as soon as it is answered: it says nothing
    line.received(flows[0], 20 * CELL_BYTES, clock.monotonic())
    assert line.piece_bytes == FIRST_PIECE_BYTES  # nothing is known so soon
    clock.advance(0.5)
    assert line.piece_bytes == CELL_BYTES  # half a cell a second, each
    line.permits.starts.rate = 2.0
    assert line.piece_bytes == PIECE_BYTES  # each request is one of few
    line.permits.starts.rate = None
    for flow in flows:
        line.received(flow, 20 * CELL_BYTES, clock.monotonic())
    clock.advance(0.1)
    assert line.piece_bytes == PIECE_BYTES
    for flow in flows:
        line.end(flow, failed=False)
    assert line.piece_bytes == PIECE_BYTES  # alone between two requests


@pytest.mark.parametrize(
    ("size", "failed", "cut", "expected"),
    [
        (1000, False, False, FIRST_PIECE_BYTES),
        (CELL_BYTES, True, False, FIRST_PIECE_BYTES),
        (CELL_BYTES, False, True, FIRST_PIECE_BYTES),
        (CELL_BYTES, False, False, PIECE_BYTES),
    ],
)
async def test_only_a_piece_that_has_come_ends_the_first_round(
    size: int, failed: bool, cut: bool, expected: int
) -> None:
    line = Wired().line
    flow = line.begin(anyio.CancelScope(), silence_seconds=30)
    flow.span = ByteRange(0, size)
    if cut:
        flow.cut("too many", Cut.SURPLUS)
    line.end(flow, failed=failed)
    assert line.piece_bytes == expected


async def test_what_is_over_as_soon_as_it_is_answered_is_not_cut() -> None:
    wired = Wired(Recorder(target=3))
    line, clock = wired.line, wired.clock
    line.tick()
    flows = [line.begin(anyio.CancelScope(), silence_seconds=30) for _ in range(2)]
    wired.controller.target = 1
    line.tick()
    clock.advance(RETIRE_SECONDS)
    flows += [line.begin(anyio.CancelScope(), silence_seconds=30) for _ in range(2)]
    flows[2].span, flows[3].span = ByteRange(0, 1000), ByteRange(0, 10**9)
    line.follow()
    assert [flow.cut_kind for flow in flows] == [None, Cut.SURPLUS, None, Cut.SURPLUS]
    clock.advance(RETIRE_SECONDS)
    line.follow()  # it is not
    assert flows[2].cut_kind is Cut.SURPLUS


async def test_a_law_is_told_of_no_tick_in_which_there_were_more_connections_than_it_wants() -> (
    None
):
    full = FullMachine()
    line, clock, laws = full.line, full.clock, full.laws
    async with anyio.create_task_group() as group:
        group.start_soon(line.run)
        flows = [line.begin(anyio.CancelScope(), silence_seconds=30) for _ in range(4)]
        await full.until_fewer_are_tried(flows[0])
        began = clock.monotonic()
        assert [flow.cut_kind for flow in flows] == [None, *[Cut.SURPLUS] * 3]
        for flow in flows[1:]:
            line.end(flow, failed=False)
        for _ in range(20):
            line.received(flows[0], FULL_BYTES_PER_SECOND // 5, clock.monotonic())
            await clock.sleep(0.1)
        group.cancel_scope.cancel()
    first = laws[1].seen[0]
    assert first.t - first.dt >= began - 0.1 - 1e-6
    assert first.busy <= 2.0


async def test_what_a_server_complains_of_during_the_first_look_is_told_to_the_law() -> None:
    clock = ManualClock()
    recorder = Recorder(8, mode="RAMP0")
    line = Line(Recorder(8), clock, after_look=lambda look: recorder)
    async with anyio.create_task_group() as group:
        group.start_soon(line.run)
        refused, flow = (line.begin(anyio.CancelScope(), silence_seconds=30) for _ in range(2))
        line.received(flow, 1000, clock.monotonic())
        await clock.sleep(0.01)
        line.end(refused, failed=True, throttled=3.0)
        await clock.sleep(1.0)
        group.cancel_scope.cancel()
    first = recorder.seen[0]
    assert (first.throttled, first.retry_after, first.bytes) == (1, 3.0, 0)


async def test_a_complaint_during_a_trial_is_answered_by_the_usual_law() -> None:
    full = FullMachine()
    line, clock, laws = full.line, full.clock, full.laws
    async with anyio.create_task_group() as group:
        group.start_soon(line.run)
        flow, other, *_ = [line.begin(anyio.CancelScope(), silence_seconds=30) for _ in range(4)]
        await full.until_fewer_are_tried(flow)
        laws[1].mode = "HOLD"  # whatever it has come to
        await clock.sleep(2 * TICK_SECONDS)  # the other one has not gone yet: these say nothing
        assert len(laws) == 2
        line.end(other, failed=True, throttled=1.0)
        await clock.sleep(2 * TICK_SECONDS)
        assert line.allowed == 4
        group.cancel_scope.cancel()
    complaint = laws[2].seen[0]
    assert (complaint.throttled, complaint.flowing, complaint.busy_high) == (1, 4, 4)
    assert not any(sample.throttled for sample in laws[1].seen)


async def test_where_answers_are_what_is_waited_for_the_first_ramp_ticks_twice_as_long() -> None:
    clock = ManualClock()
    recorder = Recorder(mode="RAMP0")
    line = Line(recorder, clock, after_look=lambda look: recorder)
    line.watch(lambda now: None, outlook=lambda: Outlook(small=1000))
    async with anyio.create_task_group() as group:
        group.start_soon(line.run)
        flow = line.begin(anyio.CancelScope(), silence_seconds=30)
        await clock.sleep(0.1)
        flow.listen(clock.monotonic())
        line.end(flow, failed=False)
        flow = line.begin(anyio.CancelScope(), silence_seconds=30)
        while len(recorder.seen) < 3:
            await anyio.lowlevel.checkpoint()
        group.cancel_scope.cancel()
    assert [sample.dt for sample in recorder.seen[1:]] == pytest.approx([0.2, 0.2])

from __future__ import annotations

from functools import partial

import anyio
import pytest

from hfdl_async.core.control.config import SMALL_REQUEST_BYTES
from hfdl_async.core.controller import FixedController
from hfdl_async.core.ledger import CELL_BYTES
from hfdl_async.core.model import MIB, ByteRange, PlannedFile
from hfdl_async.core.pieces import PIECE_BYTES
from hfdl_async.core.planning import in_order
from hfdl_async.engine.schedule import BIG_FILES_AT_ONCE, Opening, Piece, Schedule
from hfdl_async.testing.fakes import ManualClock, MemorySink, MemorySource, MemoryStore, remote_file
from tests.engine.rig import Rig, fetch

pytestmark = pytest.mark.anyio

BIG = bytes(range(256)) * 4


def scheduled(*items: PlannedFile, threshold_bytes: int = 100) -> Schedule:
    return Schedule(in_order(items), threshold_bytes=threshold_bytes)


async def opened(schedule: Schedule, work: Opening | Piece | None, sink: MemorySink) -> None:
    assert isinstance(work, Opening)
    await work.job.open(sink)
    schedule.opened(work.job)


def path(work: Opening | Piece | None) -> str:
    assert work is not None
    return work.job.file.path


async def test_small_files_come_first_smallest_first() -> None:
    schedule = scheduled(fetch("big", BIG), fetch("b", b"bb"), fetch("a", b"a"))
    assert [path(schedule.take()) for _ in range(3)] == ["a", "b", "big"]
    assert schedule.take() is None


async def test_it_counts_the_small_files_that_are_not_begun() -> None:
    items = [fetch("a", b"a"), fetch("b", b"bb"), fetch("large", bytes(SMALL_REQUEST_BYTES))]
    schedule = scheduled(*items, threshold_bytes=10**9)
    assert schedule.tiny_waiting == 2
    schedule.take()
    assert schedule.tiny_waiting == 1
    schedule.drop_waiting()
    assert schedule.tiny_waiting == 0


async def test_a_worker_goes_on_with_the_small_file_it_opened() -> None:
    schedule, sink = scheduled(fetch("a", b"a"), fetch("b", b"bb")), MemorySink()
    work = schedule.take()
    await opened(schedule, work, sink)
    assert work is not None
    piece = schedule.take(work.job)
    assert isinstance(piece, Piece)
    assert piece.span == ByteRange(0, 1)
    assert path(schedule.take(work.job)) == "b"


async def test_a_big_file_is_handed_out_front_to_back_before_the_next_one_is_opened() -> None:
    store = MemoryStore()
    store.keep(remote_file("x", BIG), BIG, [ByteRange(100, 200), ByteRange(300, 400)])
    schedule, sink = scheduled(fetch("x", BIG), fetch("y", BIG + b"y")), MemorySink(store)
    await opened(schedule, schedule.take(), sink)
    pieces = [schedule.take() for _ in range(3)]
    assert [piece.span.start for piece in pieces if isinstance(piece, Piece)] == [0, 200, 400]
    assert path(schedule.take()) == "y"


async def test_a_piece_of_a_big_file_is_handed_out_in_two_where_less_is_asked_for() -> None:
    items = [fetch("x", bytes(2 * PIECE_BYTES)), fetch("a", b"a" * 99)]
    schedule, sink = scheduled(*items), MemorySink()
    small = schedule.take()
    await opened(schedule, small, sink)
    await opened(schedule, schedule.take(), sink)
    assert small is not None
    whole = schedule.take(small.job, most_bytes=lambda: CELL_BYTES)
    assert isinstance(whole, Piece)
    assert whole.span == ByteRange(0, 99)
    spans = []
    for most_bytes in (CELL_BYTES, PIECE_BYTES, PIECE_BYTES):
        piece = schedule.take(most_bytes=partial(int, most_bytes))
        assert isinstance(piece, Piece)
        spans.append(piece.span)
    assert spans == [
        ByteRange(0, CELL_BYTES),
        ByteRange(CELL_BYTES, PIECE_BYTES),
        ByteRange(PIECE_BYTES, 2 * PIECE_BYTES),
    ]
    assert schedule.take() is None


async def test_what_comes_in_one_stream_is_never_cut() -> None:
    schedule, sink = scheduled(fetch("x", bytes(2 * PIECE_BYTES))), MemorySink()
    work = schedule.take()
    await opened(schedule, work, sink)
    assert work is not None
    work.job.whole = True
    await work.job.start_over()
    schedule.offer(work.job)
    piece = schedule.take(most_bytes=lambda: CELL_BYTES)
    assert isinstance(piece, Piece)
    assert piece.span == ByteRange(0, 2 * PIECE_BYTES)


@pytest.mark.parametrize(
    ("chunk_seconds", "then"),
    [(0.05, CELL_BYTES), (0.005, PIECE_BYTES)],
    ids=["slow connections", "fast connections"],
)
async def test_pieces_are_short_at_first_and_stay_so_where_connections_are_slow(
    chunk_seconds: float, then: int
) -> None:
    clock = ManualClock()
    source = MemorySource({}, chunk_bytes=MIB, clock=clock, chunk_seconds=chunk_seconds)
    rig = Rig(
        {"x": bytes(6 * PIECE_BYTES)},
        source=source,
        clock=clock,
        threshold_bytes=MIB,
        controller=FixedController(3),
    )
    await rig.run()
    assert rig.statuses() == {"x": "downloaded"}
    lengths = [len(span) for span in source.spans("x")]
    assert lengths[:4] == [CELL_BYTES] * 4  # of the fourth one the first half is taken already
    assert lengths[4:7] == [then] * 3


async def test_only_so_many_big_files_are_opened_at_once() -> None:
    items = [fetch(f"big{number}", BIG + bytes([number])) for number in range(4)]
    schedule, sink = scheduled(*items), MemorySink()
    first, second = schedule.take(connections=2), schedule.take(connections=2)
    assert isinstance(first, Opening)
    assert isinstance(second, Opening)
    assert schedule.take(connections=2) is None
    await opened(schedule, first, sink)
    assert path(schedule.take(connections=2)) == "big0"
    assert path(schedule.take(connections=2)) == "big2"


async def test_big_files_are_shared_evenly_and_each_worker_stays_with_its_own() -> None:
    items = [fetch(name, bytes([number]) * 4 * PIECE_BYTES) for number, name in enumerate("xyz")]
    schedule, sink = scheduled(*items), MemorySink()
    for work in [schedule.take(connections=3) for _ in range(3)]:
        await opened(schedule, work, sink)
    taken = [schedule.take(connections=4) for _ in range(4)]
    assert [path(piece) for piece in taken] == ["x", "y", "z", "x"]
    for piece in taken:
        assert isinstance(piece, Piece)
        schedule.done(piece)
        following = schedule.take(piece.job, connections=4)
        assert path(following) == path(piece) or piece is taken[3]
    assert max(job.workers for job in schedule.jobs()) <= 2


async def test_never_more_than_a_few_big_files_are_open() -> None:
    items = [fetch(f"big{number}", BIG + bytes([number])) for number in range(12)]
    schedule = scheduled(*items)
    opening = [schedule.take(connections=64) for _ in range(12)]
    assert sum(isinstance(work, Opening) for work in opening) == BIG_FILES_AT_ONCE


async def test_withdrawn_and_ended_jobs_hand_out_nothing() -> None:
    schedule, sink = scheduled(fetch("a", b"a"), fetch("b", b"bb")), MemorySink()
    work = schedule.take()
    await opened(schedule, work, sink)
    assert work is not None
    schedule.withdraw(work.job)
    assert path(schedule.take(work.job)) == "b"
    work.job.ended = True
    work.job.untaken.append(ByteRange(0, 1))
    schedule.offer(work.job)
    assert schedule.take(work.job) is None
    schedule.drop(work.job)
    assert [job.file.path for job in schedule.jobs()] == ["b"]


async def test_a_piece_goes_stale_when_its_job_starts_over_or_ends() -> None:
    schedule, sink = scheduled(fetch("a", b"a")), MemorySink()
    work = schedule.take()
    await opened(schedule, work, sink)
    piece = schedule.take()
    assert isinstance(piece, Piece)
    assert not piece.is_stale()
    await piece.job.start_over()
    assert piece.is_stale()


async def test_waiting_ends_with_new_work_or_with_the_end() -> None:
    schedule = scheduled()
    answers: list[bool] = []

    async def wait() -> None:
        answers.append(await schedule.wait())

    async with anyio.create_task_group() as group:
        group.start_soon(wait)
        await anyio.wait_all_tasks_blocked()
        schedule.add(fetch("a", b"a"))
        await anyio.wait_all_tasks_blocked()
        assert answers == [True]
        group.start_soon(wait)
        await anyio.wait_all_tasks_blocked()
        schedule.close()
    assert answers == [True, False]
    assert await schedule.wait() is False


async def test_idle_workers_help_with_a_lone_file_that_is_worth_cutting() -> None:
    content = (bytes(range(251)) * (5 * PIECE_BYTES // 251 + 1))[: 5 * PIECE_BYTES - 7]
    clock = ManualClock()
    source = MemorySource({}, chunk_bytes=2 * MIB, clock=clock, chunk_seconds=0.1)
    rig = Rig(
        {"lone": content},
        source=source,
        clock=clock,
        threshold_bytes=200 * MIB,
        controller=FixedController(4),
    )
    await rig.run()
    assert source.peak_requests == 4
    assert [span.start for span in source.spans("lone")] == [
        number * PIECE_BYTES for number in range(5)
    ]


async def test_there_is_no_barrier_between_small_and_big_files() -> None:
    clock = ManualClock()
    source = MemorySource({}, chunk_bytes=64, clock=clock, chunk_seconds=0.1)
    contents = {"slow": bytes(80), "small": bytes(1), "big": BIG}
    rig = Rig(contents, source=source, clock=clock, threshold_bytes=100)
    await rig.run()
    asked = [asked.path for asked in source.asked]
    assert asked == ["slow", "small", "big"]  # small ones by their paths
    assert source.peak_requests >= 2


async def begun(content: bytes) -> tuple[Schedule, Piece]:
    schedule, sink = scheduled(fetch("f", content)), MemorySink()
    work = schedule.take()
    await opened(schedule, work, sink)
    assert work is not None
    piece = schedule.take(work.job)
    assert isinstance(piece, Piece)
    return schedule, piece


async def test_a_split_piece_keeps_its_front_and_shares_its_turn() -> None:
    schedule, piece = await begun(bytes(90))
    rest = piece.split_at(60)
    assert (piece.span, rest.span) == (ByteRange(0, 60), ByteRange(60, 90))
    assert rest.turn is piece.turn
    schedule.give(rest)
    assert schedule.take() is rest
    assert schedule.take() is None


async def test_a_duplicate_shares_its_turn_and_both_are_raced() -> None:
    _, piece = await begun(bytes(90))
    twin = piece.twin_from(60)
    assert (piece.span, twin.span) == (ByteRange(0, 90), ByteRange(60, 90))
    assert (piece.raced, twin.raced, piece.duplicate, twin.duplicate) == (True, True, False, True)
    assert twin.turn is piece.turn


async def test_what_was_given_back_of_a_file_that_ended_is_not_taken() -> None:
    schedule, piece = await begun(bytes(90))
    schedule.give(piece.split_at(60))
    piece.job.ended = True
    assert schedule.take() is None


async def test_workers_are_idle_only_when_nothing_is_left_to_begin() -> None:
    schedule, _ = await begun(bytes(90))
    async with anyio.create_task_group() as group:
        for _ in range(2):
            group.start_soon(schedule.wait)
        await anyio.wait_all_tasks_blocked()
        assert schedule.idle_workers == 2
        schedule.add(fetch("g", b"g"))
        await anyio.wait_all_tasks_blocked()
        assert schedule.idle_workers == 0
        schedule.close()


async def test_who_waits_for_an_idle_worker_hears_of_it_at_once_and_not_while_more_may_come() -> (
    None
):
    schedule, sink = scheduled(fetch("x", BIG)), MemorySink()
    heard: list[int] = []

    async def listen() -> None:
        await schedule.wait_for_idle()
        heard.append(schedule.idle_workers)

    async with anyio.create_task_group() as group:
        group.start_soon(listen)
        work = schedule.take()
        group.start_soon(schedule.wait)
        await anyio.wait_all_tasks_blocked()
        assert heard == []  # the file is being opened, there will be pieces
        await opened(schedule, work, sink)
        while schedule.take() is not None:
            pass
        group.start_soon(schedule.wait)
        await anyio.wait_all_tasks_blocked()
        assert heard == [1]
        group.cancel_scope.cancel()

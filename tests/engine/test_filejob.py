from __future__ import annotations

import anyio
import pytest

from hfdl_async.core.controller import FixedController
from hfdl_async.core.model import MIB, ByteRange
from hfdl_async.engine.filejob import HASH_STRIDE_BYTES, FileJob
from hfdl_async.engine.line import Line
from hfdl_async.errors import IntegrityError, StorageError
from hfdl_async.testing.fakes import ManualClock, MemoryPart, MemorySink, MemoryStore, remote_file
from tests.engine.rig import fetch

pytestmark = pytest.mark.anyio

HELLO = b"hello world"


async def opened(content: bytes = HELLO, sink: MemorySink | None = None) -> FileJob:
    job = FileJob(fetch("f", content), small=True)
    await job.open(sink or MemorySink())
    return job


def only_part(sink: MemorySink) -> MemoryPart:
    [part] = sink.parts
    return part


async def write(job: FileJob, offset: int, data: bytes) -> None:
    await job.part.write(offset, [data])
    job.grew()


async def test_the_gap_of_a_piece_is_what_is_first_missing_in_it() -> None:
    job = await opened()
    await write(job, 3, b"lo")
    assert job.gap(ByteRange(0, 11)) == ByteRange(0, 3)
    assert job.gap(ByteRange(3, 11)) == ByteRange(5, 11)
    assert job.gap(ByteRange(3, 5)) is None
    assert job.gap(ByteRange(4, 8)) == ByteRange(5, 8)


async def test_the_follower_hashes_in_strides_behind_the_frontier() -> None:
    content = bytes(3 * HASH_STRIDE_BYTES + 5)
    job = await opened(content)
    wrong: list[str] = []
    async with anyio.create_task_group() as group:
        group.start_soon(job.verify, lambda message, forgotten: wrong.append(message))
        await write(job, 0, bytes(MIB))
        await anyio.wait_all_tasks_blocked()
        assert job.part.hashed_bytes == 0  # not worth a hop
        await write(job, MIB, bytes(HASH_STRIDE_BYTES))
        await anyio.wait_all_tasks_blocked()
        assert job.part.hashed_bytes >= HASH_STRIDE_BYTES
        hashed = job.part.hashed_bytes
        await write(job, 2 * HASH_STRIDE_BYTES, bytes(HASH_STRIDE_BYTES + 5))
        await anyio.wait_all_tasks_blocked()
        assert job.part.hashed_bytes == hashed  # there is a gap before those
        start = MIB + HASH_STRIDE_BYTES
        await write(job, start, content[start:])
    assert wrong == []
    assert job.part.digest() == job.file.digest


async def test_wrong_content_starts_one_second_round_and_no_third() -> None:
    job = await opened()
    wrong: list[str] = []
    epochs: list[int] = []

    async def fill() -> None:
        for _ in range(2):
            epochs.append(job.epoch)
            await write(job, 0, b"HELLO WORLD")
            await anyio.wait_all_tasks_blocked()

    with pytest.raises(IntegrityError, match="twice"):
        await together(job, wrong, fill)
    assert epochs == [0, 1]
    assert len(wrong) == 1
    assert job.fresh


async def together(job: FileJob, wrong: list[str], fill: object) -> None:
    errors: list[IntegrityError] = []

    async def verify() -> None:
        try:
            await job.verify(lambda message, forgotten: wrong.append(message))
        except IntegrityError as error:
            errors.append(error)

    async with anyio.create_task_group() as group:
        group.start_soon(verify)
        group.start_soon(fill)  # type: ignore[arg-type]
    raise errors[0]


async def test_putting_away_saves_what_was_written_and_lets_the_follower_go() -> None:
    sink = MemorySink()
    job = await opened(sink=sink)
    await write(job, 0, b"hello")
    async with anyio.create_task_group() as group:
        group.start_soon(job.verify, lambda message, forgotten: None)
        await anyio.wait_all_tasks_blocked()
        await job.put_away(keep=True)
    assert sink.store.kept(job.file).covered == 5
    assert only_part(sink).closed
    await job.put_away(keep=True)


async def test_a_part_is_not_closed_under_a_follower_that_reads() -> None:
    clock, sink = ManualClock(auto=False), MemorySink()
    job = await opened(sink=sink)
    step = sink.step

    async def slow(operation: str, path: str) -> None:
        await step(operation, path)
        if operation == "hash":
            await clock.sleep(1.0)

    sink.step = slow  # type: ignore[method-assign]
    await write(job, 0, HELLO)
    async with anyio.create_task_group() as group:
        group.start_soon(job.verify, lambda message, forgotten: None)
        await anyio.wait_all_tasks_blocked()
        group.start_soon(lambda: job.put_away(keep=True))
        await anyio.wait_all_tasks_blocked()
        assert not only_part(sink).closed
        clock.advance(1.0)
    assert only_part(sink).closed


async def test_putting_away_what_is_known_to_be_wrong_keeps_nothing() -> None:
    sink = MemorySink()
    job = await opened(sink=sink)
    await write(job, 0, b"hello")
    await job.save()
    await job.put_away(keep=False)
    assert sink.store.parts == {}


async def test_a_part_that_cannot_be_saved_is_closed_all_the_same() -> None:
    sink = MemorySink()
    job = await opened(sink=sink)
    await write(job, 0, b"hello")
    sink.trouble("checkpoint")
    with pytest.raises(StorageError):
        await job.put_away(keep=True)
    assert only_part(sink).closed


async def test_putting_away_that_was_cancelled_can_be_done_again() -> None:
    sink = MemorySink()
    job = await opened(sink=sink)
    await write(job, 0, b"hello")
    with anyio.CancelScope() as scope:
        scope.cancel()
        await job.put_away(keep=True)
    assert not only_part(sink).closed
    await job.put_away(keep=True)
    assert sink.store.kept(job.file).covered == 5


async def test_what_was_worthless_once_is_not_saved_the_second_time() -> None:
    sink = MemorySink()
    job = await opened(sink=sink)
    await write(job, 0, b"hello")
    job._flows.add(line().begin(anyio.CancelScope(), silence_seconds=1))
    with anyio.CancelScope() as scope:
        scope.cancel()
        await job.put_away(keep=False)
    job._flows.clear()
    await job.put_away(keep=True)
    assert sink.store.parts == {}


def line() -> Line:
    return Line(FixedController(1), ManualClock())


async def test_starting_over_waits_until_no_request_writes_any_more() -> None:
    store = MemoryStore()
    store.keep(remote_file("f", HELLO), HELLO, [ByteRange(0, 5)])
    job = await opened(sink=MemorySink(store))
    flow = line().begin(anyio.CancelScope(), silence_seconds=1)
    job.enter(flow)
    async with anyio.create_task_group() as group:

        async def start_over() -> None:
            assert await job.start_over(whole=True) == 5  # of an earlier run

        group.start_soon(start_over)
        await anyio.wait_all_tasks_blocked()
        assert flow.scope.cancel_called
        assert job.ledger.covered == 5
        job.leave(flow)
    assert job.ledger.covered == 0
    assert list(job.untaken) == [ByteRange(0, 11)]
    assert job.resumed.proven_bytes == 0
    assert (job.epoch, job.whole, job.fresh) == (1, True, False)


async def test_starting_over_after_the_end_does_nothing() -> None:
    job = await opened()
    await job.put_away(keep=True)
    assert await job.start_over(fresh=True) == 0
    assert not job.is_open


@pytest.mark.parametrize("keep", [True, False])
async def test_a_part_without_time_to_save_is_closed_as_it_is(keep: bool) -> None:
    sink = MemorySink()
    job = await opened(sink=sink)
    await write(job, 0, b"hello")
    await job.save()
    await write(job, 5, b" wo")
    with anyio.CancelScope() as scope:
        scope.cancel()
        await job.put_away(keep=keep)
    await job.close()
    await job.close()
    assert only_part(sink).closed
    assert sink.store.kept(job.file).covered == (5 if keep else 0)


async def test_a_view_says_how_far_a_file_is() -> None:
    job = await opened()
    await write(job, 0, b"hello")
    view = job.view()
    assert (view.path, view.size_bytes, view.done_bytes, view.verified_bytes) == ("f", 11, 5, 0)
    assert view.connections == 0

from __future__ import annotations

import anyio
import pytest

from hfdl_async.core.model import KIB, MIB
from hfdl_async.engine.checkpoint import CHECKPOINT_BYTES, CHECKPOINT_SECONDS, Checkpointer
from hfdl_async.engine.filejob import FileJob
from hfdl_async.errors import HfdlError, UnsafeError
from hfdl_async.testing.fakes import ManualClock, MemorySink, MemorySource
from tests.engine.rig import Rig, fetch

pytestmark = pytest.mark.anyio


class Beating:
    """A checkpointer over jobs that tests write into."""

    def __init__(self) -> None:
        self.clock = ManualClock(auto=False)
        self.sink = MemorySink()
        self.jobs: list[FileJob] = []
        self.failures: list[tuple[str, HfdlError]] = []
        self.checkpointer = Checkpointer(lambda: self.jobs, self.clock, self._failed)

    def _failed(self, job: FileJob, error: HfdlError) -> None:
        self.failures.append((job.file.path, error))

    async def add(self, path: str) -> FileJob:
        job = FileJob(fetch(path, bytes(100)), small=True)
        await job.open(self.sink)
        self.jobs.append(job)
        return job

    async def write(self, job: FileJob, *, counted: int = 1) -> None:
        await job.part.write(job.ledger.prefix, [b"x"])
        self.checkpointer.wrote(counted)
        await anyio.wait_all_tasks_blocked()

    def saved(self) -> int:
        return sum(line.startswith("checkpoint") for line in self.sink.log)


async def test_the_beat_is_one_second_after_the_first_write() -> None:
    beating = Beating()
    job = await beating.add("a")
    async with anyio.create_task_group() as group:
        group.start_soon(beating.checkpointer.run)
        await anyio.wait_all_tasks_blocked()
        assert beating.clock.slept == []
        await beating.write(job)
        await beating.write(job)
        beating.clock.advance(CHECKPOINT_SECONDS - 0.01)
        await anyio.wait_all_tasks_blocked()
        assert beating.saved() == 0
        beating.clock.advance(0.02)
        await anyio.wait_all_tasks_blocked()
        assert beating.saved() == 1
        beating.clock.advance(100.0)
        await anyio.wait_all_tasks_blocked()
        assert beating.saved() == 1
        assert job.unclaimed_bytes == 0
        group.cancel_scope.cancel()
    assert beating.clock.slept == [CHECKPOINT_SECONDS]


async def test_enough_bytes_make_the_beat_come_sooner() -> None:
    beating = Beating()
    job = await beating.add("a")
    async with anyio.create_task_group() as group:
        group.start_soon(beating.checkpointer.run)
        await beating.write(job, counted=CHECKPOINT_BYTES - 1)
        assert beating.saved() == 0
        await beating.write(job)
        assert beating.saved() == 1
        group.cancel_scope.cancel()


async def test_every_file_with_new_bytes_is_saved_and_a_sealed_one_is_not() -> None:
    beating = Beating()
    first, second, sealed, idle = [await beating.add(name) for name in "abcd"]
    async with anyio.create_task_group() as group:
        group.start_soon(beating.checkpointer.run)
        for job in (first, second, sealed):
            await beating.write(job)
        await sealed.seal()
        beating.clock.advance(CHECKPOINT_SECONDS)
        await anyio.wait_all_tasks_blocked()
        group.cancel_scope.cancel()
    assert sorted(line for line in beating.sink.log if "checkpoint" in line) == [
        "checkpoint a",
        "checkpoint b",
    ]
    assert idle.unclaimed_bytes == 0


async def test_a_failure_names_its_file_and_the_others_are_saved() -> None:
    beating = Beating()
    jobs = [await beating.add(name) for name in "ab"]
    beating.sink.trouble("checkpoint", "a", error=UnsafeError("a link is in the way"))
    async with anyio.create_task_group() as group:
        group.start_soon(beating.checkpointer.run)
        for job in jobs:
            await beating.write(job)
        beating.clock.advance(CHECKPOINT_SECONDS)
        await anyio.wait_all_tasks_blocked()
        group.cancel_scope.cancel()
    assert [path for path, _ in beating.failures] == ["a"]
    assert jobs[1].unclaimed_bytes == 0


async def test_a_download_never_has_much_more_than_the_limit_unclaimed() -> None:
    clock = ManualClock()
    content = bytes(80 * MIB)
    source = MemorySource({}, chunk_bytes=512 * KIB, clock=clock, chunk_seconds=0.0)
    rig = Rig({"f": content}, source=source, clock=clock, threshold_bytes=1)
    most = 0

    def look(_: object) -> None:
        nonlocal most
        most = max([most, *(part.unclaimed_bytes for part in rig.sink.parts)])

    step = rig.sink.step

    async def watched(operation: str, path: str) -> None:
        look(None)
        await step(operation, path)

    rig.sink.step = watched  # type: ignore[method-assign]
    await rig.run()
    assert CHECKPOINT_BYTES <= most <= CHECKPOINT_BYTES + 8 * MIB

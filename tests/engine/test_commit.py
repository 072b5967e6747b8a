from __future__ import annotations

import threading
from collections.abc import Sequence

import anyio
import pytest

from hfdl_async.core.model import Action, Digest, PlannedFile
from hfdl_async.engine.commit import GROUP_FILES, WAITING_BYTES, WAITING_FILES, Committer
from hfdl_async.engine.ports import Part
from hfdl_async.errors import HfdlError
from hfdl_async.testing.fakes import MemoryPart, MemorySink, remote_file
from tests.engine.rig import Rig

pytestmark = pytest.mark.anyio


async def complete(sink: MemorySink, path: str, content: bytes = b"", come: bytes = b"") -> Part:
    part = await sink.open(PlannedFile(remote_file(path, content), Action.FETCH))
    await part.prove()
    await part.write(0, [come])
    return part


async def fill(committer: Committer, parts: Sequence[Part], put: list[Part]) -> None:
    """Queue *parts* one after the other; *put* says how far that got."""
    for part in parts:
        await committer.put(part)
        put.append(part)


def nothing(*_: object) -> None:
    """Take no note."""


async def test_whoever_waits_shares_one_publish() -> None:
    sink = MemorySink()
    outcomes: list[str] = []

    def note(part: Part, error: HfdlError | None) -> None:
        assert error is None
        outcomes.append(part.file.path)

    committer = Committer(sink, nothing, note)
    names = [f"f{number:03}" for number in range(100)]
    for name in names:
        await committer.put(await complete(sink, name))
    async with anyio.create_task_group() as group:
        group.start_soon(committer.prove)
        group.start_soon(committer.publish)
        await anyio.wait_all_tasks_blocked()
        group.cancel_scope.cancel()
    assert outcomes == names
    assert [line for line in sink.log if line.startswith("publish")] == [
        "publish " + " ".join(names)
    ]


async def test_a_group_is_bounded_and_so_is_the_queue() -> None:
    sink = MemorySink()
    committer = Committer(sink, nothing, nothing)
    parts = [await complete(sink, f"f{number:03}") for number in range(WAITING_FILES + 50)]
    put: list[Part] = []

    async with anyio.create_task_group() as group:
        group.start_soon(fill, committer, parts, put)
        await anyio.wait_all_tasks_blocked()
        assert len(put) == WAITING_FILES
        group.start_soon(committer.prove)
        group.start_soon(committer.publish)
        await anyio.wait_all_tasks_blocked()
        group.cancel_scope.cancel()
    groups = [line.split()[1:] for line in sink.log if line.startswith("publish")]
    assert sum(map(len, groups)) == len(parts)
    assert max(map(len, groups)) <= GROUP_FILES


class Noting(MemoryPart):
    """Takes note of the threads in which it is hashed."""

    threads: list[int]

    def digest(self) -> Digest | None:
        self.threads.append(threading.get_ident())
        return super().digest()


async def test_what_was_not_hashed_yet_is_proven_off_the_loop_and_only_the_right_published() -> (
    None
):
    sink = MemorySink()
    proven: list[tuple[str, bool]] = []
    committer = Committer(sink, lambda part, right: proven.append((part.file.path, right)), nothing)
    threads: list[int] = []
    for path, come in (("a", b"good"), ("b", b"evil"), ("c", b"good")):
        part = Noting(sink, remote_file(path, b"good"), hashes_inline=True)
        part.threads = threads
        await part.write(0, [come])
        await committer.put(part)
    assert threads == []
    async with anyio.create_task_group() as group:
        group.start_soon(committer.prove)
        group.start_soon(committer.publish)
        while len(sink.files) < 2:
            await anyio.sleep(0.001)
        group.cancel_scope.cancel()
    assert proven == [("a", True), ("b", False), ("c", True)]
    assert sink.files == {"a": b"good", "c": b"good"}
    assert len(threads) == 3
    assert len(set(threads)) == 1  # one hop
    assert threading.get_ident() not in threads


async def test_wrong_parts_leave_the_queue() -> None:
    sink, put = MemorySink(), 0
    committer = Committer(sink, nothing, nothing)

    async def fill() -> None:
        nonlocal put
        for number in range(3 * WAITING_FILES):
            part = MemoryPart(sink, remote_file(f"f{number}", b"good"), hashes_inline=True)
            await part.write(0, [b"evil"])
            await committer.put(part)
            put += 1

    async with anyio.create_task_group() as group:
        group.start_soon(committer.prove)
        group.start_soon(committer.publish)
        await fill()
        group.cancel_scope.cancel()
    assert put == 3 * WAITING_FILES
    assert sink.files == {}


async def test_a_file_that_cannot_be_published_does_not_stop_its_group() -> None:
    rig = Rig({"a": b"a", "b": b"b", "c": b"c"})
    rig.sink.trouble("publish", "b")
    rig.may_lose = True
    await rig.run()
    assert rig.statuses() == {"a": "downloaded", "b": "failed", "c": "downloaded"}


async def test_what_waits_in_memory_is_bounded_in_bytes_too() -> None:
    sink = MemorySink(hashes_inline=True)
    committer = Committer(sink, nothing, nothing)
    content = bytes(WAITING_BYTES // 4)
    parts = [await complete(sink, f"f{number}", content, content) for number in range(6)]
    put: list[Part] = []

    async with anyio.create_task_group() as group:
        group.start_soon(fill, committer, parts, put)
        await anyio.wait_all_tasks_blocked()
        assert len(put) == 4
        group.start_soon(committer.prove)
        group.start_soon(committer.publish)
        with anyio.fail_after(5):
            while len(put) < len(parts):
                await anyio.sleep(0.001)  # hashing is in a thread
        group.cancel_scope.cancel()

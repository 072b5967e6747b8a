from __future__ import annotations

import errno
import threading
import time
from collections.abc import Iterator, Sequence
from itertools import count
from pathlib import Path
from typing import cast

import anyio
import pytest

from hfdl_async.core.model import RemoteFile
from hfdl_async.disk.calls import Buffer, Calls, Folder
from hfdl_async.disk.folder import open_for_writing
from hfdl_async.disk.home import Home
from hfdl_async.disk.memorypart import MemoryPart
from hfdl_async.disk.settled import Settled
from hfdl_async.disk.settling import OPEN_FILES, TASKS, AnyPart, Settler
from hfdl_async.errors import StorageError
from tests.disk.faults import FaultyCalls

pytestmark = pytest.mark.anyio


class SlowPart:
    """A part whose sync takes as long as it is told, by the clock of the machine."""

    def __init__(self, name: str, busy: list[int], *, fails: bool = False) -> None:
        self.file = RemoteFile(name, 1, None)
        self._busy = busy
        self._fails = fails

    def settle(self) -> Settled:
        self._busy[0] += 1
        self._busy[1] = max(self._busy[1], self._busy[0])
        try:
            if self._fails:
                raise StorageError(f"{self.file.path}: no")
            time.sleep(0.002)
            return cast("Settled", self)
        finally:
            self._busy[0] -= 1


def parts(count: int, busy: list[int]) -> list[AnyPart]:
    return [cast("AnyPart", SlowPart(str(index), busy)) for index in range(count)]


HERE = Folder("/nowhere")


async def test_slow_syncs_wait_side_by_side() -> None:
    settler, busy = Settler(Calls(), anyio.CapacityLimiter(8)), [0, 0]
    for _ in range(2):
        group = await settler.settle(parts(40, busy), HERE)
        assert len(group.settled) == 40
    assert busy[1] > 1


async def test_a_failed_part_is_a_value_and_stops_no_other() -> None:
    busy = [0, 0]
    bad = cast("AnyPart", SlowPart("bad", busy, fails=True))
    settler = Settler(Calls(), anyio.CapacityLimiter(8))
    group = await settler.settle([*parts(2, busy), bad], HERE)
    assert len(group.settled) == 2
    assert isinstance(group.failed["bad"], StorageError)


class Counting:
    """A limiter that counts the hops to a thread."""

    def __init__(self) -> None:
        self.hops = 0

    async def __aenter__(self) -> None:
        self.hops += 1

    async def __aexit__(self, *_: object) -> None: ...


class Disk(FaultyCalls):
    """Notes how many files are written but not synced."""

    def __init__(self) -> None:
        super().__init__()
        self.unsynced = self.most_unsynced = 0
        self._turn = threading.Lock()

    def sync_data(self, fd: int) -> None:
        with self._turn:
            self.unsynced -= 1
        super().sync_data(fd)

    def write_at(self, fd: int, pieces: Sequence[Buffer], offset: int) -> None:
        with self._turn:
            self.unsynced += 1
            self.most_unsynced = max(self.most_unsynced, self.unsynced)
        super().write_at(fd, pieces, offset)


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Folder]:
    calls = Calls()
    folders = open_for_writing(calls, Home.of_folder(tmp_path), lambda _: None)
    yield folders.parts
    folders.close(calls)


async def in_memory(count: int) -> list[AnyPart]:
    made: list[AnyPart] = []
    for number in range(count):
        part = MemoryPart(RemoteFile(f"f{number}", 5, None))
        await part.write(0, [b"hello"])
        made.append(part)
    return made


async def test_files_in_memory_are_on_disk_afterwards(folder: Folder) -> None:
    settler = Settler(Calls(), anyio.CapacityLimiter(8))
    group = await settler.settle(await in_memory(3), folder)
    assert [Path(folder.join(settled.name)).read_bytes() for settled in group.settled] == [
        b"hello"
    ] * 3


async def test_where_syncs_are_cheap_many_files_are_one_hop(folder: Folder) -> None:
    counting = Counting()
    limiter = cast("anyio.CapacityLimiter", counting)
    settler = Settler(Disk(), limiter, timer=lambda: 0.0)
    await settler.settle(await in_memory(OPEN_FILES), folder)  # learns how cheap
    counting.hops = 0
    await settler.settle(await in_memory(2 * OPEN_FILES), folder)
    assert counting.hops == 2


async def test_where_syncs_wait_many_are_written_before_the_first_one(folder: Folder) -> None:
    counting, disk = Counting(), Disk()
    limiter = cast("anyio.CapacityLimiter", counting)
    settler = Settler(disk, limiter, timer=count().__next__)  # a second for each look at it
    group = await settler.settle(await in_memory(3 * OPEN_FILES), folder)
    assert len(group.settled) == 3 * OPEN_FILES
    assert disk.most_unsynced == OPEN_FILES  # as many are open at once, and no more
    assert counting.hops == 3 * (1 + TASKS)


async def test_files_that_fail_on_the_way_stop_no_other(folder: Folder) -> None:
    calls = FaultyCalls(fail_at=2, only=("sync",), error=errno.EIO)
    settler = Settler(calls, anyio.CapacityLimiter(8))
    group = await settler.settle(await in_memory(4), folder)
    assert len(group.settled) == 3
    [(path, error)] = group.failed.items()
    assert path not in {settled.file.path for settled in group.settled}
    assert isinstance(error, StorageError)


async def test_where_few_files_may_be_open_the_shares_are_small(folder: Folder) -> None:
    disk = Disk()
    settler = Settler(disk, anyio.CapacityLimiter(8), open_files=3)
    group = await settler.settle(await in_memory(10), folder)
    assert len(group.settled) == 10
    assert disk.most_unsynced == 3

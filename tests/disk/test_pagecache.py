from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import pytest

from hfdl_async.core.ledger import CELL_BYTES
from hfdl_async.core.model import MIB, ByteRange
from hfdl_async.disk.calls import Calls
from hfdl_async.disk.localdir import LocalDir
from hfdl_async.disk.native import Features
from hfdl_async.disk.pagecache import PageCache
from hfdl_async.disk.partfile import PartFile
from tests.disk.faults import begin, pattern, planned, remote

pytestmark = pytest.mark.anyio
T = TypeVar("T")

DATA = pattern(3 * CELL_BYTES + MIB)
FILE = remote("x", DATA)


class Noted(Calls):
    """Notes what was dropped, and what was read, synced or named since."""

    def __init__(self, *, refuse: bool = False, features: Features | None = None) -> None:
        super().__init__(features)
        self.refuse = refuse
        self.made: list[str] = []
        self.dropped: list[ByteRange] = []

    def system(self, name: str, call: Callable[..., T], *arguments: object) -> T:
        self.made.append(name)
        if name == "advise":
            _, start, length, advice = arguments
            assert advice == os.POSIX_FADV_DONTNEED
            assert isinstance(start, int)
            assert isinstance(length, int)
            self.dropped.append(ByteRange(start, start + length))
            if self.refuse:
                raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        return super().system(name, call, *arguments)


async def opened(root: Path, calls: Calls, most_bytes: float) -> tuple[LocalDir, PartFile]:
    folder = LocalDir(root, calls=calls)
    folder._cached = PageCache(calls, most_bytes)
    await begin(folder, {"x": DATA})
    part = await folder.open(planned(FILE))
    assert isinstance(part, PartFile)
    return folder, part


async def write(part: PartFile, start: int, stop: int) -> None:
    await part.write(start, [DATA[start:stop]])


@pytest.mark.skipif(not hasattr(os, "posix_fadvise"), reason="there is no such call")
@pytest.mark.parametrize("refuse", [False, True])
async def test_beyond_its_share_a_run_gives_up_whole_cells_once_they_are_synced_and_hashed(
    tmp_path: Path, refuse: bool
) -> None:
    calls = Noted(refuse=refuse)
    folder, part = await opened(tmp_path, calls, CELL_BYTES)
    await write(part, 0, CELL_BYTES + MIB)
    await write(part, 2 * CELL_BYTES, 3 * CELL_BYTES)
    await part.checkpoint()
    assert calls.dropped == []  # the first cell is the share of the run
    await write(part, CELL_BYTES + MIB, 2 * CELL_BYTES)
    await part.checkpoint()
    assert calls.dropped == [ByteRange(CELL_BYTES, 2 * CELL_BYTES)]  # the third is not hashed yet
    assert calls.made.index("sync") < calls.made.index("advise")
    await write(part, 3 * CELL_BYTES, len(DATA))
    await part.hash_to(len(DATA))
    calls.made.clear()
    await folder.publish([part])
    assert calls.dropped[1:] == [ByteRange(2 * CELL_BYTES, len(DATA))]
    assert calls.made.index("sync") < calls.made.index("advise")
    assert "read" not in calls.made[calls.made.index("advise") :]
    assert (tmp_path / "x").read_bytes() == DATA
    await folder.close()


async def test_a_run_within_its_share_leaves_everything_in_the_cache(tmp_path: Path) -> None:
    calls = Noted()
    folder, part = await opened(tmp_path, calls, len(DATA))
    await write(part, 0, len(DATA))
    await part.checkpoint()
    await part.hash_to(len(DATA))
    await folder.publish([part])
    assert "advise" not in calls.made
    await folder.close()


def test_the_share_is_of_all_files_of_a_run_together() -> None:
    class Counting(Calls):
        dropped = 0

        def drop_cached(self, fd: int, start: int, length: int) -> None:
            self.dropped += length

    calls = Counting()
    cached = PageCache(calls, 250)
    for fd in range(5):
        cached.done_with(fd, 0, 100)
    assert calls.dropped == 300


def test_where_there_is_no_such_advice_nothing_is_called() -> None:
    calls = Noted(features=Features(advise=False))
    PageCache(calls, 0).done_with(0, 0, 100)
    assert calls.made == []


def test_without_being_told_the_share_is_a_part_of_the_memory() -> None:
    assert PageCache(Calls())._left > 100 * MIB

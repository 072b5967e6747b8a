from __future__ import annotations

from pathlib import Path
from typing import cast

import anyio
import pytest

from hfdl_async.core.model import RemoteFile
from hfdl_async.disk.calls import Calls
from hfdl_async.disk.folder import open_for_writing
from hfdl_async.disk.home import Home
from hfdl_async.disk.memorypart import MemoryPart
from hfdl_async.disk.settled import Settled
from hfdl_async.disk.settling import FILES_PER_HOP, AnyPart, Settler
from hfdl_async.errors import StorageError

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
            import time

            time.sleep(0.002)
            return cast("Settled", self)
        finally:
            self._busy[0] -= 1


def parts(count: int, busy: list[int]) -> list[AnyPart]:
    return [cast("AnyPart", SlowPart(str(index), busy)) for index in range(count)]


async def test_slow_syncs_wait_side_by_side() -> None:
    settler, busy = Settler(anyio.CapacityLimiter(8)), [0, 0]
    for _ in range(2):
        group = await settler.settle(parts(4 * FILES_PER_HOP, busy))
        assert len(group.settled) == 4 * FILES_PER_HOP
    assert busy[1] > 1


async def test_a_failed_part_is_a_value_and_stops_no_other() -> None:
    busy = [0, 0]
    bad = cast("AnyPart", SlowPart("bad", busy, fails=True))
    group = await Settler(anyio.CapacityLimiter(8)).settle([*parts(2, busy), bad])
    assert len(group.settled) == 2
    assert isinstance(group.failed["bad"], StorageError)


async def test_files_in_memory_are_on_disk_afterwards(tmp_path: Path) -> None:
    calls = Calls()
    folders = open_for_writing(calls, Home.of_folder(tmp_path), lambda _: None)
    part = MemoryPart(calls, folders.parts, RemoteFile("a", 5, None), "key")
    await part.write(0, [b"hello"])
    group = await Settler(anyio.CapacityLimiter(8)).settle([part])
    (settled,) = group.settled
    assert (tmp_path / ".download_state" / "parts" / settled.name).read_bytes() == b"hello"
    folders.close(calls)

from __future__ import annotations

import os
from pathlib import Path

import pytest

from hfdl_async.core.model import ByteRange, RemoteFile
from hfdl_async.core.names import STATE_FOLDER
from hfdl_async.disk.localdir import LocalDir
from hfdl_async.disk.memorypart import IN_MEMORY_BYTES, MemoryPart
from hfdl_async.engine.ports import Part
from hfdl_async.errors import StorageError
from tests.disk.faults import FaultyCalls, begin, pattern, planned, remote

pytestmark = pytest.mark.anyio


async def opened(folder: LocalDir, file: RemoteFile) -> MemoryPart:
    await begin(folder, {})
    part = await folder.open(planned(file))
    assert isinstance(part, MemoryPart)
    return part


async def test_a_small_file_touches_no_disk_until_it_is_published(tmp_path: Path) -> None:
    data = pattern(IN_MEMORY_BYTES)
    calls = FaultyCalls()
    folder = LocalDir(tmp_path, calls=calls)
    part: Part = await opened(folder, remote("x", data, git=True))
    calls.made.clear()
    await part.prove()
    await part.write(100_000, [data[100_000:]])
    assert list(part.ledger.missing()) == [ByteRange(0, 100_000)]
    await part.write(0, [data[:50_000], data[50_000:100_000]])
    await part.checkpoint()
    await part.hash_to(len(data))
    assert part.digest() == remote("x", data, git=True).digest
    assert part.unclaimed_bytes == 0
    assert calls.made == []
    await part.close()
    await folder.close()


async def test_a_file_of_no_bytes_is_complete_at_once(tmp_path: Path) -> None:
    folder = LocalDir(tmp_path)
    part = await opened(folder, remote("empty", b""))
    assert part.ledger.complete
    assert part.digest() == part.file.digest
    assert await folder.publish([part]) == {"empty": None}
    assert (tmp_path / "empty").read_bytes() == b""
    await folder.close()


async def test_a_failure_leaves_nothing_behind(tmp_path: Path) -> None:
    calls = FaultyCalls()
    folder = LocalDir(tmp_path, calls=calls)
    part = await opened(folder, remote("x", b"abc"))
    await part.write(0, [b"abc"])
    calls.only, calls.count, calls.fail_at = ("sync",), 0, 1
    with pytest.raises(StorageError):
        part.settle()
    assert os.listdir(tmp_path / STATE_FOLDER / "parts") == []
    await folder.close()


async def test_starts_over_and_refuses_what_does_not_fit(tmp_path: Path) -> None:
    folder = LocalDir(tmp_path)
    part = await opened(folder, remote("x", b"abc"))
    await part.write(0, [b"xyz"])
    await part.reset()
    assert part.ledger.covered == part.hashed_bytes == 0
    with pytest.raises(ValueError, match="outside"):
        await part.write(1, [b"abc"])
    await part.discard()
    await folder.close()

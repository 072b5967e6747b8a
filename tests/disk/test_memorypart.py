from __future__ import annotations

from pathlib import Path

import pytest

from hfdl_async.core.model import ByteRange, RemoteFile
from hfdl_async.disk.localdir import LocalDir
from hfdl_async.disk.memorypart import IN_MEMORY_BYTES, MemoryPart
from hfdl_async.engine.ports import Part
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


@pytest.mark.parametrize("cuts", [[0, 3, 9], [3, 0, 9], [9, 3, 0], [0, 9, 3]])
async def test_content_is_in_order_however_it_came(cuts: list[int], tmp_path: Path) -> None:
    data = pattern(12)
    part = await opened(LocalDir(tmp_path), remote("x", data))
    stops = {0: 3, 3: 9, 9: 12}
    for start in cuts:
        await part.write(start, [data[start : stops[start]]])
    assert b"".join(map(bytes, part.content())) == data
    assert part.digest() == part.file.digest


async def test_a_byte_that_came_twice_counts_as_it_came_last(tmp_path: Path) -> None:
    part = await opened(LocalDir(tmp_path), remote("x", b"abcdef"))
    await part.write(0, [b"abXX"])
    await part.write(2, [b"cdef"])
    assert b"".join(map(bytes, part.content())) == b"abcdef"
    assert part.digest() == part.file.digest


async def test_a_buffer_may_be_used_again_once_it_was_written() -> None:
    part = MemoryPart(remote("x", b"abcdef"))
    buffer = bytearray(b"abc")
    await part.write(0, [memoryview(buffer)])
    buffer[:] = b"def"
    await part.write(3, [buffer])
    buffer[:] = b"..."
    assert part.digest() == part.file.digest


async def test_bytes_that_cannot_change_are_not_copied() -> None:
    part = MemoryPart(remote("x", b"abcdef"))
    data = b"abcdef"
    await part.write(0, [data])
    assert part.content()[0] is data


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

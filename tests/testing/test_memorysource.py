from __future__ import annotations

import anyio
import pytest

from hfdl_async.core.model import ByteRange, Chunk, RemoteFile
from hfdl_async.engine.ports import Source
from hfdl_async.errors import (
    HfdlError,
    LostConnectionError,
    NotFoundError,
    RangeIgnoredError,
    ServerError,
)
from hfdl_async.testing.memorysource import Asked, MemorySource, broken, refused, short, stalled

pytestmark = pytest.mark.anyio

CONTENT = b"hello world"
FILE = RemoteFile("f", len(CONTENT), None)
ALL = ByteRange(0, len(CONTENT))


async def read(source: MemorySource, span: ByteRange = ALL, *, whole: bool = False) -> bytes:
    """Return what came before the error that is raised, if any."""
    data = b""
    async with source.open(FILE, span, whole=whole) as chunks:
        async for chunk in chunks:
            data += bytes(chunk.data)
            chunk.release()
    return data


def test_fits_what_the_engine_asks_of_a_source() -> None:
    source: Source = MemorySource({})
    assert not source.contacted


async def test_requests_go_as_the_script_says_and_then_well() -> None:
    source = MemorySource({"f": CONTENT})
    source.script("f", short(5), refused(ServerError("HTTP 500")), broken(3))
    assert await read(source) == b"hello"
    with pytest.raises(ServerError):
        await read(source)
    with pytest.raises(LostConnectionError):
        await read(source)
    assert await read(source) == CONTENT
    assert source.requests().data == 4


async def test_the_last_turn_of_a_script_can_last() -> None:
    source = MemorySource({"f": CONTENT})
    source.script("f", then=short(2))
    assert [await read(source) for _ in range(3)] == [b"he"] * 3


async def test_a_stall_lasts_until_somebody_gives_up() -> None:
    source = MemorySource({"f": CONTENT})
    source.script("f", stalled(4))
    with anyio.move_on_after(0.01) as scope:
        await read(source)
    assert scope.cancelled_caught
    assert source.open_requests == 0


async def test_every_request_is_noted_as_it_was_made() -> None:
    source = MemorySource({"f": CONTENT})
    await read(source, ByteRange(2, 5))
    async with source.open(FILE, ALL, whole=True, fresh=True):
        pass
    assert source.asked == [Asked("f", ByteRange(2, 5)), Asked("f", ALL, whole=True, fresh=True)]
    assert source.spans("f") == [ByteRange(2, 5), ALL]


async def test_wrong_bytes_come_as_often_as_asked_for() -> None:
    source = MemorySource({"f": CONTENT})
    source.spoil("f", 4, times=2)
    assert [await read(source) == CONTENT for _ in range(3)] == [False, False, True]
    source.spoil("f", 4)
    assert await read(source, ByteRange(5, 11)) == b" world"
    assert await read(source) != CONTENT


async def test_a_server_that_ignores_ranges_has_whole_files_only() -> None:
    source = MemorySource({"f": CONTENT})
    source.ignores_ranges = {"f"}
    with pytest.raises(RangeIgnoredError):
        await read(source)
    assert await read(source, whole=True) == CONTENT


async def test_chunks_can_come_last_first() -> None:
    source = MemorySource({"f": CONTENT}, chunk_bytes=4, backwards=True)
    offsets = []
    async with source.open(FILE, ByteRange(1, 11)) as chunks:
        async for chunk in chunks:
            offsets.append(chunk.offset)
            chunk.release()
    assert offsets == [9, 5, 1]


async def one_chunk(source: MemorySource) -> Chunk:
    async with source.open(FILE, ALL) as chunks:
        return await anext(chunks)


async def test_leases_are_counted_and_end_once() -> None:
    source = MemorySource({"f": CONTENT})
    chunk = await one_chunk(source)
    assert (source.leases, source.leased_bytes, source.peak_leased_bytes) == (1, 4, 4)
    chunk.release()
    assert (source.leases, source.leased_bytes, source.peak_leased_bytes) == (0, 0, 4)
    with pytest.raises(AssertionError, match="released twice"):
        chunk.release()


async def test_a_released_buffer_holds_something_else() -> None:
    chunk = await one_chunk(MemorySource({"f": CONTENT}))
    assert bytes(chunk.data) == b"hell"
    chunk.release()
    assert bytes(chunk.data) != b"hell"


@pytest.mark.parametrize(
    ("error", "contacted"),
    [(LostConnectionError("x"), False), (ServerError("x"), True), (NotFoundError("x"), True)],
)
async def test_first_contact_is_an_answer_of_any_kind(error: HfdlError, contacted: bool) -> None:
    source = MemorySource({"f": CONTENT})
    source.script("f", refused(error))
    with pytest.raises(type(error)):
        await read(source)
    assert source.contacted is contacted

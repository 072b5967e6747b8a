from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager

import pytest

from hfdl_async.core.model import ByteRange, Chunk, RemoteFile, RepoRef
from hfdl_async.engine.ports import Source
from hfdl_async.net.hub import Hub
from hfdl_async.net.source import HubSource
from hfdl_async.net.transport import Transport
from tests.net.wire import COMMIT, ManualClock, raw_server, reply

pytestmark = pytest.mark.anyio
BODY = bytes(range(256)) * 4000
FILE = RemoteFile("a", len(BODY), None)


@pytest.fixture(params=[False, True], ids=["sessions", "lane"])
async def source(request: pytest.FixtureRequest) -> AsyncIterator[HubSource]:
    rows = f"bytes 0-{len(BODY) - 1}/{len(BODY)}"
    said = reply(206, BODY, Content_Range=rows, X_Repo_Commit=COMMIT)
    transport = Transport(ManualClock(), lane=request.param)
    async with transport, raw_server(lambda _: said) as server:
        yield HubSource(Hub(transport, RepoRef("a/b", "model", "main", server.origin)), COMMIT)
        if transport._lane is not None:
            assert transport._lane.stock.out == 0, "a lease did not reach its buffer"


async def test_it_fits_the_port_of_the_engine(source: HubSource) -> None:
    port: Source = source  # mypy says whether it does
    opened: AbstractAsyncContextManager[AsyncIterator[Chunk]]
    opened = port.open(FILE, ByteRange(0, 1), whole=False, fresh=False)
    assert opened is not None


async def test_chunks_lie_one_behind_the_other_and_are_counted_until_released(
    source: HubSource,
) -> None:
    held: list[Chunk] = []
    async with source.open(FILE, ByteRange(0, len(BODY))) as chunks:
        async for chunk in chunks:
            held.append(chunk)
            assert source.leased == len(held)
    assert b"".join(bytes(chunk.data) for chunk in held) == BODY
    assert [chunk.offset for chunk in held[1:]] == [chunk.span.stop for chunk in held[:-1]]
    for chunk in held:
        chunk.release()
    assert source.leased == 0


async def test_a_stream_that_is_over_stays_over(source: HubSource) -> None:
    async with source.open(FILE, ByteRange(0, len(BODY))) as chunks:
        async for chunk in chunks:
            chunk.release()
        with pytest.raises(StopAsyncIteration):
            await chunks.__anext__()


async def test_an_error_inside_the_block_closes_the_stream(source: HubSource) -> None:
    async def fail() -> None:
        async with source.open(FILE, ByteRange(0, len(BODY))) as chunks:
            (await chunks.__anext__()).release()
            raise KeyError("disk")

    with pytest.raises(KeyError):
        await fail()
    assert source.leased == 0
    assert source._known["a"].openers == 0

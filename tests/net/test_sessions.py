from __future__ import annotations

import socket
import ssl
from collections.abc import AsyncIterator

import pytest

from hfdl_async.core.model import ByteRange
from hfdl_async.errors import LostConnectionError
from hfdl_async.net.addresses import Resolver
from hfdl_async.net.answer import Request
from hfdl_async.net.buffers import Reads
from hfdl_async.net.sessions import Sessions
from hfdl_async.net.urls import parse_url
from tests.net.wire import ManualClock, raw_server, reply

pytestmark = pytest.mark.anyio


@pytest.fixture
async def sessions() -> AsyncIterator[Sessions]:
    tls = ssl.create_default_context()
    resolver = Resolver(ManualClock())
    sessions = Sessions(resolver, tls=tls, user_agent="me/1", buffer_bytes=64 * 1024)
    yield sessions
    await sessions.close()


def to(origin: str, **more: object) -> Request:
    return Request(parse_url(origin + "/x"), "x", **more)  # type: ignore[arg-type]


async def test_it_understands_what_the_lane_does_not(sessions: Sessions) -> None:
    chunked = b"1\r\na\r\n2\r\nbc\r\n0\r\n\r\n"
    for said in (
        reply(200, chunked, Transfer_Encoding="chunked"),
        reply(200, b"abc", Content_Length=""),
        b"HTTP/1.0 200 OK\r\nConnection: close\r\n\r\nabc",
    ):
        async with raw_server(lambda _, said=said: said) as server:  # type: ignore[misc]
            assert await (await sessions.get(to(server.origin))).body(100) == b"abc"


async def test_chunks_are_as_short_as_they_are_wanted(sessions: Sessions) -> None:
    async with raw_server(lambda _: reply(200, b"abcdef")) as server:
        answer = await sessions.get(to(server.origin, span=ByteRange(0, 6)))
        assert [(await answer.chunk(4)).data, (await answer.chunk(4)).data] == [b"abcd", b"ef"]
        assert not (await answer.chunk(4)).data
        answer.close()
        assert server.seen[0].range == "bytes=0-5"


async def test_under_a_limit_chunks_are_short_and_the_next_request_finds_another_connection() -> (
    None
):
    reads = Reads(most_bytes=100_000, ahead_bytes=128 * 1024)
    resolver = Resolver(ManualClock())
    sessions = Sessions(resolver, tls=None, user_agent="me/1", buffer_bytes=65536, reads=reads)
    async with raw_server(lambda _: reply(200, bytes(3_000_000))) as server:
        answer = await sessions.get(to(server.origin))
        sizes = []
        while chunk := (await answer.chunk()).data:
            sizes.append(len(chunk))
        answer.close()
        assert sum(sizes) == 3_000_000
        assert max(sizes) <= 100_000
        reads.most_bytes = reads.ahead_bytes = None
        for _ in range(3):
            await (await sessions.get(to(server.origin))).body(3_000_000)
        assert [one.connection for one in server.seen] == [1, 1, 2, 2]  # a narrow one stays narrow
    await sessions.close()


async def test_a_connection_is_kept_unless_a_fresh_one_is_asked_for(sessions: Sessions) -> None:
    async with raw_server(lambda _: reply(200, b"ok")) as server:
        for fresh in (False, True, True, False):
            await (await sessions.get(to(server.origin, fresh=fresh))).body(10)
        assert [one.connection for one in server.seen] == [1, 2, 3, 1]


async def test_what_aiohttp_raises_is_translated(sessions: Sessions) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        with pytest.raises(LostConnectionError, match="cannot connect"):
            await sessions.get(to(f"http://127.0.0.1:{taken.getsockname()[1]}"))

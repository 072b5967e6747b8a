from __future__ import annotations

import aiohttp
import anyio
import pytest
from yarl import URL

from hfdl_async.serving import Answer, Call, GeneratedContent, HostedRepo, HubServer, Wire
from hfdl_async.serving.answer import ContentBody
from hfdl_async.serving.content import read_all

pytestmark = pytest.mark.anyio

CONTENT = GeneratedContent("s", 3_000_000)


class Always:
    """A hook that answers everything in one way."""

    active = True

    def __init__(self, answer: Answer) -> None:
        self.answer = answer

    def alter(self, call: Call, answer: Answer) -> Answer:
        return self.answer


def serving(body: bytes | ContentBody, wire: Wire | None = None, status: int = 200) -> HubServer:
    return HubServer([HostedRepo("o/n")], hook=Always(Answer(status, {}, body, wire)))


async def test_a_large_body_arrives_whole_and_the_connection_is_used_again(
    http: aiohttp.ClientSession,
) -> None:
    async with serving(ContentBody(CONTENT, 5, 2_999_999)) as server:
        for _ in range(2):
            async with http.get(server.endpoint) as response:
                assert await response.read() == read_all(CONTENT)[5:-1]
                assert response.headers["Content-Length"] == "2999994"
        assert len({entry.connection for entry in server.log}) == 1
        assert server.log.sent["other"] == 2 * 2_999_994


@pytest.mark.parametrize("body", [b"held", ContentBody(CONTENT, 0, 4)])
async def test_head_announces_the_body_and_sends_none(
    http: aiohttp.ClientSession, body: bytes | ContentBody
) -> None:
    async with serving(body) as server, http.head(server.endpoint) as response:
        assert response.headers["Content-Length"] == "4"
        assert await response.read() == b""
    assert server.log.entries[0].bytes_sent == 0


async def test_without_an_announced_length_it_is_chunked(http: aiohttp.ClientSession) -> None:
    async with serving(b"held", Wire(announce=None)) as server, http.get(server.endpoint) as answer:
        assert answer.headers["Transfer-Encoding"] == "chunked"
        assert "Content-Length" not in answer.headers
        assert await answer.read() == b"held"


@pytest.mark.parametrize("how", ["reset", "close"])
@pytest.mark.parametrize("after", [0, 1, 999_999])
async def test_a_body_that_is_cut_ends_at_that_byte(
    http: aiohttp.ClientSession, how: str, after: int
) -> None:
    wire = Wire(stop_after=after, stop_by=how)  # type: ignore[arg-type]
    async with serving(ContentBody(CONTENT, 0, CONTENT.size), wire) as server:
        got = bytearray()

        async def read(response: aiohttp.ClientResponse) -> None:
            async for piece in response.content.iter_any():
                got.extend(piece)

        async with http.get(URL(server.endpoint)) as response:
            with pytest.raises(aiohttp.ClientError):
                await read(response)
        assert got == read_all(CONTENT)[:after]
        assert server.log.entries[0].bytes_sent == after


async def test_it_can_end_before_the_status_line(http: aiohttp.ClientSession) -> None:
    async with serving(b"x", Wire(stop_after=-1)) as server:
        with pytest.raises(aiohttp.ServerDisconnectedError):
            await http.get(server.endpoint)


async def test_more_than_announced_really_goes_over_the_wire() -> None:
    async with serving(b"0123456789", Wire(announce=4)) as server:
        url = URL(server.endpoint)
        assert url.host is not None
        assert url.port is not None
        stream = await anyio.connect_tcp(url.host, url.port)
        async with stream:
            await stream.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            received = b""
            while b"9" not in received.partition(b"\r\n\r\n")[2]:
                received += await stream.receive()
    head, _, body = received.partition(b"\r\n\r\n")
    assert b"Content-Length: 4\r\n" in head + b"\r\n"
    assert body == b"0123456789"


async def test_a_rate_of_its_own_slows_one_answer(http: aiohttp.ClientSession) -> None:
    wire = Wire(rate_bytes_per_second=100_000)
    begin = anyio.current_time()
    async with serving(bytes(5_000), wire) as server, http.get(server.endpoint) as response:
        assert len(await response.read()) == 5_000
    assert anyio.current_time() - begin >= 0.05


async def test_a_not_modified_answer_has_no_body(http: aiohttp.ClientSession) -> None:
    async with serving(b"", status=304) as server, http.get(server.endpoint) as response:
        assert (response.status, await response.read()) == (304, b"")

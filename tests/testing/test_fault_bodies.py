from __future__ import annotations

import gzip

import aiohttp
import anyio
import pytest
from yarl import URL

from hfdl_async.serving import GeneratedContent, HostedRepo
from hfdl_async.serving.content import read_all
from hfdl_async.testing.faults import (
    Close,
    Encoded,
    Endless,
    Fault,
    FaultKind,
    FlipByte,
    IgnoreRange,
    Longer,
    NoLength,
    OkWithContentRange,
    Reset,
    ScriptedHub,
    ShiftedRange,
    Shorter,
    SlowHeaders,
    Stall,
    StartHub,
    Trickle,
    WrongRange,
)

pytestmark = pytest.mark.anyio
TICK_SECONDS = 0.002  # uvloop counts whole milliseconds

CONTENT = GeneratedContent("s", 100_000)
WHOLE = read_all(CONTENT)
ASKED = {"Range": "bytes=1000-1999"}


async def start(hub: StartHub, kind: FaultKind) -> tuple[ScriptedHub, URL]:
    repo = HostedRepo.from_files("o/n", {"w.bin": CONTENT})
    running = await hub(repo)
    running.faults.add(Fault("data", kind))
    assert repo.head is not None
    return running, URL(running.links.sign(repo, repo.head.files["w.bin"], 60), encoded=True)


async def read(response: aiohttp.ClientResponse, into: bytearray) -> None:
    async for piece in response.content.iter_any():
        into.extend(piece)


async def receive(url: URL) -> bytes:
    """Return what really comes over the wire for the range, until the server ends it."""
    assert url.host is not None
    assert url.port is not None
    request = f"GET {url.raw_path_qs} HTTP/1.1\r\nHost: x\r\nRange: bytes=1000-1999\r\n\r\n"
    received = bytearray()
    async with await anyio.connect_tcp(url.host, url.port) as stream:
        await stream.send(request.encode())
        with anyio.move_on_after(0.2):
            async for piece in stream:
                received.extend(piece)
    return bytes(received).partition(b"\r\n\r\n")[2]


@pytest.mark.parametrize("kind", [Reset(after=10), Close(after=10), Shorter(990, announced=False)])
async def test_a_cut_body_ends_at_its_byte(
    hub: StartHub, http: aiohttp.ClientSession, kind: FaultKind
) -> None:
    _, url = await start(hub, kind)
    got = bytearray()
    async with http.get(url, headers=ASKED) as response:
        assert response.headers["Content-Length"] == "1000"
        with pytest.raises(aiohttp.ClientError):
            await read(response, got)
    assert got == WHOLE[1000:1010]


@pytest.mark.parametrize("kind", [Reset(), Close()])
async def test_a_connection_ends_before_its_status_line(
    hub: StartHub, http: aiohttp.ClientSession, kind: FaultKind
) -> None:
    _, url = await start(hub, kind)
    with pytest.raises(aiohttp.ClientConnectionError):
        await http.get(url)


async def test_a_stalled_body_stays_open_until_the_client_leaves(
    hub: StartHub, http: aiohttp.ClientSession
) -> None:
    running, url = await start(hub, Stall(after=10))
    got = bytearray()
    async with http.get(url) as response:
        with anyio.move_on_after(0.1) as scope:
            await read(response, got)
        assert scope.cancelled_caught
        assert running.log.in_flight["data"] == 1
    assert got == WHOLE[:10]
    with anyio.fail_after(5):
        while running.log.in_flight["data"]:
            await anyio.sleep(0.001)


async def test_a_stalled_request_gets_no_status_line(
    hub: StartHub, http: aiohttp.ClientSession
) -> None:
    running, url = await start(hub, Stall())
    with anyio.move_on_after(0.1) as scope:
        await http.get(url)
    assert scope.cancelled_caught
    assert running.log.entries[0].bytes_sent == 0


async def test_a_trickle_comes_byte_by_byte(hub: StartHub, http: aiohttp.ClientSession) -> None:
    _, url = await start(hub, Trickle(50))
    async with http.get(url) as response:
        begin = anyio.current_time()
        assert await response.content.readexactly(3) == WHOLE[:3]
        assert anyio.current_time() - begin > 0.01 - TICK_SECONDS
    assert response.headers["Content-Length"] == "100000"


async def test_slow_headers_delay_everything(hub: StartHub, http: aiohttp.ClientSession) -> None:
    _, url = await start(hub, SlowHeaders(0.03))
    begin = anyio.current_time()
    async with http.get(url, headers=ASKED) as response:
        assert anyio.current_time() - begin > 0.03 - TICK_SECONDS
        assert await response.read() == WHOLE[1000:2000]


async def test_without_a_length_the_body_is_still_whole(
    hub: StartHub, http: aiohttp.ClientSession
) -> None:
    _, url = await start(hub, NoLength())
    async with http.get(url, headers=ASKED) as response:
        assert "Content-Length" not in response.headers
        assert await response.read() == WHOLE[1000:2000]


async def test_a_chunked_body_can_be_cut(hub: StartHub, http: aiohttp.ClientSession) -> None:
    _, url = await start(hub, NoLength(after=10))
    async with http.get(url, headers=ASKED) as response:
        with pytest.raises(aiohttp.ClientPayloadError):
            await response.read()


async def test_an_ignored_range_gives_everything(
    hub: StartHub, http: aiohttp.ClientSession
) -> None:
    _, url = await start(hub, IgnoreRange())
    async with http.get(url, headers=ASKED) as response:
        assert response.status == 200
        assert "Content-Range" not in response.headers
        assert await response.read() == WHOLE


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ("start", "bytes 1001-1999/100000"),
        ("stop", "bytes 1000-2000/100000"),
        ("total", "bytes 1000-1999/100001"),
        ("unit", "lines 1000-1999/100000"),
        ("malformed", "bytes 1999-1000"),
        ("missing", None),
    ],
)
async def test_a_wrong_range_is_claimed(
    hub: StartHub, http: aiohttp.ClientSession, wrong: str, said: str | None
) -> None:
    _, url = await start(hub, WrongRange(wrong))  # type: ignore[arg-type]
    async with http.get(url, headers=ASKED) as response:
        assert (response.status, response.headers.get("Content-Range")) == (206, said)
        assert await response.read() == WHOLE[1000:2000]


async def test_another_range_than_asked_is_sent_truthfully(
    hub: StartHub, http: aiohttp.ClientSession
) -> None:
    _, url = await start(hub, ShiftedRange(by=-10))
    async with http.get(url, headers=ASKED) as response:
        assert response.headers["Content-Range"] == "bytes 990-1999/100000"
        assert await response.read() == WHOLE[990:2000]


async def test_a_range_can_come_as_200(hub: StartHub, http: aiohttp.ClientSession) -> None:
    _, url = await start(hub, OkWithContentRange())
    async with http.get(url, headers=ASKED) as response:
        assert response.status == 200
        assert response.headers["Content-Range"] == "bytes 1000-1999/100000"
        assert await response.read() == WHOLE[1000:2000]


async def test_more_and_less_than_asked_can_be_announced(
    hub: StartHub, http: aiohttp.ClientSession
) -> None:
    for kind, body in (
        (Longer(5), WHOLE[1000:2000] + bytes(5)),
        (Shorter(5), WHOLE[1000:1995]),
    ):
        _, url = await start(hub, kind)
        async with http.get(url, headers=ASKED) as response:
            assert response.headers["Content-Length"] == str(len(body))
            assert await response.read() == body


async def test_more_than_announced_goes_over_the_wire(hub: StartHub) -> None:
    _, url = await start(hub, Longer(5, announced=False))
    assert await receive(url) == WHOLE[1000:2000] + bytes(5)


async def test_an_endless_body_does_not_end(hub: StartHub, http: aiohttp.ClientSession) -> None:
    _, url = await start(hub, Endless())
    async with http.get(url) as response:
        assert await response.content.readexactly(300_000) == WHOLE + bytes(200_000)


@pytest.mark.parametrize("offset", [1000, 1500, 1999])
async def test_one_byte_is_wrong(hub: StartHub, http: aiohttp.ClientSession, offset: int) -> None:
    _, url = await start(hub, FlipByte(offset))
    async with http.get(url, headers=ASKED) as response:
        body = await response.read()
    wrong = [place for place in range(1000) if body[place] != WHOLE[1000 + place]]
    assert wrong == [offset - 1000]


async def test_content_comes_encoded_though_nobody_asked(
    hub: StartHub, http: aiohttp.ClientSession
) -> None:
    _, url = await start(hub, Encoded())
    async with http.get(url, headers=ASKED) as response:
        assert response.headers["Content-Encoding"] == "gzip"
        assert gzip.decompress(await response.read()) == WHOLE[1000:2000]
    _, url = await start(hub, Encoded("identity"))
    async with http.get(url, headers=ASKED) as response:
        assert response.headers["Content-Encoding"] == "identity"
        assert await response.read() == WHOLE[1000:2000]

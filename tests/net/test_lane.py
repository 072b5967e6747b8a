from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import anyio
import pytest
from aiohttp.abc import ResolveResult

from hfdl_async.core.model import ByteRange
from hfdl_async.errors import LostConnectionError, UnsafeError
from hfdl_async.net.addresses import Resolver, guarded
from hfdl_async.net.answer import Answer, Request, Timeouts
from hfdl_async.net.lane import Lane
from hfdl_async.net.urls import parse_url
from tests.net.wire import TOKEN, ManualClock, Seen, raw_server, reply

pytestmark = pytest.mark.anyio
CERTIFICATES = Path(__file__).parent / "certificates"
BODY = bytes(range(256)) * 12_000
CHUNKED = reply(200, b"1\r\na\r\n0\r\n\r\n", Transfer_Encoding="chunked")


def names(**known: str) -> Resolver:
    """Return a resolver that knows these names only."""

    async def look_up(host: str, port: int, _: socket.AddressFamily) -> list[ResolveResult]:
        address = known[host.partition(".")[0]]
        return [ResolveResult(hostname=host, host=address, port=port, family=0, proto=0, flags=0)]

    return Resolver(ManualClock(), lookup=look_up)


@asynccontextmanager
async def lanes(
    *, resolver: Resolver | None = None, tls: ssl.SSLContext | None = None, connections: int = 8
) -> AsyncIterator[Lane]:
    async def trusted() -> ssl.SSLContext:
        return tls or ssl.create_default_context()

    resolver = resolver or Resolver(ManualClock())
    lane = Lane(resolver, tls=trusted, user_agent="me/1", connections=connections)
    try:
        yield lane
    finally:
        await lane.close()
        assert not lane._wires


Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def served(serve: Serve, *, tls: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    """Let *serve* talk to whoever connects, once they have sent a head; yields the origin."""
    tasks: set[asyncio.Task[None]] = set()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            await serve(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()
            with suppress(ConnectionError, ssl.SSLError):
                await writer.wait_closed()

    async with await asyncio.start_server(talk, "127.0.0.1", 0, ssl=tls) as server:
        port = server.sockets[0].getsockname()[1]
        yield f"{'https' if tls else 'http'}://127.0.0.1:{port}"
    if tasks:
        await asyncio.wait(tasks, timeout=5)


@pytest.fixture
async def lane() -> AsyncIterator[Lane]:
    async with lanes() as lane:
        yield lane


def to(origin: str, **more: object) -> Request:
    more = {"span": ByteRange(0, len(BODY)), **more}
    return Request(parse_url(origin + "/x"), "x", **more)  # type: ignore[arg-type]


async def read(answer: Answer | None) -> bytes:
    """Return the whole body; every lease goes back at once, as does the connection."""
    assert answer is not None
    return await answer.body(2 * len(BODY))


async def test_a_large_body_comes_as_it_was_sent(lane: Lane) -> None:
    async with raw_server(lambda _: reply(206, BODY, ETag='"e"')) as server:
        answer = await lane.get(to(server.origin))
        assert answer is not None
        assert (answer.status, answer.length) == (206, len(BODY))
        assert (answer.header("etag"), answer.headers("ETag")) == ('"e"', ['"e"'])
        assert (answer.header("nothing"), answer.headers("nothing")) == (None, [])
        assert await read(answer) == BODY
        assert not (await answer.chunk()).data
    assert lane.stock.out == 0


async def test_a_connection_is_used_again_and_the_one_used_last_first(lane: Lane) -> None:
    async with raw_server(lambda _: reply(200, BODY)) as server:
        answers = [await lane.get(to(server.origin)) for _ in range(3)]
        for answer in answers:
            await read(answer)
        for _ in range(2):
            await read(await lane.get(to(server.origin)))
        assert [one.connection for one in server.seen] == [1, 2, 3, 3, 3]


async def test_a_fresh_request_goes_over_a_connection_of_its_own(lane: Lane) -> None:
    async with raw_server(lambda _: reply(200, b"ok")) as server:
        for fresh in (False, True, True, False):
            assert await read(await lane.get(to(server.origin, fresh=fresh))) == b"ok"
        assert [one.connection for one in server.seen] == [1, 2, 3, 1]


async def test_a_kept_connection_that_ended_meanwhile_costs_nothing_but_a_new_one(
    lane: Lane,
) -> None:
    # The server closes when the second request is there: nobody could have known.
    def say(one: Seen) -> bytes:
        return b"" if len(server.seen) == 2 else reply(200, b"ok")

    async with raw_server(say) as server:
        for _ in range(2):
            assert await read(await lane.get(to(server.origin))) == b"ok"
        assert [one.connection for one in server.seen] == [1, 1, 2]


async def test_a_new_connection_that_ends_without_an_answer_is_lost(lane: Lane) -> None:
    async with raw_server(lambda _: b"") as server:
        with pytest.raises(LostConnectionError, match="without an answer"):
            await lane.get(to(server.origin))
        assert len(server.seen) == 1


async def test_a_kept_connection_that_breaks_within_an_answer_is_lost(lane: Lane) -> None:
    async def say(_: Seen) -> bytes:
        if len(server.seen) == 2:
            return b"HTTP/1.1 206 Partial\r\nConnection: close\r\n"
        return reply(200, b"ok")

    async with raw_server(say) as server:
        await read(await lane.get(to(server.origin)))
        with pytest.raises(LostConnectionError, match="without an answer"):
            await lane.get(to(server.origin))
        assert len(server.seen) == 2


async def test_an_idle_connection_is_closed_before_the_server_would(
    lane: Lane, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hfdl_async.net.lane.KEEP_SECONDS", 0.001)
    async with raw_server(lambda _: reply(200, b"ok")) as server:
        await read(await lane.get(to(server.origin)))
        with anyio.fail_after(5):
            while lane._wires:
                await anyio.sleep(0.001)
        await read(await lane.get(to(server.origin)))
        assert server.connections == 2


async def test_connections_to_one_server_carry_nothing_for_another(lane: Lane) -> None:
    async with (
        raw_server(lambda _: reply(200, b"a")) as one,
        raw_server(lambda _: reply(200, b"b")) as other,
    ):
        for server, body in ((one, b"a"), (other, b"b")) * 2:
            assert await read(await lane.get(to(server.origin))) == body
        assert (one.connections, other.connections) == (1, 1)


async def test_a_connection_with_bytes_behind_the_body_is_not_used_again(lane: Lane) -> None:
    async with raw_server(lambda _: reply(200, b"ok") + b"HTTP/1.1 200 forged") as server:
        for _ in range(2):
            assert await read(await lane.get(to(server.origin))) == b"ok"
        assert server.connections == 2


@pytest.mark.parametrize(
    "said",
    [
        CHUNKED,
        reply(206, b"x", Content_Encoding="gzip"),
        b"HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\nx",
        b"HTTP/1.1 200 OK\r\n\r\nabc",
        b"what?\r\n\r\n",
    ],
)
async def test_what_it_does_not_understand_is_remembered(lane: Lane, said: bytes) -> None:
    async with raw_server(lambda _: said) as server, raw_server(lambda _: CHUNKED) as other:
        request = to(server.origin)
        assert lane.serves(request)
        assert await lane.get(request) is None
        assert not lane.serves(request)
        assert lane.serves(to(other.origin))
        assert lane.serves(to(server.origin, span=None))  # a listing may come in another way


async def test_a_refusal_is_handed_out_and_its_connection_kept(lane: Lane) -> None:
    said = reply(403, b"b\r\n<Code>X</Co\r\n0\r\n\r\n", Transfer_Encoding="chunked")
    async with raw_server(lambda _: said) as server:
        for _ in range(2):
            answer = await lane.get(to(server.origin))
            assert answer is not None
            assert answer.status == 403
            assert (await answer.chunk(4)).data == b"<Cod"
            assert await read(answer) == b"e>X</Co"
        assert server.connections == 1
        assert lane.serves(to(server.origin))


async def test_a_refusal_that_does_not_end_is_a_refusal_still(lane: Lane) -> None:
    said = reply(503, b"busy", Content_Length="100")
    async with raw_server(lambda _: said) as server:
        answer = await lane.get(to(server.origin, timeouts=Timeouts(read_seconds=0.05)))
        assert answer is not None
        assert (answer.status, await read(answer)) == (503, b"busy")


@pytest.mark.parametrize("reset", [True, False])
async def test_a_body_that_ends_early_is_lost_after_what_came(lane: Lane, reset: bool) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(reply(206, b"abc", Content_Length="9"))
        await writer.drain()
        if reset:
            linger = b"\1\0\0\0\0\0\0\0"
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)

    async with served(serve) as origin:
        answer = await lane.get(to(origin))
        assert answer is not None
        got = b""

        async def read_on() -> None:
            nonlocal got
            while (lent := await answer.chunk()).data:
                got += lent.data
                lent.release()

        with pytest.raises(LostConnectionError, match="broke: " if reset else "before its last"):
            await read_on()
        assert b"abc".startswith(got)
        answer.close()
    assert lane.stock.out == 0


async def test_a_slow_body_is_not_a_silent_one(lane: Lane, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hfdl_async.net.lanewire.LULL_SECONDS", 0.002)
    sizes: list[int] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(reply(206, b"", Content_Length="30"))
        for _ in range(30):
            writer.write(b"x")
            await asyncio.sleep(0.005)

    async with served(serve) as origin:
        answer = await lane.get(to(origin, timeouts=Timeouts(silence_seconds=0.1)))
        assert answer is not None
        while (lent := await answer.chunk()).data:
            sizes.append(len(lent.data))
            lent.release()
        answer.close()
    assert sum(sizes) == 30
    assert len(sizes) > 5  # shown while it comes, long before the buffer is full


@pytest.mark.parametrize("encrypted", [False, True])
async def test_a_reader_that_stops_makes_the_peer_stop(encrypted: bool) -> None:
    total, sent = 256 << 20, 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        await reader.readuntil(b"\r\n\r\n")
        writer.write(reply(206, b"", Content_Length=str(total)))
        while sent < total:
            writer.write(bytes(1 << 20))
            await writer.drain()
            sent += 1 << 20

    async with (
        served(serve, tls=serving() if encrypted else None) as origin,
        lanes(tls=trusting(), connections=64) as lane,
    ):
        answer = await lane.get(to(origin))
        assert answer is not None
        lent = await answer.chunk()
        known = -1
        while known != sent:  # until the system's own buffers are full as well
            known = sent
            await anyio.sleep(0.05)
        assert lane.stock.out * lane.stock.size_bytes <= 5 << 20  # what runs ahead, and one
        assert sent < total / 2
        lent.release()
        answer.close()
        assert lane.stock.out == 0


@pytest.mark.parametrize("when", ["head", "body"])
async def test_a_cancelled_reader_frees_its_buffers_and_its_connection(
    lane: Lane, when: str
) -> None:
    said = {"head": b"HTTP/1.1 206", "body": reply(206, b"abc", Content_Length="9")}[when]
    async with raw_server(lambda _: said) as server:
        with anyio.move_on_after(0.03) as scope:
            answer = await lane.get(to(server.origin))
            assert answer is not None
            try:
                while (lent := await answer.chunk()).data:
                    lent.release()
            finally:
                answer.close()
        assert scope.cancelled_caught
        with anyio.fail_after(5):
            while lane._wires:
                await anyio.sleep(0.001)
        assert lane.stock.out == 0


@pytest.mark.parametrize("said", [b"", b"HTTP/1.1 206"])
async def test_silence_before_the_answer_is_noticed(lane: Lane, said: bytes) -> None:
    async def say(_: Seen) -> bytes:
        if not said:
            await anyio.sleep_forever()
        return said

    async with raw_server(say) as server:
        with pytest.raises(LostConnectionError, match="fell silent"):
            await lane.get(to(server.origin, timeouts=Timeouts(read_seconds=0.05)))


async def test_a_handshake_that_never_ends_is_given_up(lane: Lane) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with served(serve) as origin:
        request = to(origin.replace("http:", "https:"), timeouts=Timeouts(connect_seconds=0.05))
        with pytest.raises(LostConnectionError, match="in time"):
            await lane.get(request)


async def test_over_ipv6_the_address_is_in_brackets(lane: Lane) -> None:
    try:
        server = raw_server(lambda _: reply(200, b"ok"), host="::1")
        async with server as raw:
            port = raw.origin.rpartition(":")[2]
            assert await read(await lane.get(to(f"http://[::1]:{port}"))) == b"ok"
            assert raw.seen[0].headers["host"] == f"[::1]:{port}"
    except OSError:
        pytest.skip("no IPv6 here")


async def test_names_are_looked_up_by_our_own_resolver() -> None:
    async with (
        lanes(resolver=names(cdn="127.0.0.1")) as lane,
        raw_server(lambda _: reply(200, b"ok")) as server,
    ):
        port = server.origin.rpartition(":")[2]
        assert await read(await lane.get(to(f"http://cdn.test:{port}"))) == b"ok"
        assert server.seen[0].headers["host"] == f"cdn.test:{port}"


async def test_a_guarded_name_that_leads_inside_is_not_connected_to() -> None:
    async with (
        lanes(resolver=names(cdn="127.0.0.1")) as lane,
        raw_server(lambda _: reply(200, b"ok")) as server,
    ):
        port = server.origin.rpartition(":")[2]
        mark = guarded.set(True)
        try:
            with pytest.raises(UnsafeError, match="private"):
                await lane.get(to(f"http://cdn.test:{port}", token=TOKEN))
        finally:
            guarded.reset(mark)
        assert server.connections == 0


async def test_the_next_address_is_tried_when_the_first_is_dead() -> None:
    async def look_up(host: str, port: int, _: socket.AddressFamily) -> list[ResolveResult]:
        return [
            ResolveResult(hostname=host, host=address, port=port, family=0, proto=0, flags=0)
            for address in ("127.0.0.2", "127.0.0.1")
        ]

    resolver = Resolver(ManualClock(), lookup=look_up)
    async with lanes(resolver=resolver) as lane, raw_server(lambda _: reply(200, b"ok")) as server:
        port = server.origin.rpartition(":")[2]
        assert await read(await lane.get(to(f"http://cdn.test:{port}"))) == b"ok"


def trusting() -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(CERTIFICATES / "loopback.pem"))


def serving() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATES / "loopback.pem")
    return context


async def test_large_bodies_come_over_tls_and_the_connection_is_kept() -> None:
    async with (
        lanes(tls=trusting()) as lane,
        raw_server(lambda _: reply(206, BODY), tls=serving()) as server,
    ):
        for _ in range(3):
            assert await read(await lane.get(to(server.origin))) == BODY
        assert server.connections == 1
        assert lane.stock.out == 0


async def test_no_error_shows_a_secret(lane: Lane) -> None:
    secret = "signature-that-must-not-leak"
    said: list[Callable[[Seen], bytes]] = [lambda _: b"", lambda _: b"HTTP/1.1 2"]
    for say in said:
        async with raw_server(say) as server:
            url = parse_url(f"{server.origin}/x?sig={secret}")
            request = Request(
                url, "x", token=TOKEN, timeouts=Timeouts(read_seconds=0.05), span=ByteRange(0, 9)
            )
            with pytest.raises(LostConnectionError) as caught:
                await lane.get(request)
            error: BaseException | None = caught.value
            while error is not None:
                assert secret not in repr(error) + str(error)
                assert TOKEN not in repr(error) + str(error)
                error = error.__cause__

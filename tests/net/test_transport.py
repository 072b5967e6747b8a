from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import pytest

from hfdl_async.core.model import ByteRange
from hfdl_async.errors import LostConnectionError, ProtocolError, RateLimitedError, UnsafeError
from hfdl_async.net.answer import Answer, Request, Timeouts
from hfdl_async.net.sessions import SessionAnswer
from hfdl_async.net.transport import Transport
from hfdl_async.net.urls import parse_url
from tests.net.wire import TOKEN, ManualClock, Seen, raw_server, reply

pytestmark = pytest.mark.anyio
CERTIFICATES = Path(__file__).parent / "certificates"
SIGNED = "/p/a%7Eb?sig=%2F~'()*+%2B&x=%7E;y"


ROADS = pytest.mark.parametrize("lane", [False, True], ids=["sessions", "lane"])


@pytest.fixture(params=[False, True], ids=["sessions", "lane"])
async def transport(request: pytest.FixtureRequest) -> AsyncIterator[Transport]:
    async with Transport(ManualClock(), lane=request.param) as transport:
        yield transport


def to(origin: str, path: str = "/x", **more: object) -> Request:
    """Return a request that takes the lane where there is one."""
    more = {"span": ByteRange(0, 10), **more}
    return Request(parse_url(origin + path), "x", **more)  # type: ignore[arg-type]


async def text(answer: Answer) -> bytes:
    return await answer.body(10_000)


async def test_a_signed_address_goes_over_the_wire_byte_for_byte(transport: Transport) -> None:
    async with raw_server(lambda _: reply(200, b"ok")) as server:
        assert await text(await transport.get(to(server.origin, SIGNED))) == b"ok"
        assert server.targets == [SIGNED]


async def test_what_is_sent_is_plain_and_has_no_token_unless_given(transport: Transport) -> None:
    async with raw_server(lambda _: reply()) as server:
        await text(await transport.get(to(server.origin)))
        request = to(server.origin, token=TOKEN, span=ByteRange(5, 10))
        await text(await transport.get(request))
        await text(await transport.get(to(server.origin, span=None)))
    plain, full, whole = server.seen
    for one in server.seen:
        assert one.headers["accept-encoding"] == "identity"
        assert one.headers["accept"] == "*/*"
        assert one.headers["user-agent"].startswith("hfdl/")
        assert one.headers["host"] == server.origin.removeprefix("http://")
    assert not {"authorization", "cookie"} & set(plain.headers)
    assert not {"authorization", "cookie", "range"} & set(whole.headers)
    assert full.authorization == f"Bearer {TOKEN}"
    assert full.range == "bytes=5-9"
    assert TOKEN not in repr(request)


async def test_neither_cookies_nor_netrc_nor_a_proxy_of_the_environment_are_used(
    transport: Transport, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login me password secret")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    async with raw_server(lambda _: reply(200, Set_Cookie="a=b; Path=/")) as server:
        # By name: to a bare address no client would send a cookie back.
        named = server.origin.replace("127.0.0.1", "localhost")
        for origin in (named, named, server.origin):
            await text(await transport.get(to(origin)))
    assert not any({"cookie", "authorization"} & set(one.headers) for one in server.seen)


async def test_redirects_are_handed_out_and_their_connection_is_kept(transport: Transport) -> None:
    async with raw_server(lambda _: reply(302, b"moved", Location="/y")) as server:
        for _ in range(3):
            answer = await transport.get(to(server.origin))
            assert (answer.status, answer.header("location")) == (302, "/y")
            await answer.drain()
        assert server.connections == 1


async def test_a_fresh_request_never_goes_over_a_used_connection(transport: Transport) -> None:
    async with raw_server(lambda _: reply(200, b"ok")) as server:
        for fresh in (False, True, True, False):
            await text(await transport.get(to(server.origin, fresh=fresh)))
        assert [one.connection for one in server.seen] == [1, 2, 3, 1]


async def test_an_answer_left_early_takes_its_connection_along(transport: Transport) -> None:
    async with raw_server(lambda _: reply(200, b"x" * 5_000_000)) as server:
        (await transport.get(to(server.origin))).close()
        await text(await transport.get(to(server.origin)))
        assert server.connections == 2


async def test_compressed_bodies_stay_compressed(transport: Transport) -> None:
    async with raw_server(lambda _: reply(200, b"\x1f\x8b", Content_Encoding="gzip")) as server:
        assert await text(await transport.get(to(server.origin))) == b"\x1f\x8b"


async def test_a_body_is_read_to_its_limit_and_no_further(transport: Transport) -> None:
    async with raw_server(lambda _: reply(200, b"x" * 1_000_000)) as server:
        answer = await transport.get(to(server.origin))
        assert len(await answer.body(1000)) == 1001


@pytest.mark.parametrize(
    ("said", "kind", "words"),
    [
        (b"", LostConnectionError, "closed the connection without an answer"),
        (b"what?\r\n\r\n", ProtocolError, "did not answer in HTTP"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n", ProtocolError, "not answer in HTTP"),
        (reply(200, **{f"X-{n}": "y" for n in range(1000)}), ProtocolError, "not answer in HTTP"),
        (reply(200, Location="y" * 100_000), ProtocolError, "did not answer in HTTP"),
    ],
)
async def test_an_answer_that_is_none_is_a_transport_error(
    transport: Transport, said: bytes, kind: type[Exception], words: str
) -> None:
    async with raw_server(lambda _: said) as server:
        with pytest.raises(kind, match=words):
            await transport.get(to(server.origin))


async def test_a_body_that_ends_early_is_lost_after_what_came(transport: Transport) -> None:
    async with raw_server(
        lambda _: reply(200, b"abc", Content_Length="9", Connection="close")
    ) as server:
        answer = await transport.get(to(server.origin))
        with pytest.raises(LostConnectionError, match="before its last byte"):
            await answer.body(100)


@pytest.mark.parametrize("said", ["nothing", "headers", "half"])
async def test_silence_is_noticed_wherever_it_falls(transport: Transport, said: str) -> None:
    heads = {"headers": b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", "nothing": b""}
    heads["half"] = heads["headers"] + b"abc"

    async def say(_: Seen) -> bytes:
        if said == "nothing":
            await anyio.sleep_forever()
        return heads[said]

    timeouts = Timeouts(read_seconds=0.05)
    async with raw_server(say) as server:
        with pytest.raises(LostConnectionError, match="fell silent"):
            await (await transport.get(to(server.origin, timeouts=timeouts))).body(100)


async def test_silence_in_a_body_counts_sooner_than_before_it(transport: Transport) -> None:
    timeouts = Timeouts(read_seconds=60.0, silence_seconds=0.05)
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"
    async with raw_server(lambda _: head) as server:
        answer = await transport.get(to(server.origin, timeouts=timeouts))
        with anyio.fail_after(5), pytest.raises(LostConnectionError, match="fell silent"):
            await answer.body(100)


async def test_nothing_listens_there(transport: Transport) -> None:
    async with raw_server(lambda _: reply()) as server:
        origin = server.origin
    with pytest.raises(LostConnectionError, match="cannot connect"):
        await transport.get(to(origin))


@ROADS
@pytest.mark.parametrize(
    ("certificate", "trusted", "words"),
    [
        ("loopback.pem", False, "self.signed"),
        ("expired.pem", True, "expired"),
        ("other_name.pem", True, "(?i)mismatch"),
    ],
)
async def test_a_bad_certificate_is_final_and_nothing_was_sent(
    certificate: str, trusted: bool, words: str, lane: bool
) -> None:
    ours = ssl.create_default_context()
    theirs = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    theirs.load_cert_chain(CERTIFICATES / certificate)
    if trusted:
        ours.load_verify_locations(CERTIFICATES / certificate)
    async with (
        Transport(ManualClock(), tls=ours, lane=lane) as transport,
        raw_server(lambda _: reply(), tls=theirs) as server,
    ):
        with pytest.raises(UnsafeError, match=words) as caught:
            await transport.get(to(server.origin, token=TOKEN))
        assert "127.0.0.1" in str(caught.value)
        assert server.seen == []


async def test_a_server_without_tls_is_not_asked_again_without_it(transport: Transport) -> None:
    received: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        received.append(await reader.read(1000))
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(UnsafeError, match=r"was refused: (WRONG_VERSION_NUMBER|RECORD_LAYER)"):
            await transport.get(to(f"https://127.0.0.1:{port}", token=TOKEN))
    assert not any(TOKEN.encode() in data for data in received)


@ROADS
async def test_a_good_certificate_is_believed(lane: bool) -> None:
    ours = ssl.create_default_context(cafile=str(CERTIFICATES / "loopback.pem"))
    theirs = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    theirs.load_cert_chain(CERTIFICATES / "loopback.pem")
    async with (
        Transport(ManualClock(), tls=ours, lane=lane) as transport,
        raw_server(lambda _: reply(200, b"ok"), tls=theirs) as server,
    ):
        assert await text(await transport.get(to(server.origin))) == b"ok"


async def test_every_request_to_a_held_host_waits_and_none_to_another() -> None:
    clock = ManualClock()
    told: list[tuple[str, float]] = []
    async with (
        Transport(clock, on_hold=lambda *said: told.append(said)) as transport,
        raw_server(lambda _: reply()) as one,
        raw_server(lambda _: reply()) as other,
    ):
        origin = parse_url(one.origin).origin
        transport.hold(origin, 30.0, sent_at=clock.now)
        started = clock.now
        assert transport.describe_hold() == f"waiting 30 s for {origin.site}'s limit"
        await text(await transport.get(to(other.origin)))
        assert clock.now == started
        await text(await transport.get(to(one.origin)))
        assert clock.now == started + 30
        assert told == [(origin.site, 30.0)]
        transport.hold(origin, 5000.0, sent_at=clock.now)
        with pytest.raises(RateLimitedError):
            await transport.get(to(one.origin))
        assert len(one.seen) == 1


async def test_plain_answers_take_the_lane_and_never_load_aiohttp() -> None:
    async with (
        Transport(ManualClock()) as transport,
        raw_server(lambda _: reply(200, b"ok")) as server,
        raw_server(lambda _: reply(302, Location="/y")) as hub,
    ):
        for how in ({}, {"span": None}, {"fresh": True}):
            answer = await transport.get(to(server.origin, **how))
            assert not isinstance(answer, SessionAnswer)
            assert await text(answer) == b"ok"
        redirect = await transport.get(to(hub.origin))
        assert redirect.status == 302
        await redirect.drain()
        assert transport._sessions is None


async def test_what_the_lane_does_not_understand_is_asked_for_again_at_once() -> None:
    asked: list[str] = []
    said = reply(206, b"2\r\nok\r\n0\r\n\r\n", Transfer_Encoding="chunked")
    async with (
        Transport(ManualClock()) as transport,
        raw_server(lambda _: said) as server,
    ):
        for _ in range(2):
            request = to(server.origin, again=lambda: asked.append("again"))
            assert await text(await transport.get(request)) == b"ok"
        assert (len(server.seen), asked) == (3, ["again"])


async def test_a_guarded_request_looks_before_it_takes_a_kept_connection(
    transport: Transport,
) -> None:
    async with raw_server(lambda _: reply(200, b"ok")) as server:
        await text(await transport.get(to(server.origin)))
        with pytest.raises(UnsafeError, match="private"):
            await transport.get(to(server.origin, guarded=True))
        assert len(server.seen) == 1

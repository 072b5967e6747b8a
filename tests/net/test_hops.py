from __future__ import annotations

import socket
import ssl
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import anyio
import pytest
from aiohttp.abc import ResolveResult

from hfdl_async.core.model import ByteRange, RequestCounts
from hfdl_async.errors import HfdlError, NetworkError, UnsafeError
from hfdl_async.net.addresses import Resolver, is_private
from hfdl_async.net.answer import Answer, Timeouts
from hfdl_async.net.hops import Hops, Kind
from hfdl_async.net.redirects import REDIRECTS, Credential, RefreshToken, Trail
from hfdl_async.net.transport import Transport
from hfdl_async.net.urls import parse_url
from tests.net.wire import TOKEN, ManualClock, RawServer, Say, Seen, raw_server, reply

pytestmark = pytest.mark.anyio
CERTIFICATE = Path(__file__).parent / "certificates" / "loopback.pem"


class World:
    """Servers on loopback behind names of the test's choice."""

    def __init__(self, judge: Callable[[str], bool] = lambda _: False) -> None:
        self.clock = ManualClock()
        self.stack = AsyncExitStack()
        self.ports: dict[tuple[str, int], int] = {}
        self.judge = judge
        self.tls = ssl.create_default_context(cafile=str(CERTIFICATE))
        self.their_tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.their_tls.load_cert_chain(CERTIFICATE)

    async def __aenter__(self) -> World:
        await self.stack.__aenter__()
        resolver = Resolver(self.clock, lookup=self.lookup, judge=self.judge)
        transport = Transport(self.clock, resolver=resolver, tls=self.tls)
        self.transport = await self.stack.enter_async_context(transport)
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.stack.aclose()

    async def lookup(
        self, host: str, port: int, family: socket.AddressFamily
    ) -> list[ResolveResult]:
        port = self.ports.get((host.lower(), port), port)
        entry = ResolveResult(
            hostname=host, host="127.0.0.1", port=port, family=socket.AF_INET, proto=0, flags=0
        )
        return [entry]

    async def server(self, name: str, say: Say, *, port: int = 80, tls: bool = False) -> RawServer:
        server = raw_server(say, tls=self.their_tls if tls else None)
        started = await self.stack.enter_async_context(server)
        self.ports[name, port] = int(started.origin.rsplit(":", 1)[1])
        return started

    def hops(
        self,
        endpoint: str,
        *allow: str,
        token: str | None = TOKEN,
        refresh: RefreshToken | None = None,
    ) -> Hops:
        origin = parse_url(endpoint).origin
        credential = Credential(token, origin, allow=allow, refresh=refresh)
        return Hops(self.transport, origin, credential, timeouts=Timeouts(), allow=allow)


async def ask(hops: Hops, url: str) -> Answer:
    answer = await hops.follow(Trail(parse_url(url), hops.endpoint, what="x"), "api")
    await answer.body(1000)
    return answer


async def ask_for_bytes(hops: Hops, url: str) -> Answer:
    """Ask for a range, as large ones are asked for: over the lane."""
    trail, span = Trail(parse_url(url), hops.endpoint, what="x"), ByteRange(0, 2)
    answer = await hops.send(trail, "data", span=span)
    while answer.status in REDIRECTS:
        await hops.step(trail, answer)
        answer = await hops.send(trail, "data", span=span)
    await answer.body(1000)
    return answer


ROADS = pytest.mark.parametrize("ask", [ask, ask_for_bytes], ids=["sessions", "lane"])
Ask = Callable[[Hops, str], Awaitable[Answer]]


def to(location: str) -> Callable[[Seen], bytes]:
    return lambda one: reply(302, Location=location) if one.target == "/x" else reply(200, b"ok")


# Where the endpoint hub.example redirects /x to, and who may see the token then.
@ROADS
@pytest.mark.parametrize(
    ("location", "who", "with_token"),
    [
        ("/y", "hub.example:80", True),
        ("http://hub.example:80/y", "hub.example:80", True),
        ("http://HUB.example/y", "hub.example:80", True),
        ("http://hub.example:81/y", "hub.example:81", False),
        ("http://cdn.example/y", "cdn.example:80", False),
        ("//cdn.example/y?sig=1", "cdn.example:80", False),
        ("http://hub.example.evil.example/y", "hub.example.evil.example:80", False),
        ("https://localhost/y", "localhost:443", False),
        ("http://back.example/y", "hub.example:80", False),
    ],
)
async def test_the_token_is_seen_by_the_endpoint_and_by_nobody_else(
    location: str, who: str, with_token: bool, ask: Ask
) -> None:
    async with World() as world:
        servers = {
            "hub.example:80": await world.server("hub.example", to(location)),
            "hub.example:81": await world.server("hub.example", to("/"), port=81),
            "cdn.example:80": await world.server("cdn.example", to("/")),
            "hub.example.evil.example:80": await world.server("hub.example.evil.example", to("/")),
            "localhost:443": await world.server("localhost", to("/"), port=443, tls=True),
            "back.example:80": await world.server(
                "back.example", lambda _: reply(302, Location="http://hub.example/home")
            ),
        }
        hops = world.hops("http://hub.example", "http-token")
        await ask(hops, "http://hub.example/x")
        first = servers["hub.example:80"].seen[0]
        last = servers[who].seen[-1]
        assert first.authorization == f"Bearer {TOKEN}"
        assert last.target != "/x"
        assert last.authorization == (f"Bearer {TOKEN}" if with_token else None)
        everything = [one for server in servers.values() for one in server.seen]
        leaks = [one for one in everything if one.authorization and one not in (first, last)]
        assert leaks == []


async def test_the_usual_port_may_be_written_out() -> None:
    async with World() as world:
        server = await world.server("localhost", to("https://LOCALHOST:443/y"), port=443, tls=True)
        await ask(world.hops("https://localhost"), "https://localhost/x")
        assert [one.authorization for one in server.seen] == [f"Bearer {TOKEN}"] * 2


async def test_a_downgrade_and_credentials_in_an_address_are_errors_and_ask_nobody() -> None:
    for location in ("http://cdn.example/y", "https://me:pw@localhost/y"):
        async with World() as world:
            hub = await world.server("localhost", to(location), port=443, tls=True)
            other = await world.server("cdn.example", to("/"))
            with pytest.raises(UnsafeError) as caught:
                await ask(world.hops("https://localhost"), "https://localhost/x")
            assert len(hub.seen) == 1
            assert other.seen == []
            assert "pw" not in str(caught.value)


async def test_a_token_over_plain_http_stops_before_any_request() -> None:
    async with World() as world:
        hub = await world.server("hub.example", to("/y"))
        with pytest.raises(UnsafeError, match="unencrypted"):
            world.hops("http://hub.example")
        assert hub.seen == []


def only(*private: str) -> Callable[[str], bool]:
    return lambda address: address in private


@ROADS
@pytest.mark.parametrize("target", ["http://intranet.example/y", "http://10.9.8.7/y"])
async def test_a_public_hub_cannot_send_us_into_a_private_network(target: str, ask: Ask) -> None:
    # hub.example counts as public, everything else that leads to 127.0.0.1 as private.
    async with World() as world:
        private = False
        world.transport._resolver._judge = lambda _: private  # type: ignore[union-attr]
        hub = await world.server("hub.example", to(target))
        inside = await world.server("intranet.example", to("/"))
        hops = world.hops("http://hub.example", token=None)
        assert not await hops._is_inside(
            Trail(parse_url("http://hub.example/"), hops.endpoint, what="")
        )
        private = True
        with pytest.raises(UnsafeError, match="inside a private network") as caught:
            await ask(hops, "http://hub.example/x")
        assert "--allow private-redirects" in str(caught.value.hint)
        assert len(hub.seen) == 1
        assert inside.seen == []
        assert inside.connections == 0


@ROADS
@pytest.mark.parametrize("allowed", [True, False])
async def test_a_private_hub_may_point_at_private_addresses_and_so_may_one_we_trust(
    allowed: bool, ask: Ask
) -> None:
    async with World(is_private if not allowed else only()) as world:
        await world.server("hub.example", to("http://intranet.example/y"))
        inside = await world.server("intranet.example", to("/"))
        allow = ["private-redirects"] if allowed else []
        await ask(world.hops("http://hub.example", *allow, token=None), "http://hub.example/x")
        assert len(inside.seen) == 1


@pytest.mark.parametrize(
    ("say", "kind", "requests"),
    [
        (lambda one: reply(302, Location="/x" if one.target == "/y" else "/y"), NetworkError, 2),
        (lambda one: reply(302, Location=one.target + "x"), NetworkError, 6),
        (lambda one: reply(302, Location="file:///x"), UnsafeError, 1),
        (lambda one: reply(302), NetworkError, 1),
    ],
)
async def test_redirects_end(
    say: Callable[[Seen], bytes], kind: type[HfdlError], requests: int
) -> None:
    async with World() as world:
        hub = await world.server("hub.example", say)
        with pytest.raises(kind):
            await ask(world.hops("http://hub.example", token=None), "http://hub.example/x")
        assert len(hub.seen) == requests


async def test_a_refused_token_is_replaced_once_for_all_that_wait() -> None:
    asked = 0

    async def refresh() -> str | None:
        nonlocal asked
        asked += 1
        await anyio.sleep(0.01)
        return "hf_new"

    def say(one: Seen) -> bytes:
        return reply(200 if one.authorization == "Bearer hf_new" else 401)

    async with World() as world:
        hub = await world.server("hub.example", say)
        hops = world.hops("http://hub.example", "http-token", token="hf_old", refresh=refresh)
        statuses: list[int] = []

        async def one() -> None:
            statuses.append((await ask(hops, "http://hub.example/x")).status)

        async with anyio.create_task_group() as group:
            for _ in range(4):
                group.start_soon(one)
        assert statuses == [200] * 4
        assert asked == 1
        assert len(hub.seen) == 8
        assert hops.requests() == RequestCounts(api=8, retried=4)


async def test_a_token_that_stays_refused_is_not_asked_for_again_and_again() -> None:
    async with World() as world:
        hub = await world.server("hub.example", lambda _: reply(401))

        async def refresh() -> str | None:
            return "hf_new"

        hops = world.hops("http://hub.example", "http-token", token="hf_old", refresh=refresh)
        for _ in range(2):
            assert (await ask(hops, "http://hub.example/x")).status == 401
        assert len(hub.seen) == 3


@pytest.mark.parametrize(
    ("headers", "wait"),
    [
        ({"Retry-After": "7"}, 7.0),
        ({"RateLimit": '"api";r=0;t=9'}, 9.0),
        ({"RateLimit": '"api";r=3;t=9'}, 1.0),
        ({}, 1.0),
    ],
)
async def test_one_429_holds_the_whole_host_for_everybody(
    headers: dict[str, str], wait: float
) -> None:
    async with World() as world:
        times: list[float] = []

        def say(one: Seen) -> bytes:
            times.append(world.clock.now)
            return reply(429, **headers) if len(times) == 1 else reply(200)

        await world.server("hub.example", say)
        hops = world.hops("http://hub.example", token=None)
        other = world.hops("http://hub.example", token=None)
        started = world.clock.now
        await ask(hops, "http://hub.example/x")
        assert hops.transport.describe_hold()
        async with anyio.create_task_group() as group:
            for _ in range(5):
                group.start_soon(ask, other, "http://hub.example/x")
        assert times[0] == started
        assert min(times[1:]) >= started + wait
        assert hops.contacted


async def test_a_503_that_names_a_time_holds_as_well_and_one_that_does_not_does_not() -> None:
    async with World() as world:
        answers = iter([reply(503), reply(503, Retry_After="5")])
        await world.server("hub.example", lambda _: next(answers))
        hops = world.hops("http://hub.example", token=None)
        await ask(hops, "http://hub.example/x")
        assert hops.transport.describe_hold() == ""
        await ask(hops, "http://hub.example/x")
        assert "waiting 5 s" in hops.transport.describe_hold()


@ROADS
async def test_a_burst_of_forty_refusals_is_one_hold_and_nobody_starts_before_its_end(
    ask: Ask,
) -> None:
    told: list[tuple[str, float]] = []
    async with World() as world:
        world.transport._holds._on_hold = lambda *said: told.append(said)
        times: list[float] = []
        everybody_asked = anyio.Event()

        async def say(_: Seen) -> bytes:
            times.append(world.clock.now)
            if len(times) > 40:
                return reply(200, b"ok")
            if len(times) == 40:
                everybody_asked.set()
            await everybody_asked.wait()
            return reply(429, Retry_After="2")

        await world.server("hub.example", say)
        hops = world.hops("http://hub.example", token=None)
        started = world.clock.now

        async def one() -> None:
            await ask(hops, "http://hub.example/x")

        async with anyio.create_task_group() as group:
            for _ in range(40):
                group.start_soon(one)
        assert told == [("hub.example", 2.0)]
        async with anyio.create_task_group() as group:
            for _ in range(40):
                group.start_soon(one)
        assert set(times[:40]) == {started}
        assert len(times) == 80
        assert min(times[40:]) >= started + 2
        assert len(told) == 1


async def test_who_was_connecting_when_a_host_asked_for_patience_waits_as_well() -> None:
    async with World() as world:
        times: list[float] = []

        def say(_: Seen) -> bytes:
            times.append(world.clock.now)
            return reply(200, b"ok")

        await world.server("hub.example", say)
        hops = world.hops("http://hub.example", token=None)
        origin = parse_url("http://hub.example/x").origin
        lookup, started = world.lookup, world.clock.now

        async def be_held_meanwhile(
            host: str, port: int, family: socket.AddressFamily
        ) -> list[ResolveResult]:
            world.transport.hold(origin, 7.0, sent_at=world.clock.now)
            return await lookup(host, port, family)

        world.transport._resolver._lookup = be_held_meanwhile  # type: ignore[union-attr]
        trail = Trail(parse_url("http://hub.example/x"), hops.endpoint, what="x")
        hops._endpoint_inside = True
        answer = await hops.send(trail, "data", span=ByteRange(0, 2))
        answer.close()
        assert times == [started + 7.0]


async def test_a_body_that_is_running_is_left_alone_by_a_hold() -> None:
    async with World() as world:
        said = iter([reply(200, b"a" * 10), reply(429, Retry_After="30")])
        await world.server("hub.example", lambda _: next(said))
        hops = world.hops("http://hub.example", token=None)
        trail = Trail(parse_url("http://hub.example/x"), hops.endpoint, what="x")
        running = await hops.send(trail, "data")
        await ask(hops, "http://hub.example/x")
        assert hops.describe_hold() == "waiting 30 s for the Hub's limit"
        assert await running.body(100) == b"a" * 10
        assert world.clock.slept == []


@ROADS
async def test_what_a_host_says_is_left_is_known_by_the_kind_of_request(ask: Ask) -> None:
    async with World() as world:
        fields = {"RateLimit": '"api";r=40;t=100'}
        await world.server("hub.example", lambda _: reply(200, b"ok", **fields))
        hops = world.hops("http://hub.example", token=None)
        await ask(hops, "http://hub.example/x")
        every: tuple[Kind, ...] = ("api", "resolve", "data")
        kinds = [kind for kind in every if hops.quota(kind)]
        assert kinds == ["data" if ask is ask_for_bytes else "api"]
        assert [hops.quota(kind) for kind in kinds] == [(40, 100.0)]


async def test_a_request_that_the_lane_gives_up_is_counted_twice_as_it_was_sent_twice() -> None:
    async with World() as world:
        chunked = reply(200, b"2\r\nok\r\n0\r\n\r\n", Transfer_Encoding="chunked")
        server = await world.server("hub.example", lambda _: chunked)
        hops = world.hops("http://hub.example", token=None)
        await ask_for_bytes(hops, "http://hub.example/x")
        assert (len(server.seen), hops.requests()) == (2, RequestCounts(data=2))
        await ask_for_bytes(hops, "http://hub.example/x")
        assert (len(server.seen), hops.requests()) == (3, RequestCounts(data=3))


async def test_a_request_that_meets_a_dead_connection_counts_once() -> None:
    async with World() as world:
        server = await world.server(
            "hub.example", lambda _: b"" if len(server.seen) == 2 else reply(200, b"ok")
        )
        hops = world.hops("http://hub.example", token=None)
        for _ in range(2):
            await ask_for_bytes(hops, "http://hub.example/x")
        assert hops.requests() == RequestCounts(data=2)

from __future__ import annotations

import hashlib
import logging
import traceback
from collections.abc import AsyncIterator, Callable
from itertools import pairwise

import anyio
import pytest

from hfdl_async.core.model import ByteRange, RemoteFile, RepoRef, RequestCounts
from hfdl_async.errors import (
    AccessError,
    HfdlError,
    IntegrityError,
    LinkRefusedError,
    LostConnectionError,
    NetworkError,
    NotFoundError,
    ProtocolError,
    RangeIgnoredError,
    RateLimitedError,
    ServerError,
    UnsafeError,
)
from hfdl_async.net.hub import Hub
from hfdl_async.net.source import HubSource
from hfdl_async.net.transport import Transport
from hfdl_async.serving import HostedRepo
from hfdl_async.serving.settings import READER_TOKEN, Settings
from hfdl_async.testing.faults import (
    Close,
    Encoded,
    Endless,
    EtagChange,
    Fault,
    FaultKind,
    HtmlPage,
    IgnoreRange,
    LinkedEtagChange,
    Longer,
    MissingHeader,
    NoLength,
    OkWithContentRange,
    RedirectChain,
    RedirectLoop,
    RedirectTo,
    RefuseLink,
    Reset,
    ScriptedHub,
    ShiftedRange,
    Shorter,
    StartHub,
    Status,
    Throttle,
    WrongRange,
)
from tests.net.wire import COMMIT, TOKEN, ManualClock, RawServer, Seen, raw_server, reply

pytestmark = pytest.mark.anyio
BIG = b"".join(hashlib.sha256(str(n).encode()).digest() for n in range(4000))  # 128,000 bytes
SMALL = b'{"a": 1}' * 10


class Line:
    """A source, its server, and the files it has."""

    def __init__(self, server: ScriptedHub, hub: Hub, source: HubSource) -> None:
        self.server = server
        self.hub = hub
        self.source = source
        self.files: dict[str, RemoteFile] = {}

    async def fetch(
        self, path: str = "big.bin", start: int = 0, stop: int | None = None, **how: bool
    ) -> bytes:
        """Return the bytes of one open, checking their places and giving every lease back."""
        file = self.files[path]
        data = bytearray()
        span = ByteRange(start, file.size_bytes if stop is None else stop)
        async with self.source.open(file, span, **how) as chunks:
            async for chunk in chunks:
                assert chunk.offset == start + len(data)
                assert chunk.span.stop <= span.stop
                data += chunk.data
                chunk.release()
        return bytes(data)


@pytest.fixture(params=[False, True], ids=["sessions", "lane"])
async def transport(request: pytest.FixtureRequest) -> AsyncIterator[Transport]:
    async with Transport(ManualClock(), lane=request.param) as transport:
        yield transport


@pytest.fixture
async def line(hub: StartHub, transport: Transport) -> Line:
    files = {"big.bin": BIG, "small.json": SMALL, "a b/é#1.txt": SMALL}
    repo = HostedRepo.from_files("org/name", files, lfs_threshold_bytes=1000)
    return await open_line(await hub(repo), transport)


async def open_line(
    server: ScriptedHub, transport: Transport, token: str | None = READER_TOKEN
) -> Line:
    hub = Hub(transport, RepoRef("org/name", "model", "main", server.endpoint), token=token)
    _, commit = await hub.pin()
    line = Line(server, hub, HubSource(hub, commit))
    listing = await hub.listing(commit)
    line.files = {file.path: file for file in await hub.measure(listing.files)}
    server.log.clear()
    return line


async def test_a_large_file_is_resolved_once_and_read_from_its_storage(line: Line) -> None:
    cuts = [0, 1, 50_000, 100_001, len(BIG)]
    parts = [await line.fetch(start=a, stop=b) for a, b in pairwise(cuts)]
    assert b"".join(parts) == BIG
    assert len(line.server.log.of("resolve")) == 1
    assert [one.range for one in line.server.log.of("data")] == [
        "bytes=0-0",
        "bytes=1-49999",
        "bytes=50000-100000",
        "bytes=100001-127999",
    ]
    assert line.source.leased == 0


async def test_a_small_file_costs_one_resolve_wherever_it_leads(line: Line) -> None:
    assert await line.fetch("small.json") == SMALL
    assert await line.fetch("a b/é#1.txt") == SMALL
    assert [(one.kind, one.status) for one in line.server.log] == [
        ("resolve", 307),
        ("cache", 206),
    ] * 2
    assert line.source._known == {}


async def test_many_small_files_cost_one_info_the_pages_and_one_resolve_each(
    hub: StartHub, transport: Transport
) -> None:
    files = {f"f{n}.json": b"x" * (n + 1) for n in range(30)}
    repo = HostedRepo.from_files("org/name", files, direct=True)
    server = await hub(repo, settings=Settings(page_size=10))
    line = await open_line(server, transport)
    for path, data in files.items():
        assert await line.fetch(path) == data
    assert line.source.requests() == RequestCounts(api=1 + 3, resolve=30)
    assert {one.method for one in server.log} == {"GET"}


async def test_the_token_goes_to_the_hub_and_never_to_the_storage(line: Line) -> None:
    await line.fetch()
    await line.fetch("small.json")
    seen = {(one.origin, one.kind, one.authorization) for one in line.server.log}
    bearer = f"Bearer {READER_TOKEN}"
    assert seen == {
        ("hub", "resolve", bearer),
        ("hub", "cache", bearer),
        ("data", "data", None),
    }


async def test_sixteen_workers_share_one_resolve(line: Line) -> None:
    size = len(BIG) // 16
    parts: dict[int, bytes] = {}

    async def one(number: int) -> None:
        parts[number] = await line.fetch(start=number * size, stop=(number + 1) * size)

    async with anyio.create_task_group() as group:
        for number in range(16):
            group.start_soon(one, number)
    assert b"".join(parts[number] for number in range(16)) == BIG
    assert len(line.server.log.of("resolve")) == 1
    assert len(line.server.log.of("data")) == 16
    assert line.source.leased == 0


async def test_whoever_waits_takes_over_when_the_first_is_cancelled(line: Line) -> None:
    line.server.settings.latency_seconds = 0.05
    got: list[bytes] = []
    async with anyio.create_task_group() as group:
        first = anyio.CancelScope()

        async def cancelled() -> None:
            with first:
                await line.fetch(stop=10)

        async def waiting() -> None:
            got.append(await line.fetch(start=10, stop=20))

        group.start_soon(cancelled)
        await anyio.sleep(0.01)
        group.start_soon(waiting)
        group.start_soon(waiting)
        await anyio.sleep(0.01)
        first.cancel()
    assert got == [BIG[10:20]] * 2
    assert len(line.server.log.of("resolve")) == 2


async def test_an_expired_address_is_renewed_once_for_all_workers(line: Line) -> None:
    await line.fetch(stop=10)
    line.server.faults.add(Fault("data", RefuseLink(), times=16))
    refused: list[HfdlError] = []
    all_refused = anyio.Event()

    async def one(number: int) -> None:
        try:
            await line.fetch(start=number, stop=number + 1)
        except LinkRefusedError as error:
            refused.append(error)
            if len(refused) == 16:
                all_refused.set()
            await all_refused.wait()
            assert await line.fetch(start=number, stop=number + 1) == BIG[number : number + 1]

    async with anyio.create_task_group() as group:
        for number in range(16):
            group.start_soon(one, number)
    assert len(refused) == 16
    assert "AccessDenied" in str(refused[0])
    assert len(line.server.log.of("resolve")) == 2
    assert line.source.requests().retried == 16


async def test_a_late_refusal_of_an_old_address_leaves_the_new_one_alone(
    transport: Transport,
) -> None:
    late = anyio.Event()

    async def say(one: Seen) -> bytes:
        if "/resolve/" in one.target:
            links = f"{server.origin}/link{len(server.seen)}".replace("127.0.0.1", "localhost")
            return reply(302, Location=links, X_Repo_Commit=COMMIT)
        if one.target == "/link1":
            if one.range == "bytes=0-0":
                await late.wait()
            return reply(403)
        return reply(206, b"x", Content_Range=f"{one.range.replace('=', ' ')}/3")  # type: ignore[union-attr]

    async with raw_server(say) as server:
        source = HubSource(Hub(transport, RepoRef("a/b", "model", "main", server.origin)), COMMIT)

        async def one(start: int) -> None:
            async with source.open(file, ByteRange(start, start + 1)) as chunks:
                async for chunk in chunks:
                    chunk.release()

        async def refused(start: int) -> None:
            with pytest.raises(LinkRefusedError):
                await one(start)

        file = RemoteFile("a", 3, None)
        async with anyio.create_task_group() as group:
            group.start_soon(refused, 0)
            await anyio.sleep(0.02)
            await refused(1)
            await one(1)
            late.set()
        await one(2)
        assert len([target for target in server.targets if "/resolve/" in target]) == 2


async def test_an_address_is_renewed_before_its_signature_ends(line: Line) -> None:
    await line.fetch(stop=10)
    clock = line.hub.clock
    assert isinstance(clock, ManualClock)
    clock.now += 3500
    await line.fetch(stop=10)
    assert len(line.server.log.of("resolve")) == 1
    clock.now += 60
    await line.fetch(stop=10)
    assert len(line.server.log.of("resolve")) == 2
    clock.unix += 10 * 365 * 86_400  # the wall clock jumps: nothing happens
    await line.fetch(stop=10)
    assert len(line.server.log.of("resolve")) == 2


async def test_addresses_that_live_for_a_moment_work(line: Line) -> None:
    line.server.settings.url_lifetime_seconds = 1.0
    for start in range(5):
        assert await line.fetch(start=start, stop=start + 1) == BIG[start : start + 1]
    assert len(line.server.log.of("data")) == 5


async def test_a_storage_that_refuses_every_address_is_asked_for_a_new_one_each_time(
    line: Line,
) -> None:
    line.server.faults.add(Fault("data", RefuseLink(400, "EntityTooLarge")))
    for _ in range(3):
        with pytest.raises(LinkRefusedError, match="HTTP 400 EntityTooLarge"):
            await line.fetch()
    assert len(line.server.log.of("resolve")) == 3


RETRYABLE_AT_ONCE: list[tuple[FaultKind, type[HfdlError]]] = [
    (Status(500), ServerError),
    (Status(502), ServerError),
    (Status(408), ServerError),
    (Throttle(3), RateLimitedError),
    (Throttle(3, "nothing"), RateLimitedError),
    (Status(451), AccessError),
    (Status(302), ProtocolError),
    (WrongRange("start"), ProtocolError),
    (WrongRange("stop"), ProtocolError),
    (WrongRange("total"), HfdlError),
    (WrongRange("unit"), ProtocolError),
    (WrongRange("malformed"), ProtocolError),
    (WrongRange("missing"), ProtocolError),
    (ShiftedRange(), ProtocolError),
    (IgnoreRange(), RangeIgnoredError),
    (Encoded("gzip"), RangeIgnoredError),
    (HtmlPage(), ProtocolError),
    (RedirectLoop(), NetworkError),
    (RedirectTo("file:///etc/passwd"), UnsafeError),
    (RedirectTo("https://user:pass@cdn.example/"), UnsafeError),
]


@pytest.mark.parametrize("at", ["first request", "middle", "last segment"])
@pytest.mark.parametrize(("fault", "kind"), RETRYABLE_AT_ONCE)
async def test_an_answer_that_is_not_the_bytes_never_becomes_a_chunk(
    line: Line, fault: FaultKind, kind: type[HfdlError], at: str
) -> None:
    start, stop = {"first request": (0, 9), "middle": (70, 99), "last segment": (127_000, 128_000)}[
        at
    ]
    if at != "first request":
        assert await line.fetch(stop=70) == BIG[:70]
    line.server.faults.add(Fault("data", fault))
    with pytest.raises(kind) as caught:
        await line.fetch(start=start, stop=stop)
    line.server.faults.clear()
    assert caught.value.message.startswith("big.bin of org/name")
    assert line.source.leased == 0
    if not isinstance(caught.value, IntegrityError):
        assert await line.fetch(start=start, stop=stop) == BIG[start:stop]


@pytest.mark.parametrize(
    ("fault", "kept"),
    [
        (Shorter(40), 60),
        (Longer(10), 100),
        (NoLength(), 100),
        (Endless(), 100),
        (OkWithContentRange(), 100),
        (Encoded("identity"), 100),
    ],
)
async def test_what_came_is_kept_and_never_more_than_was_asked(
    line: Line, fault: FaultKind, kept: int
) -> None:
    line.server.faults.add(Fault("data", fault, times=20))
    assert await line.fetch(start=500, stop=600) == BIG[500 : 500 + kept]
    line.server.faults.clear()
    assert await line.fetch(start=500, stop=600) == BIG[500:600]


@pytest.mark.parametrize("fault", [Reset(), Close(), Reset(after=0), Close(after=0)])
async def test_no_answer_is_a_lost_connection(line: Line, fault: FaultKind) -> None:
    # Twice: the HTTP library itself asks once more when a connection closes without an answer.
    line.server.faults.add(Fault("data", fault, times=2))
    with pytest.raises(LostConnectionError):
        await line.fetch(stop=100)
    line.server.faults.clear()
    assert await line.fetch(stop=100) == BIG[:100]


@pytest.mark.parametrize(
    "fault",
    [Reset(after=50), Close(after=50), Shorter(50, announced=False), NoLength(after=50)],
)
async def test_bytes_before_a_break_are_delivered_before_the_error(
    line: Line, fault: FaultKind
) -> None:
    line.server.faults.add(Fault("data", fault))
    got = bytearray()

    async def read() -> None:
        async with line.source.open(line.files["big.bin"], ByteRange(0, 100)) as chunks:
            async for chunk in chunks:
                got.extend(chunk.data)
                chunk.release()

    with pytest.raises(LostConnectionError):
        await read()
    assert BIG.startswith(bytes(got))
    assert line.source.leased == 0


async def test_more_than_was_announced_is_dropped_with_its_connection(line: Line) -> None:
    line.server.faults.add(Fault("data", Longer(10, announced=False), times=1))
    # Depending on how the packets fall, the surplus is seen before or after the last wanted byte.
    try:
        assert await line.fetch(stop=100) == BIG[:100]
    except ProtocolError:
        assert line.source.leased == 0
    assert await line.fetch(stop=100) == BIG[:100]


async def test_a_chain_of_redirects_at_the_hub_is_one_resolve_for_everybody(line: Line) -> None:
    line.server.faults.add(Fault("resolve", RedirectChain(2)))
    assert await line.fetch(stop=100) == BIG[:100]
    asked = len(line.server.log.of("resolve"))
    assert await line.fetch(start=100, stop=200) == BIG[100:200]
    assert len(line.server.log.of("resolve")) == asked == 3


@pytest.mark.parametrize("fault", [IgnoreRange(), Encoded("gzip"), NoLength(), Longer(5)])
async def test_a_whole_stream_is_taken_from_a_server_that_knows_no_ranges(
    line: Line, fault: FaultKind
) -> None:
    line.server.faults.add(Fault("data", fault))
    assert await line.fetch(whole=True) == BIG
    assert line.server.log.of("data")[0].range is None


async def test_an_encoded_stream_that_is_too_long_is_an_error(line: Line) -> None:
    line.server.faults.add(Fault("data", Encoded("gzip")))
    file = line.files["big.bin"]
    line.server.faults.add(Fault("resolve", MissingHeader("X-Linked-Size")))
    line.files[file.path] = RemoteFile(file.path, file.size_bytes - 1, None)
    with pytest.raises(ProtocolError, match="decodes to more"):
        await line.fetch(whole=True)
    assert line.source.leased == 0


@pytest.mark.parametrize(
    ("where", "fault", "words"),
    [
        ("resolve", LinkedEtagChange(), "now it is sha256 e{64}"),
        ("resolve", LinkedEtagChange("0" * 64, 7), "now it is 7 bytes"),
        ("data", EtagChange(), "entity tag"),
        ("data", WrongRange("total"), "size was listed"),
    ],
)
async def test_a_file_that_changes_while_it_comes_is_an_integrity_error(
    line: Line, where: str, fault: FaultKind, words: str
) -> None:
    await line.fetch(stop=10)
    line.server.faults.add(Fault(where, fault))
    clock = line.hub.clock
    assert isinstance(clock, ManualClock)
    clock.now += 10_000
    with pytest.raises(IntegrityError, match=words):
        await line.fetch(start=10, stop=20)


@pytest.mark.parametrize("path", ["big.bin", "small.json"])
async def test_without_a_commit_it_is_no_hub_that_answers(line: Line, path: str) -> None:
    line.server.faults.add(Fault("resolve cache", MissingHeader("X-Repo-Commit")))
    with pytest.raises(ProtocolError, match="not a Hub: its answer names no commit"):
        await line.fetch(path)


async def test_another_commit_is_an_integrity_error(line: Line) -> None:
    said = reply(200, b"x", X_Repo_Commit=COMMIT)
    async with raw_server(lambda _: said) as server:
        hub = Hub(line.hub.hops.transport, RepoRef("org/name", "model", "main", server.origin))
        with pytest.raises(IntegrityError, match=r"commit was listed as d{40}, now it is c{40}"):
            async with HubSource(hub, "d" * 40).open(RemoteFile("a", 1, None), ByteRange(0, 1)):
                pass


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (Status(404, {"X-Error-Code": "EntryNotFound"}), NotFoundError),
        (Status(404, {"X-Error-Code": "RevisionNotFound"}), NotFoundError),
        (Status(403, {"X-Error-Code": "GatedRepo"}), AccessError),
        (Status(401), AccessError),
        (HtmlPage(), ProtocolError),
        (RedirectTo("http://127.0.0.1:9/portal"), LostConnectionError),
    ],
)
async def test_a_refusal_of_the_hub_is_what_it_says(
    line: Line, fault: FaultKind, kind: type[HfdlError]
) -> None:
    line.server.faults.add(Fault("resolve", fault, times=1))
    with pytest.raises(kind):
        await line.fetch("small.json")


async def test_the_cache_of_the_hub_that_refuses_is_asked_for_again(line: Line) -> None:
    await line.fetch("small.json", 0, 5)
    line.server.faults.add(Fault("cache", Status(404), times=1))
    with pytest.raises(LinkRefusedError):
        await line.fetch("small.json", 5)
    assert await line.fetch("small.json", 5) == SMALL[5:]


async def test_leaving_early_drops_the_connection_and_a_full_read_keeps_it(
    transport: Transport,
) -> None:
    body = bytes(5_000_000)
    said = reply(
        206, body, Content_Range=f"bytes 0-{len(body) - 1}/{len(body)}", X_Repo_Commit=COMMIT
    )
    file = RemoteFile("a", len(body), None)
    async with raw_server(lambda _: said) as server:
        hub = Hub(transport, RepoRef("org/name", "model", "main", server.origin))
        source = HubSource(hub, COMMIT)
        for _ in range(3):
            async with source.open(file, ByteRange(0, len(body))) as chunks:
                async for chunk in chunks:
                    chunk.release()
        # Only after the first answer it is known that bytes come from here: that decides the road.
        _, second, third = (one.connection for one in server.seen)
        assert second == third
        async with source.open(file, ByteRange(0, len(body))) as chunks:
            (await chunks.__anext__()).release()
        async with source.open(file, ByteRange(0, len(body))) as chunks:
            pass
        assert [one.connection for one in server.seen[3:]] == [third, third + 1]
        with anyio.CancelScope() as scope:
            async with source.open(file, ByteRange(0, len(body))) as chunks:
                scope.cancel()
                await anyio.lowlevel.checkpoint()
        async with source.open(file, ByteRange(0, len(body))) as chunks:
            pass
        assert source.requests() == RequestCounts(resolve=7, retried=0)  # leaving is no failure
        source.note_silence(file)
        for _ in range(2):
            async with source.open(file, ByteRange(0, len(body))) as chunks:
                pass
        assert source.requests() == RequestCounts(resolve=9, retried=1)


async def test_fresh_bytes_come_over_connections_that_carried_nothing(
    transport: Transport,
) -> None:
    said = reply(206, b"abc", Content_Range="bytes 0-2/3", X_Repo_Commit=COMMIT)
    async with raw_server(lambda _: said) as server:
        source = HubSource(Hub(transport, RepoRef("a/b", "model", "main", server.origin)), COMMIT)
        for fresh in (False, True, True):
            async with source.open(
                RemoteFile("a", 3, None), ByteRange(0, 3), fresh=fresh
            ) as chunks:
                async for chunk in chunks:
                    chunk.release()
        assert [one.connection for one in server.seen] == [1, 2, 3]


async def test_a_signed_address_is_used_byte_for_byte(transport: Transport) -> None:
    signed = "/p%7Eq/a%27b?Signature=%2F~x%2B*'()&Expires=99999999999&Key-Pair-Id=A%3D"

    def say(one: Seen) -> bytes:
        if "/resolve/" in one.target:
            return reply(302, Location=storage.origin + signed, X_Repo_Commit=COMMIT)
        return reply(206, b"abc", Content_Range="bytes 0-2/3")

    async with raw_server(say) as storage, raw_server(say) as server:
        repo = RepoRef("a/b", "model", "main", server.origin)
        source = HubSource(Hub(transport, repo, token=TOKEN), COMMIT)
        async with source.open(RemoteFile("x", 3, None), ByteRange(0, 3)) as chunks:
            async for chunk in chunks:
                chunk.release()
        assert storage.targets == [signed]
        assert storage.seen[0].authorization is None
        assert server.seen[0].authorization == f"Bearer {TOKEN}"


async def test_a_hold_of_the_hub_is_told(line: Line) -> None:
    line.server.faults.add(Fault("resolve", Throttle(30), times=1))
    with pytest.raises(RateLimitedError) as caught:
        await line.fetch("small.json")
    assert caught.value.retry_after_seconds == 30
    assert line.source.describe_hold() == "waiting 30 s for the Hub's limit"
    assert line.source.contacted


async def test_nothing_can_be_asked_of_an_empty_file(transport: Transport) -> None:
    source = HubSource(Hub(transport, RepoRef("a/b")), COMMIT)
    with pytest.raises(ValueError, match="nothing was asked for"):
        source.open(RemoteFile("x", 0, None), ByteRange(0, 0))


CUT = reply(206, b"a", Content_Range="bytes 0-2/3", Content_Length="3", Connection="close")
FAILING: list[tuple[str, Callable[[RawServer], bytes]]] = [
    ("hang up", lambda _: b""),
    ("garbage", lambda _: b"garbage\r\n\r\n"),
    ("403", lambda _: reply(403, b"<Error><Code>Expired</Code><S>SIGNATURE</S></Error>")),
    ("500", lambda _: reply(500, b"SIGNATURE")),
    ("429", lambda _: reply(429)),
    ("wrong range", lambda _: reply(206, b"x", Content_Range="bytes 1-1/3")),
    ("circle", lambda server: reply(302, Location=server.origin + "/d?sig=SIGNATURE")),
    ("cut", lambda _: CUT),
]  # fmt: skip


@pytest.mark.parametrize(("name", "answer"), FAILING)
async def test_no_failure_shows_the_token_or_a_signature(
    transport: Transport,
    caplog: pytest.LogCaptureFixture,
    name: str,
    answer: Callable[[RawServer], bytes],
) -> None:
    caplog.set_level(logging.DEBUG)

    def say(one: Seen) -> bytes:
        if "/resolve/" in one.target:
            return reply(302, Location=f"{storage.origin}/d?sig=SIGNATURE", X_Repo_Commit=COMMIT)
        return answer(storage)

    async with raw_server(say) as storage, raw_server(say) as server:
        repo = RepoRef("a/b", "model", "main", server.origin)
        source = HubSource(Hub(transport, repo, token=TOKEN), COMMIT)
        with pytest.raises(HfdlError) as caught:
            await read_all(source, RemoteFile("x", 3, None))
    text = [*everything_shown(caught.value), caplog.text, repr(source), repr(vars(source))]
    assert len(text) > 10
    assert [line for line in text if TOKEN in line or "sig=SIGNATURE" in line] == []
    if name == "403":
        assert "Expired" in str(caught.value)


def everything_shown(error: BaseException) -> list[str]:
    """Return what a traceback with locals would print, less the frames of this file."""
    lines = [str(error), repr(error), repr(vars(error))]
    shown: traceback.TracebackException | None
    shown = traceback.TracebackException.from_exception(error, capture_locals=True)
    while shown is not None:
        lines += shown.format_exception_only()
        frames = [frame for frame in shown.stack if frame.filename != __file__]
        lines += [f"{name}={value}" for one in frames for name, value in (one.locals or {}).items()]
        shown = shown.__cause__ or (None if shown.__suppress_context__ else shown.__context__)
    return lines


async def read_all(source: HubSource, file: RemoteFile) -> None:
    async with source.open(file, ByteRange(0, file.size_bytes)) as chunks:
        async for chunk in chunks:
            chunk.release()

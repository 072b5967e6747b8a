"""One pool of connections, and one way to send a request over it.

Nothing is done behind our back: no redirects, no cookies, no netrc, no decompression, no
re-quoting of URLs, no total time limit. What comes back is an `Answer` whose body is read chunk
by chunk; everything that can break is translated by `failures.translate`.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from types import TracebackType

import aiohttp
import yarl

from hfdl_async.core.model import KIB, MIB, ByteRange
from hfdl_async.errors import NetworkError
from hfdl_async.net.addresses import Resolver, guarded
from hfdl_async.net.failures import FOREIGN, FOREIGN_IN_BODY, private_target, quiet, translate
from hfdl_async.net.headers import ContentRange, content_range, integer
from hfdl_async.net.holds import Clock, Holds
from hfdl_async.net.reference import user_agent
from hfdl_async.net.urls import Origin, Url

BODY_SILENCE_SECONDS = 15.0  # once a body flows, this much silence means it is dead (P22)
MAX_FIELD_BYTES = 32 * KIB  # of one header field: signed URLs in `Location` outgrow 8 KiB
MAX_FIELDS = 256
WIDE_READ_BYTES = MIB
DRAIN_BYTES = 16 * KIB  # a redirect's body is smaller; reading it saves the connection
SOCKET_BUFFERS_BYTES = 16 * MIB  # of all connections together; each may hold twice its share


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds to a connection, of silence before an answer begins, and of silence in its body."""

    connect_seconds: float = 10.0
    read_seconds: float = 30.0
    silence_seconds: float = BODY_SILENCE_SECONDS

    @property
    def body_seconds(self) -> float:
        """Silence within a body after which it counts as lost."""
        return min(self.read_seconds, self.silence_seconds)


@dataclass(frozen=True, slots=True)
class Request:
    """One GET. *what* names it in messages; *token* goes along if and only if it is given."""

    url: Url
    what: str
    span: ByteRange | None = None
    token: str | None = field(default=None, repr=False)
    timeouts: Timeouts = Timeouts()
    fresh: bool = False
    guarded: bool = False


class Answer:
    """Status and headers of a response whose body is still to come."""

    def __init__(self, response: aiohttp.ClientResponse, request: Request) -> None:
        self._response = response
        self._request = request
        self.status = response.status

    @property
    def url(self) -> Url:
        """What was asked for."""
        return self._request.url

    @property
    def what(self) -> str:
        """The subject of the request, for messages."""
        return self._request.what

    @property
    def token(self) -> str | None:
        """The token that the request carried."""
        return self._request.token

    def header(self, name: str) -> str | None:
        """Return the first field of that name (any case)."""
        return self._response.headers.get(name)

    def headers(self, name: str) -> list[str]:
        """Return all fields of that name."""
        return list(self._response.headers.getall(name, []))

    @property
    def length(self) -> int | None:
        """The `Content-Length`, if there is one."""
        return integer(self.header("Content-Length"))

    @cached_property
    def content_range(self) -> ContentRange | None:
        """The `Content-Range`, if there is one that can be read."""
        return content_range(self.header("Content-Range"))

    async def chunk(self, most_bytes: int | None = None) -> bytes:
        """Return the next bytes of the body as they came off the wire; none at its end.

        At most *most_bytes* of them, or all that are there.

        Raises:
            LostConnectionError: the peer fell silent or went away before the end.
        """
        try:
            if most_bytes is not None:
                return await self._response.content.read(most_bytes)
            # Not readany: it would join what has piled up, a copy of nearly every byte.
            data, _ = await self._response.content.readchunk()
            return data
        except FOREIGN_IN_BODY as error:
            failure = translate(error, what=self.what, origin=self.url.origin)
            raise failure from quiet(error)

    async def body(self, limit: int) -> bytes:
        """Return the body up to *limit* + 1 bytes, then let go of the connection.

        Raises:
            LostConnectionError: as `chunk`.
        """
        pieces: list[bytes] = []
        size = 0
        try:
            while size <= limit and (piece := await self.chunk()):
                pieces.append(piece)
                size += len(piece)
        finally:
            self.close()
        return b"".join(pieces)[: limit + 1]

    async def drain(self) -> None:
        """Read a short body to its end so that the connection can be used again, or close it."""
        length = self.length
        if self._response.content.is_eof():
            self._response.release()  # it came along with the headers
            return
        if length is None or length > DRAIN_BYTES:
            self.close()
            return
        try:
            await self.body(DRAIN_BYTES)
        except NetworkError:
            return  # the headers said all that was needed

    def close(self) -> None:
        """Give the connection back if the body was read to its end, else drop it."""
        if self._response.content.at_eof():
            self._response.release()
        else:
            self._response.close()


class Transport:
    """The connections of a downloader. An async context manager.

    Args:
        clock: time and waiting.
        connections: how many are wanted at most; bounds the memory of socket buffers.
        on_hold: called with a host and the seconds nothing will be sent to it.
        resolver: how names become addresses.
        tls: which certificates are believed; None for the system's.
        user_agent: how to be introduced, if not as what we are.
    """

    def __init__(
        self,
        clock: Clock,
        connections: int = 64,
        *,
        on_hold: Callable[[str, float], None] | None = None,
        resolver: Resolver | None = None,
        tls: ssl.SSLContext | None = None,
        user_agent: str | None = None,
    ) -> None:
        self.clock = clock
        self._holds = Holds(clock, on_hold)
        self._resolver = resolver
        self._tls = tls
        self._user_agent = user_agent
        share = SOCKET_BUFFERS_BYTES // max(1, connections)
        self._buffer_bytes = min(max(share, 64 * KIB), 256 * KIB)
        self._pooled: aiohttp.ClientSession | None = None
        self._fresh: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Transport:
        self._resolver = self._resolver or Resolver(self.clock)
        self._pooled = self._session(keep=True)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for session in (self._pooled, self._fresh):
            if session is not None:
                await session.close()
        self._pooled = self._fresh = None

    def _session(self, *, keep: bool) -> aiohttp.ClientSession:
        connector = aiohttp.TCPConnector(
            limit=0,  # the engine's permits are the limit
            force_close=not keep,
            use_dns_cache=False,  # ours remembers, and judges
            resolver=self._resolver,
            ssl=self._tls or True,
        )
        return aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
            auto_decompress=False,
            requote_redirect_url=False,
            read_bufsize=self._buffer_bytes,
            max_line_size=MAX_FIELD_BYTES,
            max_field_size=MAX_FIELD_BYTES,
            headers={"User-Agent": self._user_agent or user_agent(), "Accept": "*/*"},
        )

    def _pick(self, *, fresh: bool) -> aiohttp.ClientSession:
        """Return the session to use; a fresh one keeps no connection, so none is ever reused."""
        assert self._pooled is not None, "used outside of its context"
        if not fresh:
            return self._pooled
        if self._fresh is None:
            self._fresh = self._session(keep=False)
        return self._fresh

    async def get(self, request: Request) -> Answer:
        """Send *request* once its origin is not held; return when the headers are here.

        Raises:
            RateLimitedError: the origin is held for longer than a person would wait.
            LostConnectionError, ProtocolError: no usable answer; worth another try.
            UnsafeError: the certificate was refused, or a guarded name leads inside.
        """
        await self._holds.wait(request.url.origin)
        if request.guarded:
            await self._check_target(request)
        mark = guarded.set(request.guarded)
        try:
            response = await self._pick(fresh=request.fresh).get(
                yarl.URL(request.url.exact, encoded=True),
                headers=_wire_headers(request),
                allow_redirects=False,
                max_headers=MAX_FIELDS,
                timeout=_client_timeout(request.timeouts),
            )
        except FOREIGN as error:
            raise translate(error, what=request.what, origin=request.url.origin) from quiet(error)
        finally:
            guarded.reset(mark)
        _watch_body(response, request.timeouts.body_seconds, self._buffer_bytes)
        return Answer(response, request)

    async def _check_target(self, request: Request) -> None:
        # Before a pooled connection could be taken, which looks up nothing.
        assert self._resolver is not None
        origin = request.url.origin
        try:
            inside = await self._resolver.leads_inside(origin.host, origin.port)
        except OSError as error:
            raise translate(error, what=request.what, origin=origin) from quiet(error)
        if inside:
            raise private_target(request.what, origin.site)

    async def leads_inside(self, origin: Origin, *, what: str) -> bool:
        """Return whether *origin* lies in a private network or on this machine.

        Raises:
            LostConnectionError: its name could not be looked up.
        """
        assert self._resolver is not None
        try:
            return await self._resolver.leads_inside(origin.host, origin.port)
        except OSError as error:
            raise translate(error, what=what, origin=origin) from quiet(error)

    def hold(self, origin: Origin, seconds: float | None, *, sent_at: float) -> float:
        """Send nothing to *origin* for *seconds* (None: a growing wait); see `Holds.hold`."""
        return self._holds.hold(origin, seconds, sent_at=sent_at)

    def answered(self, origin: Origin) -> None:
        """Note that *origin* answered as it should."""
        self._holds.answered(origin)

    def describe_hold(self) -> str:
        """Return why nothing is sent just now, or an empty string."""
        return self._holds.describe()


@lru_cache(maxsize=16)
def _client_timeout(timeouts: Timeouts) -> aiohttp.ClientTimeout:
    return aiohttp.ClientTimeout(
        total=None,
        connect=timeouts.connect_seconds,
        sock_connect=timeouts.connect_seconds,
        sock_read=timeouts.read_seconds,
    )


def _wire_headers(request: Request) -> dict[str, str]:
    # Built where it is used up: no frame of ours keeps a header with a token in a local.
    headers = {"Accept-Encoding": "identity"}
    if request.span is not None:
        headers["Range"] = f"bytes={request.span.start}-{request.span.stop - 1}"
    if request.token is not None:
        headers["Authorization"] = f"Bearer {request.token}"
    return headers


def _widen(transport: asyncio.BaseTransport | None, length: int) -> None:
    """Let one read of a long body take more than asyncio's 256 KiB, where that can be set.

    A quarter of the turns of the loop is worth a tenth of the CPU of a fast download. Other loops
    and TLS read in their own way; there the attribute is missing, or nobody looks at it.
    """
    if transport is not None and length >= WIDE_READ_BYTES and hasattr(transport, "max_size"):
        transport.max_size = WIDE_READ_BYTES


def _watch_body(response: aiohttp.ClientResponse, seconds: float, buffer_bytes: int) -> None:
    """Shorten the silence that is tolerated from here on, now that the headers are here."""
    connection = response.connection
    protocol = connection.protocol if connection is not None else None
    if protocol is None or response.content.is_eof():
        return  # the whole body came with the headers
    _widen(protocol.transport, response.content_length or 0)
    protocol.read_timeout = seconds
    # The running timer still has the longer span. It is restarted only while so little is here
    # that reading cannot have been paused: a paused connection has no timer, and needs none.
    if response.content.total_bytes < buffer_bytes:
        protocol.start_timeout()

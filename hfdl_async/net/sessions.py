"""The common way over the wire: aiohttp, which understands whatever HTTP a server speaks.

Nothing is done behind our back: no redirects, no cookies, no netrc, no decompression, no
re-quoting of URLs, no total time limit.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import weakref
from functools import lru_cache

import aiohttp
import yarl
from aiohttp.abc import AbstractResolver, ResolveResult

from hfdl_async.core.model import MIB
from hfdl_async.net.addresses import Resolver
from hfdl_async.net.answer import (
    MAX_FIELD_BYTES,
    MAX_FIELDS,
    Answer,
    Lent,
    Request,
    Timeouts,
    wire_headers,
)
from hfdl_async.net.buffers import Reads
from hfdl_async.net.foreign import (
    FOREIGN,
    FOREIGN_IN_BODY,
    quiet_foreign,
    translate_foreign,
)

WIDE_READ_BYTES = MIB


class SessionAnswer(Answer):
    """A response of aiohttp."""

    def __init__(
        self, response: aiohttp.ClientResponse, request: Request, reads: Reads | None = None
    ) -> None:
        super().__init__(request, response.status)
        self._response = response
        self._reads = reads or Reads()

    def header(self, name: str) -> str | None:
        """Return the first field of that name (any case)."""
        return self._response.headers.get(name)

    def headers(self, name: str) -> list[str]:
        """Return all fields of that name (any case)."""
        return list(self._response.headers.getall(name, []))

    async def chunk(self, most_bytes: int | None = None) -> Lent:
        """Return the next bytes of the body; see `Answer.chunk`."""
        if (limit := self._reads.most_bytes) is not None:
            most_bytes = min(most_bytes or limit, limit)
        try:
            if most_bytes is not None:
                return Lent(await self._response.content.read(most_bytes))
            # Not readany: it would join what has piled up, a copy of nearly every byte.
            data, _ = await self._response.content.readchunk()
            return Lent(data)
        except FOREIGN_IN_BODY as error:
            failure = translate_foreign(error, what=self.what, origin=self.url.origin)
            raise failure from quiet_foreign(error)

    async def drain(self) -> None:
        """Read a short body to its end so that the connection can be used again, or close it."""
        if self._response.content.is_eof():
            self._response.release()  # it came along with the headers
        else:
            await super().drain()

    def close(self) -> None:
        """Give the connection back if the body was read to its end, else drop it."""
        if self._response.content.at_eof():
            self._response.release()
        else:
            self._response.close()


class Sessions:
    """aiohttp's pool of connections, and a second one that keeps none."""

    def __init__(
        self,
        resolver: Resolver,
        *,
        tls: ssl.SSLContext | None,
        user_agent: str,
        buffer_bytes: int,
        reads: Reads | None = None,
    ) -> None:
        self._reads = reads or Reads()
        self._narrow: weakref.WeakSet[asyncio.BaseTransport] = weakref.WeakSet()
        self._resolver = resolver
        self._tls = tls
        self._user_agent = user_agent
        self._buffer_bytes = buffer_bytes
        self._pooled = self._session(keep=True)
        self._fresh: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        """Drop all connections."""
        for session in (self._pooled, self._fresh):
            if session is not None:
                await session.close()

    def _session(self, *, keep: bool) -> aiohttp.ClientSession:
        connector = aiohttp.TCPConnector(
            limit=0,  # the engine's permits are the limit
            force_close=not keep,
            use_dns_cache=False,  # ours remembers, and judges
            resolver=_Resolver(self._resolver),
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
            headers={"User-Agent": self._user_agent, "Accept": "*/*"},
        )

    def _pick(self, *, fresh: bool) -> aiohttp.ClientSession:
        """Return the session to use; a fresh one keeps no connection, so none is ever reused."""
        if not fresh:
            return self._pooled
        if self._fresh is None:
            self._fresh = self._session(keep=False)
        return self._fresh

    async def get(self, request: Request) -> SessionAnswer:
        """Send *request*; return when the headers are here.

        Raises:
            LostConnectionError, ProtocolError: no usable answer; worth another try.
            UnsafeError: the certificate was refused, or a guarded name leads inside.
        """
        limit = self._reads.most_bytes
        buffer_bytes = min(self._buffer_bytes, limit or self._buffer_bytes)
        try:
            response = await self._pick(fresh=request.fresh).get(
                yarl.URL(request.url.exact, encoded=True),
                headers=wire_headers(request),
                allow_redirects=False,
                max_headers=MAX_FIELDS,
                timeout=_client_timeout(request.timeouts),
                read_bufsize=buffer_bytes,
            )
        except FOREIGN as error:
            failure = translate_foreign(error, what=request.what, origin=request.url.origin)
            raise failure from quiet_foreign(error)
        _watch_body(response, request.timeouts.body_seconds, buffer_bytes, limit)
        self._limit_ahead(response)
        return SessionAnswer(response, request, self._reads)

    def _limit_ahead(self, response: aiohttp.ClientResponse) -> None:
        """Let the kernel buffer no more than `Reads` says.

        A connection that was limited stays so; once the limit is gone it carries no other request.
        """
        connection, ahead_bytes = response.connection, self._reads.ahead_bytes
        protocol = connection.protocol if connection is not None else None
        if protocol is None or (transport := protocol.transport) is None:
            return  # the whole body came with the headers
        if ahead_bytes is None:
            if transport in self._narrow:
                protocol.force_close()
        elif (wire := transport.get_extra_info("socket")) is not None:
            wire.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, ahead_bytes // 2)
            self._narrow.add(transport)


class _Resolver(AbstractResolver):
    """Our resolver in the shape that aiohttp wants."""

    def __init__(self, resolver: Resolver) -> None:
        self._resolver = resolver

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Return the addresses of *host*; see `Resolver.resolve`."""
        found = await self._resolver.resolve(host, port, family)
        return [ResolveResult(**address) for address in found]

    async def close(self) -> None:
        """Do nothing: it is not ours."""


@lru_cache(maxsize=16)
def _client_timeout(timeouts: Timeouts) -> aiohttp.ClientTimeout:
    return aiohttp.ClientTimeout(
        total=None,
        connect=timeouts.connect_seconds,
        sock_connect=timeouts.connect_seconds,
        sock_read=timeouts.read_seconds,
    )


def _size_reads(transport: asyncio.BaseTransport | None, length: int, limit: int | None) -> None:
    """Let one read of a long body take more than asyncio's 256 KiB, or less: at most *limit*.

    A quarter of the turns of the loop is worth a tenth of the CPU of a fast download. Other loops
    and TLS read in their own way; there the attribute is missing, or nobody looks at it.
    """
    if transport is None or not hasattr(transport, "max_size"):
        return
    if limit is not None:
        transport.max_size = limit
    elif length >= WIDE_READ_BYTES:
        transport.max_size = WIDE_READ_BYTES


def _watch_body(
    response: aiohttp.ClientResponse, seconds: float, buffer_bytes: int, limit: int | None
) -> None:
    """Shorten the silence that is tolerated from here on, now that the headers are here."""
    connection = response.connection
    protocol = connection.protocol if connection is not None else None
    if protocol is None or response.content.is_eof():
        return  # the whole body came with the headers
    _size_reads(protocol.transport, response.content_length or 0, limit)
    protocol.read_timeout = seconds
    # The running timer still has the longer span. It is restarted only while so little is here
    # that reading cannot have been paused: a paused connection has no timer, and needs none.
    if response.content.total_bytes < buffer_bytes:
        protocol.start_timeout()

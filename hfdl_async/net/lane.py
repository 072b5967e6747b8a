"""The fast way over the wire, for large ranges: h11 for the head, buffers for the body.

A pool of connections of our own, and no more of HTTP than one GET needs. An origin whose content
comes in any but the plainest form is remembered, and left to aiohttp from then on.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable

import aiohappyeyeballs
import anyio
import h11

from hfdl_async.core.model import KIB, MIB
from hfdl_async.errors import ProtocolError
from hfdl_async.net.addresses import Resolver, is_literal
from hfdl_async.net.answer import Answer, Lent, Request
from hfdl_async.net.buffers import Stock
from hfdl_async.net.exchange import Exchange
from hfdl_async.net.failures import quiet, translate, unanswered
from hfdl_async.net.lanewire import Wire
from hfdl_async.net.urls import Origin

BUFFERS_BYTES = 16 * MIB  # of what has come and nobody has taken, on all connections together
MAX_BUFFER_BYTES = MIB
MIN_BUFFER_BYTES = 64 * KIB
KEEP_SECONDS = 15.0  # an idle connection; the usual server gives up after 60 or 75
NEXT_ADDRESS_SECONDS = 0.25  # RFC 8305: until the other family of addresses is tried as well
GOODBYE_SECONDS = 1.0

_BROKEN = (EOFError, OSError, TimeoutError)


def buffer_bytes(connections: int) -> int:
    """Return how large a buffer is, so that those of all connections stay bounded."""
    return max(MIN_BUFFER_BYTES, min(MAX_BUFFER_BYTES, BUFFERS_BYTES // max(1, connections)))


class _StaleError(Exception):
    """A kept connection had ended before anything of an answer came."""


class _LaneAnswer(Answer):
    """What the headers of an exchange said."""

    def __init__(self, request: Request, exchange: Exchange) -> None:
        super().__init__(request, exchange.status)
        self._fields = exchange.fields

    def header(self, name: str) -> str | None:
        """Return the first field of that name (any case)."""
        return next(iter(self.headers(name)), None)

    def headers(self, name: str) -> list[str]:
        """Return all fields of that name (any case)."""
        wanted = name.lower()
        return [value for field, value in self._fields if field == wanted]


class ToldAnswer(_LaneAnswer):
    """An answer whose short body is here already; its connection is not needed any more."""

    def __init__(self, request: Request, exchange: Exchange) -> None:
        super().__init__(request, exchange)
        self._body = exchange.told or b""

    async def chunk(self, most_bytes: int | None = None) -> Lent:
        """Return the next bytes of the body; none at its end."""
        stop = len(self._body) if most_bytes is None else most_bytes
        data, self._body = self._body[:stop], self._body[stop:]
        return Lent(data)

    def close(self) -> None:
        """Do nothing."""


class FlowingAnswer(_LaneAnswer):
    """Content that comes over a wire; *on_end* gets the wire back."""

    def __init__(
        self, request: Request, exchange: Exchange, wire: Wire, on_end: Callable[[Wire], None]
    ) -> None:
        super().__init__(request, exchange)
        self._silence_seconds = request.timeouts.body_seconds
        self._wire: Wire | None = wire
        self._on_end = on_end

    async def chunk(self, most_bytes: int | None = None) -> Lent:
        """Return the next bytes of the body; see `Answer.chunk`."""
        if self._wire is None:
            return Lent(b"")
        try:
            return await self._wire.take(most_bytes, self._silence_seconds) or Lent(b"")
        except _BROKEN as error:
            failure = translate(error, what=self.what, origin=self.url.origin)
            raise failure from quiet(error)

    def close(self) -> None:
        """Give the connection back if the body has come to its end, else drop it."""
        if self._wire is not None:
            wire, self._wire = self._wire, None
            self._on_end(wire)


class Lane:
    """Connections for large ranges.

    Args:
        resolver: how names become addresses; it guards.
        tls: returns which certificates are believed.
        user_agent: how to be introduced.
        connections: how many are wanted at most; bounds the memory of buffers.
    """

    def __init__(
        self,
        resolver: Resolver,
        *,
        tls: Callable[[], Awaitable[ssl.SSLContext]],
        user_agent: str,
        connections: int,
    ) -> None:
        self._resolver = resolver
        self._tls = tls
        self._user_agent = user_agent
        self.stock = Stock(buffer_bytes(connections), 2 * connections)
        self._wires: dict[Wire, Origin] = {}
        self._idle: dict[Wire, asyncio.TimerHandle] = {}
        self._odd: set[Origin] = set()
        self._empty = anyio.Event()

    async def close(self) -> None:
        """Drop all connections."""
        if not self._wires:
            return
        self._empty = anyio.Event()
        for wire in list(self._wires):
            wire.abort()
        with anyio.move_on_after(GOODBYE_SECONDS, shield=True):
            await self._empty.wait()  # their sockets are closed in the loop's next turns

    def serves(self, origin: Origin) -> bool:
        """Return whether *origin* was never seen to answer in another than the plainest form."""
        return origin not in self._odd

    async def get(self, request: Request) -> Answer | None:
        """Send *request*; return when the headers are here, or None where they are not for us.

        Raises:
            LostConnectionError: no usable answer; worth another try.
            UnsafeError: the certificate was refused, or a guarded name leads inside.
        """
        if not request.fresh and (kept := self._kept(request.url.origin)) is not None:
            try:
                return await self._ask(kept, request)
            except _StaleError:
                pass
        return await self._ask(await self._connect(request), request)

    async def _ask(self, wire: Wire, request: Request) -> Answer | None:
        exchange = Exchange()
        try:
            with anyio.fail_after(request.timeouts.read_seconds):
                await wire.ask(exchange, self._head(exchange, request))
        except _BROKEN as error:
            wire.abort()
            if not exchange.cut():
                stale = wire.used and not exchange.heard
                raise self._broken(error, request, stale=stale) from quiet(error)
        except BaseException:
            wire.abort()
            raise
        if exchange.odd:
            self._odd.add(request.url.origin)
            wire.abort()
            return None
        end = self._drop if request.fresh else self._give_back
        if exchange.told is None:
            return FlowingAnswer(request, exchange, wire, end)
        end(wire)
        return ToldAnswer(request, exchange)

    def _head(self, exchange: Exchange, request: Request) -> bytes:
        try:
            return exchange.request(request, self._user_agent)
        except (h11.LocalProtocolError, UnicodeEncodeError):
            # Not chained: its text quotes headers, the token among them.
            raise ProtocolError(f"{request.what}: its address cannot be sent") from None

    def _broken(self, error: Exception, request: Request, *, stale: bool) -> Exception:
        if stale and not isinstance(error, TimeoutError):
            return _StaleError()
        if isinstance(error, EOFError):
            return unanswered(request.what, request.url.origin.site)
        return translate(error, what=request.what, origin=request.url.origin)

    # -- connections -----------------------------------------------------------------------

    def _kept(self, origin: Origin) -> Wire | None:
        """Take an idle connection, the one that was used last."""
        for wire in reversed(self._idle):
            if self._wires.get(wire) == origin and not wire.lost:
                self._idle.pop(wire).cancel()
                return wire
        return None

    def _give_back(self, wire: Wire) -> None:
        if not wire.done:
            wire.abort()
            return
        wire.rest()
        loop = asyncio.get_running_loop()
        self._idle[wire] = loop.call_later(KEEP_SECONDS, wire.abort)

    def _drop(self, wire: Wire) -> None:
        wire.abort()

    def _forget(self, wire: Wire) -> None:
        self._wires.pop(wire, None)
        if (timer := self._idle.pop(wire, None)) is not None:
            timer.cancel()
        if not self._wires:
            self._empty.set()

    async def _connect(self, request: Request) -> Wire:
        origin = request.url.origin
        try:
            with anyio.fail_after(request.timeouts.connect_seconds):
                addresses = await self._addresses(origin)
                tls = await self._tls() if origin.scheme == "https" else None
                found = await aiohappyeyeballs.start_connection(
                    addresses, happy_eyeballs_delay=NEXT_ADDRESS_SECONDS, interleave=1
                )
                _, wire = await asyncio.get_running_loop().create_connection(
                    lambda: Wire(self.stock, self._forget),
                    sock=found,
                    ssl=tls,
                    server_hostname=origin.host.rstrip(".") if tls else None,
                )
        except (OSError, TimeoutError) as error:
            failure = translate(error, what=request.what, origin=origin, connecting=True)
            raise failure from quiet(error)
        if not wire.lost:
            self._wires[wire] = origin
        return wire

    async def _addresses(self, origin: Origin) -> list[aiohappyeyeballs.AddrInfoType]:
        if is_literal(origin.host):
            return [_socket_address(origin.host, origin.port)]
        found = await self._resolver.resolve(origin.host, origin.port)
        return [_socket_address(entry["host"], entry["port"]) for entry in found]


def _socket_address(host: str, port: int) -> aiohappyeyeballs.AddrInfoType:
    if ":" in host:
        return socket.AF_INET6, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (host, port, 0, 0)
    return socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (host, port)

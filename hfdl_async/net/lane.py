"""The short way over the wire: a head recognised at a glance, a body counted into buffers.

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

from hfdl_async.core.options import MEMORY_BYTES
from hfdl_async.errors import ProtocolError
from hfdl_async.net.addresses import Resolver, is_literal
from hfdl_async.net.answer import Answer, Lent, Request
from hfdl_async.net.buffers import Reads, Stock
from hfdl_async.net.exchange import Exchange
from hfdl_async.net.failures import quiet, translate, unanswered
from hfdl_async.net.lanewire import Wire
from hfdl_async.net.preference import Preference
from hfdl_async.net.urls import Origin

KEEP_SECONDS = 15.0  # an idle connection; the usual server gives up after 60 or 75
NEXT_ADDRESS_SECONDS = 0.25  # RFC 8305: until the other family of addresses is tried as well
GOODBYE_SECONDS = 1.0

_BROKEN = (EOFError, OSError, TimeoutError)


async def no_wait(origin: Origin) -> None:
    """Return at once: *origin* may be asked at any time."""


class _StaleError(Exception):
    """A kept connection had ended before anything of an answer came."""


class _LaneAnswer(Answer):
    """What the headers of an exchange said."""

    def __init__(self, request: Request, exchange: Exchange) -> None:
        super().__init__(request, exchange.status)
        self._fields = exchange.fields

    def header(self, name: str) -> str | None:
        """Return the first field of that name (any case)."""
        found = self._fields.get(name.lower())
        return found[0] if found else None

    def headers(self, name: str) -> list[str]:
        """Return all fields of that name (any case)."""
        return list(self._fields.get(name.lower(), ()))


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
    """Connections for what is answered in the plainest form.

    Args:
        resolver: how names become addresses; it guards.
        tls: returns which certificates are believed.
        user_agent: how to be introduced.
        connections: how many are wanted at most; decides how large a buffer is.
        memory_bytes: for the buffers of all of them together.
        wait: returns when an origin may be asked; connecting takes long enough for that to change.
        reads: how much may be read from a connection at once.
    """

    def __init__(
        self,
        resolver: Resolver,
        *,
        tls: Callable[[], Awaitable[ssl.SSLContext]],
        user_agent: str,
        connections: int,
        memory_bytes: int = MEMORY_BYTES,
        wait: Callable[[Origin], Awaitable[None]] = no_wait,
        reads: Reads | None = None,
    ) -> None:
        self._resolver = resolver
        self._tls = tls
        self._user_agent = user_agent
        self._wait = wait
        self.stock = Stock.within(memory_bytes, connections, reads)
        self._wires: dict[Wire, Origin] = {}
        self._addresses_of: dict[Wire, str] = {}
        self._preference = Preference()
        self._idle: dict[Origin, list[Wire]] = {}
        self._sweeping: asyncio.TimerHandle | None = None
        self._odd: set[tuple[Origin, bool]] = set()
        self._empty = anyio.Event()

    async def close(self) -> None:
        """Drop all connections."""
        if self._sweeping is not None:
            self._sweeping.cancel()
        if not self._wires:
            return
        self._empty = anyio.Event()
        for wire in list(self._wires):
            wire.abort()
        with anyio.move_on_after(GOODBYE_SECONDS, shield=True):
            await self._empty.wait()  # their sockets are closed in the loop's next turns

    def limit_ahead(self) -> None:
        """Let every connection keep to what `Reads` says now about the kernel's buffers."""
        for wire in self._wires:
            wire.limit_ahead()

    def serves(self, request: Request) -> bool:
        """Return whether what is asked like *request* was answered in the plainest form so far.

        What is asked for whole, such as pages of a listing, may be sent in another way than ranges.
        """
        return (request.url.origin, request.span is None) not in self._odd

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
        wire = await self._connect(request)
        try:
            await self._wait(request.url.origin)
        except BaseException:
            wire.abort()
            raise
        return await self._ask(wire, request)

    async def _ask(self, wire: Wire, request: Request) -> Answer | None:
        exchange = Exchange()
        try:
            # The head in no local of this frame: it may hold the token.
            await wire.ask(exchange, self._head(exchange, request), request.timeouts.read_seconds)
        except _BROKEN as error:
            wire.abort()
            if not exchange.cut():
                stale = wire.used and not exchange.heard
                raise self._broken(error, request, stale=stale) from quiet(error)
        except BaseException:
            wire.abort()
            raise
        if exchange.odd:
            self._odd.add((request.url.origin, request.span is None))
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
        except ValueError:
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
        idle = self._idle.get(origin, [])
        while idle:
            if not (wire := idle.pop()).lost and wire.is_wide_enough:
                return wire
            wire.abort()
        return None

    def _give_back(self, wire: Wire) -> None:
        if not wire.done or not wire.is_wide_enough or (origin := self._wires.get(wire)) is None:
            wire.abort()
            return
        wire.rest()
        self._idle.setdefault(origin, []).append(wire)
        if self._sweeping is None:
            self._sweep_in(KEEP_SECONDS)

    def _sweep_in(self, seconds: float) -> None:
        self._sweeping = asyncio.get_running_loop().call_later(seconds, self._sweep)

    def _sweep(self) -> None:
        """Close what was idle for too long, and look again when the next one will have been."""
        self._sweeping = None
        now = asyncio.get_running_loop().time()
        for idle in self._idle.values():
            while idle and idle[0].idle_since + KEEP_SECONDS <= now:
                idle.pop(0).abort()
        if waiting := [idle[0].idle_since for idle in self._idle.values() if idle]:
            self._sweep_in(max(0.0, min(waiting) + KEEP_SECONDS - now))

    def _drop(self, wire: Wire) -> None:
        wire.abort()

    def _forget(self, wire: Wire) -> None:
        origin = self._wires.pop(wire, None)
        if origin is not None:
            self._preference.closed(origin, self._addresses_of.pop(wire))
        if origin is not None and wire in (idle := self._idle.get(origin, [])):
            idle.remove(wire)
        if not self._wires:
            self._empty.set()

    async def _connect(self, request: Request) -> Wire:
        origin = request.url.origin
        try:
            with anyio.fail_after(request.timeouts.connect_seconds):
                addresses = self._preference.order(
                    origin, await self._addresses(origin), elsewhere=request.fresh
                )
                tls = await self._tls() if origin.scheme == "https" else None
                found = await aiohappyeyeballs.start_connection(
                    addresses, happy_eyeballs_delay=NEXT_ADDRESS_SECONDS, interleave=1
                )
                family, address = found.family, str(found.getpeername()[0])
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
            self._addresses_of[wire] = address
            self._preference.opened(origin, family, address)
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

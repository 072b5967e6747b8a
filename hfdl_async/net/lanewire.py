"""One connection of the lane: bytes go from the socket straight into buffers.

Theory of operation. While a head is awaited, the socket is read into a small scratch area and
what came is handed to the `Exchange`. Once that says how long the body is, the socket is read into
a `Buffer` of up to 1 MiB. A reader is given whole buffers as long as the line is fast. A line so
slow that no buffer fills within `LULL_SECONDS` is not kept waiting for: the reader then gets what
is there, as a slice, and filling goes on behind the slice. So a trickle of a few bytes a second
reaches the engine, which counts it as progress and as a sign of life, four times a second; a line
that brings nothing at all for the tolerated silence is lost.

When as many full buffers wait for a reader as the stock allows, the socket is not read any more
until the reader comes. Nor is it read when the stock has no buffer left: the little that came is
kept aside, the wire stands in line for the next buffer, and its reader is asked to give back what
it holds. All that is then said about silence does not count, for the peer is not to blame.

Under a bandwidth limit (`Reads`) a buffer is handed out in slices of that size, and the socket is
read only while the reader waits for one: what lies ahead of it lies in the kernel, or at the peer.

A byte behind the end of a body, or one that comes unasked, ends the connection's life after that
body. There is always room to receive such a byte: an empty buffer would confuse any loop.
"""

from __future__ import annotations

import asyncio
import socket
from collections import deque
from collections.abc import Callable
from typing import cast

from hfdl_async.core.model import KIB
from hfdl_async.net.answer import RECALL, Lent
from hfdl_async.net.buffers import Buffer, Stock
from hfdl_async.net.exchange import Exchange

LULL_SECONDS = 0.25  # how long a reader waits for a buffer to become full
SCRATCH_BYTES = 32 * KIB  # a head with what comes along behind it


class Wire(asyncio.BufferedProtocol):
    """A connection that carries one request at a time. *on_lost* is called at its end."""

    def __init__(self, stock: Stock, on_lost: Callable[[Wire], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._stock = stock
        self._on_lost = on_lost
        self._transport: asyncio.Transport | None = None
        self._scratch = memoryview(bytearray(SCRATCH_BYTES))
        self._exchange: Exchange | None = None
        self.used = False  # it carried a request before
        self.idle_since = 0.0  # by the loop's clock, after `rest`
        self._left = 0  # bytes of the body still to come
        self._clean = True  # everything that came was expected
        self._filling: Buffer | None = None
        self._full: deque[Buffer] = deque()
        self._aside = bytearray()  # what came while there was no buffer; then it stands in line
        self._owed = False  # something was lent since the reader was last asked for it
        self._paused = False
        self._failure: Exception | None = None
        self._ahead_bytes: int | None = None  # what the kernel was told to buffer at most
        self._news: asyncio.Future[bool] | None = None
        self._last_byte_at = 0.0

    # -- what the lane and its answers call ------------------------------------------------

    @property
    def lost(self) -> bool:
        """Whether nothing can be sent any more."""
        return self._failure is not None

    @property
    def done(self) -> bool:
        """Whether the body is here to its end, and nothing else came."""
        return not self._left and self._clean and not self.lost

    @property
    def is_wide_enough(self) -> bool:
        """Whether no limit of the past holds it back: the kernel does not widen it by itself."""
        wanted = self._stock.reads.ahead_bytes
        return self._ahead_bytes is None or (wanted is not None and wanted < 2 * self._ahead_bytes)

    def limit_ahead(self) -> None:
        """Keep to what `Reads` says: else the peer sends ahead by megabytes before it notices."""
        wanted = self._stock.reads.ahead_bytes
        if wanted in (None, self._ahead_bytes) or (transport := self._open_transport()) is None:
            return
        if (wire := transport.get_extra_info("socket")) is not None:
            # Only now and not before the connection was made: that would bound its scale for good.
            # Linux doubles it, for what it spends on keeping the bytes, and then fills most of it.
            wire.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, wanted // 2)
            self._ahead_bytes = wanted

    async def ask(self, exchange: Exchange, head: bytes, silence_seconds: float) -> None:
        """Send *head* and wait until *exchange* has heard what it needs.

        Raises:
            TimeoutError: that took longer than *silence_seconds*.
            EOFError, OSError: the connection ended before.
        """
        self._exchange = exchange
        if (transport := self._open_transport()) is not None:
            transport.write(head)
        while not exchange.settled:
            if self._failure is not None:
                raise self._failure
            if not await self._wait(silence_seconds):
                raise TimeoutError

    async def take(self, most_bytes: int | None, silence_seconds: float) -> Lent | None:
        """Return the next bytes of the body, None behind its end.

        `RECALL` is neither: it asks the reader to release what it has taken, and comes again
        every `LULL_SECONDS` while there is no memory to receive into.

        Raises:
            TimeoutError: not a byte came in *silence_seconds*.
            EOFError, OSError: the connection ended; everything that had come was returned before.
        """
        since = self._loop.time()
        patience = min(LULL_SECONDS, silence_seconds)
        while True:
            if self._full:
                return self._lend_full(most_bytes)
            if self._has_slice():
                return self._lend_some(most_bytes)
            if not self._left:
                return None
            if self._failure is not None:
                return self._lend_last(most_bytes, self._failure)
            if self._owed and self._stock.is_short:
                self._owed = False
                return RECALL
            self._resume()  # under a limit it was paused until somebody came
            if await self._wait(patience) or self._full or self._failure is not None:
                continue
            if self._aside:
                return RECALL  # also a sign of life: we are waiting for ourselves
            if self._has_some():
                return self._lend_some(most_bytes)
            if self._loop.time() - max(since, self._last_byte_at) >= silence_seconds:
                raise TimeoutError

    def rest(self) -> None:
        """Be idle until the next request; forget what nobody took."""
        self._exchange = None
        self.used = True
        self.idle_since = self._loop.time()
        self._let_go()
        self._resume()

    def abort(self) -> None:
        """Drop the connection and what it brought."""
        self._end(EOFError())
        self._let_go()

    # -- reading ---------------------------------------------------------------------------

    def _has_some(self) -> bool:
        return self._filling is not None and self._filling.unread > 0

    def _has_slice(self) -> bool:
        """Whether a reader under a limit may go on."""
        most, filling = self._stock.reads.most_bytes, self._filling
        return most is not None and filling is not None and filling.unread >= most

    def _is_ahead(self) -> bool:
        """Whether the reader has to come before more is received."""
        if self._stock.reads.most_bytes is None:
            return len(self._full) >= self._stock.ahead
        return bool(self._full) or self._has_slice()

    def _lend_some(self, most_bytes: int | None) -> Lent:
        assert self._filling is not None
        self._owed = True
        if self._stock.reads.most_bytes is not None:
            self._pause()  # the next slice has to be asked for
        return self._filling.lend(most_bytes)

    def _lend_last(self, most_bytes: int | None, failure: Exception) -> Lent:
        """Return what had come before *failure*, which is raised when that is all gone."""
        if self._has_some():
            return self._lend_some(most_bytes)
        if not self._aside:
            raise failure
        most = self._left if most_bytes is None else min(self._left, most_bytes)
        data = bytes(self._aside[:most])
        del self._aside[: len(data)]
        self._left -= len(data)
        return Lent(data)

    def _lend_full(self, most_bytes: int | None) -> Lent:
        buffer = self._full[0]
        self._owed = True
        lent = buffer.lend(most_bytes)
        if buffer.given == buffer.filled:
            self._full.popleft()
            buffer.seal()
            if self._stock.reads.most_bytes is None:
                self._resume()
        return lent

    async def _wait(self, seconds: float) -> bool:
        """Wait for news; return whether there were any before *seconds* had passed."""
        news: asyncio.Future[bool] = self._loop.create_future()
        self._news = news
        timer = self._loop.call_later(seconds, self._tell, False)
        try:
            return await news
        finally:
            self._news = None
            timer.cancel()

    def _tell(self, really: bool = True) -> None:
        if self._news is not None and not self._news.done():
            self._news.set_result(really)

    def _let_go(self) -> None:
        # Out of the line first: a buffer that goes back would be handed to this very wire.
        self._stock.leave_line(self._pour)
        self._aside.clear()
        full, self._full = self._full, deque()
        for buffer in full:
            buffer.seal()
        if self._filling is not None:
            self._filling.seal()
            self._filling = None

    def _open_transport(self) -> asyncio.Transport | None:
        # A lost one is not even asked: that of TLS on Python 3.10 falls over it.
        transport = self._transport if self._failure is None else None
        return None if transport is None or transport.is_closing() else transport

    def _pause(self) -> None:
        if not self._paused and (transport := self._open_transport()) is not None:
            self._paused = True
            transport.pause_reading()

    def _resume(self) -> None:
        if not self._paused or self._aside:
            return
        if (transport := self._open_transport()) is not None:
            self._paused = False
            transport.resume_reading()

    def _end(self, failure: Exception) -> None:
        if self._failure is None:
            self._failure = failure
        if self._transport is not None:
            self._transport.abort()

    # -- what the loop calls ---------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = cast("asyncio.Transport", transport)
        self.limit_ahead()

    def get_buffer(self, sizehint: int) -> memoryview:
        """Return where the next bytes go; never nothing."""
        if not self._left or self._failure is not None or self._aside:
            return self._scratch
        if self._filling is None and (buffer := self._stock.take()) is not None:
            self._filling = buffer
        return self._scratch if self._filling is None else self._room(self._filling)

    def _room(self, buffer: Buffer) -> memoryview:
        room, most = buffer.room(self._left), self._stock.reads.most_bytes
        if most is None or self._left <= most:
            return room
        # A loop may hand on more than was asked for; then there has to be room as well.
        return room[: most - buffer.unread if buffer.unread < most else most]

    def buffer_updated(self, nbytes: int) -> None:
        """Take note of bytes that lie in the last buffer."""
        if self._failure is not None:
            return
        if self._left:
            self._last_byte_at = self._loop.time()
            if self._filling is None:
                self._aside += self._scratch[:nbytes]
                self._pour()
            else:
                self._arrived(nbytes)
        elif self._exchange is not None and not self._exchange.settled:
            self._exchange.hear(bytes(self._scratch[:nbytes]))
            if self._exchange.settled:
                self._begin_body(self._exchange)
                self._tell()
        else:
            self._clean = False  # nobody asked
            self._end(EOFError())

    def connection_lost(self, exc: Exception | None) -> None:
        """Note that it is over."""
        if self._failure is None:
            self._failure = exc or EOFError()
        self._stock.leave_line(self._pour)
        if self._exchange is not None:
            self._exchange.cut()
        self._tell()
        self._on_lost(self)

    def _pour(self, buffer: Buffer | None = None) -> None:
        """Put what lies aside into *buffer* and others, or stand in line for the next one."""
        self._filling = self._filling or buffer
        while self._aside and self._left:
            if self._filling is None and (buffer := self._stock.take()) is not None:
                self._filling = buffer
            if self._filling is None:
                self._pause()
                self._stock.stand_in_line(self._pour)
                return
            room = self._filling.room(self._left)
            count = min(len(room), len(self._aside))
            room[:count] = self._aside[:count]
            del self._aside[:count]
            self._arrived(count)
        if self._aside:
            self._clean = False  # behind the end of the body
            self._aside.clear()
        if not self._is_ahead():
            self._resume()

    def _begin_body(self, exchange: Exchange) -> None:
        self._left = exchange.length
        self._last_byte_at = self._loop.time()
        self._owed = False
        if not exchange.keep:
            self._clean = False
        self._aside += exchange.rest
        self._pour()

    def _arrived(self, count: int) -> None:
        """Count bytes of the body in the buffer that is being filled, and see what follows."""
        buffer = self._filling
        assert buffer is not None
        if count > self._left:
            self._clean = False  # a byte too many
            count = self._left
        buffer.filled += count
        self._left -= count
        if not self._left or buffer.filled == buffer.size:
            self._full.append(buffer)
            self._filling = None
        elif not self._has_slice():
            return
        if self._left and self._is_ahead():
            self._pause()
        self._tell()

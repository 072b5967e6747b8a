"""From an answer to bytes on a connection, including the ways in which that goes wrong on order."""

from __future__ import annotations

import socket
import struct
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing

import anyio
from aiohttp import web

from hfdl_async.serving.answer import Answer, Body, Wire
from hfdl_async.serving.content import PIECE_BYTES, Piece
from hfdl_async.serving.limits import Pacer
from hfdl_async.serving.log import Entry

RESET_GRACE_SECONDS = 0.02  # a reset overtakes data that still travels; let it arrive first
_HONEST = Wire()


class _Liar(web.StreamResponse):
    """A response whose body need not have the length its headers claim."""

    _length_check = False  # what aiohttp's own web socket response sets, for the same reason


def ready(answer: Answer, entry: Entry) -> web.Response:
    """Return a whole, honest answer for aiohttp to write; the fast path of small files."""
    assert isinstance(answer.body, bytes)
    if entry.method == "HEAD":
        # aiohttp would leave the length of an empty body out.
        length = {} if answer.status in (204, 304) else {"Content-Length": str(answer.length)}
        return web.Response(status=answer.status, headers={**answer.headers, **length})
    entry.bytes_sent = len(answer.body)
    return web.Response(status=answer.status, headers=answer.headers, body=answer.body)


async def send(
    request: web.BaseRequest, answer: Answer, entry: Entry, pacers: Sequence[Pacer]
) -> web.StreamResponse:
    """Write *answer* piece by piece, at the speed of the slowest of *pacers*.

    Raises:
        ConnectionError: the connection ended, because the client left or by order of the answer.
    """
    wire = answer.wire or _HONEST
    if wire.delay_seconds:
        await anyio.sleep(wire.delay_seconds)
    if wire.stop_after == -1:
        await _stop(request, wire)
    honest = wire.announce == "truth"
    response = web.StreamResponse(status=answer.status) if honest else _Liar(status=answer.status)
    response.headers.update(answer.headers)
    if wire.announce is None:
        response.enable_chunked_encoding()
    else:
        announced = answer.length if honest else wire.announce
        response.headers["Content-Length"] = str(announced)
        if announced != answer.length or wire.stop_after is not None:
            response.force_close()
    await response.prepare(request)
    if request.method == "HEAD" or answer.status in (204, 304):
        return response
    if wire.rate_bytes_per_second is not None:
        pacers = [*pacers, Pacer(wire.rate_bytes_per_second)]
    limit = wire.stop_after
    async with aclosing(_cut(_pieces(answer.body), pacers)) as pieces:
        async for piece in pieces:
            left = len(piece) if limit is None else limit - entry.bytes_sent
            for pacer in pacers:
                await pacer.take(min(left, len(piece)))
            await response.write(piece if left >= len(piece) else piece[:left])
            entry.bytes_sent += min(left, len(piece))
            if limit is not None and entry.bytes_sent >= limit:
                await _stop(request, wire)
    if limit is not None:  # the body was shorter than that; it ends as ordered all the same
        await _stop(request, wire)
    await response.write_eof()
    return response


async def _pieces(body: bytes | Body) -> AsyncIterator[Piece]:
    if isinstance(body, bytes):
        if body:
            yield body
        return
    async for piece in body.pieces():
        yield piece


async def _cut(
    pieces: AsyncIterator[Piece], pacers: Sequence[Pacer]
) -> AsyncGenerator[Piece, None]:
    """Yield the same bytes in pieces no larger than the pacers like them."""
    most = min((pacer.piece_bytes for pacer in pacers), default=PIECE_BYTES * 4)
    async for piece in pieces:
        if len(piece) <= most:
            yield piece
            continue
        view = memoryview(piece)
        for offset in range(0, len(view), most):
            yield view[offset : offset + most]


async def _stop(request: web.BaseRequest, wire: Wire) -> None:
    """End the connection as ordered.

    Raises:
        ConnectionError: always, so that nothing more is written.
    """
    transport = request.transport
    if transport is None:
        raise ConnectionResetError("the client left first")
    if wire.stop_by == "stall":
        await anyio.sleep_forever()  # until the client leaves or the server closes: both cancel
    if wire.stop_by == "reset":
        await anyio.sleep(RESET_GRACE_SECONDS)
        connection = transport.get_extra_info("socket")
        if connection is not None:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()
    else:
        transport.close()
    raise ConnectionResetError("ended by order")

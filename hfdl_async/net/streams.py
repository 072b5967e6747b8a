"""The body of one data answer as chunks that know where they belong.

A class and not an async generator: nothing is left to be closed by a garbage collector, and
leaving the block early drops the connection at once.
"""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING

from hfdl_async.core.model import ByteRange, Chunk, RemoteFile
from hfdl_async.errors import ProtocolError
from hfdl_async.net.answer import Answer, Lent
from hfdl_async.net.bodies import Inflater
from hfdl_async.net.failures import is_failure

if TYPE_CHECKING:
    from hfdl_async.net.source import HubSource


class Stream(AbstractAsyncContextManager["Stream"]):
    """Chunks of *span* in order; ends after its last byte, or earlier when the peer does.

    Each chunk is a lease, counted in the source's `leased` until it is released. One without bytes
    asks for those that were given out; see `engine.ports.Source.open`.
    """

    def __init__(
        self, source: HubSource, file: RemoteFile, span: ByteRange, *, whole: bool, fresh: bool
    ) -> None:
        self._source = source
        self._file = file
        self._span = span
        self._whole = whole
        self._fresh = fresh
        self._offset = span.start
        self._answer: Answer | None = None
        self._inflater: Inflater | None = None
        self._packed = b""
        self._ended_early = False

    async def __aenter__(self) -> Stream:
        self._answer, coding = await self._source.begin(
            self._file, self._span, whole=self._whole, fresh=self._fresh
        )
        if coding == "deflated":
            self._inflater = Inflater(self._answer.what)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._answer is not None:
            # Not drained: what comes after the last wanted byte is nothing we asked for.
            self._answer.close()
            self._answer = None
            # Whoever leaves early or is called off, because others fetch the rest, failed nothing.
            self._source.end(
                self._file,
                self._span,
                complete=self._offset == self._span.stop,
                failed=self._ended_early or is_failure(error),
            )

    def __aiter__(self) -> Stream:
        return self

    async def __anext__(self) -> Chunk:
        left = self._span.stop - self._offset
        if not left:
            raise StopAsyncIteration
        assert self._answer is not None, "used outside of its block"
        if self._inflater is None:
            lent = await self._answer.chunk(self._source.chunk_bytes)
        else:
            lent = Lent(await self._inflated(self._answer, self._inflater))
        data = lent.data
        if lent.recall:
            return Chunk(self._offset, b"")
        if not data:
            self._ended_early = True
            raise StopAsyncIteration
        if len(data) > left:
            data = memoryview(data)[:left]
        chunk = Chunk(self._offset, data, partial(self._release, lent))
        self._offset += len(data)
        self._source.leased += 1
        return chunk

    def _release(self, lent: Lent) -> None:
        self._source.leased -= 1
        lent.release()

    async def _inflated(self, answer: Answer, inflater: Inflater) -> bytes:
        """Return decoded bytes, none at the end.

        Raises:
            ProtocolError: there is more than the file has; only one byte more is ever decoded.
        """
        room = self._span.stop - self._offset + 1
        while True:
            packed = self._packed or await self._copied(answer)
            if not packed:
                return b""
            plain, self._packed = inflater.feed(packed, room)
            if len(plain) == room:
                raise ProtocolError(f"{answer.what}: decodes to more than {self._span.stop} bytes")
            if plain:
                return plain

    async def _copied(self, answer: Answer) -> bytes:
        while (lent := await answer.chunk(self._source.chunk_bytes)).recall:
            pass  # nothing is held here
        try:
            return bytes(lent.data)
        finally:
            lent.release()

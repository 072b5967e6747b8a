"""One segment from request to written bytes, however many requests that takes.

Each turn of the loop either gains bytes or counts a failure, so it cannot spin; what a broken
connection had brought is kept.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import anyio

from hfdl_async.core import retry
from hfdl_async.core.events import ConnectionReplaced, SegmentRetried
from hfdl_async.core.model import ByteRange, Chunk
from hfdl_async.engine.batch import BATCH_CHUNKS, BATCH_SECONDS, Batch, batch_bytes
from hfdl_async.engine.bus import Bus
from hfdl_async.engine.checkpoint import Checkpointer
from hfdl_async.engine.filejob import FileJob
from hfdl_async.engine.inflight import InFlight, Request
from hfdl_async.engine.line import Cut, Flow, Line
from hfdl_async.engine.ports import Clock, Source
from hfdl_async.engine.schedule import Piece
from hfdl_async.engine.tally import Tally
from hfdl_async.errors import (
    HfdlError,
    LostConnectionError,
    RangeIgnoredError,
    RateLimitedError,
)

FLUSH_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Fetcher:
    """Fetches pieces; knows the line, the source and the patience of one download."""

    source: Source
    line: Line
    tally: Tally
    bus: Bus
    clock: Clock
    checkpointer: Checkpointer
    policy: retry.Policy
    jitter: Callable[[], float]
    silence_seconds: float
    inflight: InFlight
    give_back: Callable[[Piece], None]  # a piece that somebody else is to go on with
    resting: Callable[[], AbstractContextManager[None]] = nullcontext  # around a wait for a retry

    async def fetch(self, piece: Piece) -> None:
        """Bring *piece* onto the disk.

        Returns early when the job ended or started over meanwhile.

        Raises:
            HfdlError: the piece cannot be had; retries are used up or useless.
        """
        job, streak, cut = piece.job, retry.Streak(), None
        while not piece.is_stale() and (gap := job.gap(piece.span)):
            try:
                async with self.line.permit():
                    if not piece.is_stale():
                        cut = await self._request(piece, gap, fresh=cut is Cut.SLOW)
                if cut is Cut.SURPLUS:
                    self.give_back(piece)
                if cut is Cut.SURPLUS or piece.duplicate:
                    return
                if cut is None and not piece.is_stale() and job.gap(piece.span) == gap:
                    raise LostConnectionError(f"{job.file.path}: the stream ended at once")
            except HfdlError as error:
                if piece.is_stale() or piece.duplicate or (rest := job.gap(piece.span)) is None:
                    return
                cut = None
                streak = (streak if rest == gap else retry.Streak()).after(error)
                await self._before_next_try(job, rest, error, streak)

    async def _before_next_try(
        self, job: FileJob, rest: ByteRange, error: HfdlError, streak: retry.Streak
    ) -> None:
        """Wait as long as the failure asks for, or raise what ends the tries."""
        if isinstance(error, RangeIgnoredError):
            raise error
        now = self.clock.monotonic()
        self.tally.failed(now)
        silent = self.tally.silent_seconds(now)
        delay = retry.judge(
            error,
            streak,
            self.policy,
            contacted=self.source.contacted,
            silent_seconds=silent,
            jitter=self.jitter(),
        )
        if delay is None:
            last = retry.give_up(error, streak, silent_seconds=silent)
            raise last from error.__cause__
        self.bus.tell(
            SegmentRetried(
                self.clock.time(), job.file.path, rest.start, rest.stop, error.message, delay
            )
        )
        if isinstance(error, RateLimitedError) and error.retry_after_seconds:
            self.tally.excuse(now, now + error.retry_after_seconds)
        with self.resting():
            await self.clock.sleep(delay)

    async def _request(self, piece: Piece, span: ByteRange, *, fresh: bool) -> Cut | None:
        """Make one request and write what it brings.

        Returns why it was cut from this side, where that is no failure.
        """
        job = piece.job
        if job.whole:
            span = ByteRange(0, job.file.size_bytes)
        with anyio.CancelScope() as scope:
            flow = self.line.begin(scope, silence_seconds=self.silence_seconds)
            flow.span, flow.whole = span, job.whole
            request = self.inflight.begin(piece, flow, span)
            job.enter(flow)
            self.tally.peak_connections = max(self.tally.peak_connections, self.line.busy)
            throttled: float | None = None
            failed = True
            try:
                async with self.source.open(
                    job.file, span, whole=job.whole, fresh=job.fresh or fresh
                ) as chunks:
                    flow.listen(self.clock.monotonic())
                    if job.part.hashes_inline and not job.whole:
                        await self._take_in(request, chunks)
                    else:
                        await self._receive(request, chunks)
                failed = False
            except RateLimitedError as error:
                throttled = error.retry_after_seconds or 0.0
                self.inflight.throttled_at = self.clock.monotonic()
                raise
            finally:
                self.line.end(flow, failed=failed, throttled=throttled)
                self.inflight.end(request, self.clock.monotonic())
                job.leave(flow)
        return None if flow.cut_kind is None or piece.is_stale() else self._cut(piece, flow)

    def _cut(self, piece: Piece, flow: Flow) -> Cut:
        """Tell that a connection was given up for another one.

        Raises:
            LostConnectionError: it was silent, which is a failure of the other side.
        """
        kind, path = flow.cut_kind, piece.job.file.path
        assert kind is not None
        if kind is not Cut.SURPLUS and not piece.duplicate:
            self.bus.tell(ConnectionReplaced(self.clock.time(), path, flow.cut_reason))
        if kind is Cut.SLOW:
            self.line.replaced()
        if kind is Cut.SILENT:
            self.source.note_silence(piece.job.file)
            raise LostConnectionError(f"{path}: {flow.cut_reason}")
        return kind

    async def _take_in(self, request: Request, chunks: AsyncIterator[Chunk]) -> None:
        """Receive what is held in memory: no write that takes time, nothing to claim."""
        piece, flow = request.piece, request.flow
        batch = Batch(piece.job.part)
        try:
            async for chunk in chunks:
                count = len(chunk.data)
                self._count(request, chunk, self.clock.monotonic())
                if full := batch.add(chunk):
                    await self._put(piece, full)
                if not count or len(batch.chunks) >= BATCH_CHUNKS:
                    await self._put(piece, batch)
                await self.line.limiter.take(flow, count)
        finally:
            if batch.chunks:
                await self._put(piece, batch)
            piece.job.grew()  # in a second round somebody waits for the end

    async def _receive(self, request: Request, chunks: AsyncIterator[Chunk]) -> None:
        batch = Batch(request.piece.job.part)
        written_at = self.clock.monotonic()
        patience: float | None = FLUSH_SECONDS
        try:
            async for chunk in chunks:
                now = self.clock.monotonic()
                if not chunk.data:  # the source asks for what it has lent
                    self.line.received(request.flow, 0, now)
                    await self._write(request, batch)
                    written_at = self.clock.monotonic()
                    continue
                self._count(request, chunk, now)
                for wanted in _wanted(request.piece, chunk):
                    if full := batch.add(wanted):
                        await self._write(request, full)
                if (
                    batch.size >= batch_bytes(self.line.buffers_bytes, self.line.allowed)
                    or now - written_at >= BATCH_SECONDS
                ):
                    await self._write(request, batch)
                    written_at = self.clock.monotonic()
                await self.line.limiter.take(request.flow, len(chunk.data))
                if request.is_cut_short:
                    break
            patience = None  # nobody waits for this request to be gone
        finally:
            # What has arrived is kept, also when the peer broke off or somebody cancelled.
            await self._write(request, batch, patience_seconds=patience)

    def _count(self, request: Request, chunk: Chunk, now: float) -> None:
        count = len(chunk.data)
        self.line.received(request.flow, count, now)
        if count:
            self.inflight.received(request, chunk, now)
            self.tally.received(count, now)

    async def _write(
        self, request: Request, batch: Batch, *, patience_seconds: float | None = None
    ) -> None:
        if not batch.chunks:
            return
        job, flow = request.piece.job, request.flow
        if job.part.hashes_inline:
            await self._put(request.piece, batch)  # there is nothing to wait for or to claim
            job.grew()  # in a second round somebody waits for the end
            return
        count = batch.size
        flow.pause()
        # The disk cannot be stopped half-way; a cancelled wait would only forget what it wrote.
        with self.line.writing(), anyio.move_on_after(patience_seconds, shield=True):
            await self._put(request.piece, batch)
        flow.listen(self.clock.monotonic())
        self.checkpointer.wrote(count)
        job.grew()

    async def _put(self, piece: Piece, batch: Batch) -> None:
        """Write *batch*; of what is fetched twice only what nobody wrote before."""
        if piece.job.part.hashes_inline:  # never split or raced, and takes no time
            await batch.write()
            return
        try:
            async with piece.turn:
                await (batch.write_missing() if piece.raced else batch.write())
        finally:
            batch.drop()
        if piece.raced:
            self.inflight.end_beaten(piece)


def _wanted(piece: Piece, chunk: Chunk) -> list[Chunk]:
    """Return what of *chunk* this piece is to write.

    A whole-file stream repeats what is on disk, and the end of a piece may have moved.
    """
    start = piece.job.ledger.prefix if piece.job.whole else chunk.offset
    first, last = max(start, chunk.offset), min(piece.span.stop, chunk.span.stop)
    if first == chunk.offset and last == chunk.span.stop:
        return [chunk]
    if first >= last:
        chunk.release()
        return []
    data = memoryview(chunk.data)[first - chunk.offset : last - chunk.offset]
    return [Chunk(first, data, chunk.release)]

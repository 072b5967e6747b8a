"""One segment from request to written bytes, however many requests that takes.

Each turn of the loop either gains bytes or counts a failure, so it cannot spin; what a broken
connection had brought is kept.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field

import anyio

from hfdl_async.core import retry
from hfdl_async.core.events import ConnectionReplaced, SegmentRetried
from hfdl_async.core.ledger import CELL_BYTES
from hfdl_async.core.model import MIB, ByteRange, Chunk
from hfdl_async.engine.bus import Bus
from hfdl_async.engine.checkpoint import Checkpointer
from hfdl_async.engine.filejob import FileJob
from hfdl_async.engine.line import Flow, Line
from hfdl_async.engine.ports import Clock, Part, Source
from hfdl_async.engine.schedule import Piece
from hfdl_async.engine.tally import Tally
from hfdl_async.errors import (
    HfdlError,
    LostConnectionError,
    RangeIgnoredError,
    RateLimitedError,
)

WRITE_BATCH_BYTES = 4 * MIB  # of one thread hop: half costs 5 % more CPU, twice gains nothing
BATCH_SECONDS = 1.0  # on a slow line what has come is written before its batch is full
BATCH_CHUNKS = 64  # of a small file: what drips in must not be kept drop by drop
FLUSH_SECONDS = 2.0


def batch_bytes(buffers_bytes: int, connections: int) -> int:
    """Return how much one connection gathers before it writes.

    All of them together gather half of the *buffers_bytes* there are; the rest is being filled.
    """
    return max(1, min(WRITE_BATCH_BYTES, buffers_bytes // (2 * max(1, connections))))


@dataclass(slots=True)
class _Batch:
    """Chunks that lie one behind the other, on their way to one write."""

    part: Part
    chunks: list[Chunk] = field(default_factory=list)
    size: int = 0

    def add(self, chunk: Chunk) -> _Batch | None:
        """Take *chunk* in; where it does not follow, return what was there and begin anew."""
        full = None
        if self.chunks and self.chunks[-1].span.stop != chunk.offset:
            full = _Batch(self.part, self.chunks, self.size)
            self.chunks, self.size = [], 0
        self.chunks.append(chunk)
        self.size += len(chunk.data)
        return full

    async def write(self) -> None:
        """Write what was gathered and give every lease back, whatever happens."""
        chunks, self.chunks, self.size = self.chunks, [], 0
        try:
            await self.part.write(chunks[0].offset, [chunk.data for chunk in chunks])
        finally:
            for chunk in chunks:
                chunk.release()


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
    resting: Callable[[], AbstractContextManager[None]] = nullcontext  # around a wait for a retry

    async def fetch(self, piece: Piece) -> None:
        """Bring *piece* onto the disk.

        Returns early when the job ended or started over meanwhile.

        Raises:
            HfdlError: the piece cannot be had; retries are used up or useless.
        """
        job, streak = piece.job, retry.Streak()
        while not piece.is_stale() and (gap := job.gap(piece.span)):
            try:
                async with self.line.permit():
                    if not piece.is_stale():
                        await self._request(piece, gap)
                if not piece.is_stale() and job.gap(piece.span) == gap:
                    raise LostConnectionError(f"{job.file.path}: the stream ended at once")
            except HfdlError as error:
                if piece.is_stale() or (rest := job.gap(piece.span)) is None:
                    return
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

    async def _request(self, piece: Piece, span: ByteRange) -> None:
        """Make one request and write what it brings."""
        job = piece.job
        if job.whole:
            span = ByteRange(0, job.file.size_bytes)
        with anyio.CancelScope() as scope:
            flow = self.line.begin(scope, silence_seconds=self.silence_seconds)
            job.enter(flow)
            self.tally.peak_connections = max(self.tally.peak_connections, self.line.busy)
            throttled: float | None = None
            failed = True
            try:
                async with self.source.open(
                    job.file, span, whole=job.whole, fresh=job.fresh
                ) as chunks:
                    flow.listen(self.clock.monotonic())
                    if job.part.hashes_inline and not job.whole:
                        await self._take_in(job, flow, chunks)
                    else:
                        await self._receive(job, flow, chunks)
                failed = False
            except RateLimitedError as error:
                throttled = error.retry_after_seconds or 0.0
                raise
            finally:
                self.line.end(flow, failed=failed, throttled=throttled)
                job.leave(flow)
        if flow.cut_reason and not piece.is_stale():
            reason = f"{job.file.path}: {flow.cut_reason}"
            self.bus.tell(ConnectionReplaced(self.clock.time(), job.file.path, flow.cut_reason))
            raise LostConnectionError(reason)

    async def _take_in(self, job: FileJob, flow: Flow, chunks: AsyncIterator[Chunk]) -> None:
        """Receive what is held in memory: no write that takes time, nothing to claim."""
        batch = _Batch(job.part)
        try:
            async for chunk in chunks:
                now, count = self.clock.monotonic(), len(chunk.data)
                self.line.received(flow, count, now)
                self.tally.received(count, now)
                if full := batch.add(chunk):
                    await full.write()
                if not count or len(batch.chunks) >= BATCH_CHUNKS:
                    await batch.write()
        finally:
            if batch.chunks:
                await batch.write()
            job.grew()  # in a second round somebody waits for the end

    async def _receive(self, job: FileJob, flow: Flow, chunks: AsyncIterator[Chunk]) -> None:
        batch = _Batch(job.part)
        written_at = self.clock.monotonic()
        patience: float | None = FLUSH_SECONDS
        try:
            async for chunk in chunks:
                now = self.clock.monotonic()
                self.line.received(flow, len(chunk.data), now)
                if not chunk.data:  # the source asks for what it has lent
                    await self._write(job, flow, batch)
                    written_at = self.clock.monotonic()
                    continue
                self.tally.received(len(chunk.data), now)
                for piece in self._wanted(job, chunk) if job.whole else (chunk,):
                    if full := batch.add(piece):
                        await self._write(job, flow, full)
                if (
                    batch.size >= batch_bytes(self.line.buffers_bytes, self.line.allowed)
                    or now - written_at >= BATCH_SECONDS
                ):
                    await self._write(job, flow, batch)
                    written_at = self.clock.monotonic()
            patience = None  # nobody waits for this request to be gone
        finally:
            # What has arrived is kept, also when the peer broke off or somebody cancelled.
            await self._write(job, flow, batch, patience_seconds=patience)

    def _wanted(self, job: FileJob, chunk: Chunk) -> list[Chunk]:
        """Return what of *chunk* is not on disk yet: a whole-file stream repeats the prefix."""
        known = job.ledger.prefix
        if chunk.offset >= known:
            return [chunk]
        if chunk.span.stop <= known:
            chunk.release()
            return []
        data = memoryview(chunk.data)[known - chunk.offset :]
        return [Chunk(known, data, chunk.release)]

    async def _write(
        self, job: FileJob, flow: Flow, batch: _Batch, *, patience_seconds: float | None = None
    ) -> None:
        if not batch.chunks:
            return
        if job.part.hashes_inline:
            await batch.write()  # into memory: there is nothing to wait for or to claim
            job.grew()  # in a second round somebody waits for the end
            return
        count = batch.size
        flow.pause()
        # The disk cannot be stopped half-way; a cancelled wait would only forget what it wrote.
        with anyio.move_on_after(patience_seconds, shield=True):
            await batch.write()
        flow.listen(self.clock.monotonic())
        self.checkpointer.wrote(count)
        job.grew()


assert WRITE_BATCH_BYTES <= CELL_BYTES

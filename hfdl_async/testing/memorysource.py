"""A source by script: contents in memory, and per request how it goes wrong."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

import anyio
from anyio.lowlevel import checkpoint

from hfdl_async.core.model import ByteRange, Chunk, RemoteFile, RequestCounts
from hfdl_async.errors import (
    HfdlError,
    LostConnectionError,
    NotFoundError,
    RangeIgnoredError,
)
from hfdl_async.testing.clock import ManualClock


@dataclass(frozen=True, slots=True)
class Turn:
    """How one request goes: *serve* bytes arrive (None: all), then it ends as *then* says.

    `then` is an error to raise, "end" to stop without one, or "stall" to say nothing for ever.
    `chunk_seconds` is how long each chunk takes, where that is not as for the others.
    """

    serve: int | None = None
    then: HfdlError | str = "end"
    chunk_seconds: float | None = None


GOOD = Turn()


def broken(after: int) -> Turn:
    """Return a request whose connection is lost after so many bytes."""
    return Turn(after, LostConnectionError("the connection was reset"))


def refused(error: HfdlError) -> Turn:
    """Return a request that is answered with *error*."""
    return Turn(0, error)


def short(after: int) -> Turn:
    """Return a request whose stream ends early as if nothing were wrong."""
    return Turn(after, "end")


def stalled(after: int) -> Turn:
    """Return a request that falls silent after so many bytes."""
    return Turn(after, "stall")


def slow(chunk_seconds: float) -> Turn:
    """Return a request whose chunks take so long each."""
    return Turn(chunk_seconds=chunk_seconds)


@dataclass(frozen=True, slots=True)
class Asked:
    """One request as the source saw it."""

    path: str
    span: ByteRange
    whole: bool = False
    fresh: bool = False


@dataclass(slots=True)
class _Spoilt:
    offset: int
    times: int


class MemorySource:
    """A source over contents in memory; fits `engine.ports.Source`.

    Attributes:
        asked: every request, in order.
        leases: chunks that were handed out and not released.
        peak_leased_bytes: the most bytes that were handed out at once.
        peak_requests: the most requests that were open at once.
        ignores_ranges: paths of which only whole files can be had.
        contacted: whether anything was answered.
        silent: of which files a request was said to be silent.

    Args:
        contents: what each path holds.
        chunk_bytes: how much arrives at once.
        backwards: the chunks of a request arrive last first.
        clock: with it, each chunk takes `chunk_seconds`.
        most_leased_bytes: the memory it has; when that is given out it asks for some back.
    """

    def __init__(
        self,
        contents: Mapping[str, bytes],
        *,
        chunk_bytes: int = 4,
        backwards: bool = False,
        clock: ManualClock | None = None,
        chunk_seconds: float = 0.0,
        most_leased_bytes: int | None = None,
    ) -> None:
        self.contents = dict(contents)
        self.asked: list[Asked] = []
        self.leases = 0
        self.leased_bytes = self.peak_leased_bytes = 0
        self.open_requests = self.peak_requests = 0
        self.ignores_ranges: set[str] = set()
        self.contacted = False
        self.hold = ""
        self.silent: list[str] = []
        self.allowance: tuple[int, float] | None = None
        self._chunk_bytes = chunk_bytes
        self._backwards = backwards
        self._clock = clock
        self._chunk_seconds = chunk_seconds
        self._most_leased_bytes = most_leased_bytes
        self._turns: defaultdict[str, deque[Turn]] = defaultdict(deque)
        self._last_turn: dict[str, Turn] = {}
        self._spoilt: defaultdict[str, list[_Spoilt]] = defaultdict(list)

    def script(self, path: str, *turns: Turn, then: Turn = GOOD) -> None:
        """Let the next requests for *path* go as *turns* say, and all later ones as *then*."""
        self._turns[path].extend(turns)
        self._last_turn[path] = then

    def spoil(self, path: str, offset: int, *, times: int = 1) -> None:
        """Flip a bit at *offset* the next so many times that byte is sent."""
        self._spoilt[path].append(_Spoilt(offset, times))

    def spans(self, path: str) -> list[ByteRange]:
        """Return what was asked for of *path*, in order."""
        return [asked.span for asked in self.asked if asked.path == path]

    def requests(self) -> RequestCounts:
        """Return how many requests were made so far."""
        return RequestCounts(data=len(self.asked))

    def note_silence(self, file: RemoteFile) -> None:
        """Remember it in `silent`."""
        self.silent.append(file.path)

    def describe_hold(self) -> str:
        """Return what a test put into `hold`."""
        return self.hold

    def quota(self) -> tuple[int, float] | None:
        """Return what a test put into `allowance`."""
        return self.allowance

    @asynccontextmanager
    async def open(
        self, file: RemoteFile, span: ByteRange, *, whole: bool = False, fresh: bool = False
    ) -> AsyncIterator[AsyncIterator[Chunk]]:
        """Ask for *span* of *file*, by script."""
        self.asked.append(Asked(file.path, span, whole, fresh))
        turns = self._turns[file.path]
        turn = turns.popleft() if turns else self._last_turn.get(file.path, GOOD)
        self.open_requests += 1
        self.peak_requests = max(self.peak_requests, self.open_requests)
        chunks = self._chunks(file.path, span, turn)
        try:
            await checkpoint()
            if turn.serve == 0 and isinstance(turn.then, HfdlError):
                self.contacted |= not isinstance(turn.then, LostConnectionError)
                raise turn.then
            self.contacted = True
            if file.path not in self.contents:
                raise NotFoundError(f"{file.path}: there is no such file")
            if file.path in self.ignores_ranges and not whole:
                raise RangeIgnoredError(f"{file.path}: the server sends whole files only")
            yield chunks
        finally:
            self.open_requests -= 1
            await chunks.aclose()  # type: ignore[attr-defined]

    async def _chunks(self, path: str, span: ByteRange, turn: Turn) -> AsyncIterator[Chunk]:
        content = self.contents[path]
        stop = span.stop if turn.serve is None else min(span.stop, span.start + turn.serve)
        cuts = range(span.start, stop, self._chunk_bytes)
        for start in reversed(cuts) if self._backwards else cuts:
            if self._clock is None:
                await checkpoint()
            else:
                own = turn.chunk_seconds
                await self._clock.sleep(self._chunk_seconds if own is None else own)
            end = min(start + self._chunk_bytes, stop)
            while self._is_short(end - start):
                yield Chunk(start, b"")
                await checkpoint()
            yield self._lease(path, start, bytearray(content[start:end]))
        if turn.then == "stall":
            await anyio.sleep_forever()
        if isinstance(turn.then, HfdlError):
            raise turn.then

    def _is_short(self, wanted: int) -> bool:
        most = self._most_leased_bytes
        return most is not None and self.leased_bytes + wanted > most

    def _lease(self, path: str, start: int, data: bytearray) -> Chunk:
        for spoilt in self._spoilt[path]:
            if spoilt.times and start <= spoilt.offset < start + len(data):
                spoilt.times -= 1
                data[spoilt.offset - start] ^= 1
        size, released = len(data), False
        self.leases += 1
        self.leased_bytes += size
        self.peak_leased_bytes = max(self.peak_leased_bytes, self.leased_bytes)

        def release() -> None:
            nonlocal released
            assert not released, f"{path}: the chunk at {start} was released twice"
            released = True
            data[:] = bytes(size)  # a real buffer holds something else by now
            self.leases -= 1
            self.leased_bytes -= size

        return Chunk(start, memoryview(data), release)

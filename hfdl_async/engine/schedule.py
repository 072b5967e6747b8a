"""Which file is opened next and which piece is fetched next. Nothing here waits for I/O.

Small files come first. Big ones are fetched front to back, so that hashing can follow: as many side
by side as there are connections, and where those are more than files, evenly shared. What one
connection brings of a file is in order, and several files are hashed at once. There is no barrier:
a worker without a small file left goes on with the big ones, and at the very end the idle help
with small files that are worth cutting.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import anyio

from hfdl_async.core.control.config import SMALL_REQUEST_BYTES
from hfdl_async.core.model import ByteRange, PlannedFile
from hfdl_async.core.pieces import PIECE_BYTES, front_of
from hfdl_async.engine.filejob import FileJob
from hfdl_async.engine.wakeup import Wakeup

BIG_FILES_AT_ONCE = 8  # more are no quicker, and each may be left unfinished


@dataclass(frozen=True, slots=True)
class Opening:
    """Work: open the part of this job."""

    job: FileJob


@dataclass(slots=True, eq=False)
class Piece:
    """Work: fetch this span, as long as the job is still in this epoch.

    At the end of a download its end may move forward while it is fetched, because another piece
    took over the rest, or a duplicate may be fetched beside it.

    Attributes:
        raced: there is a duplicate, or this is one: what is on disk already is not written again.
        duplicate: this is the second one; if it fails nothing is lost.
    """

    job: FileJob
    span: ByteRange
    epoch: int
    raced: bool = False
    duplicate: bool = False
    _turn: anyio.Lock | None = None

    @property
    def turn(self) -> anyio.Lock:
        """To be held while writing: pieces that came out of one another may share a cell."""
        if self._turn is None:
            self._turn = anyio.Lock(fast_acquire=True)
        return self._turn

    def is_stale(self) -> bool:
        """Whether the job has ended or started over since."""
        return self.job.ended or self.job.epoch != self.epoch

    def split_at(self, border: int) -> Piece:
        """Give up everything from *border* on; return that as a piece of its own."""
        rest = Piece(self.job, ByteRange(border, self.span.stop), self.epoch, _turn=self.turn)
        self.span = ByteRange(self.span.start, border)
        return rest

    def twin_from(self, start: int) -> Piece:
        """Return a duplicate of everything from *start* on."""
        self.raced = True
        span = ByteRange(start, self.span.stop)
        return Piece(self.job, span, self.epoch, raced=True, duplicate=True, _turn=self.turn)


class Schedule:
    """The files of one download, from waiting through open to done."""

    def __init__(self, items: Iterable[PlannedFile], *, threshold_bytes: int) -> None:
        self._threshold = threshold_bytes
        self._waiting_small: deque[PlannedFile] = deque()
        self._waiting_big: deque[PlannedFile] = deque()
        self.tiny_waiting = 0  # files that are not begun and are less bytes than round trips
        self._opening_big = 0
        self._jobs: dict[str, FileJob] = {}
        self._with_pieces: dict[str, FileJob] = {}
        self._given: deque[Piece] = deque()
        self._idle = 0
        self._changed = Wakeup()
        self._idled = Wakeup()
        self._closed = False
        for item in items:
            self.add(item)

    def add(self, item: PlannedFile) -> None:
        """Queue a file behind those that wait already."""
        small = item.file.size_bytes < self._threshold
        (self._waiting_small if small else self._waiting_big).append(item)
        self.tiny_waiting += _is_tiny(item)
        self._changed.wake()

    def jobs(self) -> Iterator[FileJob]:
        """Yield the jobs that are open or opening."""
        yield from self._jobs.values()

    def take(
        self,
        last: FileJob | None = None,
        *,
        connections: int = 1,
        most_bytes: Callable[[], int] = lambda: PIECE_BYTES,
    ) -> Opening | Piece | None:
        """Return the next work, or None for now. A piece goes to `done` when its worker leaves it.

        Args:
            last: what the worker that asks has just worked on.
            connections: how many there may be: so many big files are fetched side by side.
            most_bytes: how much of a big file to take at once; not asked for a small one.
        """
        while self._given:
            if not (piece := self._given.popleft()).is_stale():
                piece.job.workers += 1
                return piece
        if last and last.small and last.file.path in self._with_pieces:
            return self._next_piece(last)
        if self._waiting_small:
            return self._begin(self._waiting_small.popleft(), small=True)
        return self._next_of_big(last, connections, most_bytes) or self._next_of_small()

    def _next_of_big(
        self, last: FileJob | None, connections: int, most_bytes: Callable[[], int]
    ) -> Opening | Piece | None:
        """Return a piece of a file that nobody works on, or a file to open, or any piece."""
        big = [job for job in self._with_pieces.values() if not job.small]
        job = min(big, key=lambda job: (job.workers, job is not last), default=None)
        if job is None or job.workers:
            most = min(connections, BIG_FILES_AT_ONCE)
            if self._waiting_big and self._opening_big + len(big) < most:
                self._opening_big += 1
                return self._begin(self._waiting_big.popleft(), small=False)
        return None if job is None else self._next_piece(job, most_bytes())

    def _next_of_small(self) -> Piece | None:
        job = next(iter(self._with_pieces.values()), None)
        return None if job is None else self._next_piece(job)

    def _begin(self, item: PlannedFile, *, small: bool) -> Opening:
        self.tiny_waiting -= _is_tiny(item)
        job = FileJob(item, small=small)
        self._jobs[item.file.path] = job
        return Opening(job)

    def _next_piece(self, job: FileJob, most_bytes: int | None = None) -> Piece:
        span = job.untaken.popleft()
        if most_bytes is not None and not job.whole:
            front = front_of(span, most_bytes)
            if rest := ByteRange(front.stop, span.stop):
                job.untaken.appendleft(rest)
            span = front
        piece = Piece(job, span, job.epoch)
        job.workers += 1
        if not job.untaken:
            del self._with_pieces[job.file.path]
        return piece

    def done(self, piece: Piece) -> None:
        """Note that the worker that took *piece* has left it."""
        piece.job.workers -= 1

    def opened(self, job: FileJob) -> None:
        """Note that opening ended, well or not."""
        if not job.small:
            self._opening_big -= 1
        self.offer(job)

    def offer(self, job: FileJob) -> None:
        """Put the job's pieces up for taking."""
        if job.untaken and not job.ended:
            self._with_pieces[job.file.path] = job
        self._changed.wake()

    def give(self, piece: Piece) -> None:
        """Put up a piece that somebody began: it is taken before all others."""
        self._given.append(piece)
        self._changed.wake()

    @property
    def idle_workers(self) -> int:
        """How many workers wait because nothing is left to begin; none while there may be more."""
        more = self._given or self._with_pieces or self._waiting_small or self._waiting_big
        return 0 if more or self._opening_big else self._idle

    async def wait_for_idle(self) -> None:
        """Wait until a worker is idle because nothing is left to begin."""
        while not self.idle_workers:
            await self._idled.wait()

    def withdraw(self, job: FileJob) -> None:
        """Take the job's pieces back; none of them will be handed out."""
        job.untaken.clear()
        self._with_pieces.pop(job.file.path, None)

    def drop(self, job: FileJob) -> None:
        """Forget a job that has ended."""
        self.withdraw(job)
        self._jobs.pop(job.file.path, None)

    def drop_waiting(self) -> None:
        """Forget every file that was not begun."""
        self._waiting_small.clear()
        self._waiting_big.clear()
        self.tiny_waiting = 0

    def close(self) -> None:
        """Send the workers home."""
        self._closed = True
        self._changed.wake()

    async def wait(self) -> bool:
        """Wait until there may be new work; False when there will never be any."""
        if not self._closed:
            self._idle += 1
            self._idled.wake()
            try:
                await self._changed.wait()
            finally:
                self._idle -= 1
        return not self._closed


def _is_tiny(item: PlannedFile) -> bool:
    return item.file.size_bytes < SMALL_REQUEST_BYTES

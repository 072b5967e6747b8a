"""Which file is opened next and which piece is fetched next. Nothing here waits for I/O.

Small files come first; big ones are fetched front to back by all workers, so that hashing can
follow. There is no barrier: a worker without a small file left goes on with the big ones, and at
the very end the idle help with small files that are worth cutting.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from hfdl_async.core.model import ByteRange, PlannedFile
from hfdl_async.engine.filejob import FileJob
from hfdl_async.engine.wakeup import Wakeup

OPENING_BIG_FILES = 2  # the next one is made ready while the present one still has pieces


@dataclass(frozen=True, slots=True)
class Opening:
    """Work: open the part of this job."""

    job: FileJob


@dataclass(frozen=True, slots=True)
class Piece:
    """Work: fetch this span, as long as the job is still in this epoch."""

    job: FileJob
    span: ByteRange
    epoch: int

    def is_stale(self) -> bool:
        """Whether the job has ended or started over since."""
        return self.job.ended or self.job.epoch != self.epoch


class Schedule:
    """The files of one download, from waiting through open to done."""

    def __init__(self, items: Iterable[PlannedFile], *, threshold_bytes: int) -> None:
        self._threshold = threshold_bytes
        self._waiting_small: deque[PlannedFile] = deque()
        self._waiting_big: deque[PlannedFile] = deque()
        self._opening_big = 0
        self._jobs: dict[str, FileJob] = {}
        self._with_pieces: dict[str, FileJob] = {}
        self._changed = Wakeup()
        self._closed = False
        for item in items:
            self.add(item)

    def add(self, item: PlannedFile) -> None:
        """Queue a file behind those that wait already."""
        small = item.file.size_bytes < self._threshold
        (self._waiting_small if small else self._waiting_big).append(item)
        self._changed.wake()

    def jobs(self) -> Iterator[FileJob]:
        """Yield the jobs that are open or opening."""
        yield from self._jobs.values()

    def take(self, last: FileJob | None = None) -> Opening | Piece | None:
        """Return the next work for a worker that just worked on *last*, or None for now."""
        if last and last.small and last.file.path in self._with_pieces:
            return self._next_piece(last)
        if self._waiting_small:
            return self._begin(self._waiting_small.popleft(), small=True)
        for big in (True, False):
            for job in self._with_pieces.values():
                if job.small is not big:
                    return self._next_piece(job)
            if big and self._waiting_big and self._opening_big < OPENING_BIG_FILES:
                self._opening_big += 1
                return self._begin(self._waiting_big.popleft(), small=False)
        return None

    def _begin(self, item: PlannedFile, *, small: bool) -> Opening:
        job = FileJob(item, small=small)
        self._jobs[item.file.path] = job
        return Opening(job)

    def _next_piece(self, job: FileJob) -> Piece:
        piece = Piece(job, job.untaken.popleft(), job.epoch)
        if not job.untaken:
            del self._with_pieces[job.file.path]
        return piece

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

    def close(self) -> None:
        """Send the workers home."""
        self._closed = True
        self._changed.wake()

    async def wait(self) -> bool:
        """Wait until there may be new work; False when there will never be any."""
        if not self._closed:
            await self._changed.wait()
        return not self._closed

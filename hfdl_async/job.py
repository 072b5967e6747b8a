"""One download as a caller holds it: wait for it, watch it, leave it.

Theory of operation. The work of a download runs as a child of its `Downloader`'s task group and
never in the frame of a caller; callers hold `Job`s, handles on the same `Work`. A caller that is
cancelled, or leaves the `async with` block, lets go of its handle. The work itself stops when the
last handle is gone, saves its state, and only then does letting go return.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from types import TracebackType

import anyio

from hfdl_async.core.events import Event, Finished
from hfdl_async.core.model import Report
from hfdl_async.core.progress import Snapshot
from hfdl_async.engine.bus import Bus, Listener
from hfdl_async.engine.ports import Clock
from hfdl_async.engine.tally import Tally
from hfdl_async.errors import HfdlError

if sys.version_info < (3, 11):
    from exceptiongroup import BaseExceptionGroup

STOP_SECONDS = 10.0  # saving takes under three; this only bounds a disk that hangs


class Work:
    """What several jobs may share: one run, its counters, its facts, its end."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.bus = Bus(self.abandon)
        self.tally = Tally(clock.monotonic())
        self.scope = anyio.CancelScope()
        self.done = anyio.Event()
        self.report: Report | None = None
        self.error: BaseException | None = None
        self.completed = False
        self.holders = 0

    def abandon(self, error: BaseException) -> None:
        """Stop the run because of *error*, which those who wait for it get: not one of ours."""
        if self.error is None:
            self.error = error
        self.scope.cancel()

    @contextmanager
    def catching(self) -> Iterator[None]:
        """Keep what is raised in here for those who wait: an `HfdlError`, or a bug of ours.

        Either must reach them, and neither may take other downloads along.
        """
        try:
            yield
        except Exception as error:  # noqa: BLE001
            self.error = self.error or only_error(error)

    def end(self) -> None:
        """Note that the run is over; `done` is set by whoever carries it out."""
        if self.error is None and not self.completed:
            self.error = asyncio.CancelledError("cancelled; the state is saved")
        self.tally.phase = "done"

    def conclude(self, report: Callable[[BaseException | None], Report]) -> None:
        """End a download: make its report, and tell it."""
        self.end()
        self.report = report(self.error)
        if isinstance(self.error, HfdlError):
            self.error.report = self.report
        self.bus.tell(Finished(self.clock.time(), self.report))

    async def wait_or_stop(self) -> None:
        """Wait for the end; if that is cut short, stop the run and wait for it to have saved."""
        try:
            await self.done.wait()
        finally:
            await self.stop()

    async def stop(self) -> None:
        """Cancel the run and return when it has stopped."""
        if not self.done.is_set():
            self.scope.cancel()
            with anyio.move_on_after(STOP_SECONDS, shield=True):
                await self.done.wait()

    def snapshot(self) -> Snapshot:
        """Return a frozen view of the run."""
        return self.tally.snapshot(self.clock.monotonic())


class Job:
    """A handle on one download of a `Downloader`.

    Attributes:
        report: what was achieved; set when the run has ended, however it ended.
    """

    def __init__(self, work: Work, on_event: Listener | None = None) -> None:
        self._work = work
        self._on_event = on_event
        self._released = False
        work.holders += 1
        if on_event is not None:
            work.bus.listen(on_event)

    async def __aenter__(self) -> Job:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.cancel()

    @property
    def report(self) -> Report | None:
        """What was achieved, once the run has ended."""
        return self._work.report

    def snapshot(self) -> Snapshot:
        """Return a frozen view of how far the download is."""
        return self._work.snapshot()

    def events(self) -> AsyncIterator[Event]:
        """Iterate over the facts from the first to `Finished`; a slow reader may lose `Progress`.

        Several may read at once, and leaving early disturbs nobody.
        """
        return self._work.bus.read()

    async def wait(self) -> Report:
        """Wait for the end and return the report.

        Raises:
            HfdlError: the download failed, in part or as a whole; the error has the `report`.
            asyncio.CancelledError: the download was cancelled.
        """
        await self._work.done.wait()
        if self._work.error is not None:
            raise self._work.error
        assert self._work.report is not None
        return self._work.report

    async def cancel(self) -> None:
        """Let go of the download; it stops and saves its state when nobody else holds it.

        Returns when it has stopped. Harmless after the end, and when called twice.
        """
        if not self._released:
            self._released = True
            self._work.holders -= 1
            if self._on_event is not None:
                self._work.bus.unlisten(self._on_event)
        if self._work.holders == 0:
            await self._work.stop()


async def until_cancelled(job: Job) -> Report:
    """Wait for *job* and return its report; if that is cut short, let go of it first."""
    try:
        return await job.wait()
    finally:
        await job.cancel()


def only_error(error: BaseException) -> BaseException:
    """Return the error inside groups of one, however deep: no group reaches a user."""
    while isinstance(error, BaseExceptionGroup) and error.exceptions:
        error = error.exceptions[0]
    return error

"""The one place that wires things: a `Downloader` and the downloads it carries out.

Theory of operation. A `Downloader` owns one supervisor task, and that task owns the task group in
which everything runs: the line's ticks and a child for each download. Callers never own any of
it; they hold `Job`s. Connections, permits and host holds are shared by all its downloads.
"""

from __future__ import annotations

import asyncio
import os
import random
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from os import PathLike
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, TypeVar, cast

import anyio

from hfdl_async.asking import Services
from hfdl_async.checking import Checked, check_cached, check_folder
from hfdl_async.core import events
from hfdl_async.core.model import Plan, Report
from hfdl_async.core.options import DownloadOptions, Options, overlaid, parse_bandwidth
from hfdl_async.core.timetable import Limit
from hfdl_async.core.verdict import VerifyReport
from hfdl_async.destination import find_cache
from hfdl_async.disk.status import StatusReport, read_status
from hfdl_async.display import Display, choose
from hfdl_async.drawing import Drawing
from hfdl_async.engine.bus import Listener
from hfdl_async.engine.limiter import Limiter
from hfdl_async.errors import HfdlError, UsageError
from hfdl_async.job import Job, Work, until_cancelled
from hfdl_async.lines import Lines, Terms
from hfdl_async.net.transport import Transport
from hfdl_async.preparing import Preparation
from hfdl_async.running import Download
from hfdl_async.target import Request, find_target

if TYPE_CHECKING:
    from typing_extensions import Unpack

__all__ = ["Downloader", "Job", "download", "plan", "status", "verify"]

Files = str | Iterable[str] | None
T = TypeVar("T")
_OF_ALL = frozenset(  # options of a downloader, not of one download
    {"connections", "trace_controller", "memory", "bandwidth", "speed_test_duration"}
)


class SystemClock:
    """Real time."""

    def monotonic(self) -> float:
        """Return seconds that never jump."""
        return time.monotonic()

    def time(self) -> float:
        """Return UNIX seconds."""
        return time.time()

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await anyio.sleep(seconds)


class Downloader:
    """Downloads that share connections, limits and patience. An async context manager.

    Args:
        display: draws the progress of every download that brings none of its own.
        options: what holds for every download; each may override it. `connections`, `memory` and
            `bandwidth` count for all of them together.

    Raises:
        UsageError: an option that cannot be.
    """

    def __init__(
        self, *, display: Display | None = None, **options: Unpack[DownloadOptions]
    ) -> None:
        self._values: Mapping[str, object] = options
        self._options = Options.parse(options)
        self._display = display
        self._clock = SystemClock()
        self._bandwidth = options.get("bandwidth")
        self._limiter: Limiter | None = None
        self._works: dict[Request, Work] = {}
        self._supervisor: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Downloader:
        self._ready, self._closing = anyio.Event(), anyio.Event()
        # The one task of ours that is not a child of a group: it owns the group.
        self._supervisor = asyncio.create_task(self._supervise(), name="hfdl downloader")
        try:
            await self._ready.wait()
        except BaseException:
            await self._close()  # nobody will leave what was not entered
            raise
        if self._supervisor.done():
            self._supervisor.result()  # it could not even begin
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._supervisor is not None
        await self._close()
        self._supervisor.result()

    async def _close(self) -> None:
        assert self._supervisor is not None
        self._closing.set()
        with anyio.CancelScope(shield=True):
            await asyncio.wait([self._supervisor])  # unlike awaiting it, never cancels it

    async def _supervise(self) -> None:
        try:
            terms = self._terms()
            trace = await terms.begin_trace()
            async with (
                Transport(
                    self._clock,
                    connections=terms.most,
                    memory_bytes=self._options.memory_bytes,
                    on_hold=self._on_hold,
                ) as transport,
                anyio.create_task_group() as group,
            ):
                self._group = group
                self._services = Services(transport, self._clock, random.random)
                self._limiter = Limiter(
                    self._clock,
                    parse_bandwidth(self._bandwidth),
                    minute_of_day=_minute_of_day,
                    first_seconds=self._options.speed_test_seconds,
                    on_reads=transport.limit_reads,
                )
                self._lines = Lines(terms, self._clock, self._limiter, group, trace)
                self._ready.set()
                await self._closing.wait()
                group.cancel_scope.cancel()
        finally:
            self._limiter = None
            self._ready.set()

    @property
    def bandwidth(self) -> int | float | str | None:
        """The limit for all downloads together, as it was given; set it to change it at once.

        A rate such as `5MB`, a percentage of the measured line such as `80%` or 80, a timetable
        such as `08:00,5MB 19:00,off`; None or `off` for no limit. Set it on the loop's own thread.

        Raises:
            UsageError: what it is set to is none of these.
        """
        return self._bandwidth

    @bandwidth.setter
    def bandwidth(self, value: int | float | str | None) -> None:
        parsed = parse_bandwidth(value)
        self._bandwidth = value
        if self._limiter is not None:
            self._limiter.set_bandwidth(parsed)

    def _terms(self) -> Terms:
        options = self._options
        bandwidth = options.bandwidth
        return Terms(
            most=options.ceiling(_cores()),
            hint=options.connections,
            is_polite=isinstance(bandwidth, Limit) and bandwidth.percent is not None,
            buffers_bytes=options.memory_bytes,
            trace=options.trace_controller,
            seed=lambda: int.from_bytes(os.urandom(8), "big"),
            cores=_cores(),
        )

    # -- what callers do -------------------------------------------------------------------

    def start(
        self,
        repo: str,
        files: Files = None,
        *,
        display: Display | None = None,
        on_event: Listener | None = None,
        **options: Unpack[DownloadOptions],
    ) -> Job:
        """Start a download and return the job; leaving the job's block cancels and saves.

        Two equal downloads of one downloader share one run; it ends when both have let go.

        Raises:
            UsageError: an option that cannot be.
            RuntimeError: the downloader was not entered, or is closed.
        """
        request = self._request(repo, files, options)
        return self._launch(request, display or self._display, on_event)

    async def download(
        self,
        repo: str,
        files: Files = None,
        *,
        display: Display | None = None,
        on_event: Listener | None = None,
        **options: Unpack[DownloadOptions],
    ) -> Report:
        """Download *repo*, or some *files* of it, and return the report.

        Raises:
            HfdlError: it failed, in part or as a whole; `report` says how far it came.
            asyncio.CancelledError: the caller was cancelled; the state is saved.
        """
        job = self.start(repo, files, display=display, on_event=on_event, **options)
        return await until_cancelled(job)

    async def plan(
        self,
        repo: str,
        files: Files = None,
        *,
        display: Display | None = None,
        **options: Unpack[DownloadOptions],
    ) -> Plan:
        """Return what `download` would do; writes nothing and fetches no content.

        Raises:
            HfdlError: there can be no plan (no access, no such repo, nothing selected).
        """
        request = self._request(repo, files, options)

        async def steps(work: Work) -> Plan:
            target = await anyio.to_thread.run_sync(find_target, request)
            return await Preparation(request, target, self._services, work.tally).plan()

        return await self._aside(steps, title=repo, display=display)

    async def verify(
        self,
        target: str | PathLike[str],
        *,
        repair: bool = False,
        offline: bool = False,
        display: Display | None = None,
        **options: Unpack[DownloadOptions],
    ) -> VerifyReport:
        """Re-check a folder by content and return what was found.

        Args:
            target: the folder of an earlier download; with `cache` or `cache_dir` a repo.
            repair: fetch again what is bad or missing, as little of it as possible.
            offline: compare with our receipts only, and ask nobody.
            display: draws the progress.
            options: `endpoint`, `token`, `allow` and the network's options.

        Raises:
            NotFoundError: nothing was downloaded there by us.
            HfdlError: the Hub cannot be asked, or the disk cannot be read.
        """
        values = Options.parse(overlaid(self._values, options))

        async def steps(work: Work) -> Checked:
            cache = await anyio.to_thread.run_sync(find_cache, values)
            services, tally = self._services, work.tally
            if cache is not None:
                name = os.fspath(target)
                return await check_cached(name, cache, values, services, tally, offline=offline)
            path = Path(os.path.abspath(target))  # noqa: ASYNC240 - looks at no disk
            return await check_folder(path, values, services, tally, offline=offline)

        checked = await self._aside(steps, title=str(target), display=display)
        if not (repair and checked.repairable):
            return checked.report
        job = self._launch(checked.repair_request(values), display or self._display, None)
        failure: HfdlError | None = None
        try:
            await until_cancelled(job)
        except HfdlError as error:
            failure = error
        return checked.after_repair(job.report, failure)

    def _request(self, repo: str, files: Files, options: Mapping[str, object]) -> Request:
        if self._supervisor is None or self._supervisor.done() or self._closing.is_set():
            raise RuntimeError("use the Downloader in `async with`")
        for name in _OF_ALL.intersection(options):
            raise UsageError(f"{name} belongs to the Downloader, which shares it out")
        if not isinstance(repo, str):
            raise UsageError(f"a repo is named by a string such as 'org/name', not by {repo!r}")
        names = (files,) if isinstance(files, str) else tuple(files or ())
        return Request(repo, names, Options.parse(overlaid(self._values, options)))

    def _launch(self, request: Request, display: Display | None, on_event: Listener | None) -> Job:
        work = self._works.get(request)
        if work is None or work.scope.cancel_called:
            work = self._works[request] = Work(self._clock)
            run = Download(request, self._services, self._lines, work)
            drawing = Drawing(display, work, request.repo) if display is not None else None

            def on_end() -> None:
                if self._works.get(request) is work:
                    del self._works[request]
                work.conclude(run.report)

            self._group.start_soon(self._carry_out, work, run.run, drawing, on_end)
        return Job(work, on_event)

    async def _aside(
        self,
        steps: Callable[[Work], Awaitable[T]],
        *,
        title: str,
        display: Display | None,
    ) -> T:
        """Carry out *steps* as a child of the supervisor; cancelling the caller cancels them."""
        work, results = Work(self._clock), list[T]()
        display = display or self._display
        drawing = Drawing(display, work, title) if display is not None else None

        async def run() -> None:
            results.append(await steps(work))

        self._group.start_soon(self._carry_out, work, run, drawing, work.end)
        await work.wait_or_stop()
        if work.error is not None:
            raise work.error
        return results[0]

    async def _carry_out(
        self,
        work: Work,
        run: Callable[[], Awaitable[None]],
        drawing: Drawing | None,
        on_end: Callable[[], None],
    ) -> None:
        """Run *work* to its end; whatever happens, those who wait for it are told."""
        try:
            with work.catching(), work.scope:
                async with anyio.create_task_group() as group:
                    if drawing is not None:
                        group.start_soon(drawing.run)
                    await run()
                    work.completed = True
                    group.cancel_scope.cancel()
        finally:
            try:
                with work.catching():
                    on_end()
                if drawing is not None:
                    await drawing.close()
            finally:
                work.done.set()

    def _on_hold(self, host: str, wait_seconds: float) -> None:
        for work in self._works.values():
            work.bus.tell(events.RateLimited(self._clock.time(), host, wait_seconds))


async def download(
    repo: str,
    files: Files = None,
    *,
    progress: bool | None = None,
    on_event: Listener | None = None,
    **options: Unpack[DownloadOptions],
) -> Report:
    """Download a repo, or some of its files, prove every byte, and return the report.

    Args:
        repo: `org/name`, `datasets/org/name`, `hf://…` or a URL, each optionally `@revision`.
        files: paths in the repo; one that ends in `/` means the folder. None means all.
        progress: draw progress: None in notebooks only, True always, False never.
        on_event: called on the loop with each fact (see `hfdl_async.events`).
        options: the options of the command by their first long name with underscores; values may
            be strings as on the command line, a bare number has the unit of the option's table.

    Raises:
        HfdlError: it failed, in part or as a whole; `report` says how far it came.
        asyncio.CancelledError: the caller was cancelled; the state is saved.
    """
    async with _downloader(options) as downloader:
        return await downloader.download(
            repo, files, display=choose(progress), on_event=on_event, **_shared(options)
        )


async def plan(repo: str, files: Files = None, **options: Unpack[DownloadOptions]) -> Plan:
    """Return what `download` would do; writes nothing and fetches no content.

    Raises:
        HfdlError: there can be no plan (no access, no such repo, nothing selected).
    """
    async with _downloader(options) as downloader:
        return await downloader.plan(repo, files, **_shared(options))


async def verify(
    target: str | PathLike[str],
    *,
    repair: bool = False,
    offline: bool = False,
    progress: bool | None = None,
    **options: Unpack[DownloadOptions],
) -> VerifyReport:
    """Re-check a folder by content; see `Downloader.verify`.

    Raises:
        NotFoundError: nothing was downloaded there by us.
        HfdlError: the Hub cannot be asked, or the disk cannot be read.
    """
    async with _downloader(options) as downloader:
        return await downloader.verify(
            target,
            repair=repair,
            offline=offline,
            display=choose(progress),
            **_shared(options),
        )


def status(base: str | PathLike[str] = "downloads") -> StatusReport:
    """Return what is complete, in progress and resumable under *base*; needs no network.

    Raises:
        StorageError: *base* cannot be read.
    """
    return read_status(Path(base))


def _cores() -> int:
    """Return how many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _minute_of_day() -> float:
    now = time.localtime()
    return 60.0 * now.tm_hour + now.tm_min + now.tm_sec / 60.0


def _downloader(options: DownloadOptions) -> Downloader:
    own = {name: value for name, value in options.items() if name in _OF_ALL}
    return Downloader(**cast("DownloadOptions", own))


def _shared(options: DownloadOptions) -> DownloadOptions:
    rest = {name: value for name, value in options.items() if name not in _OF_ALL}
    return cast("DownloadOptions", rest)

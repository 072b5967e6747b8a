"""One run from request to report: prepares it, carries it out, says how it ended."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

import anyio

from hfdl_async.asking import Services, policy_of
from hfdl_async.core.events import PlanMade
from hfdl_async.core.model import (
    ByteCounts,
    ByteRange,
    Chunk,
    FileReport,
    Listing,
    PlannedFile,
    RemoteFile,
    RepoRef,
    Report,
    RequestCounts,
)
from hfdl_async.core.verdict import account, conclude, ending
from hfdl_async.destination import Destination
from hfdl_async.disk.lock import Holder
from hfdl_async.engine.engine import Ports, Run, Settings
from hfdl_async.errors import NotFoundError, StorageError
from hfdl_async.job import Work
from hfdl_async.lines import Lines
from hfdl_async.preparing import Preparation, Prepared
from hfdl_async.refusing import shorten
from hfdl_async.target import Request, find_target


class Download:
    """One download; `run` it once, then ask for the `report`."""

    def __init__(self, request: Request, services: Services, lines: Lines, work: Work) -> None:
        self._request = request
        self._services = services
        self._lines = lines
        self._work = work
        self._preparation: Preparation | None = None
        self._prepared: Prepared | None = None
        self._outcomes: dict[str, FileReport] = {}
        self._told: list[str] = []

    async def run(self) -> None:
        """Prepare, fetch, and raise what the outcomes add up to.

        Raises:
            HfdlError: nothing was begun, or some file failed.
        """
        tally = self._work.tally
        target = await anyio.to_thread.run_sync(find_target, self._request)
        self._preparation = Preparation(self._request, target, self._services, tally)
        async with AsyncExitStack() as stack:
            self._prepared = await self._preparation.prepare(stack, self._on_wait)
            await self._fetch(self._prepared)
            verdict = conclude(account(self._planned(), self._outcomes))
            if verdict.error is not None:
                raise verdict.error
            place, listing = self._prepared.place, self._prepared.listing
            if target.options.prune and self._prepared.source is not None:
                await self._prune(place, listing)
            await place.finish(self._preparation.repo, listing)

    async def _prune(self, place: Destination, listing: Listing) -> None:
        """Remove what the repo no longer has; every selected file is in place by now."""
        try:
            pruned = await place.prune([file.path for file in listing.files])
        except StorageError as error:
            self._told.append(f"not everything could be removed for good: {error.message}")
            return
        if pruned.removed:
            self._told.append(f"removed {of_no_use(pruned.removed)}")
        if pruned.kept:
            self._told.append(f"kept, since somebody changed them, {of_no_use(pruned.kept)}")
        if pruned.failed:
            self._told.append(f"could not remove {of_no_use(pruned.failed)}")

    async def _fetch(self, prepared: Prepared) -> None:
        plan, tally, clock = prepared.plan, self._work.tally, self._services.clock
        tally.phase = "downloading"
        tally.files_total, tally.bytes_total = len(plan.files), plan.bytes_selected
        line = self._lines.to(prepared.plan.repo.endpoint)
        tally.connections = lambda: (line.busy, line.allowed)
        tally.limit = lambda: line.limiter.rate
        if prepared.source is not None:
            tally.hold = prepared.source.describe_hold
        sums = (len(plan.files), plan.bytes_selected, plan.bytes_to_fetch)
        self._work.bus.tell(PlanMade(clock.time(), plan.commit, *sums))
        options = self._request.options
        settings = Settings(
            threshold_bytes=options.file_size_threshold_bytes,
            policy=policy_of(options),
            silence_seconds=options.read_timeout_seconds,
            least_share=options.min_speed_percentage / 100,
            check_seconds=options.speed_check_seconds,
        )
        ports = Ports(
            source=prepared.source or Nowhere(),
            sink=prepared.place,
            clock=clock,
            jitter=self._services.jitter,
        )
        run = Run(plan, ports, line, self._work.bus, tally, settings)
        self._outcomes = run.outcomes
        await run.run()

    def _on_wait(self, holder: Holder | None) -> None:
        who = "another process" if holder is None else str(holder)
        self._work.tally.note = f"waiting for {who}, which works on this folder"

    def _planned(self) -> Sequence[PlannedFile]:
        return self._prepared.plan.files if self._prepared else ()

    def report(self, error: BaseException | None) -> Report:
        """Return what was achieved by a run that *error* ended, or nothing did."""
        tally, files = self._work.tally, account(self._planned(), self._outcomes, error)
        verdict = ending(files, error)
        known = self._preparation
        return Report(
            repo=known.repo if known else RepoRef(self._request.repo),
            status=verdict.status,
            exit_code=verdict.exit_code,
            commit=known.commit if known else None,
            path=known.known_path if known else None,
            files=files,
            bytes=ByteCounts(
                selected=tally.bytes_total,
                downloaded=tally.bytes_from_wire,
                reused=tally.bytes_reused,
                resumed=tally.bytes_resumed,
            ),
            requests=known.requests() if known else RequestCounts(),
            duration_seconds=self._services.clock.monotonic() - tally.started_at,
            peak_connections=tally.peak_connections,
            warnings=(*(known.warnings if known else ()), *self._told),
            error=verdict.error,
        )


def of_no_use(paths: Sequence[str]) -> str:
    """Return how to speak of the files *paths* that a repo no longer has."""
    files = "1 file that is" if len(paths) == 1 else f"{len(paths)} files that are"
    return f"{files} no longer in the repo: {shorten(paths)}"


class Nowhere:
    """The source of a run without a network: it has nothing."""

    contacted = False

    @asynccontextmanager
    async def open(
        self, file: RemoteFile, span: ByteRange, *, whole: bool = False, fresh: bool = False
    ) -> AsyncIterator[AsyncIterator[Chunk]]:
        """Refuse.

        Raises:
            NotFoundError: always.
        """
        raise NotFoundError(
            f"offline, and {file.path} is not here", hint="unset HF_HUB_OFFLINE to download it"
        )
        yield  # pragma: no cover - makes this a generator

    def requests(self) -> RequestCounts:
        """Return that none were made."""
        return RequestCounts()

    def note_silence(self, file: RemoteFile) -> None:
        """Note nothing: no request is ever made."""

    def describe_hold(self) -> str:
        """Return that nothing is held back."""
        return ""

    def quota(self) -> None:
        """Return that nobody counts."""

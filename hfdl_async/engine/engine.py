"""One download from plan to report: owns the task group, records every outcome.

A run knows all files from its plan. Workers take openings and pieces from the schedule; each open
file has a follower that hashes and ends at *verified*; the committer publishes; the checkpointer
makes written bytes survive a kill. The run is over when every planned file has an outcome. A failed
file does not stop the others, unless its failure would repeat for each of them.
"""

from __future__ import annotations

import logging
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from functools import partial

import anyio

from hfdl_async.core.controller import Decision
from hfdl_async.core.events import (
    ConcurrencyChanged,
    FileFailed,
    FilePublished,
    FileResumed,
    FileStarted,
    FileVerified,
    Progress,
    SegmentRetried,
)
from hfdl_async.core.model import Action, FileReport, FileStatus, Plan, PlannedFile
from hfdl_async.core.planning import in_order
from hfdl_async.core.progress import ActiveFile, ConnectionView
from hfdl_async.core.retry import Policy
from hfdl_async.engine.bus import Bus
from hfdl_async.engine.checkpoint import Checkpointer
from hfdl_async.engine.commit import Committer
from hfdl_async.engine.connectionlog import ConnectionLog
from hfdl_async.engine.filejob import FileJob
from hfdl_async.engine.inflight import InFlight
from hfdl_async.engine.line import Line, Outlook
from hfdl_async.engine.ports import Clock, Part, Sink, Source
from hfdl_async.engine.schedule import Opening, Piece, Schedule
from hfdl_async.engine.tail import Tail
from hfdl_async.engine.tally import Tally
from hfdl_async.engine.worker import Fetcher
from hfdl_async.errors import HfdlError, IntegrityError, RangeIgnoredError

COPIES_AT_ONCE = 4
FINAL_SECONDS = 2.5  # for the last checkpoints: a cancelled run must be gone in three

log = logging.getLogger("hfdl_async.engine")


@dataclass(frozen=True, slots=True)
class Ports:
    """The world as one download sees it."""

    source: Source
    sink: Sink
    clock: Clock
    jitter: Callable[[], float]


@dataclass(frozen=True, slots=True)
class Settings:
    """What the engine can be told."""

    threshold_bytes: int
    policy: Policy
    silence_seconds: float = 30.0
    final_seconds: float = FINAL_SECONDS
    least_share: float = 0.05  # of its peers' mean rate: a connection below it is replaced
    check_seconds: float = 5.0  # how often that is looked at


class Run:
    """One download; `run` it once, then read `outcomes`: of every file that was not here."""

    def __init__(
        self, plan: Plan, ports: Ports, line: Line, bus: Bus, tally: Tally, settings: Settings
    ) -> None:
        self._plan = plan
        self._ports = ports
        self._line = line
        self._bus = bus
        self._tally = tally
        # What is here already needs nothing done and has no outcome of its own: see `account`.
        to_do = plan.to_do
        self._planned = {item.file.path: item for item in to_do}
        self.outcomes: dict[str, FileReport] = {}
        self._settled = anyio.Event()
        self._schedule = Schedule(in_order(to_do), threshold_bytes=settings.threshold_bytes)
        self._copies: dict[str, list[PlannedFile]] = defaultdict(list)
        self._instead: dict[str | None, str] = {}  # by content: who is fetched after a bad copy
        self._to_copy: deque[PlannedFile] = deque()
        self._copiers = 0
        self._handed_over: dict[str, FileJob] = {}
        self._committer = Committer(ports.sink, self._proven, self._published)
        self._checkpointer = Checkpointer(self._schedule.jobs, ports.clock, self._not_saved)
        self._workers = 0
        self._resting = 0  # of them: they wait for something else than the network
        self._leaving = 0  # failed files that are being put away
        self._aborted: HfdlError | None = None
        self._connection_log = ConnectionLog(self._view_flows)
        self._final_seconds = settings.final_seconds
        self._inflight = InFlight(
            least_share=settings.least_share, check_seconds=settings.check_seconds
        )
        self._tail = Tail(self._schedule, self._inflight, line, plan.bytes_to_fetch)
        self._fetcher = Fetcher(
            source=ports.source,
            line=line,
            tally=tally,
            bus=bus,
            clock=ports.clock,
            checkpointer=self._checkpointer,
            policy=settings.policy,
            jitter=ports.jitter,
            silence_seconds=settings.silence_seconds,
            inflight=self._inflight,
            give_back=self._schedule.give,
            resting=self._rest,
        )

    async def run(self) -> None:
        """Carry the plan out. Every file that was not here has an outcome when this returns.

        Cancellation stops the run within seconds and keeps what was received; files that were not
        finished have no outcome then.

        Raises:
            RuntimeError: something that is not ours ended the tasks of the run.
        """
        self._tally.active, self._tally.flows = self._active_files, self._view_flows
        unwatch = self._line.watch(
            self._on_tick, on_change=self._tell_change, outlook=self._look_ahead
        )
        try:
            async with anyio.create_task_group() as group:
                self._group = group
                self._begin()
                await self._settled.wait()
                self._schedule.close()
                group.cancel_scope.cancel()
            if not self._settled.is_set():  # a group takes a task's own cancellation for its end
                raise RuntimeError(
                    f"the run ended with {len(self.outcomes)} of {len(self._planned)} files settled"
                )
        finally:
            unwatch()
            self._tell_progress()
            await self._put_away_the_rest()

    def _begin(self) -> None:
        self._count_what_is_here()
        self._group.start_soon(self._committer.prove)
        self._group.start_soon(self._committer.publish)
        self._group.start_soon(self._checkpointer.run)
        self._group.start_soon(self._tail.run, self._ports.clock)
        for item in list(self._planned.values()):
            if item.action is Action.COPY:
                self._begin_copy(item)
        self._add_workers()
        self._check_settled()

    def _add_workers(self) -> None:
        """Let there be one for each permit, and others for those that hold none for a while.

        With more than that a permit would go from hand to hand, a turn of the loop each time.
        """
        while self._workers < self._workers_wanted():
            self._workers += 1
            self._group.start_soon(self._work)

    def _workers_wanted(self) -> int:
        allowed = self._line.allowed
        return min(allowed + self._resting, 2 * allowed)

    @contextmanager
    def _rest(self) -> Iterator[None]:
        """Let another worker have the permit that this one does not need meanwhile."""
        self._resting += 1
        self._add_workers()
        try:
            yield
        finally:
            self._resting -= 1

    def _on_tick(self, now_seconds: float) -> None:
        self._add_workers()
        self._inflight.replace_slow(now_seconds)
        self._tally.measure(now_seconds)
        self._connection_log.on_tick(now_seconds)
        self._tell_progress()

    def _tell_change(self, decision: Decision) -> None:
        now = self._ports.clock.time()
        self._bus.tell(ConcurrencyChanged(now, decision.target, decision.reason))

    def _look_ahead(self) -> Outlook:
        """Return what is still to come: each file is asked for at the hub once."""
        tally = self._tally
        files = tally.files_total - tally.files_done - tally.files_failed
        return Outlook(files, self._ports.source.quota(), self._schedule.tiny_waiting)

    def _tell_progress(self) -> None:
        clock = self._ports.clock
        view = self._tally.snapshot(clock.monotonic())
        self._bus.tell(
            Progress(
                clock.time(),
                view.bytes_done,
                view.bytes_total,
                view.rate_bytes_per_second,
                view.eta_seconds,
                view.connections,
                view.connections_allowed,
                view.limit_bytes_per_second,
            )
        )

    def _count_what_is_here(self) -> None:
        tally, to_do = self._tally, self._planned.values()
        size = self._plan.bytes_selected - sum(item.file.size_bytes for item in to_do)
        tally.bytes_reused += size
        tally.bytes_finished += size
        tally.files_done += len(self._plan.files) - len(to_do)

    def _begin_copy(self, item: PlannedFile) -> None:
        origin = item.copy_of or ""
        outcome = self.outcomes.get(origin)
        if origin in self._planned and outcome is None:
            self._copies[origin].append(item)  # when the first one is in place
        elif outcome is not None and outcome.error is not None:
            self._record(item, "failed", outcome.error)
        else:
            self._queue_copy(item)

    def _queue_copy(self, item: PlannedFile) -> None:
        """Let *item* be copied; there may be very many, so they get no task each."""
        self._to_copy.append(item)
        if self._copiers < COPIES_AT_ONCE:
            self._copiers += 1
            self._group.start_soon(self._copy_queued)

    # -- working ---------------------------------------------------------------------------

    async def _work(self) -> None:
        last: FileJob | None = None
        line = self._line
        while self._workers <= self._workers_wanted():
            work = self._schedule.take(
                last, connections=line.allowed, most_bytes=lambda: line.piece_bytes
            )
            if work is None:
                if not await self._schedule.wait():
                    return
                continue
            last = work.job
            if isinstance(work, Opening):
                await self._open(work.job)
            else:
                await self._fetch(work)
                self._schedule.done(work)
        self._workers -= 1  # fewer connections are wanted; more of them bring more of us

    async def _open(self, job: FileJob) -> None:
        file, clock = job.file, self._ports.clock
        self._bus.tell(FileStarted(clock.time(), file.path, file.size_bytes))
        may_take_long = job.item.have_bytes or not job.small
        try:
            with self._rest() if may_take_long else nullcontext():
                facts = await job.open(self._ports.sink)
        except HfdlError as error:
            self._fail(job, error)
        else:
            if facts.proven_bytes or facts.rejected_bytes:
                self._tally.bytes_resumed += facts.proven_bytes
                self._bus.tell(
                    FileResumed(clock.time(), file.path, facts.proven_bytes, facts.rejected_bytes)
                )
            if not job.part.hashes_inline:
                self._follow(job)
            elif job.ledger.complete:
                await self._finish(job)
        finally:
            self._schedule.opened(job)

    async def _fetch(self, piece: Piece) -> None:
        job = piece.job
        try:
            await self._fetcher.fetch(piece)
        except RangeIgnoredError as error:
            if not piece.is_stale():
                await self._in_one_stream(job, error)
        except HfdlError as error:
            if not piece.is_stale():
                self._fail(job, error)
        else:
            if not piece.is_stale() and job.ledger.complete and not job.followed:
                await self._finish(job)

    async def _in_one_stream(self, job: FileJob, error: RangeIgnoredError) -> None:
        """Go on without ranges: a mode a file enters at most once."""
        if job.whole:
            self._fail(job, error)
            return
        self._schedule.withdraw(job)
        try:
            self._tally.bytes_resumed -= await job.start_over(whole=True)
        except HfdlError as failure:
            self._fail(job, failure)
        else:
            self._schedule.offer(job)

    async def _finish(self, job: FileJob) -> None:
        """End a file that needs no follower; the committer finds out whether it is right."""
        job.followed = True  # only the first of two workers that end together comes here
        await self._hand_over(job)

    def _follow(self, job: FileJob) -> None:
        job.followed = True
        self._group.start_soon(self._prove, job)

    async def _prove(self, job: FileJob) -> None:
        """Follow the file to its digest."""

        def again(message: str, forgotten_bytes: int) -> None:
            file, now = job.file, self._ports.clock.time()
            self._tally.bytes_resumed -= forgotten_bytes
            self._bus.tell(SegmentRetried(now, file.path, 0, file.size_bytes, message, 0.0))
            self._schedule.offer(job)

        try:
            await job.verify(again)
        except HfdlError as error:
            if not job.ended:
                self._fail(job, error, keep=not isinstance(error, IntegrityError))
        else:
            if not job.ended:
                await self._hand_over(job)

    async def _hand_over(self, job: FileJob) -> None:
        """Queue a complete file for publishing."""
        await job.seal()
        if job.ended:  # its last checkpoint failed
            return
        self._handed_over[job.file.path] = job
        await self._committer.put(job.part)

    def _proven(self, part: Part, right: bool) -> None:
        file = part.file
        if right:
            if file.digest is not None:
                now = self._ports.clock.time()
                self._bus.tell(FileVerified(now, file.path, file.digest.algorithm, file.digest.hex))
            return
        job = self._handed_over.pop(file.path)
        if self._aborted is not None:
            self._fail(job, self._aborted, keep=False)
        else:
            self._follow(job)  # to its second round

    async def _copy_queued(self) -> None:
        try:
            while self._to_copy:
                await self._copy(self._to_copy.popleft())
        finally:
            self._copiers -= 1

    async def _copy(self, item: PlannedFile) -> None:
        placed = 0

        def report(count: int) -> None:
            nonlocal placed
            placed += count
            self._tally.bytes_copying += count

        try:
            if self._aborted is not None:
                raise self._aborted
            await self._ports.sink.copy(item, report)
        except IntegrityError:
            self._fetch_instead(item)
        except HfdlError as error:
            self._record(item, "failed", error)
        else:
            self._tally.bytes_reused += item.file.size_bytes
            self._tell_published(item)
            self._record(item, "reused")
        finally:
            self._tally.bytes_copying -= placed

    def _fetch_instead(self, item: PlannedFile) -> None:
        """What was to be copied is not that content (any more): get it from the Hub, once."""
        path, key = item.file.path, item.file.content_key
        origin = self._instead.get(key)
        if self._aborted is not None:
            self._record(item, "failed", self._aborted)
        elif origin is not None and origin != item.copy_of:
            self._begin_copy(replace(item, copy_of=origin))  # files of one content share a part
        else:
            self._instead[key] = path
            self._planned[path] = replace(item, action=Action.FETCH, copy_of=None)
            self._schedule.add(self._planned[path])

    # -- outcomes --------------------------------------------------------------------------

    def _published(self, part: Part, error: HfdlError | None) -> None:
        job = self._handed_over.pop(part.file.path)
        job.ended = True
        self._schedule.drop(job)
        if error is not None:
            self._record(job.item, "failed", error)
            return
        self._tell_published(job.item)
        self._record(job.item, "resumed" if job.resumed.proven_bytes else "downloaded")

    def _tell_published(self, item: PlannedFile) -> None:
        now = self._ports.clock.time()
        self._bus.tell(FilePublished(now, item.file.path, item.file.size_bytes))

    def _not_saved(self, job: FileJob, error: HfdlError) -> None:
        # A sync that failed once is not believed the next time, so the file cannot go on.
        if not job.ended:
            self._fail(job, error)

    def _fail(self, job: FileJob, error: HfdlError, *, keep: bool = True) -> None:
        job.ended = True
        self._schedule.withdraw(job)
        self._leaving += 1
        self._group.start_soon(self._put_away, job, keep)
        self._record(job.item, "failed", error)

    def _record(
        self, item: PlannedFile, status: FileStatus, error: HfdlError | None = None
    ) -> None:
        file = item.file
        if file.path in self.outcomes:
            return
        self.outcomes[file.path] = FileReport(
            file.path, file.size_bytes, status, file.digest, error
        )
        if error is None:
            self._tally.files_done += 1
            self._tally.bytes_finished += file.size_bytes
        else:
            self._tally.files_failed += 1
            now = self._ports.clock.time()
            self._bus.tell(FileFailed(now, file.path, error.kind, error.message))
        for copy in self._copies.pop(file.path, ()):
            if error is None:
                self._queue_copy(copy)
            else:
                self._record(copy, "failed", error)
        if error is not None and error.ends_run:
            self._abort(error)
        self._check_settled()

    def _abort(self, error: HfdlError) -> None:
        """Give every file that would be fetched the same error: it would meet each of them.

        What is verified gets its name, and a copy that has begun its end; no other one begins.
        """
        if self._aborted is not None:
            return
        self._aborted = error
        self._schedule.drop_waiting()
        for job in list(self._schedule.jobs()):
            if job.file.path not in self._handed_over:
                job.ended = True
                self._schedule.withdraw(job)
        for item in list(self._planned.values()):
            if item.action is Action.FETCH and item.file.path not in self._handed_over:
                self._record(item, "failed", error)

    def _check_settled(self) -> None:
        if len(self.outcomes) == len(self._planned) and not self._leaving:
            self._settled.set()

    # -- putting away ----------------------------------------------------------------------

    def _active_files(self) -> Iterator[ActiveFile]:
        jobs = list(self._schedule.jobs())
        return (job.view() for job in jobs if job.is_open and not job.ended)

    def _view_flows(self, now_seconds: float) -> Iterator[ConnectionView]:
        return (flow for job in self._schedule.jobs() for flow in job.view_flows(now_seconds))

    async def _put_away(self, job: FileJob, keep: bool) -> None:
        """Save what a failed file has, or throw it away when it is known to be wrong."""
        try:
            await job.put_away(keep=keep)
        except HfdlError as error:
            if error.ends_run:
                self._abort(error)
        finally:
            self._leaving -= 1
        self._schedule.drop(job)
        self._check_settled()

    async def _put_away_the_rest(self) -> None:
        """Save and close the files of a run that ended early; all its tasks are gone by now."""
        jobs = list(self._schedule.jobs())
        with anyio.move_on_after(self._final_seconds, shield=True):
            async with anyio.create_task_group() as group:
                for job in jobs:
                    group.start_soon(self._leave, job, partial(job.put_away, keep=True))
        for job in jobs:  # those the disk had no time for
            await self._leave(job, job.close)

    async def _leave(self, job: FileJob, leave: Callable[[], Awaitable[None]]) -> None:
        try:
            await leave()
        except HfdlError as error:
            log.warning("%s: could not save the state: %s", job.file.path, error.message)

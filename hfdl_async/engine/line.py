"""What outlives one download: connection permits, the controller's ticks, the watch for silence.

One line serves all downloads of a `Downloader`. Whoever opens a request holds a permit and
registers a `Flow`. While there are flows the line ticks: it measures (`gauge.py`), asks the
controller how many connections there should be, lets the permits follow (`permits.py`), and cuts
flows whose body has fallen silent; the worker then asks for the rest elsewhere. Without flows it
sleeps and costs nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from enum import Enum
from math import inf
from statistics import median

import anyio

from hfdl_async.core.control.opening import FEW_CONNECTIONS, GLANCE_SECONDS, Look
from hfdl_async.core.control.outset import Outset, is_complaint
from hfdl_async.core.control.pacing import quota_rate
from hfdl_async.core.controller import TICK_SECONDS, Controller, Decision, Sample
from hfdl_async.core.model import MIB, ByteRange
from hfdl_async.core.peers import Pace
from hfdl_async.core.pieces import (
    FIRST_PIECE_BYTES,
    ONE_REQUEST_BYTES,
    PIECE_BYTES,
    piece_bytes,
)
from hfdl_async.core.progress import FlowState
from hfdl_async.engine.gauge import Gauge
from hfdl_async.engine.limiter import Limiter
from hfdl_async.engine.permits import OPENING_SECONDS, RETIRE_SECONDS, Permit, Permits
from hfdl_async.engine.ports import Clock

BUFFERS_BYTES = 32 * MIB  # what all connections together may have received and not written
BODY_SILENCE_SECONDS = 15.0  # a healthy body pauses for less; a dead one never speaks again

SHORTEST_TICK_SECONDS = 0.125  # of the first ramp, where answers come at once
ANSWERS_PER_TICK = 8  # a window opens in about ten round trips, and an answer takes one to three
SMALL_ANSWERS_PER_TICK = 2  # small files open no windows: each connection has ended some requests

_RAMPS = ("RAMP0", "RAMP")
_ROUNDING = 1e-6


class Cut(Enum):
    """Why a request was ended from this side, and so what becomes of the rest of its piece."""

    SILENT = "silent"  # nothing comes: a failed try, told and counted as one
    SLOW = "slow"  # far behind its peers: asked for at once over a new connection, no failure
    SURPLUS = "surplus"  # fewer connections are wanted: the rest goes back into the queue
    BEATEN = "beaten"  # somebody else was there first: nothing is left to ask for


@dataclass(slots=True, eq=False)
class Flow:
    """One request in flight. `cut_reason` is set when the line, not the peer, ended it."""

    silence_seconds: float
    scope: anyio.CancelScope
    pace: Pace
    span: ByteRange | None = None  # of its file, for who looks at it
    answered_at: float | None = None
    listening: bool = False  # not while what has come is being written
    last_byte_at: float = 0.0
    cut_reason: str = ""
    cut_kind: Cut | None = None
    whole: bool = False  # one stream from the first byte: cut, all of it begins anew

    @property
    def answer_seconds(self) -> float | None:
        """How long it took from the request to its content, None while there is none."""
        return None if self.answered_at is None else self.answered_at - self.pace.started_at

    @property
    def is_brief(self) -> bool:
        """Whether it is over as soon as it is answered, or soon after."""
        return self.span is not None and len(self.span) <= ONE_REQUEST_BYTES

    def is_ending(self, now_seconds: float) -> bool:
        """Return whether it is over so soon that to cut it would gain nothing."""
        return self.is_brief and now_seconds - self.pace.started_at < RETIRE_SECONDS

    @property
    def state(self) -> FlowState:
        """What it is doing."""
        if self.answered_at is None:
            return "asking"
        return "receiving" if self.listening else "writing"

    def listen(self, now_seconds: float) -> None:
        """Note that the answer has begun and is being read: from here on silence counts."""
        if self.answered_at is None:
            self.answered_at = now_seconds
        self.listening = True
        self.last_byte_at = now_seconds

    def is_silent(self, now_seconds: float, seconds: float) -> bool:
        """Return whether it was read for *seconds*, and nothing came."""
        return self.listening and now_seconds - self.last_byte_at > seconds

    def pause(self) -> None:
        """Note that nobody reads just now: the peer is not to blame for silence."""
        self.listening = False

    def cut(self, reason: str, kind: Cut = Cut.SILENT) -> None:
        """End the request from outside; what has come of it is written."""
        if not self.cut_reason:
            self.cut_reason, self.cut_kind = reason, kind
            self.scope.cancel()


@dataclass(frozen=True, slots=True)
class Outlook:
    """What one download still has to ask for; `quota` as `Source.quota` states it.

    Attributes:
        small: files that are to be begun next, and are no more than a request.
    """

    planned: int = 0
    quota: tuple[int, float] | None = None
    small: int = 0

    @property
    def others(self) -> int:
        """How many are not small, or begun."""
        return self.planned - self.small


@dataclass(frozen=True, slots=True, eq=False)
class Watcher:
    """One download at the line: whom to tell, and whom to ask what is to come."""

    on_tick: Callable[[float], None]
    on_change: Callable[[Decision], None] | None = None
    outlook: Callable[[], Outlook] = Outlook


class Line:
    """Permits, ticks and flows shared by downloads.

    Args:
        controller: the law; told what each tick measured.
        clock: monotonic time and waiting.
        after_look: makes the law that takes its place, of what a few connections have shown.
        looks_first: whether it is asked before anything else; without that, or without
            `after_look`, the first number of the law is there at once.
        buffers_bytes: what all connections together may have received and not written.
        limiter: the bandwidth limit; by default there is none.
        loop_seconds: returns the processor time of the thread that runs the loop.
        machine_seconds: returns the processor time of this process, over the number of processors.
    """

    def __init__(
        self,
        controller: Controller,
        clock: Clock,
        *,
        after_look: Callable[[Look], Controller] | None = None,
        looks_first: bool = True,
        buffers_bytes: int = BUFFERS_BYTES,
        limiter: Limiter | None = None,
        loop_seconds: Callable[[], float] = lambda: 0.0,
        machine_seconds: Callable[[], float] = lambda: 0.0,
    ) -> None:
        self.buffers_bytes = buffers_bytes
        self.limiter = limiter or Limiter(clock)
        self._controller = controller
        self._clock = clock
        self._decision = controller.start()
        self._flows: dict[Flow, None] = {}  # in the order they began
        self._wanted = anyio.Event()
        self._gauge = Gauge(clock, loop_seconds)
        self._told_until = clock.monotonic()
        self._watchers: list[Watcher] = []
        self._is_first_round = True  # no piece of a big file has come so far
        self._is_first_ramp = self._decision.mode == "RAMP0"
        self._answer_seconds = TICK_SECONDS  # the shortest so far
        self._answers_per_tick = ANSWERS_PER_TICK
        self._outset = None if after_look is None else Outset(after_look)
        self._has_looked = after_look is None or not looks_first
        self._machine_seconds = machine_seconds
        self._machine_before = machine_seconds()  # when the tick began
        self._first_answers: list[float] = []  # in seconds; during the first look
        self.permits = Permits(clock, self._decision.target if self._has_looked else 1)

    @property
    def allowed(self) -> int:
        """How many connections there may be now."""
        return self.permits.target

    @property
    def piece_bytes(self) -> int:
        """How much of a big file a connection had better ask for at once."""
        if self.permits.starts.rate is not None:  # then requests are what is dear
            return PIECE_BYTES
        now = self._clock.monotonic()
        known = [flow for flow in self._flows if not flow.is_brief and flow.pace.is_settled(now)]
        answers = [flow.answer_seconds for flow in known if flow.answer_seconds is not None]
        if not answers:
            return FIRST_PIECE_BYTES if self._is_first_round else PIECE_BYTES
        return piece_bytes(median(flow.pace.recent_rate(now) for flow in known), median(answers))

    @property
    def busy(self) -> int:
        """How many requests are in flight."""
        return len(self._flows)

    def permit(self) -> Permit:
        """Return a permit for one request, to be entered."""
        return self.permits.take()

    def watch(
        self,
        on_tick: Callable[[float], None],
        *,
        on_change: Callable[[Decision], None] | None = None,
        outlook: Callable[[], Outlook] = Outlook,
    ) -> Callable[[], None]:
        """Call *on_tick* with the time on each tick; returns what ends that.

        Args:
            on_tick: called after each decision.
            on_change: called with the first decision, and with each one that changes how many
                connections there may be.
            outlook: asked on each tick what is still to come.
        """
        watcher = Watcher(on_tick, on_change, outlook)
        self._watchers.append(watcher)
        return lambda: self._watchers.remove(watcher)

    def begin(self, scope: anyio.CancelScope, *, silence_seconds: float) -> Flow:
        """Register a request that is about to be made."""
        pace = Pace(self._clock.monotonic())
        flow = Flow(min(silence_seconds, BODY_SILENCE_SECONDS), scope, pace)
        if not self._flows:
            self.limiter.look_up()  # nothing ticked since the last request
        if not self._wanted.is_set():
            self._begin_tick()  # the silence before it says nothing
            self._wanted.set()
        self._flows[flow] = None
        self._gauge.request_began()
        return flow

    def end(self, flow: Flow, *, failed: bool, throttled: float | None = None) -> None:
        """Take a request off the books; *throttled* is the wait the server stated, if it did.

        One that was cut from this side neither failed nor was done.
        """
        gauge = self._gauge
        self._flows.pop(flow, None)
        self._note_answer(flow)
        if not self._has_looked and flow.answer_seconds is not None:
            self._first_answers.append(flow.answer_seconds)
        gauge.request_ended()
        if throttled is not None:
            gauge.refused(throttled)
            self._told_until = max(self._told_until, self._clock.monotonic() + throttled)
        elif flow.cut_kind is not None:
            gauge.replaced += flow.cut_kind is Cut.SILENT
        elif failed:
            gauge.failed += 1
        else:
            gauge.done += 1
            self._is_first_round &= flow.is_brief

    def replaced(self) -> None:
        """Note that a connection is replaced by a new one: this tick says little about the line."""
        self._gauge.replaced += 1

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Note that a request is not read because what it has brought is being written."""
        self._gauge.write_began()
        try:
            yield
        finally:
            self._gauge.write_ended()

    def received(self, flow: Flow, count: int, now_seconds: float) -> None:
        """Count payload bytes of one request."""
        self._gauge.bytes += count
        flow.last_byte_at = now_seconds
        flow.pace.add(now_seconds, count)

    async def run(self) -> None:
        """Tick while there is anything to watch. Runs until cancelled."""
        while True:
            await self._wanted.wait()
            if self._outset is not None and not self._has_looked:
                await self._open_up(self._outset)
            await self._wait_for_tick()
            self.tick()
            if not self._flows:
                self._wanted = anyio.Event()

    async def _open_up(self, outset: Outset) -> None:
        """Begin with one connection and then a few; go on with the number these speak for."""
        few = min(FEW_CONNECTIONS, self._decision.target)
        began = self._clock.monotonic()
        look = Look(0.0, small_ahead=self._outlook().small, connections=self.permits.target)
        while not look.is_enough:
            if look.wants_more and self.permits.target < few:
                self.permits.aim(few)
                self._tell_tick()  # so that workers come for them
                began = self._clock.monotonic()
                # What one has brought says nothing of the few.
                self._begin_tick(keep_complaints=True)
            await self._clock.sleep(GLANCE_SECONDS)
            look = self._look(self._clock.monotonic() - began)
        self._has_looked = True
        self._first_answers.clear()
        if look.waits_for_answers:
            self._answers_per_tick = SMALL_ANSWERS_PER_TICK
        self._begin_law(outset.first(look))
        self._tell_tick()
        self._begin_tick(keep_complaints=True)

    def _law_after(self, sample: Sample, machine_share: float) -> Controller | None:
        """Return the law that takes over where the first ramp shows a machine that is full.

        Or where it is not full after all, whatever the present law has come to.
        """
        if self._outset is None or not (self._is_first_ramp or self._outset.is_trying):
            return None
        look = Look(
            sample.dt,
            sample.bytes / sample.dt,
            files_ahead=self._outlook().others,
            machine_share=machine_share,
            connections=sample.busy,
        )
        if self.permits.opened < self.permits.target:
            sample = replace(sample, starved=False)  # it is not for want of work that some lack
        return self._outset.again(look, sample, self.permits.target)

    def _begin_law(self, controller: Controller, complaint: Sample | None = None) -> None:
        """Let *controller* decide from here on; the connections that it has no use for go at once.

        What they bring would be taken for the work of fewer. A *complaint* is answered as if as
        many had flowed as it begins with: those that were tried did not cause it.
        """
        self._controller = controller
        decision = controller.start()
        if complaint is not None:
            first = decision.target
            flowing, high = max(first, complaint.flowing), max(first, complaint.busy_high)
            decision = controller.observe(replace(complaint, flowing=flowing, busy_high=high))
        self._is_first_ramp = decision.mode in _RAMPS
        self._take(decision, is_first=True)
        self.follow()

    def _look(self, seconds: float) -> Look:
        """Return what the requests so far have shown."""
        now, outlook = self._clock.monotonic(), self._outlook()
        waiting = [
            now - flow.pace.started_at if flow.answer_seconds is None else flow.answer_seconds
            for flow in self._flows
        ]
        left, quota_seconds = outlook.quota or (None, 0.0)
        return Look(
            seconds,
            self._gauge.bytes / seconds,
            len(self._first_answers),
            (*self._first_answers, *waiting),
            outlook.small,
            quota_rate(outlook.planned, left, quota_seconds) or inf,
            outlook.others,
            self._machine_used() / seconds,
            self.permits.target,
        )

    def _outlook(self) -> Outlook:
        """Return what all downloads together still have to ask for."""
        outlooks = [watcher.outlook() for watcher in self._watchers]
        quotas = [outlook.quota for outlook in outlooks if outlook.quota is not None]
        return Outlook(
            sum(outlook.planned for outlook in outlooks),
            min(quotas) if quotas else None,
            sum(outlook.small for outlook in outlooks),
        )

    async def _wait_for_tick(self) -> None:
        """Sleep until the next tick is due, following the target meanwhile."""
        began = self._clock.monotonic()
        while (left := began + self._tick_seconds() - self._clock.monotonic()) > _ROUNDING:
            at_rest = not (self._is_first_ramp or self.permits.changing)
            await self._clock.sleep(left if at_rest else min(left, OPENING_SECONDS))
            self.follow()

    def _tick_seconds(self) -> float:
        """Return how long a tick should be: the first ramp is quick where answers are.

        Half a second is what windows need to open over a long way. Where they do not, a download
        of a few seconds would be over before the law knows what the line can do.
        """
        if not self._is_first_ramp:
            return TICK_SECONDS
        for flow in self._flows:
            self._note_answer(flow)
        seconds = self._answers_per_tick * self._answer_seconds
        return max(SHORTEST_TICK_SECONDS, min(TICK_SECONDS, seconds))

    def _note_answer(self, flow: Flow) -> None:
        if flow.answer_seconds is not None:
            self._answer_seconds = min(self._answer_seconds, flow.answer_seconds)

    def tick(self) -> None:
        """Measure, decide, cut what fell silent."""
        now = self._clock.monotonic()
        self._cut_silent(now)
        used = self._machine_used()
        sample = self._measure()
        controller = self._law_after(sample, used / sample.dt)
        if controller is None:
            self._apply(self._controller.observe(sample))
            self.follow()
        else:  # a sample of another number of connections tells it nothing else
            self._begin_law(controller, sample if is_complaint(sample) else None)
        self._tell_tick()

    def _tell_tick(self) -> None:
        now = self._clock.monotonic()
        for watcher in list(self._watchers):
            watcher.on_tick(now)

    def follow(self) -> None:
        """Bring the connections there are nearer to those there should be."""
        self.permits.open_some()
        surplus = self.permits.surplus(len(self._flows))
        if not surplus:
            return
        # The newest first: they have the most of their ranges still before them.
        now = self._clock.monotonic()
        ending = {flow for flow in self._flows if flow.is_ending(now)}
        may_be_cut = [f for f in reversed(self._flows) if not f.whole and f not in ending]
        for flow in may_be_cut[: max(0, surplus - len(ending))]:
            flow.cut("fewer connections are wanted", Cut.SURPLUS)

    def _measure(self) -> Sample:
        """End the tick: return what it has seen, and begin the next one."""
        gauge, limiter, decision = self._gauge, self.limiter, self._decision
        sample = gauge.read(flowing=sum(flow.answered_at is not None for flow in self._flows))
        limiter.tick(
            sample.t,
            sample.dt,
            sample.bytes,
            readers=decision.target,
            ramping=decision.mode in _RAMPS,
            # Small files are not what fills a line.
            telling=sample.bytes >= max(1, sample.done * MIB),
        )
        held_back = decision.start_rate is not None or self._told_until > gauge.started_at
        starved = not held_back and sample.busy_high < decision.target
        outlook = self._outlook()
        quota_left, quota_seconds = outlook.quota or (None, 0.0)
        sample = replace(
            sample,
            starved=starved or gauge.replaced > 0,
            limited=limiter.limited,
            uncapped=limiter.uncapped,
            planned=outlook.planned,
            quota_left=quota_left,
            quota_seconds=quota_seconds,
        )
        self._begin_tick()
        return sample

    def _machine_used(self) -> float:
        """Return the processor time since the tick began, over the number of processors."""
        return self._machine_seconds() - self._machine_before

    def _begin_tick(self, *, keep_complaints: bool = False) -> None:
        self._gauge.begin(keep_complaints=keep_complaints)
        self._machine_before = self._machine_seconds()

    def _apply(self, decision: Decision) -> None:
        self._is_first_ramp &= decision.mode in _RAMPS
        self._take(decision)

    def _take(self, decision: Decision, *, is_first: bool = False) -> None:
        """Let there be as many connections as decided, and tell whoever wants to know."""
        self._decision = decision
        self.permits.starts.rate = decision.start_rate
        if decision.target == self.permits.target and not is_first:
            return
        self.permits.aim(decision.target, at_once=is_first)
        for watcher in self._watchers:
            if watcher.on_change is not None:
                watcher.on_change(decision)

    def _cut_silent(self, now: float) -> None:
        for flow in list(self._flows):
            if flow.is_silent(now, flow.silence_seconds):
                flow.cut(f"no byte for {now - flow.last_byte_at:.0f} s")

"""What outlives one download: connection permits, the controller's ticks, the watch for silence.

One line serves all downloads of a `Downloader`. Whoever opens a request holds a permit and
registers a `Flow`. While there are flows the line ticks: it measures, asks the controller how many
connections there should be, resizes the permits, and cuts flows whose body has fallen silent; the
worker then asks for the rest elsewhere. Without flows it sleeps and costs nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import anyio

from hfdl_async.core.controller import TICK_SECONDS, Controller, Decision, Sample
from hfdl_async.core.model import MIB
from hfdl_async.engine.ports import Clock

BUFFERS_BYTES = 32 * MIB  # what all connections together may have received and not written
BODY_SILENCE_SECONDS = 15.0  # a healthy body pauses for less; a dead one never speaks again


@dataclass(slots=True, eq=False)
class Flow:
    """One request in flight. `cut_reason` is set when the line, not the peer, ended it."""

    silence_seconds: float
    scope: anyio.CancelScope
    answered: bool = False
    listening: bool = False  # not while what has come is being written
    last_byte_at: float = 0.0
    cut_reason: str = ""

    def listen(self, now_seconds: float) -> None:
        """Note that the answer has begun and is being read: from here on silence counts."""
        self.answered = self.listening = True
        self.last_byte_at = now_seconds

    def pause(self) -> None:
        """Note that nobody reads just now: the peer is not to blame for silence."""
        self.listening = False

    def cut(self, reason: str) -> None:
        """End the request from outside."""
        if not self.cut_reason:
            self.cut_reason = reason
            self.scope.cancel()


class Permit:
    """The right to one connection, for the task that enters it.

    A free one is taken without a turn of the loop: with thousands of small files those turns
    would cost as much as their requests.
    """

    __slots__ = ("_limiter",)

    def __init__(self, limiter: anyio.CapacityLimiter) -> None:
        self._limiter = limiter

    async def __aenter__(self) -> None:
        try:
            self._limiter.acquire_nowait()
        except anyio.WouldBlock:
            await self._limiter.acquire()

    async def __aexit__(self, *_: object) -> None:
        self._limiter.release()


@dataclass(slots=True)
class _Tick:
    """What is gathered between two ticks."""

    started_at: float
    bytes: int = 0
    done: int = 0
    failed: int = 0
    throttled: int = 0
    retry_after: float = 0.0
    busy_integral: float = 0.0
    busy_high: int = 0
    busy_since: float = field(default=0.0)


class Line:
    """Permits, ticks and flows shared by downloads."""

    def __init__(
        self,
        controller: Controller,
        clock: Clock,
        *,
        on_change: Callable[[Decision], None],
        buffers_bytes: int = BUFFERS_BYTES,
    ) -> None:
        self.buffers_bytes = buffers_bytes
        self._controller = controller
        self._clock = clock
        self._on_change = on_change
        self._decision = controller.start()
        self._flows: set[Flow] = set()
        self._wanted = anyio.Event()
        self._tick = _Tick(clock.monotonic(), busy_since=clock.monotonic())
        self._watchers: list[Callable[[float], None]] = []
        # One token a worker; its total may change while workers hold some: it then shrinks as
        # they come back.
        self.permits = anyio.CapacityLimiter(self._decision.target)

    @property
    def allowed(self) -> int:
        """How many connections there may be now."""
        return self._decision.target

    @property
    def busy(self) -> int:
        """How many requests are in flight."""
        return len(self._flows)

    def permit(self) -> Permit:
        """Return a permit for one request, to be entered."""
        return Permit(self.permits)

    def watch(self, on_tick: Callable[[float], None]) -> Callable[[], None]:
        """Call *on_tick* with the time on each tick; returns what ends that."""
        self._watchers.append(on_tick)
        return lambda: self._watchers.remove(on_tick)

    def begin(self, scope: anyio.CancelScope, *, silence_seconds: float) -> Flow:
        """Register a request that is about to be made."""
        flow = Flow(min(silence_seconds, BODY_SILENCE_SECONDS), scope)
        self._account()
        self._flows.add(flow)
        self._tick.busy_high = max(self._tick.busy_high, len(self._flows))
        self._wanted.set()
        return flow

    def end(self, flow: Flow, *, failed: bool, throttled: float | None = None) -> None:
        """Take a request off the books; *throttled* is the wait the server stated, if it did."""
        self._account()
        self._flows.discard(flow)
        tick = self._tick
        if throttled is not None:
            tick.throttled += 1
            tick.retry_after = max(tick.retry_after, throttled)
        elif failed:
            tick.failed += 1
        else:
            tick.done += 1

    def received(self, flow: Flow, count: int, now_seconds: float) -> None:
        """Count payload bytes of one request."""
        self._tick.bytes += count
        flow.last_byte_at = now_seconds

    async def run(self) -> None:
        """Tick while there is anything to watch. Runs until cancelled."""
        while True:
            await self._wanted.wait()
            await self._clock.sleep(TICK_SECONDS)
            self.tick()
            if not self._flows:
                self._wanted = anyio.Event()

    def tick(self) -> None:
        """Measure, decide, cut what fell silent."""
        now = self._clock.monotonic()
        self._cut_silent(now)
        sample = self._sample(now)
        self._apply(self._controller.observe(sample))
        for on_tick in list(self._watchers):
            on_tick(now)

    def _account(self) -> None:
        now = self._clock.monotonic()
        self._tick.busy_integral += len(self._flows) * (now - self._tick.busy_since)
        self._tick.busy_since = now

    def _sample(self, now: float) -> Sample:
        self._account()
        tick, dt = self._tick, max(now - self._tick.started_at, 1e-3)
        self._tick = _Tick(now, busy_since=now, busy_high=len(self._flows))
        return Sample(
            t=now,
            dt=dt,
            bytes=tick.bytes,
            busy=tick.busy_integral / dt,
            busy_high=tick.busy_high,
            flowing=sum(flow.answered for flow in self._flows),
            done=tick.done,
            throttled=tick.throttled,
            failed=tick.failed,
            retry_after=tick.retry_after,
            starved=tick.busy_high < self._decision.target,
        )

    def _apply(self, decision: Decision) -> None:
        if decision.target != self._decision.target:
            self.permits.total_tokens = decision.target
            self._on_change(decision)
        self._decision = decision

    def _cut_silent(self, now: float) -> None:
        for flow in list(self._flows):
            if flow.listening and now - flow.last_byte_at > flow.silence_seconds:
                flow.cut(f"no byte for {now - flow.last_byte_at:.0f} s")

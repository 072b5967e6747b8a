"""The engine around a controller, in the model: permits, requests, the sample of a tick."""

from __future__ import annotations

import heapq
import math
from collections import deque
from itertools import count

from hfdl_async.core.bandwidth import Bucket
from hfdl_async.core.control.governor import Governor
from hfdl_async.core.controller import Controller, Decision, Sample
from hfdl_async.testing.simulation.network import STEP_SECONDS, Flow, Network

RETIRE_SECONDS = 2.0  # a connection too many may finish its range, but not longer than this
OPENED_AT_ONCE = 8
OPENING_STEPS = round(0.1 / STEP_SECONDS)
BLOCKED_SHARE = 0.2
LIMITED_SHARE = 0.8


class Client:
    """One process that downloads without end: its work never runs out."""

    def __init__(
        self,
        controller: Controller,
        network: Network,
        *,
        request_bytes: float,
        bucket: Bucket | None = None,
        governor: Governor | None = None,
    ) -> None:
        self.controller = controller
        self.network = network
        self.request_bytes = request_bytes
        self.bucket = bucket
        self.governor = governor
        self.decision: Decision = controller.start()
        self.flowing: list[Flow] = []
        self._opening: list[Flow] = []
        self._ready: deque[Flow] = deque()
        self._asked: list[tuple[float, int, Flow, bool]] = []
        self._order = count()
        self._retiring = 0
        self._hold_until = 0.0
        self._next_start = 0.0
        self._step = 0
        self._tick_at: float | None = None
        self._reset_tick()

    def _reset_tick(self) -> None:
        self._bytes = 0.0
        self._done = self._throttled = 0
        self._busy = 0.0
        self._busy_high = self.busy
        self._retry_after = 0.0
        self._limited_steps = self._blocked_steps = self._steps = 0
        self._cpu = 0.0

    @property
    def busy(self) -> int:
        """How many requests are in flight."""
        return len(self.flowing) + len(self._asked)

    # ---- connections -------------------------------------------------------------------------

    def manage(self, now: float) -> None:
        """Grow or shrink toward the target, and start the requests that may start."""
        self._step += 1
        target = self.decision.target
        total = len(self.flowing) + len(self._asked) + len(self._ready)
        active = total - self._retiring
        if active < target and self._step % OPENING_STEPS == 1:
            for _ in range(min(OPENED_AT_ONCE, target - active)):
                self._grow()
        elif active > target:
            for _ in range(active - target):
                self._shrink(now)
        if self._retiring:
            self._cut(now)
        self._start_ready(now)
        self._arrive(now)

    def _grow(self) -> None:
        if self._retiring:
            for flow in self._all():
                if flow.retire_at < math.inf:
                    flow.retire_at = math.inf
                    self._retiring -= 1
                    return
        flow = Flow(self.network.spread())
        flow.left = self.request_bytes * self.network.first_share()
        self._ready.append(flow)

    def _shrink(self, now: float) -> None:
        if self._ready:
            self._ready.pop()
            return
        for flow in self._all():
            if flow.retire_at == math.inf:
                flow.retire_at = now + RETIRE_SECONDS
                self._retiring += 1
                return

    def _all(self) -> list[Flow]:
        return [entry[2] for entry in self._asked] + self.flowing[::-1]

    def _cut(self, now: float) -> None:
        late = [flow for flow in self.flowing if flow.retire_at <= now]
        for flow in late:
            self.flowing.remove(flow)
            self._leave(flow)
        kept = [entry for entry in self._asked if entry[2].retire_at > now]
        if len(kept) < len(self._asked):
            gone = len(self._asked) - len(kept)
            self.network.requests -= sum(e[2].retire_at <= now and e[3] for e in self._asked)
            self._retiring -= gone
            heapq.heapify(kept)
            self._asked = kept

    def _leave(self, flow: Flow) -> None:
        self.network.requests -= 1
        self._retiring -= 1
        if flow in self._opening:
            self._opening.remove(flow)

    # ---- requests ----------------------------------------------------------------------------

    def _start_ready(self, now: float) -> None:
        rate = self.decision.start_rate
        while self._ready and now >= self._hold_until:
            if rate is not None:
                if now < self._next_start:
                    return
                self._next_start = max(self._next_start, now - STEP_SECONDS) + 1.0 / rate
            flow = self._ready.popleft()
            admitted = self.network.admits(now)
            wait = self.network.latency(flow) if admitted else self.network.conditions.round_trip
            heapq.heappush(self._asked, (now + wait, next(self._order), flow, admitted))
        busy = len(self.flowing) + len(self._asked)
        if busy > self._busy_high:
            self._busy_high = busy

    def _arrive(self, now: float) -> None:
        asked = self._asked
        while asked and asked[0][0] <= now:
            _, _, flow, admitted = heapq.heappop(asked)
            if not admitted:
                self._refused(flow, now)
                continue
            if not flow.warm:
                flow.warm = True
                flow.demand = self.network.first_demand()
            flow.cap = self.network.cap(flow)
            if flow.demand >= flow.cap:
                flow.demand = flow.cap
            else:
                self._opening.append(flow)
            self.flowing.append(flow)

    def _refused(self, flow: Flow, now: float) -> None:
        wait = self.network.conditions.retry_after
        self._throttled += 1
        self._retry_after = max(self._retry_after, wait)
        self._hold_until = max(self._hold_until, now + wait)
        if flow.retire_at < math.inf:
            self._retiring -= 1
        else:
            self._ready.append(flow)

    # ---- bytes -------------------------------------------------------------------------------

    def refresh_caps(self) -> None:
        """Apply new conditions to the flows there are."""
        for flow in self.flowing:
            flow.cap = self.network.cap(flow)
            if flow.demand > flow.cap:
                flow.demand = flow.cap
            elif flow not in self._opening:
                self._opening.append(flow)

    def own_capacity(self, now: float, demand: float) -> float:
        """Return the rate this process itself allows, and note what holds it back."""
        rules = self.network.conditions
        cpu = rules.cpu_rate * max(0.05, 1.0 - rules.cpu_waste * len(self.flowing))
        self._cpu = cpu
        rate = min(cpu, rules.disk_rate)
        self._blocked_steps += demand > rules.disk_rate
        if self.bucket is not None and self.bucket.rate is not None:
            free = self.bucket.free_bytes(now) / STEP_SECONDS
            self._limited_steps += demand > free
            rate = min(rate, free)
        return rate

    def deliver(self, now: float, level: float) -> None:
        """Give each flow its share of one step."""
        most = level * STEP_SECONDS
        got = 0.0
        finished: list[Flow] = []
        for flow in self.flowing:
            amount = flow.demand * STEP_SECONDS
            if amount > most:
                amount = most
            left = flow.left - amount
            got += amount
            flow.left = left
            if left <= 0.0:
                got += left
                finished.append(flow)
        if self._opening:
            self._open_windows(level)
        if finished:
            self._finish(finished)
        self._bytes += got
        self._steps += 1
        self._busy += len(self.flowing) + len(self._asked)
        if self.bucket is not None:
            self.bucket.charge(now, got)

    def _open_windows(self, level: float) -> None:
        growth = self.network.window_growth()
        still: list[Flow] = []
        for flow in self._opening:
            if flow.demand <= level:
                flow.demand *= growth
            if flow.demand >= flow.cap:
                flow.demand = flow.cap
            else:
                still.append(flow)
        self._opening = still

    def _finish(self, finished: list[Flow]) -> None:
        self.flowing = [flow for flow in self.flowing if flow.left > 0.0]
        self._opening = [flow for flow in self._opening if flow.left > 0.0]
        self.network.requests -= len(finished)
        self._done += len(finished)
        for flow in finished:
            flow.left = self.request_bytes
            if flow.retire_at < math.inf:
                self._retiring -= 1
            else:
                self._ready.append(flow)

    # ---- ticks -------------------------------------------------------------------------------

    def tick(self, now: float) -> Sample:
        """Measure, ask the controller, and start the next tick."""
        dt = self._steps * STEP_SECONDS
        rate = self._bytes / dt
        limited = self._limited_steps > LIMITED_SHARE * self._steps
        resting = False
        if self.governor is not None and self.bucket is not None:
            resting = self.governor.resting
            self.governor.observe(
                now, dt, round(self._bytes), ramping=self.decision.mode in ("RAMP0", "RAMP")
            )
            self.bucket.set_rate(now, self.governor.limit)
        sample = Sample(
            t=now,
            dt=dt,
            bytes=round(self._bytes),
            busy=self._busy / self._steps,
            busy_high=self._busy_high,
            flowing=len(self.flowing),
            done=self._done,
            throttled=self._throttled,
            retry_after=self._retry_after,
            limited=limited,
            uncapped=resting,
            blocked=self._blocked_steps > BLOCKED_SHARE * self._steps,
            loop_busy=min(1.0, rate / self._cpu) if self._cpu else 0.0,
        )
        self.decision = self.controller.observe(sample)
        self._reset_tick()
        return sample

"""How many connections now: a sample of the last tick in, a decision out.

The interface is the one the adaptive law will have, so that the engine around it does not change.
Until then a download opens up gently: on a fast line a few connections are quicker than many,
because the front of a file is complete sooner and hashing can follow it; on a slow one the ceiling
is reached within two seconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

Mode = Literal["FIXED", "RAMP0", "RAMP", "HOLD", "UP", "DOWN", "CAPPED"]

TICK_SECONDS = 0.5
FIRST_CONNECTIONS = 4
AUTO_CONNECTIONS = 16  # one fast line is full with two; capped ones and small files want more
MAX_CONNECTIONS = 256
FULL_BYTES_PER_SECOND = 400_000_000  # more than a core can receive, write and hash meanwhile


@dataclass(frozen=True, slots=True)
class Sample:
    """What was measured during one tick of `dt` seconds that ended at `t` (monotonic)."""

    t: float
    dt: float
    bytes: int = 0  # payload bytes that arrived
    busy: float = 0.0  # time-averaged requests in flight
    busy_high: int = 0  # most requests in flight
    flowing: int = 0  # connections past their first body byte when the tick ended
    done: int = 0  # requests that completed
    throttled: int = 0  # 429, or 503 with a Retry-After
    failed: int = 0  # resets, timeouts, other 5xx
    retry_after: float = 0.0  # the longest wait a server stated in this tick
    starved: bool = False  # there was not enough work for the target
    limited: bool = False  # the bandwidth limit made readers wait for most of the tick
    uncapped: bool = False  # the limiter rests, so that the line can be measured
    blocked: bool = False  # writing or hashing paused readers for a good part of the tick
    loop_busy: float = 0.0  # share of the tick in which the event loop was busy
    planned: int = 0  # requests that are still to be made
    quota_left: int | None = None  # requests the server says remain, if it says so
    quota_seconds: float = 0.0  # until that quota is full again


@dataclass(frozen=True, slots=True)
class Decision:
    """How many connections may be in flight from now on, and why."""

    target: int
    start_rate: float | None
    reason: str
    mode: Mode


class Controller(Protocol):
    """A pure law: the same samples give the same decisions."""

    def start(self) -> Decision:
        """Return the decision before anything was measured."""
        ...

    def observe(self, sample: Sample) -> Decision:
        """Return the decision after one more tick."""
        ...


@dataclass(frozen=True, slots=True)
class FixedController:
    """Always the same number of connections."""

    connections: int

    def start(self) -> Decision:
        """Return the one decision there is."""
        return Decision(self.connections, None, "fixed", "FIXED")

    def observe(self, sample: Sample) -> Decision:
        """Return the same decision, whatever was measured."""
        return self.start()


class OpeningController:
    """Twice as many connections on each tick, from a few to a ceiling; then that number.

    Not while those there are bring as much as this machine can take: more of them would only
    scatter what arrives, and bytes out of order are read a second time to be hashed.
    """

    def __init__(self, ceiling: int) -> None:
        self._ceiling = ceiling
        self._target = min(FIRST_CONNECTIONS, ceiling)

    def start(self) -> Decision:
        """Return the decision before anything was measured."""
        return self._decision()

    def observe(self, sample: Sample) -> Decision:
        """Return the next step."""
        if sample.bytes < FULL_BYTES_PER_SECOND * sample.dt:
            self._target = min(2 * self._target, self._ceiling)
        return self._decision()

    def _decision(self) -> Decision:
        if self._target < self._ceiling:
            return Decision(self._target, None, "opening up", "RAMP0")
        return Decision(self._target, None, "at its ceiling", "FIXED")

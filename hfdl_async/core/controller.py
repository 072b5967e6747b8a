"""How many connections now: a sample of the last tick in, a decision out.

The law itself is `core/control/knee.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

from hfdl_async.core.model import KIB

Mode = Literal["FIXED", "RAMP0", "RAMP", "HOLD", "UP", "DOWN", "CAPPED"]

TICK_SECONDS = 0.5
MAX_CONNECTIONS = 256
AUTO_CONNECTIONS = 64  # more is not what a client should ask of a server by itself
CONNECTIONS_PER_CORE = 32  # one core has to receive, write and hash what they bring
FEWEST_AUTO_CONNECTIONS = 4
BUFFERS_PER_CONNECTION_BYTES = 256 * KIB  # less, and reading costs more than it brings


def auto_connections(cores: int, memory_bytes: int) -> int:
    """Return the ceiling where nobody named one, for so many *cores* and bytes of buffers.

    It is no more than a ceiling: the law finds the number that a line needs below it.
    """
    affordable = min(cores * CONNECTIONS_PER_CORE, memory_bytes // BUFFERS_PER_CONNECTION_BYTES)
    return max(FEWEST_AUTO_CONNECTIONS, min(AUTO_CONNECTIONS, affordable))


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

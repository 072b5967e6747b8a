"""From counters to what a person wants to know: how far, how fast, how long still."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import exp
from typing import Literal

Phase = Literal["listing", "checking", "waiting", "downloading", "finishing", "done"]
FlowState = Literal["asking", "receiving", "writing"]

RATE_MEMORY_SECONDS = 4.0  # long enough to be readable, short enough to show a pulled cable


@dataclass(frozen=True, slots=True)
class ActiveFile:
    """One file that is being worked on."""

    path: str
    size_bytes: int
    done_bytes: int
    verified_bytes: int
    connections: int


@dataclass(frozen=True, slots=True)
class ConnectionView:
    """One request in flight.

    Attributes:
        start, stop: the span of the file that was asked for.
        rate_bytes_per_second: over the last seconds.
        age_seconds: since the request was made.
        state: `asking` until its answer begins, `writing` while the disk is waited for.
    """

    path: str
    start: int
    stop: int
    rate_bytes_per_second: float
    age_seconds: float
    state: FlowState


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A frozen view of one download, for anybody who draws or logs it.

    Attributes:
        phase: what the run is doing as a whole.
        note: why nothing moves, or what is being waited for; empty when all is well.
        listed_files: files the Hub has named so far (listing) or that were checked (checking).
        bytes_done: selected bytes that are on disk, from whatever source; in `verify`, bytes read.
        bytes_from_wire: payload bytes received in this run.
        rate_bytes_per_second: smoothed rate of `bytes_from_wire`.
        eta_seconds: until the last byte at this rate, or None while unknown.
        flows: every request in flight, in the order of files and offsets.
        limit_bytes_per_second: the bandwidth limit in force, None without one.
    """

    phase: Phase = "listing"
    note: str = ""
    listed_files: int = 0
    files_done: int = 0
    files_failed: int = 0
    files_total: int = 0
    bytes_done: int = 0
    bytes_total: int = 0
    bytes_from_wire: int = 0
    rate_bytes_per_second: float = 0.0
    eta_seconds: float | None = None
    connections: int = 0
    connections_allowed: int = 0
    elapsed_seconds: float = 0.0
    active: tuple[ActiveFile, ...] = ()
    flows: tuple[ConnectionView, ...] = ()
    limit_bytes_per_second: float | None = None


@dataclass(frozen=True, slots=True)
class RateMeter:
    """An exponentially weighted rate over unevenly spaced readings of a byte counter."""

    at_seconds: float
    count: int = 0
    rate_bytes_per_second: float = 0.0
    warm: bool = False

    def read(self, now_seconds: float, count: int) -> RateMeter:
        """Return the meter after the counter showed *count* at *now_seconds*."""
        elapsed = now_seconds - self.at_seconds
        if elapsed <= 0:
            return self
        latest = max(0, count - self.count) / elapsed
        if not self.warm:
            return replace(
                self, at_seconds=now_seconds, count=count, rate_bytes_per_second=latest,
                warm=latest > 0,
            )  # fmt: skip
        kept = exp(-elapsed / RATE_MEMORY_SECONDS)
        rate = kept * self.rate_bytes_per_second + (1 - kept) * latest
        return replace(self, at_seconds=now_seconds, count=count, rate_bytes_per_second=rate)


def eta_seconds(missing_bytes: int, rate_bytes_per_second: float) -> float | None:
    """Return the seconds until *missing_bytes* are here, or None while nobody can know."""
    if missing_bytes <= 0:
        return 0.0
    if rate_bytes_per_second < 1.0:
        return None
    return missing_bytes / rate_bytes_per_second

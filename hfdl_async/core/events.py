"""The facts a download tells, in the past tense; `Event` is their union.

`time` is UNIX seconds. Renderers match over the union, so a new fact fails the type check in
every renderer that forgot it.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

from hfdl_async.core.model import Report


@dataclass(frozen=True, slots=True)
class _Fact:
    time: float

    def to_dict(self) -> dict[str, object]:
        """Return the JSON form: the fact's name under `event`, then its fields."""
        row: dict[str, object] = {"event": type(self).__name__}
        for item in fields(self):
            value = getattr(self, item.name)
            row[item.name] = value.to_dict() if isinstance(value, Report) else value
        return row


@dataclass(frozen=True, slots=True)
class PlanMade(_Fact):
    """The whole plan is known and checked; content will be asked for next."""

    commit: str
    files: int
    bytes_selected: int
    bytes_to_fetch: int


@dataclass(frozen=True, slots=True)
class FileStarted(_Fact):
    """The first request for a file is about to be made."""

    path: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class FileResumed(_Fact):
    """Bytes of an earlier run were proven; `rejected_bytes` were claimed but wrong."""

    path: str
    resumed_bytes: int
    rejected_bytes: int


@dataclass(frozen=True, slots=True)
class SegmentRetried(_Fact):
    """A request failed and its remaining bytes are asked for again after a wait."""

    path: str
    start: int
    stop: int
    reason: str
    delay_seconds: float


@dataclass(frozen=True, slots=True)
class ConnectionReplaced(_Fact):
    """A connection that was silent, or far slower than its peers, was given up for another."""

    path: str
    reason: str


@dataclass(frozen=True, slots=True)
class ConcurrencyChanged(_Fact):
    """The controller set another number of connections."""

    connections: int
    reason: str


@dataclass(frozen=True, slots=True)
class RateLimited(_Fact):
    """A host asked for patience; nothing is sent to it for `wait_seconds`."""

    host: str
    wait_seconds: float


@dataclass(frozen=True, slots=True)
class FileVerified(_Fact):
    """The content equals the digest the Hub published."""

    path: str
    algorithm: str
    hex: str


@dataclass(frozen=True, slots=True)
class FilePublished(_Fact):
    """The verified file has its final name and its receipt."""

    path: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class FileFailed(_Fact):
    """A file was given up; the others go on. `kind` is the class of the failure."""

    path: str
    kind: str
    message: str


@dataclass(frozen=True, slots=True)
class Progress(_Fact):
    """How far the run is; at most ten a second, the only fact a slow reader may lose."""

    bytes_done: int
    bytes_total: int
    rate_bytes_per_second: float
    eta_seconds: float | None
    connections: int
    connections_allowed: int
    limit_bytes_per_second: float | None = None


@dataclass(frozen=True, slots=True)
class Finished(_Fact):
    """The run is over; nothing comes after this."""

    report: Report


Event = (
    PlanMade
    | FileStarted
    | FileResumed
    | SegmentRetried
    | ConnectionReplaced
    | ConcurrencyChanged
    | RateLimited
    | FileVerified
    | FilePublished
    | FileFailed
    | Progress
    | Finished
)

"""The counters of one download: added to per chunk, read on somebody else's beat."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from hfdl_async.core.progress import (
    ActiveFile,
    ConnectionView,
    Phase,
    RateMeter,
    Snapshot,
    eta_seconds,
)


class Tally:
    """Plain integers that the loop adds to; `snapshot` makes a frozen view of them."""

    def __init__(self, now_seconds: float) -> None:
        self.started_at = now_seconds
        self._failing_since: float | None = None  # moved forward by what is no silence
        self._excused_until = now_seconds
        self.phase: Phase = "listing"
        self.note = ""
        self.listed_files = 0
        self.files_total = 0
        self.files_done = 0
        self.files_failed = 0
        self.bytes_total = 0
        self.bytes_finished = 0  # of files that are in place, from whatever source
        self.bytes_from_wire = 0
        self.bytes_resumed = 0
        self.bytes_reused = 0
        self.bytes_copying = 0  # being placed by copies that have not ended
        self.peak_connections = 0
        self.connections: Callable[[], tuple[int, int]] = lambda: (0, 0)  # now, allowed
        self.active: Callable[[], Iterable[ActiveFile]] = tuple
        self.flows: Callable[[float], Iterable[ConnectionView]] = _no_flows  # at a time
        self.hold: Callable[[], str] = str
        self.limit: Callable[[], float | None] = lambda: None  # bytes a second
        self._meter = RateMeter(now_seconds)

    def received(self, count: int, now_seconds: float) -> None:
        """Count payload bytes off the wire."""
        self.bytes_from_wire += count
        self._failing_since = None

    def failed(self, now_seconds: float) -> None:
        """Note that a request failed: the first one after a byte begins the silence.

        Not the byte itself: there may have been nothing to ask for since.
        """
        if self._failing_since is None:
            self._failing_since = max(now_seconds, self._excused_until)

    def excuse(self, start_seconds: float, stop_seconds: float) -> None:
        """Do not count this time as silence, once: a server asked for it."""
        start = max(start_seconds, self._excused_until)
        if self._failing_since is not None:
            start = max(start, self._failing_since)
            self._failing_since += max(0.0, stop_seconds - start)
        self._excused_until = max(self._excused_until, stop_seconds)

    def silent_seconds(self, now_seconds: float) -> float:
        """Return how long requests have failed without a new byte, less what was excused."""
        if self._failing_since is None:
            return 0.0
        return max(0.0, now_seconds - self._failing_since)

    def measure(self, now_seconds: float) -> None:
        """Bring the smoothed rate up to date; called on the beat of the line."""
        self._meter = self._meter.read(now_seconds, self.bytes_from_wire)

    def snapshot(self, now_seconds: float) -> Snapshot:
        """Return a frozen view of how far the download is."""
        active = tuple(self.active())
        done = self.bytes_finished + self.bytes_copying + sum(file.done_bytes for file in active)
        now, allowed = self.connections()
        rate = self._meter.rate_bytes_per_second
        return Snapshot(
            phase=self.phase,
            note=self.note or self.hold(),
            listed_files=self.listed_files,
            files_done=self.files_done,
            files_failed=self.files_failed,
            files_total=self.files_total,
            bytes_done=min(done, self.bytes_total),
            bytes_total=self.bytes_total,
            bytes_from_wire=self.bytes_from_wire,
            rate_bytes_per_second=rate,
            eta_seconds=eta_seconds(self.bytes_total - done, rate),
            connections=now,
            connections_allowed=allowed,
            limit_bytes_per_second=self.limit(),
            elapsed_seconds=now_seconds - self.started_at,
            active=active,
            flows=tuple(self.flows(now_seconds)),
        )


def _no_flows(now_seconds: float) -> tuple[ConnectionView, ...]:
    return ()

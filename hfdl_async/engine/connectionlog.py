"""The table of connections in the debug log: who reports a slow download can show which ones."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable

from hfdl_async.core.model import MB
from hfdl_async.core.progress import ConnectionView

TABLE_EVERY_SECONDS = 5.0

log = logging.getLogger("hfdl_async.connections")


class ConnectionLog:
    """Writes a line for every request in flight, every five seconds while there are any."""

    def __init__(self, flows: Callable[[float], Iterable[ConnectionView]]) -> None:
        self._flows = flows
        self._next_at: float | None = None

    def on_tick(self, now_seconds: float) -> None:
        """Write the table if it is time and anybody reads it."""
        if self._next_at is None:
            self._next_at = now_seconds + TABLE_EVERY_SECONDS
        if now_seconds < self._next_at or not log.isEnabledFor(logging.DEBUG):
            return
        self._next_at = now_seconds + TABLE_EVERY_SECONDS
        for flow in self._flows(now_seconds):
            log.debug(
                "%s bytes %d-%d: %s, %.2f MB/s, %.1f s old",
                flow.path,
                flow.start,
                flow.stop - 1,
                flow.state,
                flow.rate_bytes_per_second / MB,
                flow.age_seconds,
            )

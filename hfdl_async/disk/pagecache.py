"""How much of what a run writes may stay in the system's page cache.

A model that is loaded right after its download should be found there, and the digest that follows
the writes reads from there. A download that is larger than the memory finds nothing there anyway,
and drives out what other programs need. So a run keeps a share of the memory, and what it writes
beyond that is given up as soon as it is on the medium and hashed.
"""

from __future__ import annotations

import math
import threading

from hfdl_async.disk.calls import Calls
from hfdl_async.disk.native import memory_bytes

KEPT_SHARE = 0.25  # of the machine's memory


class PageCache:
    """The share of one run; `done_with` may be called on any thread."""

    def __init__(self, calls: Calls, most_bytes: float | None = None) -> None:
        self._calls = calls
        self._left = KEPT_SHARE * (memory_bytes() or math.inf) if most_bytes is None else most_bytes
        self._lock = threading.Lock()

    def done_with(self, fd: int, start: int, stop: int) -> None:
        """Note that these bytes of *fd* are synced and will not be read again by us."""
        with self._lock:
            self._left -= stop - start
            keep = self._left >= 0
        if not keep:
            self._calls.drop_cached(fd, start, stop - start)

"""How fast and how often: byte rates, and the Hub's request quotas with their headers.

Source for the headers: the Hub's rate-limit documentation and the IETF RateLimit header draft.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import anyio

from hfdl_async.core.model import KIB

MIN_PACED_BYTES = 4 * KIB
MAX_PACED_BYTES = 256 * KIB
PACE_SECONDS = 0.02  # the rhythm of a paced body: small enough to look even
CATCH_UP_SECONDS = 0.1


class Pacer:
    """Lets bytes pass at a rate, in order of asking, however many ask."""

    def __init__(self, bytes_per_second: float) -> None:
        self.bytes_per_second = bytes_per_second
        self._free_at = 0.0

    @property
    def piece_bytes(self) -> int:
        """How much to send at once so that the flow looks even."""
        wanted = int(self.bytes_per_second * PACE_SECONDS)
        return max(1, min(max(wanted, min(MIN_PACED_BYTES, wanted * 5)), MAX_PACED_BYTES))

    async def take(self, count: int) -> None:
        """Wait until *count* bytes may be sent."""
        now = anyio.current_time()
        # A timer that rang late is made up for, so that the rate is met; idle time is not.
        begin = self._free_at if self._free_at > now - CATCH_UP_SECONDS else now
        self._free_at = begin + count / self.bytes_per_second
        if self._free_at > now:
            await anyio.sleep(self._free_at - now)


@dataclass
class Quota:
    """Requests per fixed window of one bucket, for all callers together."""

    bucket: str
    quota: int
    window_seconds: float = 300.0
    clock: Callable[[], float] = time.monotonic
    used: int = 0
    _window: int = field(default=-1, init=False)

    def count(self) -> bool:
        """Count a request; False when the window's quota was used up before it."""
        window = int(self.clock() / self.window_seconds)
        if window != self._window:
            self._window, self.used = window, 0
        self.used += 1
        return self.used <= self.quota

    def headers(self) -> dict[str, str]:
        """Return the RateLimit headers as the Hub puts them on every answer."""
        remaining = max(0, self.quota - self.used)
        reset = math.ceil(self.window_seconds - self.clock() % self.window_seconds)
        window = math.ceil(self.window_seconds)
        return {
            "RateLimit": f'"{self.bucket}";r={remaining};t={reset}',
            "RateLimit-Policy": f'"fixed window";"{self.bucket}";q={self.quota};w={window}',
        }

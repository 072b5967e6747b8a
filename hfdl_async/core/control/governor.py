"""A limit as a percentage of what the line can do, measured only while nothing limits it.

A limit computed from limited goodput decays: 95 % of what 95 % let through, and so on to the
floor. The line is therefore measured in windows without a limit: at the end of the first ramp, and
then in a short rest of the limiter every half minute. The mean of the last minute's windows counts,
not the best of them: on a noisy line the best is more than the line can hold, and a limit above
the line is none.
"""

from __future__ import annotations

from collections import deque

WINDOW_SECONDS = 2.0
MEMORY_SECONDS = 60.0
REST_EVERY_SECONDS = 30.0
OPENING_SECONDS = 1.0  # of a rest: connections that were shed come back before it is measured
FIRST_MOST_SECONDS = 15.0  # without a knee by then, what was seen so far has to do
_ROUNDING = 1e-6


class Governor:
    """Keeps `limit` at a percentage of the line; `resting` while the limiter is off to measure.

    Until the first window is measured `limit` is None as well, and nothing is limited.
    """

    def __init__(self, percent: float) -> None:
        if not 0 < percent <= 100:
            raise ValueError(f"{percent:g} % of the line is not above 0 and up to 100")
        self._share = percent / 100.0
        self.limit: float | None = None
        self.resting = False
        self.line_rate: float | None = None
        self._ticks: deque[tuple[float, int]] = deque()
        self._windows: deque[tuple[float, float]] = deque()
        self._began: float | None = None
        self._change_at = 0.0  # when the rest ends, or the next one begins

    def observe(self, now: float, dt: float, received: int, *, ramping: bool) -> None:
        """Take in a tick of *dt* seconds that ended at *now*; *ramping* until the knee is known."""
        if self._began is None:
            self._began = now - dt
        if self.limit is not None:
            if now >= self._change_at:
                self._rest(now)
            return
        self._ticks.append((dt, received))
        if self.resting:
            if now >= self._change_at - _ROUNDING:
                self._measured(now)
        elif self._first_is_over(now - self._began, ramping):
            self._measured(now)

    @staticmethod
    def _first_is_over(seconds: float, ramping: bool) -> bool:
        if ramping:
            return seconds >= FIRST_MOST_SECONDS
        return seconds >= OPENING_SECONDS + WINDOW_SECONDS - _ROUNDING

    def _rest(self, now: float) -> None:
        self.resting, self.limit = True, None
        self._ticks.clear()
        self._change_at = now + OPENING_SECONDS + WINDOW_SECONDS

    def _measured(self, now: float) -> None:
        """Take the newest ticks as a window, and limit to the share of the mean of all windows."""
        seconds, received = 0.0, 0
        while self._ticks and seconds < WINDOW_SECONDS - _ROUNDING:
            dt, count = self._ticks.pop()
            seconds += dt
            received += count
        self._ticks.clear()
        if received:
            self._windows.append((now, received / seconds))
        while len(self._windows) > 1 and self._windows[0][0] <= now - MEMORY_SECONDS - 10.0:
            self._windows.popleft()
        if not self._windows:
            return  # nothing came at all: go on looking
        self.resting = False
        self.line_rate = sum(rate for _, rate in self._windows) / len(self._windows)
        self.limit = self._share * self.line_rate
        self._change_at = now + REST_EVERY_SECONDS

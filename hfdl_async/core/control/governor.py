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

    Until the first window is measured `limit` is None as well, and nothing is limited. That window
    is at most *first_seconds* long. Ticks that do not tell what the line can do (small files, too
    little work) count for nothing: a limit made of them would hold the large file behind.
    """

    def __init__(self, percent: float, *, first_seconds: float = WINDOW_SECONDS) -> None:
        self._share = _share(percent)
        self._first_seconds = first_seconds
        self.limit: float | None = None
        self.resting = False
        self.line_rate: float | None = None
        self._ticks: deque[tuple[float, int]] = deque()
        self._windows: deque[tuple[float, float]] = deque()
        self._telling_seconds = 0.0  # of ticks before the first window was measured
        self._change_at = 0.0  # when the rest ends, or the next one begins

    def aim(self, percent: float) -> None:
        """Keep to another percentage; what is known of the line stays known."""
        self._share = _share(percent)
        if self.limit is not None and self.line_rate is not None:
            self.limit = self._share * self.line_rate

    def observe(
        self, now: float, dt: float, received: int, *, ramping: bool, telling: bool = True
    ) -> None:
        """Take in a tick of *dt* seconds that ended at *now*; *ramping* until the knee is known."""
        if self.limit is not None:
            if now >= self._change_at:
                self._rest(now)
            return
        if telling:
            self._ticks.append((dt, received))
        if self.resting:
            if now >= self._change_at - _ROUNDING:
                self._measured(now, WINDOW_SECONDS)
            return
        self._telling_seconds += dt if telling else 0.0
        if ramping:
            self._keep_newest(WINDOW_SECONDS)
        if self._first_is_over(ramping):
            self._measured(now, max(self._first_seconds, WINDOW_SECONDS))

    def _first_is_over(self, ramping: bool) -> bool:
        if ramping:
            return self._telling_seconds >= FIRST_MOST_SECONDS
        return self._telling_seconds >= OPENING_SECONDS + self._first_seconds - _ROUNDING

    def _keep_newest(self, most_seconds: float) -> None:
        """Forget older ticks, from when there were fewer connections."""
        while sum(dt for dt, _ in self._ticks) > most_seconds + _ROUNDING:
            self._ticks.popleft()

    def _rest(self, now: float) -> None:
        self.resting, self.limit = True, None
        self._ticks.clear()
        self._change_at = now + OPENING_SECONDS + WINDOW_SECONDS

    def _measured(self, now: float, most_seconds: float) -> None:
        """Take the newest ticks as a window, and limit to the share of the mean of all windows."""
        self._keep_newest(most_seconds)
        seconds = sum(dt for dt, _ in self._ticks)
        received = sum(count for _, count in self._ticks)
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


def _share(percent: float) -> float:
    if not 0 < percent <= 100:
        raise ValueError(f"{percent:g} % of the line is not above 0 and up to 100")
    return percent / 100.0

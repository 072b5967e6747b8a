"""The laws that are not used, to compare with: fixed numbers, AIMD, latency, success share.

Each is the plain form of its idea, with the same ceiling and start as ours where it has one.
"""

from __future__ import annotations

from hfdl_async.core.controller import Decision, Mode, Sample

MOST = 64
_MODE: Mode = "FIXED"


class AimdController:
    """One more each tick, half of them on an error: as TCP does it, with requests for packets."""

    def __init__(self, first: int = 8) -> None:
        self._target = first
        self._quiet_until = 0.0

    def start(self) -> Decision:
        """Return the decision before anything was measured."""
        return Decision(self._target, None, "aimd", _MODE)

    def observe(self, sample: Sample) -> Decision:
        """Return the decision after one more tick."""
        if sample.throttled or sample.failed:
            if sample.t >= self._quiet_until:
                self._target = max(1, self._target // 2)
                self._quiet_until = sample.t + max(2.0, sample.retry_after)
        elif not sample.starved:
            self._target = min(MOST, self._target + 1)
        return self.start()


class GradientController:
    """Compares how long a byte takes now with how long it took at best (Vegas, Netflix limits)."""

    SMOOTHING = 0.2
    FORGETTING = 0.002  # per tick, of the best: the path may change

    def __init__(self, first: int = 8) -> None:
        self._limit = float(first)
        self._best: float | None = None

    def start(self) -> Decision:
        """Return the decision before anything was measured."""
        return Decision(max(1, round(self._limit)), None, "gradient", _MODE)

    def observe(self, sample: Sample) -> Decision:
        """Return the decision after one more tick."""
        if sample.throttled:
            self._limit = max(1.0, 0.7 * self._limit)
            return self.start()
        if sample.bytes <= 0 or sample.busy <= 0 or sample.starved:
            return self.start()
        seconds_per_byte = sample.busy * sample.dt / sample.bytes
        if self._best is None or seconds_per_byte < self._best:
            self._best = seconds_per_byte
        self._best *= 1.0 + self.FORGETTING
        gradient = max(0.5, min(1.0, 1.2 * self._best / seconds_per_byte))
        wanted = gradient * self._limit + max(1.0, self._limit**0.5) * 0.5
        self._limit += self.SMOOTHING * (wanted - self._limit)
        self._limit = min(float(MOST), max(1.0, self._limit))
        return self.start()


class SuccessController:
    """Grows while requests succeed in the expected time, as the client for Xet storage does."""

    GOOD, BAD = 0.8, 0.5
    LONGEST_SECONDS = 45.0  # a request that takes longer counts as a failure
    GAIN = 0.2

    def __init__(self) -> None:
        self._target = 1
        self._success = 0.9
        self._quiet_until = 0.0

    def start(self) -> Decision:
        """Return the decision before anything was measured."""
        return Decision(self._target, None, "success", _MODE)

    def observe(self, sample: Sample) -> Decision:
        """Return the decision after one more tick."""
        finished = sample.done + sample.throttled + sample.failed
        if finished:
            seconds = sample.busy * sample.dt / finished
            good = sample.done if seconds < self.LONGEST_SECONDS else 0
            self._success += self.GAIN * (good / finished - self._success)
        if sample.t < self._quiet_until:
            return self.start()
        if self._success > self.GOOD and not sample.starved:
            self._target = min(MOST, self._target + 1)
            self._quiet_until = sample.t + 0.5
        elif self._success < self.BAD:
            self._target = max(1, self._target - 1)
            self._quiet_until = sample.t + 0.25
        return self.start()

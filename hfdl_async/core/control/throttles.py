"""What a server's complaints lead to: one cut per burst, a ceiling or a pace, and a wait.

Two kinds of limit answer alike. When requests are few and large it is the number of connections
that was too high: cut it, and let a ceiling rise slowly. When many small requests complete it is
their rate: leave the connections, and pace the starts.
"""

from __future__ import annotations

from dataclasses import dataclass

from hfdl_async.core.control.ceiling import COLLAPSE_SECONDS, Ceiling
from hfdl_async.core.control.config import FAILED_SHARE
from hfdl_async.core.control.pacing import Pacing
from hfdl_async.core.controller import Sample

BURST_SECONDS = 2.0
FEWEST_FAILURES = 2  # one reset on a quiet line is no answer


@dataclass(frozen=True, slots=True)
class Complaint:
    """What the law has to do about one tick with complaints."""

    target: int
    reason: str


class Throttles:
    """All that servers have said against us so far."""

    def __init__(self, most: int) -> None:
        self._ceiling = Ceiling(most)
        self._pacing = Pacing()
        self._next_cut = 0.0
        self.quiet_until = 0.0

    @property
    def ceiling(self) -> int:
        """The most connections that are allowed now."""
        return self._ceiling.value

    @property
    def ceiling_set(self) -> bool:
        """Whether something but the configuration limits the connections."""
        return self._ceiling.set

    @property
    def start_rate(self) -> float | None:
        """How many requests may begin a second, None for any number."""
        return self._pacing.start_rate

    @property
    def paced(self) -> bool:
        """Whether starts are held back."""
        return self._pacing.paced

    def observe(self, sample: Sample, now: float, target: int, *, small: bool) -> Complaint | None:
        """Take in one tick; returns what to do if anybody complained."""
        self._ceiling.observe(now)
        self._pacing.observe(sample)
        if not sample.throttled and not _failing(sample):
            return None
        self.wait_until(now + sample.retry_after)
        if now < self._next_cut:
            return Complaint(target, "same-burst")
        self._next_cut = now + max(BURST_SECONDS, sample.retry_after)
        if sample.throttled and small and self._pacing.busy:
            self._pacing.slow_down()
            return Complaint(target, "too-many-requests")
        refused = sample.throttled or sample.failed
        carried = max(sample.flowing, sample.busy_high - refused)
        fewer = max(1, min(target - 1, carried))
        self._ceiling.lower(fewer, now)
        return Complaint(fewer, "too-many-connections" if sample.throttled else "failures")

    def collapse(self, connections: int, now: float) -> None:
        """Set a ceiling for a minute: more connections broke the line."""
        self._ceiling.lower(connections, now, COLLAPSE_SECONDS)

    def forgive(self) -> None:
        """Lift the ceiling: what set it turned out not to be our doing."""
        self._ceiling.lift()

    def wait_until(self, then: float) -> None:
        """Do not measure before *then*."""
        self.quiet_until = max(self.quiet_until, then)


def _failing(sample: Sample) -> bool:
    if sample.failed < FEWEST_FAILURES:
        return False
    return sample.failed > FAILED_SHARE * (sample.failed + sample.done + sample.flowing)

"""Turns samples into measurements: which ticks count, in which unit, and when enough is settled.

Comparing against ticks taken while windows still open makes every increase look good; after any
change ticks are therefore skipped until the new connections flow, and while goodput still climbs
the older ticks of the window are dropped.
"""

from __future__ import annotations

from hfdl_async.core.control.config import SMALL_REQUEST_BYTES, SMALL_REQUEST_WORTH
from hfdl_async.core.control.window import Level, Noise, Window
from hfdl_async.core.controller import Sample

BUSY_SHARE = 0.6  # of the allowed connections must have had work
FLOWING_SHARE = 0.8
SETTLING_TICKS = 6
OPENING_TICKS = 7
STILL_CLIMBING = 1.06  # from tick to tick
OVERHANG = 1.1  # connections that were retired may still carry so many times the target
MIX_MEMORY = 0.9  # of the counts that tell small requests from large ones, kept per tick
FEWEST_REQUESTS = 3.0


class Meter:
    """Goodput at the present number of connections."""

    __slots__ = (
        "_bytes", "_done", "_last", "_more", "_opening_left", "_settling", "_waited", "noise",
        "rate", "small", "window",
    )  # fmt: skip

    def __init__(self) -> None:
        self.noise = Noise()
        self.window = Window()
        self.rate = 0.0
        self.small = False
        self._bytes = self._done = 0.0
        self._last = 0.0
        self.changed()

    def changed(self) -> None:
        """Begin a new window: the number of connections, or the line, is another one."""
        self.window = Window()
        self._settling = True
        self._waited = 0
        self._more = 1
        self._opening_left = OPENING_TICKS

    def note(self, sample: Sample) -> bool:
        """Take the unit from *sample*; returns whether small and large requests changed places."""
        self._bytes = MIX_MEMORY * self._bytes + sample.bytes
        self._done = MIX_MEMORY * self._done + sample.done
        was = self.small
        if self._done >= FEWEST_REQUESTS:
            # Some margin either way: a mix near the border must not flip back and forth.
            border = SMALL_REQUEST_BYTES * (1.5 if was else 1.0)
            self.small = self._bytes < border * self._done
        worth = SMALL_REQUEST_WORTH * sample.done if self.small else 0
        self.rate = (sample.bytes + worth) / sample.dt
        return self.small != was

    def measure(self, sample: Sample, target: int, *, growing: bool) -> bool:
        """Add a tick to the window if it counts; returns whether there is news to judge."""
        last, self._last = self._last, self.rate
        if not self._settled(sample, target, growing):
            return False
        self.window.add(self.rate)
        if not growing or not self._opening_left:
            return True
        if self.window.newest_is_highest and self.rate > last * (
            STILL_CLIMBING + 0.5 * self.noise.sigma
        ):
            self._opening_left -= 1
            self.window.keep_newest()
            return False
        return True

    def level(self, connections: int) -> Level:
        """Return the present window as a measurement."""
        return self.window.level(connections, self.noise.sigma)

    def _settled(self, sample: Sample, target: int, growing: bool) -> bool:
        """Return whether this tick may be measured."""
        if not self._settling:
            return True
        self._waited += 1
        flowing = sample.flowing >= FLOWING_SHARE * target or sample.done >= target
        if flowing and sample.busy <= target + 0.1 and self._waited > 1 and not growing:
            self._settling = False  # nobody above the target was left in the whole tick
            return True
        there = flowing and sample.busy <= OVERHANG * target + 0.5
        if there or self._waited >= SETTLING_TICKS:
            # While growing the rule for what still climbs takes the place of one more tick.
            self._settling = not growing and self._more > 0
            self._more -= 1
        return False


def counts(sample: Sample, target: int, *, paced: bool) -> bool:
    """Return whether a tick says anything about the network."""
    return not sample.starved and (paced or sample.busy >= BUSY_SHARE * target)

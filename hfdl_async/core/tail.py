"""What idle connections can do for the last pieces: take half of one, or fetch one twice.

Splitting costs nothing twice and comes first. A duplicate costs bytes, so it is for a piece too
small to split on a connection that is far behind, within a budget.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf
from statistics import median

from hfdl_async.core.model import MIB

LEAST_SPLIT_BYTES = MIB
LEAST_SAVED_SECONDS = 0.25  # sooner nobody knows how fast a connection is
SAVED_ON_A_FULL_LINE = 1.0  # seconds; a new connection adds nothing there but evens them out
RISEN = 1.25  # times the usual rate: the others have taken up what the idle ones left of the line
ANSWERS_SAVED = 4.0  # a new connection, its request, and the opening of its window
ENOUGH_TO_COMPARE = 3
ENOUGH_TO_BLAME_THE_LINE = 2  # one other that is slow, too, may be another one that is broken
HEDGE_FACTOR = 3.0
HEDGE_SECONDS = 1.0
DUPLICATE_SHARE = 0.02  # of the bytes of the job
QUIET_SECONDS = 30.0  # after a throttle nothing is asked for twice
ALSO_SLOW = 0.5  # of the usual rate: then it is the line, and a duplicate only adds load


@dataclass(frozen=True, slots=True)
class Working:
    """A connection near the end of the job: what it still has to fetch, and how fast it is."""

    key: int
    remaining_bytes: int
    rate: float

    @property
    def eta_seconds(self) -> float:
        """Seconds until it is done at its own rate."""
        return self.remaining_bytes / self.rate if self.rate > 0 else inf


@dataclass(frozen=True, slots=True)
class Split:
    """Take so many bytes from the end of what *victim* has to fetch."""

    victim: int
    moved_bytes: int


def split(
    working: Sequence[Working], first_byte_seconds: float, usual_rate: float = 0.0
) -> Split | None:
    """Return what an idle connection should take over, None when nothing is worth it.

    *usual_rate* is that of a connection before the tail: the last two say little about it.
    """
    candidates = [each for each in working if each.remaining_bytes > 0]
    if not candidates:
        return None
    victim = max(candidates, key=lambda each: (each.eta_seconds, each.remaining_bytes))
    usual = median(each.rate for each in candidates)
    if len(candidates) < ENOUGH_TO_COMPARE:
        usual = max(usual, usual_rate)
    if usual <= 0:
        return None
    within = victim.remaining_bytes - victim.rate * first_byte_seconds
    moved = int(within * usual / (usual + victim.rate))
    if moved < LEAST_SPLIT_BYTES or moved >= victim.remaining_bytes:
        return None
    left = (victim.remaining_bytes - moved) / victim.rate if victim.rate > 0 else inf
    after = max(left, first_byte_seconds + moved / usual)
    is_full = 0 < RISEN * usual_rate < victim.rate
    least = SAVED_ON_A_FULL_LINE if is_full else LEAST_SAVED_SECONDS
    least = max(least, ANSWERS_SAVED * first_byte_seconds)
    if victim.eta_seconds - after < least:
        return None
    return Split(victim.key, moved)


@dataclass(frozen=True, slots=True)
class Budget:
    """What may be fetched twice in this job."""

    job_bytes: int
    spent_bytes: int = 0
    seconds_since_throttle: float = inf
    usual_rate: float = 0.0  # of a connection, before the tail

    def allows(self, count: int) -> bool:
        """Return whether *count* more bytes may be asked for a second time."""
        if self.seconds_since_throttle < QUIET_SECONDS:
            return False
        return self.spent_bytes + count <= DUPLICATE_SHARE * self.job_bytes


def hedge(working: Sequence[Working], first_byte_seconds: float, budget: Budget) -> int | None:
    """Return the key of the connection whose piece should be fetched a second time, if any."""
    candidates = [each for each in working if each.remaining_bytes > 0]
    if not candidates:
        return None
    victim = max(candidates, key=lambda each: (each.eta_seconds, each.remaining_bytes))
    others = [each.rate for each in working if each.key != victim.key]
    usual = median(others) if others else 0.0
    if len(others) < ENOUGH_TO_BLAME_THE_LINE:
        usual = max(usual, budget.usual_rate)
    if usual <= 0 or usual < ALSO_SLOW * budget.usual_rate:
        return None
    anew = first_byte_seconds + victim.remaining_bytes / usual
    if victim.eta_seconds <= HEDGE_FACTOR * anew + HEDGE_SECONDS:
        return None
    return victim.key if budget.allows(victim.remaining_bytes) else None

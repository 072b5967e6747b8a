"""Which connection is worse than its peers, and may be replaced by a new one.

Only what differs from the others counts: when a line slows down all connections slow down alike,
and replacing them would help nobody. Two checks in a row must agree, and replacements are rationed.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

SLOT_SECONDS = 1.0
SLOTS = 10
RATE_SECONDS = 5.0
EXEMPT_AFTER_FIRST_BYTE_SECONDS = 2.0
EXEMPT_AFTER_START_SECONDS = 5.0
FEWEST_FLOWING = 3
CHECKS_IN_A_ROW = 2
APART_SECONDS = 5.0  # of two replacements, at least
RATION_SECONDS = 30.0
RATION_SHARE = 0.1  # of the connections, in so many seconds


class Pace:
    """What one connection has brought, in slots of a second over the last ten."""

    __slots__ = ("_slots", "first_byte_at", "last_byte_at", "started_at")

    def __init__(self, started_at: float) -> None:
        self.started_at = started_at
        self.first_byte_at: float | None = None
        self.last_byte_at = started_at
        self._slots: deque[tuple[int, int]] = deque(maxlen=SLOTS)

    def add(self, now: float, count: int) -> None:
        """Note *count* bytes that arrived at *now*."""
        if self.first_byte_at is None:
            self.first_byte_at = now
        self.last_byte_at = now
        slot = int(now // SLOT_SECONDS)
        if self._slots and self._slots[-1][0] == slot:
            self._slots[-1] = (slot, self._slots[-1][1] + count)
        else:
            self._slots.append((slot, count))

    def rate(self, now: float) -> float:
        """Return bytes a second over the last five seconds, or since the first byte."""
        if self.first_byte_at is None:
            return 0.0
        first = (now - RATE_SECONDS) // SLOT_SECONDS + 1  # the first slot that is wholly within
        received = sum(count for slot, count in self._slots if slot >= first)
        since = max(self.first_byte_at, first * SLOT_SECONDS)
        return received / max(SLOT_SECONDS, now - since)

    def may_be_judged(self, now: float) -> bool:
        """Return whether it had time enough to come up to speed."""
        if now - self.started_at >= EXEMPT_AFTER_START_SECONDS:
            return True
        flowing = self.first_byte_at
        return flowing is not None and now - flowing >= EXEMPT_AFTER_FIRST_BYTE_SECONDS


def is_dead(pace: Pace, now: float, silence_seconds: float, *, excused: bool) -> bool:
    """Return whether no byte came for too long; *excused* while a limit or the disk holds it."""
    return not excused and now - pace.last_byte_at > silence_seconds


@dataclass(frozen=True, slots=True)
class Peer:
    """One connection at a check."""

    key: int
    rate: float
    flowing: bool
    may_be_judged: bool


class SlowWatch:
    """Finds connections below a share of their peers' mean rate, one at a time."""

    def __init__(self, share: float) -> None:
        self._share = share
        self._suspects: dict[int, int] = {}
        self._replaced_at: deque[float] = deque()

    def check(self, now: float, peers: Sequence[Peer]) -> int | None:
        """Return the key of the connection to replace now; to be called at each re-check."""
        slow = self._slow(peers)
        self._suspects = {key: self._suspects.get(key, 0) + 1 for key in slow}
        while self._replaced_at and self._replaced_at[0] <= now - RATION_SECONDS:
            self._replaced_at.popleft()
        if len(self._replaced_at) >= max(1, int(RATION_SHARE * len(peers))):
            return None
        if self._replaced_at and now - self._replaced_at[-1] < APART_SECONDS:
            return None
        due = [key for key in slow if self._suspects[key] >= CHECKS_IN_A_ROW]
        if not due:
            return None
        self._replaced_at.append(now)
        del self._suspects[due[0]]
        return due[0]

    def _slow(self, peers: Sequence[Peer]) -> list[int]:
        """Return the keys of the slow ones, the slowest first."""
        flowing = [peer for peer in peers if peer.flowing]
        if len(flowing) < FEWEST_FLOWING:
            return []
        total = sum(peer.rate for peer in flowing)
        others = len(flowing) - 1
        slow = [
            peer
            for peer in flowing
            if peer.may_be_judged and peer.rate < self._share * (total - peer.rate) / others
        ]
        return [peer.key for peer in sorted(slow, key=lambda peer: (peer.rate, peer.key))]

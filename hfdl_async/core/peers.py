"""Which connection is worse than its peers, and may be replaced by a new one.

Only what differs from the others counts: when a line slows down all connections slow down alike,
and replacing them would help nobody. Two checks in a row must agree.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

SLOT_SECONDS = 0.25
RATE_SECONDS = 5.0
LEAST_RATE_SECONDS = 1.0  # a connection that is younger has not brought what it will in a second
RECENT_SECONDS = 1.0
JUDGED_SECONDS = 3.0  # of a check: with five, what came before a fall hides it once more
SLOTS = round(RATE_SECONDS / SLOT_SECONDS) + 2  # the one at either end is not whole
EXEMPT_AFTER_FIRST_BYTE_SECONDS = 2.0
EXEMPT_AFTER_START_SECONDS = 5.0
FEWEST_FLOWING = 3
CHECKS_IN_A_ROW = 2
APART_SECONDS = 5.0  # of two replacements, at least
RATION_SECONDS = 30.0
RATION_SHARE = 0.1  # of the connections, in so many seconds


class Pace:
    """What one connection has brought, in quarters of a second over the last five."""

    __slots__ = ("_slots", "first_byte_at", "started_at")

    def __init__(self, started_at: float) -> None:
        self.started_at = started_at
        self.first_byte_at: float | None = None
        self._slots: deque[tuple[int, int]] = deque(maxlen=SLOTS)

    def add(self, now: float, count: int) -> None:
        """Note *count* bytes that arrived at *now*."""
        if self.first_byte_at is None:
            self.first_byte_at = now
        slot = int(now // SLOT_SECONDS)
        if self._slots and self._slots[-1][0] == slot:
            self._slots[-1] = (slot, self._slots[-1][1] + count)
        else:
            self._slots.append((slot, count))

    def rate(self, now: float) -> float:
        """Return bytes a second over the last five seconds, or since the first byte."""
        return self._rate(now, RATE_SECONDS, LEAST_RATE_SECONDS)

    def judged_rate(self, now: float) -> float:
        """Return bytes a second over the last three seconds, for `SlowWatch`."""
        return self._rate(now, JUDGED_SECONDS, LEAST_RATE_SECONDS)

    def recent_rate(self, now: float) -> float:
        """Return bytes a second over the last second: a guess that is right soon, and rougher."""
        return self._rate(now, RECENT_SECONDS, SLOT_SECONDS)

    def _rate(self, now: float, seconds: float, least_seconds: float) -> float:
        if self.first_byte_at is None:
            return 0.0
        first = (now - seconds) // SLOT_SECONDS + 1  # the first slot that is wholly within
        received = sum(count for slot, count in self._slots if slot >= first)
        since = max(self.first_byte_at, first * SLOT_SECONDS)
        return received / max(least_seconds, now - since)

    def is_settled(self, now: float) -> bool:
        """Return whether `recent_rate` has something to go by."""
        return self.first_byte_at is not None and now - self.first_byte_at >= SLOT_SECONDS

    def may_be_judged(self, now: float) -> bool:
        """Return whether it had time enough to come up to speed."""
        if now - self.started_at >= EXEMPT_AFTER_START_SECONDS:
            return True
        flowing = self.first_byte_at
        return flowing is not None and now - flowing >= EXEMPT_AFTER_FIRST_BYTE_SECONDS


@dataclass(frozen=True, slots=True)
class Peer:
    """One connection at a check."""

    key: int
    rate: float
    flowing: bool
    may_be_judged: bool
    silent: bool = False  # it was read since the last check at least, and nothing came


class SlowWatch:
    """Finds connections below a share of their peers' mean rate.

    They are replaced one at a time and rationed, so that a line that slows down as a whole brings
    no storm of new connections. Only those that are silent while half of their peers bring bytes
    are broken for sure: all of them are replaced, and one check is enough, since they were silent
    from the one before.
    """

    def __init__(self, share: float) -> None:
        self._share = share
        self._suspects: dict[int, int] = {}
        self._replaced_at: deque[float] = deque()

    def check(self, now: float, peers: Sequence[Peer]) -> list[int]:
        """Return the keys of the connections to replace now; to be called at each re-check."""
        slow = self._slow(peers)
        self._suspects = {peer.key: self._suspects.get(peer.key, 0) + 1 for peer in slow}
        well = sum(1 for peer in peers if peer.rate > 0)
        surely = well >= FEWEST_FLOWING and 2 * well >= len(peers)
        replaced = [peer.key for peer in slow if peer.silent and surely]
        due = [peer.key for peer in slow if self._suspects[peer.key] >= CHECKS_IN_A_ROW]
        others = [key for key in due if key not in replaced]
        if others and self._ration_allows(now, len(peers)):
            self._replaced_at.append(now)
            replaced.append(others[0])
        for key in replaced:
            del self._suspects[key]
        return replaced

    def _ration_allows(self, now: float, connections: int) -> bool:
        while self._replaced_at and self._replaced_at[0] <= now - RATION_SECONDS:
            self._replaced_at.popleft()
        if len(self._replaced_at) >= max(1, int(RATION_SHARE * connections)):
            return False
        return not self._replaced_at or now - self._replaced_at[-1] >= APART_SECONDS

    def _slow(self, peers: Sequence[Peer]) -> list[Peer]:
        """Return the slow ones, the slowest first."""
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
        return sorted(slow, key=lambda peer: (peer.rate, peer.key))

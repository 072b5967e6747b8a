"""What to do while a bandwidth limit binds: probes say nothing, and most connections are idle."""

from __future__ import annotations

SHED_SECONDS = 5.0
UNDO_SECONDS = 1.0
SLACK_SECONDS = 30.0
LEAVE_SECONDS = 3.0


class Shedding:
    """Gives connections back that the limit keeps from working, one step every five seconds."""

    __slots__ = (
        "_before",
        "_next_shed",
        "_resting_from",
        "_slack_since",
        "_stopped",
        "active",
        "free_target",
    )

    def __init__(self) -> None:
        self.active = False
        self.free_target = 0  # what the law wanted before the limit bound
        self._before: int | None = None
        self._next_shed = 0.0
        self._resting_from: int | None = None
        self._slack_since: float | None = None
        self._stopped = False

    def observe(self, now: float, target: int, *, limited: bool, uncapped: bool, least: int) -> int:
        """Return the new target; `active` tells whether the limit governs it."""
        if uncapped and self.active:
            # The line is measured with the connections it needs, not with those the limit needs.
            if self._resting_from is None:
                self._resting_from = target
            return max(target, self.free_target)
        if self._resting_from is not None:
            target, self._resting_from = self._resting_from, None
            self._next_shed = max(self._next_shed, now + SHED_SECONDS)
            self._slack_since = None
            return target
        if limited:
            return self._bound(now, target, least)
        if self._slack_since is None:
            self._slack_since = now
        slack = now - self._slack_since + 0.5
        if slack >= SLACK_SECONDS:
            self._stopped = False
        if not self.active:
            return target
        if self._before is not None and slack >= UNDO_SECONDS:
            target, self._before = self._before, None
            self._stopped = True
        elif self._before is None and slack >= LEAVE_SECONDS:
            self.active = False
        return target

    def _bound(self, now: float, target: int, least: int) -> int:
        self._slack_since = None
        if not self.active:
            self.active = True
            self.free_target = target
            self._before = None
            self._next_shed = now + SHED_SECONDS
        if now < self._next_shed or self._stopped or target <= least:
            return target
        self._before = target
        self._next_shed = now + SHED_SECONDS
        return max(least, target - max(1, target // 5))

    def reset(self) -> None:
        """Forget the limit."""
        self.active, self._before, self._slack_since, self._stopped = False, None, None, False
        self._resting_from = None

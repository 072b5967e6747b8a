"""What a failure means, and how long to wait before the next try.

Three budgets, by what went wrong. An *answered error* (5xx, 408) and *first contact* may fail
`max_retries` times in a row without a new byte between them. A *lost* connection after first
contact may go on for `give_up_after_seconds` without one new byte. A *stated wait* (429) is kept
to, but not beyond `MAX_STATED_WAIT_SECONDS` in all.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from hfdl_async.errors import (
    HfdlError,
    LinkRefusedError,
    LostConnectionError,
    NetworkError,
    ProtocolError,
    RangeIgnoredError,
    RateLimitedError,
    ServerError,
)

BASE_DELAY_SECONDS = 0.5
MAX_DELAY_SECONDS = 30.0
MAX_STATED_WAIT_SECONDS = 600.0  # longer than that, a person wants to be told instead
MAX_PROTOCOL_FAILURES = 3  # a server that keeps answering wrongly will not learn
MAX_LINK_REFUSALS = 3  # fresh signed URLs refused in a row: not an expiry


@dataclass(frozen=True, slots=True)
class Policy:
    """How patient a run is; `give_up_after_seconds` None means for ever."""

    max_retries: int = 5
    give_up_after_seconds: float | None = 300.0


@dataclass(frozen=True, slots=True)
class Streak:
    """The failures of one request in a row, without a new byte between them."""

    answered: int = 0
    lost: int = 0
    wrong: int = 0
    refused: int = 0
    throttled: int = 0
    waited_seconds: float = 0.0  # because a server said so

    @property
    def count(self) -> int:
        """All failures of the streak."""
        return self.answered + self.lost + self.wrong + self.refused + self.throttled

    def after(self, error: HfdlError) -> Streak:
        """Return the streak with one more failure."""
        if isinstance(error, RateLimitedError):
            waited = self.waited_seconds + (error.retry_after_seconds or 0.0)
            return replace(self, throttled=self.throttled + 1, waited_seconds=waited)
        if isinstance(error, ServerError):
            return replace(self, answered=self.answered + 1)
        if isinstance(error, LostConnectionError):
            return replace(self, lost=self.lost + 1)
        if isinstance(error, LinkRefusedError):
            return replace(self, refused=self.refused + 1)
        return replace(self, wrong=self.wrong + 1)


def may_retry(error: HfdlError) -> bool:
    """Return whether *error* is of a kind that another try can cure."""
    kinds = (
        LostConnectionError,
        ServerError,
        RateLimitedError,
        ProtocolError,
        LinkRefusedError,
        RangeIgnoredError,
    )
    return isinstance(error, kinds)


def delay_seconds(attempt: int, *, jitter: float, retry_after: float | None = None) -> float:
    """Return the seconds to wait before retry number *attempt* (full jitter).

    Full jitter spreads the retries of many workers evenly over the window: `jitter` is a number
    drawn from 0 to 1. A wait the server stated is never undercut.
    """
    window = min(MAX_DELAY_SECONDS, BASE_DELAY_SECONDS * 2.0 ** min(attempt - 1, 16))
    return max(jitter * window, retry_after or 0.0)


def judge(
    error: HfdlError,
    streak: Streak,
    policy: Policy,
    *,
    contacted: bool,
    silent_seconds: float,
    jitter: float,
) -> float | None:
    """Return the seconds to wait before another try, or None to give up.

    Args:
        error: the failure that just happened; *streak* counts it already.
        streak: this request's failures since its last new byte.
        policy: the patience the user set.
        contacted: whether the hub has answered anything at all in this run.
        silent_seconds: how long the whole run has met nothing but failures, without one new byte,
            less the time it waited because a server said so.
        jitter: a number drawn evenly from 0 to 1.
    """
    if not may_retry(error):
        return None
    if isinstance(error, RateLimitedError):
        stated = error.retry_after_seconds
        if streak.waited_seconds > MAX_STATED_WAIT_SECONDS:
            return None
        if stated is None and _too_long(silent_seconds, policy):
            return None
        return delay_seconds(streak.throttled, jitter=jitter, retry_after=stated)
    if isinstance(error, ServerError) and streak.answered > policy.max_retries:
        return None
    if isinstance(error, LinkRefusedError):
        return 0.0 if streak.refused <= MAX_LINK_REFUSALS else None
    if isinstance(error, ProtocolError) and streak.wrong > MAX_PROTOCOL_FAILURES:
        return None
    if isinstance(error, LostConnectionError):
        if not contacted and streak.lost > policy.max_retries:
            return None
        if contacted and _too_long(silent_seconds, policy):
            return None
    return delay_seconds(streak.count, jitter=jitter)


def _too_long(silent_seconds: float, policy: Policy) -> bool:
    limit = policy.give_up_after_seconds
    return limit is not None and silent_seconds >= limit


def give_up(error: HfdlError, streak: Streak, *, silent_seconds: float) -> HfdlError:
    """Return the error that ends the retries, saying what was tried and how to go on."""
    if not may_retry(error) or streak.count <= 1:
        return error
    if isinstance(error, LostConnectionError) and silent_seconds > 1:
        tried = f"no new byte for {silent_seconds:.0f} s, {streak.count} tries"
    else:
        tried = f"{streak.count} tries"
    hint = error.hint or "run the same command again: it continues from the last proven byte"
    return NetworkError(f"{error.message} (gave up: {tried})", hint=hint)

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hfdl_async.core.retry import (
    MAX_DELAY_SECONDS,
    MAX_LINK_REFUSALS,
    MAX_STATED_WAIT_SECONDS,
    Policy,
    Streak,
    delay_seconds,
    give_up,
    judge,
    may_retry,
)
from hfdl_async.errors import (
    AccessError,
    HfdlError,
    IntegrityError,
    LinkRefusedError,
    LostConnectionError,
    NetworkError,
    NotFoundError,
    ProtocolError,
    RangeIgnoredError,
    RateLimitedError,
    ServerError,
    StorageError,
    UnsafeError,
)

LOST = LostConnectionError("reset")
ANSWERED = ServerError("HTTP 503")
WRONG = ProtocolError("another range")
REFUSED = LinkRefusedError("HTTP 403")
LIMITED = RateLimitedError("HTTP 429")
FINAL = [
    AccessError("x"),
    NotFoundError("x"),
    IntegrityError("x"),
    UnsafeError("x"),
    StorageError("x"),
    NetworkError("x"),
    HfdlError("x"),
]


def limited(seconds: float) -> RateLimitedError:
    return RateLimitedError("HTTP 429", retry_after_seconds=seconds)


def waits(
    *errors: HfdlError,
    policy: Policy | None = None,
    contacted: bool = True,
    silent_seconds: float = 0.0,
    jitter: float = 1.0,
) -> list[float | None]:
    """Return the verdict after each of *errors* in a row."""
    streak, verdicts = Streak(), []
    for error in errors:
        streak = streak.after(error)
        verdicts.append(
            judge(
                error,
                streak,
                policy or Policy(),
                contacted=contacted,
                silent_seconds=silent_seconds,
                jitter=jitter,
            )
        )
    return verdicts


@pytest.mark.parametrize("error", FINAL, ids=lambda error: type(error).__name__)
def test_what_another_try_cannot_cure_is_not_tried_again(error: HfdlError) -> None:
    assert not may_retry(error)
    assert waits(error, policy=Policy(max_retries=9, give_up_after_seconds=None)) == [None]


TABLE: dict[str, tuple[list[float | None], list[float | None]]] = {
    "an answered error has max_retries tries": (
        waits(*[ANSWERED] * 6),
        [0.5, 1, 2, 4, 8, None],
    ),
    "none when there shall be none": (waits(ANSWERED, policy=Policy(max_retries=0)), [None]),
    "the same before first contact": (
        waits(*[LOST] * 6, contacted=False),
        [0.5, 1, 2, 4, 8, None],
    ),
    "a lost connection has no count after first contact": (
        waits(*[LOST] * 9),
        [0.5, 1, 2, 4, 8, 16, 30, 30, 30],
    ),
    "but a time": (waits(LOST, silent_seconds=300.0), [None]),
    "just before that time": (waits(LOST, silent_seconds=299.9), [0.5]),
    "for ever when asked to": (
        waits(LOST, silent_seconds=1e9, policy=Policy(give_up_after_seconds=None)),
        [0.5],
    ),
    "at once when asked to": (waits(LOST, policy=Policy(give_up_after_seconds=0.0)), [None]),
    "a stated wait is kept to": (waits(limited(40.0)), [40.0]),
    "and never undercut": (waits(limited(0.1)), [0.5]),
    "also in silence": (waits(limited(40.0), silent_seconds=1e9), [40.0]),
    "the longest wait": (waits(limited(MAX_STATED_WAIT_SECONDS)), [MAX_STATED_WAIT_SECONDS]),
    "longer than that": (waits(limited(MAX_STATED_WAIT_SECONDS + 1)), [None]),
    "waits add up": (waits(limited(400.0), limited(400.0)), [400.0, None]),
    "a limit without a wait backs off": (waits(*[LIMITED] * 3), [0.5, 1, 2]),
    "and ends in silence": (waits(LIMITED, silent_seconds=300.0), [None]),
    "wrong answers get three more tries": (waits(*[WRONG] * 4), [0.5, 1, 2, None]),
    "a refused link is renewed at once": (
        waits(*[REFUSED] * (MAX_LINK_REFUSALS + 1)),
        [0.0] * MAX_LINK_REFUSALS + [None],
    ),
    "budgets are apart, the waits go on growing": (
        waits(ANSWERED, LOST, WRONG, ANSWERED),
        [0.5, 1, 2, 4],
    ),
}


@pytest.mark.parametrize("row", TABLE)
def test_failures_and_waits(row: str) -> None:
    verdicts, expected = TABLE[row]
    assert verdicts == expected


def test_ignored_ranges_may_be_tried_again_in_another_mode() -> None:
    assert may_retry(RangeIgnoredError("x"))


@given(st.integers(1, 10_000), st.floats(0, 1), st.none() | st.floats(0, 600))
def test_waits_are_spread_over_a_bounded_window(
    attempt: int, jitter: float, stated: float | None
) -> None:
    wait = delay_seconds(attempt, jitter=jitter, retry_after=stated)
    assert wait >= (stated or 0.0)
    assert wait <= max(MAX_DELAY_SECONDS * jitter, stated or 0.0)


@given(
    st.lists(st.sampled_from([LOST, ANSWERED, WRONG, REFUSED, LIMITED, limited(1.0)]), max_size=20)
)
def test_a_streak_counts_every_failure_once(errors: list[HfdlError]) -> None:
    streak = Streak()
    for error in errors:
        streak = streak.after(error)
    assert streak.count == len(errors)


def test_giving_up_says_what_was_tried_and_how_to_go_on() -> None:
    error = give_up(LOST, Streak(lost=7), silent_seconds=301.0)
    assert type(error) is NetworkError
    assert error.message == "reset (gave up: no new byte for 301 s, 7 tries)"
    assert "run the same command again" in (error.hint or "")


def test_giving_up_keeps_a_hint_that_says_more() -> None:
    error = give_up(ServerError("HTTP 500", hint="ask them"), Streak(answered=6), silent_seconds=0)
    assert error.message == "HTTP 500 (gave up: 6 tries)"
    assert error.hint == "ask them"


@pytest.mark.parametrize("error", FINAL, ids=lambda error: type(error).__name__)
def test_what_was_final_is_passed_on_as_it_is(error: HfdlError) -> None:
    assert give_up(error, Streak(lost=1, wrong=1), silent_seconds=0.0) is error


def test_a_single_failure_is_passed_on_as_it_is() -> None:
    assert give_up(LOST, Streak(lost=1), silent_seconds=400.0) is LOST

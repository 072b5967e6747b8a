from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hfdl_async.core.model import GIB, MIB
from hfdl_async.core.tail import (
    ANSWERS_SAVED,
    LEAST_SAVED_SECONDS,
    Budget,
    Working,
    hedge,
    split,
)

MB = 10**6
working = st.lists(
    st.builds(Working, st.integers(0, 100), st.integers(0, 64 * MIB), st.floats(0, 100e6)),
    max_size=12,
    unique_by=lambda each: each.key,
)


def test_the_one_that_would_take_longest_is_split_not_the_one_with_most_left() -> None:
    fast = Working(1, 100 * MB, 50e6)
    slow = Working(2, 40 * MB, 5e6)
    found = split([fast, slow, Working(3, 10 * MB, 50e6)], first_byte_seconds=0.1)
    assert found is not None
    assert found.victim == 2
    # Both ends are then done at about the same time: 10 times as fast takes 10 times as much.
    assert found.moved_bytes == pytest.approx(40 * MB * 50 / 55, rel=0.02)


@pytest.mark.parametrize(
    "pieces",
    [
        [],
        [Working(1, 0, 5e6)],
        [Working(1, 10 * MB, 50e6)],
        [Working(1, MIB, 1e6)],
        [Working(1, 10 * MB, 0.0)],
    ],
)
def test_what_saves_nothing_is_left_alone(pieces: list[Working]) -> None:
    assert split(pieces, first_byte_seconds=0.1) is None


def test_a_connection_that_stands_still_keeps_nothing_worth_waiting_for() -> None:
    pieces = [Working(1, 16 * MB, 0.0), Working(2, 16 * MB, 10e6), Working(3, 16 * MB, 10e6)]
    assert split(pieces, first_byte_seconds=0.1) is None  # that is for a duplicate
    assert hedge(pieces, 0.1, Budget(GIB)) == 1


def test_the_last_but_one_does_not_speak_for_the_line() -> None:
    both_broken = [Working(1, 16 * MB, 0.0), Working(2, 10 * MB, 0.2e6)]
    assert hedge(both_broken, 0.1, Budget(GIB, usual_rate=10e6)) == 1


late = st.lists(
    st.builds(
        Working, st.integers(0, 100), st.integers(8 * MIB, 64 * MIB), st.floats(0.1e6, 100e6)
    ),
    min_size=1,
    max_size=12,
    unique_by=lambda each: each.key,
)


@given(late, st.floats(0, 0.5))
def test_a_split_leaves_both_sides_something_and_saves_more_than_it_costs(
    pieces: list[Working], first_byte_seconds: float
) -> None:
    found = split(pieces, first_byte_seconds)
    if found is None:
        return
    (victim,) = (each for each in pieces if each.key == found.victim)
    assert MIB <= found.moved_bytes < victim.remaining_bytes
    kept_seconds = (victim.remaining_bytes - found.moved_bytes) / victim.rate
    least = max(LEAST_SAVED_SECONDS, ANSWERS_SAVED * first_byte_seconds)
    assert victim.eta_seconds - kept_seconds >= least
    assert victim.eta_seconds == max(each.eta_seconds for each in pieces if each.remaining_bytes)


FAR_BEHIND = [Working(1, MB, 0.1e6), Working(2, MB, 10e6), Working(3, MB, 10e6)]


def test_a_small_piece_far_behind_is_fetched_a_second_time() -> None:
    assert hedge(FAR_BEHIND, 0.1, Budget(GIB)) == 1


@pytest.mark.parametrize(
    "budget",
    [
        Budget(49 * MB),
        Budget(GIB, spent_bytes=int(0.02 * GIB)),
        Budget(GIB, seconds_since_throttle=29.0),
        Budget(GIB, usual_rate=50e6),
    ],
)
def test_not_beyond_the_budget_nor_when_all_are_slow(budget: Budget) -> None:
    assert hedge(FAR_BEHIND, 0.1, budget) is None


@pytest.mark.parametrize("pieces", [[], [Working(1, 0, 1.0)], [Working(1, MB, 10e6)] * 2])
def test_one_that_keeps_up_is_left_alone(pieces: list[Working]) -> None:
    assert hedge(pieces, 0.1, Budget(GIB)) is None


def test_the_last_connection_of_all_is_compared_with_what_was_usual() -> None:
    last = [Working(1, MB, 0.1e6)]
    assert hedge(last, 0.1, Budget(GIB)) is None
    assert hedge(last, 0.1, Budget(GIB, usual_rate=10e6)) == 1


@given(working, st.integers(0, GIB), st.integers(0, GIB))
def test_duplicates_stay_within_two_percent(
    pieces: list[Working], job_bytes: int, spent_bytes: int
) -> None:
    key = hedge(pieces, 0.1, Budget(job_bytes, spent_bytes))
    again = sum(each.remaining_bytes for each in pieces if each.key == key)
    assert spent_bytes + again <= 0.02 * job_bytes or key is None


def test_on_a_line_that_is_full_a_split_must_save_more() -> None:
    working = [Working(key, 8 * MIB, 10.0 * MIB) for key in range(4)]
    assert split(working, 0.001, usual_rate=9.0 * MIB) is not None
    assert split(working, 0.001, usual_rate=5.0 * MIB) is None

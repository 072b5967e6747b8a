from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hfdl_async.core.peers import Pace, Peer, SlowWatch


def peers(*rates: float, judged: bool = True) -> list[Peer]:
    return [Peer(key, rate, flowing=True, may_be_judged=judged) for key, rate in enumerate(rates)]


def paced(rate: int, seconds: int) -> Pace:
    pace = Pace(0.0)
    for tick in range(1, 10 * seconds + 1):
        pace.add(tick / 10, rate // 10)
    return pace


def test_the_rate_is_that_of_the_last_five_seconds() -> None:
    pace = paced(1000, 20)
    assert pace.rate(20.0) == pytest.approx(1000, rel=0.1)
    assert pace.rate(60.0) == 0.0


def test_the_recent_rate_follows_within_a_second() -> None:
    pace = paced(1000, 20)
    for tick in range(201, 211):
        pace.add(tick / 10, 10)
    assert pace.rate(21.0) == pytest.approx(820, rel=0.1)
    assert pace.recent_rate(21.0) == pytest.approx(100, rel=0.1)
    young = Pace(0.0)
    young.add(4.0, 500)
    young.add(4.5, 500)
    assert young.recent_rate(4.5) == pytest.approx(2000)


def test_a_young_connection_has_the_rate_since_its_first_byte() -> None:
    pace = Pace(0.0)
    assert pace.rate(5.0) == 0.0
    pace.add(4.0, 2000)
    pace.add(6.0, 2000)
    assert pace.rate(6.0) == pytest.approx(2000)


@pytest.mark.parametrize(
    ("first_byte_at", "now", "judged"),
    [(None, 4.0, False), (None, 5.0, True), (1.0, 2.5, False), (1.0, 3.0, True)],
)
def test_it_has_time_to_come_up_to_speed(
    first_byte_at: float | None, now: float, judged: bool
) -> None:
    pace = Pace(0.0)
    if first_byte_at is not None:
        pace.add(first_byte_at, 1)
    assert pace.may_be_judged(now) is judged


def test_two_checks_in_a_row_must_agree() -> None:
    watch = SlowWatch(0.05)
    assert watch.check(5.0, peers(100, 100, 1, 100)) == []
    assert watch.check(10.0, peers(100, 100, 100, 100)) == []
    assert watch.check(15.0, peers(100, 100, 1, 100)) == []
    assert watch.check(20.0, peers(100, 100, 1, 100)) == [2]


def test_a_line_that_slows_down_for_all_replaces_nobody() -> None:
    watch = SlowWatch(0.05)
    for check in range(20):
        assert watch.check(5.0 * check, peers(*[100 / (check + 1)] * 8)) == []


@pytest.mark.parametrize(
    "few",
    [peers(100, 1), peers(100, 100, 1, judged=False), [Peer(0, 0.0, False, True)] * 9],
)
def test_without_peers_or_time_nobody_is_slow(few: list[Peer]) -> None:
    watch = SlowWatch(0.05)
    assert [watch.check(5.0 * check, few) for check in range(5)] == [[]] * 5


def test_replacements_are_rationed_slowest_first() -> None:
    watch = SlowWatch(0.5)
    rates = [100.0] * 15 + [3.0, 1.0, 2.0]
    replaced = [watch.check(5.0 * check, peers(*rates)) for check in range(12)]
    assert replaced == [[], [16], *[[]] * 5, [16], *[[]] * 4]


def test_those_that_are_silent_are_replaced_at_once_and_leave_the_ration_to_the_slow() -> None:
    watch = SlowWatch(0.05)
    some = peers(*[100.0] * 6, 1.0)
    silent = [Peer(key, 0.0, flowing=True, may_be_judged=True, silent=True) for key in (7, 8)]
    assert watch.check(5.0, some + silent) == [7, 8]
    assert watch.check(10.0, some) == [6]


def test_when_all_are_silent_nobody_is() -> None:
    watch = SlowWatch(0.05)
    silent = [Peer(key, 0.0, flowing=True, may_be_judged=True, silent=True) for key in range(8)]
    assert [watch.check(5.0 * check, silent) for check in range(5)] == [[]] * 5


@given(st.lists(st.lists(st.floats(0, 1e9), min_size=20, max_size=20), max_size=40))
def test_never_more_than_a_tenth_in_half_a_minute(checks: list[list[float]]) -> None:
    watch = SlowWatch(0.9)
    at = [5.0 * n for n, rates in enumerate(checks) if watch.check(5.0 * n, peers(*rates))]
    assert all(later - earlier >= 30.0 for earlier, later in zip(at, at[2:], strict=False))


def test_silent_ones_are_rationed_too_where_hardly_anybody_brings_bytes() -> None:
    silent = [Peer(key, 0.0, flowing=True, may_be_judged=True, silent=True) for key in range(63)]
    peers = [*silent, Peer(63, 1000.0, flowing=True, may_be_judged=True)]
    watch = SlowWatch(0.05)
    assert watch.check(5.0, peers) == []
    assert len(watch.check(10.0, peers)) == 1

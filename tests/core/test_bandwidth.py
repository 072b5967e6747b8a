from __future__ import annotations

import heapq

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hfdl_async.core.bandwidth import Bucket, burst_bytes, read_bytes, window_bytes
from hfdl_async.core.model import KIB, MIB

rates = st.floats(20_000, 1e9)


def readings(rate: float, readers: int, sizes: list[int]) -> list[tuple[float, int]]:
    """Let *readers* read at once whenever they may; returns when each read was made."""
    bucket, made = Bucket(rate), []
    queue = [(0.0, reader) for reader in range(readers)]
    for size in sizes:
        now, reader = heapq.heappop(queue)
        made.append((now, size))
        heapq.heappush(queue, (now + bucket.charge(now, size), reader))
    return made


@given(
    rates,
    st.integers(1, 16),
    st.lists(st.floats(0.01, 1.0), min_size=2, max_size=150),
    st.floats(0.05, 5.0),
)
def test_no_window_has_more_than_the_rate_the_burst_and_one_read_of_each_reader(
    rate: float, readers: int, shares: list[float], window_seconds: float
) -> None:
    most = read_bytes(rate, readers)
    made = readings(rate, readers, [max(1, int(share * most)) for share in shares])
    bound = rate * window_seconds + burst_bytes(rate) + readers * most
    for start, _ in made:
        inside = sum(size for at, size in made if start <= at < start + window_seconds)
        assert inside <= bound * (1 + 1e-9)


@given(rates, st.integers(1, 16))
def test_over_time_the_whole_rate_is_used(rate: float, readers: int) -> None:
    size = read_bytes(rate, readers)
    made = readings(rate, readers, [size] * 300)
    used = sum(size for _, size in made)
    assert used >= rate * made[-1][0]


def test_debts_are_paid_in_the_order_in_which_they_were_made() -> None:
    bucket = Bucket(100_000.0)
    charges = [(1.0, 90_000), (1.1, 500), (1.2, 70_000)]
    ends = [at + bucket.charge(at, size) for at, size in charges]
    assert ends == sorted(ends)
    assert ends[-1] == pytest.approx(1.0 + (160_500 - burst_bytes(100_000.0)) / 100_000)


def test_without_a_limit_nobody_waits() -> None:
    bucket = Bucket()
    assert bucket.charge(1.0, 10**12) == 0.0
    assert bucket.free_bytes(1.0) == float("inf")


def test_what_was_saved_up_is_at_most_the_burst() -> None:
    bucket = Bucket(1_000_000.0)
    assert bucket.free_bytes(1e6) == burst_bytes(1_000_000.0) == 250_000
    assert bucket.charge(1e6, 250_000) == pytest.approx(0.0, abs=1e-6)
    assert bucket.free_bytes(1e6) == pytest.approx(0.0, abs=1e-3)


def test_a_new_limit_holds_at_once_and_debts_stay_owed() -> None:
    bucket = Bucket(1_000_000.0)
    bucket.charge(100.0, 1_250_000)
    bucket.set_rate(100.0, 100_000.0)
    assert bucket.charge(100.0, 0) == pytest.approx(10.0)
    bucket.set_rate(100.0, 10_000_000.0)
    assert bucket.charge(100.0, 0) == pytest.approx(0.1)


def test_a_limit_that_comes_back_brings_no_burst_on_top() -> None:
    bucket = Bucket()
    bucket.charge(100.0, 10**9)
    bucket.set_rate(100.0, 1_000_000.0)
    assert bucket.free_bytes(100.0) == 0.0
    bucket.set_rate(100.0, None)
    assert bucket.charge(100.0, 10**9) == 0.0


@given(rates, rates, st.floats(0, 100), st.floats(0, 1e9))
def test_changing_the_limit_never_allows_more_than_the_new_burst(
    before: float, after: float, seconds: float, charged: float
) -> None:
    bucket = Bucket(before)
    bucket.charge(0.0, charged)
    bucket.set_rate(seconds, after)
    assert bucket.free_bytes(seconds) <= burst_bytes(after) * (1 + 1e-9)


@pytest.mark.parametrize("rate", [0.0, -1.0])
def test_a_limit_that_lets_nothing_pass_is_refused(rate: float) -> None:
    with pytest.raises(ValueError, match="never let a byte pass"):
        Bucket().set_rate(0.0, rate)


@pytest.mark.parametrize(
    ("rate", "readers", "size"),
    [(None, 64, MIB), (1e9, 8, MIB), (20e6, 4, 250_000), (20e6, 64, 16 * KIB), (1e5, 1, 16 * KIB)],
)
def test_reads_are_as_small_as_the_limit_asks_for(
    rate: float | None, readers: int, size: int
) -> None:
    assert read_bytes(rate, readers) == size


@pytest.mark.parametrize(
    ("rate", "readers", "size"), [(20e6, 8, 625_000), (20e6, 1, 5_000_000), (1e6, 16, 64 * KIB)]
)
def test_peers_together_send_no_more_than_a_burst_ahead(
    rate: float, readers: int, size: int
) -> None:
    assert window_bytes(rate, readers) == size


def test_each_waits_for_its_own_debt_and_those_before_it() -> None:
    bucket = Bucket(1_000_000.0)
    bucket.set_rate(100.0, 1_000_000.0)
    bucket.charge(100.0, 1_250_000)
    assert bucket.owed_seconds(100.0) == pytest.approx(1.0)
    assert bucket.owed_seconds(100.0, behind=400_000) == pytest.approx(0.6)
    assert bucket.owed_seconds(100.5, behind=600_000) == 0.0
    bucket.set_rate(100.5, None)
    assert bucket.owed_seconds(100.5) == 0.0

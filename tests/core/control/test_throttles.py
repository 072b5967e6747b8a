from __future__ import annotations

import pytest

from hfdl_async.core.control.throttles import Complaint, Throttles
from hfdl_async.core.controller import Sample


def observe(
    throttles: Throttles, now: float, target: int = 16, *, small: bool = False, **counts: float
) -> Complaint | None:
    sample = Sample(t=now, dt=0.5, **counts)  # type: ignore[arg-type]
    return throttles.observe(sample, now, target, small=small)


def test_a_burst_of_refusals_is_one_cut() -> None:
    throttles = Throttles(64)
    first = observe(throttles, 1.0, throttled=40, flowing=12, busy_high=16)
    assert first == Complaint(12, "too-many-connections")
    assert throttles.ceiling == 12
    assert observe(throttles, 1.5, 12, throttled=9) == Complaint(12, "same-burst")
    third = observe(throttles, 3.0, 12, throttled=1, flowing=11, busy_high=12)
    assert third == Complaint(11, "too-many-connections")


def test_a_stated_wait_makes_the_burst_as_long() -> None:
    throttles = Throttles(64)
    observe(throttles, 1.0, throttled=1, retry_after=30.0)
    assert throttles.quiet_until == 31.0
    later = observe(throttles, 30.0, throttled=1)
    assert later is not None
    assert later.reason == "same-burst"


def test_many_small_requests_are_paced_instead() -> None:
    throttles = Throttles(64)
    for tick in range(20):
        observe(throttles, tick / 2, small=True, done=10)
    complaint = observe(throttles, 10.0, small=True, throttled=3)
    assert complaint == Complaint(16, "too-many-requests")
    assert throttles.paced
    assert throttles.start_rate == pytest.approx(0.95 * 20, rel=0.1)
    assert not throttles.ceiling_set


@pytest.mark.parametrize(("failed", "cut"), [(1, False), (2, True)])
def test_failures_count_when_they_are_more_than_a_tenth_and_more_than_one(
    failed: int, cut: bool
) -> None:
    complaint = observe(Throttles(64), 1.0, 8, failed=failed, flowing=6, busy_high=8)
    assert (complaint is not None) is cut


def test_few_failures_among_many_connections_are_no_answer() -> None:
    assert observe(Throttles(64), 1.0, 60, failed=3, flowing=57, busy_high=60) is None


def test_a_collapse_sets_a_ceiling_until_it_is_forgiven() -> None:
    throttles = Throttles(64)
    throttles.collapse(16, 0.0)
    observe(throttles, 59.0)
    assert throttles.ceiling == 16
    throttles.forgive()
    assert not throttles.ceiling_set


def test_one_connection_always_stays() -> None:
    complaint = observe(Throttles(64), 1.0, 1, throttled=1, flowing=0, busy_high=1)
    assert complaint is not None
    assert complaint.target == 1

from __future__ import annotations

import pytest

from hfdl_async.core.control.pacing import Pacing
from hfdl_async.core.controller import Sample


def run(pacing: Pacing, done_a_second: int, seconds: int) -> None:
    for tick in range(2 * seconds):
        pacing.observe(Sample(t=tick / 2, dt=0.5, done=done_a_second // 2))


def test_nothing_is_paced_before_anybody_complained() -> None:
    pacing = Pacing()
    run(pacing, 100, 5)
    assert pacing.start_rate is None
    assert not pacing.paced
    assert pacing.busy


def test_the_pace_is_what_the_server_let_through_waits_included() -> None:
    pacing = Pacing()
    run(pacing, 60, 2)
    run(pacing, 0, 4)
    pacing.slow_down()
    assert pacing.start_rate == pytest.approx(0.95 * 20)


def test_it_rises_by_a_percent_a_second_and_a_relapse_takes_some_of_it_back() -> None:
    pacing = Pacing()
    run(pacing, 20, 10)
    pacing.slow_down()
    first = pacing.start_rate or 0.0
    run(pacing, 20, 10)
    assert pacing.start_rate == pytest.approx(first * 1.1, rel=0.01)
    pacing.slow_down()
    assert first * 0.9 < (pacing.start_rate or 0.0) < first * 1.1


def test_one_complaint_never_costs_more_than_half() -> None:
    pacing = Pacing()
    run(pacing, 20, 10)
    pacing.slow_down()
    before = pacing.start_rate or 0.0
    pacing.slow_down()
    assert pacing.start_rate == pytest.approx(before / 2)


def quota(left: int, planned: int) -> float | None:
    pacing = Pacing()
    pacing.observe(Sample(t=1, dt=0.5, quota_left=left, quota_seconds=100.0, planned=planned))
    return pacing.start_rate


def test_a_stated_quota_is_kept_to_before_it_is_used_up() -> None:
    assert quota(left=500, planned=4000) == pytest.approx(0.9 * 500 / 100)
    assert quota(left=0, planned=10) == pytest.approx(0.5 / 100)


def test_a_job_that_fits_its_quota_is_not_paced() -> None:
    assert quota(left=500, planned=450) is None

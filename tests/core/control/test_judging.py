from __future__ import annotations

import pytest

from hfdl_async.core.control.judging import (
    MOST_TICKS,
    MOST_TICKS_UP,
    Elasticity,
    Verdict,
    judge_down,
    judge_ramp,
    judge_up,
    world_changed,
)
from hfdl_async.core.control.window import Level

KEEP, BACK, MEASURE = Verdict.KEEP, Verdict.BACK, Verdict.MEASURE


def found(ratio: float, *, error: float = 0.05) -> Elasticity:
    return Elasticity.between(Level(8, 100.0, 0.0), Level(16, 100.0 * ratio, error))


@pytest.mark.parametrize(("ratio", "e"), [(2.0, 1.0), (1.0, 0.0), (1.5, 0.5), (0.5, -0.5)])
def test_elasticity_is_the_share_of_the_added_connections_that_paid(ratio: float, e: float) -> None:
    assert found(ratio).e == pytest.approx(e)


@pytest.mark.parametrize("ours", [4, 8, 16])
def test_it_is_one_half_at_parity_with_others_whatever_the_number(ours: int) -> None:
    rivals, more = ours, ours * 1.0001
    base = Level(ours, ours / (ours + rivals), 0.0)
    # Connections are whole numbers; the slope at parity needs a smaller step than one.
    slope = (more / (more + rivals) / base.rate - 1.0) / (more / ours - 1.0)
    assert slope == pytest.approx(0.5, abs=1e-3)


def test_as_many_connections_say_nothing() -> None:
    assert Elasticity.between(Level(8, 10.0, 0.1), Level(8, 99.0, 0.1)).e == 0.0


def test_more_than_proportional_is_not_our_doing_unless_it_may_be_one_lucky_connection() -> None:
    assert found(3.0).not_our_doing
    assert not found(2.0).not_our_doing
    lucky = Elasticity.between(Level(4, 100.0, 0.02), Level(5, 136.0, 0.02))
    assert lucky.e > 1.35
    assert not lucky.not_our_doing


@pytest.mark.parametrize(
    ("ratio", "ticks", "verdict"),
    [(2.0, 1, KEEP), (1.1, 1, MEASURE), (1.1, 3, BACK), (1.53, 1, MEASURE), (1.53, 3, KEEP)],
)
def test_a_round_of_a_ramp_is_judged_as_soon_as_it_is_clear(
    ratio: float, ticks: int, verdict: Verdict
) -> None:
    assert judge_ramp(found(ratio), ticks, 0.5) is verdict


@pytest.mark.parametrize(("ratio", "verdict"), [(1.51, KEEP), (1.49, BACK)])
def test_at_the_end_the_best_estimate_decides(ratio: float, verdict: Verdict) -> None:
    unsure = found(ratio, error=0.4)
    assert judge_ramp(unsure, MOST_TICKS - 1, 0.5) is MEASURE
    assert judge_ramp(unsure, MOST_TICKS, 0.5) is verdict
    assert judge_up(unsure, MOST_TICKS_UP - 1, 0.5) is MEASURE
    assert judge_up(unsure, MOST_TICKS_UP, 0.5) is verdict


def test_a_probe_upward_takes_four_ticks_before_it_is_lenient_or_gives_up() -> None:
    assert judge_up(found(1.53), 3, 0.5) is MEASURE
    assert judge_up(found(1.53), 4, 0.5) is KEEP
    assert judge_up(found(1.1), 3, 0.5) is MEASURE
    assert judge_up(found(1.1), 4, 0.5) is BACK


@pytest.mark.parametrize(
    ("rate", "ticks", "verdict"),
    [
        (101, 2, KEEP),
        (101, 1, MEASURE),
        (80, 2, BACK),
        (98.5, 2, MEASURE),
        (98.5, 5, KEEP),
        (90, 5, BACK),
    ],
)
def test_a_probe_downward_is_judged_by_what_it_lost(
    rate: float, ticks: int, verdict: Verdict
) -> None:
    assert judge_down(Level(8, 100.0, 0.02), Level(6, rate, 0.02), ticks, 0.02) is verdict


def test_goodput_that_rose_although_connections_went_is_another_line() -> None:
    base = Level(8, 100.0, 0.02)
    assert world_changed(base, Level(6, 130.0, 0.02))
    assert not world_changed(base, Level(6, 110.0, 0.02))
    assert not world_changed(Level(8, 0.0, 0.02), Level(6, 110.0, 0.02))

from __future__ import annotations

import pytest

from hfdl_async.core.control.regime import Regime, Turn


def feed(regime: Regime, *rates: float, sigma: float = 0.05) -> list[Turn | None]:
    return [regime.observe(rate, sigma) for rate in rates]


@pytest.mark.parametrize(
    ("rate", "ticks", "turn"), [(130, 3, "up"), (70, 4, "down"), (20, 4, "fall")]
)
def test_a_change_shows_after_some_ticks_in_a_row(rate: float, ticks: int, turn: str) -> None:
    regime = Regime()
    feed(regime, *[100.0] * 5)
    assert feed(regime, *[rate] * ticks) == [None] * (ticks - 1) + [turn]


def test_ticks_that_are_not_in_a_row_are_noise() -> None:
    regime = Regime()
    feed(regime, *[100.0] * 5)
    assert set(feed(regime, 130, 130, 100, 130, 130, 70, 130, 130)) == {None}


def test_a_noisy_line_needs_more_ticks() -> None:
    regime = Regime()
    feed(regime, *[100.0] * 5, sigma=0.15)
    assert feed(regime, *[160.0] * 5, sigma=0.15) == [None] * 4 + ["up"]


def test_what_goodput_was_before_a_probe_is_enough_to_see_a_change_during_it() -> None:
    regime = Regime()
    regime.expect(100.0)
    assert feed(regime, 150, 150, 150)[-1] == "up"
    regime.reset()
    assert set(feed(regime, *[150.0] * 10)) == {None}

from __future__ import annotations

import pytest

from hfdl_async.core.control.window import (
    FIRST_NOISE,
    LEAST_NOISE,
    LONGEST_WINDOW,
    MOST_NOISE,
    Noise,
    Window,
)


def window(*rates: float) -> Window:
    made = Window()
    for rate in rates:
        made.add(rate)
    return made


def test_only_the_last_ticks_count() -> None:
    full = window(*[1000.0] * 5, *[10.0] * LONGEST_WINDOW)
    assert (full.count, full.mean, full.relative_spread) == (LONGEST_WINDOW, 10.0, 0.0)


def test_dropping_the_older_ticks_keeps_the_newest() -> None:
    climbing = window(10, 20, 40)
    assert climbing.newest_is_highest
    climbing.keep_newest()
    assert (climbing.count, climbing.mean) == (1, 40)


def test_more_ticks_make_a_level_surer_but_less_than_if_they_were_independent() -> None:
    few, many = window(*[50.0] * 2).level(8, 0.1), window(*[50.0] * 8).level(8, 0.1)
    assert few.error == pytest.approx(0.1)
    assert many.error == pytest.approx(0.1 * 1.8 / 8**0.5)
    assert many.error > 0.1 / 8**0.5


def test_a_window_wilder_than_the_noise_is_less_sure() -> None:
    assert window(10, 90, 10, 90).level(8, 0.02).error > 0.3


def test_noise_is_learnt_quickly_at_first_and_stays_within_bounds() -> None:
    noise = Noise()
    noise.learn(window(*[100.0] * 8))
    assert noise.sigma == pytest.approx(FIRST_NOISE / 2)
    for _ in range(100):
        noise.learn(window(*[100.0] * 8))
    assert noise.sigma == LEAST_NOISE
    noise.raise_by(1000)
    assert noise.sigma == MOST_NOISE


@pytest.mark.parametrize("rates", [(), (5.0,), (1.0, 9.0, 5.0), (0.0, 0.0, 0.0, 0.0)])
def test_too_little_teaches_nothing(rates: tuple[float, ...]) -> None:
    noise = Noise()
    noise.learn(window(*rates))
    assert noise.sigma == FIRST_NOISE

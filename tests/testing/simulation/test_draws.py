from __future__ import annotations

from hfdl_async.testing.simulation.draws import draw


def test_a_draw_is_the_same_each_time_and_others_differ() -> None:
    assert draw(1, 3) == draw(1, 3)
    assert len({draw(seed, number).conditions for seed in (1, 2) for number in range(20)}) == 40


def test_draws_cover_what_the_scenario_says() -> None:
    drawn = [draw(1, number) for number in range(400)]
    rates = [each.conditions.line_rate for each in drawn]
    assert 5e6 <= min(rates) < 10e6
    assert 1000e6 < max(rates) <= 1500e6
    assert all(1.5e6 <= each.conditions.connection_rate <= 100e6 for each in drawn)
    assert all(0.01 <= each.conditions.round_trip <= 0.25 for each in drawn)
    assert sum(each.change is not None for each in drawn) == 200

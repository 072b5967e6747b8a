from __future__ import annotations

from dataclasses import replace

import pytest

from hfdl_async.testing.simulation.figures import (
    best_fixed,
    figures,
    figures_of_draws,
    figures_of_pairs,
    first_time_at,
    jain,
    possible_bytes,
)
from hfdl_async.testing.simulation.laws import fixed
from hfdl_async.testing.simulation.network import Conditions
from hfdl_async.testing.simulation.scenarios import LARGE, SMALL, Bar, Scenario
from hfdl_async.testing.simulation.world import Change, Track

LINE = Conditions(100e6, 10e6)
PLAIN = Scenario("plain", "", LINE, (), seconds=20.0, seeds=(1,))


def test_the_best_fixed_number_fills_the_line_with_the_fewest() -> None:
    best = best_fixed(LINE, LARGE)
    assert best.rate == pytest.approx(100e6, rel=0.01)
    assert 10 <= best.connections <= 14


def test_where_more_hurts_the_best_is_in_between() -> None:
    busy = Conditions(5e9, 100e6, cpu_rate=1e9, cpu_waste=0.01)
    best = best_fixed(busy, LARGE)
    assert 0.8e9 < best.rate < 0.95e9
    assert 8 <= best.connections <= 20


def test_a_limit_of_requests_bounds_the_best() -> None:
    limited = Conditions(1e9, 1e8, request_rate=20.0)
    assert best_fixed(limited, SMALL).rate <= 20 * SMALL


def test_what_is_possible_counts_each_half_for_itself() -> None:
    halved = Change(10.0, replace(LINE, line_rate=50e6))
    assert possible_bytes(LINE, halved, LARGE, 0, 20) == pytest.approx(1500e6, rel=0.01)
    assert possible_bytes(LINE, halved, LARGE, 10, 20) == pytest.approx(500e6, rel=0.01)


def test_the_time_to_a_rate_is_that_of_the_first_second_at_it() -> None:
    track = Track(times=[0.5, 1.0, 1.5, 2.0, 2.5], bytes=[10, 20, 50, 50, 50])
    assert first_time_at(track, 90.0) == 2.0
    assert first_time_at(track, 90.0, start=1.0) == 1.0
    assert first_time_at(track, 900.0) == 999.0


@pytest.mark.parametrize(("rates", "fair"), [([5, 5], 1.0), ([10, 0], 0.5), ([0, 0], 0.0)])
def test_fairness_is_one_when_all_have_the_same(rates: list[int], fair: float) -> None:
    assert jain(rates) == fair


def test_figures_of_a_run_say_what_a_law_did() -> None:
    few, enough = figures(PLAIN, fixed(5)), figures(PLAIN, fixed(14))
    assert few["util"] < 0.6 < 0.95 < enough["util"]
    assert (few["mean_n"], enough["mean_n"]) == (5, 14)
    assert enough["t90"] < 3 < few["t90"]


def test_a_limit_and_a_percentage_are_measured_against_what_they_promise() -> None:
    limited = replace(PLAIN, user_limit=20e6, least_after=5.0)
    assert figures(limited, fixed(8))["of_limit"] == pytest.approx(1.0, abs=0.02)
    shared = replace(PLAIN, percent=50.0, seconds=60.0, least_after=10.0)
    assert figures(shared, fixed(20))["late_line"] == pytest.approx(0.53, abs=0.03)


def test_two_of_the_same_fixed_number_share_alike() -> None:
    found = figures_of_pairs(fixed(16), 30e6, (1, 2))
    assert found["jain"] > 0.99
    assert found["sum_n"] == found["most_n"] == 32


def test_many_connections_show_as_surplus() -> None:
    few, many = (figures_of_draws(fixed(number), 1, number=6) for number in (4, 64))
    assert few["surplus"] < many["surplus"]


@pytest.mark.parametrize(
    ("bar", "good", "bad", "text"),
    [
        (Bar("util", least=0.9), 0.9, 0.89, "util >= 0.9"),
        (Bar("n", most=9), 9, 9.1, "n <= 9"),
        (Bar("x", 0.9, 1.0), 0.95, 1.01, "x 0.9..1"),
    ],
)
def test_a_bar_says_what_it_asks_for(bar: Bar, good: float, bad: float, text: str) -> None:
    assert bar.holds(good)
    assert not bar.holds(bad)
    assert str(bar) == text

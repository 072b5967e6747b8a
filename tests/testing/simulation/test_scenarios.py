"""A1 to A20: the bars of the controller, and that they tell a good law from others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest

from hfdl_async.core.control.config import ControlConfig
from hfdl_async.core.control.knee import KneeController
from hfdl_async.core.control.opening import MOST
from hfdl_async.core.model import MB
from hfdl_async.testing.simulation.figures import (
    Law,
    figures,
    figures_of_draws,
    figures_of_pairs,
)
from hfdl_async.testing.simulation.laws import BASELINES, knee
from hfdl_async.testing.simulation.network import Conditions
from hfdl_async.testing.simulation.scenarios import (
    ALONE,
    BEHIND_A_BASELINE,
    DRAW_BARS,
    PAIR_BARS,
    PAIR_RATES,
    PAIR_SEEDS,
    SMALL,
    Bar,
    Scenario,
    bars,
)

BY_NAME = {scenario.name: scenario for scenario in ALONE}
BETTER_THAN = {
    "fixed 64": {
        "A1", "A2", "A3", "A4", "A6", "A7", "A11", "A12", "A13", "A15", "A17", "A17p", "A18",
    },
    "aimd": {
        "A1", "A2", "A3", "A4", "A5", "A6", "A7", "A11", "A12", "A13", "A14", "A15", "A17",
        "A17p", "A18",
    },
}  # fmt: skip
"""Where the bars must turn these laws away. A8 and A9 are easy for any large number."""


def failed(found: Mapping[str, float], wanted: tuple[Bar, ...]) -> list[str]:
    values = [(bar, found[bar.figure]) for bar in wanted]
    return [f"{bar}, not {value:.3f}" for bar, value in values if not bar.holds(value)]


@pytest.mark.parametrize("scenario", ALONE, ids=lambda scenario: scenario.name)
def test_the_law_meets_its_bars(scenario: Scenario) -> None:
    assert failed(figures(scenario, knee), scenario.bars) == []


@pytest.mark.parametrize("rate", PAIR_RATES)
def test_two_of_us_share_a_line_with_few_connections(rate: float) -> None:
    assert failed(figures_of_pairs(knee, rate, PAIR_SEEDS), PAIR_BARS) == []


def test_on_lines_drawn_at_random_it_is_near_the_best_fixed_number_of_each() -> None:
    ours = figures_of_draws(knee, 1)
    assert failed(ours, DRAW_BARS) == []
    for name, law in BASELINES.items():
        assert ours["util"] > figures_of_draws(law, 1)["util"] - BEHIND_A_BASELINE, name


@pytest.mark.parametrize(
    ("law", "name"), [(law, name) for law, names in BETTER_THAN.items() for name in sorted(names)]
)
def test_the_bars_turn_other_laws_away(law: str, name: str) -> None:
    scenario = BY_NAME[name]
    assert failed(figures(scenario, BASELINES[law], scenario.seeds[:1]), scenario.bars)


@pytest.mark.parametrize("law", ["fixed 64", "aimd", "gradient"])
def test_two_of_another_law_take_too_many_or_share_badly(law: str) -> None:
    assert failed(figures_of_pairs(BASELINES[law], PAIR_RATES[0], (1, 2)), PAIR_BARS)


@pytest.mark.parametrize("law", ["fixed 8", "fixed 16", "fixed 64", "aimd", "gradient"])
def test_no_other_law_meets_the_bars_on_random_lines(law: str) -> None:
    assert failed(figures_of_draws(BASELINES[law], 1), DRAW_BARS)


def test_every_scenario_is_there_once() -> None:
    names = [scenario.name for scenario in ALONE]
    assert len(names) == len(set(names))
    assert {"A16", "A19"} | set(names) >= {f"A{number}" for number in range(1, 21)}


def test_bars_are_written_by_figure() -> None:
    assert bars(util_min=0.9, mean_n_max=7, share=(0.5, 0.6)) == (
        Bar("util", least=0.9),
        Bar("mean_n", most=7),
        Bar("share", 0.5, 0.6),
    )


@pytest.mark.deep
@pytest.mark.parametrize("offset", [100, 200, 300, 400])
@pytest.mark.parametrize("scenario", ALONE, ids=lambda scenario: scenario.name)
def test_the_bars_hold_on_seeds_that_nothing_was_tuned_on(scenario: Scenario, offset: int) -> None:
    seeds = tuple(seed + offset for seed in scenario.seeds)
    assert failed(figures(scenario, knee, seeds), scenario.bars) == []


@pytest.mark.deep
@pytest.mark.parametrize("seed", [101, 201, 301, 401])
def test_the_bars_hold_on_other_draws(seed: int) -> None:
    assert failed(figures_of_draws(knee, seed), DRAW_BARS) == []


@pytest.mark.deep
@pytest.mark.parametrize("rate", PAIR_RATES)
@pytest.mark.parametrize("offset", [100, 200, 300, 400])
def test_two_of_us_share_on_other_seeds(rate: float, offset: int) -> None:
    seeds = tuple(seed + offset for seed in PAIR_SEEDS)
    assert failed(figures_of_pairs(knee, rate, seeds), PAIR_BARS) == []


def begun_with(connections: int) -> Law:
    """Return our law as it begins after a first look at small files (`opening.py`)."""
    config = replace(ControlConfig(), first=connections)
    return lambda seed, _polite: KneeController(config, seed=seed)


def test_small_files_begun_with_as_many_as_their_answers_take_are_quicker() -> None:
    scenario = BY_NAME["A14"]
    quick, usual = figures(scenario, begun_with(MOST)), figures(scenario, knee)
    assert quick["util"] > usual["util"] + 0.02
    assert quick["t90"] <= usual["t90"] - 2.0


def test_small_files_begun_with_more_than_the_line_takes_end_at_its_knee() -> None:
    narrow = Conditions(5 * MB, 100 * MB, round_trip=0.05, think=0.05, noise=0.03)
    scenario = Scenario("narrow", "", narrow, (), request_bytes=SMALL)  # 50 files a second
    found, usual = figures(scenario, begun_with(MOST)), figures(scenario, knee)
    assert failed(found, bars(util_min=usual["util"] - 0.01, late_n_max=16)) == []


def test_small_files_begun_with_many_still_keep_to_what_a_server_allows() -> None:
    assert failed(figures(BY_NAME["A15"], begun_with(MOST)), BY_NAME["A15"].bars) == []

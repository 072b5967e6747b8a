from __future__ import annotations

import pytest

from hfdl_async.core.control.config import ControlConfig, polite
from hfdl_async.core.control.judging import Elasticity
from hfdl_async.core.control.ramp import Ramp
from hfdl_async.core.control.window import Level
from hfdl_async.core.model import MB


def level(connections: int, rate: float) -> Level:
    return Level(connections, rate, 0.02)


@pytest.mark.parametrize(
    ("connections", "rate", "following"),
    [(8, 1000 * MB, 16), (16, 50 * MB, 32), (16, 200 * MB, 28)],
)
def test_it_doubles_except_where_that_would_be_a_burst(
    connections: int, rate: float, following: int
) -> None:
    assert Ramp(ControlConfig()).next_target(level(connections, rate), 0.05) == following


def test_small_requests_are_no_burst() -> None:
    assert Ramp(ControlConfig()).next_target(level(32, 200 * MB), 0.05, small=True) == 64


def test_later_ramps_are_more_careful_after_a_drop_and_in_noise() -> None:
    ramp = Ramp(ControlConfig())
    ramp.first = False
    ramp.begin(gently=True)
    assert ramp.next_target(level(10, 50 * MB), 0.05) == 15
    assert ramp.next_target(level(10, 50 * MB), 0.05) == 20
    assert ramp.next_target(level(10, 50 * MB), 0.20) == 13


def test_a_number_that_was_good_before_is_not_doubled_at_once() -> None:
    assert Ramp(ControlConfig(), gently=True).next_target(level(20, 50 * MB), 0.05) == 30


def test_later_ramps_demand_more() -> None:
    ramp = Ramp(ControlConfig())
    assert ramp.demand(8) == 0.5
    ramp.first = False
    assert ramp.demand(8) == 0.7


@pytest.mark.parametrize(("ratio", "knee"), [(1.0, 10), (1.2, 11), (1.5, 14), (1.9, 16)])
def test_the_first_ramp_ends_at_what_the_goodput_found_needs(ratio: float, knee: int) -> None:
    base = level(8, 50 * MB)
    found = Elasticity.between(base, level(16, ratio * 50 * MB))
    assert Ramp(ControlConfig()).knee(base, 16, found) == knee


def test_later_ramps_and_polite_ones_go_back() -> None:
    base = level(8, 50 * MB)
    found = Elasticity.between(base, level(16, 75 * MB))
    later = Ramp(ControlConfig())
    later.first = False
    assert later.knee(base, 16, found) == Ramp(polite()).knee(base, 16, found) == 8

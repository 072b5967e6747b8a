from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hfdl_async.core.control.config import ControlConfig, polite
from hfdl_async.core.model import MB


@given(st.integers(1, 255))
def test_each_connection_makes_the_next_one_dearer(connections: int) -> None:
    config = ControlConfig()
    assert config.demand_to_grow(connections) <= config.demand_to_grow(connections + 1) <= 0.85


def test_an_equal_rival_stops_growth_below_the_top() -> None:
    # With one rival the elasticity is one half at parity, whatever the number of connections.
    assert ControlConfig().demand_to_grow(4) < 0.5 < ControlConfig().demand_to_grow(12)


def test_slow_connections_make_shrinking_more_welcome_but_not_without_bound() -> None:
    config = ControlConfig()
    assert config.tolerated_loss(4, 4 * 5 * MB, 0.25) == 0.02
    assert config.tolerated_loss(4, 4 * 1 * MB, 0.25) == 0.04
    assert config.tolerated_loss(64, 64 * 1 * MB, 0.25) == 0.075


def test_polite_mode_asks_for_more_and_gives_up_more() -> None:
    usual, yielding = ControlConfig(), polite()
    assert yielding.demand_to_grow(8) > usual.demand_to_grow(8)
    assert yielding.tolerated_loss(8, 80 * MB, 0.25) > usual.tolerated_loss(8, 80 * MB, 0.25)
    assert not yielding.headroom
    assert yielding.first < usual.first


def test_an_empty_range_of_connections_is_refused() -> None:
    with pytest.raises(ValueError, match="8 to 4 is no range"):
        ControlConfig(least=8, most=4)

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hfdl_async.core.controller import (
    AUTO_CONNECTIONS,
    MAX_CONNECTIONS,
    Controller,
    Decision,
    FixedController,
    Sample,
)


@given(
    st.integers(1, MAX_CONNECTIONS),
    st.builds(
        Sample,
        t=st.floats(0, 1e6),
        dt=st.floats(0.1, 10),
        bytes=st.integers(0, 10**12),
        throttled=st.integers(0, 100),
        starved=st.booleans(),
    ),
)
def test_the_fixed_law_wants_the_same_number_whatever_was_measured(
    connections: int, sample: Sample
) -> None:
    law: Controller = FixedController(connections)
    assert law.start() == law.observe(sample) == Decision(connections, None, "fixed", "FIXED")


@pytest.mark.parametrize("number", [AUTO_CONNECTIONS])
def test_what_auto_means_is_within_the_limits(number: int) -> None:
    assert 1 <= number <= MAX_CONNECTIONS

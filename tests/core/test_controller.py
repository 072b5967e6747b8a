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
    auto_connections,
)
from hfdl_async.core.model import MIB


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


@pytest.mark.parametrize(
    ("cores", "memory_bytes", "ceiling"),
    [(2, 32 * MIB, 64), (1, 32 * MIB, 32), (16, 1024 * MIB, 64), (2, 4 * MIB, 16), (8, 1, 4)],
)
def test_the_ceiling_follows_cores_and_memory_up_to_what_is_polite(
    cores: int, memory_bytes: int, ceiling: int
) -> None:
    assert auto_connections(cores, memory_bytes) == ceiling
    assert 1 <= ceiling <= AUTO_CONNECTIONS <= MAX_CONNECTIONS

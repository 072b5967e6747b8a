from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hfdl_async.core.controller import (
    AUTO_CONNECTIONS,
    FIRST_CONNECTIONS,
    FULL_BYTES_PER_SECOND,
    MAX_CONNECTIONS,
    Controller,
    Decision,
    FixedController,
    OpeningController,
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


@given(st.integers(1, MAX_CONNECTIONS), st.integers(0, 12))
def test_a_download_opens_up_from_a_few_connections_to_its_ceiling(
    ceiling: int, ticks: int
) -> None:
    law: Controller = OpeningController(ceiling)
    targets = [law.start().target]
    targets += [law.observe(Sample(t=tick, dt=0.5)).target for tick in range(ticks)]
    assert targets[0] == min(FIRST_CONNECTIONS, ceiling)
    assert all(after == min(2 * before, ceiling) for before, after in pairwise(targets))
    following = law.observe(Sample(t=99, dt=0.5))
    assert following.mode == ("FIXED" if following.target == ceiling else "RAMP0")


def test_a_line_that_is_full_gets_no_more_connections_until_it_brings_less() -> None:
    law = OpeningController(16)
    full = Sample(t=1, dt=0.5, bytes=FULL_BYTES_PER_SECOND // 2)
    assert [law.observe(full).target for _ in range(3)] == [FIRST_CONNECTIONS] * 3
    less = Sample(t=2, dt=0.5, bytes=FULL_BYTES_PER_SECOND // 2 - 1)
    assert law.observe(less).target == 2 * FIRST_CONNECTIONS


@pytest.mark.parametrize("number", [AUTO_CONNECTIONS])
def test_what_auto_means_is_within_the_limits(number: int) -> None:
    assert 1 <= number <= MAX_CONNECTIONS

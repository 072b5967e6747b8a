from __future__ import annotations

import pytest

from hfdl_async.core.controller import Sample
from hfdl_async.testing.simulation.laws import BASELINES, LAWS


@pytest.mark.parametrize("name", LAWS)
def test_each_law_is_made_anew_for_each_run(name: str) -> None:
    one, other = (LAWS[name](1, False) for _ in range(2))
    assert one is not other
    assert one.start() == other.start()
    sample = Sample(t=0.5, dt=0.5, bytes=10**6, busy=8.0, flowing=8, done=1)
    assert one.observe(sample) == other.observe(sample)


def test_ours_is_the_one_that_is_no_baseline() -> None:
    assert set(LAWS) - set(BASELINES) == {"knee"}
    assert LAWS["knee"](1, True).start().target < LAWS["knee"](1, False).start().target

from __future__ import annotations

import pytest

from hfdl_async.core.control.config import ControlConfig
from hfdl_async.core.control.knee import KneeController
from hfdl_async.core.control.replay import replay
from hfdl_async.core.control.traced import TracedController
from hfdl_async.core.controller import Sample

SAMPLES = [
    Sample(t=100 + tick / 3, dt=1 / 3, bytes=10**7 * tick, busy=8.0, busy_high=8, flowing=8)
    for tick in range(1, 40)
]


@pytest.mark.parametrize("hint", [None, 4])
def test_what_is_told_replays_to_the_decisions_that_were_made(hint: int | None) -> None:
    lines: list[str] = []
    config = ControlConfig(most=40)
    traced = TracedController(config, seed=9, hint=hint, tell=lines.append)
    plain = KneeController(config, seed=9, hint=hint)
    assert traced.start() == plain.start()
    decisions = [traced.observe(sample) for sample in SAMPLES]
    assert decisions == [plain.observe(sample) for sample in SAMPLES]
    assert [each.decision for each in replay(lines)] == decisions
    assert len({decision.target for decision in decisions}) > 1


def test_a_law_that_is_never_asked_leaves_no_trace() -> None:
    lines: list[str] = []
    TracedController(ControlConfig(), seed=1, hint=None, tell=lines.append).start()
    assert lines == []

from __future__ import annotations

from hfdl_async.core.controller import Controller, Sample
from hfdl_async.testing.simulation.baselines import (
    AimdController,
    GradientController,
    SuccessController,
)


def play(law: Controller, seconds: int, *, rate: float = 50e6, throttled: int = 0) -> int:
    target = law.start().target
    for tick in range(2 * seconds):
        target = law.observe(
            Sample(
                t=tick / 2, dt=0.5, bytes=int(min(rate, 5e6 * target) / 2), busy=float(target),
                flowing=target, done=2, throttled=throttled,
            )
        ).target  # fmt: skip
    return target


def test_aimd_climbs_to_the_top_of_a_merely_full_line_and_falls_on_errors() -> None:
    law = AimdController()
    assert play(law, 60) == 64
    assert play(AimdController(), 60, throttled=1) == 1


def test_the_gradient_stays_near_where_a_byte_takes_longer() -> None:
    assert 8 <= play(GradientController(), 120) <= 24
    assert play(GradientController(), 60, throttled=1) == 1


def test_the_share_of_successes_says_nothing_about_a_full_line() -> None:
    assert play(SuccessController(), 60) == 64
    assert play(SuccessController(), 60, throttled=5) == 1

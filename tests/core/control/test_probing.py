from __future__ import annotations

from hfdl_async.core.control.config import ControlConfig
from hfdl_async.core.control.judging import Elasticity
from hfdl_async.core.control.meter import Meter
from hfdl_async.core.control.probing import Direction, Probing


def probing(*, headroom: bool = False) -> Probing:
    return Probing(ControlConfig(headroom=headroom), seed=1)


def first_due(subject: Probing, now: float) -> tuple[Direction, float]:
    """Rest from *now* on; returns the first probe and after how many seconds."""
    subject.rest(now)
    for tick in range(1000):
        direction = subject.due(now + tick / 2, can_grow=True, can_shrink=True)
        if direction is not None:
            return direction, tick / 2
    raise AssertionError("no probe in 500 seconds")


def test_the_first_probe_comes_after_about_five_seconds() -> None:
    _, seconds = first_due(probing(), 0.0)
    assert 4.0 <= seconds <= 6.0


def test_failed_probes_upward_become_rarer_up_to_half_a_minute() -> None:
    subject, waits = probing(), []
    for now in range(0, 600, 100):
        subject.rest(now)
        ticks = (now + tick / 2 for tick in range(200))
        due = next(at for at in ticks if subject.due(at, can_grow=True, can_shrink=False))
        waits.append(due - now)
        subject.after_failed_growth(8, 0.0, gained=False)
    assert waits[:3] == sorted(waits[:3])
    assert waits[0] < 6
    assert 25 < waits[-1] < 35


def test_a_probe_that_is_not_possible_is_not_due() -> None:
    subject = probing()
    subject.rest(0.0)
    assert subject.due(1000.0, can_grow=False, can_shrink=False) is None


def test_steps_grow_with_success_but_never_beyond_doubling_and_a_third() -> None:
    subject, up, down = probing(), [], []
    subject.begin_chain()
    for _ in range(6):
        up.append(subject.more(100))
        down.append(subject.fewer(100))
        subject.grew()
        subject.shrank()
    assert (up[0], up[1], up[-1]) == (25, 40, 100)
    assert (down[0], down[1], down[-1]) == (25, 30, 34)
    assert (subject.more(1), subject.fewer(2)) == (1, 1)


def test_one_spare_step_is_kept_once() -> None:
    subject = probing(headroom=True)
    assert subject.after_failed_growth(8, 0.1, gained=True) == 10
    assert subject.after_failed_growth(10, 0.1, gained=True) == 10
    subject.grew()
    assert subject.after_failed_growth(10, 0.1, gained=True) == 13


def test_two_probes_in_a_row_that_pay_a_little_mean_a_rival() -> None:
    subject = probing()
    assert subject.after_failed_growth(12, 0.3, gained=True) == 12
    assert subject.after_failed_growth(12, 0.3, gained=True) == 10
    assert subject.after_failed_growth(10, 0.3, gained=True) == 10
    assert subject.after_failed_growth(10, 0.0, gained=True) == 10
    assert subject.after_failed_growth(10, 0.3, gained=True) == 10


def test_a_probe_downward_that_costs_a_part_is_such_a_sign_too() -> None:
    subject = probing()
    subject.ramp_ended(12, 0.3)
    subject.begin_chain()
    assert subject.end_chain(12, 12, 0.4, slow=False) == -2


def test_where_each_connection_counts_there_is_no_rival() -> None:
    subject = probing()
    subject.ramp_ended(12, 0.3)
    subject.begin_chain()
    assert subject.end_chain(12, 12, 0.95, slow=False) == 0


def test_a_chain_that_went_down_keeps_a_spare_connection() -> None:
    subject = probing()
    subject.begin_chain()
    subject.shrank()
    assert subject.end_chain(40, 20, 0.9, slow=False) == 2


def test_after_growth_that_paid_in_full_nobody_looks_down_for_long() -> None:
    subject = probing()
    subject.each_counts(Elasticity(1.0, 0.1, 2.0))
    subject.rest(0.0)
    assert subject.due(20.0, can_grow=False, can_shrink=True) is None


def test_it_can_be_asked_to_look_up_at_once() -> None:
    subject = probing()
    subject.rest(100.0)
    subject.soon(100.0)
    assert subject.due(100.0, can_grow=True, can_shrink=True) == "UP"


def test_noise_is_learnt_from_each_full_window_at_rest() -> None:
    subject, meter = probing(), Meter()
    subject.rest(0.0)
    before = meter.noise.sigma
    for _ in range(8):
        meter.window.add(100.0)
        subject.learn(meter)
    assert meter.noise.sigma < before


def test_two_seeds_do_not_probe_in_step() -> None:
    waits = {first_due(Probing(ControlConfig(), seed), 0.0)[1] for seed in range(20)}
    assert len(waits) > 1

from __future__ import annotations

import pickle
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hfdl_async.core.control.config import ControlConfig, polite
from hfdl_async.core.control.knee import KneeController
from hfdl_async.core.controller import Controller, Decision, Sample

MB = 10**6
BACK = {"no-shrinking", "shrank", "contention", "limited", "uncapped", "limit-gone"}
"""Decisions that go back to what was there before a probe or a shed."""
JUMPS = BACK | {
    "knee", "no-growth", "not-ours", "collapse", "too-many-connections", "failures", "same-burst",
    "gap", "settling", "told-to-wait",
}  # fmt: skip

ticks = st.builds(
    Sample,
    t=st.just(0.0),
    dt=st.sampled_from([0.125, 0.5, 0.5, 0.5, 1.0, 5.0]),
    bytes=st.integers(0, 400 * MB) | st.just(0),
    busy=st.floats(0, 70),
    busy_high=st.integers(0, 70),
    flowing=st.integers(0, 70),
    done=st.integers(0, 30),
    throttled=st.sampled_from([0, 0, 0, 0, 0, 0, 1, 7]),
    failed=st.sampled_from([0, 0, 0, 0, 0, 1, 9]),
    retry_after=st.sampled_from([0.0, 0.0, 1.0, 10.0]),
    limited=st.sampled_from([False, False, False, True]),
    uncapped=st.sampled_from([False, False, False, False, True]),
    starved=st.sampled_from([False, False, False, True]),
    blocked=st.sampled_from([False, False, False, True]),
    loop_busy=st.sampled_from([0.1, 0.5, 0.95]),
)
healthy = st.builds(
    Sample,
    t=st.just(0.0),
    dt=st.just(0.5),
    bytes=st.integers(15 * MB, 40 * MB).map(lambda value: value // 4 * 4),
    busy=st.just(64.0),
    flowing=st.just(64),
)
configs = st.sampled_from(
    [ControlConfig(), polite(), ControlConfig(least=2, most=12), ControlConfig(most=1)]
)


def timed(samples: list[Sample], start: float = 0.0) -> list[Sample]:
    now, made = start, []
    for sample in samples:
        now += sample.dt
        made.append(replace(sample, t=now))
    return made


def decide(law: Controller, samples: list[Sample]) -> list[Decision]:
    return [law.start(), *(law.observe(sample) for sample in samples)]


def fitting(law: KneeController, samples: list[Sample]) -> Iterator[tuple[Sample, Decision]]:
    """Play *samples* with as many connections busy as the law allows: so that ticks count."""
    now, decision = 0.0, law.start()
    for sample in samples:
        now += sample.dt
        target = decision.target
        sample = replace(sample, t=now, busy=float(target), flowing=target, busy_high=target)
        decision = law.observe(sample)
        yield sample, decision


streams = st.lists(ticks, min_size=1, max_size=120)


@given(configs, streams)
def test_the_target_is_always_within_its_bounds(
    config: ControlConfig, samples: list[Sample]
) -> None:
    law = KneeController(config, seed=1)
    for sample, decision in fitting(law, samples):
        ceiling = law.figures().ceiling
        assert config.least <= decision.target <= config.most
        # A ceiling below the present target was set by this very tick, or cuts at the next.
        assert decision.target <= max(ceiling, config.least) or not sample.throttled


@given(streams, st.integers(0, 2**32))
def test_the_same_samples_give_the_same_decisions(samples: list[Sample], seed: int) -> None:
    made = timed(samples)
    one, other = (decide(KneeController(seed=seed), made) for _ in range(2))
    assert one == other


@given(streams, st.integers(1, 2**20))
def test_it_does_not_matter_when_the_clock_began(samples: list[Sample], shift: int) -> None:
    here = decide(KneeController(seed=3), timed(samples))
    assert here == decide(KneeController(seed=3), timed(samples, float(shift)))


@given(st.lists(healthy, min_size=20, max_size=120), st.sampled_from([0.25, 0.5]))
def test_only_ratios_of_goodput_matter(samples: list[Sample], scale: float) -> None:
    # Below the rates from which doubling is a burst, and without the floor of a connection.
    config = ControlConfig(floor_rate=0.0)
    made = timed(samples)
    scaled = [replace(sample, bytes=int(sample.bytes * scale)) for sample in made]
    assert decide(KneeController(config), made) == decide(KneeController(config), scaled)


@given(streams)
def test_a_complaint_never_raises_the_target_and_a_burst_cuts_once(samples: list[Sample]) -> None:
    law, last_cut, wait = KneeController(), -1000.0, 0.0
    before = law.start().target
    for sample, decision in fitting(law, samples):
        if sample.throttled:
            assert decision.target <= before
            if decision.target < before:
                assert sample.t - last_cut >= wait
                last_cut, wait = sample.t, max(2.0, sample.retry_after)
        before = decision.target


@given(streams)
def test_nothing_grows_while_the_loop_the_disk_the_work_or_a_limit_is_the_bound(
    samples: list[Sample],
) -> None:
    before = KneeController().start().target
    for sample, decision in fitting(KneeController(), samples):
        held = sample.loop_busy > 0.93 or sample.blocked or sample.starved or sample.limited
        if held and decision.target > before:
            assert decision.reason in BACK
        before = decision.target


@given(streams)
def test_steps_are_bounded(samples: list[Sample]) -> None:
    before = KneeController().start().target
    for _, decision in fitting(KneeController(), samples):
        if decision.target > before and decision.reason not in BACK:
            assert decision.target <= max(2 * before, before + 1)
        if decision.target < before and decision.reason not in JUMPS:
            assert decision.target >= int(0.66 * before)
        before = decision.target


@given(st.lists(healthy, min_size=60, max_size=120))
def test_a_failed_probe_restores_what_was_there(samples: list[Sample]) -> None:
    law = KneeController(ControlConfig(headroom=False))
    seen = [decision for _, decision in fitting(law, samples)]
    base = 0
    for before, after in pairwise(seen):
        if before.mode == "HOLD" and after.mode in ("UP", "DOWN"):
            base = before.target
        if after.reason == "no-shrinking":
            assert after.target == base
        if after.reason == "no-growth":
            assert after.target <= max(base, before.target)


def test_a_long_gap_begins_anew_with_few() -> None:
    law = KneeController(hint=32)
    assert law.start().target == 32
    law.observe(Sample(t=0.5, dt=0.5, bytes=MB, busy=32, flowing=32))
    after = law.observe(Sample(t=3600.5, dt=3600.0, bytes=MB, busy=32, flowing=32))
    assert (after.target, after.mode, after.reason) == (8, "RAMP0", "gap")


@pytest.mark.parametrize(("hint", "first"), [(None, 8), (1, 4), (20, 20), (64, 32)])
def test_a_hint_is_trusted_within_bounds(hint: int | None, first: int) -> None:
    assert KneeController(hint=hint).start().target == first


@settings(max_examples=5)
@given(st.lists(ticks, min_size=100, max_size=100))
def test_its_state_does_not_grow(samples: list[Sample]) -> None:
    law, sizes = KneeController(), []
    now = 0.0
    for _ in range(20):
        for sample in samples:
            now += sample.dt
            law.observe(replace(sample, t=now))
        sizes.append(len(pickle.dumps(law)))
    assert max(sizes) < 4000
    assert max(sizes[10:]) <= max(sizes[:10]) + 200


def saturated(law: KneeController, rate: float, seconds: float) -> list[Decision]:
    """Play a line of *rate* that connections of 5 MB/s fill."""
    seen, now, decision = [], 0.0, law.start()
    for _ in range(round(2 * seconds)):
        now += 0.5
        goodput = min(rate, decision.target * 5 * MB)
        decision = law.observe(
            Sample(
                t=now, dt=0.5, bytes=int(goodput / 2), busy=float(decision.target),
                flowing=decision.target,
            )
        )  # fmt: skip
        seen.append(decision)
    return seen


@pytest.mark.parametrize(("rate", "needed"), [(20 * MB, 4), (60 * MB, 12), (200 * MB, 40)])
def test_on_a_quiet_line_it_finds_about_the_fewest_that_fill_it(rate: float, needed: int) -> None:
    seen = saturated(KneeController(), rate, 120)
    assert needed <= seen[-1].target <= 1.5 * needed + 2
    assert max(decision.target for decision in seen) <= 64


def test_a_quota_that_is_too_small_paces_the_starts() -> None:
    law = KneeController()
    sample = Sample(t=0.5, dt=0.5, busy=8, quota_left=100, quota_seconds=90.0, planned=900)
    assert law.observe(sample).start_rate == pytest.approx(1.0)


def test_figures_are_those_of_the_last_decision() -> None:
    law = KneeController()
    law.observe(Sample(t=0.5, dt=0.5, bytes=5 * MB, busy=8, flowing=8))
    figures = law.figures()
    assert (figures.rate, figures.ceiling) == (10 * MB, 64)

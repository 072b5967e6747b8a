"""Which law a line begins with, and when another one takes its place."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hfdl_async.core.control.opening import FULL_BYTES_PER_SECOND, Look
from hfdl_async.core.control.outset import AS_GOOD, CHANCES, SPARE, Outset
from hfdl_async.core.control.throttles import FEWEST_FAILURES
from hfdl_async.core.controller import Controller, FixedController, Sample

FULL = Look(bytes_per_second=2 * FULL_BYTES_PER_SECOND, machine_share=0.9, connections=4)
EIGHT = replace(FULL, connections=8)
SLOW = replace(FULL, bytes_per_second=1e6, machine_share=0.1, small_ahead=3)
TICK = Sample(t=1.0, dt=0.125, bytes=0, busy=2.0)
TARGET = 2


class Laws:
    """Makes laws, and remembers of which looks."""

    def __init__(self, first: Look = SLOW) -> None:
        self.looks: list[Look] = []
        self.outset = Outset(self)
        self.outset.first(first)

    def __call__(self, look: Look) -> Controller:
        self.looks.append(look)
        return FixedController(1 if look.fills_the_machine else 8)

    def after(self, *ticks: Look | tuple[Look, Sample]) -> list[int]:
        """Return after which of the ticks another law began."""
        told = [tick if isinstance(tick, tuple) else (tick, TICK) for tick in ticks]
        again = self.outset.again
        return [
            number
            for number, (look, sample) in enumerate(told)
            if again(look, sample, TARGET) is not None
        ]


def brings(share: float) -> Look:
    """Return a look at fewer connections that bring *share* of what more of them brought."""
    return replace(FULL, bytes_per_second=share * FULL.bytes_per_second, machine_share=0.3)


SHORT = brings(AS_GOOD - 0.01)
SAYS_NOTHING = [
    replace(TICK, starved=True),
    replace(TICK, limited=True),
    replace(TICK, busy=TARGET + SPARE + 0.1),
]
COMPLAINTS = [replace(TICK, throttled=1), replace(TICK, failed=FEWEST_FAILURES)]


def test_the_first_look_makes_the_first_law() -> None:
    assert Laws().looks == [SLOW]


@pytest.mark.parametrize("full", [FULL, EIGHT])
def test_a_tick_that_shows_a_full_machine_begins_anew_once(full: Look) -> None:
    laws = Laws()
    assert laws.after(SLOW, full, brings(1.0), full, full) == [1]
    assert laws.looks == [SLOW, full]


@pytest.mark.parametrize("full", [FULL, EIGHT])
def test_fewer_connections_that_bring_less_are_given_up_for_good(full: Look) -> None:
    laws = Laws()
    assert laws.after(full, *[SHORT] * CHANCES, full, full) == [0, CHANCES]
    assert not laws.looks[-1].fills_the_machine


def test_fewer_connections_have_a_second_chance() -> None:
    assert Laws().after(FULL, brings(0.1), brings(AS_GOOD), brings(0.1), brings(0.1)) == [0]


def test_the_few_of_the_first_look_are_compared_with_what_is_made_of_them() -> None:
    laws = Laws(FULL)
    assert laws.outset.is_trying
    assert laws.after(brings(0.5), brings(0.5), FULL) == [1]
    assert not laws.outset.is_trying
    assert not laws.looks[-1].fills_the_machine


def test_one_that_was_looked_at_alone_has_nothing_to_be_compared_with() -> None:
    laws = Laws(replace(FULL, connections=1))
    assert not laws.outset.is_trying
    assert laws.after(brings(0.5), brings(0.5), FULL) == []


@pytest.mark.parametrize("sample", SAYS_NOTHING)
def test_a_tick_that_says_nothing_costs_no_chance(sample: Sample) -> None:
    laws = Laws()
    nothing = (brings(0.1), sample)
    assert laws.after(FULL, nothing, SHORT, nothing, nothing, SHORT) == [0, 5]


@pytest.mark.parametrize("sample", [*SAYS_NOTHING[:2], *COMPLAINTS])
def test_no_trial_begins_with_a_tick_that_says_something_else(sample: Sample) -> None:
    assert Laws().after((FULL, sample), (FULL, sample), FULL) == [2]


@pytest.mark.parametrize("sample", COMPLAINTS)
def test_a_complaint_ends_a_trial_at_once(sample: Sample) -> None:
    laws = Laws()
    assert laws.after(FULL, (brings(1.0), sample), FULL) == [0, 1]
    assert not laws.looks[-1].fills_the_machine


@pytest.mark.parametrize("sample", [replace(TICK, loop_busy=0.99), replace(TICK, blocked=True)])
def test_what_more_connections_brought_counts_more_than_what_seems_full(sample: Sample) -> None:
    assert Laws().after(FULL, (brings(0.1), sample), (brings(0.1), sample)) == [0, 2]


def test_one_failure_is_no_complaint() -> None:
    failed = replace(TICK, failed=1)
    assert Laws().after((FULL, failed), (brings(1.0), failed), SHORT, SHORT) == [0]


def test_there_is_no_trial_of_as_many_as_there_are() -> None:
    laws = Laws()
    assert laws.outset.again(FULL, TICK, 1) is None
    assert not laws.outset.is_trying


def test_what_the_first_look_saw_is_over_when_a_later_trial_ends() -> None:
    laws = Laws(replace(SLOW, small_ahead=500))
    laws.after(FULL, SHORT, SHORT)
    assert laws.looks[-1] == Look()

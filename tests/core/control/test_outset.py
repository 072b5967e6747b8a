"""Which law a download begins with, and when another one takes its place."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hfdl_async.core.control.opening import FULL_BYTES_PER_SECOND, Look
from hfdl_async.core.control.outset import AS_GOOD, CHANCES, Outset
from hfdl_async.core.controller import Controller, FixedController

FULL = Look(bytes_per_second=2 * FULL_BYTES_PER_SECOND, machine_share=0.9, connections=4)
MANY = replace(FULL, connections=12)
SLOW = replace(FULL, bytes_per_second=1e6, machine_share=0.1)


class Laws:
    """Makes laws, and remembers of which looks."""

    def __init__(self) -> None:
        self.looks: list[Look] = []
        self.outset = Outset(self)

    def __call__(self, look: Look) -> Controller:
        self.looks.append(look)
        return FixedController(1 if look.fills_the_machine else 8)

    def ticks(self, *looks: Look) -> list[int]:
        """Return after which of the looks another law began."""
        again = self.outset.again
        return [number for number, look in enumerate(looks) if again(look) is not None]


def brings(share: float) -> Look:
    """Return a look at fewer connections that bring *share* of what more of them brought."""
    return replace(FULL, bytes_per_second=share * FULL.bytes_per_second, machine_share=0.3)


def test_the_first_look_makes_the_first_law() -> None:
    laws = Laws()
    laws.outset.first(SLOW)
    assert laws.looks == [SLOW]


@pytest.mark.parametrize("full", [FULL, MANY])
def test_a_tick_that_shows_a_full_machine_begins_anew_once(full: Look) -> None:
    laws = Laws()
    laws.outset.first(SLOW)
    assert laws.ticks(SLOW, full, brings(1.0), full, full) == [1]
    assert laws.looks == [SLOW, full]


@pytest.mark.parametrize("full", [FULL, MANY])
def test_fewer_connections_that_bring_less_are_given_up_for_good(full: Look) -> None:
    laws = Laws()
    laws.outset.first(SLOW)
    short = brings(AS_GOOD - 0.01)
    assert laws.ticks(full, *[short] * CHANCES, full, full) == [0, CHANCES]
    assert laws.looks[-1] == Look()  # which speaks for nothing: the law begins as usual


def test_fewer_connections_have_a_second_chance() -> None:
    laws = Laws()
    laws.outset.first(SLOW)
    assert laws.ticks(FULL, brings(0.1), brings(AS_GOOD), brings(0.1), brings(0.1)) == [0]


def test_the_few_of_the_first_look_are_compared_with_what_is_made_of_them() -> None:
    laws = Laws()
    laws.outset.first(FULL)
    assert laws.ticks(brings(0.5), brings(0.5), FULL) == [1]


def test_one_that_was_looked_at_alone_has_nothing_to_be_compared_with() -> None:
    laws = Laws()
    laws.outset.first(replace(FULL, connections=1))
    assert laws.ticks(brings(0.5), brings(0.5), FULL) == []

"""Which law a line begins with, and which one takes its place during its first ramp.

A machine that a few connections fill has enough of fewer (`opening.py`). The first look cannot see
it when small files came first, or the start of the program; so each tick of the first ramp is
looked at as well. But a rate alone does not tell a machine that is full from connections that are
each held back: fewer of them are a trial. They have to bring nearly what more of them brought, or
the law begins as usual, and that is the end of it.

Ticks that say nothing about the number of connections count on neither side. A complaint of the
server ends a trial at once: its answer must not be reckoned from the few that are being tried.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from enum import Enum

from hfdl_async.core.control.opening import Look
from hfdl_async.core.control.throttles import FEWEST_FAILURES
from hfdl_async.core.controller import Controller, Sample

AS_GOOD = 0.75  # of what more brought; half of them would bring half, were each held back
CHANCES = 2  # ticks: where connections have just been cut, one alone says little
SPARE = 0.5  # connections above those that are wanted, on average: others flow on


class Stage(Enum):
    """How far the beginning has come."""

    LOOKING = "looking"  # whether the machine is full
    TRYING = "trying"  # whether fewer connections do as well
    SETTLED = "settled"


class Outset:
    """Makes the laws of a line's first moments.

    Args:
        law: makes the one that a look speaks for.
    """

    def __init__(self, law: Callable[[Look], Controller]) -> None:
        self._law = law
        self._stage = Stage.LOOKING
        self._usual = Look()  # what to begin from where the machine is not full
        self._more_brought = 0.0  # bytes per second, before there were fewer
        self._chances = CHANCES

    @property
    def is_trying(self) -> bool:
        """Whether the present law is a trial."""
        return self._stage is Stage.TRYING

    def first(self, look: Look) -> Controller:
        """Return the law to begin with after the first look."""
        self._usual = replace(look, machine_share=0.0)
        if look.fills_the_machine and look.connections == 1:
            self._stage = Stage.SETTLED  # there are no fewer
        elif look.fills_the_machine:
            self._try(look)
        return self._law(look)

    def again(self, look: Look, sample: Sample, target: int) -> Controller | None:
        """Return the law that takes the place of the present one, if one does.

        Args:
            look: what the tick has shown.
            sample: the same for the law.
            target: how many connections there should have been.
        """
        if is_complaint(sample):
            return self._give_up() if self.is_trying else None
        if self._stage is Stage.SETTLED or sample.limited or sample.starved:
            return None
        if self._stage is Stage.LOOKING:
            return self._fewer(look, target)
        return None if sample.busy > target + SPARE else self._judge(look)

    def _fewer(self, look: Look, target: int) -> Controller | None:
        if not look.fills_the_machine:
            return None
        law = self._law(look)
        if law.start().target >= target:
            return None
        self._usual = Look()  # what the first look has seen is over
        self._try(look)
        return law

    def _try(self, look: Look) -> None:
        self._stage = Stage.TRYING
        self._more_brought = look.bytes_per_second

    def _judge(self, look: Look) -> Controller | None:
        """Return the usual law where the fewer have had their chances."""
        if look.bytes_per_second >= AS_GOOD * self._more_brought:
            self._stage = Stage.SETTLED
            return None
        self._chances -= 1
        return None if self._chances else self._give_up()

    def _give_up(self) -> Controller:
        self._stage = Stage.SETTLED
        return self._law(self._usual)


def is_complaint(sample: Sample) -> bool:
    """Return whether the server may mean that there are too many connections."""
    return sample.throttled > 0 or sample.failed >= FEWEST_FAILURES

"""Which law a download begins with, and which one takes its place while that is still open.

A machine that a few connections fill has enough of fewer (`opening.py`). The first look cannot see
it when small files came first, or the start of the program; so each tick of the first ramp is
looked at as well. But a rate alone does not tell a machine that is full from connections that are
each held back: fewer of them are a trial. They have to bring nearly what more of them brought, or
the law begins as usual, and that is the end of it.
"""

from __future__ import annotations

from collections.abc import Callable

from hfdl_async.core.control.opening import Look
from hfdl_async.core.controller import Controller

AS_GOOD = 0.75  # of what more brought; half of them would bring half, were each held back
CHANCES = 2  # ticks: where connections have just been cut, one alone says little


class Outset:
    """Makes the laws of a download's first moments.

    Args:
        law: makes the one that a look speaks for.
    """

    def __init__(self, law: Callable[[Look], Controller]) -> None:
        self._law = law
        self._is_settled = False
        self._brought: float | None = None  # bytes per second, of more connections than now
        self._chances = CHANCES

    def first(self, look: Look) -> Controller:
        """Return the law to begin with after the first look."""
        if look.fills_the_machine:
            self._is_settled = look.connections == 1
            self._brought = look.bytes_per_second
        return self._law(look)

    def again(self, look: Look) -> Controller | None:
        """Return the law that takes the place of the present one after a tick, if one does."""
        if self._is_settled:
            return None
        if self._brought is None:
            return self._fewer(look)
        self._chances -= 1
        as_good = look.bytes_per_second >= AS_GOOD * self._brought
        self._is_settled = as_good or not self._chances
        return self._law(Look()) if self._is_settled and not as_good else None

    def _fewer(self, look: Look) -> Controller | None:
        if not look.fills_the_machine:
            return None
        self._brought = look.bytes_per_second
        return self._law(look)

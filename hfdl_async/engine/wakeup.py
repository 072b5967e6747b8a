"""Waiting for "something changed", at no cost while nobody waits."""

from __future__ import annotations

import anyio


class Wakeup:
    """Who waits is woken by the next `wake`; a wake that nobody waits for leaves no trace.

    Thousands of small files have such a point each and hardly one is ever waited at, so the event
    behind it is made by the first who waits.
    """

    __slots__ = ("_event",)

    def __init__(self) -> None:
        self._event: anyio.Event | None = None

    async def wait(self) -> None:
        """Wait for the next wake; check the reason to wait without an `await` in between."""
        if self._event is None:
            self._event = anyio.Event()
        await self._event.wait()

    def wake(self) -> None:
        """Let go everyone who waits now."""
        event, self._event = self._event, None
        if event is not None:
            event.set()

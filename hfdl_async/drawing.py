"""The beat of a display.

Snapshots and facts are handed over in a thread: a slow terminal never slows a download.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from functools import partial

import anyio

from hfdl_async.core.events import Event, Progress
from hfdl_async.core.progress import Snapshot
from hfdl_async.display import Display
from hfdl_async.job import Work

LAST_DRAW_SECONDS = 1.0  # a terminal that takes longer to show the end has stopped reading

log = logging.getLogger("hfdl_async.drawing")


class Drawing:
    """Draws one work on one display."""

    def __init__(self, display: Display, work: Work, title: str) -> None:
        self._display = display
        self._work = work
        self._title = title
        self._facts: list[Event] = []
        self._opened = self._broken = False
        work.bus.listen(self._note)

    def _note(self, event: Event) -> None:
        if not isinstance(event, Progress):
            self._facts.append(event)

    async def run(self) -> None:
        """Draw on the display's beat until cancelled."""
        await self._in_thread(partial(self._display.open, self._title))
        self._opened = True
        while not self._broken:
            await self._show(self._display.draw)
            await anyio.sleep(self._display.beat_seconds)

    async def close(self) -> None:
        """Draw the end; gives up on a terminal that does not take it."""
        if self._opened and not self._broken:
            with anyio.move_on_after(LAST_DRAW_SECONDS, shield=True):
                await self._show(self._display.close)

    async def _show(self, draw: Callable[[Snapshot, Sequence[Event]], None]) -> None:
        facts, self._facts = self._facts, []
        await self._in_thread(partial(draw, self._work.snapshot(), facts))

    async def _in_thread(self, call: Callable[[], None]) -> None:
        # Abandoned on cancellation: a late frame hurts nobody, a stuck one would.
        try:
            await anyio.to_thread.run_sync(call, abandon_on_cancel=True)
        except Exception:
            # Somebody else's code, like a callback: what it raises must not end the download.
            self._broken = True
            self._work.bus.unlisten(self._note)
            log.exception("the display raised and is not used any more")

"""Live progress on a terminal: a moving part below, facts as lines above it."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Sequence
from typing import TextIO

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from hfdl_async.core.events import Event, Finished
from hfdl_async.core.progress import Snapshot
from hfdl_async.display.frame import Look, frame, line
from hfdl_async.display.narrator import Line, Narrator
from hfdl_async.display.screen import make_screen
from hfdl_async.display.summary import summary

BEAT_SECONDS = 0.1
LINES_KEPT = 1  # the last column stays free: some terminals wrap a full line


class TerminalDisplay:
    """Draws with rich on standard error (or on *console*, for tests and pictures).

    With *connections* each of these has a row, instead of each file.
    """

    beat_seconds = BEAT_SECONDS

    def __init__(self, console: Console | None = None, *, connections: bool = False) -> None:
        self._connections = connections
        self.console = console if console is not None else make_screen(stderr=True)
        self._narrator = Narrator()
        self._title = ""
        self._live: Live | None = None
        # A caller that is cancelled abandons the frame it was drawing: the end waits for it.
        self._lock = threading.Lock()

    def open(self, title: str) -> None:
        """Show an empty frame at once, so that the start is not silent."""
        with self._lock:
            self._open(title)

    def draw(self, snapshot: Snapshot, facts: Sequence[Event]) -> None:
        """Print the facts above and redraw the moving part."""
        with self._lock:
            self._draw(snapshot, facts)

    def close(self, snapshot: Snapshot, facts: Sequence[Event]) -> None:
        """Remove the moving part and print the summary in its place."""
        with self._lock:
            self._close(facts)

    def _open(self, title: str) -> None:
        self._title = title
        self._live = Live(
            console=self.console,
            auto_refresh=False,
            transient=True,
            # Text that other code prints meanwhile goes above the bars; but a standard output
            # that is piped somewhere must not be led to the terminal.
            redirect_stdout=sys.stdout is not None and sys.stdout.isatty(),
            redirect_stderr=True,
            vertical_overflow="crop",
        )
        try:
            self._live.start()
            self._show(Snapshot())
        except (OSError, ValueError):
            self._gone()

    def _draw(self, snapshot: Snapshot, facts: Sequence[Event]) -> None:
        if self._live is None:
            return
        try:
            self._print(self._narrator.tell(facts))
            self._show(snapshot)
        except (OSError, ValueError):
            self._gone()

    def _close(self, facts: Sequence[Event]) -> None:
        told = [*self._narrator.tell(facts), *self._narrator.rest()]
        for fact in facts:
            if isinstance(fact, Finished):
                told += summary(fact.report)
        live, self._live = self._live, None
        if live is None:
            return
        try:
            live.stop()
            self._print(told, whole=True)
        except (OSError, ValueError):
            self._gone()

    def _print(self, told: Sequence[Line], *, whole: bool = False) -> None:
        if told:
            look = self._look()
            lines = (line(item, look, whole=whole) for item in told)
            self.console.print(Text("\n").join(lines), soft_wrap=True)

    def _show(self, snapshot: Snapshot) -> None:
        if self._live is not None:
            lines = frame(self._title, snapshot, self._look(), connections=self._connections)
            self._live.update(Group(*lines), refresh=True)

    def _look(self) -> Look:
        size = self.console.size
        return Look(
            width=max(1, size.width - LINES_KEPT),
            height=size.height,
            unicode=_speaks_unicode(self.console),
        )

    def _gone(self) -> None:
        """Draw nothing any more: the terminal was closed; the download goes on."""
        live, self._live = self._live, None
        if live is not None:
            try:
                live.stop()
            except (OSError, ValueError):
                return


def _speaks_unicode(console: Console) -> bool:
    return console.encoding.lower().startswith("utf") and not console.legacy_windows


def can_move(stream: TextIO | None) -> bool:
    """Return whether *stream* is a terminal whose cursor can be moved."""
    if stream is None or stream.closed or not stream.isatty():
        return False
    return os.environ.get("TERM", "").lower() not in ("dumb", "unknown")

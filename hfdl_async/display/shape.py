"""What a display is: somewhere a person watches a run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from hfdl_async.core.events import Event
from hfdl_async.core.progress import Snapshot


class Display(Protocol):
    """Draws one run, on its own beat.

    The caller runs the beat: `open`, then `draw` every `beat_seconds`, then `close`. All of them
    are called off the event loop and may block on a slow terminal; a cancelled caller may abandon
    a `draw` and call `close`, which waits for it. They never raise: a terminal that went away must
    not end a download. After `close` a display may be opened again.
    """

    beat_seconds: float

    def open(self, title: str) -> None:
        """Begin; *title* says what is being worked on, such as the repo."""
        ...

    def draw(self, snapshot: Snapshot, facts: Sequence[Event]) -> None:
        """Show how far the run is; *facts* are those since the last beat."""
        ...

    def close(self, snapshot: Snapshot, facts: Sequence[Event]) -> None:
        """Show the end of the run and let go of the screen."""
        ...

"""Drawing a run for a person: on a terminal, as plain lines, or in a notebook cell."""

from __future__ import annotations

import sys

from hfdl_async.display.shape import Display

__all__ = ["Display", "choose"]


def choose(
    progress: bool | None, *, plain: bool = False, connections: bool = False
) -> Display | None:
    """Return the display that fits where this process runs, or None for none.

    Args:
        progress: None means in notebooks only, True always, False never.
        plain: lines instead of a moving display, wherever the lines go.
        connections: on a terminal, a row for each connection instead of each file.
    """
    from hfdl_async.display.notebook import NotebookDisplay, in_notebook
    from hfdl_async.display.plain import PlainDisplay

    if progress is False:
        return None
    if in_notebook():
        return NotebookDisplay()
    if progress is None:
        return None
    from hfdl_async.display.terminal import TerminalDisplay, can_move

    if plain or not can_move(sys.stderr):
        return PlainDisplay()
    return TerminalDisplay(connections=connections)

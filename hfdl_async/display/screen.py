"""A rich console whose reader may go away."""

from __future__ import annotations

from typing import TextIO

from rich.console import Console


class Screen(Console):
    """Writes to a stream until that breaks, then nothing; never ends the process.

    Rich's own answer to a broken pipe is `SystemExit`; a download must outlive its terminal.
    """

    def on_broken_pipe(self) -> None:
        """Go quiet."""
        self.quiet = True


def make_screen(stream: TextIO | None = None, *, stderr: bool = False) -> Screen:
    """Return a console that takes text as it is: no markup, no emoji names, no highlighting."""
    return Screen(file=stream, stderr=stderr, highlight=False, markup=False, emoji=False)

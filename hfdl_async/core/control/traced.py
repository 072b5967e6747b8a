"""The law with a record of itself: every decision is told as a line of a trace (`trace.py`)."""

from __future__ import annotations

from collections.abc import Callable

from hfdl_async.core.control.config import ControlConfig
from hfdl_async.core.control.knee import KneeController
from hfdl_async.core.control.trace import TraceLine, TraceStart, first_line, line
from hfdl_async.core.controller import Decision, Sample


class TracedController:
    """A `KneeController` that tells *tell* the lines from which `replay` makes it again.

    Nothing is told before the first sample, so that one that is never asked leaves no trace.
    """

    def __init__(
        self, config: ControlConfig, *, seed: int, hint: int | None, tell: Callable[[str], None]
    ) -> None:
        self._law = KneeController(config, seed=seed, hint=hint)
        self._tell = tell
        self._first: str | None = first_line(TraceStart(config, seed, hint))

    def start(self) -> Decision:
        """Return the decision before anything was measured."""
        return self._law.start()

    def observe(self, sample: Sample) -> Decision:
        """Return the decision after one more tick."""
        if self._first is not None:
            self._tell(self._first)
            self._first = None
        decision = self._law.observe(sample)
        self._tell(line(TraceLine(sample, decision, self._law.figures())))
        return decision

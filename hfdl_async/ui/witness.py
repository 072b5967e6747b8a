"""A display that remembers how the run that it drew ended."""

from __future__ import annotations

from collections.abc import Sequence

from hfdl_async.core.events import Event, Finished
from hfdl_async.core.model import Report
from hfdl_async.core.progress import Snapshot
from hfdl_async.display import Display


class Witness:
    """A display in front of a display; keeps the report of the run that was drawn."""

    def __init__(self, shown: Display | None) -> None:
        self._shown = shown
        self.beat_seconds = shown.beat_seconds if shown else 1.0
        self.report: Report | None = None

    def open(self, title: str) -> None:
        """Pass it on."""
        if self._shown is not None:
            self._shown.open(title)

    def draw(self, snapshot: Snapshot, facts: Sequence[Event]) -> None:
        """Pass it on."""
        self._look_for_the_end(facts)
        if self._shown is not None:
            self._shown.draw(snapshot, facts)

    def close(self, snapshot: Snapshot, facts: Sequence[Event]) -> None:
        """Pass it on."""
        self._look_for_the_end(facts)
        if self._shown is not None:
            self._shown.close(snapshot, facts)

    def _look_for_the_end(self, facts: Sequence[Event]) -> None:
        for fact in facts:
            if isinstance(fact, Finished):
                self.report = fact.report

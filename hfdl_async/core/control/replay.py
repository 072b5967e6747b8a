"""Makes the decisions of a trace again, with the controller that this version has."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from hfdl_async.core.control.knee import KneeController
from hfdl_async.core.control.trace import (
    TraceLine,
    is_first_line,
    parse_first_line,
    parse_line,
)
from hfdl_async.core.controller import Decision


@dataclass(frozen=True, slots=True)
class Replayed:
    """One line of a trace, and what was decided about its sample now."""

    traced: TraceLine
    decision: Decision

    @property
    def agrees(self) -> bool:
        """Whether the decision is the one in the trace."""
        return self.decision == self.traced.decision


def replay(lines: Iterable[str]) -> Iterator[Replayed]:
    """Yield each decision of the trace in *lines*, made again.

    Raises:
        ValueError: a line is not of a trace.
    """
    texts = iter(lines)
    controller = _begun(next(texts, ""))
    for text in texts:
        if is_first_line(text):
            controller = _begun(text)
            continue
        traced = parse_line(text)
        yield Replayed(traced, controller.observe(traced.sample))


def _begun(text: str) -> KneeController:
    start = parse_first_line(text)
    return KneeController(start.config, seed=start.seed, hint=start.hint)

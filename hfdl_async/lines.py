"""The lines of a `Downloader`: one for each hub, each with a controller of its own.

What a number of connections brings depends on who is at the other end, so what was learnt about
one hub says nothing about another one. All downloads from one hub share its line.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from anyio.abc import TaskGroup

from hfdl_async.core.control.config import ControlConfig, polite
from hfdl_async.core.control.knee import KneeController
from hfdl_async.core.control.opening import Opening, opening
from hfdl_async.core.control.traced import TracedController
from hfdl_async.core.controller import Controller
from hfdl_async.disk.tracefile import TraceFile
from hfdl_async.engine.limiter import Limiter
from hfdl_async.engine.line import Line
from hfdl_async.engine.ports import Clock


@dataclass(frozen=True, slots=True)
class Terms:
    """What holds for every line of one downloader.

    Attributes:
        most: the ceiling for connections.
        hint: the number that somebody named, who may know the line; the law begins near it.
        is_polite: a share of the line is asked for, so others on it come first.
        buffers_bytes: what all connections together may have received and not written.
        trace: the file for the decisions of the controller; a second hub's has `.2` appended.
        seed: returns what the jitter of one controller is made from.
        cores: processors that this process may use.
    """

    most: int
    is_polite: bool
    buffers_bytes: int
    trace: Path | None
    seed: Callable[[], int]
    hint: int | None = None
    cores: int = 1

    @property
    def config(self) -> ControlConfig:
        """The constants of the law."""
        return polite(most=self.most) if self.is_polite else ControlConfig(most=self.most)

    async def begin_trace(self) -> TraceFile | None:
        """Make the file of the trace, if there shall be one.

        Raises:
            StorageError: it cannot be made.
        """
        if self.trace is None:
            return None
        trace = TraceFile(self.trace)
        await trace.create()
        return trace


class Lines:
    """Makes a line when it is asked for first; its ticks run in *group*.

    The decisions about the first one go to *trace*.
    """

    def __init__(
        self,
        terms: Terms,
        clock: Clock,
        limiter: Limiter,
        group: TaskGroup,
        trace: TraceFile | None = None,
    ) -> None:
        self._terms = terms
        self._clock = clock
        self._limiter = limiter
        self._group = group
        self._lines: dict[str, Line] = {}
        self._first_trace = trace

    def to(self, endpoint: str) -> Line:
        """Return the line to the hub at *endpoint*."""
        line = self._lines.get(endpoint)
        if line is None:
            line = self._lines[endpoint] = self._make()
            self._group.start_soon(line.run)
        return line

    def _make(self) -> Line:
        config, seed, tell = self._terms.config, self._terms.seed(), self._trace()

        def law(begin: Opening) -> Controller:
            if tell is None:
                return KneeController(begin.config, seed=seed, hint=begin.hint)
            return TracedController(begin.config, seed=seed, hint=begin.hint, tell=tell)

        named = self._terms.hint
        return Line(
            law(Opening(config, named)),
            self._clock,
            after_look=lambda look: law(opening(look, config, named)),
            looks_first=named is None,
            buffers_bytes=self._terms.buffers_bytes,
            limiter=self._limiter,
            loop_seconds=time.thread_time,
            machine_seconds=lambda: time.process_time() / self._terms.cores,
        )

    def _trace(self) -> Callable[[str], None] | None:
        """Return what takes the lines of the next trace, if there shall be one."""
        path = self._terms.trace
        if path is None:
            return None
        trace, self._first_trace = self._first_trace, None
        if trace is None:
            trace = TraceFile(path.with_name(f"{path.name}.{len(self._lines) + 1}"))
        self._group.start_soon(trace.run)
        return trace.tell

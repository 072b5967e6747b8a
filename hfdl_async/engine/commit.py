"""Publishing verified files, many at once: whoever waits shares the syncs of one group."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from hfdl_async.engine.ports import Part, Sink
from hfdl_async.engine.wakeup import Wakeup
from hfdl_async.errors import HfdlError

GROUP_FILES = 128  # enough to share syncs, few enough that a kill loses little
WAITING_FILES = 128  # verified files that may queue up before workers must wait


class Committer:
    """Takes verified parts, publishes them in groups, reports each outcome."""

    def __init__(self, sink: Sink, on_outcome: Callable[[Part, HfdlError | None], None]) -> None:
        self._sink = sink
        self._on_outcome = on_outcome
        self._waiting: deque[Part] = deque()
        self._filled, self._emptied = Wakeup(), Wakeup()

    async def put(self, part: Part) -> None:
        """Queue a verified part; waits while too many are queued."""
        while len(self._waiting) >= WAITING_FILES:
            await self._emptied.wait()
        self._waiting.append(part)
        self._filled.wake()

    async def run(self) -> None:
        """Publish group after group until cancelled."""
        while True:
            while not self._waiting:
                await self._filled.wait()
            size = min(len(self._waiting), GROUP_FILES)
            group = [self._waiting.popleft() for _ in range(size)]
            self._emptied.wake()
            await self._publish(group)

    async def _publish(self, group: list[Part]) -> None:
        outcomes = await self._sink.publish(group)
        for part in group:
            self._on_outcome(part, outcomes[part.file.path])

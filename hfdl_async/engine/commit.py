"""Publishing verified files, many at once: whoever waits shares the syncs of one group."""

from __future__ import annotations

from collections.abc import Callable

import anyio
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream

from hfdl_async.engine.ports import Part, Sink
from hfdl_async.errors import HfdlError

GROUP_FILES = 128  # enough to share syncs, few enough that a kill loses little
WAITING_FILES = 128  # verified files that may queue up before workers must wait


class Committer:
    """Takes verified parts, publishes them in groups, reports each outcome."""

    def __init__(self, sink: Sink, on_outcome: Callable[[Part, HfdlError | None], None]) -> None:
        self._sink = sink
        self._on_outcome = on_outcome
        self._entry: MemoryObjectSendStream[Part]
        self._queue: MemoryObjectReceiveStream[Part]
        self._entry, self._queue = anyio.create_memory_object_stream[Part](WAITING_FILES)

    async def put(self, part: Part) -> None:
        """Queue a verified part; waits while too many are queued."""
        await self._entry.send(part)

    def close(self) -> None:
        """Let go of the queue; `run` has ended, or is about to be cancelled."""
        self._entry.close()
        self._queue.close()

    async def run(self) -> None:
        """Publish group after group until cancelled."""
        while True:
            group = [await self._queue.receive()]
            while len(group) < GROUP_FILES:
                try:
                    group.append(self._queue.receive_nowait())
                except anyio.WouldBlock:
                    break
            await self._publish(group)

    async def _publish(self, group: list[Part]) -> None:
        outcomes = await self._sink.publish(group)
        for part in group:
            self._on_outcome(part, outcomes[part.file.path])

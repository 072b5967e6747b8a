"""Syncing a group of parts: in one hop while syncs are cheap, side by side where they wait.

On a disk each sync waits for the journal, and syncs that wait together share its commits. In memory
or behind a cache that admits nothing, a sync takes microseconds and threads only get in each
other's way. Which of the two it is, is measured on every group.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from time import perf_counter

import anyio
from anyio import to_thread

from hfdl_async.disk.crew import for_each
from hfdl_async.disk.memorypart import MemoryPart
from hfdl_async.disk.partfile import PartFile
from hfdl_async.disk.settled import Settled
from hfdl_async.errors import HfdlError, StorageError, UnsafeError

TASKS = 8
FILES_PER_HOP = 16  # side by side: enough hops to share commits, few enough to be cheap
SLOW_SECONDS = 0.0005  # per file: a write to memory takes a tenth of that

AnyPart = PartFile | MemoryPart


@dataclass(slots=True)
class Group:
    """What became of the parts of one group."""

    settled: list[Settled] = field(default_factory=list)
    failed: dict[str, HfdlError | None] = field(default_factory=dict)


class Settler:
    """Settles groups and learns how long a sync takes here."""

    def __init__(self, limiter: anyio.CapacityLimiter) -> None:
        self._limiter = limiter
        self._waits = True  # until measured: being wrong this way round costs less

    async def settle(self, parts: Sequence[AnyPart]) -> Group:
        """Write what is in memory, sync everything; failures are values."""
        group = Group()
        step = FILES_PER_HOP if self._waits else len(parts)
        hops = [parts[start : start + step] for start in range(0, len(parts), step)]

        async def settle(some: Sequence[AnyPart]) -> None:
            work = partial(_settle, some, group)
            seconds = await to_thread.run_sync(work, limiter=self._limiter)
            self._waits = seconds > SLOW_SECONDS * len(some)

        await for_each(hops, settle, tasks=TASKS)
        return group


def _settle(parts: Sequence[AnyPart], group: Group) -> float:
    """Settle *parts* one behind the other; returns the seconds it took. In a thread."""
    started = perf_counter()
    for part in parts:
        try:
            group.settled.append(part.settle())
        except (StorageError, UnsafeError) as error:
            group.failed[part.file.path] = error
    return perf_counter() - started

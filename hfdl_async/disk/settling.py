"""Making a group of parts durable: in one hop while syncs are cheap, side by side where they wait.

On a disk each sync waits for the journal, and syncs that wait together share its commits. In memory
or behind a cache that admits nothing, a sync takes microseconds and threads only get in each
other's way. Which of the two it is, is measured on every group.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from time import perf_counter
from typing import TypeVar

import anyio
from anyio import to_thread

from hfdl_async.disk.calls import Calls, Folder
from hfdl_async.disk.crew import for_each
from hfdl_async.disk.memorypart import MemoryPart
from hfdl_async.disk.native import open_files_limit
from hfdl_async.disk.partfile import PartFile
from hfdl_async.disk.settled import Settled
from hfdl_async.disk.writing import Failed, Written, sync, write
from hfdl_async.errors import HfdlError, StorageError, UnsafeError

TASKS = 8
OPEN_FILES = 64  # beside the connections
OPEN_SHARE = 8  # of what a process may have open: some systems allow 256 in all
SLOW_SECONDS = 0.0002  # for one sync: in memory it takes a hundredth of that

AnyPart = PartFile | MemoryPart
T = TypeVar("T")


@dataclass(slots=True)
class Group:
    """What became of the parts of one group."""

    settled: list[Settled] = field(default_factory=list)
    failed: dict[str, HfdlError | None] = field(default_factory=dict)

    def add(self, results: Iterable[Settled | Failed]) -> None:
        """Note more results."""
        for result in results:
            if isinstance(result, Failed):
                self.failed[result.path] = result.error
            else:
                self.settled.append(result)


class Settler:
    """Settles groups and learns by *timer* how long a sync takes here.

    *open_files* at once; by default a share of what the system allows.
    """

    def __init__(
        self,
        calls: Calls,
        limiter: anyio.CapacityLimiter,
        *,
        timer: Callable[[], float] = perf_counter,
        open_files: int | None = None,
    ) -> None:
        self._calls = calls
        self._limiter = limiter
        self._timer = timer
        share = open_files_limit() // OPEN_SHARE if open_files is None else open_files
        self._open_files = max(1, min(OPEN_FILES, share))
        self._waits = True  # until measured: being wrong this way round costs less

    async def settle(self, parts: Sequence[AnyPart], folder: Folder) -> Group:
        """Write what is in memory to files in *folder*, sync everything; failures are values."""
        group = Group()
        large = [part for part in parts if not isinstance(part, MemoryPart)]
        small = [part for part in parts if isinstance(part, MemoryPart)]
        await self._share(large, lambda some: _settle_large(some, group))
        for start in range(0, len(small), self._open_files):
            await self._settle_small(small[start : start + self._open_files], folder, group)
        return group

    async def _settle_small(
        self, parts: Sequence[MemoryPart], folder: Folder, group: Group
    ) -> None:
        def write_all() -> list[Written]:
            results = [write(self._calls, folder, part) for part in parts]
            group.add(result for result in results if isinstance(result, Failed))
            return [result for result in results if isinstance(result, Written)]

        def sync_all(written: Sequence[Written]) -> None:
            group.add([sync(self._calls, folder, one) for one in written])

        if self._waits:
            await self._share(await self._in_thread(write_all), sync_all)
        else:
            await self._in_thread(lambda: self._measured(sync_all, write_all()))

    async def _share(self, items: Sequence[T], work: Callable[[Sequence[T]], None]) -> None:
        """Do *work*, which syncs, on shares of *items*, each in a thread."""
        shares = min(TASKS if self._waits else 1, len(items))

        async def do(share: Sequence[T]) -> None:
            await self._in_thread(lambda: self._measured(work, share))

        await for_each([items[first::shares] for first in range(shares)], do, tasks=shares)

    def _measured(self, work: Callable[[Sequence[T]], None], items: Sequence[T]) -> None:
        started = self._timer()
        work(items)
        if items:
            self._waits = self._timer() - started > SLOW_SECONDS * len(items)

    async def _in_thread(self, work: Callable[[], T]) -> T:
        return await to_thread.run_sync(work, limiter=self._limiter)


def _settle_large(parts: Sequence[PartFile], group: Group) -> None:
    """Settle *parts* one behind the other. In a thread."""
    for part in parts:
        try:
            group.settled.append(part.settle())
        except (StorageError, UnsafeError) as error:
            group.failed[part.file.path] = error

"""Claims on a beat: what has been written is made to survive a kill, soon but not too often."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import anyio

from hfdl_async.core.model import MIB
from hfdl_async.engine.filejob import FileJob
from hfdl_async.engine.ports import Clock
from hfdl_async.errors import HfdlError

CHECKPOINT_BYTES = 32 * MIB  # with the second below: a kill costs less than 64 MiB or two seconds
CHECKPOINT_SECONDS = 1.0


class Checkpointer:
    """Checkpoints every open file each second, or sooner when 32 MiB were written since."""

    def __init__(
        self,
        jobs: Callable[[], Iterable[FileJob]],
        clock: Clock,
        on_failure: Callable[[FileJob, HfdlError], None],
    ) -> None:
        self._jobs = jobs
        self._clock = clock
        self._on_failure = on_failure
        self._written = 0  # since the last checkpoint began
        self._dirty = anyio.Event()
        self._full = anyio.Event()

    def wrote(self, count: int) -> None:
        """Note that some part has *count* more bytes that no claim covers."""
        self._written += count
        self._dirty.set()
        if self._written >= CHECKPOINT_BYTES:
            self._full.set()

    async def run(self) -> None:
        """Checkpoint on the beat until cancelled."""
        while True:
            await self._dirty.wait()
            await self._wait_a_beat()
            self._written = 0
            self._dirty, self._full = anyio.Event(), anyio.Event()
            await self._save()

    async def _wait_a_beat(self) -> None:
        async with anyio.create_task_group() as group:

            async def beat() -> None:
                await self._clock.sleep(CHECKPOINT_SECONDS)
                group.cancel_scope.cancel()

            group.start_soon(beat)
            await self._full.wait()
            group.cancel_scope.cancel()

    async def _save(self) -> None:
        async with anyio.create_task_group() as group:
            for job in list(self._jobs()):
                if job.unclaimed_bytes:
                    group.start_soon(self._save_one, job)

    async def _save_one(self, job: FileJob) -> None:
        try:
            await job.save()
        except HfdlError as error:
            self._on_failure(job, error)

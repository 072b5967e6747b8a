"""A text file that grows by a line now and then, written off the loop.

It helps to understand a run, and is never worth failing one: what cannot be written any more is
dropped, once said in the log.
"""

from __future__ import annotations

import logging
from collections import deque
from pathlib import Path

import anyio
from anyio import to_thread

from hfdl_async.disk.trouble import translated
from hfdl_async.errors import StorageError

LAST_SECONDS = 1.0  # for the last lines of a run that was cancelled

log = logging.getLogger("hfdl_async.disk")


class TraceFile:
    """Lines in the order they were told; each is in the file soon after, also if we are killed.

    Args:
        path: the file; what it held before is gone.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lines: deque[str] = deque()
        self._told = anyio.Event()

    async def create(self) -> None:
        """Make the file, or empty it.

        Raises:
            StorageError: it cannot be made.
        """
        await to_thread.run_sync(self._create)

    def _create(self) -> None:
        with translated(str(self._path)):
            try:
                self._path.write_bytes(b"")
            except FileNotFoundError as error:
                raise StorageError(
                    f"{self._path}: there is no folder {self._path.parent}",
                    hint="make it first, or name another file",
                ) from error

    def tell(self, line: str) -> None:
        """Queue *line*."""
        self._lines.append(line)
        self._told.set()

    async def run(self) -> None:
        """Write what is told until cancelled; what was told until then is written as well."""
        try:
            while True:
                await self._told.wait()
                self._told = anyio.Event()
                await self._write()
        except OSError as error:
            log.warning("%s: the trace ends here: %s", self._path, error.strerror)
            self._lines.clear()
        finally:
            with anyio.move_on_after(LAST_SECONDS, shield=True):
                await self._write_the_last()

    async def _write(self) -> None:
        lines = list(self._lines)
        await to_thread.run_sync(self._append, "".join(f"{line}\n" for line in lines))
        for _ in lines:  # only now: cancelled before the thread began, they are still to be written
            self._lines.popleft()

    async def _write_the_last(self) -> None:
        try:
            if self._lines:
                await self._write()
        except OSError as error:
            log.warning("%s: the last lines are missing: %s", self._path, error.strerror)

    def _append(self, text: str) -> None:
        with self._path.open("a", encoding="utf-8", newline="\n") as file:
            file.write(text)

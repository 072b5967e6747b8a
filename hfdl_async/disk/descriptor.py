"""A file descriptor that cannot be closed under a thread that still uses it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from hfdl_async.disk.calls import Calls
from hfdl_async.errors import StorageError


class Descriptor:
    """An open file; `close` waits for its users.

    Closing first would let their writes land in whatever file is given the same number next.
    """

    def __init__(self, calls: Calls, fd: int, path: str) -> None:
        self._calls = calls
        self._fd = fd
        self._path = path
        self._users = 0
        self._closed = False
        self._changed = threading.Condition()

    @contextmanager
    def use(self) -> Iterator[int]:
        """Lend the descriptor for the length of the block.

        Raises:
            StorageError: it is closed.
        """
        with self._changed:
            if self._closed:
                raise StorageError(f"{self._path}: is closed already")
            self._users += 1
        try:
            yield self._fd
        finally:
            with self._changed:
                self._users -= 1
                self._changed.notify_all()

    def close(self) -> None:
        """Close it after its last user; twice does no harm.

        Raises:
            OSError: written bytes may be lost.
        """
        with self._changed:
            if self._closed:
                return
            self._closed = True
            self._changed.wait_for(lambda: self._users == 0)
        self._calls.close(self._fd)

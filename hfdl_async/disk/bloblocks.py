"""The locks that the reference client takes around a blob: so that nobody fetches it twice.

They save bytes and nothing else. A file system without locks, or a lock file of somebody else's,
is no reason not to go on: every blob is proven and put in place in one step anyway.
"""

from __future__ import annotations

import logging
from pathlib import Path

import anyio
from filelock import FileLock, Timeout

POLL_SECONDS = 0.1
LOCK_MODE = 0o664  # as the reference client makes them

_logger = logging.getLogger("hfdl_async.disk")


class BlobLocks:
    """The locks that one download holds, by the digest of the blob."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._held: dict[str, FileLock] = {}

    async def take(self, digest_hex: str) -> bool:
        """Wait for the lock of a blob; return whether somebody else had it meanwhile.

        Twice does no harm. Where there can be no lock, there is none.
        """
        if digest_hex in self._held:
            return False
        lock = FileLock(
            self._folder / f"{digest_hex}.lock", timeout=0, mode=LOCK_MODE, thread_local=False,
            fallback_to_soft=False,
        )  # fmt: skip
        waited = False
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            while not _try(lock):
                if not waited:
                    _logger.info("another program fetches %s: waiting", digest_hex)
                waited = True
                await anyio.sleep(POLL_SECONDS)
        except OSError as error:
            _logger.debug("no lock for %s: %s", digest_hex, error)
        else:
            self._held[digest_hex] = lock
        return waited

    def release(self, digest_hex: str) -> None:
        """Give one lock back; the file stays, as the reference client leaves it."""
        lock = self._held.pop(digest_hex, None)
        if lock is not None:
            lock.release()

    def release_all(self) -> None:
        """Give every lock back."""
        for digest_hex in list(self._held):
            self.release(digest_hex)


def _try(lock: FileLock) -> bool:
    """Return whether the lock is ours now. A try takes microseconds, and no thread."""
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return False
    return True

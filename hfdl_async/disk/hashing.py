"""Digests of whole files, read from the page cache in threads of their own.

A thread cannot be cancelled, so every hop is a slice: it ends within a fraction of a second, and a
cancellation is noticed between two of them.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable
from typing import Protocol

import anyio
from anyio import to_thread
from blake3 import blake3

from hfdl_async.core.ledger import CELL_BYTES
from hfdl_async.core.model import MIB, Algorithm, Digest
from hfdl_async.disk.calls import Buffer, Calls

READ_BYTES = MIB  # larger gains nothing, smaller costs calls
SLICE_BYTES = 32 * MIB  # one hop: about 0.1 s with SHA-256 at its slowest
MAX_HASHING_THREADS = 8


class Hasher(Protocol):
    """What hashlib's objects are."""

    def update(self, data: Buffer, /) -> None:
        """Take more bytes."""
        ...

    def hexdigest(self) -> str:
        """Return the digest so far."""
        ...


def hashing_limiter() -> anyio.CapacityLimiter:
    """Return the limit for threads that hash: in the pool for writes they would starve."""
    return anyio.CapacityLimiter(min(MAX_HASHING_THREADS, os.cpu_count() or 2))


def new_hasher(algorithm: Algorithm, size: int) -> Hasher:
    """Return a hasher for a file of *size* bytes; git hashes the size before the content."""
    if algorithm == "sha256":
        return hashlib.sha256(usedforsecurity=False)
    return hashlib.sha1(b"blob %d\0" % size, usedforsecurity=False)


class ContentHasher:
    """Takes a file from its first byte to its last: digests, and the BLAKE3 of each cell."""

    def __init__(self, algorithms: Iterable[Algorithm], size: int, *, cells: bool) -> None:
        self._hashers = {algorithm: new_hasher(algorithm, size) for algorithm in algorithms}
        self._wants_cells = cells
        self._cells: list[str] = []
        self._cell = blake3()
        self._cell_bytes = 0

    def feed(self, data: memoryview) -> None:
        """Take the next bytes."""
        for hasher in self._hashers.values():
            hasher.update(data)
        while self._wants_cells and data:
            piece = data[: CELL_BYTES - self._cell_bytes]
            self._cell.update(piece)
            self._cell_bytes += len(piece)
            data = data[len(piece) :]
            if self._cell_bytes == CELL_BYTES:
                self._end_cell()

    def _end_cell(self) -> None:
        self._cells.append(self._cell.hexdigest())
        self._cell, self._cell_bytes = blake3(), 0

    def digest(self, algorithm: Algorithm) -> Digest:
        """Return the digest of what was taken."""
        return Digest(algorithm, self._hashers[algorithm].hexdigest())

    def cells(self) -> tuple[str, ...]:
        """Return the BLAKE3 of each cell; call it last, the final cell may be short."""
        if self._cell_bytes:
            self._end_cell()
        return tuple(self._cells)


def read_slice(
    calls: Calls, fd: int, start: int, stop: int, feed: Callable[[memoryview], None]
) -> int:
    """Hand the bytes from *start* to *feed*, block by block; return where it ended.

    That is before *stop* only when the file is shorter.
    """
    buffer = memoryview(bytearray(min(READ_BYTES, max(stop - start, 1))))
    while start < stop:
        count = calls.read_into(fd, buffer[: stop - start], start)
        if count == 0:
            break
        feed(buffer[:count])
        start += count
    return start


async def read_through(
    calls: Calls,
    fd: int,
    size: int,
    feed: Callable[[memoryview], None],
    *,
    limiter: anyio.CapacityLimiter,
    progress: Callable[[int], None] | None = None,
) -> bool:
    """Hand a whole file to *feed*, slice by slice; return whether it had *size* bytes at least."""
    position = 0
    while position < size:
        stop = min(position + SLICE_BYTES, size)
        reached = await to_thread.run_sync(
            read_slice, calls, fd, position, stop, feed, limiter=limiter
        )
        if progress is not None:
            progress(reached - position)
        if reached < stop:
            return False
        position = reached
    return True

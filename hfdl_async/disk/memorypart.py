"""A small file held in memory until it is published: no thread, no descriptor, no record."""

from __future__ import annotations

import os
from collections.abc import Sequence

from blake3 import blake3

from hfdl_async.core.ledger import Ledger
from hfdl_async.core.model import KIB, ByteRange, Digest, RemoteFile, ResumeFacts
from hfdl_async.disk.calls import Buffer, Calls, Folder
from hfdl_async.disk.hashing import new_hasher
from hfdl_async.disk.settled import Settled, identity_of
from hfdl_async.disk.statefiles import remove_if_there, temporary_name
from hfdl_async.disk.trouble import translated

IN_MEMORY_BYTES = 256 * KIB  # hashing that much takes less time than a hop to a thread and back


class MemoryPart:
    """An unfinished small file; fits `engine.ports.Part`. Made by `LocalDir.open`."""

    def __init__(self, calls: Calls, parts: Folder, file: RemoteFile, key: str) -> None:
        self._calls = calls
        self._parts = parts
        self._key = key
        self._file = file
        self._data = bytearray(file.size_bytes)
        self._ledger = Ledger(file.size_bytes)

    @property
    def file(self) -> RemoteFile:
        """The file this will become."""
        return self._file

    @property
    def ledger(self) -> Ledger:
        """Bytes that are held."""
        return self._ledger

    @property
    def hashes_inline(self) -> bool:
        """Whether `write` hashes as well."""
        return True

    @property
    def unclaimed_bytes(self) -> int:
        """None: what a kill loses here is not worth a sync."""
        return 0

    @property
    def hashed_bytes(self) -> int:
        """How far the digest may go; it is taken in one step at the end."""
        return self._ledger.prefix

    async def prove(self) -> ResumeFacts:
        """Return that nothing was brought along."""
        return ResumeFacts()

    async def write(self, offset: int, pieces: Sequence[Buffer]) -> None:
        """Keep *pieces* one behind the other at *offset*."""
        start = offset
        for piece in pieces:
            view = memoryview(piece).cast("B")
            if offset + len(view) > self._file.size_bytes:
                raise ValueError(f"{self._file.path}: {len(view)} bytes at {offset} are outside")
            self._data[offset : offset + len(view)] = view
            offset += len(view)
        self._ledger = self._ledger.add(ByteRange(start, offset))

    async def checkpoint(self) -> None:
        """Do nothing: there is no claim to save."""

    async def hash_to(self, stop: int) -> None:
        """Do nothing: what has arrived counts as hashed."""

    def digest(self) -> Digest | None:
        """Return the digest of the whole content, or None where the file publishes none."""
        if self._file.digest is None:
            return None
        hasher = new_hasher(self._file.digest.algorithm, self._file.size_bytes)
        hasher.update(self._data)
        return Digest(self._file.digest.algorithm, hasher.hexdigest())

    async def reset(self) -> None:
        """Forget all bytes."""
        self._ledger = Ledger(self._file.size_bytes)

    async def discard(self) -> None:
        """Forget all bytes."""
        await self.reset()

    async def close(self) -> None:
        """Do nothing: there is nothing to let go of."""

    async def stop_saving(self) -> None:
        """Do nothing: nothing is ever saved."""

    def settle(self) -> Settled:
        """Write the content to a temporary file and make it durable. In a thread.

        Raises:
            StorageError: the disk refused; nothing is left behind.
        """
        name = temporary_name(self._key)
        with translated(self._parts.join(name), needed=self._file.size_bytes):
            fd = self._calls.open_file(self._parts, name, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
            try:
                try:
                    self._calls.write_at(fd, [self._data], 0)
                    self._calls.sync_data(fd)
                    identity = identity_of(os.fstat(fd))
                finally:
                    self._calls.close(fd)
            except OSError:
                remove_if_there(self._calls, self._parts, name)
                raise
        return Settled(self._file, self._parts, name, identity, self._cells())

    def _cells(self) -> tuple[str, ...]:
        """Return a hash only where the Hub's digest cannot say whether the file is still right."""
        if self._file.digest is not None or not self._data:
            return ()
        return (blake3(self._data).hexdigest(),)

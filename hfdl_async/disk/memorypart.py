"""A small file held in memory until it is published: no thread, no descriptor, no record."""

from __future__ import annotations

from collections.abc import Sequence

from blake3 import blake3

from hfdl_async.core.ledger import Ledger
from hfdl_async.core.model import KIB, ByteRange, Digest, RemoteFile, ResumeFacts
from hfdl_async.disk.calls import Buffer
from hfdl_async.disk.hashing import new_hasher

IN_MEMORY_BYTES = 256 * KIB  # so that what a kill loses stays less than one checkpoint would


class MemoryPart:
    """An unfinished small file; fits `engine.ports.Part`. Made by `Store.open`."""

    __slots__ = ("_file", "_ledger", "_pieces")

    def __init__(self, file: RemoteFile) -> None:
        self._file = file
        self._pieces: list[tuple[int, bytes]] = []  # as they came, each with its offset
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
        """Whether nobody needs to follow with `hash_to`: yes."""
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
        return NOTHING_RESUMED

    async def write(self, offset: int, pieces: Sequence[Buffer]) -> None:
        """Keep *pieces* one behind the other at *offset*; only what may change is copied."""
        alone = pieces[0] if len(pieces) == 1 else None
        held = alone if isinstance(alone, bytes) else b"".join(pieces)
        self._ledger = self._ledger.add(ByteRange(offset, offset + len(held)))
        self._pieces.append((offset, held))

    async def checkpoint(self, *, last: bool = False) -> None:
        """Do nothing: there is no claim to save."""

    async def hash_to(self, stop: int) -> None:
        """Do nothing: what has arrived counts as hashed."""

    def digest(self) -> Digest | None:
        """Return the digest of the whole content, or None where the file publishes none.

        It may be taken in a thread once all bytes have come.
        """
        if self._file.digest is None:
            return None
        hasher = new_hasher(self._file.digest.algorithm, self._file.size_bytes)
        for piece in self.content():
            hasher.update(piece)
        return Digest(self._file.digest.algorithm, hasher.hexdigest())

    def content(self) -> Sequence[Buffer]:
        """Return all bytes from the first to the last, in pieces."""
        position = 0
        for offset, piece in self._pieces:
            if offset != position:
                return [self._in_order()]
            position += len(piece)
        return [piece for _, piece in self._pieces]

    def _in_order(self) -> bytearray:
        data = bytearray(self._file.size_bytes)
        for offset, piece in self._pieces:
            data[offset : offset + len(piece)] = piece
        return data

    def cells(self) -> tuple[str, ...]:
        """Return a hash only where the Hub's digest cannot say whether the file is still right."""
        if self._file.digest is not None or not self._file.size_bytes:
            return ()
        hasher = blake3()
        for piece in self.content():
            hasher.update(piece)
        return (hasher.hexdigest(),)

    async def reset(self) -> None:
        """Forget all bytes."""
        self._pieces = []
        self._ledger = Ledger(self._file.size_bytes)

    async def discard(self) -> None:
        """Forget all bytes."""
        await self.reset()

    async def close(self) -> None:
        """Do nothing: there is nothing to let go of."""

    async def stop_saving(self) -> None:
        """Do nothing: nothing is ever saved."""


NOTHING_RESUMED = ResumeFacts()

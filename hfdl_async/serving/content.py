"""Where served bytes come from: memory, a file, or a formula that needs no room at all."""

from __future__ import annotations

import hashlib
import random
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Protocol

import aiofiles

from hfdl_async.core.model import KIB, MIB

Piece = bytes | memoryview

PIECE_BYTES = 512 * KIB  # one write to a socket; larger pieces gain nothing on loopback
FILE_PIECE_BYTES = 1 * MIB  # one thread hop per piece, so these are larger
HELD_BYTES = 64 * KIB  # a small file costs four thread hops a request unless it is held
BLOCK_BYTES = 4 * MIB  # of the formula; 8 MiB are held once per process
_STRIDE = 2_654_435_761  # odd: the first 2**22 blocks all begin at different places


class Content(Protocol):
    """The bytes of one file; every range of it can be read at any time, by many at once."""

    @property
    def size(self) -> int:
        """How many bytes there are."""
        ...

    def pieces(self, start: int, stop: int) -> AsyncIterator[Piece]:
        """Yield the bytes of the half-open range in order."""
        ...

    def blocking_pieces(self) -> Iterator[Piece]:
        """Yield all bytes in order, outside of any loop (for digests)."""
        ...


@dataclass(frozen=True, slots=True)
class BytesContent:
    """Content held in memory."""

    data: bytes

    @property
    def size(self) -> int:
        """How many bytes there are."""
        return len(self.data)

    async def pieces(self, start: int, stop: int) -> AsyncIterator[Piece]:
        """Yield views of the bytes."""
        view = memoryview(self.data)
        for offset in range(start, stop, PIECE_BYTES):
            yield view[offset : min(offset + PIECE_BYTES, stop)]

    def blocking_pieces(self) -> Iterator[Piece]:
        """Yield all bytes at once."""
        yield self.data


@dataclass(frozen=True, slots=True)
class FileContent:
    """Content of a file on disk, whose size was taken when it was found."""

    path: Path
    size: int

    async def pieces(self, start: int, stop: int) -> AsyncIterator[Piece]:
        """Yield what the file holds now; a file that shrank ends early."""
        async with aiofiles.open(self.path, "rb", buffering=0) as file:
            await file.seek(start)
            left = stop - start
            while left and (piece := await file.read(min(left, FILE_PIECE_BYTES))):
                left -= len(piece)
                yield piece

    def blocking_pieces(self) -> Iterator[Piece]:
        """Yield the file piece by piece."""
        with self.path.open("rb") as file:
            while piece := file.read(FILE_PIECE_BYTES):
                yield piece


def content_of_file(path: Path) -> Content:
    """Return the content of the file at *path*; a small one is held in memory from now on.

    Raises:
        OSError: it cannot be read.
    """
    size = path.stat().st_size
    if size <= HELD_BYTES:
        return BytesContent(path.read_bytes())
    return FileContent(path, size)


@lru_cache(maxsize=1)
def _noise() -> memoryview:
    """Return one random block twice in a row: a block that begins anywhere in it is a view."""
    block = random.Random(0).randbytes(BLOCK_BYTES)
    return memoryview(block + block)


@dataclass(frozen=True, slots=True)
class GeneratedContent:
    """Noise that depends on *seed* and offset only, served without copying a byte.

    Block number k is the same 4 MiB of noise begun at another place for every k and seed: no two
    blocks of a file are equal, and nothing is computed per byte.
    """

    seed: str
    size: int

    def _views(self, start: int, stop: int) -> Iterator[memoryview]:
        noise = _noise()
        base = int.from_bytes(hashlib.sha256(self.seed.encode()).digest()[:4], "big")
        offset = start
        while offset < stop:
            block, within = divmod(offset, BLOCK_BYTES)
            take = min(BLOCK_BYTES - within, PIECE_BYTES, stop - offset)
            begin = (base + block * _STRIDE) % BLOCK_BYTES + within
            yield noise[begin : begin + take]
            offset += take

    async def pieces(self, start: int, stop: int) -> AsyncIterator[Piece]:
        """Yield views of the shared noise."""
        for view in self._views(start, stop):
            yield view

    def blocking_pieces(self) -> Iterator[Piece]:
        """Yield all of it."""
        return self._views(0, self.size)


@dataclass(frozen=True, slots=True)
class JoinedContent:
    """A few bytes held in memory, followed by other content: a header and its data."""

    head: bytes
    tail: Content

    @property
    def size(self) -> int:
        """How many bytes there are."""
        return len(self.head) + self.tail.size

    async def pieces(self, start: int, stop: int) -> AsyncIterator[Piece]:
        """Yield from the head, then from the tail."""
        border = len(self.head)
        if start < border:
            yield self.head[start : min(stop, border)]
        if stop > border:
            async for piece in self.tail.pieces(max(0, start - border), stop - border):
                yield piece

    def blocking_pieces(self) -> Iterator[Piece]:
        """Yield all of both."""
        yield self.head
        yield from self.tail.blocking_pieces()


def read_all(content: Content) -> bytes:
    """Return the whole content; for files small enough to hold, and for comparisons."""
    return b"".join(content.blocking_pieces())


def sha256_of(content: Content) -> str:
    """Return the SHA-256 of *content* in hex."""
    digest = hashlib.sha256()
    for piece in content.blocking_pieces():
        digest.update(piece)
    return digest.hexdigest()


def git_sha1_of(content: Content) -> str:
    """Return the id git gives *content* as a blob, in hex."""
    digest = hashlib.sha1(b"blob %d\0" % content.size, usedforsecurity=False)
    for piece in content.blocking_pieces():
        digest.update(piece)
    return digest.hexdigest()

"""Chunks gathered for one write, so that not each of them costs a hop to another thread."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from hfdl_async.core.ledger import CELL_BYTES, Ledger
from hfdl_async.core.model import MIB, ByteRange, Chunk
from hfdl_async.engine.ports import Part

WRITE_BATCH_BYTES = 4 * MIB  # of one thread hop: half costs 5 % more CPU, twice gains nothing
BATCH_SECONDS = 1.0  # on a slow line what has come is written before its batch is full
BATCH_CHUNKS = 64  # of a small file: what drips in must not be kept drop by drop

Data = bytes | bytearray | memoryview


def batch_bytes(buffers_bytes: int, connections: int) -> int:
    """Return how much one connection gathers before it writes.

    All of them together gather half of the *buffers_bytes* there are; the rest is being filled.
    """
    return max(1, min(WRITE_BATCH_BYTES, buffers_bytes // (2 * max(1, connections))))


@dataclass(slots=True)
class Batch:
    """Chunks that lie one behind the other, on their way to one write."""

    part: Part
    chunks: list[Chunk] = field(default_factory=list)
    size: int = 0

    def add(self, chunk: Chunk) -> Batch | None:
        """Take *chunk* in; where it does not follow, return what was there and begin anew."""
        full = None
        if self.chunks and self.chunks[-1].offset + len(self.chunks[-1].data) != chunk.offset:
            full = Batch(self.part, self.chunks, self.size)
            self.chunks, self.size = [], 0
        self.chunks.append(chunk)
        self.size += len(chunk.data)
        return full

    def drop(self) -> None:
        """Give back what was not written, if anything is left."""
        chunks, self.chunks, self.size = self.chunks, [], 0
        _release(chunks)

    async def write(self) -> None:
        """Write what was gathered and give every lease back, whatever happens."""
        chunks, self.chunks, self.size = self.chunks, [], 0
        try:
            await self.part.write(chunks[0].offset, [chunk.data for chunk in chunks])
        finally:
            _release(chunks)

    async def write_missing(self) -> None:
        """Likewise, but leave out what the part has already."""
        chunks, self.chunks, self.size = self.chunks, [], 0
        try:
            for offset, data in _runs(chunks, self.part.ledger):
                await self.part.write(offset, data)
        finally:
            _release(chunks)


def _release(chunks: Sequence[Chunk]) -> None:
    for chunk in chunks:
        chunk.release()


def _runs(chunks: Sequence[Chunk], ledger: Ledger) -> Iterator[tuple[int, list[Data]]]:
    """Yield what of *chunks*, which follow one another, is missing in *ledger*: where, and what."""
    start = stop = chunks[0].offset
    run: list[Data] = []
    for chunk in chunks:
        rest = chunk.span
        while gap := ledger.first_missing_in(rest):
            if run and gap.start != stop:
                yield start, run
                run = []
            if not run:
                start = gap.start
            run.append(memoryview(chunk.data)[gap.start - chunk.offset : gap.stop - chunk.offset])
            stop = gap.stop
            rest = ByteRange(gap.stop, rest.stop)
    if run:
        yield start, run


assert WRITE_BATCH_BYTES <= CELL_BYTES

"""Which bytes of one file are on disk and which are missing, as a value.

A ledger is a sorted tuple of disjoint spans that never touch, so its size follows the number of
connections writing into the file and not the size of the file. Because it is a value, a claim
that was true when it was taken stays true while later bytes arrive.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from hfdl_async.core.model import MIB, ByteRange

CELL_BYTES = 8 * MIB  # claims are prefixes of cells of this fixed grid, however requests are cut


@dataclass(frozen=True, slots=True)
class Ledger:
    """The written spans of a file of *size* bytes."""

    size: int
    spans: tuple[ByteRange, ...] = ()

    @classmethod
    def of(cls, size: int, spans: Iterable[ByteRange]) -> Ledger:
        """Return the ledger that covers *spans*, in any order, overlapping or not."""
        ledger = cls(size)
        for span in spans:
            ledger = ledger.add(span)
        return ledger

    def add(self, span: ByteRange) -> Ledger:
        """Return the ledger with *span* written as well.

        Raises:
            ValueError: the span reaches beyond the end of the file.
        """
        if span.stop > self.size:
            raise ValueError(f"{span} is outside a file of {self.size} bytes")
        if not span:
            return self
        start, stop = span.start, span.stop
        first = bisect_left(self.spans, start, key=lambda held: held.stop)
        last = first
        while last < len(self.spans) and self.spans[last].start <= stop:
            start = min(start, self.spans[last].start)
            stop = max(stop, self.spans[last].stop)
            last += 1
        merged = (*self.spans[:first], ByteRange(start, stop), *self.spans[last:])
        return Ledger(self.size, merged)

    def missing(self) -> Iterator[ByteRange]:
        """Yield the gaps from the front of the file to its end."""
        position = 0
        for span in self.spans:
            if position < span.start:
                yield ByteRange(position, span.start)
            position = span.stop
        if position < self.size:
            yield ByteRange(position, self.size)

    @property
    def covered(self) -> int:
        """How many bytes are written."""
        return sum(len(span) for span in self.spans)

    @property
    def prefix(self) -> int:
        """How many bytes are written from the very start without a gap."""
        return self.spans[0].stop if self.spans and self.spans[0].start == 0 else 0

    @property
    def complete(self) -> bool:
        """Whether nothing is missing."""
        return self.prefix == self.size


def cell_of(offset: int) -> int:
    """Return the number of the cell that holds *offset*."""
    return offset // CELL_BYTES


def cell_range(cell: int, size: int) -> ByteRange:
    """Return the span of *cell* in a file of *size* bytes; the last cell may be short."""
    return ByteRange(min(cell * CELL_BYTES, size), min((cell + 1) * CELL_BYTES, size))


def split_at_cells(span: ByteRange) -> Iterator[ByteRange]:
    """Cut *span* at the borders of the grid."""
    start = span.start
    while start < span.stop:
        stop = min((cell_of(start) + 1) * CELL_BYTES, span.stop)
        yield ByteRange(start, stop)
        start = stop
